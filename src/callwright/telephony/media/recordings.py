"""Recordings on their way to disk: a thread of their own, so that a slow disk never holds a frame up.

The process hands blocks over and goes on; the thread writes them. It computes nothing, so it hardly ever needs the
interpreter. What waits is bounded for each recording: a disk that does not keep up ends the recording, not the call. A
file that was cut off, by a full disk or by the end of the process, is a valid WAV up to there.
"""

import os
import threading
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from callwright.audio import wav

FRAME_BYTES: Final = 4
"""One sample of each of the two channels."""
SAMPLE_RATE: Final = 8_000
MOST_WAITING_BLOCKS: Final = 16
"""Eight seconds of one recording, 256 KB."""
HEADER_EVERY_BLOCKS: Final = 20
"""The header is brought up to date every ten seconds: that much is lost when the process is killed."""
MOST_BYTES: Final = 0xFFFF_FFFF - wav.HEADER_BYTES
TOO_SLOW: Final = "the disk does not keep up"


@dataclass(frozen=True, slots=True)
class Finished:
    """A recording's file is closed, or was never there."""

    stream_id: str
    path: str
    duration_seconds: float
    reason: str
    "why it is not whole; empty when it is"


class Writing:
    """One file. `pushed`, `is_over` and `reason` belong to the process, everything else to the thread."""

    def __init__(self, stream_id: str, path: str, queue: "SimpleQueue[Order]") -> None:
        self.stream_id = stream_id
        self.path = path
        self.pushed = 0
        self.taken = 0
        self.is_over = False
        self._queue = queue
        self._descriptor = -1
        self._written = 0
        self._failure = ""
        queue.put((self, b"", None))

    # For the process

    def push(self, block: bytes) -> None:
        """Have a block written; too many that wait end the recording."""
        if self.is_over:
            return
        if self.pushed - self.taken >= MOST_WAITING_BLOCKS:
            self.end(TOO_SLOW)
            return
        self.pushed += 1
        self._queue.put((self, block, None))

    def end(self, reason: str = "") -> None:
        """Nothing more comes; may be called twice."""
        if not self.is_over:
            self.is_over = True
            self._queue.put((self, b"", reason))

    # For the thread

    def open(self) -> None:
        """Make the file, which must not be there yet; only its owner may read what people say."""
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, self._header(), 0)
        except OSError as error:
            self._failure = f"the recording cannot be written: {error.strerror or error}"

    def write(self, block: bytes) -> None:
        """Add a block, unless something went wrong before."""
        if self._failure:
            return
        if self._written + len(block) > MOST_BYTES:
            self._failure = "the recording is as long as a WAV file can be"
            return
        left = memoryview(block)
        try:
            while left:
                count = os.pwrite(self._descriptor, left, wav.HEADER_BYTES + self._written)
                self._written += count
                left = left[count:]
            if self.taken % HEADER_EVERY_BLOCKS == 0:
                os.pwrite(self._descriptor, self._header(), 0)
        except OSError as error:
            self._failure = f"the recording cannot be written on: {error.strerror or error}"

    def close(self, reason: str) -> Finished:
        """Bring the header up to date and close the file."""
        if self._descriptor >= 0:
            try:
                os.pwrite(self._descriptor, self._header(), 0)
            except OSError as error:
                self._failure = self._failure or f"the recording cannot be finished: {error.strerror or error}"
            os.close(self._descriptor)
        seconds = self._written // FRAME_BYTES / SAMPLE_RATE
        return Finished(self.stream_id, self.path, seconds, self._failure or reason)

    def _header(self) -> bytes:
        return wav.header(self._written - self._written % FRAME_BYTES, SAMPLE_RATE, channels=2)


Order = tuple[Writing, bytes, str | None]
"""Open the file (no block, no reason), write a block, or close it for a reason."""


class Recordings:
    """The thread, started with the first recording. `wakes` becomes readable when `finished` has something."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Order | None] = SimpleQueue()
        self._finished: deque[Finished] = deque()
        self._thread: threading.Thread | None = None
        self.wakes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def begin(self, stream_id: str, path: str) -> Writing:
        """A new recording; what is wrong with its file is told when it is finished."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
            self._thread.start()
        return Writing(stream_id, path, self._queue)  # type: ignore[arg-type]  # SimpleQueue is invariant; None is ours

    def finished(self) -> list[Finished]:
        """What was finished since the last call."""
        try:
            os.eventfd_read(self.wakes)
        except BlockingIOError:
            return []
        return [self._finished.popleft() for _ in range(len(self._finished))]

    def stop(self, limit_seconds: float) -> None:
        """Write what waits, as far as the time goes."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(limit_seconds)

    def _run(self) -> None:
        while (order := self._queue.get()) is not None:
            writing, block, reason = order
            if block:
                writing.taken += 1
                writing.write(block)
            elif reason is None:
                writing.open()
            else:
                self._finished.append(writing.close(reason))
                os.eventfd_write(self.wakes, 1)
