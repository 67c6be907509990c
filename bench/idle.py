"""What a server costs that has nothing to do."""

import asyncio

from bench.rig.processes import cpu_seconds, family, memory_bytes
from bench.rig.result import Figure, Result
from bench.rig.rig import Rig

TARGET_MB = 120.0


async def measure(rig: Rig) -> Result:
    """Memory of all its processes (what they share counts once), and processor time per second."""
    pid = await rig.server_pid()
    seconds = rig.sized(0.2, 3.0, 5.0)
    await asyncio.sleep(seconds / 2)
    before = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    cpu_ms = (cpu_seconds(pid) - before) * 1000 / seconds
    processes = len(family(pid))
    megabytes = memory_bytes(pid) / 1e6
    note = f"{processes} processes: main, media, one that speaks"
    figures = (
        Figure("idle memory", megabytes, "MB", TARGET_MB, note=note),
        Figure("idle processor", cpu_ms, "CPU ms/s"),
    )
    return Result("idle", figures, {"processes": processes})
