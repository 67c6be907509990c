"""Worker processes die, hang and are killed; the pool carries on and leaves nothing behind."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from callwright.audio import tones, wav
from callwright.speech import messages
from callwright.speech.messages import BadMessage
from callwright.speech.workers import Died, Done, WorkerPool

SOUND = wav.serialize(tones.sine(440, 0.5))
SENTENCE = b"The quick brown fox jumps over the lazy dog."
VOICE: messages.Head = {"voice": "gmw/en", "words_per_minute": 175}


@pytest.fixture
async def decoders() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool("decode", 1)
    yield pool
    await pool.stop()


@pytest.fixture
async def speakers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool("speak", 1)
    yield pool
    await pool.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a process that ends sets no event of ours
            await asyncio.sleep(0.01)


def done(outcome: Done | Died) -> Done:
    assert isinstance(outcome, Done)
    assert outcome.head["ok"] is True
    return outcome


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def open_files(pid: str) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


async def test_a_worker_does_one_job_after_another(decoders: WorkerPool) -> None:
    await decoders.start()
    (pid,) = decoders.pids()
    for _ in range(3):
        assert len(done(await decoders.run({}, SOUND, 20)).body) == 8_000
    assert decoders.pids() == [pid]


async def test_as_many_are_started_as_asked_and_the_rest_by_jobs() -> None:
    pool = WorkerPool("speak", 3)
    await pool.start(1)
    try:
        (first,) = pool.pids()
        assert isinstance(await pool.run(VOICE, b"One.", 20), Done)
        assert pool.pids() == [first]  # the one that lives is taken before another is started
        await asyncio.gather(*(pool.run(VOICE, b"Two.", 20) for _ in range(2)))
        assert len(pool.pids()) == 2
    finally:
        await pool.stop()


async def test_jobs_beyond_the_pool_wait_their_turn(decoders: WorkerPool) -> None:
    outcomes = await asyncio.gather(*(decoders.run({}, SOUND, 30) for _ in range(20)))
    assert all(len(done(outcome).body) == 8_000 for outcome in outcomes)
    assert len(decoders.pids()) == 1


async def test_a_text_that_kills_the_engine_costs_one_worker_and_no_more(speakers: WorkerPool) -> None:
    await speakers.start()
    (pid,) = speakers.pids()
    assert await speakers.run(VOICE, b"s'" * 80, 20) == Died("its process died")
    assert not alive(pid)
    assert len(done(await speakers.run(VOICE, SENTENCE, 20)).body) > 16_000


async def test_a_worker_killed_while_idle_is_replaced_at_the_next_job(decoders: WorkerPool) -> None:
    await decoders.start()
    (pid,) = decoders.pids()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not alive(pid))
    outcomes = [await decoders.run({}, SOUND, 20) for _ in range(2)]
    assert len(done(outcomes[-1]).body) == 8_000
    assert pid not in decoders.pids()


async def test_a_worker_killed_in_the_middle_of_a_job_ends_that_job_only(speakers: WorkerPool) -> None:
    await speakers.start()
    (pid,) = speakers.pids()
    os.kill(pid, signal.SIGSTOP)
    job = asyncio.create_task(speakers.run(VOICE, SENTENCE, 20))
    await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    assert await job == Died("its process died")
    assert len(done(await speakers.run(VOICE, SENTENCE, 20)).body) > 16_000


async def test_a_worker_that_hangs_is_ended_at_the_budget(decoders: WorkerPool) -> None:
    await decoders.start()
    (pid,) = decoders.pids()
    os.kill(pid, signal.SIGSTOP)
    assert await decoders.run({}, SOUND, 0.1) == Died("it took too long")
    await until(lambda: not alive(pid))
    assert len(done(await decoders.run({}, SOUND, 20)).body) == 8_000


async def test_a_job_that_is_cancelled_does_not_mix_up_the_next_answers(speakers: WorkerPool) -> None:
    await speakers.start()
    job = asyncio.create_task(speakers.run(VOICE, SENTENCE * 60, 20))
    await asyncio.sleep(0.01)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    short, long = done(await speakers.run(VOICE, b"One.", 20)), done(await speakers.run(VOICE, SENTENCE, 20))
    assert len(short.body) < len(long.body)


async def test_stopping_ends_every_process_and_the_job_under_way() -> None:
    pool = WorkerPool("speak", 2)
    await pool.start()
    pids = pool.pids()
    assert len(pids) == 2
    os.kill(pids[0], signal.SIGSTOP)
    os.kill(pids[1], signal.SIGSTOP)
    job = asyncio.create_task(pool.run(VOICE, SENTENCE, 20))
    await asyncio.sleep(0.05)
    await pool.stop()
    assert await job == Died("its process died")
    assert pool.pids() == []
    assert not any(alive(pid) for pid in pids)
    assert await pool.run(VOICE, SENTENCE, 20) == Died("its process could not be started")


async def test_deaths_leave_no_process_and_no_open_file_behind() -> None:
    pool = WorkerPool("speak", 2)
    await pool.start()
    before = open_files("self")
    seen = set(pool.pids())
    for _ in range(6):
        assert isinstance(await pool.run(VOICE, b"s'" * 80, 20), Died)
        await until(lambda: len(pool.pids()) == 2 and pool._free.qsize() == 2)
        seen |= set(pool.pids())
    assert open_files("self") == before
    assert len(seen) == 8
    await pool.stop()
    assert not any(alive(pid) for pid in seen)


async def test_a_worker_holds_no_secrets_and_little_else(decoders: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLWRIGHT_API_KEY", "cw_canary")
    await decoders.start()
    (pid,) = decoders.pids()
    process = Path(f"/proc/{pid}")
    assert b"canary" not in (process / "environ").read_bytes()
    limits = (process / "limits").read_text()
    soft = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert soft["Max core file size"] == "0"
    assert soft["Max file size"] == "0"
    assert int(soft["Max address space"]) <= 1024**3
    # Every number below the limit is taken, so that it can open neither a file nor a socket.
    assert int(soft["Max open files"]) == open_files(str(pid))
    done(await decoders.run({}, SOUND, 20))
    assert int((process / "limits").read_text().partition("Max cpu time")[2].split()[0]) < 60


def test_lengths_over_the_limits_are_refused() -> None:
    with pytest.raises(BadMessage):
        messages.parse_lengths(b"\xff" * 8)
    with pytest.raises(BadMessage):
        messages.serialize({}, bytes(messages.MOST_BODY_BYTES + 1))


@pytest.mark.parametrize("head", [b"[1,2]", b"nul", b"", b"\xff", b'{"a": {"b": 1}}', b"[" * 4_000])
def test_a_head_that_is_no_object_of_plain_values_is_refused(head: bytes) -> None:
    with pytest.raises(BadMessage):
        messages.parse_head(head)


def test_a_message_is_read_as_it_was_written() -> None:
    written = messages.serialize({"a": 1, "b": "x", "c": True}, b"sound")
    assert messages.read(io.BytesIO(written)) == ({"a": 1, "b": "x", "c": True}, b"sound")
    assert messages.read(io.BytesIO(b"")) is None
