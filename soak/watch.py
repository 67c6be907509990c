"""What is looked at from outside while a soak runs: memory, descriptors, and what the server says of itself."""

import contextlib
from pathlib import Path

from bench.rig.http import Connection, request
from bench.rig.processes import cpu_seconds, family, memory_bytes
from bench.rig.rig import KEY, Rig

MEGABYTE = 1_000_000
GAUGES = ("live_sessions", "live_legs", "sip_transactions", "media_streams", "tasks")


def descriptors(pid: int) -> int:
    """Open files of `pid` and its children."""
    count = 0
    for member in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            count += len(list(Path(f"/proc/{member}/fd").iterdir()))
    return count


async def gauges(connection: Connection) -> dict[str, float]:
    """What /metrics tells."""
    answer = await connection.exchange(request("GET", "/metrics", KEY))
    found = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))
    return {name: float(found[f"callwright_{name}"]) for name in GAUGES}


async def sample(rig: Rig) -> dict[str, float]:
    """One look; memory in MB, processor time in seconds since the start."""
    pid = await rig.server_pid()
    async with rig.connected() as connection:
        known = await gauges(connection)
    return {
        "memory_mb": round(memory_bytes(pid) / MEGABYTE, 1),
        "descriptors": float(descriptors(pid)),
        "processes": float(len(family(pid))),
        "cpu_seconds": round(cpu_seconds(pid), 2),
        **known,
    }
