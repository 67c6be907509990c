"""Session after session, and what is left of them: memory, sockets, tasks, transactions, ports.

Whole sessions: POST, durable, INVITE … BYE of a message of two seconds, webhook delivered. The first ones are not
counted: they make caches, worker processes and the heap that so many calls at once need.
"""

import asyncio
import time
from dataclasses import dataclass, field

from bench.rig.http import Receiver
from bench.rig.rig import MESSAGE, Rig, accepted, number, say

from soak.sipp_rig import SippRig
from soak.verdict import Promise, Verdict
from soak.watch import sample

FIRST_NUMBER = 3_000_000
NUMBERS = 5_000_000
CONNECTIONS = 8
WARM_UP_SESSIONS = 6_000
"""More than any cache of ours holds."""
MOST_WARM_UP_SECONDS = 150.0
IN_FLIGHT_SECONDS = 5.0
"""A server that is this far behind is waited for: then fewer calls a second are made, and the table says how many."""
LAST_SECONDS = 60.0
SETTLE_LIMIT_SECONDS = 60.0
REST_SECONDS = 35.0
"""Ports rest for 30 s after a call, and transactions for 32 s at most."""
MOST_GROWTH_MB = 15.0
SPARE_DESCRIPTORS = 10
SPARE_TASKS = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    seconds: float
    rate: float
    "new sessions a second"
    quick: bool
    "to see that everything works: memory is told and not judged"

    @property
    def look_seconds(self) -> float:
        return 1.0 if self.quick else 10.0

    @property
    def warm_up_sessions(self) -> int:
        return 3 if self.quick else WARM_UP_SESSIONS

    @property
    def left_over(self) -> tuple[str, ...]:
        """What there must be none of in the end. Transactions take 32 s to go."""
        at_once = ("live_sessions", "live_legs", "media_streams")
        return at_once if self.quick else (*at_once, "sip_transactions")

    @property
    def rest_seconds(self) -> float:
        return 1.0 if self.quick else REST_SECONDS


@dataclass(slots=True)
class _Work:
    """What was done so far."""

    receiver: Receiver
    posted: int = 0
    samples: list[dict[str, float]] = field(default_factory=list)


async def soak(plan: Plan) -> Verdict:
    """As many sessions as planned, or as the machine does."""
    receiver = Receiver()
    await receiver.start()
    rig = SippRig("quick" if plan.quick else "whole")
    try:
        await rig.server_pid()
        async with rig.connected() as connection:
            webhook = {"type": "VSS", "url": f"http://127.0.0.1:{receiver.port}/vss"}
            await connection.exchange(rig.own("POST", "/webhooks", webhook))
        work = _Work(receiver)
        await _sessions(rig, plan, work, MOST_WARM_UP_SECONDS, plan.warm_up_sessions)
        before = await _settled(rig, plan)
        known, began = work.posted, time.monotonic()
        watching = asyncio.create_task(_watch(rig, plan, work))
        await _sessions(rig, plan, work, plan.seconds, round(plan.rate * plan.seconds))
        seconds = time.monotonic() - began
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        after = await _settled(rig, plan)
        good, bad = await rig.end()
    finally:
        await rig.close()
        await receiver.stop()
    promises = _promises(plan, work, work.posted - known, seconds, before, after, good, bad)
    return Verdict("leak", promises, [before, *work.samples, after])


async def _sessions(rig: Rig, plan: Plan, work: _Work, seconds: float, most: int) -> None:
    """So many sessions at the planned rate, but for no longer than this, and the webhook of the last one."""
    began, first = time.monotonic(), work.posted

    async def post() -> None:
        async with rig.connected() as connection:
            while True:
                index = work.posted
                due = began + (index - first) / plan.rate
                if index - first >= most or time.monotonic() >= began + seconds:
                    return
                work.posted += 1
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if work.posted - work.receiver.received > CONNECTIONS + IN_FLIGHT_SECONDS * plan.rate:
                    await work.receiver.until(work.receiver.received + CONNECTIONS, LAST_SECONDS)
                destination = number(FIRST_NUMBER + index % NUMBERS)
                await accepted(connection, rig.callflow(destination, say(MESSAGE)))

    async with asyncio.TaskGroup() as posting:
        for _ in range(CONNECTIONS):
            posting.create_task(post())
    await work.receiver.until(work.posted, LAST_SECONDS)


async def _watch(rig: Rig, plan: Plan, work: _Work) -> None:
    while True:
        await asyncio.sleep(plan.look_seconds)
        work.samples.append(await _look(rig, work))


async def _look(rig: Rig, work: _Work) -> dict[str, float]:
    counted = {"at": round(time.monotonic(), 1), "sessions": float(work.receiver.received)}
    return counted | await sample(rig)


async def _settled(rig: Rig, plan: Plan) -> dict[str, float]:
    """How the server is when nothing is left to do, or when it should long be so."""
    until = time.monotonic() + SETTLE_LIMIT_SECONDS
    while True:
        seen = await sample(rig)
        if not any(seen[name] for name in plan.left_over):
            break
        if time.monotonic() > until:
            return seen
        await asyncio.sleep(plan.look_seconds / 10)
    await asyncio.sleep(plan.rest_seconds)
    return await sample(rig)


def _promises(
    plan: Plan,
    work: _Work,
    count: int,
    seconds: float,
    before: dict[str, float],
    after: dict[str, float],
    good: int,
    bad: int,
) -> tuple[Promise, ...]:
    growth = after["memory_mb"] - before["memory_mb"]
    most = max((one["memory_mb"] for one in work.samples), default=after["memory_mb"])
    return (
        Promise("sessions", float(count), "", 1.0, "at least"),
        Promise("sessions a second", count / seconds, "1/s"),
        Promise("sessions a second, asked for", plan.rate, "1/s"),
        Promise("calls that SIPp found right", float(good), "", float(work.posted), "at least"),
        Promise("calls that SIPp found wrong", float(bad), "", 0.0),
        Promise("webhooks missing", float(work.posted - work.receiver.received), "", 0.0),
        Promise("processor time a session", 1000 * (after["cpu_seconds"] - before["cpu_seconds"]) / count, "ms"),
        Promise("memory before", before["memory_mb"], "MB"),
        Promise("memory growth, most", most - before["memory_mb"], "MB"),
        Promise("memory growth, settled", growth, "MB", None if plan.quick else MOST_GROWTH_MB),
        Promise("memory growth a session", 1e6 * growth / count, "bytes"),
        Promise("descriptors before", before["descriptors"]),
        Promise("descriptors, settled", after["descriptors"], "", before["descriptors"] + SPARE_DESCRIPTORS),
        Promise("tasks before", before["tasks"]),
        Promise("tasks, settled", after["tasks"], "", before["tasks"] + SPARE_TASKS),
        *(Promise(f"{name.replace('_', ' ')}, settled", after[name], "", 0.0) for name in plan.left_over),
    )
