"""The fast lane: calls of one slot whose packets leave together.

A packet is two pieces of memory: its header, a row of an array that is counted on for all calls at once, and its
payload, which stays where it is mapped in the prompt's file; only the pointer moves on. So a frame of a thousand calls
is a handful of additions and one system call per local port. Python is asked only when a call's run of frames is over:
a playback ends, begins, or begins again.

Rows stay where they are: the kernel is handed their addresses. Memory that no call ever needed is never touched.
"""

import heapq
from typing import Final, Protocol

import numpy as np

from callwright.telephony.media.framing import FAST_FRAME_BYTES
from callwright.telephony.media.wire import NAME_BYTES, VECTOR_BYTES, Batch

MOST_FRAMES_AT_ONCE: Final = 2
"""The frame that is due and one caught up."""
MOST_ROWS: Final = 16_384
ENDLESS: Final = 1 << 62
"""Frames of a run that goes on until something changes."""
HEADER_BYTES: Final = 12
MARKER: Final = 0x80
_HEADER: Final = np.dtype([("flags", "u1"), ("kind", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")])


class Run(Protocol):
    """A call as its slot sees it."""

    def turn(self, now: float) -> None:
        """The run that was shown is over, and the next frame is due: show another one."""

    def turn_late(self, skipped: int) -> None:
        """So many frames are skipped, and the run does not hold as many: show what comes after them."""


class Seat:
    """One call's row, from taking it until `leave`."""

    __slots__ = ("_batch", "_row", "_slot", "run")

    def __init__(self, slot: "Slot", row: int, run: Run, batch: Batch | None) -> None:
        self.run = run
        self._slot = slot
        self._row = row
        self._batch = batch

    def show(self, address: int, stride: int, frames: int) -> None:
        """Send the payload at `address` next, then the one `stride` bytes further on, until `frames` have left."""
        slot, row = self._slot, self._row
        slot.vectors[row, 1, 0] = address
        slot.strides[row] = stride
        slot.left[row] = frames

    @property
    def left(self) -> int:
        """Frames that the run has left."""
        return int(self._slot.left[self._row])

    @property
    def place(self) -> tuple[int, int]:
        """Sequence number and timestamp of the next frame."""
        header = self._slot.headers[self._row]
        return int(header["sequence"]), int(header["timestamp"])

    @property
    def packets_sent(self) -> int:
        """Since the seat was taken."""
        slot, row = self._slot, self._row
        return int(slot.sent[row]) - int(slot.refused[row])

    @property
    def send_errors(self) -> int:
        """Packets that the system refused, likewise."""
        return int(self._slot.refused[self._row])

    @property
    def gaps(self) -> int:
        """Frames that were skipped for being late, likewise."""
        return int(self._slot.missed[self._row])

    def leave(self) -> None:
        """Send nothing more; nothing here is to be asked afterwards."""
        self._slot.free(self._row, self._batch)


class Slot:
    """Calls whose frames leave in the same tick."""

    def __init__(self, last_due: float = 0.0) -> None:
        """`last_due`: when the slot ran last, or would have."""
        self.last_due = last_due
        self.runs = 0
        self.calls = 0
        "that keep this slot's schedule, those that send by themselves included; whoever puts them here counts"
        self.headers = np.zeros(MOST_ROWS, dtype=_HEADER)
        self.vectors = np.zeros((MOST_ROWS, 2, 2), dtype=np.uint64)
        self.strides = np.zeros(MOST_ROWS, dtype=np.uint64)
        self.left = np.zeros(MOST_ROWS, dtype=np.int64)
        self.sent = np.zeros(MOST_ROWS, dtype=np.uint32)
        self.refused = np.zeros(MOST_ROWS, dtype=np.uint32)
        self.missed = np.zeros(MOST_ROWS, dtype=np.uint32)
        self._steps = np.zeros(MOST_ROWS, dtype=np.uint16)
        "1 where packets are sent: they are what sequence numbers count; timestamps run on regardless"
        self._ticks = np.zeros(MOST_ROWS, dtype=np.uint32)
        self._names = np.zeros((MOST_ROWS, NAME_BYTES), dtype=np.uint8)
        self._headers_at = self.headers.ctypes.data
        self._vectors_at = self.vectors.ctypes.data
        self._names_at = self._names.ctypes.data
        self._used = 0
        "rows in use are below"
        self._unused: list[int] = []
        self._seats: dict[int, Seat] = {}
        self._batches: dict[int, Batch] = {}
        self._marked: list[int] = []
        "rows whose next packet carries the marker"

    @property
    def is_full(self) -> bool:
        """No further call can be seated."""
        return not self._unused and self._used == MOST_ROWS

    def seat(
        self,
        run: Run,
        place: tuple[int, int],
        ssrc: int,
        kind: int,
        ticks: int,
        descriptor: int | None,
        name: bytes,
    ) -> Seat:
        """Put a call here; it is asked for its first run by `show`, before anything else happens.

        `place` is sequence number and timestamp of the next packet, `kind` its marker and payload type, `ticks` what a
        frame counts on the RTP clock. Packets leave through the socket `descriptor` to `name`, which is empty when the
        socket is connected; None while the call only listens. IndexError when the slot is full.
        """
        row = heapq.heappop(self._unused) if self._unused else self._used
        if row == MOST_ROWS:
            raise IndexError("the slot is full")
        self._used = max(self._used, row + 1)
        self.headers[row] = (0x80, kind, *place, ssrc)
        vectors = self.vectors[row]
        vectors[0] = (self._headers_at + HEADER_BYTES * row, HEADER_BYTES)
        vectors[1] = (0, FAST_FRAME_BYTES)
        self.strides[row] = self.sent[row] = self.refused[row] = self.missed[row] = 0
        self.left[row] = ENDLESS
        self._ticks[row] = ticks
        batch = None
        if descriptor is not None:
            self._steps[row] = 1
            self._names[row, : len(name)] = np.frombuffer(name, dtype=np.uint8)
            batch = self._batches.get(descriptor)
            if batch is None:
                batch = self._batches[descriptor] = Batch(descriptor)
            batch.add(
                row,
                self._vectors_at + VECTOR_BYTES * row,
                self._names_at + NAME_BYTES * row,
                len(name),
            )
            if kind & MARKER:
                self._marked.append(row)
        seat = self._seats[row] = Seat(self, row, run, batch)
        return seat

    def free(self, row: int, batch: Batch | None) -> None:
        """The row is nobody's any more."""
        if batch is not None:
            batch.remove(row)
            if not batch:
                del self._batches[batch.descriptor]
        if row in self._marked:
            self._marked.remove(row)
        self._steps[row] = self.strides[row] = 0
        self.left[row] = ENDLESS
        del self._seats[row]
        heapq.heappush(self._unused, row)

    def run(self, frames: int, due: float, now: float) -> None:
        """Send what is due: `frames` is how many became due, 1 when all is well; `due` is when the last of them did."""
        self.last_due = due
        self.runs += 1
        if not self._seats:
            return
        skipped = frames - MOST_FRAMES_AT_ONCE
        if skipped > 0:
            self._skip(skipped)
            frames = MOST_FRAMES_AT_ONCE
        for _ in range(frames):
            self._send(now)

    def _send(self, now: float) -> None:
        used = self._used
        for row in np.flatnonzero(self.left[:used] == 0).tolist():
            self._seats[row].run.turn(now)
        refused: list[int] = []
        for batch in self._batches.values():
            refused += batch.send()
        if refused:
            self.refused[refused] += np.uint32(1)
        if self._marked:
            for row in set(self._marked).difference(refused):
                self.headers["kind"][row] &= MARKER - 1
            self._marked = [row for row in self._marked if row in refused]
        self.sent[:used] += self._steps[:used]
        self._count_on(1)

    def _skip(self, frames: int) -> None:
        """Frames whose time has passed unsent: numbers and playbacks move on without them."""
        used = self._used
        short = np.flatnonzero(self.left[:used] < frames).tolist()
        for row in short:
            self._seats[row].run.turn_late(frames)
            self.left[row] += frames  # which are taken off below
            self.vectors[row, 1, 0] -= self.strides[row] * np.uint64(frames)
        self.missed[:used] += self._steps[:used] * np.uint32(frames)
        self._count_on(frames)

    def _count_on(self, frames: int) -> None:
        used = self._used
        self.headers["sequence"][:used] += self._steps[:used] * np.uint16(frames & 0xFFFF)
        self.headers["timestamp"][:used] += self._ticks[:used] * np.uint32(frames & 0xFFFF_FFFF)
        self.vectors[:used, 1, 0] += self.strides[:used] * np.uint64(frames)
        self.left[:used] -= frames
