"""How a call's sound is cut into packets, and which of them can leave together with those of other calls."""

from dataclasses import dataclass
from typing import Final

from callwright.audio.codecs import CODECS, FRAME_MS

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


def framing(codec: str, ptime_ms: int) -> Framing:
    """What goes into a packet of that codec when the peer wants `ptime_ms` in it."""
    shape = CODECS[codec]
    packet_ms = shape.packet_ms(ptime_ms)
    return Framing(
        shape.frame_bytes * packet_ms // FRAME_MS, shape.frame_ticks * packet_ms // FRAME_MS, packet_ms / 1000
    )


G711: Final = framing("PCMU", FRAME_MS)
