"""What a callee heard: packets in the order of arrival, each placed where its RTP timestamp says; gaps are silence.

8 kHz, 16 bit, mono. The beginning is the first packet. A sender that starts over (a new SSRC, or a timestamp that has
nothing to do with the time that passed) goes on where the clock says, never before what was heard already.
"""

import wave
from pathlib import Path

from callwright.rtp.wrap import timestamp_distance

SAMPLE_RATE = 8_000
SAMPLE_BYTES = 2
MOST_SECONDS = 1_800
"""A recording stops growing here."""
MOST_DRIFT_SAMPLES = 5 * SAMPLE_RATE
"""A timestamp further than this from the time that passed belongs to a sender that started over."""


class Recording:
    """Grows packet by packet; made for fifty of them a second."""

    def __init__(self, most_seconds: float = MOST_SECONDS) -> None:
        self._samples = bytearray()
        self._most_bytes = round(most_seconds * SAMPLE_RATE) * SAMPLE_BYTES
        self._ssrc: int | None = None
        self._first_arrival = 0.0
        self._base_timestamp = 0
        self._base_sample = 0
        self.is_full = False
        "whether something was left out for length"

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self._samples) / SAMPLE_BYTES / SAMPLE_RATE

    def hear(self, ssrc: int, timestamp: int, samples: bytes, arrival: float) -> None:
        """Take one packet's sound (native PCM16), with its arrival in seconds."""
        if self._ssrc is None:
            self._first_arrival = arrival
            self._start_over(ssrc, timestamp, 0)
        at_sample = self._base_sample + timestamp_distance(self._base_timestamp, timestamp)
        passed = round((arrival - self._first_arrival) * SAMPLE_RATE)
        if ssrc != self._ssrc or abs(at_sample - passed) > MOST_DRIFT_SAMPLES:
            at_sample = max(len(self._samples) // SAMPLE_BYTES, passed)
            self._start_over(ssrc, timestamp, at_sample)
        begin = at_sample * SAMPLE_BYTES
        if begin < 0:
            return  # older than the first packet heard
        end = begin + len(samples)
        if end > self._most_bytes:
            self.is_full = True
            return
        if begin > len(self._samples):
            self._samples.extend(bytes(begin - len(self._samples)))
        self._samples[begin:end] = samples

    def _start_over(self, ssrc: int, timestamp: int, at_sample: int) -> None:
        self._ssrc, self._base_timestamp, self._base_sample = ssrc, timestamp, at_sample

    def samples(self) -> bytes:
        """Everything heard so far, PCM16 little-endian."""
        return bytes(self._samples)

    def save(self, path: Path) -> None:
        """Write a WAV file; it is there whole or not at all. OSError when it cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.unfinished")
        with wave.open(str(unfinished), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(SAMPLE_BYTES)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(self._samples)
        unfinished.replace(path)
