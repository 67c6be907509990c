"""Requests to the database, and how a batch of them becomes one transaction.

A batch runs as if each request were alone in it: should one fail, the batch is rolled back and run again with a
savepoint around each request, so that the failing one fails alone. (Savepoints around every request from the start
cost five times the insert that they guard.) A database that is away, locked or full fails the whole batch, of which
nothing is written. Requests are therefore functions of a connection that touch nothing else and may be called twice.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RootTransaction
from sqlalchemy.exc import DBAPIError

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage import event_log
from callwright.storage.faults import CommitUnsure, Taken, translated

KNOWS_COMMITS: Final = "callwright_knows_commits"
"""In `Connection.info`: the database can be asked afterwards whether a transaction was committed (PostgreSQL)."""
THIS_TRANSACTION: Final = "SELECT CAST(pg_current_xact_id_if_assigned() AS text)"


@dataclass(slots=True)
class Request:
    """One request on its way: what to do, who waits, and how it went."""

    work: Callable[[Connection], object]
    future: "asyncio.Future[Any]"
    "typed by `Transactions.run`, which made it"
    undo: Callable[[Connection], object] | None = None
    "takes back what `work` did, should it turn out written after it was answered that nothing was"
    asked_at: float = 0.0
    "on the loop's clock"
    until: float = float("inf")
    "when it must have its answer, on the loop's clock"
    result: object = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell the one who waits. One who was cancelled is gone; what is written stays written."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def run_batch(connection: Connection, batch: Sequence[Request]) -> None:
    """Run a batch to its end: afterwards each request has its result, durably, or its error.

    Raises StorageUnavailable when the database is away, locked or full; then nothing of the batch is written, but for
    CommitUnsure.
    """
    with translated():
        if len(batch) == 1:
            _run_alone(connection, batch[0])
        elif not _run_together(connection, batch):
            _run_guarded(connection, batch)


def _run_alone(connection: Connection, request: Request) -> None:
    """One that is alone needs no savepoint: the transaction is its own."""
    request.error = None
    try:
        with _transaction(connection):
            request.result = request.work(connection)
            event_log.write(connection)
    except StorageUnavailable:
        raise
    except Taken:
        _run_guarded(connection, [request])
    except StorageError as error:
        request.error = error


def _run_together(connection: Connection, batch: Sequence[Request]) -> bool:
    """The fast way, without savepoints. False when a request failed, and nothing was written."""
    try:
        with _transaction(connection):
            for request in batch:
                request.error = None
                request.result = request.work(connection)
            event_log.write(connection)
    except StorageUnavailable:
        raise
    except StorageError:
        return False
    return True


def _run_guarded(connection: Connection, batch: Sequence[Request]) -> None:
    """The careful way: a savepoint around each request, so that one that fails takes nobody along."""
    with _transaction(connection):
        for request in batch:
            request.error = _guarded(connection, request)
            if isinstance(request.error, Taken):
                request.error = _guarded(connection, request)  # who looked before it wrote sees now what was faster


def _guarded(connection: Connection, request: Request) -> StorageError | None:
    """Run one within a savepoint; its error, or None."""
    event_log.forget(connection)
    try:
        with translated(), connection.begin_nested():
            request.result = request.work(connection)
            event_log.write(connection)
    except StorageUnavailable:
        raise
    except StorageError as error:
        return error
    return None


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """A transaction around what is inside. CommitUnsure when the connection breaks at the very end."""
    with connection.begin() as transaction:
        event_log.forget(connection)
        with translated():
            yield
        transaction_id: str | None = None
        if connection.info.get(KNOWS_COMMITS):
            transaction_id = connection.exec_driver_sql(THIS_TRANSACTION).scalar_one()  # None: nothing was written
        try:
            transaction.commit()
        except DBAPIError as error:
            if transaction_id is not None and error.connection_invalidated:
                raise CommitUnsure(transaction_id) from None
            _let_go(connection, transaction)
            raise


def _let_go(connection: Connection, transaction: RootTransaction) -> None:
    """After a commit that failed, as on a full disk: SQLAlchemy keeps the transaction until it is told, and of what
    failed at the commit the database may do so too."""
    transaction.rollback()
    if not connection.invalidated:
        try:
            connection.connection.rollback()
        except connection.dialect.loaded_dbapi.Error:  # it broke just now
            connection.invalidate()
