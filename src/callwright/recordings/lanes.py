"""Which of the recordings that wait is next; pure.

Every sub-account has a lane of its own. A lane whose target answered last time may have several recordings on the way;
one that was not tried yet, or failed, has one. Lanes that fail are counted apart: targets that hang fill only the room
that is kept for them, and nobody else waits.
"""

import heapq
from dataclasses import dataclass, field, replace
from typing import Final

MOST_PER_TARGET: Final = 4
MOST_ON_THE_WAY: Final = 16
"""Recordings on the way to targets that answered last time, or were not tried yet."""
MOST_TO_FAILING: Final = 8
"""Recordings on the way to targets that failed last time."""


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A recording that is to be uploaded."""

    due_at: float
    recording_id: str
    session_id: str = field(compare=False)
    sub_account_id: str = field(compare=False)
    started_at: float = field(compare=False)
    duration_seconds: float = field(compare=False)
    tries: int = field(compare=False, default=0)
    "so far"


@dataclass(slots=True)
class _Lane:
    waiting: list[Waiting] = field(default_factory=list)
    "a heap"
    on_the_way: int = 0
    sound: bool | None = None
    "arrived the last time; None: not tried yet"


class Lanes:
    """Everything that waits, by sub-account."""

    def __init__(
        self,
        *,
        most_per_target: int = MOST_PER_TARGET,
        most_on_the_way: int = MOST_ON_THE_WAY,
        most_to_failing: int = MOST_TO_FAILING,
    ) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._most_per_target = most_per_target
        self._most = {False: most_on_the_way, True: most_to_failing}

    def add(self, waiting: Waiting) -> None:
        """Something waits, or waits again."""
        heapq.heappush(self._lanes.setdefault(waiting.sub_account_id, _Lane()).waiting, waiting)

    def take(self, now: float) -> list[Waiting]:
        """What is to be begun now; each is on the way until `back`. Of the lanes, the one that waits longest first."""
        spare = {failing: most - self._on_the_way(failing=failing) for failing, most in self._most.items()}
        taken: list[Waiting] = []
        for lane in sorted((lane for lane in self._lanes.values() if lane.waiting), key=lambda lane: lane.waiting[0]):
            failing = lane.sound is False
            most = min((self._most_per_target if lane.sound else 1) - lane.on_the_way, spare[failing])
            while most > 0 and lane.waiting and lane.waiting[0].due_at <= now:
                taken.append(heapq.heappop(lane.waiting))
                lane.on_the_way += 1
                spare[failing] -= 1
                most -= 1
        return taken

    def back(self, sub_account_id: str, *, sound: bool) -> None:
        """One that was on the way is not any more; whether its target took it."""
        lane = self._lanes[sub_account_id]
        lane.on_the_way -= 1
        lane.sound = sound
        if not lane.on_the_way and not lane.waiting:
            del self._lanes[sub_account_id]

    def hasten(self, sub_account_id: str, now: float) -> None:
        """The sub-account's target is another one: everything in its lane is due."""
        lane = self._lanes.get(sub_account_id)
        if lane is not None:
            lane.sound = None
            lane.waiting = [replace(waiting, due_at=min(now, waiting.due_at)) for waiting in lane.waiting]
            heapq.heapify(lane.waiting)

    def next_at(self, now: float) -> float:
        """When the next one becomes due, or infinity. What is due already waits for room, which `back` makes."""
        heads = (lane.waiting[0].due_at for lane in self._lanes.values() if lane.waiting)
        return min((due_at for due_at in heads if due_at > now), default=float("inf"))

    def _on_the_way(self, *, failing: bool) -> int:
        return sum(lane.on_the_way for lane in self._lanes.values() if (lane.sound is False) is failing)
