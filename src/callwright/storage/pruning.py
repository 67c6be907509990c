"""What need not be kept for ever is taken away, once an hour and a little at a time, by every process that runs.

Events go after ten days: nothing waits for its webhook for longer, so whatever is on its way can be listed. Answers to
requests with an Idempotency-Key go after three days, and secrets when they have expired.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol

from callwright.errors import StorageError
from callwright.telemetry.clock import Clock

DAY: Final = 86_400.0
EVENTS_KEPT_SECONDS: Final = 10 * DAY
LOOK_SECONDS: Final = 3_600.0

_log = logging.getLogger(__name__)


class Pruned(Protocol):
    """What is asked of the store; each takes a bounded number away and says how many."""

    async def take_old_events_away(self, before: float) -> int: ...
    async def forget_old_answers(self) -> int: ...
    async def forget_expired_secrets(self) -> int: ...


async def keep_pruned(
    store: Pruned, clock: Clock, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Take away what is old, again and again, until cancelled."""
    while True:
        try:
            while await store.take_old_events_away(clock() - EVENTS_KEPT_SECONDS):
                await sleep(0)
            while await store.forget_old_answers():
                await sleep(0)
            await store.forget_expired_secrets()
        except StorageError as error:
            _log.warning("what is old is taken away later: %s", error)
        await sleep(LOOK_SECONDS)


@asynccontextmanager
async def pruned(store: Pruned, clock: Clock) -> AsyncIterator[None]:
    """Have it done beside everything else."""
    task = asyncio.create_task(keep_pruned(store, clock), name="pruning")
    task.add_done_callback(_report)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _report(task: "asyncio.Task[None]") -> None:
    """Say aloud what nobody waits for."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("what is old is taken away no more", exc_info=error)
