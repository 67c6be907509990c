"""PostgreSQL: how it is opened, what is kept from view, and several nodes on one database."""

import asyncio
import logging
import shutil
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from sqlalchemy import Connection, text
from tests.postgres import Postgres

from callwright.callflow.plan import Callflow
from callwright.callflow.summary import SessionSummary
from callwright.errors import StorageError, StorageUnavailable
from callwright.storage import accounts, event_log
from callwright.storage.event_log import NewEvent
from callwright.storage.opening import open_database
from callwright.storage.records import WebhookKind
from callwright.storage.schema import SCHEMA_REVISION
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace

PATIENT = 120.0
NOBODYS_URL = "postgresql://callwright:canary@127.0.0.1:1/callwright"


class Clock(Protocol):
    now: float

    def __call__(self) -> float: ...


OpenNode = Callable[[str], Awaitable[Store]]


@pytest.fixture
async def open_node(postgres_url: str, tmp_path: Path, clock: Clock) -> AsyncIterator[OpenNode]:
    """Opens the test's database on nodes with a data folder each, and one key of secrets."""
    async with AsyncExitStack() as stack:
        keys: list[Path] = []

        async def open_one(name: str) -> Store:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            if keys and keys[0].parent != folder:
                shutil.copy(keys[0], folder)
            store = await Store.open(
                postgres_url, folder=folder, clock=clock, busy_timeout_seconds=PATIENT, node_id=name
            )
            keys.append(folder / "secrets.key")
            stack.push_async_callback(store.close)
            return store

        yield open_one


@pytest.fixture
async def nodes(open_node: OpenNode) -> tuple[Store, Store]:
    """Two of them, with the sub-account riders_hq."""
    one, other = await open_node("one"), await open_node("other")
    await one.ensure_sub_account("riders_hq")
    return one, other


# --- opening ---------------------------------------------------------------------------------------------------------


async def test_commits_are_on_the_servers_disk_and_nothing_waits_for_long(
    nodes: tuple[Store, Store],
) -> None:
    def settings(connection: Connection) -> list[object]:
        names = ("synchronous_commit", "lock_timeout", "statement_timeout", "default_transaction_isolation")
        return [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]

    assert await nodes[0]._changes.run(settings) == ["on", "1min", "3min", "read committed"]
    assert await nodes[0]._questions.run(settings) == ["on", "1min", "3min", "repeatable read"]


def test_nodes_that_start_at_once_migrate_once(postgres: Postgres, tmp_path: Path) -> None:
    name = postgres.create()

    def open_one(number: int) -> None:
        open_database(postgres.url(name), tmp_path / str(number), exclusive=True, busy_timeout_seconds=PATIENT).close()

    with ThreadPoolExecutor(4) as nodes:
        list(nodes.map(open_one, range(4)))
    with psycopg.connect(postgres.url(name)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMA_REVISION,)]
    postgres.drop(name)


async def test_a_newer_schema_is_refused_and_left_alone(postgres_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match=r"schema 9999.*newer"):
        await Store.open(postgres_url, folder=tmp_path)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


async def test_a_data_folder_has_one_server_and_the_database_several(open_node: OpenNode) -> None:
    await open_node("one")
    with pytest.raises(StorageError, match=r"data folder .*one is in use by process"):
        await open_node("one")
    await open_node("other")


async def test_a_node_without_the_key_of_the_others_is_told_where_to_get_it(
    nodes: tuple[Store, Store], postgres_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "newcomer"
    with pytest.raises(StorageError, match=r"there is no .*newcomer/secrets\.key: copy it from a node"):
        await Store.open(postgres_url, folder=folder)
    assert not (folder / "secrets.key").exists()  # a wrong one would be in the way of the right one
    stranger = await Store.open(f"sqlite:///{tmp_path}/stranger/callwright.db")
    await stranger.close()
    with pytest.raises(StorageError, match=r"is not the key that the secrets in this database are sealed with"):
        await Store.open(postgres_url, folder=tmp_path / "stranger")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://callwright:canary@[::1/callwright",
        "postgresql://callwright:cana%zz@127.0.0.1/callwright",
        "postgresql://callwright:canary@127.0.0.1/callwright?colour=canary",
    ],
)
async def test_a_url_that_cannot_be_read_is_not_quoted(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be read\. Write postgresql://") as complaint:
        await Store.open(url, folder=tmp_path)
    assert "cana" not in str(complaint.value)
    assert complaint.value.__suppress_context__


async def test_a_server_that_is_not_there_is_named_and_the_password_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StorageUnavailable, match="the database is away: connection failed") as complaint:
        await Store.open(NOBODYS_URL, folder=tmp_path)
    assert "canary" not in caplog.text + "".join(traceback.format_exception(complaint.value))


