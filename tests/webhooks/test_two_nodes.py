"""Two nodes on one PostgreSQL: every event is sent by one of them, and by the other when that one dies."""

import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.webhooks.world import START, VirtualClock, World, deliverer_of, until

from callwright.egress import Egress
from callwright.storage.records import DeliveryState
from callwright.storage.store import Store
from callwright.webhooks.delivery import CLAIM_SECONDS


@pytest.fixture
async def nodes(postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[World, World]]:
    """Two installations that share database and key, each with a deliverer that is not started yet."""
    clock, worlds = VirtualClock(), list[World]()
    async with AsyncExitStack() as stack:
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir(mode=0o700)
            if worlds:
                shutil.copy(worlds[0].folder / "secrets.key", folder)
            store = await Store.open(postgres_url, folder=folder, clock=clock, busy_timeout_seconds=30.0)
            stack.push_async_callback(store.close)
            egress = Egress(allow_loopback=True)
            stack.push_async_callback(egress.aclose)
            deliverer = deliverer_of(store, egress, clock)
            stack.push_async_callback(deliverer.stop, 0.0)
            worlds.append(World(folder, clock, egress, stack, store, deliverer))
        one, other = worlds
        yield one, other


async def test_of_many_events_each_is_sent_once(nodes: tuple[World, World]) -> None:
    one, other = nodes
    receiver = await one.receiver()
    await one.webhook(receiver.url)
    for number, node in zip(range(40), itertools.cycle(nodes), strict=False):
        await node.event(f"s{number}")
    for node in nodes:
        await node.deliverer.start()
    for number in range(40):
        assert (await other.tried(f"s{number}", 1)).state is DeliveryState.DELIVERED
    ids = [received.headers["webhook-id"] for received in receiver.received]
    assert len(ids) == len(set(ids)) == 40


async def test_what_a_dead_node_was_sending_is_sent_by_another_when_its_claim_is_over(
    nodes: tuple[World, World],
) -> None:
    one, other = nodes
    receiver = await one.receiver(gate_open=False)
    await one.webhook(receiver.url)
    await one.event("s1")
    await one.deliverer.start()
    await until(lambda: len(receiver.received) == 1)
    await one.deliverer.stop(limit_seconds=0)  # it was cut off while it waited for the answer
    receiver.open_gate.set()
    await other.deliverer.start()
    await until(lambda: one.clock.next_end() is not None)
    one.clock.advance_to(START + CLAIM_SECONDS - 1)
    other.deliverer.wake()
    await until(lambda: one.clock.next_end() is not None)
    assert len(receiver.received) == 1
    one.clock.advance_to(START + CLAIM_SECONDS)
    other.deliverer.wake()
    delivery = await other.tried("s1", 1)
    assert delivery.state is DeliveryState.DELIVERED
    assert [received.headers["webhook-id"] for received in receiver.received] == [delivery.event_id] * 2


async def test_who_stood_still_while_another_sent_it_too_goes_on(
    nodes: tuple[World, World], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = nodes
    receiver = await one.receiver(gate_open=False)
    await one.webhook(receiver.url)
    await one.event("s1")
    await one.deliverer.start()
    await until(lambda: len(receiver.received) == 1)
    one.clock.advance_to(START + CLAIM_SECONDS)
    await other.deliverer.start()
    await until(lambda: len(receiver.received) == 2)
    receiver.open_gate.set()
    delivery = await other.tried("s1", 1)
    await until(lambda: "sent by another node too" in caplog.text)
    assert (delivery.state, len(delivery.attempts)) == (DeliveryState.DELIVERED, 1)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    await one.event("s2")
    one.deliverer.wake()
    assert (await one.tried("s2", 1)).state is DeliveryState.DELIVERED  # and is not resting
