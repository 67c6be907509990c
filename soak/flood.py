"""A flood of SIP, while calls talk: they must not notice, new calls must come about, and nothing may grow for ever.

The server is `callwright run` with a trunk, and half of the flood has the trunk's address: nothing in a datagram tells
it from the trunk's own. Live calls are the crowd's of `bench/`, each measured packet by packet.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bench.rig.http import Connection, Receiver
from bench.rig.result import percentile
from bench.rig.rig import MESSAGE, CrowdRig, accepted, number, play, say

from callwright.audio import g711, wav
from soak.attack import METHODS
from soak.verdict import Promise, Verdict
from soak.watch import sample

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
FIRST_LIVE, FIRST_NEW = 7_000_000, 8_000_000
FILE_SECONDS = 60
REPETITIONS = 3
MARGIN_SECONDS = 240
STARTS_PER_SECOND = 20
NEW_CALL_EVERY_SECONDS = 3.0
NEW_CALL_LIMIT_SECONDS = 60.0
POLL_SECONDS = 0.25
STOP_SECONDS = 5.0
MOST_GROWTH_MB = 100.0
MOST_LOST_MORE = 1.0
"""Per cent of the packets, over what a machine that is busy with other things loses without a flood."""
MOST_CONNECTIONS = 200
"""From one address; StreamLimits.most_from_one_host."""
SPARE_DESCRIPTORS = 150
"""For new calls, their webhooks, the looks of this soak itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    seconds: float
    rate: float
    "messages a second"
    calls: int
    "that live through it"
    quick: bool
    "to see that everything works: how late things came is told and not judged"

    @property
    def window_seconds(self) -> float:
        return 1.0 if self.quick else 5.0

    @property
    def settle_seconds(self) -> float:
        """Transactions end after 32 s at the latest (64 × T1)."""
        return 1.0 if self.quick else 40.0


@dataclass(slots=True)
class _Seen:
    """What came of it."""

    samples: list[dict[str, float]] = field(default_factory=list)
    lasted: list[float] = field(default_factory=list)
    "seconds from the POST of each new call until it was over"
    failed: list[str] = field(default_factory=list)
    "how new calls ended that did not go well"


class Flooder:
    """The process that floods."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101 - it was started with pipes
        assert process.stdout is not None  # noqa: S101 - likewise
        self._commands, self._answers = process.stdin, process.stdout

    async def ask(self, command: str) -> dict[str, int]:
        """One command; its answer."""
        self._commands.write(command.encode() + b"\n")
        return await self.read()

    async def read(self) -> dict[str, int]:
        """The next answer."""
        line = await self._answers.readline()
        if not line:
            raise RuntimeError("the flooder ended")
        answer: dict[str, int] = json.loads(line)
        return answer


@contextlib.asynccontextmanager
async def flooding(port: int, rate: float) -> AsyncIterator[Flooder]:
    """A flooder that waits for its command."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "soak.flooder", HOST, str(port), str(rate), stdin=pipe, stdout=pipe, cwd=ROOT
    )
    try:
        flooder = Flooder(process)
        await flooder.read()
        yield flooder
    finally:
        process.terminate()
        await process.wait()


async def soak(plan: Plan) -> Verdict:
    """Flood for as long as planned."""
    chance = random.Random(4)  # noqa: S311 - a message, no secret
    noise = np.frombuffer(chance.randbytes(2 * 8_000 * FILE_SECONDS), dtype="<i2") // 4
    receiver = Receiver(wav.serialize(noise))
    await receiver.start()
    rig = CrowdRig("quick" if plan.quick else "whole", g711.encode("PCMU", noise))
    try:
        await _call(rig, plan, f"http://127.0.0.1:{receiver.port}/")
        before = await _window(rig, plan, None, windows=2)
        async with flooding(rig.sip_port, plan.rate) as flooder:
            seen, report = await _flood(rig, plan, flooder)
        await asyncio.sleep(plan.settle_seconds)
        after = await _window(rig, plan, None)
        await (await rig.sink()).ask("hang_up")
    finally:
        await rig.close()
        await receiver.stop()
    return Verdict("flood", _promises(plan, before, seen, report, after), [before, *seen.samples, after])


