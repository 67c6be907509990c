"""Virtual time, and whose turn it is: processes with a loop of their own, and everything outside of them.

All that happens is a callback at a virtual time. Time jumps from one to the next. When several processes could go on,
one is drawn by lot, and it does a single step: so every interleaving of them is possible, and so is an end between any
two steps of each.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulation.loop import ProcessLoop
from simulation.story import Story

BEGINNING = 1_767_225_600.0
"""1 January 2026, unix seconds: when every simulation begins."""
MOST_STEPS = 400_000
"""Of all loops together in one simulation; more means that something goes round in circles."""


class Circles(Exception):
    """Nothing comes to an end."""


@dataclass(slots=True)
class Entry:
    """Something that will happen outside of all processes."""

    callback: Callable[..., object]
    arguments: tuple[object, ...]
    cancelled: bool = False


@dataclass(slots=True)
class World:
    """One simulation's time, lots and faults."""

    seed: str
    story: Story
    now: float = BEGINNING
    steps: int = 0
    enough: bool = False
    "something is wrong already; what follows is of no interest"
    loops: list[ProcessLoop] = field(default_factory=list)
    before_step: Callable[[ProcessLoop], None] = lambda _: None
    "may kill the process whose turn it is"
    _agenda: list[tuple[float, int, Entry]] = field(default_factory=list)
    _count: int = 0
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = self.lots("turns")

    def clock(self) -> float:
        """Platform time."""
        return self.now

    def lots(self, purpose: str) -> random.Random:
        """A source of chance of its own, so that one part's draws do not move another's."""
        return random.Random(f"{self.seed}/{purpose}")

    def at(self, when: float, callback: Callable[..., object], *arguments: object) -> Entry:
        """Have something happen outside of all processes."""
        entry = Entry(callback, arguments)
        self._count += 1
        heapq.heappush(self._agenda, (max(when, self.now), self._count, entry))
        return entry

    def after(self, seconds: float, callback: Callable[..., object], *arguments: object) -> Entry:
        """Likewise, from now on."""
        return self.at(self.now + seconds, callback, *arguments)

    def tell(self, who: str, what: str) -> None:
        """A line of the story, if somebody wants to read it."""
        self.story.tell(self.now, who, what)

    def run(self, until: float, done: Callable[[], bool]) -> bool:
        """Let things happen until `done` says so, asked whenever time moves on; False when `until` came first."""
        while True:
            if len(self.loops) == 1 and self.loops[0].goes_on and not self._is_due():
                self._take_step(self.loops[0])  # nobody else could, and time stands still
                continue
            at = self._next_at()
            if at > self.now:
                if self.enough or done():
                    return True
                if at > until:
                    self.now = until
                    return False
                self.now = at
            if self._is_due():
                entry = heapq.heappop(self._agenda)[2]
                if not entry.cancelled:
                    entry.callback(*entry.arguments)
            else:
                self._step()

    def _next_at(self) -> float:
        times = [at for loop in self.loops if (at := loop.next_at) is not None]
        while self._agenda and self._agenda[0][2].cancelled:
            heapq.heappop(self._agenda)
        if self._agenda:
            times.append(self._agenda[0][0])
        return min(times, default=float("inf"))

    def _step(self) -> None:
        ready = [loop for loop in self.loops if (at := loop.next_at) is not None and at <= self.now]
        self._take_step(ready[0] if len(ready) == 1 else self._chance.choice(ready))

    def _is_due(self) -> bool:
        return bool(self._agenda) and self._agenda[0][0] <= self.now

    def _take_step(self, loop: ProcessLoop) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Circles(f"{MOST_STEPS} steps, and no end at {self.now - BEGINNING:.3f} s")
        self.before_step(loop)
        if not loop.dead:
            loop.step()
