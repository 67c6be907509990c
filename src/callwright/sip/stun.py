"""STUN binding: what address a NAT gives us (RFC 8489).

    request(id) ──▶ server ──▶ parse(bytes, id) → Mapped(host, port)

Both directions are here, because whoever asks also wants to be tried out. Only Binding without credentials: addresses
that we believe are those of a server that an operator named, answered under a transaction id that nobody guesses.
"""

import ipaddress
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from callwright.errors import SipSyntaxError

PORT = 3478
COOKIE = 0x2112A442
"""§5: tells STUN from everything else, together with two zero bits in front."""
ID_BYTES = 12
HEADER = struct.Struct("!HHI12s")
BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0101, 0x0111
MAPPED_ADDRESS, ERROR_CODE, XOR_MAPPED_ADDRESS = 0x0001, 0x0009, 0x0020
SOFTWARE, FINGERPRINT = 0x8022, 0x8028
FINGERPRINT_MASK = 0x5354554E
FIRST_OPTIONAL = 0x8000
"""§14: attributes below must be understood."""
KNOWN = frozenset((MAPPED_ADDRESS, 0x0006, 0x0008, ERROR_CODE, 0x000A, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E, 0x0020))
"""§18.3.1: attributes that must be understood, and mean nothing here unless they are named above."""
MOST_ATTRIBUTES = 32
_FAMILIES = {1: 4, 2: 16}

Attributes = dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Mapped:
    """How the server sees us."""

    host: str
    "IP address"
    port: int


class StunRefused(SipSyntaxError):
    """The server answered with an error."""


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN and not SIP (RFC 8489 §5): SIP begins with a letter."""
    return len(data) >= HEADER.size and data[0] < 4 and data[4:8] == COOKIE.to_bytes(4, "big")


def transaction_id(data: bytes) -> bytes:
    """Which request a message belongs to; `data` is STUN."""
    return data[8 : HEADER.size]


def serialize_request(identity: bytes) -> bytes:
    """A Binding request. `identity` is 96 random bits from a cryptographic source (§5)."""
    return _message(BINDING_REQUEST, identity, ())


def serialize_success(identity: bytes, mapped: Mapped) -> bytes:
    """What a server answers whom it sees at `mapped`."""
    return _message(BINDING_SUCCESS, identity, ((XOR_MAPPED_ADDRESS, _xored(mapped, identity)),))


def serialize_error(identity: bytes, code: int, reason: str) -> bytes:
    """What a server answers whom it refuses (§14.8); `code` is 300 to 699."""
    value = bytes((0, 0, code // 100, code % 100)) + reason.encode()
    return _message(BINDING_ERROR, identity, ((ERROR_CODE, value),))


def is_request(data: bytes) -> bool:
    """Whether it is a sound Binding request."""
    try:
        kind, _, _ = _read(data)
    except SipSyntaxError:
        return False
    return kind == BINDING_REQUEST


def parse_response(data: bytes, identity: bytes) -> Mapped:
    """Our address in the answer to the request `identity`.

    SipSyntaxError when it is no such answer, StunRefused when the server said why not.
    """
    kind, answered, attributes = _read(data)
    if answered != identity:
        raise SipSyntaxError("an answer to another STUN request")
    if kind == BINDING_ERROR:
        raise StunRefused(_reason(attributes.get(ERROR_CODE, b"")))
    if kind != BINDING_SUCCESS:
        raise SipSyntaxError(f"STUN message type {kind:#06x} is no answer to a Binding request")
    unknown = [number for number in attributes if number < FIRST_OPTIONAL and number not in KNOWN]
    if unknown:
        # §6.3.3: with unknown comprehension-required attributes "the response is discarded".
        raise SipSyntaxError(f"STUN attribute {unknown[0]:#06x} is unknown and must be understood")
    if XOR_MAPPED_ADDRESS in attributes:
        return _address(attributes[XOR_MAPPED_ADDRESS], COOKIE.to_bytes(4, "big") + identity)
    if MAPPED_ADDRESS in attributes:  # servers of RFC 3489
        return _address(attributes[MAPPED_ADDRESS], bytes(16))
    raise SipSyntaxError("a STUN answer without an address")


def _message(kind: int, identity: bytes, attributes: Sequence[tuple[int, bytes]]) -> bytes:
    body = b"".join(
        struct.pack("!HH", number, len(value)) + value + bytes(-len(value) % 4) for number, value in attributes
    )
    # §14.7: the length counts the fingerprint, which is the CRC-32 of all before it.
    start = HEADER.pack(kind, len(body) + 8, COOKIE, identity) + body
    return start + struct.pack("!HHI", FINGERPRINT, 4, zlib.crc32(start) ^ FINGERPRINT_MASK)


def _read(data: bytes) -> tuple[int, bytes, Attributes]:
    """Type, transaction id and attributes, the first of a kind; SipSyntaxError when it is no sound STUN message."""
    if not is_stun(data):
        raise SipSyntaxError("no STUN message")
    kind, length, _, identity = HEADER.unpack_from(data)
    if length % 4 or length != len(data) - HEADER.size:
        raise SipSyntaxError("a STUN message of another length than it says")
    attributes: Attributes = {}
    at = HEADER.size
    for _ in range(MOST_ATTRIBUTES):
        if at == len(data):
            return kind, identity, attributes
        number, size = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) < size:
            raise SipSyntaxError(f"STUN attribute {number:#06x} is cut off")
        if number == FINGERPRINT and value != (zlib.crc32(data[:at]) ^ FINGERPRINT_MASK).to_bytes(4, "big"):
            raise SipSyntaxError("the STUN fingerprint is wrong")
        attributes.setdefault(number, value)
        at += 4 + size + -size % 4
    raise SipSyntaxError("too many STUN attributes")


def _address(value: bytes, mask: bytes) -> Mapped:
    """§14.1 and §14.2, which differ by the mask."""
    size = _FAMILIES.get(value[1] if len(value) > 1 else 0)
    if size is None or len(value) != 4 + size:
        raise SipSyntaxError("a STUN address of an unknown family")
    port = int.from_bytes(value[2:4], "big") ^ int.from_bytes(mask[:2], "big")
    host = bytes(one ^ other for one, other in zip(value[4:], mask, strict=False))
    return Mapped(str(ipaddress.ip_address(host)), port)


def _xored(mapped: Mapped, identity: bytes) -> bytes:
    host = ipaddress.ip_address(mapped.host).packed
    mask = COOKIE.to_bytes(4, "big") + identity
    family = 1 if len(host) == 4 else 2
    port = mapped.port ^ COOKIE >> 16
    return struct.pack("!BBH", 0, family, port) + bytes(one ^ other for one, other in zip(host, mask, strict=False))


def _reason(value: bytes) -> str:
    code = (value[2] & 7) * 100 + value[3] if len(value) > 3 else 0
    return f"the STUN server refuses: {code} {value[4:132].decode('utf-8', 'replace')}".rstrip()
