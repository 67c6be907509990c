"""Best-effort events: written only when somebody wants them and there is room; and who wants what, from memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest
from sqlalchemy import event

from callwright.errors import StorageError
from callwright.storage.mirror import AGE_SECONDS
from callwright.storage.outbox import MOST_DUE_STATUSES
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store

Accept = Callable[[str], Awaitable[None]]
HOOK = "https://hooks.example.com/vcs"


class Clock(Protocol):
    now: float


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True) -> Store: ...


async def send(store: Store, event_id: str = "evt_1", session_id: str = "s1") -> bool:
    return await store.enqueue_event("riders_hq", session_id, WebhookKind.VCS, event_id, b"{}")


async def test_an_event_that_nobody_wants_costs_nothing(store: Store, accept: Accept) -> None:
    await accept("s1")
    assert not await send(store)
    statements: list[str] = []
    for engine in (store._database.read, store._database.write):
        event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(str(arguments[2])))
    assert not await send(store)
    assert statements == []


async def test_a_wanted_event_is_due_with_the_id_it_was_given(store: Store, accept: Accept, clock: Clock) -> None:
    await accept("s1")
    await store.put_webhook("riders_hq", WebhookKind.VCS, HOOK, None)
    assert await send(store, "evt_7")
    (due,) = await store.due_deliveries("riders_hq", "VCS", 9)
    assert (due.event_id, due.session_id, due.body, due.next_attempt_at) == ("evt_7", "s1", b"{}", clock.now)
    with pytest.raises(StorageError):
        await send(store, "evt_8", "s9")


async def test_events_are_dropped_while_too_many_wait(store: Store, accept: Accept) -> None:
    await accept("s1")
    await store.put_webhook("riders_hq", WebhookKind.VCS, HOOK, None)
    sent = await asyncio.gather(*(send(store, f"evt_{number}") for number in range(MOST_DUE_STATUSES + 2)))
    assert sent.count(False) == 2
    assert not await send(store)
    assert len(await store.due_deliveries("riders_hq", "VCS", 2_000)) == MOST_DUE_STATUSES


async def test_whether_a_webhook_is_there_is_known_at_once_and_from_memory(store: Store) -> None:
    assert not store.has_webhook("riders_hq", WebhookKind.VCA)
    await store.put_webhook("riders_hq", WebhookKind.VCA, HOOK, None)
    assert store.has_webhook("riders_hq", WebhookKind.VCA)
    assert not store.has_webhook("riders_hq", WebhookKind.VSS)
    assert not store.has_webhook("other", WebhookKind.VCA)
    await store.put_webhook("riders_hq", WebhookKind.VCA, HOOK, None, enabled=False)
    assert not store.has_webhook("riders_hq", WebhookKind.VCA)
    await store.put_webhook("riders_hq", WebhookKind.VCA, HOOK, None)
    await store.disable_endpoint("riders_hq", "VCA", HOOK)
    assert not store.has_webhook("riders_hq", WebhookKind.VCA)
    await store.put_webhook("riders_hq", WebhookKind.VCA, HOOK, None)
    await store.delete_webhook("riders_hq", WebhookKind.VCA)
    assert not store.has_webhook("riders_hq", WebhookKind.VCA)


async def test_a_webhook_of_another_process_is_known_within_seconds(
    store: Store, open_store: OpenStore, clock: Clock
) -> None:
    commands = await open_store(exclusive=False)
    await store.find_key("cw_warm")
    await commands.put_webhook("riders_hq", WebhookKind.VCA, HOOK, None)
    assert not store.has_webhook("riders_hq", WebhookKind.VCA)
    clock.now += AGE_SECONDS + 0.1
    await store.find_key("cw_any")
    assert store.has_webhook("riders_hq", WebhookKind.VCA)


async def test_a_webhook_keeps_its_payload_version(store: Store) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VCA, HOOK, None, payload_version=1)
    found = await store.find_webhook("riders_hq", WebhookKind.VCA)
    assert found is not None
    assert found.payload_version == 1
