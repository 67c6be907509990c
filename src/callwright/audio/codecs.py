"""The codecs that calls speak: what a packet of each holds, without the means to make one (coding.py).

Every frame of 20 ms has the same size. Opus is therefore made at a constant bit rate, which besides tells nobody who
sees encrypted packets what is said (RFC 6562 §3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from callwright.audio import g711

FRAME_MS: Final = 20
OPUS_BITS_PER_SECOND: Final = 24_000
"""Speech to 8 kHz of bandwidth (RFC 7587 §3.1.1 recommends 16 to 20 kbit/s for it, 28 to 40 for more)."""
_OPUS_SILENCE: Final = bytes.fromhex("4b41320be455c674d988").ljust(60, b"\0")
"""What libopus makes of nothing, as the first frame of a stream."""
_OPUS_MS: Final = ((10, 20, 40, 60), (10, 20), (2.5, 5, 10, 20))
"""RFC 6716 §3.1, table 2: frame lengths of SILK, hybrid and CELT."""
OPUS_CLOCK_RATE: Final = 48_000


@dataclass(frozen=True, slots=True)
class CallCodec:
    """One codec."""

    name: str
    "RTP encoding name in capitals"
    clock_rate: int
    "of its timestamps"
    sample_rate: int
    "of the sound that goes in and comes out"
    silence: bytes = field(repr=False)
    "20 ms of it, as long as any other 20 ms"
    is_divisible: bool
    "whether bytes stand for equal pieces of time, so that frames may be cut and joined anywhere"

    @property
    def frame_bytes(self) -> int:
        """Size of 20 ms."""
        return len(self.silence)

    @property
    def frame_ticks(self) -> int:
        """20 ms on the RTP clock."""
        return self.clock_rate * FRAME_MS // 1000

    @property
    def frame_samples(self) -> int:
        """20 ms of sound."""
        return self.sample_rate * FRAME_MS // 1000

    def packet_ms(self, wanted_ms: int) -> int:
        """How much goes into a packet when the peer wants `wanted_ms` (10 to 60, in steps of 10).

        Opus frames are 20 ms whatever is wanted: `ptime` is a wish (RFC 8866 §6.4), and a decoder takes every length.
        """
        return wanted_ms if self.is_divisible else FRAME_MS

    def ticks(self, payload: bytes) -> int:
        """How much sound a packet holds, on the RTP clock; 0 for one that is none."""
        return len(payload) if self.is_divisible else opus_ticks(payload)


def opus_ticks(payload: bytes) -> int:
    """Duration of an Opus packet at 48 kHz (RFC 6716 §3.1, §3.2); 0 when it is none, or longer than 120 ms."""
    if not payload:
        return 0
    config, frames_code = payload[0] >> 3, payload[0] & 3
    if config < 12:
        frame_ms: float = _OPUS_MS[0][config % 4]
    elif config < 16:
        frame_ms = _OPUS_MS[1][config % 2]
    else:
        frame_ms = _OPUS_MS[2][config % 4]
    frames = (1, 2, 2, payload[1] & 0x3F if len(payload) > 1 else 0)[frames_code]
    ticks = round(frames * frame_ms * OPUS_CLOCK_RATE / 1000)
    return ticks if ticks <= OPUS_CLOCK_RATE * 120 // 1000 else 0


def _g711(name: str) -> CallCodec:
    silence = bytes([g711.SILENCE[name]]) * g711.FRAME_SAMPLES
    return CallCodec(name, g711.SAMPLE_RATE, g711.SAMPLE_RATE, silence, is_divisible=True)


CODECS: Final[Mapping[str, CallCodec]] = {
    "PCMU": _g711("PCMU"),
    "PCMA": _g711("PCMA"),
    # A clock of 8000 by decree, though it samples at 16 kHz (RFC 3551 §4.5.2). The byte is the quietest that settles.
    "G722": CallCodec("G722", 8_000, 16_000, b"\xfc" * 160, is_divisible=True),
    "OPUS": CallCodec("OPUS", OPUS_CLOCK_RATE, 16_000, _OPUS_SILENCE, is_divisible=False),
}
