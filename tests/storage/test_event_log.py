"""Numbers of events: from 1 for each sub-account, without gaps, in the order of commits, whatever fails between."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, select

from callwright.errors import StorageError
from callwright.storage import event_log
from callwright.storage.event_log import NewEvent
from callwright.storage.schema import events
from callwright.storage.store import Store

WRITTEN = select(events.c.sub_account_id, events.c.number, events.c.event_id).order_by(
    events.c.sub_account_id, events.c.number
)


def happened(sub_account_id: str, event_id: str) -> Callable[[Connection], None]:
    return lambda connection: event_log.note(connection, NewEvent(sub_account_id, event_id, "VSS", None, 1.0, b"{}"))


async def written(store: Store) -> list[tuple[str, int, str]]:
    return await store._ask(lambda connection: [tuple(row) for row in connection.execute(WRITTEN)])


async def test_every_sub_account_counts_for_itself(store: Store) -> None:
    await store.ensure_sub_account("other")
    noted = [("riders_hq", "a"), ("other", "b"), ("riders_hq", "c")]
    await asyncio.gather(*(store._change(happened(*event)) for event in noted))
    await store._change(happened("riders_hq", "d"))
    assert await written(store) == [
        ("other", 1, "b"), ("riders_hq", 1, "a"), ("riders_hq", 2, "c"), ("riders_hq", 3, "d"),
    ]  # fmt: skip


async def test_what_was_rolled_back_leaves_no_gap(store: Store) -> None:
    def fails(connection: Connection) -> None:
        happened("riders_hq", "never")(connection)
        raise StorageError("it failed")

    outcomes = await asyncio.gather(
        store._change(happened("riders_hq", "a")),
        store._change(fails),
        store._change(happened("nobody", "unknown")),
        store._change(happened("riders_hq", "b")),
        return_exceptions=True,
    )
    assert [isinstance(outcome, StorageError) for outcome in outcomes] == [False, True, True, False]
    with pytest.raises(StorageError, match="it failed"):
        await store._change(fails)
    await store._change(happened("riders_hq", "c"))
    assert await written(store) == [("riders_hq", 1, "a"), ("riders_hq", 2, "b"), ("riders_hq", 3, "c")]
