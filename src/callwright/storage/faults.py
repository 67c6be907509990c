"""What the database drivers complain of, told apart: away, locked or full (try later), or wrong.

The text of an error goes to logs, so it never holds values: SQLAlchemy is told to hide them, and of what PostgreSQL
says only the first sentence is taken, because its details quote rows.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from callwright.errors import StorageError, StorageUnavailable

# Primary result codes of SQLite after which the same request may succeed later (sqlite.org/rescode.html).
PASSING = {
    sqlite3.SQLITE_BUSY: "locked by another process",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "not readable or writable (input/output error)",
    sqlite3.SQLITE_CANTOPEN: "not to be opened",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_PROTOCOL: "locked (protocol)",
}
PRIMARY_CODE = 0xFF

# Of PostgreSQL (its manual's appendix A, "PostgreSQL Error Codes"), the longest that fits counts.
CONFLICTS: Final = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, a lock that was not to be had in time: the same again may succeed at once."""
LOST: Final = ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "53300", "53400")
"""The connection or the server is gone, or has no room; another connection may find one that serves."""
UNIQUE_VIOLATION: Final = "23505"
PASSING_STATES: Final = ("53", "57014", "58", "25006")
"""Disk full, out of memory; took too long; input and output errors; only to be read for now."""


class Conflict(StorageUnavailable):
    """Somebody else's transaction was in the way; nothing was written, and the same again may succeed at once."""


class Lost(StorageUnavailable):
    """The connection is gone, or was not to be had; nothing was written."""


class Taken(StorageError):
    """A key is in use (SQLSTATE 23505). On PostgreSQL another node may have been faster, since we looked."""


class CommitUnsure(StorageUnavailable):
    """The connection broke while it committed: whether anything was written, only the database knows."""

    def __init__(self, transaction_id: str) -> None:
        super().__init__("the database went away while it wrote")
        self.transaction_id = transaction_id
        "for `pg_xact_status`"


def storage_error(error: SQLAlchemyError) -> StorageError:
    """The error of ours that stands for a driver's. The text never holds parameters, which may be secrets."""
    if not isinstance(error, DBAPIError):
        return StorageError(f"the database did not do it: {type(error).__name__}: {error}")
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)  # absent on errors that the Python driver raises by itself
        passing = PASSING.get(code & PRIMARY_CODE) if code is not None else None
        if passing is not None:
            return StorageUnavailable(f"the database is {passing}: {cause}")
        return StorageError(f"the database refused: {cause}")
    return _of_postgresql(error)


def _of_postgresql(error: DBAPIError) -> StorageError:
    """By its SQLSTATE; without one the trouble is with the connection."""
    cause = error.orig
    state = getattr(cause, "sqlstate", None) or ""
    said = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause).partition("\n")[0]
    if state in CONFLICTS:
        return Conflict(f"the database is locked by another node: {said}")
    # psycopg's own errors have no state; one that waited too long for a connection is a kind of OperationalError.
    is_broken = error.connection_invalidated or (not state and isinstance(error, OperationalError))
    if is_broken or state.startswith(LOST):
        return Lost(f"the database is away: {said}")
    if state == UNIQUE_VIOLATION:
        return Taken(f"the database refused: {said}")
    if state.startswith(PASSING_STATES):
        return StorageUnavailable(f"the database cannot now: {said}")
    return StorageError(f"the database refused: {said}")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except SQLAlchemyError as error:
        problem = storage_error(error)
        is_wordy = isinstance(error, DBAPIError) and not isinstance(error.orig, sqlite3.Error)
        raise problem from None if is_wordy else error  # what PostgreSQL says quotes rows: no log shall print it
