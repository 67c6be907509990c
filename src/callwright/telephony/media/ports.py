"""Which RTP ports are free: even numbers, with RTCP on the odd one above (RFC 3550 §11).

Ports are taken in random order, so that nobody off the path can guess where a call listens, and rest after use, so
that late packets of one call do not reach the next.
"""

from collections import deque
from collections.abc import Callable

REST_SECONDS = 30.0


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
