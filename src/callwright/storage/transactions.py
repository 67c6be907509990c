"""Group commit: one thread, one connection, and everything that waits shares one transaction and one fsync.

While a commit waits for the disk, the next requests gather; they become the next batch (batch.py says how it runs).
Who can wait says so: a request with patience is kept back for a moment, to share the commit of one without. A commit
costs more than most of what is in it, and of a session's four changes only two are waited for by somebody outside.

Questions run the same way on threads and connections of their own: a transaction and a change of threads cost several
times a small query.

A database at the other end of a network may not answer at all. With a limit, whoever has waited that long is told
"unavailable", and the connection is cut; until the thread knows how that ended, new requests are refused at once. Who
has waited for it elsewhere already waits for what is left (time_left.py).
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage import time_left
from callwright.storage.batch import Request as Request
from callwright.storage.batch import run_batch as run_batch
from callwright.storage.steady import Batch, SteadyConnection

T = TypeVar("T")

MOST_IN_ONE: Final = 256
MOST_IN_ONE_WITH_LIMIT: Final = 64
"""Where callers wait no longer than a limit: a batch is done before that, on a busy machine too."""
MOST_WAITING: Final = 20_000
"""With more than this waiting, new requests are refused at once: the disk does not keep up."""
PATIENCE_SECONDS: Final = 0.02
"""How long a patient request waits for company."""
ENOUGH_COMPANY: Final = 8
"""So many patient requests are company enough. Not more: as many tries of one webhook may wait to be written down."""
LEAST_SHARE: Final = 0.25
"""Of the limit: who has less left is refused, because it would take all others of its batch along."""
STOP_SECONDS: Final = 5.0
"""How long a database that does not answer is waited for at the end."""


class Transactions:
    """One thread with one connection, and the requests that wait for it. Used on the event loop's thread."""

    def __init__(self, engine: Engine, name: str, limit_seconds: float | None = None) -> None:
        """`limit_seconds` is the longest wait for an answer; None: as long as it takes."""
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._limit_seconds = limit_seconds
        self._least_seconds = 0.0 if limit_seconds is None else limit_seconds * LEAST_SHARE
        self.most_in_one = MOST_IN_ONE if limit_seconds is None else MOST_IN_ONE_WITH_LIMIT
        self._steady = SteadyConnection(engine, 0.0 if limit_seconds is None else limit_seconds)
        self._batches: SimpleQueue[Batch | None] = SimpleQueue()
        "for the thread; None is the last"
        self._thread: threading.Thread | None = None
        self._waiting: list[Request] = []
        self._urgent = False
        "somebody without patience is among those who wait"
        self._busy = False
        self._is_stuck = False
        "the batch that runs was given up"
        self._company: asyncio.TimerHandle | None = None
        "until when those who wait are kept back"
        self._limits: list[asyncio.TimerHandle] = []
        "of the batch that runs"
        self._closing: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for the next batch."""
        return len(self._waiting)

    @property
    def load(self) -> float:
        """How much a new request would wait for; infinite while nothing is answered."""
        return float("inf") if self._is_stuck else len(self._waiting) + self._busy

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        patient: bool = False,
        undo: Callable[[Connection], object] | None = None,
    ) -> T:
        """Run `work` in a transaction; durable when this returns. A `patient` one may be kept back for a moment.

        Raises StorageUnavailable (nothing was written, trying later may work) or StorageError. Should it turn out
        later that it was written after all, `undo` takes it back. Cancelling the wait does not undo the write.
        """
        if self._closing is not None:
            raise StorageError("the store is closed")
        if self._is_stuck:
            raise _no_answer()
        if len(self._waiting) >= MOST_WAITING:
            raise StorageUnavailable(f"{MOST_WAITING} requests are waiting: the disk does not keep up")
        now = self._loop.time()
        until = self._until(now)
        if until - now < self._least_seconds:
            raise time_left.kept_waiting()
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Request(work, future, undo, now, until))
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
        if self._limit_seconds is None:
            await asyncio.shield(self._closing)
        else:
            await asyncio.wait([self._closing], timeout=self._limit_seconds + STOP_SECONDS)
        if self._thread is not None:
            self._steady.stop()
            self._batches.put(None)
            await asyncio.to_thread(self._thread.join, None if self._limit_seconds is None else STOP_SECONDS)
            self._thread = None

    def _until(self, now: float) -> float:
        """When a request that is made now must have its answer. A file answers, however long it takes."""
        if self._limit_seconds is None:
            return time_left.FOR_EVER
        return min(now + self._limit_seconds, time_left.until())

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
        if self._limit_seconds is not None:
            self._shed(self._loop.time(), self._limit_seconds / 2)
        requests, self._waiting = self._waiting[: self.most_in_one], self._waiting[self.most_in_one :]
        self._urgent = self._urgent and bool(self._waiting)
        batch = Batch(requests)
        if self._limit_seconds is not None:
            now = self._loop.time()
            self._limits = [
                self._loop.call_at(min(request.until for request in requests), self._give_up, batch),
                self._loop.call_at(now + self._limit_seconds, self._steady.cut),
            ]
        if self._thread is None:  # a daemon: a process that ends without closing waits for nobody
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._batches.put(batch)

    def _shed(self, now: float, most_seconds: float) -> None:
        """Refuse who has waited too long to be answered in time; the first of the others, at least, is carried out."""
        kept: list[Request] = []
        for place, request in enumerate(self._waiting, start=1):
            is_last = place == len(self._waiting) and not kept
            is_late = request.asked_at < now - most_seconds or request.until - now < self._least_seconds
            if not is_late or is_last:
                kept.append(request)
            elif not request.future.done():
                request.future.set_exception(StorageUnavailable("the database does not keep up"))
        self._waiting = kept

    def _give_up(self, batch: Batch) -> None:
        """Nobody waits any longer, neither for this batch nor for what is behind it."""
        if not batch.settle():
            return  # it is finished, and about to say so
        self._is_stuck = True
        late, self._waiting, self._urgent = [*batch.requests, *self._waiting], [], False
        for request in late:
            if not request.future.done():
                request.future.set_exception(_no_answer())

    def _finish(self, batch: Batch, failure: BaseException | None) -> None:
        for limit in self._limits:
            limit.cancel()
        self._limits, self._is_stuck = [], False
        for request in batch.requests:
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
                    self._steady.run(batch)
                except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
                    failure = error
                with suppress(RuntimeError):  # the loop ended without closing the store: nobody waits any more
                    self._loop.call_soon_threadsafe(self._finish, batch, failure)
        finally:
            self._steady.close()


def _no_answer() -> StorageUnavailable:
    return StorageUnavailable("the database is away: it does not answer")
