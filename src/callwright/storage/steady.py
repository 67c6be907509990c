"""The thread's side of a queue: one connection, made anew when it breaks, and batches brought to a known end.

SQLite's connection is a file and does not break. PostgreSQL's does, so that here: what failed before the commit was
sent is run again on another connection; a commit that was cut off is asked after (`pg_xact_status`) before anything
else is done; what conflicts with another node is run again. All of that as long as somebody waits for the answer.
Whoever was told "nothing was written" too early has it taken back.
"""

import logging
import random
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from callwright.errors import StorageUnavailable
from callwright.storage.batch import Request, run_batch
from callwright.storage.faults import CommitUnsure, Conflict, Lost, translated

CONFLICT_PAUSE_SECONDS: Final = 0.01
LOST_PAUSE_SECONDS: Final = 0.1
COMMIT_STATUS = text("SELECT pg_xact_status(CAST(CAST(:id AS text) AS xid8))")

_log = logging.getLogger(__name__)


class Batch:
    """Requests that share a transaction. Either they are finished, or given up because they took too long."""

    def __init__(self, requests: list[Request]) -> None:
        self.requests = requests
        self._lock = threading.Lock()
        self._is_settled = False

    def settle(self) -> bool:
        """For the one who finishes it and the one who gives it up: True for whoever comes first."""
        with self._lock:
            was_settled, self._is_settled = self._is_settled, True
        return not was_settled


class SteadyConnection:
    """Runs batches. Used on one thread, but for `cut` and `stop`."""

    def __init__(self, engine: Engine, patience_seconds: float) -> None:
        """`patience_seconds` is how long a batch may be tried again."""
        self._engine = engine
        self._patience_seconds = patience_seconds
        self._connection: Connection | None = None
        self._socket: socket.socket | None = None
        "the connection's own, to cut it while the thread waits for it"
        self._is_away = False
        "the last batch found nobody; the next one is not tried twice"
        self._stopping = threading.Event()

    def run(self, batch: Batch) -> None:
        """Run a batch to its end. Raises StorageUnavailable when that cannot be now: nothing was written."""
        until = time.monotonic() + self._patience_seconds
        while not self._is_through(batch.requests, until):
            pass
        if not batch.settle():
            self._take_back(batch.requests)

    def cut(self) -> None:
        """From another thread: end the wait for a database that does not answer."""
        connected = self._socket
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """From another thread: find out nothing more, try nothing again."""
        self._stopping.set()

    def close(self) -> None:
        """Let the connection go."""
        self._drop()

    def _is_through(self, requests: Sequence[Request], until: float) -> bool:
        """One attempt. False: to be made again."""
        try:
            run_batch(self._connected(), requests)
        except CommitUnsure as unsure:
            self._drop()
            if not self._was_committed(unsure):
                self._wait_or_give_up(unsure, LOST_PAUSE_SECONDS, until)
                return False
        except Conflict as conflict:
            self._wait_or_give_up(conflict, CONFLICT_PAUSE_SECONDS * (0.5 + random.random()), until)  # noqa: S311
            return False
        except Lost as lost:
            self._drop()
            if self._is_away:
                raise
            try:
                self._wait_or_give_up(lost, LOST_PAUSE_SECONDS, until)
            except Lost:
                self._is_away = True
                raise
            return False
        self._is_away = False
        return True

    def _wait_or_give_up(self, problem: StorageUnavailable, seconds: float, until: float) -> None:
        if time.monotonic() + seconds > until or self._stopping.wait(seconds):
            raise problem

    def _was_committed(self, unsure: CommitUnsure) -> bool:
        """Ask the database, however long it is away: until this is known, nothing else may be written."""
        while not self._stopping.is_set():
            try:
                with translated(), self._connected().begin():
                    status = self._connected().execute(COMMIT_STATUS, {"id": unsure.transaction_id}).scalar_one()
            except StorageUnavailable:
                self._drop()
            else:
                if status != "in progress":
                    return bool(status == "committed")
            self._stopping.wait(LOST_PAUSE_SECONDS)
        raise unsure

    def _take_back(self, requests: Sequence[Request]) -> None:
        """These were written after all, when those who asked had been told that they were not."""
        undone = [
            Request(request.undo, request.future)
            for request in requests
            if request.undo is not None and request.error is None
        ]
        if not undone:
            return
        while not self._stopping.is_set():
            try:
                if not self._is_through(undone, time.monotonic()):
                    continue
            except StorageUnavailable as error:
                _log.warning("changes that came too late are not taken back yet: %s", error)
                self._stopping.wait(LOST_PAUSE_SECONDS)
                continue
            for request in undone:
                if request.error is not None:
                    _log.error("a change that came too late cannot be taken back: %s", request.error)
            _log.warning("%d changes that came too late were taken back", len(undone))
            return

    def _connected(self) -> Connection:
        if self._connection is None:
            with translated():
                self._connection = self._engine.connect()
            driver = self._connection.connection.dbapi_connection
            fileno = getattr(driver, "fileno", None)  # psycopg has it; SQLite has no socket
            if fileno is not None:
                self._socket = socket.fromfd(fileno(), socket.AF_UNSPEC, socket.SOCK_STREAM)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()
        if connection is not None:
            with suppress(SQLAlchemyError):  # it is broken already
                connection.invalidate()
            with suppress(SQLAlchemyError):
                connection.close()
