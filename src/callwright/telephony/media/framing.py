"""How a call's sound is cut into packets, and which of them can leave together with those of other calls."""

from dataclasses import dataclass
from typing import Final

FAST_FRAME_SECONDS: Final = 0.020
FAST_FRAME_BYTES: Final = 160


@dataclass(frozen=True, slots=True)
class Framing:
    """One packet's worth of sound, as it stands in a prompt's file and counts on the RTP clock."""

    frame_bytes: int
    "of payload in each packet"
    ticks: int
    "of the RTP clock"
    frame_seconds: float

    @property
    def is_fast(self) -> bool:
        """May packets of this shape leave from a slot (slot.py)? Others are paced one by one."""
        return self.frame_bytes == FAST_FRAME_BYTES and self.frame_seconds == FAST_FRAME_SECONDS


_BYTES_PER_MS: Final = 8
"""Of PCMU, PCMA and G.722, whose RTP clocks all count 8 ticks in that time (RFC 3551 §4.5.2 says why G.722's does)."""


def framing(ptime_ms: int) -> Framing:
    """What `ptime_ms` of PCMU, PCMA or G.722 are."""
    return Framing(_BYTES_PER_MS * ptime_ms, _BYTES_PER_MS * ptime_ms, ptime_ms / 1000)


G711: Final = framing(20)
