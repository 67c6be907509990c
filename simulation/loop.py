"""The event loop of one virtual process: asyncio's tasks and futures in virtual time, one callback at a time.

What a real loop promises is kept: callbacks of one loop run in the order in which they were scheduled, what arrives
from outside comes before timers that are due at the same time, and timers come in the order of their times. What a real
loop leaves open is drawn by lot: how late things arrive, and in which order those of different sources are noticed.
"""

import asyncio
import heapq
import random
from asyncio import _set_running_loop as set_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

MOST_LAST_STEPS = 20_000
"""Of a loop that is being buried."""


class Callback(asyncio.Handle):
    """Something to do at the next turn."""

    def run(self) -> None:
        """Do it; what it raises goes to the loop's `call_exception_handler`."""
        if not self.cancelled():
            self._run()


class Timer(asyncio.TimerHandle):
    """Something to do at a time."""

    def run(self) -> None:
        """Do it."""
        if not self.cancelled():
            self._run()


class NothingListens(asyncio.AbstractServer):
    """A server for connections on a machine to which nobody connects."""

    def close(self) -> None:
        """It was never open."""

    async def wait_closed(self) -> None:
        """Likewise."""

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The one that runs."""
        return asyncio.get_running_loop()

    def is_serving(self) -> bool:
        """Never."""
        return False

    async def start_serving(self) -> None:
        """Nobody connects."""

    async def serve_forever(self) -> None:
        """Nobody connects."""


class ProcessLoop(asyncio.AbstractEventLoop):
    """One process's loop. `World` says when it runs; nothing here looks at a real clock."""

    def __init__(
        self, clock: Callable[[], float], chance: random.Random, fault: Callable[[str, BaseException | None], None]
    ) -> None:
        """`fault` is told what went wrong where nobody caught it."""
        self.dead = False
        self._clock = clock
        self._chance = chance
        self._fault = fault
        self._turns: deque[Callback | Timer] = deque()
        self._alarms: list[tuple[float, int, Timer]] = []
        self._arrivals: list[tuple[float, int, str, Callback]] = []
        self._count = 0
        self.paused_until = 0.0
        "the whole process stands still until then, as on a machine that is short of something"
        self.steps = 0

    # --- for the world -----------------------------------------------------------------------------------------------

    @property
    def goes_on(self) -> bool:
        """Whether there is something to do now, at once."""
        return bool(self._turns) and self.paused_until <= self._clock()

    @property
    def next_at(self) -> float | None:
        """When something is to be done; None when nothing will happen by itself."""
        if self._turns:
            at = self._clock()
        elif self._alarms and (not self._arrivals or self._alarms[0][0] <= self._arrivals[0][0]):
            at = self._alarms[0][0]
        elif self._arrivals:
            at = self._arrivals[0][0]
        else:
            return None
        return max(at, self.paused_until)

    def arrive(self, at: float, channel: str, callback: Callable[..., object], *arguments: object) -> None:
        """Something comes from outside at `at`: a datagram, an answer. What comes by one channel keeps its order."""
        if not self.dead:
            self._count += 1
            handle = Callback(callback, arguments, self)
            heapq.heappush(self._arrivals, (at, self._count, channel, handle))

    def step(self) -> None:
        """Run one callback that is due now, if there is one."""
        if not self._turns:
            self._look()
        if self._turns:
            self.steps += 1
            set_running_loop(self)
            try:
                self._turns.popleft().run()
            finally:
                set_running_loop(None)

    def bury(self) -> None:
        """The process is gone. Its tasks are unwound without touching anything, as they are of no more interest."""
        self.dead = True
        self._arrivals.clear()
        for task in sorted(asyncio.all_tasks(self), key=lambda task: task.get_name()):
            task.cancel()
        for _ in range(MOST_LAST_STEPS):
            if not self._turns:
                break
            self.step()
        self._alarms.clear()

    def _look(self) -> None:
        """Take up what arrived, then what is due: the order of every real loop."""
        now = self._clock()
        arrived = []
        while self._arrivals and self._arrivals[0][0] <= now:
            arrived.append(heapq.heappop(self._arrivals))
        if len(arrived) > 1:
            channels = [channel for _, _, channel, _ in arrived]
            self._chance.shuffle(channels)
            waiting: dict[str, deque[Callback]] = {}
            for _, _, channel, callback in arrived:
                waiting.setdefault(channel, deque()).append(callback)
            self._turns.extend(waiting[channel].popleft() for channel in channels)
        elif arrived:
            self._turns.append(arrived[0][3])
        while self._alarms and self._alarms[0][0] <= now:
            timer = heapq.heappop(self._alarms)[2]
            if not timer.cancelled():
                self._turns.append(timer)

    # --- for asyncio -------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds."""
        return self._clock()

    def call_soon(self, callback: Callable[..., object], *args: object, context: Context | None = None) -> Callback:
        """At the next turn."""
        handle = Callback(callback, args, self, context)
        self._turns.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Timer:
        """In `delay` seconds."""
        return self.call_at(self._clock() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Timer:
        """At `when`."""
        timer = Timer(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._alarms, (when, self._count, timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]  # likewise
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """A task of this loop; its name tells when it was made."""
        self._count += 1
        return asyncio.Task(coro, loop=self, name=name or f"task {self._count:09}", context=context)

    async def create_server(self, *_: object, **__: object) -> asyncio.AbstractServer:  # type: ignore[override]  # likewise
        """Nobody connects."""
        return NothingListens()

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: object) -> None:
        """Sockets here are `network.VirtualSocket`; they say themselves when there is something to read."""
        fd.readable = lambda at: self.arrive(at, "udp", callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        """No more."""
        fd.readable = None
        return True

    async def run_in_executor(self, _executor: Any, func: Callable[..., T], *args: Any) -> T:  # type: ignore[override]  # likewise
        """At once: what is given to threads here touches nothing that others see."""
        return func(*args)

    def is_running(self) -> bool:
        """As far as tasks can tell."""
        return not self.dead

    def is_closed(self) -> bool:
        """Once it is buried."""
        return self.dead

    def get_debug(self) -> bool:
        """No debugging: it looks at the real clock."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody caught is a mistake of ours, unless the process is gone."""
        if not self.dead:
            self._fault(str(context.get("message")), context.get("exception"))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when their time comes."""
