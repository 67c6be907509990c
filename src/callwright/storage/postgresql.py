"""PostgreSQL, for several nodes: the same tables and queries over psycopg, one connection that writes, a few that read.

A URL is libpq's own (`postgresql://USER@HOST/DATABASE?sslmode=verify-full`, several hosts, `passfile`, `service` …) and
is read by libpq alone; it may hold a password, so that it is in no error and no log.

A commit is on the server's disk when it returns (`synchronous_commit=on`), and the readers see a snapshot for each
batch of questions, as SQLite's do. Writers run at READ COMMITTED: a query that decides something locks what it read.
What waits for another node's lock, or takes too long, is ended by the server, and a transaction whose node fell silent
too, so that its locks stand in nobody's way.
"""

from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.pool import ConnectionPoolEntry

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage.batch import KNOWS_COMMITS
from callwright.storage.database import (
    DATABASE_NAME,
    Database,
    FolderLock,
    migrate,
    read_or_create_home_id,
    revision_of,
)
from callwright.storage.faults import translated
from callwright.storage.schema import SCHEMA_REVISION
from callwright.storage.sqlite import taken

READERS: Final = 3
WRITERS: Final = 3
"""One for changes, one for this node's lease, which must not wait behind them, and one that hears wake-ups."""
PREPARED: Final = 500
"""Statements that a connection keeps prepared; callwright has fewer."""
MIGRATION_LOCK: Final = 0x63_61_6C_6C_77_72_67_74
"""Of the advisory lock under which a node migrates: "callwrgt"."""
SILENT_SECONDS: Final = 10.0
"""How long a transaction may wait for its node's next word."""
DEFAULTS: Final = {
    "application_name": "callwright",
    "connect_timeout": "2",  # the least that libpq knows
    "target_session_attrs": "read-write",  # of several hosts, the one that is no standby
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
"""What a connection has unless its URL says otherwise."""


def open_postgresql(url: str, folder: Path, *, exclusive: bool, busy_timeout_seconds: float) -> Database:
    """Open (and migrate) the database at `url`; `folder` is the data folder, of this process alone if `exclusive`.

    Raises StorageError when the URL is not one, the folder is taken or the schema is newer than this program;
    StorageUnavailable when the server cannot be reached.
    """
    address = _address(url)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FolderLock(folder / DATABASE_NAME)
        if exclusive and not lock.acquire():
            raise taken(lock)
        home_id = read_or_create_home_id(folder)
    except OSError as error:
        raise StorageUnavailable(f"the data folder {folder} cannot be used: {error.strerror}") from error
    write = _engine(address, busy_timeout_seconds, connections=WRITERS, read_only=False)
    read = _engine(address, busy_timeout_seconds, connections=READERS, read_only=True)
    database = Database(
        folder, write, read, lock, home_id, readers=READERS, is_shared=True, limit_seconds=2 * busy_timeout_seconds
    )
    try:
        with translated():
            if revision_of(write) != SCHEMA_REVISION:
                migrate(write, _wait_to_migrate)
    except BaseException:
        database.close()
        raise
    return database


def _address(url: str) -> str:
    """The URL with our defaults. What libpq says of a wrong one may quote a password, and is not passed on."""
    try:
        written = conninfo_to_dict(url)
        return make_conninfo("", **{**DEFAULTS, **written})
    except psycopg.Error:
        raise StorageError(
            "the database URL cannot be read. Write postgresql://USER:PASSWORD@HOST/DATABASE, with % and two digits "
            "for signs such as @ : / in a password"
        ) from None


def _engine(address: str, busy_timeout_seconds: float, *, connections: int, read_only: bool) -> Engine:
    settings = {
        "client_min_messages": "error",
        "idle_in_transaction_session_timeout": f"{SILENT_SECONDS * 1000:.0f}",
        "jit": "off",  # the queries are small
        "lock_timeout": f"{busy_timeout_seconds * 500:.0f}",
        "statement_timeout": f"{busy_timeout_seconds * 1500:.0f}",
        "synchronous_commit": "on",
    }
    if read_only:
        settings |= {"default_transaction_isolation": "repeatable read", "default_transaction_read_only": "on"}
    set_up = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())

    def connect() -> psycopg.Connection:
        connection = psycopg.connect(address, autocommit=True)
        connection.execute(set_up.encode())
        connection.autocommit = False
        connection.prepared_max = PREPARED
        return connection

    def know_commits(_: psycopg.Connection, entry: ConnectionPoolEntry) -> None:
        entry.info[KNOWS_COMMITS] = not read_only

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # error texts go to logs; parameters are numbers, texts and secrets
        use_native_hstore=False,  # there is none, and looking for it costs a query
    )
    event.listen(engine, "connect", know_commits)
    return engine


def _wait_to_migrate(connection: Connection) -> None:
    """Several nodes may start at once: the first one migrates, the others wait for it."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
