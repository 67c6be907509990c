"""What every part of the store stands on: the two queues into the database, secrets, time, and what is in memory."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from callwright.errors import StorageError
from callwright.storage.database import Database
from callwright.storage.mirror import Mirror, read_changes
from callwright.storage.readers import Readers
from callwright.storage.secrets_box import SecretsBox
from callwright.storage.transactions import Transactions
from callwright.telemetry.clock import Clock

T = TypeVar("T")


class Queue(Protocol):
    """Runs requests in transactions: `Transactions`, or what a simulation puts in its place (over `run_batch`)."""

    @property
    def waiting(self) -> int: ...
    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        patient: bool = False,
        undo: Callable[[Connection], object] | None = None,
    ) -> T: ...
    async def close(self) -> None: ...


MakeQueue = Callable[[Engine, str], Queue]
"""Makes a queue of an engine and a name for its thread. Called for changes, then for questions."""
ANSWER_SHARE: Final = 0.75
"""Of the longest wait for one answer: so long waits whoever is being answered, for all answers together."""


class Access:
    """An open database as the parts of the store see it."""

    def __init__(
        self,
        database: Database,
        box: SecretsBox,
        clock: Clock,
        *,
        node_id: str,
        transactions: MakeQueue | None = None,
    ) -> None:
        self.node_id = node_id
        "whose work it is that is claimed here"
        self.home_id = database.home_id
        "which data folder files are in; None: nobody else has files"
        self.on_event: Callable[[str], None] = lambda _: None
        "told the sub-account when events may have been written"
        self._database = database
        self._box = box
        self._clock = clock
        limit_seconds = database.limit_seconds
        self._changes: Queue
        self._questions: Queue
        self._leases: Queue
        "this node's own row, which may not wait behind the changes of others"
        if transactions is not None:
            self._changes = transactions(database.write, "storage-writer")
            self._questions = transactions(database.read, "storage-reader")
            self._leases = self._changes
        else:
            self._changes = Transactions(database.write, "storage-writer", limit_seconds)
            self._questions = Readers(database.read, "storage-reader", limit_seconds, database.readers)
            self._leases = self._changes
            if database.is_shared:
                self._leases = Transactions(database.write, "storage-leases", limit_seconds)
        self._mirror = Mirror(lambda known: self._ask(lambda connection: read_changes(connection, known)), clock)

    @property
    def answer_seconds(self) -> float | None:
        """How long a request may wait for all that it asks, and is refused then; None: as long as it takes."""
        limit_seconds = self._database.limit_seconds
        return None if limit_seconds is None else limit_seconds * ANSWER_SHARE

    async def _change(
        self,
        work: Callable[[Connection], T],
        *,
        patient: bool = False,
        undo: Callable[[Connection], object] | None = None,
    ) -> T:
        """`undo` takes back what `work` wrote, should that become known after it was answered as unavailable."""
        return await self._changes.run(work, patient=patient, undo=undo)

    def _lease(self, seconds: float) -> float | None:
        """Until when work is ours that is claimed now; None when no other node could take it."""
        return self._clock() + seconds if self._database.is_shared else None

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        return await self._questions.run(question)

    async def _look_again(self) -> None:
        """After a change of what is in memory: know it at once, because `has_webhook` and its like cannot wait."""
        await self._mirror.expire()
        with suppress(StorageError):  # the change is made; whoever asks next finds out
            await self._mirror.freshen()
