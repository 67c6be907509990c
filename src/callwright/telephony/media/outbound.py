"""What one call sends: its prompt, frame by frame, what another call says, or silence. A stream that is up never stops.

Between prompts silence is sent: firewalls and session border controllers close what is quiet, and handsets
report a dead line. The stream is therefore contiguous, and the marker bit stands on its very first packet and on the
first one after a hold only (RFC 3551 §4.1), and on the first one of another call's sound.

A call sends by itself, `frame` by `frame` (the slow lane), or is seated in a slot (the fast lane, slot.py), which asks
for what comes next only when a run of frames is over. Numbers and playback go on from the one to the other.

Packets of another call (a bridge) leave when they come. They take the place of our own frames for as long as they keep
coming; sequence numbers and timestamps go on from the one to the other and back. Prompts go before them.
"""

import struct
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from callwright.audio.codecs import CODECS
from callwright.errors import TelephonyError
from callwright.rtp.wrap import sequence_distance, timestamp_distance
from callwright.telephony.media.framing import FAST_FRAME_BYTES, G711, Framing
from callwright.telephony.media.prompts import Playback, PromptFiles
from callwright.telephony.media.recorder import Recorder
from callwright.telephony.media.slot import ENDLESS, MARKER, Seat

RELAY_PATIENCE_SECONDS: Final = 0.1
"""So long nothing may come of another call's sound until silence of our own takes its place: a few lost packets."""
_HEADER: Final = struct.Struct("!BBHII")
_SILENT_FRAMES: Final = {
    name: np.frombuffer(codec.silence, dtype=np.uint8).copy()
    for name, codec in CODECS.items()
    if codec.frame_bytes == FAST_FRAME_BYTES
}
"""For slots, which send from memory that stays."""


class Listener(Protocol):
    """Whoever wants to know how playbacks go."""

    def playback_started(self, playback_id: str, now: float) -> None:
        """Its first packet leaves."""

    def playback_finished(self, playback_id: str, now: float, reason: str) -> None:
        """It is over; `reason` says why it was not completed, and is empty when it was."""


