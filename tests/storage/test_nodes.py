"""Several nodes on one PostgreSQL: whose sessions are whose, and what a node that was given up may still do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callwright.callflow.plan import Callflow
from callwright.errors import StorageError
from callwright.storage import nodes
from callwright.storage.records import SessionState, WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from callwright.callflow.summary import SessionSummary

    OpenNode = Callable[[str], Awaitable[Store]]

ACCOUNT = "riders_hq"


@pytest.fixture
async def open_node(tmp_path: Path, postgres_url: str, clock: Clock) -> "AsyncIterator[OpenNode]":
    """Opens stores of nodes with those names, all on one database; no lease runs out by itself."""
    opened: list[Store] = []

    async def open_one(name: str) -> Store:
        folder = tmp_path / name
        store = await Store.open(
            postgres_url,
            folder=folder,
            clock=clock,
            key_file=tmp_path / "secrets.key",
            exclusive=False,
            busy_timeout_seconds=120.0,
        )
        opened.append(store)
        await store.begin_node(store.node_id, name, f"http://{name}.example.com:8080")
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def first(open_node: "OpenNode") -> Store:
    store = await open_node("first")
    await store.ensure_sub_account(ACCOUNT)
    return store


@pytest.fixture
async def second(open_node: "OpenNode") -> Store:
    return await open_node("second")


async def give_up(store: Store, by: Store) -> None:
    """Let a node's lease run out, and another node notice."""
    await by._leases.run(  # the lease is moved into the past, because nobody wants to wait for it
        lambda connection: connection.execute(nodes.RENEW, {"this_node_id": store.node_id, "until": 1.0})
    )
    assert await by.bury_nodes() == 1


async def test_nothing_is_claimed_of_a_node_that_lives(first: Store, second: Store, flow: Callflow) -> None:
    await first.accept_session("s1", ACCOUNT, flow, 10.0)
    assert await second.bury_nodes() == 0
    assert await second.claim_sessions() == ()
    assert await second.claim_sessions(at_start=True) == ()
    owner = await second.owner_of("s1")
    assert owner is not None
    assert (owner.name, owner.url) == ("first", "http://first.example.com:8080")


async def test_what_a_node_left_is_claimed_once(
    first: Store, second: Store, open_node: "OpenNode", flow: Callflow
) -> None:
    for number in range(40):
        await first.accept_session(f"s{number}", ACCOUNT, flow, float(number))
    await first.record_dial_intent("s7", "leg-7", "call", "carrier", 50.0, dialog="what ends it")
    third = await open_node("third")
    await give_up(first, by=second)
    taken = await asyncio.gather(second.claim_sessions(), third.claim_sessions())
    claimed = [session for sessions in taken for session in sessions]
    assert sorted(session.session_id for session in claimed) == sorted(f"s{number}" for number in range(40))
    (dialled,) = [session for session in claimed if session.state is SessionState.DIALLED]
    assert dialled.dial_intents[0].dialog == "what ends it"
    assert await second.claim_sessions() == ()


async def test_what_a_node_that_is_gone_was_sending_is_free_at_once(
    first: Store, second: Store, flow: Callflow, summary_of: "Callable[[str], SessionSummary]"
) -> None:
    await first.put_webhook(ACCOUNT, WebhookKind.VSS, "https://example.com/vss", None)
    await first.accept_session("s1", ACCOUNT, flow, 10.0)
    await first.finish_session(summary_of("s1"), b"{}", Trace("s1"), 11.0)
    (due,) = await first.due_deliveries(ACCOUNT, "VSS", 10)
    assert await first.claim_delivery(due.delivery_id, 0, 3_600.0)
    assert not await second.claim_delivery(due.delivery_id, 0, 3_600.0)
    await give_up(first, by=second)
    assert await second.claim_delivery(due.delivery_id, 0, 3_600.0)


async def test_a_node_that_was_given_up_stays_so(first: Store, second: Store) -> None:
    assert await first.renew_lease()
    await give_up(first, by=second)
    assert not await first.renew_lease()
    await first.begin_node("first again", "first", None)
    assert await first.renew_lease()


