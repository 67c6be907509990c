"""How many calls a trunk takes: so many at a time, so many new ones a second. The rest waits, first come first served.

`admit` returns when the call may be dialled, and raises TrunksFull when it would have to wait behind too many, or has
waited too long. Every admitted call leaves once.
"""

import asyncio
from collections import OrderedDict

from callwright.errors import TrunksFull
from callwright.telemetry.clock import Clock

MOST_WAITING = 1_000
LONGEST_WAIT_SECONDS = 30.0


class Admission:
    """One trunk's door. Made anywhere; used on one running loop."""

    def __init__(
        self,
        name: str,
        most_calls: int,
        calls_per_second: int,
        clock: Clock,
        *,
        most_waiting: int = MOST_WAITING,
        longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        """0 is no limit."""
        self._name = name
        self._most_calls = most_calls
        self._rate = calls_per_second
        self._clock = clock
        self._most_waiting = most_waiting
        self._longest_wait_seconds = longest_wait_seconds
        self._waiting: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._free_at = 0.0  # when the next call may start, by the rate
        self._timer: asyncio.TimerHandle | None = None
        self.calls = 0
        "admitted and not left yet"

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._waiting)

    def limit(self, most_calls: int, calls_per_second: int) -> None:
        """Other limits hold from now on; calls that are admitted stay so."""
        self._most_calls, self._rate = most_calls, calls_per_second
        if not calls_per_second:
            self._free_at = 0.0
        self._let_in()

    def enter_at_once(self) -> bool:
        """Whether the call may go now; it does not overtake those that wait."""
        if self._waiting or not self._has_room():
            return False
        self._take()
        return True

    async def enter(self, key: str) -> None:
        """Wait for the turn of the call `key`; TrunksFull when it does not come."""
        if self.enter_at_once():
            return
        if len(self._waiting) >= self._most_waiting:
            raise TrunksFull(f"trunk {self._name} is full, and {len(self._waiting)} calls wait for it already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = turn
        self._arm()
        try:
            async with asyncio.timeout(self._longest_wait_seconds):
                await turn
        except asyncio.CancelledError:
            if _is_granted(turn):
                self.leave()
            raise
        except TimeoutError:
            if _is_granted(turn):
                return
            text = f"trunk {self._name} had no room for the call within {self._longest_wait_seconds:g} s"
            raise TrunksFull(text) from None
        finally:
            if self._waiting.get(key) is turn:
                del self._waiting[key]

    def withdraw(self, key: str) -> None:
        """The call `key` is not wanted any more; a wait for it ends with TrunksFull."""
        turn = self._waiting.pop(key, None)
        if turn is not None and not turn.done():
            turn.set_exception(TrunksFull(f"it waited for room on trunk {self._name}"))

    def leave(self) -> None:
        """A call that was admitted is over."""
        self.calls -= 1
        self._let_in()

    def _has_room(self) -> bool:
        return not (self._most_calls and self.calls >= self._most_calls) and self._clock() >= self._free_at

    def _take(self) -> None:
        self.calls += 1
        if self._rate:
            self._free_at = max(self._free_at, self._clock() - 1.0 / self._rate) + 1.0 / self._rate

    def _let_in(self) -> None:
        while self._waiting and self._has_room():
            _, turn = self._waiting.popitem(last=False)
            if not turn.done():
                self._take()
                turn.set_result(None)
        self._arm()

    def _arm(self) -> None:
        """Look again when the rate allows the next call; a full trunk looks again when a call leaves."""
        wait = self._free_at - self._clock()
        if self._timer is None and self._waiting and wait > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._let_in()


def _is_granted(turn: asyncio.Future[None]) -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None