async def test_what_a_refused_row_held_is_in_no_error(nodes: tuple[Store, Store]) -> None:
    def written_twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(text("INSERT INTO trunks VALUES ('name', 'canary', 1.0)"))

    with pytest.raises(StorageError, match="duplicate key") as complaint:
        await nodes[0]._change(written_twice)
    assert "(name)" not in str(complaint.value)
    with pytest.raises(StorageError, match="violates check constraint") as complaint:
        await nodes[0]._change(
            lambda connection: connection.execute(text("INSERT INTO nodes VALUES ('id', 'canary', NULL, 1, 1, 'SICK')"))
        )
    assert "canary" not in str(complaint.value)


# --- several nodes ---------------------------------------------------------------------------------------------------


async def test_what_one_node_writes_the_others_see_and_only_its_owner_goes_on_with(
    nodes: tuple[Store, Store], flow: Callflow, summary_of: Callable[[str], SessionSummary]
) -> None:
    one, other = nodes
    await one.accept_session("s1", "riders_hq", flow, 1.0)
    with pytest.raises(StorageError, match="another node's"):
        await other.record_dial_intent("s1", "leg-1", "id", "carrier", 2.0)
    await one.record_dial_intent("s1", "leg-1", "id", "carrier", 2.0)
    seen = await other.find_session("s1")
    assert seen is not None
    assert [intent.leg_id for intent in seen.dial_intents] == ["leg-1"]
    ends = await asyncio.gather(
        *(node.finish_session(summary_of("s1"), b"{}", Trace("s1"), 3.0) for node in (one, one, other)),
        return_exceptions=True,
    )
    assert sorted(ends[:2]) == [False, True]  # type: ignore[type-var]  # an error would not be one of those either
    assert ends[2] is not True
    with pytest.raises(StorageError, match="finished"):
        await one.record_dial_intent("s1", "leg-2", "id", "carrier", 4.0)


async def test_of_two_nodes_that_write_one_key_at_once_both_are_content(nodes: tuple[Store, Store]) -> None:
    one, other = nodes
    gate, written = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        accounts.add_key(connection, "a-preset-key", "riders_hq", "slow", (), 1.0)
        written.set()
        gate.wait()

    first = asyncio.create_task(one._change(slow))
    await asyncio.to_thread(written.wait)
    second = asyncio.create_task(other.adopt_key("a-preset-key", "riders_hq", "quick"))
    while not await one._ask(is_waited_for):  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(first, second)
    assert [key.name for key in await other.list_keys()] == ["slow"]


def is_waited_for(connection: Connection) -> bool:
    """Whether a transaction waits for another one's end."""
    return bool(connection.execute(text("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")).scalar_one())


async def test_nodes_that_wait_for_each_other_crosswise_both_finish(open_node: OpenNode) -> None:
    one, other = await open_node("one"), await open_node("other")
    for account in ("riders_hq", "drivers_hq"):
        await one.ensure_sub_account(account)
    both_have_one = threading.Barrier(2)

    def take(*sub_account_ids: str) -> Callable[[Connection], None]:
        met: list[None] = []

        def work(connection: Connection) -> None:
            for sub_account_id in sub_account_ids:
                accounts.lock_sub_account(connection, sub_account_id)
                if not met:  # the first time only: who is run again has it to itself
                    met.append(None)
                    both_have_one.wait()

        return work

    await asyncio.gather(one._change(take("riders_hq", "drivers_hq")), other._change(take("drivers_hq", "riders_hq")))


async def test_who_has_read_events_up_to_a_number_has_missed_none(nodes: tuple[Store, Store]) -> None:
    one, other = nodes
    await one.ensure_sub_account("drivers_hq")

    def happens(account: str, event_id: str) -> Callable[[Connection], None]:
        return lambda connection: event_log.note(connection, NewEvent(account, event_id, "VSS", None, 1.0, b""))

    async def write(node: Store, name: str) -> None:
        for number in range(40):
            accounts_in_turn = ("riders_hq", "drivers_hq")[:: 1 if number % 2 else -1]
            await asyncio.gather(*(node._change(happens(each, f"{name}-{number}")) for each in accounts_in_turn))

    async def read(node: Store) -> list[int]:
        seen: list[int] = []
        while len(seen) < 80:
            seen += [each.number for each in await node.events_after("riders_hq", seen[-1] if seen else 0, 100)]
        return seen

    *_, seen = await asyncio.gather(write(one, "one"), write(other, "other"), read(one))
    assert seen == list(range(1, 81))