class Outbound:
    """The sending half of a call. `send` puts one packet on the wire and raises `OSError` when the system will not."""

    __slots__ = (
        "_gaps",
        "_kind",
        "_listener",
        "_marked",
        "_packets_sent",
        "_playing",
        "_queue",
        "_relayed_place",
        "_relayed_until",
        "_run",
        "_seat",
        "_send",
        "_send_errors",
        "_sequence",
        "_timestamp",
        "codec",
        "due_at",
        "framing",
        "is_relaying",
        "octets_relayed",
        "packets_relayed",
        "recorder",
        "sending",
        "ssrc",
    )

    def __init__(
        self,
        ssrc: int,
        sequence: int,
        timestamp: int,
        send: Callable[[bytes], object],
        listener: Listener,
    ) -> None:
        """`sequence` and `timestamp` are the first packet's: random (RFC 3550 §5.1)."""
        self.ssrc = ssrc
        self.codec = ""
        "what was agreed upon; empty before that"
        self.framing: Framing = G711
        self.sending = False
        "we may send: no hold"
        self.packets_relayed = 0
        "of those sent"
        self.octets_relayed = 0
        "of payload"
        self.is_relaying = False
        "another call's packets leave in place of ours"
        self.recorder: Recorder | None = None
        "is handed what is sent, and told how time goes on"
        self.due_at = 0.0
        "when the next frame leaves, in the slow lane; the pacer's"
        self._packets_sent = self._send_errors = self._gaps = 0
        "before the seat was taken"
        self._sequence = sequence
        self._timestamp = timestamp
        self._send = send
        self._listener = listener
        self._playing: Playback | None = None
        self._queue: deque[Playback] | None = None
        self._kind = 0
        self._marked = False
        self._relayed_until = 0.0
        self._relayed_place = (0, 0)
        "sequence number and timestamp that follow what was relayed"
        self._seat: Seat | None = None
        self._run = 0
        "frames that the seat was shown last"

    # What was sent

    @property
    def packets_sent(self) -> int:
        """So far."""
        return self._packets_sent + (0 if self._seat is None else self._seat.packets_sent)

    @property
    def send_errors(self) -> int:
        """Packets that the system refused to send, and what ICMP said of others."""
        return self._send_errors + (0 if self._seat is None else self._seat.send_errors)

    @property
    def gaps(self) -> int:
        """Frames that were not sent because we were late for them."""
        return self._gaps + (0 if self._seat is None else self._seat.gaps)

    @property
    def octets_sent(self) -> int:
        """Of payload."""
        return (self.packets_sent - self.packets_relayed) * self.framing.frame_bytes + self.octets_relayed

    @property
    def frame_seconds(self) -> float:
        """Between two frames."""
        return self.framing.frame_seconds

    @property
    def place(self) -> tuple[int, int]:
        """Sequence number and timestamp of the next frame of our own."""
        return (self._sequence, self._timestamp) if self._seat is None else self._seat.place

    @property
    def kind(self) -> int:
        """Marker and payload type of the next packet."""
        return self._kind | (MARKER if self._marked else 0)

    def refused(self) -> None:
        """ICMP says that a packet did not arrive."""
        self._send_errors += 1

    # What is played

    def agree(
        self, codec: str, framing: Framing, payload_type: int, sending: bool, files: PromptFiles, now: float
    ) -> None:
        """What was negotiated, for the first time or anew; playbacks go on in the new codec. Not while seated."""
        self.take_back()
        changed = (codec, framing) != (self.codec, self.framing)
        self.codec, self.framing = codec, framing
        self._kind = payload_type
        self._marked = sending and (self._marked or not self.sending)
        self.sending = sending
        if not changed:
            return
        if self._playing is not None and not self._load(self._playing, files, now):
            self._playing = None
        if self._queue:
            self._queue = deque(playback for playback in self._queue if self._load(playback, files, now))

    def _load(self, playback: Playback, files: PromptFiles, now: float) -> bool:
        try:
            playback.load(files, self.codec, self.framing)
        except TelephonyError as error:
            self._listener.playback_finished(playback.playback_id, now, str(error))
            return False
        return True

    def play(self, playback: Playback, files: PromptFiles, now: float) -> None:
        """Play it, after what plays and waits already; before anything was agreed it waits for that."""
        if self.codec and not self._load(playback, files, now):
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(playback)
        if self._seat is not None and self._playing is None:
            self._show(self._seat)

    @property
    def has_sound(self) -> bool:
        """Does a playback play or wait?"""
        return self._playing is not None or bool(self._queue)

    def cut(self, playback_id: str, now: float) -> None:
        """Stop a playback that plays or waits; unknown ones are over already."""
        if self._playing is not None and self._playing.playback_id == playback_id:
            self._playing = None
            if self._seat is not None:
                self._show(self._seat)
            self._listener.playback_finished(playback_id, now, "stopped")
            return
        for playback in self._queue or ():
            if playback.playback_id == playback_id and self._queue is not None:
                self._queue.remove(playback)
                self._listener.playback_finished(playback_id, now, "stopped")
                return

    def end(self, now: float) -> None:
        """The stream closes: whatever plays or waits is finished, incomplete. Not while seated."""
        waiting = [self._playing] if self._playing is not None else []
        waiting += self._queue or ()
        self._playing = self._queue = None
        for playback in waiting:
            self._listener.playback_finished(playback.playback_id, now, "the stream was closed")

    # The fast lane

    def sit(self, seat: Seat) -> None:
        """Be seated, with the numbers of `place`: from now on the slot sends."""
        self._show(seat)
        self._seat = seat

    def stand_up(self) -> None:
        """Send frame by frame again."""
        seat = self._seat
        if seat is None:
            return
        self._advance_run(seat)
        self._packets_sent += seat.packets_sent
        self._marked = self._marked and seat.packets_sent == 0
        self._send_errors += seat.send_errors
        self._gaps += seat.gaps
        self._sequence, self._timestamp = seat.place
        self._seat = None
        seat.leave()

    def turn(self, now: float) -> None:
        """The run that was shown is over, and the next frame is due."""
        seat = self._seat
        if seat is not None:
            self._advance_run(seat)
            if self._playing is None or not self._playing.left:
                self._turn(now)
            self._show(seat)

    def turn_late(self, skipped: int) -> None:
        """So many frames are skipped, more than the run holds."""
        seat = self._seat
        if seat is not None:
            self._advance_run(seat)
            if self._playing is not None:
                self._playing.advance(skipped)
            self._show(seat)

    def _advance_run(self, seat: Seat) -> None:
        if self._playing is not None:
            self._playing.advance(self._run - seat.left)
            self._run = seat.left

    def _show(self, seat: Seat) -> None:
        """The next frames that follow each other in memory; none when there is to be decided what they are."""
        playing = self._playing
        if playing is not None:
            self._run = playing.run
            seat.show(playing.address, self.framing.frame_bytes, self._run)
        else:
            self._run = 0 if self._queue else ENDLESS
            seat.show(_SILENT_FRAMES[self.codec].ctypes.data, 0, self._run)

    # The slow lane

    def frame(self, now: float) -> None:
        """A frame is due: send it."""
        playing = self._playing
        if (playing is None and self._queue) or (playing is not None and not playing.left):
            self._turn(now)
            playing = self._playing
        recorder = self.recorder
        if recorder is not None:
            recorder.advance(self._timestamp)
        if self.sending and self.is_relaying and (playing is not None or now >= self._relayed_until):
            self.take_back()
        if self.sending and not self.is_relaying:
            payload = self._payload(playing)
            self._put_on_the_wire(payload)
            if recorder is not None and playing is not None:
                recorder.sent(self._timestamp, self.codec, payload)
            self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + self.framing.ticks) & 0xFFFF_FFFF
        if playing is not None:
            playing.advance(1)

    def _payload(self, playing: Playback | None) -> bytes:
        size = self.framing.frame_bytes
        sound = b"" if playing is None else bytes(playing.payload)
        if len(sound) == size:
            return sound
        silence = CODECS[self.codec].silence
        return sound + (silence * (size // len(silence) + 1))[: size - len(sound)]

    def _put_on_the_wire(self, payload: bytes) -> None:
        try:
            self._send(_HEADER.pack(0x80, self.kind, self._sequence, self._timestamp, self.ssrc) + payload)
        except OSError:  # a full buffer, or what ICMP said of an earlier packet; the next frame is 20 ms away
            self._send_errors += 1
        else:
            self._packets_sent += 1
            self._marked = False

    def skip(self, frames: int) -> None:
        """Frames whose time has passed unsent: the playback moves on without them."""
        if self.is_relaying:
            # It is we who were away, not the other call: what it said meanwhile is still to be read, and then relayed.
            self._relayed_until += frames * self.framing.frame_seconds
        elif self.sending:
            self._gaps += frames
            self._sequence = (self._sequence + frames) & 0xFFFF
        self._timestamp = (self._timestamp + frames * self.framing.ticks) & 0xFFFF_FFFF
        if self._playing is not None:
            self._playing.advance(frames)

    def _turn(self, now: float) -> None:
        """The last frame's 20 ms are over: the playback has finished, the next one begins, or silence does."""
        if self._playing is not None:
            self._listener.playback_finished(self._playing.playback_id, now, "")
        self._playing = self._queue.popleft() if self._queue else None
        if self._playing is not None:
            self._listener.playback_started(self._playing.playback_id, now)

    # What another call says

    @property
    def takes_relayed(self) -> bool:
        """May packets of another call leave now? Not on hold, and not while a prompt plays."""
        return self.sending and self._playing is None and not self._queue

    def next_place(self) -> tuple[int, int]:
        """Sequence number and timestamp of whatever leaves next."""
        sequence, timestamp = self.place
        if not self.is_relaying:
            return sequence, timestamp
        sequence, least = self._relayed_place
        return sequence, timestamp if timestamp_distance(least, timestamp) > 0 else least

    def relay(self, kind: int, sequence: int, timestamp: int, payload: bytes, ticks: int, now: float) -> None:
        """Send a packet of another call, numbered from `next_place` on; `kind` is marker and payload type.

        It covers `ticks` of sound from its timestamp on. Only when `takes_relayed`, and not while seated.
        """
        try:
            self._send(_HEADER.pack(0x80, kind, sequence, timestamp, self.ssrc) + payload)
        except OSError:
            self._send_errors += 1
        else:
            self._packets_sent += 1
            self.packets_relayed += 1
            self.octets_relayed += len(payload)
        follows = (sequence + 1) & 0xFFFF, (timestamp + ticks) & 0xFFFF_FFFF
        if self.is_relaying:
            before = self._relayed_place
            follows = (
                follows[0] if sequence_distance(before[0], follows[0]) > 0 else before[0],
                follows[1] if timestamp_distance(before[1], follows[1]) > 0 else before[1],
            )
        self.is_relaying = True
        self._relayed_place = follows
        self._relayed_until = now + RELAY_PATIENCE_SECONDS

    def take_back(self) -> None:
        """Frames of our own go on where the relayed packets end, if there were any."""
        if self.is_relaying:
            self._sequence, self._timestamp = self.next_place()
            self.is_relaying = False
