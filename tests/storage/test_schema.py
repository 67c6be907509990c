"""Migrations give the schema that the code was written for, and every query is PostgreSQL's as well."""

import sqlite3
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Dialect, create_engine, create_mock_engine
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.expression import ClauseElement, Executable

from callwright.storage import accounts, editions, exports, outbox, passcodes, recordings, sessions, virtual_numbers
from callwright.storage.migrate import configuration
from callwright.storage.schema import SCHEMA_REVISION, metadata
from callwright.storage.store import Store

QUERIES = {
    f"{module.__name__.rpartition('.')[2]}.{name}": query
    for module in (accounts, editions, exports, outbox, passcodes, recordings, sessions, virtual_numbers)
    for name, query in vars(module).items()
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
    "upsert", [accounts.ENSURE_SUB_ACCOUNT, editions.NEXT_EDITION, accounts.PUT_WEBHOOK, recordings.PUT_CONFIG]
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
    ],
)
async def test_queries_that_meet_large_tables_use_their_index(name: str, index: str, tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/callwright.db")
    await store.close()
    compiled = QUERIES[name].compile(dialect=NAMED)
    connection = sqlite3.connect(tmp_path / "callwright.db")
    parameters = {**compiled.params, "most": 1, "param_1": 1}
    plan = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", parameters).fetchall()
    connection.close()
    assert any(index in str(step) for step in plan), plan
    assert not any("SCAN deliveries" in str(step) for step in plan), plan
