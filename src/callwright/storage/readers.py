"""Questions to a database that answers several at a time."""

from collections.abc import Callable
from itertools import count
from typing import TypeVar

from sqlalchemy import Connection, Engine

from callwright.storage.transactions import Transactions

T = TypeVar("T")


class Readers:
    """As many queues as connections; a question goes where the fewest wait, in turn."""

    def __init__(self, engine: Engine, name: str, limit_seconds: float | None, number: int) -> None:
        self._queues = [Transactions(engine, f"{name}-{each}", limit_seconds) for each in range(1, number + 1)]
        self._turn = count()

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return sum(queue.waiting for queue in self._queues)

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        patient: bool = False,
        undo: Callable[[Connection], object] | None = None,
    ) -> T:
        """As `Transactions.run`."""
        first = next(self._turn) % len(self._queues)
        queue = min(self._queues[first:] + self._queues[:first], key=lambda each: each.load)
        return await queue.run(work, patient=patient, undo=undo)

    async def close(self) -> None:
        """Answer what waits, then close the connections."""
        for queue in self._queues:
            await queue.close()
