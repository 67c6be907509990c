"""Until when the request that is being answered may wait for the database, all its questions together.

Each wait has a limit of its own (transactions.py); a request that asks three things one after the other would wait for
three of them. Who answers a request says `within`, and what its task asks then is refused when that time is over. It
holds for that task alone: what a request sets going beside itself (a session, a look at all keys) goes on by itself.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from callwright.errors import StorageUnavailable

T = TypeVar("T")

FOR_EVER: Final = float("inf")


@dataclass(slots=True)
class _Wait:
    task: "asyncio.Task[Any] | None"
    until: float


_wait: ContextVar[_Wait | None] = ContextVar("callwright_time_left", default=None)


@contextmanager
def within(until: float) -> Iterator[None]:
    """What this task asks of the database meanwhile is answered or refused by then, on the loop's clock.

    Once for a task at a time. What was set going meanwhile carries the wait in its context for as long as it runs, so
    the wait lets go of the task here; it is not taken out of the context, which is another one when a task that nobody
    waits for any more is thrown away.
    """
    wait = _Wait(asyncio.current_task(), until)
    _wait.set(wait)
    try:
        yield
    finally:
        wait.task = None


def until() -> float:
    """When this task must have its answer, on the loop's clock; infinite when nobody set a time."""
    wait = _mine()
    return FOR_EVER if wait is None else wait.until


def prolong(seconds: float) -> None:
    """So long this task waited for somebody else, such as its client."""
    wait = _mine()
    if wait is not None:
        wait.until += seconds


def shared(work: Callable[[], Coroutine[Any, Any, T]]) -> "asyncio.Task[T]":
    """A task for `work` that may wait for as long as this one."""
    until_then = until()

    async def run() -> T:
        with within(until_then):
            return await work()

    return asyncio.create_task(run())


async def in_time(task: "asyncio.Task[T]") -> T:
    """What a task that belongs to others gives; StorageUnavailable when this one can wait no longer."""
    left = until() - asyncio.get_running_loop().time()
    await asyncio.wait([task], timeout=None if left == FOR_EVER else max(0.0, left))
    if not task.done():
        raise kept_waiting()
    return task.result()


def kept_waiting() -> StorageUnavailable:
    """The error for those whose time is over."""
    return StorageUnavailable("the database has kept waiting for too long")


def _mine() -> _Wait | None:
    wait = _wait.get()
    return wait if wait is not None and wait.task is asyncio.current_task() else None
