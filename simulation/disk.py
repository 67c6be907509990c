"""The database of a simulation: real SQLite, in memory, run in virtual time, that outlives processes.

Opening and migrating a database takes longer than a whole simulation. So one is made once per Python process and filled
anew for each simulation; all share its connection and engines, whose compiled statements would otherwise be lost.
"""

import asyncio
import atexit
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage.database import DATABASE_NAME, Database, FolderLock
from callwright.storage.records import WebhookKind
from callwright.storage.secrets_box import SecretsBox, read_or_create_key
from callwright.storage.store import KEY_FILE_NAME, Store
from callwright.storage.store_nodes import NODE_FILE_NAME
from callwright.storage.transactions import PATIENCE_SECONDS, Request, run_batch
from simulation.loop import ProcessLoop
from simulation.world import World

T = TypeVar("T")

SUB_ACCOUNT = "simulated"
KEY = "simulated-key-of-no-value"
OWN_NUMBER = "+6531350000"
RECEIVERS = {
    WebhookKind.VSS: "https://receiver.example.com/vss",
    WebhookKind.VCS: "https://receiver.example.com/vcs",
    WebhookKind.VCA: "https://receiver.example.com/vca",
}
LOST_SHARE = 0.3
"""Of the batches that were on their way when the database went away: those that it had committed."""
LATE_SECONDS = 3.0
"""The longest until a process learns that it had committed what it answered otherwise; others may see it meanwhile."""
MEMORY = Path("/dev/shm")  # noqa: S108  a folder that is memory; another is used where there is none

# Written by the database itself whenever a terminal record is written, whoever does it and however.
WITNESS = """
CREATE TABLE witness (place INTEGER PRIMARY KEY, session_id TEXT NOT NULL, was TEXT NOT NULL, status TEXT);
CREATE TRIGGER terminal_record AFTER UPDATE OF state, summary, status ON sessions WHEN NEW.state = 'FINISHED'
BEGIN INSERT INTO witness (session_id, was, status) VALUES (NEW.session_id, OLD.state, NEW.status); END;
"""


@dataclass(slots=True)
class Weather:
    """How the database does in one simulation."""

    away: list[tuple[float, float]] = field(default_factory=list)
    "from when to when nothing can be reached"
    loses_answers: bool = False
    "whether what was on its way when it went away may have been committed"
    most_seconds: float = 0.004
    "for a batch"

    def away_until(self, at: float) -> float | None:
        """When it can be reached again; None when it can be now."""
        return next((ends for begins, ends in self.away if begins <= at < ends), None)


class Lasting(sqlite3.Connection):
    """A connection that outlives whoever closes it, with all that is in memory behind it."""

    def close(self) -> None:
        """Not now."""


