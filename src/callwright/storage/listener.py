"""Wake-ups from other nodes: PostgreSQL's LISTEN on a connection and a thread of its own.

A wake-up says that there is something to see in the tables, never what: one that is lost (the connection broke, the
server was restarted) costs a second, because everybody looks around once a second anyway.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

LOOK_SECONDS: Final = 0.5
"""How often the thread looks whether it is to stop."""
PAUSE_SECONDS: Final = 1.0
"""Before another attempt at a server that is away."""

_log = logging.getLogger(__name__)


class Listener:
    """Listens from its making until `stop`; `on_wake(payload)` is called on the loop that it was made on."""

    def __init__(self, engine: Engine, channel: str, on_wake: Callable[[str], None]) -> None:
        self._engine = engine
        self._channel = channel
        self._on_wake = on_wake
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="storage-listener", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Let the connection go."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (SQLAlchemyError, psycopg.Error) as error:
                _log.info("wake-ups are not heard for the moment: %s", type(error).__name__)
                self._stopping.wait(PAUSE_SECONDS)

    def _listen(self) -> None:
        pooled = self._engine.raw_connection()
        try:
            connection = pooled.driver_connection
            if not isinstance(connection, psycopg.Connection):
                raise TypeError("only PostgreSQL wakes anybody")
            connection.autocommit = True
            connection.execute(f"LISTEN {self._channel}".encode())
            while not self._stopping.is_set():
                for notice in connection.notifies(timeout=LOOK_SECONDS):
                    self._tell(notice.payload)
        finally:
            pooled.invalidate()  # nobody else gets a connection that listens

    def _tell(self, payload: str) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._on_wake, payload)
