"""Bending: one to six wounds per input, some of random bytes, some of what each format is sore about."""

import random
from collections.abc import Sequence
from typing import Final

TEXT_SPICE: Final = (
    *(b"\r\n", b"\r\n ", b"\n", b"\0", b'"', b"<", b">", b";", b",", b"=", b"%", b"%00", b"@", b":", b"[", b"]", b"::"),
    *(b"\xff", b"\xc3", b"9" * 40, b"-1", b"\\", b"?", b"(", b"4294967296", b"\r\n\r\n", b"/"),
    *(b"a=rtpmap:", b"m=audio 1 RTP/AVP ", b"c=IN IP6 ::1", b"SIP/2.0", b"Content-Length: ", b";tag=", b"Digest "),
    *(b"a=crypto:1 ", b"inline:", b"qop=", b"nonce=", b"z9hG4bK", b"a=ptime:0", b"<sip:", b"Require: "),
)
BINARY_SPICE: Final = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\x7f",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff" * 4,
    b"\x80\xc8",
    b"\x81\xca",
)


def mutated(seed: bytes, other: bytes, spice: Sequence[bytes], dice: random.Random) -> bytes:
    """`seed` with bytes flipped, cut, doubled, spiced, or crossed with `other`."""
    data = bytearray(seed)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.randint(0, 12))
        match dice.randrange(7):
            case 0:
                data[at:end] = dice.randbytes(end - at)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * dice.randint(1, 20)
            case 3:
                data[at:at] = dice.choice(spice)
            case 4:
                data[at:end] = dice.choice(spice)
            case 5 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case _:
                data[at:] = other[dice.randrange(len(other) + 1) :]
    return bytes(data)


def bent(seeds: Sequence[bytes], spice: Sequence[bytes], dice: random.Random, count: int) -> list[bytes]:
    """`count` inputs, of every seed as many."""
    return [mutated(seeds[turn % len(seeds)], dice.choice(seeds), spice, dice) for turn in range(count)]
