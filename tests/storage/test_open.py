"""Opening a database: settings, the one server on a folder, versions, and what cannot be opened."""

import fcntl
import os
import sqlite3
import stat
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Connection

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage import accounts
from callwright.storage.schema import SCHEMA_REVISION
from callwright.storage.sqlite import open_sqlite
from callwright.storage.store import Store


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True) -> Store: ...


async def test_commits_are_on_the_disk_and_references_are_kept(store: Store, database: Path) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await store._changes.run(pragmas) == ["wal", 2, 1, 900]
    assert await store._questions.run(pragmas) == ["wal", 2, 1, 900]


async def test_questions_cannot_change_anything(store: Store) -> None:
    with pytest.raises(StorageError, match=r"read-?only"):
        await store._questions.run(lambda connection: accounts.ensure_sub_account(connection, "sneaked_in", 1.0))
    assert not await store.has_sub_account("sneaked_in")


async def test_everything_in_the_folder_is_its_owners_only(store: Store, database: Path) -> None:
    await store.find_session("s1")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.parent.iterdir()}
    assert {"callwright.db", "callwright.db-wal", "callwright.db.lock", "secrets.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700


async def test_a_second_server_on_the_folder_is_refused_by_the_pid_of_the_first(
    store: Store, open_store: OpenStore
) -> None:
    with pytest.raises(StorageError, match=f"in use by process {os.getpid()}; .*--data"):
        await open_store()
    assert await store.has_sub_account("riders_hq")
    await store.close()
    again = await open_store()
    assert await again.has_sub_account("riders_hq")


async def test_commands_open_the_database_beside_the_server_and_see_its_changes(
    store: Store, open_store: OpenStore
) -> None:
    commands = await open_store(exclusive=False)
    assert await commands.has_sub_account("riders_hq")
    await commands.ensure_sub_account("made_by_command")
    assert await store.has_sub_account("made_by_command")


async def test_a_command_may_come_first_and_leaves_the_folder_to_the_server(open_store: OpenStore) -> None:
    commands = await open_store(exclusive=False)
    await commands.ensure_sub_account("riders_hq")
    server = await open_store()
    assert await server.has_sub_account("riders_hq")


async def test_opening_again_keeps_what_is_there(store: Store, open_store: OpenStore, database: Path) -> None:
    await store.close()
    again = await open_store()
    assert await again.has_sub_account("riders_hq")
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMA_REVISION,)]
    connection.close()


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_newer_schema_is_refused_and_left_alone(
    store: Store, open_store: OpenStore, database: Path, exclusive: bool
) -> None:
    await store.close()
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match=r"schema 9999.*newer"):
        await open_store(exclusive=exclusive)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    assert connection.execute("SELECT sub_account_id FROM sub_accounts").fetchall() == [("riders_hq",)]
    connection.close()


async def test_a_migration_that_fails_leaves_the_database_as_it_was(open_store: OpenStore, database: Path) -> None:
    database.parent.mkdir()
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("CREATE TABLE deliveries (mine TEXT)")  # the migration makes this one late
    with pytest.raises(StorageError, match="already exists"):
        await open_store()
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert tables == [("deliveries",)]


def test_a_command_does_not_migrate_under_a_server_that_runs(database: Path) -> None:
    database.parent.mkdir()
    with database.with_name("callwright.db.lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="another version and in use by process 4711"):
            open_sqlite(f"sqlite:///{database}", exclusive=False, busy_timeout_seconds=0.1, migration_wait_seconds=0.0)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("callwright.db", "not one; write postgresql://"),
        ("mysql://root:canary@localhost/callwright", "not one; write postgresql://"),
        ("sqlite://", "plain file"),
        ("sqlite:///:memory:", "plain file"),
        ("sqlite:///file:x?mode=ro&uri=true", "plain file"),
    ],
)
async def test_a_url_that_cannot_be_served_is_refused_with_what_to_write(url: str, complaint: str) -> None:
    with pytest.raises(StorageError, match=complaint):
        await Store.open(url)


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "callwright.db"
    path.write_bytes(b"a letter to my grandmother" * 100)
    with pytest.raises(StorageError, match="not a database"):
        await Store.open(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"a letter")


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        await Store.open(f"sqlite:///{tmp_path}/data/callwright.db")


async def test_after_a_failed_opening_the_folder_is_free(open_store: OpenStore, database: Path) -> None:
    database.parent.mkdir()
    key = database.with_name("secrets.key")
    key.write_bytes(b"short")
    key.chmod(0o600)
    with pytest.raises(StorageError, match="32 bytes"):
        await open_store()
    key.unlink()
    assert await (await open_store()).has_sub_account("riders_hq") is False
