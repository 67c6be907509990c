"""How many sessions a second are accepted: POST, checked, durable, answered.

The destination is a premium number, which is never dialled unless it is listed in full. So the sessions end at once,
each with its terminal record, and what is measured is acceptance and not calling.
"""

import asyncio
import time

from bench.rig.processes import cpu_seconds
from bench.rig.result import Figure, Result
from bench.rig.rig import Rig, accepted, finished
from bench.rig.trouble import UnexpectedAnswer

PREMIUM_NUMBER = "+449098790000"
CONNECTIONS = 32
TARGET_PER_SECOND = 1_500.0


async def measure(rig: Rig) -> Result:
    """Sessions per second with the load generator on the same machine, and the server's processor time per POST."""
    pid = await rig.server_pid()
    count = rig.sized(2 * CONNECTIONS, 1_500, 6_000)
    post = rig.callflow(PREMIUM_NUMBER)
    async with rig.connected() as connection:
        await accepted(connection, post)
    before, began = cpu_seconds(pid), time.perf_counter()
    last = await asyncio.gather(*(_post(rig, post, count // CONNECTIONS) for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - began
    for session_id in last:
        summary = await finished(rig, session_id)
        if summary["errorDetails"]["errorCode"] != -2004:
            raise UnexpectedAnswer(f"a session that should not be dialled ended as {summary}")
    total = count // CONNECTIONS * CONNECTIONS
    cpu_ms = (cpu_seconds(pid) - before) * 1000 / total
    note = f"{CONNECTIONS} connections, SQLite with synchronous=FULL, load generator on the same cores"
    figures = (
        Figure("sessions accepted", total / seconds, "1/s", TARGET_PER_SECOND, "more", note),
        Figure("POST, accepted and ended undialled", cpu_ms, "CPU ms"),
    )
    return Result("accept", figures, {"sessions": total, "seconds": seconds})


async def _post(rig: Rig, post: bytes, count: int) -> str:
    session_id = ""
    async with rig.connected() as connection:
        for _ in range(count):
            session_id = await accepted(connection, post)
    return session_id
