"""What a peer says, as sound in order: for those who cannot take packets as they come.

Who mixes codecs or packet times needs it, and who listens to a codec that remembers what it heard before. Packets pass
a jitter buffer (rtp/jitter.py) and a decoder; what is lost is filled with what was heard last, fading.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from callwright.audio.codecs import CODECS
from callwright.audio.coding import CodingError, Decoder
from callwright.rtp.jitter import Due, JitterBuffer
from callwright.rtp.packet import RtpPacket

LOOK_SECONDS: Final = 0.004
"""How often is looked whether something is due; the pacer's tick."""
FADING: Final = (0.7, 0.4, 0.15)
"""How loud the last sound is repeated for the first, second and third packet lost in a row; then silence."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The next piece of sound, or an event (`packet` is its packet then, and `samples` are none)."""

    samples: NDArray[np.int16]
    sample_rate: int
    ssrc: int
    timestamp: int
    "of the first sample, on the sender's clock"
    clock_rate: int
    pause_seconds: float
    "silence before it that was not sent"
    anew: bool
    packet: RtpPacket | None = None


class Schedule(Protocol):
    """Who asks for frames in time: the pacer."""

    def pace(self, sender: "Playout", due_at: float) -> None:
        """Call `frame` from `due_at` on, every `frame_seconds`."""

    def release(self, sender: "Playout") -> None:
        """Call it no more."""


class Playout:
    """One stream's, from `start` to `stop`. `hear` is handed each piece, with the time."""

    frame_seconds = LOOK_SECONDS

    def __init__(self, schedule: Schedule, hear: Callable[[Heard, float], None]) -> None:
        self.due_at = 0.0
        self._schedule = schedule
        self._hear = hear
        self._sounds: Mapping[int, str] = {}
        self._event_type: int | None = None
        self._clock_rate = 0
        self._buffer = JitterBuffer(8000)
        self._decoders: dict[str, Decoder] = {}
        self._ssrc = 0
        self._next_timestamp = 0
        self._last = np.zeros(0, dtype=np.int16)
        self._last_rate = 8000
        self._faded = 0

    @property
    def delay_seconds(self) -> float:
        """From a packet's arrival to its sound, about."""
        return self._buffer.delay_seconds

    def agree(self, sounds: Mapping[int, str], event_type: int | None) -> None:
        """Payload type → encoding name of sound, and that of events."""
        self._sounds, self._event_type = dict(sounds), event_type

    def start(self, now: float) -> None:
        """Look for what is due from now on."""
        self._schedule.pace(self, now)

    def stop(self) -> None:
        """Hand out nothing more."""
        self._schedule.release(self)

    def receive(self, packet: RtpPacket, arrival: float, now: float) -> None:
        """A packet that is believed; `arrival` may be some time ago."""
        codec = self._sounds.get(packet.payload_type)
        ticks = 0
        if codec is not None:
            shape = CODECS[codec]
            ticks = shape.ticks(packet.payload)
            if shape.clock_rate != self._clock_rate:
                self._clock_rate = shape.clock_rate
                self._buffer = JitterBuffer(shape.clock_rate)
        if self._clock_rate:
            for due in self._buffer.receive(packet, ticks, arrival):
                self._give(due, now)

    def frame(self, now: float) -> None:
        """As the pacer asks."""
        for due in self._buffer.take(now):
            self._give(due, now)

    def flush(self, now: float) -> None:
        """Nothing more is waited for: hand out what is there."""
        for due in self._buffer.flush():
            self._give(due, now)

    def skip(self, frames: int) -> None:
        """Nothing is lost by having looked late."""

    def _give(self, due: Due, now: float) -> None:
        if due.packet is None:
            self._fill(due.ticks, now)
            return
        packet = due.packet
        self._ssrc = packet.ssrc
        codec = self._sounds.get(packet.payload_type)
        if packet.payload_type == self._event_type:
            nothing = np.zeros(0, dtype=np.int16)
            event = Heard(nothing, 8000, packet.ssrc, packet.timestamp, self._clock_rate, 0.0, due.anew, packet)
            self._hear(event, now)
        if codec is None or not due.ticks:
            return
        decoder = self._decoders.get(codec)
        if decoder is None:
            decoder = self._decoders[codec] = Decoder(codec)
        try:
            samples = decoder.decode(packet.payload)
        except CodingError:
            self._fill(due.ticks, now)
            return
        self._last, self._last_rate, self._faded = samples, decoder.codec.sample_rate, 0
        self._say(samples, packet.timestamp, due, now)

    def _fill(self, ticks: int, now: float) -> None:
        size = ticks * self._last_rate // self._clock_rate
        loud = FADING[self._faded] if self._faded < len(FADING) else 0.0
        self._faded += 1
        samples = np.resize(self._last, size) if len(self._last) else np.zeros(size, dtype=np.int16)
        faded = (samples * np.linspace(loud, loud * loud, size)).astype(np.int16)
        self._say(faded, self._next_timestamp, Due(None, ticks), now)

    def _say(self, samples: NDArray[np.int16], timestamp: int, due: Due, now: float) -> None:
        self._next_timestamp = (timestamp + due.ticks) & 0xFFFF_FFFF
        pause = due.pause_ticks / self._clock_rate
        self._hear(Heard(samples, self._last_rate, self._ssrc, timestamp, self._clock_rate, pause, due.anew), now)
