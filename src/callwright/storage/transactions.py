"""Group commit: one thread, one connection, and everything that waits shares one transaction and one fsync.

While a commit waits for the disk, the next requests gather; they become the next batch. A batch runs as if each
request were alone in it: should one fail, the batch is rolled back and run again with a savepoint around each request,
so that the failing one fails alone. (Savepoints around every request from the start cost five times the insert that
they guard.) A database that is away, locked or full fails the whole batch, of which nothing is written.

Requests are therefore functions of a connection that touch nothing else and may be called twice. Questions run the
same way on a second thread and connection: a transaction and a change of threads cost several times a small query.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage.faults import storage_error, translated

T = TypeVar("T")

MOST_IN_ONE: Final = 256
MOST_WAITING: Final = 20_000
"""With more than this waiting, new requests are refused at once: the disk does not keep up."""


@dataclass(slots=True)
class Request:
    """One request on its way: what to do, who waits, and how it went."""

    work: Callable[[Connection], object]
    future: "asyncio.Future[Any]"
    "typed by `Transactions.run`, which made it"
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


def run_batch(connection: Connection, batch: list[Request]) -> None:
    """Run a batch to its end: afterwards each request has its result, durably, or its error.

    Raises StorageUnavailable when the database is away, locked or full; then nothing of the batch is written.
    """
    with translated():
        if len(batch) == 1 or not _run_together(connection, batch):
            _run_guarded(connection, batch)


def _run_together(connection: Connection, batch: list[Request]) -> bool:
    """The fast way, without savepoints. False when a request failed, and nothing was written."""
    try:
        with connection.begin(), translated():
            for request in batch:
                request.result = request.work(connection)
    except StorageUnavailable:
        raise
    except StorageError:
        return False
    return True


def _run_guarded(connection: Connection, batch: list[Request]) -> None:
    """The careful way: a savepoint around each request, so that one that fails takes nobody along."""
    with connection.begin():
        for request in batch:
            try:
                with connection.begin_nested():
                    request.result = request.work(connection)
            except StorageUnavailable:
                raise
            except StorageError as error:
                request.error = error
            except SQLAlchemyError as error:
                request.error = storage_error(error)
                if isinstance(request.error, StorageUnavailable):
                    raise


class Transactions:
    """One thread with one connection, and the requests that wait for it. Used on the event loop's thread."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: Connection | None = None
        "made, used and closed on the thread"
        self._waiting: list[Request] = []
        self._busy = False
        self._closing: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for the next batch."""
        return len(self._waiting)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; durable when this returns.

        Raises StorageUnavailable (nothing was written, trying later may work) or StorageError. Cancelling the wait
        does not undo the write.
        """
        if self._closing is not None:
            raise StorageError("the store is closed")
        if len(self._waiting) >= MOST_WAITING:
            raise StorageUnavailable(f"{MOST_WAITING} requests are waiting: the disk does not keep up")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Request(work, future))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._begin)  # soon, so that everybody of this turn of the loop comes along
        return await future

    async def close(self) -> None:
        """Finish what waits, then close the connection and end the thread."""
        if self._closing is None:
            self._closing = self._loop.create_future()
            if not self._busy:
                self._closing.set_result(None)
        await asyncio.shield(self._closing)
        await self._loop.run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    def _begin(self) -> None:
        batch, self._waiting = self._waiting[:MOST_IN_ONE], self._waiting[MOST_IN_ONE:]
        done = self._loop.run_in_executor(self._thread, self._run, batch)
        done.add_done_callback(partial(self._finish, batch))

    def _finish(self, batch: list[Request], done: "asyncio.Future[None]") -> None:
        failure = done.exception()
        for request in batch:
            request.error = failure or request.error
            request.settle()
        if self._waiting:
            self._begin()
            return
        self._busy = False
        if self._closing is not None:
            self._closing.set_result(None)

    def _run(self, batch: list[Request]) -> None:
        if self._connection is None:
            with translated():
                self._connection = self._engine.connect()
        run_batch(self._connection, batch)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
