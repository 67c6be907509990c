"""An installation that delivers webhooks."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.webhooks.world import VirtualClock, World, deliverer_of, open_store

from callwright.egress import Egress


@pytest.fixture
async def world(tmp_path: Path, empty_database: Path) -> AsyncIterator[World]:
    shutil.copy(empty_database, tmp_path / "callwright.db")
    clock = VirtualClock()
    egress = Egress(allow_loopback=True)
    store = await open_store(tmp_path, clock)
    async with AsyncExitStack() as stack:
        world = World(tmp_path, clock, egress, stack, store, deliverer_of(store, egress, clock))
        await world.deliverer.start()
        yield world
        await world.deliverer.stop(limit_seconds=0)
        await world.store.close()
        await egress.aclose()