async def test_a_node_that_was_given_up_dials_nothing_and_writes_no_record(
    first: Store, second: Store, flow: Callflow, summary_of: "Callable[[str], SessionSummary]"
) -> None:
    for session_id in ("s1", "s2"):
        await first.accept_session(session_id, ACCOUNT, flow, 10.0)
    await first.record_dial_intent("s2", "leg-2", "call", "carrier", 11.0)
    await give_up(first, by=second)
    assert len(await second.claim_sessions()) == 2
    with pytest.raises(StorageError, match="another node's"):
        await first.record_dial_intent("s1", "leg-1", "call", "carrier", 12.0)
    with pytest.raises(StorageError, match="another node's"):
        await first.record_dial_intent("s2", "leg-3", "call", "carrier", 12.0)
    summary = summary_of("s1")
    assert not await first.finish_session(summary, b"{}", Trace("s1"), 13.0)
    assert await second.finish_session(summary, b"{}", Trace("s1"), 14.0)
    assert not await second.finish_session(summary, b"{}", Trace("s1"), 15.0)


async def test_a_node_that_drains_hands_over_what_was_not_dialled(first: Store, second: Store, flow: Callflow) -> None:
    for session_id in ("s1", "s2"):
        await first.accept_session(session_id, ACCOUNT, flow, 10.0)
    await first.record_dial_intent("s2", "leg-2", "call", "carrier", 11.0)
    assert await first.drain_node() == ("s1",)
    assert await first.claim_sessions() == ()
    assert [session.session_id for session in await second.claim_sessions()] == ["s1"]
    with pytest.raises(StorageError, match="another node's"):
        await first.record_dial_intent("s1", "leg-1", "call", "carrier", 12.0)
    await first.record_dial_intent("s2", "leg-3", "call", "carrier", 12.0)  # a call that is under way goes on


async def test_a_node_that_is_alone_keeps_what_it_has(first: Store, flow: Callflow) -> None:
    await first.accept_session("s1", ACCOUNT, flow, 10.0)
    assert await first.drain_node() == ()
    await first.record_dial_intent("s1", "leg-1", "call", "carrier", 12.0)


async def test_the_next_process_in_a_folder_need_not_wait_for_the_lease(
    first: Store, open_node: "OpenNode", flow: Callflow
) -> None:
    await first.accept_session("s1", ACCOUNT, flow, 10.0)
    again = await open_node("first")
    assert [session.session_id for session in await again.claim_sessions(at_start=True)] == ["s1"]
    assert not await first.renew_lease()


async def test_an_end_is_asked_for_durably_and_its_owner_is_woken(first: Store, second: Store, flow: Callflow) -> None:
    woken: asyncio.Queue[str] = asyncio.Queue()
    first.listen(woken.put_nowait)
    await first.accept_session("s1", ACCOUNT, flow, 10.0)
    async with asyncio.timeout(60):
        while woken.empty():  # until the listener listens, wake-ups are lost, as they may be
            assert await second.ask_for_end("s1")
            await asyncio.sleep(0.05)
        assert await woken.get() == first.node_id
    assert await first.asked_for() == ("s1",)
    assert await second.asked_for() == ()
    await give_up(first, by=second)
    (claimed,) = await second.claim_sessions()
    assert claimed.hang_up_at is not None
    assert not await second.ask_for_end("unknown")


async def test_a_ticket_is_for_one_session_and_one_minute(first: Store, second: Store) -> None:
    ticket = first.ticket_for("s1")
    assert second.is_good_ticket(ticket, "s1")
    assert not second.is_good_ticket(ticket, "s2")
    assert not second.is_good_ticket(ticket[:-4] + "AAAA", "s1")
    assert not second.is_good_ticket("", "s1")
    assert not second.is_good_ticket("no base64 at all é", "s1")
    second._clock = lambda: first._clock() + 120.0
    assert not second.is_good_ticket(ticket, "s1")


async def test_the_next_process_takes_what_was_never_a_nodes(
    store: Store, accept: "Callable[[str], Awaitable[None]]"
) -> None:
    await accept("s1")
    await store.begin_node("another", "the next process", None)
    assert [session.session_id for session in await store.claim_sessions(at_start=True)] == ["s1"]
    assert await store.claim_sessions(at_start=True) == ()
