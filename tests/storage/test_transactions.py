"""Group commit: many share one, one that fails fails alone, and a database that cannot says so and recovers."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Connection, event

from callwright.callflow.plan import Callflow, Say
from callwright.errors import StorageError, StorageUnavailable
from callwright.storage import accounts
from callwright.storage.store import Store
from callwright.storage.transactions import MOST_WAITING, Transactions

Accept = Callable[[str], Awaitable[None]]


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True, busy_timeout_seconds: float = 0.9) -> Store: ...


def commits_of(store: Store) -> list[str]:
    """Grows with every commit of a change."""
    commits: list[str] = []
    event.listen(store._database.write, "commit", lambda _: commits.append("commit"))
    return commits


async def test_those_who_wait_together_share_one_commit(store: Store, accept: Accept) -> None:
    commits = commits_of(store)
    await asyncio.gather(*(accept(f"s{number}") for number in range(60)))
    assert len(commits) == 1
    assert len(await store.unfinished_sessions()) == 60


async def test_a_batch_has_an_end_and_the_order_is_kept(store: Store) -> None:
    commits = commits_of(store)
    ran: list[int] = []

    async def change(number: int) -> None:
        await store._changes.run(lambda _: ran.append(number))

    assert isinstance(store._changes, Transactions)
    asked = store._changes.most_in_one + 10
    await asyncio.gather(*(change(number) for number in range(asked)))
    assert len(commits) == 2
    assert ran == list(range(asked))


async def test_one_that_fails_fails_alone(store: Store, accept: Accept, flow: Callflow) -> None:
    commits = commits_of(store)
    outcomes = await asyncio.gather(
        accept("s1"),
        store.accept_session("s2", "nobody", flow, 1.0),  # the database refuses
        accept("s3"),
        store.record_dial_intent("unknown", "leg", "id", "carrier", 1.0),  # the store refuses
        accept("s1"),  # used a moment ago, in the same batch
        accept("s4"),
        return_exceptions=True,
    )
    assert [isinstance(outcome, StorageError) for outcome in outcomes] == [False, True, False, True, True, False]
    assert not any(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
    assert len(commits) == 1
    assert {session.session_id for session in await store.unfinished_sessions()} == {"s1", "s3", "s4"}


async def test_a_defect_in_a_change_reaches_its_caller_and_writing_goes_on(store: Store, accept: Accept) -> None:
    def defective(connection: Connection) -> None:
        accounts.ensure_sub_account(connection, "half_done", 1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store._changes.run(defective)
    await accept("s1")
    assert not await store.has_sub_account("half_done")


async def test_who_stops_waiting_does_not_undo_the_change(store: Store, accept: Accept) -> None:
    gate = threading.Event()
    slow = asyncio.create_task(store._changes.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    impatient = asyncio.ensure_future(accept("s1"))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    await slow
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await store.ensure_sub_account("after")
    assert await store.find_session("s1") is not None


async def test_the_queue_has_an_end(store: Store, accept: Accept) -> None:
    gate = threading.Event()
    slow = asyncio.create_task(store._changes.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(store._changes.run(lambda _: None)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable, match="does not keep up"):
        await accept("s1")
    gate.set()
    await asyncio.gather(slow, *waiting)
    await accept("s2")


async def test_closing_finishes_what_waits(store: Store, open_store: OpenStore, accept: Accept) -> None:
    waiting = [asyncio.ensure_future(accept(f"s{number}")) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiting)
    again = await open_store()
    assert len(await again.unfinished_sessions()) == 20


async def test_a_locked_database_is_unavailable_and_later_it_works(
    open_store: OpenStore, database: Path, flow: Callflow
) -> None:
    store = await open_store(busy_timeout_seconds=0.05)
    await store.ensure_sub_account("riders_hq")
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        *(store.accept_session(f"s{number}", "riders_hq", flow, 1.0) for number in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    assert await store.has_sub_account("riders_hq")  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    assert await store.unfinished_sessions() == ()
    await store.accept_session("s1", "riders_hq", flow, 1.0)


async def test_a_full_database_is_unavailable_loses_nothing_and_recovers(
    store: Store, flow: Callflow, database: Path
) -> None:
    def most_pages(number: int) -> Callable[[Connection], object]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {number}").scalar_one()

    def pages(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())

    await store._changes.run(most_pages(await store._changes.run(pages) + 20))
    big = Callflow((Say("x" * 3_000, "en-US-JennyNeural"),) * 4, "r")
    acknowledged: list[str] = []
    refused: list[str] = []

    async def accept_or_not(session_id: str) -> None:
        try:
            await store.accept_session(session_id, "riders_hq", big, 1.0)
        except StorageUnavailable as error:
            assert "full" in str(error)  # noqa: PT017 - the other sort of outcome is counted below
            refused.append(session_id)
        else:
            acknowledged.append(session_id)

    for number in range(10):
        await asyncio.gather(*(accept_or_not(f"s{number}-{part}") for part in range(2)))
    assert acknowledged
    assert refused
    assert {session.session_id for session in await store.unfinished_sessions()} == set(acknowledged)
    await store._changes.run(most_pages(1_000_000))
    for session_id in refused:
        await store.accept_session(session_id, "riders_hq", big, 1.0)
    assert len(await store.unfinished_sessions()) == 20


async def test_a_commit_that_fails_leaves_the_connection_ready_for_the_next(store: Store, accept: Accept) -> None:
    def owe(connection: Connection) -> None:
        """What is checked at the commit, and is wrong: as a disk that is full it fails there and no sooner."""
        connection.exec_driver_sql("CREATE TEMPORARY TABLE parent (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        connection.exec_driver_sql("INSERT INTO child VALUES (1)")

    with pytest.raises(StorageError, match="refused"):
        await store._changes.run(owe)
    await accept("s1")
    assert [session.session_id for session in await store.unfinished_sessions()] == ["s1"]
