"""What the database driver complains of, told apart: away, locked or full (try later), or wrong."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

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
    elif error.connection_invalidated:
        return StorageUnavailable(f"the database went away: {cause}")
    return StorageError(f"the database refused: {cause}")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise storage_error(error) from error