async def _call(rig: CrowdRig, plan: Plan, url: str) -> None:
    """Calls that talk until all is over."""
    sink = await rig.sink()
    await rig.server_pid()
    times = int((plan.seconds + MARGIN_SECONDS) // (FILE_SECONDS * REPETITIONS)) + 1
    async with rig.connected() as connection:
        for index in range(plan.calls):
            messages = [play(url, REPETITIONS)] * times
            await accepted(connection, rig.callflow(number(FIRST_LIVE + index), *messages))
            await asyncio.sleep(1 / STARTS_PER_SECOND)
    await sink.ask(f"until_up {plan.calls}")
    await sink.ask("talk 1")
    await _new_call(rig, 0, _Seen())  # what the first new call needs is made once: a voice, a cache


async def _flood(rig: CrowdRig, plan: Plan, flooder: Flooder) -> tuple[_Seen, dict[str, int]]:
    seen = _Seen()
    new_calls = asyncio.create_task(_new_calls(rig, seen))
    await flooder.ask("begin")
    until = time.monotonic() + plan.seconds
    try:
        while time.monotonic() < until and not new_calls.done():
            seen.samples.append(await _window(rig, plan, flooder))
        report = await flooder.ask("end")
    finally:
        new_calls.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await new_calls
    return seen, report


async def _window(rig: CrowdRig, plan: Plan, flooder: Flooder | None, windows: int = 1) -> dict[str, float]:
    """What callees hear for a while, and how the server is at its end."""
    sink = await rig.sink()
    await sink.ask("begin")
    await asyncio.sleep(plan.window_seconds * windows)
    heard = await sink.ask("report")
    sent = {} if flooder is None else await flooder.ask("report")
    return {
        "at": round(time.monotonic(), 1),
        "up": float(heard["up"]),
        "heard": float(heard["streams"] - heard["silent_streams"]),
        "packets": float(heard["packets"]),
        "missing": float(heard["missing"]),
        "gap_p99_ms": float(heard["gap_ms"]["p99"]),
        "longest_gap_ms": float(heard["longest_gap_ms"]),
        "sent": float(sent.get("sent", 0)),
        **await sample(rig),
    }


async def _new_calls(rig: CrowdRig, seen: _Seen) -> None:
    """One whole call after the other."""
    for index in range(1, sys.maxsize):
        began = time.monotonic()
        await _new_call(rig, index, seen)
        await asyncio.sleep(max(0.0, began + NEW_CALL_EVERY_SECONDS - time.monotonic()))


async def _new_call(rig: CrowdRig, index: int, seen: _Seen) -> None:
    """POST, answer, a message of two seconds, BYE; how long that took, and how it ended when not well."""
    destination = number(FIRST_NEW + index)
    posted = time.monotonic()
    async with rig.connected() as connection:
        session_id = await accepted(connection, rig.callflow(destination, say(MESSAGE)))
        status = await _ending(rig, connection, session_id)
    seen.lasted.append(time.monotonic() - posted)
    if status != "COMPLETED":
        seen.failed.append(status)


async def _ending(rig: CrowdRig, connection: Connection, session_id: str) -> str:
    """The status of a session that is over; `NEVER` when it is not in time."""
    until = time.monotonic() + NEW_CALL_LIMIT_SECONDS
    while time.monotonic() < until:
        answer = await connection.exchange(rig.own("GET", f"/sessions/{session_id}"))
        summary: dict[str, Any] | None = json.loads(answer.body).get("summary")
        if summary:
            return str(summary["sessionStatus"])
        await asyncio.sleep(POLL_SECONDS)
    return "NEVER"


def _lost(windows: list[dict[str, float]]) -> float:
    """Per cent of live calls' packets that did not come."""
    missing = sum(one["missing"] for one in windows)
    return 100 * missing / max(1.0, missing + sum(one["packets"] for one in windows))


def _promises(
    plan: Plan, before: dict[str, float], seen: _Seen, report: dict[str, int], after: dict[str, float]
) -> tuple[Promise, ...]:
    during = seen.samples
    lost_before, lost = _lost([before]), _lost(during)
    started, most = before["memory_mb"], max(one["memory_mb"] for one in [*during, after])
    files = before["descriptors"] + MOST_CONNECTIONS + SPARE_DESCRIPTORS
    lost_limit = None if plan.quick else lost_before + MOST_LOST_MORE
    return (
        Promise("messages sent", float(report["sent"]), "", 1.0, "at least"),
        Promise("messages a second", report["sent"] / plan.seconds, "1/s"),
        *(Promise(f"{method} sent", float(report[method]), "", 1.0, "at least") for method in METHODS),
        Promise("connections that stall", float(report["connections"])),
        Promise("answers to strangers", float(report["strangers_answered"]), "", 0.0),
        Promise("live calls at the end", after["up"], "", float(plan.calls), "at least"),
        Promise("live calls heard, worst window", min(one["heard"] for one in during), "", plan.calls, "at least"),
        Promise("packets missing before", lost_before, "%"),
        Promise("packets missing meanwhile", lost, "%", lost_limit),
        Promise("longest gap before", before["longest_gap_ms"], "ms"),
        Promise("gap meanwhile, p99 of the worst window", max(one["gap_p99_ms"] for one in during), "ms"),
        Promise("longest gap meanwhile", max(one["longest_gap_ms"] for one in during), "ms"),
        Promise("new calls", float(len(seen.lasted)), "", 1.0, "at least"),
        Promise("new calls that did not go well", float(len(seen.failed)), "", 0.0),
        Promise("a new call of 2 s takes, p50", percentile(seen.lasted or [0.0], 0.5), "s"),
        Promise("a new call of 2 s takes, longest", max(seen.lasted, default=0.0), "s"),
        Promise("memory before", started, "MB"),
        Promise("memory growth, most", most - started, "MB", MOST_GROWTH_MB),
        Promise("memory growth, settled", after["memory_mb"] - started, "MB", MOST_GROWTH_MB),
        Promise("descriptors, most", max(one["descriptors"] for one in during), "", files),
        Promise("descriptors, settled", after["descriptors"], "", before["descriptors"] + SPARE_DESCRIPTORS),
        Promise("SIP transactions, most", max(one["sip_transactions"] for one in during)),
        Promise("SIP transactions, settled", after["sip_transactions"], "", None if plan.quick else 50.0),
        Promise("tasks, most", max(one["tasks"] for one in during)),
        Promise("tasks, settled", after["tasks"], "", before["tasks"] + SPARE_DESCRIPTORS),
    )
