"""Whoever is being answered waits for the database once, however many things it asks: what is left counts."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool
from tests.jumping import JumpingLoop, tell

from callwright.errors import StorageUnavailable
from callwright.storage import time_left
from callwright.storage.transactions import Transactions

LIMIT_SECONDS = 2.0


class Held:
    """A queue whose thread stands still until it is let go."""

    def __init__(self, queue: Transactions) -> None:
        self.queue = queue
        self.gate = threading.Event()
        self.undone: list[str] = []

    def wait(self, _: Connection) -> None:
        self.gate.wait()


@asynccontextmanager
async def held() -> AsyncIterator[Held]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    held = Held(Transactions(engine, "held", LIMIT_SECONDS))
    try:
        yield held
    finally:
        held.gate.set()
        await held.queue.close()
        engine.dispose()


async def outcome(task: "asyncio.Task[None]") -> str:
    """What became of it: "waits", "refused" or "done"."""
    if not task.done():
        return "waits"
    return "done" if task.exception() is None else "refused"


def test_who_has_waited_elsewhere_waits_here_for_what_is_left_and_no_longer() -> None:
    async def story(loop: JumpingLoop) -> None:
        async def ask(until: float) -> None:
            with time_left.within(until):
                await queue.queue.run(queue.wait)

        async with held() as queue:
            until = loop.time() + 1.0
            await loop.skip(0.4)
            asking = asyncio.create_task(ask(until))
            await loop.skip(0.5)
            assert await outcome(asking) == "waits"
            await loop.skip(0.2)
            assert await outcome(asking) == "refused"
            assert isinstance(asking.exception(), StorageUnavailable)

    tell(story)


def test_who_has_hardly_anything_left_is_refused_before_it_asks() -> None:
    async def story(loop: JumpingLoop) -> None:
        async with held() as queue:
            with time_left.within(loop.time() + 1.0):
                await loop.skip(0.9)
                with pytest.raises(StorageUnavailable, match="kept waiting"):
                    await queue.queue.run(lambda _: queue.undone.append("ran"))
            assert not queue.undone

    tell(story)


def test_what_is_written_after_it_was_refused_is_taken_back() -> None:
    async def story(loop: JumpingLoop) -> None:
        async with held() as queue:

            async def ask() -> None:
                with time_left.within(loop.time() + 1.0):
                    await queue.queue.run(queue.wait, undo=lambda _: queue.undone.append("undone"))

            asking = asyncio.create_task(ask())
            await loop.skip(1.1)
            assert await outcome(asking) == "refused"
            queue.gate.set()
            while not queue.undone:  # noqa: ASYNC110 - the thread says nothing when it is through
                await asyncio.sleep(0)

    tell(story)


def test_others_are_as_patient_as_ever() -> None:
    async def story(loop: JumpingLoop) -> None:
        async def ask() -> None:
            await queue.queue.run(queue.wait)

        async with held() as queue:
            with time_left.within(loop.time() + 1.0):
                beside = asyncio.create_task(ask())  # what a request begins goes on without it
                await loop.skip(1.1)
                assert await outcome(beside) == "waits"
            await loop.skip(1.0)
            assert await outcome(beside) == "refused"

    tell(story)


def test_a_task_that_shares_the_wait_is_refused_with_it() -> None:
    async def story(loop: JumpingLoop) -> None:
        async def ask() -> None:
            await queue.queue.run(queue.wait)

        async with held() as queue:
            with time_left.within(loop.time() + 1.0):
                sharing = time_left.shared(ask)
                await loop.skip(0.9)
                assert await outcome(sharing) == "waits"
                await loop.skip(0.2)
                assert await outcome(sharing) == "refused"

    tell(story)


def test_somebody_elses_question_is_waited_for_in_time_and_goes_on() -> None:
    async def story(loop: JumpingLoop) -> None:
        async def ask() -> None:
            await answer

        async def wait() -> None:
            with time_left.within(loop.time() + 1.0):
                await time_left.in_time(asking)

        answer = loop.create_future()
        asking = asyncio.create_task(ask())
        waiting = asyncio.create_task(wait())
        await loop.skip(0.5)
        assert await outcome(waiting) == "waits"
        await loop.skip(0.6)
        assert await outcome(waiting) == "refused"
        answer.set_result(None)
        await asking

    tell(story)


def test_what_the_client_took_does_not_count() -> None:
    async def story(loop: JumpingLoop) -> None:
        with time_left.within(loop.time() + 1.0):
            before = time_left.until()
            time_left.prolong(3.0)
            assert time_left.until() == before + 3.0
        assert time_left.until() == float("inf")
        time_left.prolong(3.0)  # nobody waits: nothing happens

    tell(story)


async def test_who_is_thrown_away_half_way_is_thrown_away_quietly() -> None:
    """As when a process is killed in the simulation: the coroutine is closed outside the context of its task."""

    async def ask() -> None:
        with time_left.within(asyncio.get_running_loop().time() + 60.0):
            begun.set()
            await asyncio.sleep(60.0)

    begun = asyncio.Event()
    asking = asyncio.create_task(ask())
    await begun.wait()
    coroutine = asking.get_coro()
    assert coroutine is not None
    coroutine.close()
    asking.cancel()
