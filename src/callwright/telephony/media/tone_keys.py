"""Keys among a stream's sounds: the detector of audio/dtmf.py, fed from packets that get lost.

A pause that the peer did not send (its timestamps go on, its sequence numbers do not) is silence to the detector, or
two presses would become one. Lost packets are left out: a tone with a hole in it is still one press.
"""

import numpy as np
from numpy.typing import NDArray

from callwright.audio.dtmf import SAMPLE_RATE, DtmfDetector
from callwright.rtp.packet import RtpPacket
from callwright.rtp.wrap import sequence_distance, timestamp_distance

LONGEST_PAUSE_SAMPLES = 800
"""More silence than this says nothing more to the detector."""
MOST_LOST_PACKETS = 3
"""After a longer loss the tone before it is over."""


class ToneKeys:
    """Hand in the sound packets of one stream as they come."""

    __slots__ = ("_detector", "_next_sequence", "_next_timestamp", "_ssrc")

    def __init__(self) -> None:
        self._detector = DtmfDetector()
        self._ssrc: int | None = None
        self._next_sequence = 0
        self._next_timestamp = 0

    def hear(self, samples: NDArray[np.int16], pause_seconds: float) -> list[str]:
        """The keys that were recognised with the next sound at 8 kHz; `pause_seconds` of silence were before it."""
        pause = min(round(pause_seconds * SAMPLE_RATE), LONGEST_PAUSE_SAMPLES)
        if pause > 0:
            samples = np.concatenate([np.zeros(pause, dtype=np.int16), samples])
        return self._detector.receive(samples)

    def receive(self, packet: RtpPacket, samples: NDArray[np.int16]) -> list[str]:
        """The keys that were recognised with this packet; late packets say nothing."""
        pause = 0
        if packet.ssrc == self._ssrc:
            lost = sequence_distance(self._next_sequence, packet.sequence)
            if lost < 0:
                return []
            skipped = timestamp_distance(self._next_timestamp, packet.timestamp)
            if skipped > 0 and (lost == 0 or lost > MOST_LOST_PACKETS):
                pause = min(skipped, LONGEST_PAUSE_SAMPLES)
        self._ssrc = packet.ssrc
        self._next_sequence = (packet.sequence + 1) & 0xFFFF
        self._next_timestamp = (packet.timestamp + len(samples)) & 0xFFFF_FFFF
        if pause:
            samples = np.concatenate([np.zeros(pause, dtype=np.int16), samples])
        return self._detector.receive(samples)
