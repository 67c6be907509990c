"""What a whole session costs: POST, durable, INVITE … BYE of a two-second message, VSS delivered."""

import asyncio
import time

from bench.rig.http import Receiver
from bench.rig.processes import cpu_seconds
from bench.rig.result import Figure, Result
from bench.rig.rig import MESSAGE, Rig, accepted, number, say

FIRST_NUMBER = 3_000_000
TARGET_CPU_MS = 1.5


async def measure(rig: Rig) -> Result:
    """Processor time of all callwright's processes per session, at a steady rate of new sessions."""
    sink, pid = await rig.sink(), await rig.server_pid()
    per_second, count = (20, 4) if rig.quick else (50, 500)
    await sink.ask("mode counting")
    receiver = Receiver()
    await receiver.start()
    webhook = {"type": "VSS", "url": f"http://127.0.0.1:{receiver.port}/vss"}
    try:
        async with rig.connected() as connection:
            await connection.exchange(rig.own("POST", "/webhooks", webhook))
            await accepted(connection, rig.callflow(number(FIRST_NUMBER)))  # makes the cache
            await receiver.until(1, 30.0)
            before, began = cpu_seconds(pid), time.perf_counter()
            for index in range(count):
                await asyncio.sleep(max(0.0, began + index / per_second - time.perf_counter()))
                await accepted(connection, rig.callflow(number(FIRST_NUMBER + 1 + index), say(MESSAGE)))
            await receiver.until(count + 1, 60.0)
            seconds = time.perf_counter() - began
            cpu_ms = (cpu_seconds(pid) - before) * 1000
            await connection.exchange(rig.own("DELETE", "/webhooks/VSS"))
    finally:
        await receiver.stop()
    note = f"{per_second} new sessions a second, a message of 2.1 s, callees send no sound"
    figures = (Figure("full session", cpu_ms / count, "CPU ms", TARGET_CPU_MS, note=note),)
    return Result("full_session", figures, {"sessions": count, "seconds": seconds, "cpu_ms": cpu_ms})
