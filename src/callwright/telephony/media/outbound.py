"""What one call sends: its prompt, frame by frame, or silence. A stream that is up never stops.

Between prompts silence is sent: firewalls and session border controllers close what is quiet, and handsets
report a dead line. The stream is therefore contiguous, and the marker bit stands on its very first packet and on the
first one after a hold only (RFC 3551 §4.1).
"""

from collections import deque
from collections.abc import Callable, Mapping

from callwright.audio import g711
from callwright.errors import TelephonyError
from callwright.telephony.media.prompts import FRAME_BYTES, PromptFile, PromptFiles

HEADER_BYTES = 12
_MARKER = 0x80


class Playback:
    """A prompt on its way: which frame is next, and how many are left."""

    __slots__ = ("file", "left", "offset", "paths", "playback_id", "repetition")

    def __init__(self, playback_id: str, paths: Mapping[str, str], repetition: int) -> None:
        self.playback_id = playback_id
        self.paths = paths
        self.repetition = repetition
        self.file: PromptFile | None = None
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
            self.left = len(file.frames) // FRAME_BYTES * self.repetition
        elif len(file.frames) != len(self.file.frames):
            raise TelephonyError(f"the prompt's {codec} form is not as long as the one that was playing")
        self.file = file


class Outbound:
    """The sending half of a call. `send` puts one packet on the wire and raises `OSError` when the system will not."""

    __slots__ = (
        "_codec",
        "_finished",
        "_kind",
        "_marked",
        "_playing",
        "_queue",
        "_send",
        "_sending",
        "_started",
        "gaps",
        "packet",
        "packets_sent",
        "send_errors",
        "ssrc",
    )

    def __init__(
        self,
        ssrc: int,
        send: Callable[[memoryview], object],
        started: Callable[[str, float], None],
        finished: Callable[[str, float, str], None],
    ) -> None:
        """`started(playback id, now)` and `finished(playback id, now, why it was not completed or "")` hear of it."""
        self.ssrc = ssrc
        self.packet = memoryview(bytearray(HEADER_BYTES + FRAME_BYTES))
        "header and payload of the next packet; the pacer keeps the header"
        self.packets_sent = 0
        self.send_errors = 0
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

    def agree(self, codec: str, payload_type: int, sending: bool, files: PromptFiles, now: float) -> None:
        """What was negotiated, for the first time or anew; playbacks go on in the new codec."""
        changed = codec != self._codec
        self._codec = codec
        self._kind = payload_type
        self._marked = sending and (self._marked or not self._sending)
        self._sending = sending
        self.packet[1] = payload_type | (_MARKER if self._marked else 0)
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
        if self._playing is not None or self._queue:
            self._fill(now)
        if not self._sending:
            return
        try:
            self._send(self.packet)
        except OSError:  # a full buffer, or what ICMP said of an earlier packet; the next frame is 20 ms away
            self.send_errors += 1
            return
        self.packets_sent += 1
        if self._marked:
            self._marked = False
            self.packet[1] = self._kind

    def skip(self, frames: int) -> None:
        """Frames whose time has passed unsent: the playback moves on without them."""
        if self._sending:
            self.gaps += frames
        playing = self._playing
        if playing is not None and playing.file is not None:
            missed = min(frames, playing.left)
            playing.left -= missed
            playing.offset = (playing.offset + missed * FRAME_BYTES) % len(playing.file.frames)

    def _fill(self, now: float) -> None:
        playing = self._playing
        if playing is None or not playing.left:
            playing = self._turn(now)
        if playing is None or playing.file is None:
            return
        frames = playing.file.frames
        start = playing.offset
        end = start + FRAME_BYTES
        self.packet[HEADER_BYTES:] = frames[start:end]
        playing.offset = end if end < len(frames) else 0
        playing.left -= 1

    def _turn(self, now: float) -> Playback | None:
        """The last frame's 20 ms are over: the playback has finished, the next one begins, or silence does."""
        if self._playing is not None:
            self._finished(self._playing.playback_id, now, "")
        self._playing = self._queue.popleft() if self._queue else None
        if self._playing is None:
            self._fall_silent()
        else:
            self._started(self._playing.playback_id, now)
        return self._playing

    def _fall_silent(self) -> None:
        self.packet[HEADER_BYTES:] = bytes([g711.SILENCE[self._codec]]) * FRAME_BYTES
