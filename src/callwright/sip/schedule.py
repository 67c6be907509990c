"""Which of many things is due next: one heap of deadlines, O(log n) per change, for all calls of a user agent.

An entry is not searched for when its deadline moves. A later deadline leaves the entry where it is, and it is put back
when it surfaces; an earlier one adds an entry. An entry that no longer counts lets go of its thing at once: what is
over must not stay in memory until a time that meant something once. When most entries are such, they are thrown out.
"""

import heapq
from typing import Final, Protocol

FEW: Final = 64
"""So many entries that no longer count are not worth a look at the whole heap."""


class Entry:
    """A deadline in the heap."""

    __slots__ = ("at", "timed")

    def __init__(self, at: float, timed: "Timed") -> None:
        self.at = at
        self.timed: Timed | None = timed  # None: it no longer counts


class Timed(Protocol):
    """Something that wants `tick` at `deadline`. `scheduled` belongs to the schedule."""

    scheduled: Entry | None

    @property
    def deadline(self) -> float | None:
        """When it wants `tick`; None when it waits for nothing."""

    def tick(self, now: float) -> None:
        """Its deadline was reached; it must move its deadline behind `now` or drop it."""


class Schedule:
    """All deadlines of one user agent."""

    __slots__ = ("_count", "_heap", "_void")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._count = 0  # makes entries of the same time comparable, first come first
        self._void = 0  # entries that no longer count

    def __len__(self) -> int:
        """How many entries there are, those that no longer count included."""
        return len(self._heap)

    def note(self, timed: Timed) -> None:
        """Take up the deadline of `timed`; call it after whatever may have moved it or dropped it."""
        at, entry = timed.deadline, timed.scheduled
        if entry is not None:
            if at is not None and entry.at <= at:
                return
            entry.timed = timed.scheduled = None
            self._void += 1
            if self._void > max(FEW, len(self._heap) // 2):
                self._sweep()
        if at is not None:
            timed.scheduled = entry = Entry(at, timed)
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, entry))

    @property
    def deadline(self) -> float | None:
        """The earliest deadline; None when nothing waits."""
        heap = self._heap
        while heap:
            at, _, entry = heap[0]
            if entry.timed is not None and entry.timed.deadline == at:
                return at
            timed = self._pop()
            if timed is not None:
                self.note(timed)
        return None

    def tick(self, now: float) -> None:
        """Let everything tick whose deadline is reached."""
        while (at := self.deadline) is not None and at <= now:
            timed = self._pop()
            if timed is not None:
                timed.tick(now)
                self.note(timed)

    def _pop(self) -> Timed | None:
        """Take the first entry out; what it was for, None when it no longer counted."""
        entry = heapq.heappop(self._heap)[2]
        timed, entry.timed = entry.timed, None
        if timed is None:
            self._void -= 1
        else:
            timed.scheduled = None
        return timed

    def _sweep(self) -> None:
        """Throw out what no longer counts."""
        self._heap[:] = [one for one in self._heap if one[2].timed is not None]  # in place: `deadline` looks at it
        heapq.heapify(self._heap)
        self._void = 0
