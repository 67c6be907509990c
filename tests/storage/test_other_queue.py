"""What runs requests can be handed in: a simulation runs them at once, on its own thread and in its own order."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, Engine

from callwright.callflow.plan import Callflow
from callwright.errors import StorageError
from callwright.storage.store import Store
from callwright.storage.transactions import Request, run_batch

T = TypeVar("T")


class AtOnce:
    """Each request is a batch, run where it was asked for."""

    waiting = 0

    def __init__(self, engine: Engine, name: str) -> None:
        self.names = name
        self._connection = engine.connect()

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        patient: bool = False,
        undo: Callable[[Connection], object] | None = None,
    ) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        request = Request(work, future)
        run_batch(self._connection, [request])
        request.settle()
        return future.result()

    async def close(self) -> None:
        self._connection.close()


async def test_a_store_runs_on_what_was_handed_in(tmp_path: Path, flow: Callflow) -> None:
    made: list[AtOnce] = []

    def make(engine: Engine, name: str) -> AtOnce:
        made.append(AtOnce(engine, name))
        return made[-1]

    store = await Store.open(f"sqlite:///{tmp_path}/callwright.db", node_id="node-1", transactions=make)
    await store.ensure_sub_account("riders_hq")
    await store.accept_session("s1", "riders_hq", flow, 1.0)
    with pytest.raises(StorageError):
        await store.accept_session("s1", "riders_hq", flow, 1.0)
    assert [session.session_id for session in await store.unfinished_sessions()] == ["s1"]
    assert store.node_id == "node-1"
    assert [queue.names for queue in made] == ["storage-writer", "storage-reader"]
    await store.close()
