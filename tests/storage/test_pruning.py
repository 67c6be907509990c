"""What is old goes by itself, a little at a time, and on a bad day later."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import pytest

from callwright.callflow.plan import Callflow
from callwright.callflow.summary import SessionSummary
from callwright.errors import StorageUnavailable
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.pruning import EVENTS_KEPT_SECONDS, LOOK_SECONDS, keep_pruned
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace


class Clock(Protocol):
    now: float

    def __call__(self) -> float: ...


class EnoughError(Exception):
    """The test has seen enough."""


class Naps:
    """A sleep that moves the clock, and ends the test after some hours."""

    def __init__(self, clock: Clock, hours: int) -> None:
        self._clock = clock
        self._hours = hours

    async def __call__(self, seconds: float) -> None:
        await asyncio.sleep(0)
        if seconds == LOOK_SECONDS:
            self._hours -= 1
            if not self._hours:
                raise EnoughError
        self._clock.now += seconds


async def test_events_answers_and_secrets_go_when_their_time_is_over(
    store: Store, flow: Callflow, summary_of: Callable[[str], SessionSummary], clock: Clock
) -> None:
    began = clock.now
    await store.accept_session("s1", "riders_hq", flow, clock(), KeptAnswer("riders_hq", "k", "d", 200, b"{}", "s1"))
    await store.finish_session(summary_of("s1"), b"{}", Trace("s1"), clock())
    await store.put_webhook("riders_hq", WebhookKind.VSS, "https://hooks.example.com/", None)
    await store.rotate_secret("riders_hq", WebhookKind.VSS, 60)
    clock.now = began + EVENTS_KEPT_SECONDS - LOOK_SECONDS
    with pytest.raises(EnoughError):
        await keep_pruned(store, clock, sleep=Naps(clock, hours=1))
    assert len(await store.events_after("riders_hq", 0, 10)) == 1
    assert await store.forget_old_answers() == 0  # gone already
    assert await store.forget_expired_secrets() == 0  # likewise
    with pytest.raises(EnoughError):
        await keep_pruned(store, clock, sleep=Naps(clock, hours=3))
    assert await store.events_after("riders_hq", 0, 10) == ()
    assert len(await store.endpoint_secrets("riders_hq", WebhookKind.VSS)) == 1


class AwayAtFirst:
    """A database that comes back."""

    def __init__(self) -> None:
        self.asked = 0
        self.left = 3

    async def take_old_events_away(self, before: float) -> int:
        self.asked += 1
        if self.asked == 1:
            raise StorageUnavailable("the database is away")
        self.left -= 1
        return self.left

    async def forget_old_answers(self) -> int:
        return 0

    async def forget_expired_secrets(self) -> int:
        return 0


async def test_a_database_that_is_away_is_asked_again_in_an_hour(clock: Clock) -> None:
    away = AwayAtFirst()
    with pytest.raises(EnoughError):
        await keep_pruned(away, clock, sleep=Naps(clock, hours=2))
    assert (away.asked, away.left) == (4, 0)
