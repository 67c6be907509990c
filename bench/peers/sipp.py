"""SIPp, which calls the callees and plays them the message: a scenario with `play_pcap_audio`.

It sends RTP from a raw socket, which needs root.
"""

import asyncio
import contextlib
import resource
import string
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from bench.concurrent_calls import (
    FEW,
    MESSAGE_SECONDS,
    STARTS_PER_SECOND,
    WINDOW_SECONDS,
    figures_of,
    load_of,
    until_all_play,
)
from bench.concurrent_calls import message as noise
from bench.full_session import SECONDS, SHORT_SECONDS, STEADY
from bench.peers import pcap
from bench.rig.result import Failure, Figure, Result
from bench.rig.rig import CrowdRig, Rig, end, free_port_pair
from bench.rig.trouble import Attempt, NotHeld, ServerTrouble, Trouble
from callwright.audio import g711

SCENARIO = Path(__file__).with_name("sipp_message.xml")
HOST = "127.0.0.1"
SESSION_SECONDS = 2.1
PACKETS_PER_SECOND = 50
SESSION_LIMIT_SECONDS = 120.0
MOST_OF_LOG = 2_000


async def measure(rig: Rig, program: str) -> Result:
    """What calls cost it while they play, and what a whole one of two seconds costs."""
    figures: list[Figure] = []
    failures: list[Failure] = []
    raw: dict[str, str | int | float] = {}
    name = f"{rig.sized(*FEW)} calls, callees talk"
    with Attempt(name, failures):
        figures += await _concurrent(rig, program, name, raw)
    with Attempt("full session", failures):
        figures.append(await _sessions(rig, program, raw))
    return Result("SIPp", tuple(figures), raw, tuple(failures))


async def _concurrent(rig: Rig, program: str, name: str, raw: dict[str, str | int | float]) -> list[Figure]:
    count = rig.sized(*FEW)
    payload = g711.encode("PCMU", noise(MESSAGE_SECONDS))
    crowd = CrowdRig(rig.size, payload)
    try:
        sink = await crowd.sink()
        async with _calling(program, sink.sip_port, payload, count, STARTS_PER_SECOND) as process:
            ended = asyncio.create_task(process.wait())
            up = asyncio.create_task(sink.ask(f"until_up {count}"))
            await asyncio.wait((ended, up), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                up.cancel()
                raise ServerTrouble(f"SIPp ended with status {ended.result()}")
            if up.result()["up"] != count:
                raise NotHeld(f"{up.result()['up']} calls were up, not {count}")
            await sink.ask("talk 1")
            await until_all_play(sink)
            load = await load_of(sink, process.pid, count, rig.sized(1.0, WINDOW_SECONDS / 2, WINDOW_SECONDS))
            ended.cancel()
    finally:
        await crowd.close()
    return figures_of(name, load, raw)


async def _sessions(rig: Rig, program: str, raw: dict[str, str | int | float]) -> Figure:
    per_second = rig.sized(20, STEADY, STEADY)
    count = rig.sized(4, per_second * SHORT_SECONDS, per_second * SECONDS)
    payload = g711.encode("PCMU", noise(SESSION_SECONDS))
    crowd = CrowdRig(rig.size, payload)
    try:
        sink = await crowd.sink()
        await sink.ask("begin")
        before = _ended_children_seconds()
        async with _calling(program, sink.sip_port, payload, count, per_second) as process:
            async with asyncio.timeout(SESSION_LIMIT_SECONDS):
                status = await process.wait()
            if status:
                raise NotHeld(f"SIPp ended with status {status}: not all of {count} calls went well")
        cpu_ms = (_ended_children_seconds() - before) * 1000
        packets = int((await sink.ask("report"))["packets"])
    finally:
        await crowd.close()
    due = round(count * SESSION_SECONDS * PACKETS_PER_SECOND)
    raw |= {"sessions": count, "sessions: packets": packets, "sessions: packets due": due}
    if packets < due // 2:
        raise NotHeld(f"{packets} packets were heard of {due}")
    note = f"{per_second} a second, INVITE … BYE of {SESSION_SECONDS} s and its start; no HTTP, database, webhook"
    return Figure("full session", cpu_ms / count, "CPU ms", note=note)


@contextlib.asynccontextmanager
async def _calling(
    program: str, sip_port: int, payload: bytes, count: int, per_second: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """SIPp with so many calls that play `payload`; it ends with the last, or here. What it says is for trouble."""
    with tempfile.TemporaryDirectory(prefix="callwright-sipp-") as name:
        folder = Path(name)
        capture, scenario, said = folder / "message.pcap", folder / "message.xml", folder / "said"
        capture.write_bytes(pcap.serialize(payload))
        filled = {"capture": str(capture), "milliseconds": str(len(payload) // 8)}
        scenario.write_text(string.Template(SCENARIO.read_text()).substitute(filled))
        with said.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                program, f"{HOST}:{sip_port}", "-sf", str(scenario), "-nostdin",
                "-i", HOST, "-mi", HOST, "-mp", str(free_port_pair()),
                "-m", str(count), "-l", str(count), "-r", str(per_second),
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
            )  # fmt: skip
        try:
            yield process
        except Trouble:
            print(said.read_text(errors="replace")[-MOST_OF_LOG:], file=sys.stderr)
            raise
        finally:
            await end(process)


def _ended_children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
