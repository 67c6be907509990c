"""PostgreSQL away, slow, gone in the middle: what was acknowledged is there, what was refused is not, once each."""

import asyncio
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from sqlalchemy import Connection, text
from tests.postgres import Postgres
from tests.wire import Wire

from callwright.callflow.plan import Callflow
from callwright.errors import StorageUnavailable
from callwright.storage import accounts
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.opening import open_database
from callwright.storage.store import Store

PATIENT = 30.0
IMPATIENT = 0.25
"""Half of what a caller waits: long enough for a commit on a busy machine, short enough for a test."""
T = TypeVar("T")


class Connect(Protocol):
    async def __call__(self, busy_timeout_seconds: float, *, exclusive: bool = True) -> Store: ...


class Clock(Protocol):
    now: float

    def __call__(self) -> float: ...


@pytest.fixture
def folder() -> Iterator[Path]:
    """For a socket; the names of pytest's folders are too long for those."""
    with tempfile.TemporaryDirectory(prefix="callwright-wire-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
async def wire(postgres: Postgres, folder: Path) -> AsyncIterator[Wire]:
    async with Wire(postgres, folder).serving() as wire:
        yield wire


@pytest.fixture
async def connect(wire: Wire, postgres_url: str, folder: Path, clock: Clock) -> AsyncIterator[Connect]:
    """Opens a store by the wire; its argument is half of how long a caller waits."""
    opened: list[Store] = []

    async def connect_one(busy_timeout_seconds: float, *, exclusive: bool = True) -> Store:
        store = await insist(
            lambda: Store.open(
                wire.url(name_in(postgres_url)),
                folder=folder / "data",
                clock=clock,
                exclusive=exclusive,
                busy_timeout_seconds=busy_timeout_seconds,
            )
        )
        opened.append(store)
        await insist(lambda: store.ensure_sub_account("riders_hq"))
        return store

    yield connect_one
    for store in opened:
        await store.close()


def name_in(url: str) -> str:
    """The database's name."""
    return url.rpartition("/")[2].partition("?")[0]


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """Do it until the database is there: it comes back in its own time, and a busy machine is no failure."""
    for _ in range(600):
        with suppress(StorageUnavailable):
            return await work()
        await asyncio.sleep(0.05)
    return await work()


async def unfinished(store: Store) -> list[str]:
    return [session.session_id for session in await insist(store.unfinished_sessions)]


def throw_out_once() -> Callable[[Connection], None]:
    """A change in whose middle the server ends the connection, the first time."""
    thrown_out: list[None] = []

    def work(connection: Connection) -> None:
        accounts.ensure_sub_account(connection, "drivers_hq", 1.0)
        if not thrown_out:
            thrown_out.append(None)
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    return work


async def test_a_connection_that_broke_while_idle_is_made_anew(
    connect: Connect, postgres: Postgres, postgres_url: str
) -> None:
    store = await connect(PATIENT)
    for _ in range(3):
        postgres.throw_out(name_in(postgres_url))
        assert await store.has_sub_account("riders_hq")
        await store.ensure_sub_account("drivers_hq")


async def test_a_change_whose_connection_breaks_is_made_on_another(connect: Connect) -> None:
    store = await connect(PATIENT)
    await store._change(throw_out_once())
    assert await store.has_sub_account("drivers_hq")


async def test_a_commit_that_never_arrived_is_made_again(connect: Connect, wire: Wire, flow: Callflow) -> None:
    store = await connect(PATIENT)
    wire.lose_commit = True
    await store.accept_session("s1", "riders_hq", flow, 1.0)
    assert wire.met.is_set()
    assert await unfinished(store) == ["s1"]


async def test_a_commit_whose_answer_was_lost_is_found_and_not_made_twice(
    connect: Connect, wire: Wire, flow: Callflow
) -> None:
    store = await connect(PATIENT)
    wire.lose_answer = True
    ran: list[str] = []

    def count(_: Connection) -> None:
        ran.append("once")

    await asyncio.gather(store.accept_session("s1", "riders_hq", flow, 1.0), store._change(count))
    assert wire.met.is_set()
    assert await unfinished(store) == ["s1"]
    assert ran == ["once"]


async def test_what_is_committed_after_it_was_refused_is_taken_back(
    connect: Connect, wire: Wire, flow: Callflow
) -> None:
    store = await connect(IMPATIENT)
    wire.hold_commit = gate = asyncio.Event()
    kept = KeptAnswer("riders_hq", "key-1", "digest", 200, b"{}", "s1")
    with pytest.raises(StorageUnavailable, match="does not answer"):
        await store.accept_session("s1", "riders_hq", flow, 1.0, kept)
    with pytest.raises(StorageUnavailable, match="does not answer"):
        await store.accept_session("s2", "riders_hq", flow, 1.0)  # at once: it is not known yet how that one ended
    gate.set()  # the network brings it after all
    await insist(lambda: store.ensure_sub_account("drivers_hq"))
    assert await unfinished(store) == []
    await insist(lambda: store.accept_session("s1", "riders_hq", flow, 1.0, kept))
    assert await unfinished(store) == ["s1"]


async def test_while_the_server_cannot_be_reached_all_is_refused_and_then_it_works(
    connect: Connect, wire: Wire, flow: Callflow
) -> None:
    store = await connect(IMPATIENT)
    wire.cut()
    for _ in range(3):
        outcomes = await asyncio.gather(
            store.accept_session("s1", "riders_hq", flow, 1.0),
            store.accept_session("s2", "riders_hq", flow, 1.0),
            store.find_session("s1"),
            return_exceptions=True,
        )
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
    wire.is_cut = False
    await insist(lambda: store.ensure_sub_account("drivers_hq"))
    assert await unfinished(store) == []
    await insist(lambda: store.accept_session("s1", "riders_hq", flow, 1.0))


async def test_who_stands_in_a_lock_too_long_is_refused_and_nothing_is_written(
    connect: Connect, flow: Callflow
) -> None:
    holder, store = await connect(PATIENT), await connect(IMPATIENT, exclusive=False)
    gate, held = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        accounts.lock_sub_account(connection, "riders_hq")
        held.set()
        gate.wait()

    holding = asyncio.create_task(holder._change(hold))
    await asyncio.to_thread(held.wait)
    with pytest.raises(StorageUnavailable):
        await store._change(lambda connection: accounts.lock_sub_account(connection, "riders_hq"))
    gate.set()
    await holding
    await insist(lambda: store.ensure_sub_account("drivers_hq"))


# --- a server of their own -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server that may be stopped."""
    server = Postgres(is_durable=True)
    yield server
    server.remove()


@pytest.fixture
async def own_store(own_postgres: Postgres, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    """On a database of it, with callers that do not wait long."""
    url = own_postgres.url(own_postgres.create())
    open_database(url, tmp_path, exclusive=False, busy_timeout_seconds=PATIENT).close()
    store = await insist(lambda: Store.open(url, folder=tmp_path, clock=clock, busy_timeout_seconds=IMPATIENT))
    await insist(lambda: store.ensure_sub_account("riders_hq"))
    yield store
    await store.close()


async def test_a_server_that_is_restarted_is_found_again(
    own_postgres: Postgres, own_store: Store, flow: Callflow
) -> None:
    own_postgres.stop()
    with pytest.raises(StorageUnavailable, match="away"):
        await own_store.accept_session("s1", "riders_hq", flow, 1.0)
    with pytest.raises(StorageUnavailable, match="away"):
        await own_store.find_session("s1")
    own_postgres.start()
    assert await unfinished(own_store) == []
    await insist(lambda: own_store.accept_session("s1", "riders_hq", flow, 1.0))
    assert await unfinished(own_store) == ["s1"]


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
async def test_what_was_acknowledged_before_the_server_was_killed_is_there(
    own_postgres: Postgres, own_store: Store, flow: Callflow, how: signal.Signals
) -> None:
    acknowledged: set[str] = set()
    refused: set[str] = set()
    enough = asyncio.Event()

    async def accept(session_id: str) -> None:
        try:
            await own_store.accept_session(session_id, "riders_hq", flow, 1.0)
        except StorageUnavailable:
            refused.add(session_id)
        else:
            acknowledged.add(session_id)
            if len(acknowledged) == 20:
                enough.set()

    async def keep_accepting(name: str) -> None:
        for number in range(200):
            await accept(f"{name}-{number}")
            if refused:
                return

    async def kill() -> None:
        await enough.wait()
        await asyncio.to_thread(own_postgres.kill if how is signal.SIGKILL else lambda: own_postgres.stop(how))

    await asyncio.gather(kill(), *(keep_accepting(f"s{number}") for number in range(8)))
    own_postgres.start()
    await insist(lambda: own_store.ensure_sub_account("drivers_hq"))  # what was unsure is settled before this
    there = set(await unfinished(own_store))
    assert there == acknowledged
    assert refused


async def test_a_server_that_hangs_is_left_and_found_again(
    own_postgres: Postgres, own_store: Store, flow: Callflow
) -> None:
    own_postgres.freeze()
    try:
        outcomes = await asyncio.gather(
            *(own_store.accept_session(f"s{number}", "riders_hq", flow, 1.0) for number in range(3)),
            own_store.find_session("s1"),
            return_exceptions=True,
        )
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        with pytest.raises(StorageUnavailable):
            await own_store.ensure_sub_account("drivers_hq")
    finally:
        own_postgres.thaw()
    assert await unfinished(own_store) == []
    await insist(lambda: own_store.accept_session("s1", "riders_hq", flow, 1.0))


async def test_closing_does_not_wait_for_a_server_that_hangs(own_postgres: Postgres, own_store: Store) -> None:
    own_postgres.freeze()
    try:
        change = asyncio.ensure_future(own_store.ensure_sub_account("drivers_hq"))
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await own_store.close()
        with pytest.raises(StorageUnavailable):
            await change
    finally:
        own_postgres.thaw()
