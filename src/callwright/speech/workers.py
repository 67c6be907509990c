"""The platform's side of the worker processes: a few of each role, one job at a time each, replaced when they die."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import Literal

from callwright.speech import messages
from callwright.speech.messages import BadMessage, Head

Role = Literal["speak", "decode", "piper"]

SPAWN_SECONDS = 15.0
"""How long a new process may take to say that it is ready; a busy machine is slow, a healthy one needs 0.2 s."""

END_SECONDS = 5.0
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "TZ")


@dataclass(frozen=True, slots=True)
class Done:
    """A worker's answer; `head["ok"]` says whether it could do the job, `head["reason"]` why not."""

    head: Head
    body: bytes


@dataclass(frozen=True, slots=True)
class Died:
    """There is no answer: the process died of the job, took too long, or could not be started."""

    reason: str
    "a clause for people"


class WorkerPool:
    """At most `size` processes of one role. Use `start` or let the first job start one; `stop` ends them all."""

    def __init__(self, role: Role, size: int) -> None:
        self._role = role
        self._size = size
        self._free: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self._alive: set[Process] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._stopped = False

    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [process.pid for process in self._alive]

    async def start(self) -> None:
        """Start every process now, so that the first jobs need not wait. A failure shows at the first job."""
        slots = [self._free.get_nowait() for _ in range(self._free.qsize())]
        await asyncio.gather(*(self._refill(slot) for slot in slots))

    async def stop(self) -> None:
        """End every process, busy or not; jobs under way end as Died. The pool is not used afterwards."""
        self._stopped = True
        for task in tuple(self._replacing):
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await asyncio.gather(*(self._end(process) for process in tuple(self._alive)))

    async def run(self, head: Head, body: bytes, within_seconds: float) -> Done | Died:
        """Have one job done; the budget includes waiting for a free worker."""
        try:
            async with asyncio.timeout(within_seconds):
                process = await self._free.get()
                try:
                    done = await self._on(process, head, body)
                except BaseException:
                    # Cancelled or out of time: the process is in the middle of a job and of no further use.
                    self._replace(None)
                    raise
        except TimeoutError:
            return Died("it took too long")
        if isinstance(done, Died):
            self._replace(None)
        return done

    async def _on(self, process: Process | None, head: Head, body: bytes) -> Done | Died:
        """The job on one worker, which is free again only if it answered."""
        if process is not None and process.returncode is not None:  # it died while it had nothing to do
            await self._end(process)
            process = None
        worker = process or await self._spawn()
        if worker is None:
            return Died("its process could not be started")
        answered = False
        try:
            assert worker.stdin is not None  # noqa: S101 - asked for at the start, for the type checker
            worker.stdin.write(messages.serialize(head, body))
            await worker.stdin.drain()
            done = await _receive(worker)
            answered = True
        except (asyncio.IncompleteReadError, ConnectionError, BadMessage):
            return Died("its process died")
        finally:
            if not answered:
                await asyncio.shield(self._end(worker))
        self._free.put_nowait(worker)
        return done

    def _replace(self, slot: Process | None) -> None:
        """Have a new process ready for the next job, in the background; the place is free once it is."""
        if self._stopped:
            self._free.put_nowait(None)
            return
        task = asyncio.get_running_loop().create_task(self._refill(slot))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _refill(self, slot: Process | None) -> None:
        try:
            slot = slot or await self._spawn()
        finally:
            self._free.put_nowait(slot)

    async def _spawn(self) -> Process | None:
        if self._stopped:
            return None
        try:
            # A session of its own: Ctrl-C at a terminal is for the platform, which still needs its workers to drain.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-m", "callwright.speech.worker", self._role),
                stdin=PIPE,
                stdout=PIPE,
                limit=messages.MOST_BODY_BYTES,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | {"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except OSError:
            return None
        self._alive.add(process)
        ready = False
        try:
            async with asyncio.timeout(SPAWN_SECONDS):
                ready = (await _receive(process)).head.get("ready") is True
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, BadMessage):
            return None
        finally:
            if not ready:
                await asyncio.shield(self._end(process))
        return process

    async def _end(self, process: Process) -> None:
        """Kill a process and wait until it is gone and its pipes are closed."""
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        # One that wrote far more than it may leaves a pipe that nobody empties; gone it is all the same.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        self._alive.discard(process)


async def _receive(process: Process) -> Done:
    stream = process.stdout
    assert stream is not None  # noqa: S101 - asked for at the start, for the type checker
    head_bytes, body_bytes = messages.parse_lengths(await stream.readexactly(messages.LENGTHS.size))
    head = messages.parse_head(await stream.readexactly(head_bytes))
    return Done(head, await stream.readexactly(body_bytes))
