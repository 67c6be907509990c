"""What a whole session costs: POST, durable, INVITE … BYE of a two-second message, VSS delivered.

At two rates: what sessions share (commits, looks at what is due) is shared by more of them when they come faster.
"""

import asyncio
import time

from bench.rig.http import Receiver
from bench.rig.processes import cpu_seconds
from bench.rig.result import Failure, Figure, Result
from bench.rig.rig import MESSAGE, Rig, accepted, number, say
from bench.rig.trouble import Attempt

FIRST_NUMBER = 3_000_000
TARGET_CPU_MS = 1.5
STEADY, BUSY = 50, 150
"""New sessions a second."""
SECONDS, SHORT_SECONDS = 10, 4
CONNECTIONS = 8


async def measure(rig: Rig) -> Result:
    """Processor time of all callwright's processes per session, at steady rates of new sessions."""
    sink, pid = await rig.sink(), await rig.server_pid()
    await sink.ask("mode counting")
    receiver = Receiver()
    await receiver.start()
    webhook = {"type": "VSS", "url": f"http://127.0.0.1:{receiver.port}/vss"}
    figures: list[Figure] = []
    failures: list[Failure] = []
    raw: dict[str, str | int | float] = {}
    try:
        async with rig.connected() as connection:
            await connection.exchange(rig.own("POST", "/webhooks", webhook))
            await accepted(connection, rig.callflow(number(FIRST_NUMBER)))  # makes the cache
            await receiver.until(1, 30.0)
        for name, per_second in (("full session", STEADY), ("full session, busy", BUSY)):
            count = rig.sized(4, per_second * SHORT_SECONDS, per_second * SECONDS)
            with Attempt(name, failures):
                before, began = cpu_seconds(pid), time.perf_counter()
                await _send(rig, receiver, rig.sized(20, per_second, per_second), count)
                seconds = time.perf_counter() - began
                cpu_ms = (cpu_seconds(pid) - before) * 1000
                note = f"{per_second} new sessions a second, a message of 2.1 s, callees send no sound"
                figures.append(Figure(name, cpu_ms / count, "CPU ms", TARGET_CPU_MS, note=note))
                raw |= {f"{per_second}/s sessions": count, f"{per_second}/s seconds": seconds}
        async with rig.connected() as connection:  # the server closes one on which nothing came for long
            await connection.exchange(rig.own("DELETE", "/webhooks/VSS"))
    finally:
        await receiver.stop()
    return Result("full_session", tuple(figures), raw, tuple(failures))


async def _send(rig: Rig, receiver: Receiver, per_second: int, count: int) -> None:
    """Post so many sessions at a steady rate, over several connections, and wait for the summary of each."""
    began, known = time.perf_counter(), receiver.received

    async def every(first: int) -> None:
        async with rig.connected() as connection:
            for index in range(first, count, CONNECTIONS):
                await asyncio.sleep(max(0.0, began + index / per_second - time.perf_counter()))
                await accepted(connection, rig.callflow(number(FIRST_NUMBER + known + index), say(MESSAGE)))

    await asyncio.gather(*(every(first) for first in range(CONNECTIONS)))
    await receiver.until(known + count, 60.0)
