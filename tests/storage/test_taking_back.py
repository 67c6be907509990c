"""A session whose commit became known only after it was refused goes again, unless somebody relies on it by then."""

import asyncio
import threading
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Connection, select, update

from callwright.callflow.plan import Callflow
from callwright.storage import idempotency, schema, sessions
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.store import Store

NOW = 1_800_000_000.0
KEPT = KeptAnswer("riders_hq", "key-1", "digest", 200, b"{}", "s1")


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True, busy_timeout_seconds: float | None = None) -> Store: ...


async def accept(store: Store, flow: Callflow) -> None:
    await store.accept_session("s1", "riders_hq", flow, NOW, KEPT)


async def take_back(store: Store) -> None:
    """As the thread of the store does when it learns that the commit was made after all."""
    await store._change(lambda connection: sessions.take_back(connection, "s1", KEPT, node_id=store.node_id))


async def owner(store: Store) -> str | None:
    found = await store._ask(lambda connection: connection.execute(select(schema.sessions.c.node_id)).scalar_one())
    assert found is None or isinstance(found, str)
    return found


async def test_what_is_ours_goes_with_its_answer_and_can_be_asked_for_again(store: Store, flow: Callflow) -> None:
    await accept(store, flow)
    await take_back(store)
    assert await store.find_session("s1") is None
    assert await store.find_answer("riders_hq", "key-1") is None
    assert await store.deliveries_of("s1") == ()
    await accept(store, flow)


async def test_what_another_node_has_claimed_stays_as_it_is(store: Store, flow: Callflow) -> None:
    await accept(store, flow)
    await store._change(lambda connection: connection.execute(update(schema.sessions).values(node_id="another")))
    await take_back(store)
    assert await store.find_session("s1") is not None
    assert await store.find_answer("riders_hq", "key-1") is not None


async def test_what_somebody_was_answered_stays_and_is_anybodys_to_carry_out(store: Store, flow: Callflow) -> None:
    await accept(store, flow)
    kept = await store.find_answer("riders_hq", "key-1")
    assert kept is not None
    assert await store.give_again(kept)
    await take_back(store)
    assert await store.find_answer("riders_hq", "key-1") is not None
    assert await owner(store) is None
    await store.begin_node("node-2", "host", None)
    assert [claimed.session_id for claimed in await store.claim_sessions()] == ["s1"]


async def test_an_answer_that_was_taken_back_is_not_given_again(store: Store, flow: Callflow) -> None:
    await accept(store, flow)
    kept = await store.find_answer("riders_hq", "key-1")
    assert kept is not None
    await take_back(store)
    assert not await store.give_again(kept)


async def test_an_answer_is_noted_as_given_once_and_then_costs_no_commit(store: Store, flow: Callflow) -> None:
    await accept(store, flow)
    for is_known in (False, True):
        kept = await store.find_answer("riders_hq", "key-1")
        assert kept is not None
        assert kept.is_given_again is is_known
        assert await store.give_again(kept)


async def test_another_requests_answer_under_the_same_key_is_not_this_one(store: Store, flow: Callflow) -> None:
    await accept(store, flow)
    kept = await store.find_answer("riders_hq", "key-1")
    assert kept is not None
    await take_back(store)
    other = KeptAnswer("riders_hq", "key-1", "digest", 200, b"{}", "s2")
    await store.accept_session("s2", "riders_hq", flow, NOW, other)
    assert not await store.give_again(kept)
    assert (found := await store.find_answer("riders_hq", "key-1")) is not None
    assert not found.is_given_again


@pytest.mark.parametrize("first", ["given again", "taken back"])
async def test_of_giving_again_and_taking_back_at_once_exactly_one_happens(
    store: Store, open_store: OpenStore, database: Path, flow: Callflow, first: str
) -> None:
    """The one stands in the other's way until it is committed: then the other sees what became of it."""
    await _race(store, await open_store(exclusive=False), flow, first)


async def _race(store: Store, other: Store, flow: Callflow, first: str) -> None:
    await accept(store, flow)
    kept = await other.find_answer("riders_hq", "key-1")
    assert kept is not None
    written, gate = threading.Event(), threading.Event()

    def give_again(connection: Connection) -> bool:
        given = idempotency.give_again(connection, kept, NOW)
        written.set()
        gate.wait()
        return given

    def taking_back(connection: Connection) -> None:
        sessions.take_back(connection, "s1", KEPT, node_id=store.node_id)
        written.set()
        gate.wait()

    if first == "given again":
        ahead: asyncio.Task[bool | None] = asyncio.create_task(other._change(give_again))
        await asyncio.to_thread(written.wait)
        behind: asyncio.Task[bool | None] = asyncio.create_task(take_back(store))
    else:
        ahead = asyncio.create_task(store._change(taking_back))
        await asyncio.to_thread(written.wait)
        behind = asyncio.create_task(other.give_again(kept))
    await asyncio.sleep(0.02)
    gate.set()
    await asyncio.gather(ahead, behind)
    is_there = await store.find_session("s1") is not None
    was_given = bool(ahead.result() if first == "given again" else behind.result())
    assert is_there is was_given is (first == "given again")
