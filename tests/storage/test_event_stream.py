"""Events are kept in the order in which they were committed, for those who read them, whatever webhooks there are."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest
from sqlalchemy import event

from callwright.callflow.summary import SessionSummary
from callwright.storage.events import MOST_TAKEN_AWAY, EventRange
from callwright.storage.mirror import AGE_SECONDS
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store
from callwright.storage.store_events import FOLLOWED_SECONDS
from callwright.telemetry.trace import Trace

Accept = Callable[[str], Awaitable[None]]
SummaryOf = Callable[[str], SessionSummary]
HOOK = "https://hooks.example.com/"


class Clock(Protocol):
    now: float

    def __call__(self) -> float: ...


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True) -> Store: ...


@pytest.fixture
def finish(store: Store, accept: Accept, summary_of: SummaryOf, clock: Clock) -> Accept:
    async def finish_one(session_id: str) -> None:
        await accept(session_id)
        assert await store.finish_session(summary_of(session_id), b"told", Trace(session_id), clock())

    return finish_one


async def test_a_summary_is_an_event_with_the_id_of_its_delivery_though_nobody_has_a_webhook(
    store: Store, finish: Accept, clock: Clock
) -> None:
    told: list[str] = []
    store.on_event = told.append
    await finish("s1")
    (happened,) = await store.events_after("riders_hq", 0, 10)
    (delivery,) = await store.deliveries_of("s1")
    assert (happened.number, happened.event_id, happened.kind) == (1, delivery.event_id, "VSS")
    assert (happened.session_id, happened.at, happened.body) == ("s1", clock.now, b"told")
    assert told == ["riders_hq"]


async def test_a_second_end_is_no_second_event(
    store: Store, finish: Accept, summary_of: SummaryOf, clock: Clock
) -> None:
    await finish("s1")
    assert not await store.finish_session(summary_of("s1"), b"again", Trace("s1"), clock())
    assert len(await store.events_after("riders_hq", 0, 10)) == 1


async def test_pages_follow_each_other_without_gaps(store: Store, finish: Accept) -> None:
    for number in range(5):
        await finish(f"s{number}")
    first, second = await store.events_after("riders_hq", 0, 3), await store.events_after("riders_hq", 3, 3)
    assert [row.number for row in (*first, *second)] == [1, 2, 3, 4, 5]
    assert await store.events_after("riders_hq", 5, 3) == ()
    assert await store.events_after("other_co", 0, 3) == ()
    assert await store.event_range("riders_hq") == EventRange(newest=5, oldest_kept=1)
    assert await store.event_range("nobody") == EventRange(newest=0, oldest_kept=1)
    assert await store.newest_events(["riders_hq", "nobody"]) == {"riders_hq": 5}


async def test_news_are_written_only_for_those_who_want_them(store: Store, accept: Accept, clock: Clock) -> None:
    await accept("s1")

    async def tell() -> bool:
        return await store.enqueue_event("riders_hq", "s1", WebhookKind.VCS, "evt_1", b"news")

    statements: list[str] = []
    assert not await store.wants_news("riders_hq", WebhookKind.VCS)
    event.listen(store._database.write, "before_cursor_execute", lambda *given: statements.append(str(given[2])))
    assert not await tell()
    assert statements == []
    await store.follow_events("riders_hq")
    assert not await tell()  # nobody to send it to, but somebody reads
    assert [row.kind for row in await store.events_after("riders_hq", 0, 10)] == ["VCS"]
    await store.put_webhook("riders_hq", WebhookKind.VCS, HOOK, None)
    assert await tell()
    assert len(await store.events_after("riders_hq", 0, 10)) == 2
    await store.delete_webhook("riders_hq", WebhookKind.VCS)
    clock.now += FOLLOWED_SECONDS
    assert not await tell()
    assert len(await store.events_after("riders_hq", 0, 10)) == 2


async def test_following_is_written_down_now_and_then_only(store: Store, clock: Clock) -> None:
    await store.follow_events("riders_hq")
    statements: list[str] = []
    event.listen(store._database.write, "before_cursor_execute", lambda *given: statements.append(str(given[2])))
    for _ in range(10):
        await store.follow_events("riders_hq")
    assert statements == []
    clock.now += FOLLOWED_SECONDS / 2
    await store.follow_events("riders_hq")
    clock.now += FOLLOWED_SECONDS / 2
    assert store.is_followed("riders_hq")


async def test_who_follows_by_another_process_is_known_within_seconds(
    store: Store, open_store: OpenStore, clock: Clock
) -> None:
    assert not await store.wants_news("riders_hq", WebhookKind.VCS)
    other = await open_store(exclusive=False)
    await other.follow_events("riders_hq")
    assert not store.may_want_news("riders_hq", WebhookKind.VCS)
    clock.now += AGE_SECONDS + 0.1
    assert store.may_want_news("riders_hq", WebhookKind.VCS)  # it must be asked
    assert await store.wants_news("riders_hq", WebhookKind.VCS)
    assert store.may_want_news("riders_hq", WebhookKind.VCS)


async def test_changes_of_numbers_are_events_for_those_who_follow(store: Store) -> None:
    await store.add_number("riders_hq", "+6531580000")
    assert await store.events_after("riders_hq", 0, 10) == ()
    await store.follow_events("riders_hq")
    await store.remove_number("+6531580000")
    (happened,) = await store.events_after("riders_hq", 0, 10)
    assert (happened.kind, happened.session_id) == ("VNU", None)


async def test_old_events_go_and_numbers_count_on(store: Store, finish: Accept, clock: Clock) -> None:
    await finish("s1")
    clock.now += 100
    await finish("s2")
    assert await store.take_old_events_away(clock.now - 50) == 1
    assert [row.number for row in await store.events_after("riders_hq", 0, 10)] == [2]
    assert await store.event_range("riders_hq") == EventRange(newest=2, oldest_kept=2)
    assert await store.take_old_events_away(clock.now + 1) == 1
    assert await store.event_range("riders_hq") == EventRange(newest=2, oldest_kept=3)
    await finish("s3")
    assert [row.number for row in await store.events_after("riders_hq", 0, 10)] == [3]


async def test_old_events_go_a_thousand_at_a_time(store: Store, clock: Clock) -> None:
    await store.follow_events("riders_hq")
    for number in range(MOST_TAKEN_AWAY + 1):
        await store.enqueue_event("riders_hq", "s1", WebhookKind.VCS, f"evt_{number}", b"{}")
    assert await store.take_old_events_away(clock.now + 1) == MOST_TAKEN_AWAY
    assert await store.take_old_events_away(clock.now + 1) == 1
