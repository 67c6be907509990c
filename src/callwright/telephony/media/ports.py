"""Which RTP ports are free: even numbers, with RTCP on the odd one above (RFC 3550 §11), and who may share one.

Ports are taken in random order, so that nobody off the path can guess where a call listens, and rest after use, so
that late packets of one call do not reach the next.

Calls that share a port leave in one system call (slot.py); their packets are told apart by where they come from. That
works with peers that give each call an address or port of its own, as carriers do, and not with those that use one for
all, as SIPp does. Which sort is behind a trunk is seen by the first calls over it, which have ports of their own.
"""

from collections import Counter, deque
from collections.abc import Callable

REST_SECONDS = 30.0
SURE_AFTER_CALLS = 32
"""So many calls of one trunk at once, all at different places, say that it has a place for each."""

Place = tuple[str, int]
"""Address and port."""


def pairs_in(ports: range) -> list[int]:
    """The even ports of the range whose upper neighbour lies in it too."""
    return [port for port in ports if port % 2 == 0 and port + 1 in ports]


class PortPairs:
    """The pairs of a range. `randbelow` gives a random number below its argument."""

    def __init__(self, ports: range, randbelow: Callable[[int], int]) -> None:
        self._free = pairs_in(ports)
        self._resting: deque[tuple[float, int]] = deque()
        self._randbelow = randbelow

    def __len__(self) -> int:
        return len(self._free) + len(self._resting)

    def take(self, now: float) -> int | None:
        """A free pair's even port; None when all are in use.

        When only resting ones are left, the longest rested is given early: the source check of the new call holds off
        what is left of the old one, and a refused call would be worse.
        """
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        if self._free:
            index = self._randbelow(len(self._free))
            self._free[index], self._free[-1] = self._free[-1], self._free[index]
            return self._free.pop()
        return self._resting.popleft()[1] if self._resting else None

    def give_back(self, port: int, now: float) -> None:
        """The pair is no longer used; it rests first."""
        self._resting.append((now + REST_SECONDS, port))


class Peers:
    """Where the calls of one trunk have their sound: whether they can be told apart by it."""

    def __init__(self) -> None:
        self._places: Counter[Place] = Counter()
        self._repeated = False
        self._sure = False

    @property
    def differ(self) -> bool:
        """Every call so far had a place of its own, and there were enough of them at once to be sure."""
        return not self._repeated and self._sure

    def join(self, place: Place) -> None:
        """A call's sound goes there."""
        self._places[place] += 1
        self._repeated = self._repeated or self._places[place] > 1
        self._sure = self._sure or len(self._places) >= SURE_AFTER_CALLS

    def leave(self, place: Place) -> None:
        """No longer."""
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
