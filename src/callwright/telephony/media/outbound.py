"""What one call sends: its prompt, frame by frame, what another call says, or silence. A stream that is up never stops.

Between prompts silence is sent: firewalls and session border controllers close what is quiet, and handsets
report a dead line. The stream is therefore contiguous, and the marker bit stands on its very first packet and on the
first one after a hold only (RFC 3551 §4.1), and on the first one of another call's sound.

Packets of another call (a bridge) leave when they come. They take the place of our own frames for as long as they keep
coming; sequence numbers and timestamps go on from the one to the other and back. Prompts go before them.
"""

import struct
from collections import deque
from collections.abc import Callable, Mapping

from callwright.audio import g711
from callwright.errors import TelephonyError
from callwright.rtp.wrap import sequence_distance, timestamp_distance
from callwright.telephony.media.prompts import FRAME_BYTES, PromptFile, PromptFiles
from callwright.telephony.media.recorder import Recorder

HEADER_BYTES = 12
MARKER = 0x80
RELAY_PATIENCE_SECONDS = 0.1
"""So long nothing may come of another call's sound until silence of our own takes its place: a few lost packets."""
ENDLESS = 1 << 62
"""Frames of a playback that goes on until it is stopped."""
_HEADER = struct.Struct("!BBHII")
_PLACE = struct.Struct("!HI")
_PLACE_OFFSET = 2


class Playback:
    """A prompt on its way: which frame is next, and how many are left."""

    __slots__ = ("file", "frames", "left", "offset", "paths", "playback_id", "repetition", "size")

    def __init__(self, playback_id: str, paths: Mapping[str, str], repetition: int) -> None:
        self.playback_id = playback_id
        self.paths = paths
        self.repetition = repetition
        "0: until it is stopped"
        self.file: PromptFile | None = None
        self.frames = memoryview(b"")
        "the file's"
        self.size = 0
        "of the file in bytes"
        self.offset = 0
        "byte of the file at which the next frame begins"
        self.left = 0
        "frames, all repetitions together"

    def load(self, files: PromptFiles, codec: str) -> None:
        """Take the file of this codec, at the same place if the playback has begun; `TelephonyError` when it cannot."""
        path = self.paths.get(codec)
        if path is None:
            raise TelephonyError(f"the prompt has no {codec} form")
        file = files.open(path)
        if self.file is None:
            self.left = len(file.frames) // FRAME_BYTES * self.repetition if self.repetition else ENDLESS
        elif len(file.frames) != len(self.file.frames):
            raise TelephonyError(f"the prompt's {codec} form is not as long as the one that was playing")
        self.file = file
        self.frames = file.frames
        self.size = len(file.frames)


