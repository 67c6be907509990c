"""Migrations give the schema that the code was written for, and every query is PostgreSQL's as well."""

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Dialect, create_engine, create_mock_engine, text
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.expression import ClauseElement, Executable

from callwright.callflow.plan import Callflow, MakeCall
from callwright.contract.session_list import PagePosition, SessionQuery
from callwright.storage import accounts, editions, exports, outbox, recordings, sessions, verifications, virtual_numbers
from callwright.storage.migrate import configuration
from callwright.storage.prepared import Prepared
from callwright.storage.records import DialIntent, encode_callflow
from callwright.storage.schema import SCHEMA_REVISION, metadata
from callwright.storage.store import Store

QUERIES = {
    f"{module.__name__.rpartition('.')[2]}.{name}": query
    for module in (accounts, editions, exports, outbox, recordings, sessions, verifications, virtual_numbers)
    for name, kept in vars(module).items()
    for query in [kept.statement if isinstance(kept, Prepared) else kept]
    if isinstance(query, Executable) and isinstance(query, ClauseElement)
}


def dialect(url: str, **options: str) -> Dialect:
    return create_mock_engine(url, lambda *_: None, **options).dialect


SQLITE = dialect("sqlite://")
NAMED = dialect("sqlite://", paramstyle="named")
POSTGRESQL = dialect("postgresql://")


def ddl_of(path: Path) -> dict[str, str]:
    """Each table's and index's own text, spaces aside."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    quoted = str.maketrans({"\t": " ", '"': None})  # SQLite quotes the names of tables that were renamed
    return {name: " ".join(sql.translate(quoted).split()) for name, sql in rows if name != "alembic_version"}


def parts(sql: str) -> set[str]:
    """A table's columns and constraints, whose order means nothing: columns that are added come last."""
    inside = sql.partition("(")[2].rpartition(")")[0]
    found, depth = [""], 0
    for character in inside:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            found.append("")
        else:
            found[-1] += character
    return {part.strip() for part in found}


async def test_migrating_an_empty_database_gives_the_schema_of_the_code(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/migrated.db")
    await store.close()
    engine = create_engine(f"sqlite:///{tmp_path}/direct.db")
    metadata.create_all(engine)
    engine.dispose()
    migrated, direct = ddl_of(tmp_path / "migrated.db"), ddl_of(tmp_path / "direct.db")
    assert migrated.keys() == direct.keys()
    for name, sql in direct.items():
        assert parts(migrated[name]) == parts(sql), name


def test_the_newest_migration_is_the_revision_that_the_code_was_written_for() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == SCHEMA_REVISION


def test_there_are_queries_to_look_at() -> None:
    assert {"outbox.LANES", "sessions.FINISH", "accounts.REVOKE_KEY"} <= QUERIES.keys()


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_can_be_said_to_both_databases(name: str) -> None:
    for said_to in (SQLITE, POSTGRESQL):
        assert str(QUERIES[name].compile(dialect=said_to))


@pytest.mark.parametrize(
    "upsert",
    [
        accounts.ENSURE_SUB_ACCOUNT,
        editions.NEXT_EDITION,
        accounts.PUT_WEBHOOK,
        recordings.PUT_CONFIG,
        sessions.NOTE_DESTINATION,
    ],
)
def test_upserts_are_known_in_both_dialects(upsert: dict[str, ClauseElement]) -> None:
    for said_to in (SQLITE, POSTGRESQL):
        assert "ON CONFLICT" in str(upsert[said_to.name].compile(dialect=said_to))


def test_the_tables_can_be_made_in_postgresql() -> None:
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=POSTGRESQL))
        for index in table.indexes:
            assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=POSTGRESQL))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("outbox.LANES", "ix_deliveries_due"),
        ("outbox.DUE_OF_ENDPOINT", "ix_deliveries_due"),
        ("outbox.HOLD", "ix_deliveries_due"),
        ("outbox.RELEASE", "ix_deliveries_held"),
        ("outbox.MAKE_DUE", "ix_deliveries_session_id"),
        ("sessions.OPEN_SESSIONS", "ix_sessions_open"),
        ("sessions.RECENT_SESSIONS", "ix_sessions_accepted_at"),
        ("sessions.INTENTS", "ix_dial_intents_session_id"),
        ("sessions.FINISHED_SESSIONS", "ix_sessions_of"),
        ("outbox.WAITING", "ix_deliveries_due"),
        ("recordings.DUE_RECORDINGS", "ix_recordings_open"),
        ("recordings.UNREADY_RECORDINGS", "ix_recordings_open"),
        ("recordings.RECORDINGS_OF", "ix_recordings_session_id"),
        ("exports.NEXT_EXPORT", "ix_exports_open"),
        ("exports.OPEN_EXPORTS_OF", "ix_exports"),
        ("virtual_numbers.NUMBERS_OF", "ix_virtual_numbers_sub_account_id"),
        ("verifications.LAST_WAITING", "ix_verifications_waiting"),
    ],
)
async def test_queries_that_meet_large_tables_use_their_index(name: str, index: str, tmp_path: Path) -> None:
    plan = await plan_of(QUERIES[name], tmp_path)
    assert index in plan
    scans = [step for step in plan.split("; ") if step.startswith("SCAN") and "INDEX" not in step]
    assert set(scans) <= {"SCAN webhooks", "SCAN anon_1"}  # few; what is counted


