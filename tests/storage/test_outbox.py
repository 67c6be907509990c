"""Webhook registrations and deliveries: nothing due is lost, whatever happens to the webhook."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from callwright.callflow.summary import SessionSummary
from callwright.errors import StorageError
from callwright.storage.records import DeliveryState, DueDelivery, Webhook, WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace

Accept = Callable[[str], Awaitable[None]]
Finish = Callable[[str, float], Awaitable[None]]
HOOK = "https://hooks.example.com/vss?token=t0ken"
SECRET = "Bearer canary-5f1c9e"


@pytest.fixture
def finish(store: Store, accept: Accept, summary_of: Callable[[str], SessionSummary]) -> Finish:
    async def accept_and_finish(session_id: str, at: float) -> None:
        await accept(session_id)
        await store.finish_session(summary_of(session_id), session_id.encode(), Trace(session_id), at)

    return accept_and_finish


def folder_bytes(database: Path) -> bytes:
    """Everything in the data folder."""
    return b"".join(path.read_bytes() for path in database.parent.iterdir())


async def state_of(store: Store, session_id: str) -> DeliveryState:
    (delivery,) = await store.deliveries_of(session_id)
    return delivery.state


async def due(store: Store, limit: int = 10) -> tuple[DueDelivery, ...]:
    return await store.due_deliveries("riders_hq", "VSS", limit)


async def tried(
    store: Store, delivery: DueDelivery, *, delivered: bool = False, next_attempt_at: float | None = None
) -> None:
    await store.record_attempt(
        delivery.delivery_id,
        number=delivery.attempts + 1,
        at=50.0,
        host="hooks.example.com",
        status=200 if delivered else None,
        error=None if delivered else "It refuses connections.",
        elapsed_ms=12,
        delivered=delivered,
        next_attempt_at=next_attempt_at,
    )


async def test_webhooks_are_one_per_kind_replaced_listed_and_deleted(store: Store) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, SECRET)
    await store.put_webhook("riders_hq", WebhookKind.VCA, "https://hooks.example.com/vca", None, enabled=False)
    assert await store.list_webhooks("riders_hq") == (
        Webhook("riders_hq", WebhookKind.VCA, "https://hooks.example.com/vca", enabled=False, http_auth_header=None),
        Webhook("riders_hq", WebhookKind.VSS, HOOK, enabled=True, http_auth_header=SECRET),
    )
    await store.put_webhook("riders_hq", WebhookKind.VSS, "https://hooks.example.com/2", None)
    replaced = Webhook("riders_hq", WebhookKind.VSS, "https://hooks.example.com/2", enabled=True, http_auth_header=None)
    assert await store.find_webhook("riders_hq", WebhookKind.VSS) == replaced
    assert await store.delete_webhook("riders_hq", WebhookKind.VSS) == replaced
    assert await store.delete_webhook("riders_hq", WebhookKind.VSS) is None
    assert await store.find_webhook("riders_hq", WebhookKind.VSS) is None
    assert await store.list_webhooks("other") == ()


async def test_a_webhook_of_an_unknown_sub_account_is_refused(store: Store) -> None:
    with pytest.raises(StorageError, match="no sub-account nobody"):
        await store.put_webhook("nobody", WebhookKind.VSS, HOOK, None)


async def test_a_webhooks_secret_is_nowhere_in_the_data_folder_nor_in_its_repr(store: Store, database: Path) -> None:
    webhook = await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, SECRET)
    assert SECRET not in repr(webhook)
    await store.close()
    written = folder_bytes(database)
    assert b"canary" not in written
    assert HOOK.encode() in written  # the search does find what is there


async def test_a_due_event_comes_with_the_endpoint_as_it_is_now(store: Store, finish: Finish) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, "https://old.example.com/", None)
    await finish("s1", 20.0)
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, SECRET)
    (delivery,) = await due(store)
    assert (delivery.url, delivery.http_auth_header, delivery.body) == (HOOK, SECRET, b"s1")
    assert (delivery.session_id, delivery.attempts, delivery.next_attempt_at) == ("s1", 0, 20.0)
    assert SECRET not in repr(delivery)
    (lane,) = await store.delivery_lanes()
    assert (lane.sub_account_id, lane.kind, lane.first_due_at) == ("riders_hq", "VSS", 20.0)


async def test_events_come_in_the_order_of_their_next_try_and_no_more_than_asked(store: Store, finish: Finish) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    for session_id, at in (("s1", 30.0), ("s2", 10.0), ("s3", 20.0)):
        await finish(session_id, at)
    assert [delivery.session_id for delivery in await due(store, 2)] == ["s2", "s3"]
    (first, *_) = await due(store)
    await tried(store, first, next_attempt_at=99.0)
    assert [delivery.session_id for delivery in await due(store)] == ["s3", "s1", "s2"]
    (lane,) = await store.delivery_lanes()
    assert lane.first_due_at == 20.0


async def test_every_try_is_kept_and_a_delivered_event_is_due_no_more(store: Store, finish: Finish) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await finish("s1", 20.0)
    (first,) = await due(store)
    await tried(store, first, next_attempt_at=60.0)
    (second,) = await due(store)
    assert (second.event_id, second.attempts, second.next_attempt_at) == (first.event_id, 1, 60.0)
    await tried(store, second, delivered=True)
    assert await due(store) == ()
    assert await store.delivery_lanes() == ()
    (delivery,) = await store.deliveries_of("s1")
    assert delivery.state is DeliveryState.DELIVERED
    assert [(attempt.number, attempt.status, attempt.error) for attempt in delivery.attempts] == [
        (1, None, "It refuses connections."), (2, 200, None),
    ]  # fmt: skip


async def test_a_try_without_a_next_one_gives_the_event_up(store: Store, finish: Finish) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await finish("s1", 20.0)
    (delivery,) = await due(store)
    await tried(store, delivery)
    assert await state_of(store, "s1") is DeliveryState.EXHAUSTED
    assert await due(store) == ()


async def test_a_try_is_written_once_and_only_for_a_known_event(store: Store, finish: Finish) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await finish("s1", 20.0)
    (delivery,) = await due(store)
    await tried(store, delivery, next_attempt_at=60.0)
    with pytest.raises(StorageError):
        await tried(store, delivery, delivered=True)
    assert await state_of(store, "s1") is DeliveryState.DUE
    with pytest.raises(StorageError, match="no delivery"):
        await store.record_attempt(
            "unknown", number=1, at=1.0, host="h", status=200, error=None, elapsed_ms=1, delivered=True,
            next_attempt_at=None,
        )  # fmt: skip


async def test_the_same_try_written_again_is_one(store: Store, finish: Finish) -> None:
    """Whoever was answered that the database is away writes it again; it may have been written all the same."""
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await finish("s1", 20.0)
    (delivery,) = await due(store)
    await tried(store, delivery, delivered=True)
    await tried(store, delivery, delivered=True)
    (stored,) = await store.deliveries_of("s1")
    assert (stored.state, len(stored.attempts)) == (DeliveryState.DELIVERED, 1)


@pytest.mark.parametrize("away", ["deleted", "disabled", "gone"])
async def test_events_wait_while_their_webhook_is_away_and_go_on_when_it_is_back(
    store: Store, finish: Finish, away: str
) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await finish("s1", 20.0)
    (before,) = await due(store)
    if away == "deleted":
        await store.delete_webhook("riders_hq", WebhookKind.VSS)
    elif away == "disabled":
        await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None, enabled=False)
    else:
        await store.disable_endpoint("riders_hq", "VSS", HOOK)
    assert await state_of(store, "s1") is DeliveryState.HELD
    assert await due(store) == ()
    assert await store.delivery_lanes() == ()
    await tried(store, before, next_attempt_at=60.0)  # it was on the way meanwhile
    assert await state_of(store, "s1") is DeliveryState.HELD
    await store.put_webhook("riders_hq", WebhookKind.VSS, "https://new.example.com/", None)
    (after,) = await due(store)
    assert (after.event_id, after.attempts, after.url) == (before.event_id, 1, "https://new.example.com/")


async def test_an_endpoint_that_is_gone_does_not_take_its_successor_along(store: Store, finish: Finish) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, "https://new.example.com/", None)
    await finish("s1", 20.0)
    await store.disable_endpoint("riders_hq", "VSS", HOOK)
    webhook = await store.find_webhook("riders_hq", WebhookKind.VSS)
    assert webhook is not None
    assert webhook.enabled
    assert await state_of(store, "s1") is DeliveryState.DUE


async def test_held_events_are_given_up_when_they_are_too_old(store: Store, finish: Finish) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await finish("old", 20.0)
    await finish("young", 40.0)
    await store.delete_webhook("riders_hq", WebhookKind.VSS)
    assert await store.exhaust_held(30.0) == 1
    assert await state_of(store, "old") is DeliveryState.EXHAUSTED
    assert await state_of(store, "young") is DeliveryState.HELD
    assert await store.exhaust_held(30.0) == 0


async def test_an_event_that_was_held_while_another_node_registered_its_webhook_goes_on(
    store: Store, finish: Finish
) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await finish("s1", 20.0)
    held = "UPDATE deliveries SET state = 'HELD'"  # as by a node that did not see the new webhook yet
    await store._change(lambda connection: connection.exec_driver_sql(held))
    assert await store.exhaust_held(30.0) == 0
    assert await state_of(store, "s1") is DeliveryState.DUE


async def test_under_another_secrets_key_the_secret_is_an_error_and_not_left_out(
    store: Store, finish: Finish, database: Path
) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, SECRET)
    await finish("s1", 20.0)
    await store.close()
    database.with_name("secrets.key").unlink()
    again = await Store.open(f"sqlite:///{database}")
    try:
        with pytest.raises(StorageError, match=r"secrets\.key"):
            await due(again)
        assert await again.find_session("s1") is not None
    finally:
        await again.close()