class Outbound:
    """The sending half of a call. `send` puts one packet on the wire and raises `OSError` when the system will not."""

    __slots__ = (
        "_codec",
        "_finished",
        "_kind",
        "_marked",
        "_payload",
        "_playing",
        "_queue",
        "_relayed_place",
        "_relayed_until",
        "_send",
        "_sending",
        "_started",
        "gaps",
        "is_relaying",
        "octets_relayed",
        "packet",
        "packets_relayed",
        "packets_sent",
        "recorder",
        "send_errors",
        "ssrc",
    )

    def __init__(
        self,
        ssrc: int,
        send: Callable[[memoryview | bytes], object],
        started: Callable[[str, float], None],
        finished: Callable[[str, float, str], None],
    ) -> None:
        """`started(playback id, now)` and `finished(playback id, now, why it was not completed or "")` hear of it."""
        self.ssrc = ssrc
        self.use(memoryview(bytearray(HEADER_BYTES + FRAME_BYTES)))
        self.packets_sent = 0
        self.packets_relayed = 0
        "of those sent"
        self.octets_relayed = 0
        "of payload"
        self.send_errors = 0
        self.is_relaying = False
        "another call's packets leave in place of ours"
        self.recorder: Recorder | None = None
        "is handed what is sent, and told how time goes on"
        self.gaps = 0
        self._send = send
        self._started = started
        self._finished = finished
        self._playing: Playback | None = None
        self._queue: deque[Playback] = deque()
        self._codec = ""
        self._kind = 0
        self._sending = False
        self._marked = False
        self._relayed_until = 0.0
        self._relayed_place = (0, 0)
        "sequence number and timestamp that follow what was relayed"

    def use(self, packet: memoryview) -> None:
        """Header and payload of the next packet stand in `packet` from now on; the pacer keeps the header."""
        self.packet = packet
        self._payload = packet[HEADER_BYTES:]

    @property
    def octets_sent(self) -> int:
        """Of payload."""
        return (self.packets_sent - self.packets_relayed) * FRAME_BYTES + self.octets_relayed

    def agree(self, codec: str, payload_type: int, sending: bool, files: PromptFiles, now: float) -> None:
        """What was negotiated, for the first time or anew; playbacks go on in the new codec."""
        if self.is_relaying:
            self._take_back()
        changed = codec != self._codec
        self._codec = codec
        self._kind = payload_type
        self._marked = sending and (self._marked or not self._sending)
        self._sending = sending
        self.packet[1] = payload_type | (MARKER if self._marked else 0)
        if not changed:
            return
        if self._playing is None:
            self._fall_silent()
        elif not self._load(self._playing, files, now):
            self._playing = None
            self._fall_silent()
        self._queue = deque(playback for playback in self._queue if self._load(playback, files, now))

    def _load(self, playback: Playback, files: PromptFiles, now: float) -> bool:
        try:
            playback.load(files, self._codec)
        except TelephonyError as error:
            self._finished(playback.playback_id, now, str(error))
            return False
        return True

    def play(self, playback: Playback, files: PromptFiles, now: float) -> None:
        """Play it, after what plays and waits already; before anything was agreed it waits for that."""
        if not self._codec or self._load(playback, files, now):
            self._queue.append(playback)

    @property
    def has_sound(self) -> bool:
        """Does a playback play or wait?"""
        return self._playing is not None or bool(self._queue)

    def cut(self, playback_id: str, now: float) -> None:
        """Stop a playback that plays or waits; unknown ones are over already."""
        if self._playing is not None and self._playing.playback_id == playback_id:
            self._playing = None
            self._fall_silent()
            self._finished(playback_id, now, "stopped")
            return
        for playback in self._queue:
            if playback.playback_id == playback_id:
                self._queue.remove(playback)
                self._finished(playback_id, now, "stopped")
                return

    def end(self, now: float) -> None:
        """The stream closes: whatever plays or waits is finished, incomplete."""
        waiting = [self._playing] if self._playing is not None else []
        waiting += self._queue
        self._playing = None
        self._queue.clear()
        for playback in waiting:
            self._finished(playback.playback_id, now, "the stream was closed")

    def frame(self, now: float) -> None:
        """A frame is due: fill the payload, send the packet."""
        # Written out for the one case there nearly always is: this runs 50 times a second for every call.
        playing = self._playing
        if playing is not None and playing.left:
            start = playing.offset
            end = start + FRAME_BYTES
            self._payload[:] = playing.frames[start:end]
            playing.offset = end if end < playing.size else 0
            playing.left -= 1
        elif playing is not None or self._queue:
            self._turn(now)
        recorder = self.recorder
        if recorder is not None:
            recorder.advance(self._scheduled()[1])
        if not self._sending:
            return
        if self.is_relaying:
            if self._playing is None and now < self._relayed_until:
                return
            self._take_back()
        try:
            self._send(self.packet)
        except OSError:  # a full buffer, or what ICMP said of an earlier packet; the next frame is 20 ms away
            self.send_errors += 1
            return
        self.packets_sent += 1
        if recorder is not None and self._playing is not None:
            recorder.sent(self._scheduled()[1], self._codec, bytes(self._payload))
        if self._marked:
            self._marked = False
            self.packet[1] = self._kind

    # What another call says

    @property
    def takes_relayed(self) -> bool:
        """May packets of another call leave now? Not on hold, and not while a prompt plays."""
        return self._sending and self._playing is None and not self._queue

    def next_place(self) -> tuple[int, int]:
        """Sequence number and timestamp of whatever leaves next."""
        sequence, timestamp = self._scheduled()
        if not self.is_relaying:
            return sequence, timestamp
        sequence, least = self._relayed_place
        return sequence, timestamp if timestamp_distance(least, timestamp) > 0 else least

    def relay(self, kind: int, sequence: int, timestamp: int, payload: bytes, ticks: int, now: float) -> None:
        """Send a packet of another call, numbered from `next_place` on; `kind` is marker and payload type.

        It covers `ticks` of sound from its timestamp on. Only when `takes_relayed`.
        """
        try:
            self._send(_HEADER.pack(0x80, kind, sequence, timestamp, self.ssrc) + payload)
        except OSError:
            self.send_errors += 1
        else:
            self.packets_sent += 1
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

    def _take_back(self) -> None:
        """Frames of our own go on where the relayed packets end."""
        _PLACE.pack_into(self.packet, _PLACE_OFFSET, *self.next_place())
        self.is_relaying = False

    def _scheduled(self) -> tuple[int, int]:
        """Sequence number and timestamp of the next frame as the pacer counts them."""
        sequence, timestamp = _PLACE.unpack_from(self.packet, _PLACE_OFFSET)
        return sequence, timestamp

    def skip(self, frames: int) -> None:
        """Frames whose time has passed unsent: the playback moves on without them."""
        if self._sending and not self.is_relaying:
            self.gaps += frames
        playing = self._playing
        if playing is not None and playing.file is not None:
            missed = min(frames, playing.left)
            playing.left -= missed
            playing.offset = (playing.offset + missed * FRAME_BYTES) % playing.size

    def _turn(self, now: float) -> None:
        """The last frame's 20 ms are over: the playback has finished, the next one begins, or silence does."""
        if self._playing is not None:
            self._finished(self._playing.playback_id, now, "")
        playing = self._playing = self._queue.popleft() if self._queue else None
        if playing is None:
            self._fall_silent()
            return
        self._started(playing.playback_id, now)
        self._payload[:] = playing.frames[:FRAME_BYTES]
        playing.offset = FRAME_BYTES % playing.size
        playing.left -= 1

    def _fall_silent(self) -> None:
        self._payload[:] = bytes([g711.SILENCE[self._codec]]) * FRAME_BYTES