PAGES = {
    "all": (SessionQuery(), "ix_sessions_of"),
    "live": (SessionQuery(status="IN_PROGRESS"), "ix_sessions_of_status"),
    "of a status": (SessionQuery(status="BUSY", from_at=1.0), "ix_sessions_of_status"),
    "the next ones": (SessionQuery(to_at=9.0, after=PagePosition(5.0, "s")), "ix_sessions_of"),
    "to a number": (
        SessionQuery(destination="+6512345678", after=PagePosition(5.0, "s")),
        "ix_sessions_of_destination",
    ),
    "to a further one": (SessionQuery(destination="+6512345678", to_at=9.0), "session_destinations_1"),
}


@pytest.mark.parametrize(("wanted", "index"), PAGES.values(), ids=PAGES)
async def test_pages_of_sessions_are_read_in_the_order_of_an_index(
    wanted: SessionQuery, index: str, tmp_path: Path
) -> None:
    plan = await plan_of(sessions.page_query(wanted, further="session_destinations" in index), tmp_path)
    assert f"{index} (" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan  # no sorting


async def plan_of(query: ClauseElement, folder: Path) -> str:
    """How SQLite goes about it."""
    store = await Store.open(f"sqlite:///{folder}/callwright.db")
    await store.close()
    compiled = query.compile(dialect=NAMED)
    connection = sqlite3.connect(folder / "callwright.db")
    parameters = {**compiled.params, "most": 1, "param_1": 1}
    steps = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", parameters).fetchall()
    connection.close()
    return "; ".join(str(step[3]) for step in steps)


def write_first_version(path: Path) -> None:
    """A database as the first version left it: a finished session, its event and the tries of it."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0001")
        for statement in (
            "INSERT INTO sub_accounts VALUES ('riders_hq', 1.0)",
            "INSERT INTO webhooks VALUES ('riders_hq', 'VSS', 'https://hooks.example.com/', 1, NULL, 1.0)",
            "INSERT INTO sessions VALUES ('s1', 'riders_hq', 'DIALLED', 'r1', :flow, 5.0, NULL, NULL, NULL, NULL)",
            "INSERT INTO dial_intents VALUES ('leg-1', 's1', 'call-id', 'carrier', 6.0)",
            "INSERT INTO deliveries VALUES ('d1', 'evt_1', 'riders_hq', 's1', 'VSS', 'DUE', x'7b7d', 1, 7.0, 8.0)",
            "INSERT INTO delivery_attempts VALUES ('d1', 1, 7.5, 'hooks.example.com', 500, NULL, 12)",
        ):
            flow = Callflow((MakeCall("+6512345678", "+6587654321"),), "r1")
            needs = {"flow": encode_callflow(flow)} if ":flow" in statement else {}
            connection.execute(text(statement), needs)
    engine.dispose()


async def test_what_the_first_version_wrote_is_there_after_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "callwright.db"
    write_first_version(path)
    store = await Store.open(f"sqlite:///{path}")
    (session,) = await store.list_sessions("riders_hq", SessionQuery(destination="+6587654321"))
    assert session.dial_intents == (DialIntent("leg-1", "s1", "call-id", "carrier", 6.0),)
    (event,) = await store.deliveries_of("s1")
    assert (event.event_id, [attempt.status for attempt in event.attempts]) == ("evt_1", [500])
    (due,) = await store.due_deliveries("riders_hq", "VSS", 9)
    assert (due.attempts, due.next_attempt_at) == (1, 8.0)
    (webhook,) = await store.list_webhooks("riders_hq")
    assert webhook.payload_version == 3
    await store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