class Disk:
    """The database and the data folders of one Python process; one simulation at a time uses them.

    All processes of a simulation share one connection: their transactions never overlap, as each is run at one moment
    of virtual time. What is committed is kept by it, and nothing else is.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.connection = sqlite3.connect(":memory:", isolation_level=None, factory=Lasting)
        self._tables = self._make_template()
        self.box = SecretsBox(read_or_create_key(self.folder / KEY_FILE_NAME))
        self._engines = self._engine("BEGIN IMMEDIATE"), self._engine("BEGIN")

    def fresh(self) -> None:
        """Begin anew: as a database is after its first start and the registration of webhooks."""
        execute = self.connection.execute
        execute("PRAGMA foreign_keys = OFF")
        execute("BEGIN")
        for table in self._tables:
            execute(f"DELETE FROM main.{table}")  # noqa: S608  names from the schema
            execute(f"INSERT INTO main.{table} SELECT * FROM template.{table}")  # noqa: S608  likewise
        execute("COMMIT")
        execute("PRAGMA foreign_keys = ON")
        for name in self.folder.glob(f"*/{NODE_FILE_NAME}"):
            name.unlink()

    def database(self, data: str, *, is_shared: bool) -> Database:
        """The database as a process with the data folder `data` has it open, `is_shared` as if it were a server."""
        folder = self.folder / data
        folder.mkdir(exist_ok=True)
        lock = FolderLock(folder / DATABASE_NAME)
        return Database(folder, *self._engines, lock, home_id=data, is_shared=is_shared)

    def _make_template(self) -> tuple[str, ...]:
        path = self.folder / DATABASE_NAME
        asyncio.run(_prepare(path))
        with contextlib.closing(sqlite3.connect(path)) as prepared:
            prepared.executescript(WITNESS)
            prepared.backup(self.connection)
        self.connection.execute("ATTACH ':memory:' AS template")
        found = self.connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        tables = tuple(name for (name,) in found)
        for table in tables:
            self.connection.execute(f"CREATE TABLE template.{table} AS SELECT * FROM main.{table}")  # noqa: S608  likewise
        return tables

    def _engine(self, begin: str) -> Engine:
        engine = create_engine("sqlite://", creator=lambda: self.connection, poolclass=StaticPool)

        def start(connection: Connection) -> None:
            connection.connection.cursor().execute(begin)  # SQLAlchemy's own way takes ten times as long

        event.listen(engine, "begin", start)
        return engine


async def _prepare(path: Path) -> None:
    store = await Store.open(f"sqlite:///{path}")
    await store.ensure_sub_account(SUB_ACCOUNT)
    await store.adopt_key(KEY, SUB_ACCOUNT, "simulated")
    await store.add_number(SUB_ACCOUNT, OWN_NUMBER)
    for kind, url in RECEIVERS.items():
        await store.put_webhook(SUB_ACCOUNT, kind, url, None)
    await store.close()


class VirtualQueue:
    """Runs a process's requests as `storage.transactions.Transactions` does, on a thread that takes virtual time.

    A process that is killed loses what waits, and the answer of what is under way; what was committed stays.
    """

    def __init__(  # a thread's surroundings
        self,
        engine: Engine,
        name: str,
        world: World,
        loop: ProcessLoop,
        weather: Weather,
        committed: Callable[[], None],
    ) -> None:
        self._connection: Connection | None = engine.connect()
        self._name = name
        self._world = world
        self._loop = loop
        self._weather = weather
        self._committed = committed
        self._chance = world.lots(f"disk {name} {world.steps}")
        self._waiting: list[Request] = []
        self._busy = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """How many requests wait for the next batch."""
        return len(self._waiting)

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        patient: bool = False,
        undo: Callable[[Connection], object] | None = None,
    ) -> T:
        """Run `work` in a transaction; `undo` takes it back, should it be written after it was answered otherwise."""
        if self._closed:
            raise StorageError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Request(work, future, undo))
        if not self._busy:
            self._begin(PATIENCE_SECONDS if patient else 0.0)
        return await future

    async def close(self) -> None:
        """Finish what waits, then close."""
        self._closed = True
        await self._idle.wait()
        self.cut()

    def cut(self) -> None:
        """The process ended, in whatever way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin(self, kept_back_seconds: float) -> None:
        self._busy = True
        self._idle.clear()
        self._world.after(kept_back_seconds + self._chance.uniform(0, self._weather.most_seconds), self._work)

    def _work(self) -> None:
        """On the thread."""
        if self._connection is None or self._loop.dead:
            return
        batch, self._waiting = self._waiting, []
        away_until = self._weather.away_until(self._world.now)
        if away_until is not None and self._weather.loses_answers and self._chance.random() < LOST_SHARE:
            self._run(self._connection, batch)
            known_at = away_until + self._chance.uniform(0, LATE_SECONDS)
            self._world.at(known_at, self._take_back, [request for request in batch if request.error is None])
        if away_until is not None:
            failure: BaseException | None = StorageUnavailable("the database is away")
        else:
            failure = self._run(self._connection, batch)
        later = self._world.now + self._chance.uniform(0, self._weather.most_seconds)
        self._loop.arrive(later, self._name, self._finish, batch, failure)

    def _run(self, connection: Connection, batch: list[Request]) -> BaseException | None:
        try:
            run_batch(connection, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
            return error
        self._committed()
        return None

    def _take_back(self, batch: list[Request]) -> None:
        """It was answered that nothing is written."""
        undone = [Request(request.undo, request.future) for request in batch if request.undo is not None]
        if self._connection is not None and undone:
            self._run(self._connection, undone)

    def _finish(self, batch: list[Request], failure: BaseException | None) -> None:
        """Back on the loop."""
        for request in batch:
            request.error = failure or request.error
            request.settle()
        self._busy = False
        if self._waiting:
            self._begin(0.0)
        else:
            self._idle.set()


def rows(connection: sqlite3.Connection, query: str, *values: Any) -> list[sqlite3.Row]:
    """What a query gives."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(query, values).fetchall()
