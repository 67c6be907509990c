"""One direction of a bridge whose sides speak differently: sound is made into packets as the far side wants them.

Packets leave as soon as they are full, numbered from where the far side's own stream stands; pauses stay pauses. So
the pace is that of the speaker's clock, and the far side's jitter buffer deals with it as with any other.
"""

from typing import Final

import numpy as np

from callwright.audio.codecs import CODECS
from callwright.audio.coding import Encoder, Resampler
from callwright.errors import RtpError
from callwright.rtp import telephone_event
from callwright.rtp.packet import RtpPacket
from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.playout import Heard
from callwright.telephony.media.slot import MARKER
from callwright.telephony.media.stream import RemoteMedia

LONGEST_PAUSE_SECONDS: Final = 0.1
"""After a longer one our own silence has taken its place."""


class Transcoder:
    """Speaks through `target` what it is handed."""

    def __init__(self, target: Outbound, theirs: RemoteMedia, heard_event_clock_rate: int) -> None:
        """`theirs`: the far side. `heard_event_clock_rate`: that of events on the side that speaks."""
        self._target = target
        self._kind = theirs.payload_type
        self._event_type = theirs.sent_event_payload_type
        self._event_clocks = heard_event_clock_rate, theirs.event_clock_rate
        self._framing = target.framing
        self._codec = theirs.codec
        self._encoder = Encoder(theirs.codec)
        self._resampler: Resampler | None = None
        self._from_rate = 0
        self._sound = np.zeros(0, dtype=np.int16)
        "that fills no frame of 20 ms yet"
        self._encoded = b""
        "that fills no packet yet"
        self._next: tuple[int, int] | None = None
        "sequence number and timestamp, while the far side hears us without a break"
        self._event: tuple[int, int] | None = None
        "timestamps of the press that goes on: the speaker's, ours"

    def hear(self, heard: Heard, now: float) -> None:
        """The speaker's next sound or event."""
        if heard.packet is not None:
            self._relay_event(heard.packet, now)
            return
        if heard.pause_seconds > 0 or heard.anew:
            self._pause(0.0 if heard.anew else heard.pause_seconds, now)
        if heard.sample_rate != self._from_rate or self._resampler is None:
            self._from_rate = heard.sample_rate
            self._resampler = Resampler(heard.sample_rate, self._encoder.codec.sample_rate)
        self._sound = np.concatenate([self._sound, self._resampler.in_step(heard.samples)])
        size = self._encoder.codec.frame_samples
        while len(self._sound) >= size:
            self._encoded += self._encoder.encode(self._sound[:size])
            self._sound = self._sound[size:]
        while len(self._encoded) >= self._framing.frame_bytes:
            self._send(self._encoded[: self._framing.frame_bytes], now)
            self._encoded = self._encoded[self._framing.frame_bytes :]

    def _pause(self, seconds: float, now: float) -> None:
        """What is begun is filled up with silence; a long pause, or another speaker, begins anew."""
        self._sound = np.zeros(0, dtype=np.int16)
        if self._encoded:
            silence = CODECS[self._codec].silence
            filled = self._encoded + silence * (self._framing.frame_bytes // len(silence) + 1)
            self._send(filled[: self._framing.frame_bytes], now)
        self._encoded = b""
        if self._next is not None:
            if 0 < seconds <= LONGEST_PAUSE_SECONDS:
                skipped = round(seconds * self._encoder.codec.clock_rate)
                self._next = self._next[0], (self._next[1] + skipped) & 0xFFFF_FFFF
            else:
                self._next = None

    def _send(self, payload: bytes, now: float) -> None:
        target = self._target
        if not target.takes_relayed:
            self._next = None
            return
        marker = 0
        if self._next is None or not target.is_relaying:
            self._next = target.next_place()
            marker = MARKER
        sequence, timestamp = self._next
        target.relay(self._kind | marker, sequence, timestamp, payload, self._framing.ticks, now)
        if target.recorder is not None:
            target.recorder.sent(timestamp, self._codec, payload)
        self._next = (sequence + 1) & 0xFFFF, (timestamp + self._framing.ticks) & 0xFFFF_FFFF

    def _relay_event(self, packet: RtpPacket, now: float) -> None:
        target = self._target
        if self._event_type is None or not target.takes_relayed:
            return
        try:
            payload = telephone_event.at_clock(packet.payload, *self._event_clocks)
        except RtpError:
            return
        if self._next is None or not target.is_relaying:
            self._next = target.next_place()
        sequence, timestamp = self._next
        if self._event is None or self._event[0] != packet.timestamp:
            self._event = packet.timestamp, timestamp
        marker = MARKER if packet.marker else 0
        target.relay(self._event_type | marker, sequence, self._event[1], payload, 0, now)
        self._next = (sequence + 1) & 0xFFFF, timestamp
