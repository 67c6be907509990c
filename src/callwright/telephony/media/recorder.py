"""Both directions of one stream put on one time line: left is what was received, right what was sent. Pure.

The time line is our own RTP clock, at 8 kHz; it runs with the pacer whatever is sent. Sent sound lies where its
timestamp says. Received sound lies where its first packet came, and from there on where its timestamps say, so that
jitter does not tear it; a source that starts over, or whose clock runs away from ours, is placed by its arrival again.
What is missing is silence.

Codecs that remember what they heard before are decoded in the order in which their packets are handed in: received ones
come in order (playout.py), sent ones do anyhow.

Sound is kept for a second, for packets that come late, and then handed on in blocks.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from callwright.audio import g711
from callwright.audio.coding import CodingError, Decoder, Resampler
from callwright.rtp.wrap import Rescaled, timestamp_distance

CHANNELS = 2
SAMPLE_RATE = 8_000
BLOCK_SAMPLES = 4_000
"""Half a second."""
LATENESS_SAMPLES = 4_000
"""A packet may come so much later than the sound around it."""
WINDOW_SAMPLES = 16_000
MOST_DRIFT_SAMPLES = 2_400
"""Received sound that stays further than this from where its arrival says is placed anew: a clock that is off by
1/10,000 takes fifty minutes for it."""
STAYS_PACKETS = 25
"""A network that stood still for a moment delivers fewer at a time."""
MOST_LEAP_SAMPLES = 8_000
"""Further than this the timestamps have begun anew."""


class Recorder:
    """`block` is handed interleaved 16-bit little-endian stereo; `begins_at` is our RTP time of the first sample."""

    __slots__ = (
        "_base",
        "_begin",
        "_block",
        "_decoder",
        "_left",
        "_off",
        "_offset",
        "_ours",
        "_resampler",
        "_right",
        "_ssrc",
        "_their_rate",
        "_theirs",
    )

    def __init__(self, begins_at: int, block: Callable[[bytes], None], clock_rate: int = SAMPLE_RATE) -> None:
        """`clock_rate` is that of our RTP clock."""
        self._ours = Rescaled(clock_rate, SAMPLE_RATE)
        self._theirs, self._their_rate = Rescaled(SAMPLE_RATE, SAMPLE_RATE), SAMPLE_RATE
        self._decoder: Decoder | None = None
        self._resampler: Resampler | None = None
        self._base = self._ours.of(begins_at)
        self._block = block
        self._begin = 0
        "position of the window's first sample"
        self._left = np.zeros(WINDOW_SAMPLES, dtype=np.int16)
        self._right = np.zeros(WINDOW_SAMPLES, dtype=np.int16)
        self._ssrc: int | None = None
        self._offset = 0
        "what makes a position of a received timestamp"
        self._off = 0
        "packets in a row that came far from their place"

    def agree(self, clock_rate: int, our_time: int) -> None:
        """Our RTP clock runs at this rate from now on."""
        self._ours.change(clock_rate, our_time)

    def received(
        self, ssrc: int, timestamp: int, samples: NDArray[np.int16], our_time: int, clock_rate: int = SAMPLE_RATE
    ) -> None:
        """Sound of the peer at 8 kHz, and our RTP time when it came; `clock_rate` is that of `timestamp`."""
        if ssrc != self._ssrc or clock_rate != self._their_rate:
            self._ssrc = None
            self._theirs, self._their_rate = Rescaled(clock_rate, SAMPLE_RATE), clock_rate
        timestamp = self._theirs.of(timestamp)
        came_at = timestamp_distance(self._base, self._ours.of(our_time))
        position = timestamp_distance(0, timestamp + self._offset & 0xFFFF_FFFF)
        drift = abs(position - came_at)
        self._off = self._off + 1 if drift > MOST_DRIFT_SAMPLES else 0
        if ssrc != self._ssrc or drift > MOST_LEAP_SAMPLES or self._off > STAYS_PACKETS:
            self._ssrc, self._off = ssrc, 0
            self._offset = came_at - timestamp
            position = came_at
        self._put(self._left, position, samples)

    def sent(self, timestamp: int, codec: str, payload: bytes) -> None:
        """A packet of ours."""
        position = timestamp_distance(self._base, self._ours.of(timestamp))
        if codec in g711.ENCODINGS:
            self._put(self._right, position, g711.decode(codec, payload))
            return
        if self._decoder is None or self._resampler is None or self._decoder.codec.name != codec:
            self._decoder = Decoder(codec)
            self._resampler = Resampler(self._decoder.codec.sample_rate, SAMPLE_RATE)
        try:
            samples = self._decoder.decode(payload)
        except CodingError:  # of somebody whose packets we relay
            return
        self._put(self._right, position, self._resampler.in_step(samples))

    def advance(self, our_time: int) -> None:
        """Time goes on: hand on what no late packet can change any more."""
        position = timestamp_distance(self._base, self._ours.of(our_time))
        while position - self._begin >= BLOCK_SAMPLES + LATENESS_SAMPLES:
            self._hand_on(BLOCK_SAMPLES)

    def end(self, our_time: int) -> None:
        """It is over: hand on the rest, up to now."""
        self.advance(our_time)
        rest = timestamp_distance(self._base, self._ours.of(our_time)) - self._begin
        if rest > 0:
            self._hand_on(rest)

    def _put(self, channel: NDArray[np.int16], position: int, samples: NDArray[np.int16]) -> None:
        start = position - self._begin
        end = start + len(samples)
        if start >= 0 and end <= WINDOW_SAMPLES:
            channel[start:end] = samples
        elif 0 < end <= WINDOW_SAMPLES:  # the beginning comes too late, the rest does not
            channel[:end] = samples[-end:]

    def _hand_on(self, count: int) -> None:
        block = np.empty((count, CHANNELS), dtype="<i2")
        for index, channel in enumerate((self._left, self._right)):
            block[:, index] = channel[:count]
            channel[: WINDOW_SAMPLES - count] = channel[count:]
            channel[WINDOW_SAMPLES - count :] = 0
        self._begin += count
        self._block(block.tobytes())
