"""Group commit: one thread, one connection, and everything that waits shares one transaction and one fsync.

While a commit waits for the disk, the next requests gather; they become the next batch. A batch runs as if each
request were alone in it: should one fail, the batch is rolled back and run again with a savepoint around each request,
so that the failing one fails alone. (Savepoints around every request from the start cost five times the insert that
they guard.) A database that is away, locked or full fails the whole batch, of which nothing is written.

Who can wait says so: a request with patience is kept back for a moment, to share the commit of one without. A commit
costs more than most of what is in it, and of a session's four changes only two are waited for by somebody outside.

Requests are therefore functions of a connection that touch nothing else and may be called twice. Questions run the
same way on a second thread and connection: a transaction and a change of threads cost several times a small query.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage import event_log
from callwright.storage.faults import storage_error, translated

T = TypeVar("T")

MOST_IN_ONE: Final = 256
MOST_WAITING: Final = 20_000
"""With more than this waiting, new requests are refused at once: the disk does not keep up."""
PATIENCE_SECONDS: Final = 0.02
"""How long a patient request waits for company."""
ENOUGH_COMPANY: Final = 8
"""So many patient requests are company enough. Not more: as many tries of one webhook may wait to be written down."""


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
        if len(batch) == 1:
            _run_alone(connection, batch[0])
        elif not _run_together(connection, batch):
            _run_guarded(connection, batch)


def _run_alone(connection: Connection, request: Request) -> None:
    """One that is alone needs no savepoint: the transaction is its own."""
    try:
        with connection.begin(), translated():
            event_log.forget(connection)
            request.result = request.work(connection)
            event_log.write(connection)
    except StorageUnavailable:
        raise
    except StorageError as error:
        request.error = error


def _run_together(connection: Connection, batch: list[Request]) -> bool:
    """The fast way, without savepoints. False when a request failed, and nothing was written."""
    try:
        with connection.begin(), translated():
            event_log.forget(connection)
            for request in batch:
                request.result = request.work(connection)
            event_log.write(connection)
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
                event_log.forget(connection)
                with connection.begin_nested():
                    request.result = request.work(connection)
                    event_log.write(connection)
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
        self._name = name
        self._batches: SimpleQueue[list[Request] | None] = SimpleQueue()
        "for the thread; None is the last"
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        "made, used and closed on the thread"
        self._waiting: list[Request] = []
        self._urgent = False
        "somebody without patience is among those who wait"
        self._busy = False
        self._company: asyncio.TimerHandle | None = None
        "until when those who wait are kept back"
        self._closing: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for the next batch."""
        return len(self._waiting)

    async def run(self, work: Callable[[Connection], T], *, patient: bool = False) -> T:
        """Run `work` in a transaction; durable when this returns. A `patient` one may be kept back for a moment.

        Raises StorageUnavailable (nothing was written, trying later may work) or StorageError. Cancelling the wait
        does not undo the write.
        """
        if self._closing is not None:
            raise StorageError("the store is closed")
        if len(self._waiting) >= MOST_WAITING:
            raise StorageUnavailable(f"{MOST_WAITING} requests are waiting: the disk does not keep up")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Request(work, future))
        self._urgent = self._urgent or not patient
        if not self._busy:
            self._begin_in_time()
        return await future

    async def close(self) -> None:
        """Finish what waits, then close the connection and end the thread."""
        if self._closing is None:
            self._closing = self._loop.create_future()
            if self._waiting and not self._busy:
                self._begin_in_time()  # nobody else will come
            elif not self._busy:
                self._closing.set_result(None)
        await asyncio.shield(self._closing)
        if self._thread is not None:
            self._batches.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _begin_in_time(self) -> None:
        """Begin soon, or when those who wait were kept back for long enough."""
        if self._urgent or len(self._waiting) >= ENOUGH_COMPANY or self._closing is not None:
            self._begin_soon()
        elif self._company is None:
            self._company = self._loop.call_later(PATIENCE_SECONDS, self._begin_soon)

    def _begin_soon(self) -> None:
        """At the end of this turn of the loop, so that everybody of this turn comes along."""
        if self._company is not None:
            self._company.cancel()
            self._company = None
        self._busy = True
        self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        batch, self._waiting = self._waiting[:MOST_IN_ONE], self._waiting[MOST_IN_ONE:]
        self._urgent = self._urgent and bool(self._waiting)
        if self._thread is None:  # a daemon: a process that ends without closing waits for nobody
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._batches.put(batch)

    def _finish(self, batch: list[Request], failure: BaseException | None) -> None:
        for request in batch:
            request.error = failure or request.error
            request.settle()
        if self._waiting and (self._urgent or len(self._waiting) >= ENOUGH_COMPANY or self._closing is not None):
            self._begin()
            return
        self._busy = False
        if self._waiting:
            self._begin_in_time()
        elif self._closing is not None:
            self._closing.set_result(None)

    def _work(self) -> None:
        """The thread: batch after batch. An executor would do too, at the price of two futures and three locks each."""
        try:
            while (batch := self._batches.get()) is not None:
                failure: BaseException | None = None
                try:
                    self._run(batch)
                except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
                    failure = error
                with suppress(RuntimeError):  # the loop ended without closing the store: nobody waits any more
                    self._loop.call_soon_threadsafe(self._finish, batch, failure)
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(self, batch: list[Request]) -> None:
        if self._connection is None:
            with translated():
                self._connection = self._engine.connect()
        run_batch(self._connection, batch)
