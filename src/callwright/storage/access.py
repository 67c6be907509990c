"""What every part of the store stands on: the two queues into the database, secrets, time, and what is in memory."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from callwright.storage.database import Database
from callwright.storage.mirror import Mirror, read_changes
from callwright.storage.secrets_box import SecretsBox
from callwright.storage.transactions import Transactions
from callwright.telemetry.clock import Clock

T = TypeVar("T")


class Access:
    """An open database as the parts of the store see it."""

    def __init__(self, database: Database, box: SecretsBox, clock: Clock) -> None:
        self._database = database
        self._box = box
        self._clock = clock
        self._changes = Transactions(database.write, "storage-writer")
        self._questions = Transactions(database.read, "storage-reader")
        self._mirror = Mirror(lambda known: self._ask(lambda connection: read_changes(connection, known)), clock)

    async def _change(self, work: Callable[[Connection], T]) -> T:
        return await self._changes.run(work)

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        return await self._questions.run(question)
