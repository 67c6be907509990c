"""The embedded database: a file in the data folder, one connection that writes and one that reads.

It runs with a write-ahead log and `synchronous=FULL`: a commit is on the disk when it returns. Writers say
`BEGIN IMMEDIATE`, so that waiting for another process happens at the start of a transaction and not in its middle.
"""

import os
import time
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage.database import Database, FolderLock, migrate, revision_of
from callwright.storage.faults import translated
from callwright.storage.prepared import run_text
from callwright.storage.schema import SCHEMA_REVISION

CACHE_KIB: Final = 16_384
"""Pages kept in memory by each connection; the 2 MiB of the default make a busy database read its indexes again."""
MIGRATION_WAIT_SECONDS: Final = 5.0
MIGRATION_POLL_SECONDS: Final = 0.05


def open_sqlite(
    url: str,
    *,
    exclusive: bool,
    busy_timeout_seconds: float,
    migration_wait_seconds: float = MIGRATION_WAIT_SECONDS,
) -> Database:
    """Open (and make, and migrate) the database at `url`, such as `sqlite:///callwright-data/callwright.db`.

    `exclusive` is for the one server; other commands open the same database beside it, and wait
    `migration_wait_seconds` when somebody else is about to migrate it. Raises StorageError when the
    URL is not one we can serve, the data folder is taken, or the schema is newer than this program;
    StorageUnavailable when the database is locked, full or out of reach.
    """
    path = _path_of(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # the log beside it takes its mode over
        lock = FolderLock(path)
        if exclusive and not lock.acquire():
            raise taken(lock)
    except OSError as error:
        raise StorageUnavailable(f"the database {path} cannot be opened: {error.strerror}") from error
    address = URL.create("sqlite", database=str(path))
    write = _engine(address, "BEGIN IMMEDIATE", busy_timeout_seconds, read_only=False)
    read = _engine(address, "BEGIN", busy_timeout_seconds, read_only=True)
    database = Database(path.parent, write, read, lock)
    try:
        with translated():
            _bring_up_to_date(database, path, None if exclusive else migration_wait_seconds)
    except BaseException:
        database.close()
        raise
    return database


def taken(lock: FolderLock) -> StorageError:
    """What to say when another server has the data folder."""
    folder = lock.path.parent
    return StorageError(
        f"the data folder {folder} is in use by {lock.holder()}; stop that, or choose another with --data"
    )


def _path_of(url: str) -> Path:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise StorageError("the database URL is not one; write sqlite:///FOLDER/callwright.db") from error
    if address.query or address.database in {None, "", ":memory:"} or str(address.database).startswith("file:"):
        raise StorageError("the database must be a plain file: sqlite:///FOLDER/callwright.db")
    return Path(str(address.database)).absolute()


def _engine(address: URL, begin: str, busy_timeout_seconds: float, *, read_only: bool) -> Engine:
    engine = create_engine(
        address,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,  # error texts go to logs; parameters are numbers, texts and secrets
        connect_args={"timeout": busy_timeout_seconds},
    )

    def set_up(connection: SqliteConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; `begin` below does
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if read_only:
            connection.execute("PRAGMA query_only = ON")

    def start(connection: Connection) -> None:
        run_text(connection, begin)

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", start)
    return engine


def _bring_up_to_date(database: Database, path: Path, wait_seconds: float | None) -> None:
    """Migrate when needed. Whoever migrates holds the folder's lock, so no running server loses its schema.

    `wait_seconds` is how long to wait for the lock and for whoever has it; None when it is ours already.
    """
    if revision_of(database.write) == SCHEMA_REVISION:
        return
    lock = database.lock
    if wait_seconds is not None:
        give_up_at = time.monotonic() + wait_seconds
        while not lock.acquire():
            if revision_of(database.write) == SCHEMA_REVISION:  # the holder was about to migrate itself
                return
            if time.monotonic() > give_up_at:
                raise StorageError(
                    f"the database {path} is of another version and in use by {lock.holder()}; stop that first"
                )
            time.sleep(MIGRATION_POLL_SECONDS)
    try:
        migrate(database.write)
    finally:
        if wait_seconds is not None:
            lock.release()
