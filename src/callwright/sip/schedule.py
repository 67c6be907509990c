"""Which of many things is due next: one heap of deadlines, O(log n) per change, for all calls of a user agent.

An entry is not searched for when its deadline moves. A later deadline leaves the entry where it is, and it is put back
when it surfaces; an earlier one adds an entry, and the old one is thrown away when it surfaces.
"""

import heapq
from typing import Protocol


class Timed(Protocol):
    """Something that wants `tick` at `deadline`. `scheduled` belongs to the schedule."""

    scheduled: float | None

    @property
    def deadline(self) -> float | None:
        """When it wants `tick`; None when it waits for nothing."""

    def tick(self, now: float) -> None:
        """Its deadline was reached; it must move its deadline behind `now` or drop it."""


class Schedule:
    """All deadlines of one user agent."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._count = 0  # makes entries of the same time comparable, first come first

    def note(self, timed: Timed) -> None:
        """Take up the deadline of `timed`; call it after whatever may have moved it."""
        at = timed.deadline
        if at is None or (timed.scheduled is not None and timed.scheduled <= at):
            return
        timed.scheduled = at
        self._push(at, timed)

    @property
    def deadline(self) -> float | None:
        """The earliest deadline; None when nothing waits."""
        heap = self._heap
        while heap:
            at, _, timed = heap[0]
            if timed.scheduled == at and timed.deadline == at:
                return at
            heapq.heappop(heap)
            if timed.scheduled == at:
                timed.scheduled = None
                self.note(timed)
        return None

    def tick(self, now: float) -> None:
        """Let everything tick whose deadline is reached."""
        while (at := self.deadline) is not None and at <= now:
            timed = heapq.heappop(self._heap)[2]
            timed.scheduled = None
            timed.tick(now)
            self.note(timed)

    def _push(self, at: float, timed: Timed) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, timed))
