"""An answer is kept together with the session that it tells of, or neither is."""

import asyncio
from typing import Protocol

import pytest

from callwright.callflow.plan import Callflow
from callwright.errors import KeyTaken, StorageError
from callwright.storage.idempotency import KEPT_SECONDS, MOST_FORGOTTEN, KeptAnswer
from callwright.storage.store import Store


class Clock(Protocol):
    now: float

    def __call__(self) -> float: ...


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True) -> Store: ...


def answer(session_id: str, key: str = "k1") -> KeptAnswer:
    return KeptAnswer("riders_hq", key, "d" * 64, 200, f"session {session_id}".encode(), session_id)


async def test_what_was_kept_is_found_by_whoever_opens_the_database_next(
    store: Store, open_store: OpenStore, flow: Callflow, clock: Clock
) -> None:
    kept = answer("s1")
    await store.accept_session("s1", "riders_hq", flow, clock(), kept)
    other = await open_store(exclusive=False)
    assert await other.find_answer("riders_hq", "k1") == kept
    assert await other.find_answer("riders_hq", "k2") is None
    assert await other.find_answer("other_co", "k1") is None


async def test_a_key_that_is_taken_makes_no_session_and_takes_nobody_along(
    store: Store, flow: Callflow, clock: Clock
) -> None:
    def accept(session_id: str, key: str) -> "asyncio.Future[None]":
        kept = answer(session_id, key)
        return asyncio.ensure_future(store.accept_session(session_id, "riders_hq", flow, clock(), kept))

    ends = await asyncio.gather(
        accept("s1", "k1"), accept("s2", "k2"), accept("s3", "k1"), accept("s4", "k1"), return_exceptions=True
    )
    assert [type(end) for end in ends] == [type(None), type(None), KeyTaken, KeyTaken]
    assert [session.session_id for session in await store.unfinished_sessions()] == ["s1", "s2"]
    kept = await store.find_answer("riders_hq", "k1")
    assert kept is not None
    assert kept.made_id == "s1"


async def test_a_session_that_cannot_be_written_keeps_no_answer(store: Store, flow: Callflow, clock: Clock) -> None:
    await store.accept_session("s1", "riders_hq", flow, clock())
    with pytest.raises(StorageError):
        await store.accept_session("s1", "riders_hq", flow, clock(), answer("s1"))
    assert await store.find_answer("riders_hq", "k1") is None


async def test_keys_are_free_again_after_72_hours(store: Store, flow: Callflow, clock: Clock) -> None:
    await store.accept_session("s1", "riders_hq", flow, clock(), answer("s1"))
    clock.now += KEPT_SECONDS - 1
    with pytest.raises(KeyTaken):
        await store.accept_session("s2", "riders_hq", flow, clock(), answer("s2"))
    clock.now += 1
    assert await store.find_answer("riders_hq", "k1") is None
    await store.accept_session("s2", "riders_hq", flow, clock(), answer("s2"))
    kept = await store.find_answer("riders_hq", "k1")
    assert kept is not None
    assert kept.made_id == "s2"


async def test_old_answers_go_a_thousand_at_a_time(store: Store, flow: Callflow, clock: Clock) -> None:
    await asyncio.gather(
        *(
            store.accept_session(f"s{number}", "riders_hq", flow, clock(), answer(f"s{number}", f"k{number}"))
            for number in range(MOST_FORGOTTEN + 1)
        )
    )
    assert await store.forget_old_answers() == 0
    clock.now += KEPT_SECONDS
    assert await store.forget_old_answers() == MOST_FORGOTTEN
    assert await store.forget_old_answers() == 1