async def test_an_event_is_sent_by_one_node_until_its_claim_runs_out(
    nodes: tuple[Store, Store], flow: Callflow, summary_of: Callable[[str], SessionSummary], clock: Clock
) -> None:
    one, other = nodes
    await one.put_webhook("riders_hq", WebhookKind.VSS, "https://hooks.example.com/", None)
    await one.accept_session("s1", "riders_hq", flow, 1.0)
    await one.finish_session(summary_of("s1"), b"{}", Trace("s1"), 2.0)
    (event,) = await other.due_deliveries("riders_hq", "VSS", 9)
    claims = await asyncio.gather(
        *(node.claim_delivery(event.delivery_id, 0, 60.0) for node in (one, other, one, other))
    )
    assert sorted(claims) == [False, False, False, True]
    assert await other.due_deliveries("riders_hq", "VSS", 9) == ()
    clock.now += 61
    assert len(await other.due_deliveries("riders_hq", "VSS", 9)) == 1
    assert await other.claim_delivery(event.delivery_id, 0, 60.0)
    await other.record_attempt(
        event.delivery_id, number=1, at=3.0, host="h", status=500, error=None, elapsed_ms=1, delivered=False,
        next_attempt_at=clock(),
    )  # fmt: skip
    assert not await one.claim_delivery(event.delivery_id, 0, 60.0)  # it was tried since one looked
    assert await one.claim_delivery(event.delivery_id, 1, 60.0)


async def test_an_export_is_written_by_one_node_until_its_claim_runs_out(
    nodes: tuple[Store, Store], clock: Clock
) -> None:
    one, other = nodes
    export = await one.create_export("riders_hq", 0.0, 1.0, 0)
    assert export is not None
    assert await one.start_next_export() is not None
    assert await other.start_next_export() is None
    assert not await other.add_export_piece(export.job_id, 0, "not mine")
    assert await one.add_export_piece(export.job_id, 0, "mine")
    clock.now += 61
    assert await other.start_next_export() is not None
    assert not await one.add_export_piece(export.job_id, 1, "too late")


async def test_what_a_node_had_claimed_is_free_when_it_is_gone(
    nodes: tuple[Store, Store], flow: Callflow, summary_of: Callable[[str], SessionSummary], clock: Clock
) -> None:
    one, other = nodes
    await one.begin_node("the-one", "one", None)
    await one.put_webhook("riders_hq", WebhookKind.VSS, "https://hooks.example.com/", None)
    await one.accept_session("s1", "riders_hq", flow, 1.0)
    await one.finish_session(summary_of("s1"), b"{}", Trace("s1"), 2.0)
    (event,) = await one.due_deliveries("riders_hq", "VSS", 9)
    await one.create_export("riders_hq", 0.0, 1.0, 0)
    assert await one.claim_delivery(event.delivery_id, 0, 60.0)
    assert await one.start_next_export() is not None
    assert await other.due_deliveries("riders_hq", "VSS", 9) == ()
    await other._change(lambda connection: connection.execute(text("UPDATE nodes SET lease_until = 0")))
    assert await other.bury_nodes() == 1
    assert await other.claim_delivery(event.delivery_id, 0, 60.0)
    assert await other.start_next_export() is not None


async def test_recordings_are_seen_where_their_file_is_and_at_every_start(
    nodes: tuple[Store, Store], open_node: OpenNode, flow: Callflow
) -> None:
    one, other = nodes
    await one.accept_session("s1", "riders_hq", flow, 1.0)
    await one.begin_recording("r1", "s1", "riders_hq", "leg-1", 2.0, "/spool/r1.wav")
    assert [each.recording_id for each in await one.unready_recordings()] == ["r1"]
    assert await other.unready_recordings() == ()
    await one.recording_ready("r1", "/spool/r1.wav", 1.0)
    assert await other.due_recordings(9) == ()
    await one.close()
    again = await open_node("one")
    assert [each.recording_id for each in await again.due_recordings(9)] == ["r1"]
    assert [each.recording_id for each in await other.recordings_of("s1")] == ["r1"]
