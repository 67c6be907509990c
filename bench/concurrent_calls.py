"""What calls cost while they play: processor time per second of call, memory, and whether every packet leaves."""

import asyncio
import time
from dataclasses import dataclass

from bench.rig.http import Receiver
from bench.rig.processes import cpu_seconds, memory_bytes, udp_arrivals
from bench.rig.result import Figure, Result
from bench.rig.rig import Rig, SinkProcess, accepted, number, play
from callwright.audio import tones, wav

FIRST_NUMBER = 5_000_000
STARTS_PER_SECOND = 100
MESSAGE_SECONDS = 60.0
PACKETS_PER_SECOND = 50
TARGET_CPU_MS = 0.10
TARGET_KIB = 20.0
SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Load:
    """What N calls cost for a while."""

    cpu_ms_per_call_second: float
    packet_share: float
    "of the packets that should have left"
    memory_bytes: int
    "of all callwright's processes"


async def measure(rig: Rig) -> Result:
    """At 100 and 500 calls with callees that only listen, and at 500 whose callees send sound back."""
    steps = ((4, False), (4, True)) if rig.quick else ((100, False), (500, False), (500, True))
    receiver = Receiver(wav.serialize(tones.sine(440.0, MESSAGE_SECONDS, -13.0)))
    await receiver.start()
    figures: list[Figure] = []
    idle_bytes = memory_bytes(await rig.server_pid())
    raw: dict[str, str | int | float] = {"no calls: memory bytes": idle_bytes}
    try:
        for step, (calls, talking) in enumerate(steps):
            load = await _load(rig, calls, FIRST_NUMBER + 10_000 * step, f"http://127.0.0.1:{receiver.port}/", talking)
            name = f"{calls} calls, callees {'talk' if talking else 'listen'}"
            note = f"{load.packet_share:.2%} of the packets that were due"
            cpu_ms = load.cpu_ms_per_call_second
            figures.append(Figure(name, cpu_ms, "CPU ms per call-second", TARGET_CPU_MS, note=note))
            raw[f"{name}: packet share"] = load.packet_share
            raw[f"{name}: memory bytes"] = load.memory_bytes
            if not talking and calls == max(calls for calls, _ in steps):
                kib = (load.memory_bytes - idle_bytes) / calls / 1024
                figures.append(Figure(f"memory per call, {calls} calls", kib, "KiB", TARGET_KIB, note="over none"))
    finally:
        await receiver.stop()
    return Result("concurrent_calls", tuple(figures), raw)


async def _load(rig: Rig, calls: int, first_number: int, url: str, talking: bool) -> _Load:
    sink, pid = await rig.sink(), await rig.server_pid()
    window_seconds = 1.0 if rig.quick else 10.0
    await sink.ask("mode talking" if talking else "mode counting")
    async with rig.connected() as connection:
        began = time.perf_counter()
        for index in range(calls):
            await asyncio.sleep(max(0.0, began + index / STARTS_PER_SECOND - time.perf_counter()))
            await accepted(connection, rig.callflow(number(first_number + index), play(url)))
    await sink.ask(f"until_up {calls}")
    await asyncio.sleep(SETTLE_SECONDS / 4 if rig.quick else SETTLE_SECONDS)
    packets_at_start, cpu_at_start, began = _packets(sink), cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(window_seconds)
    seconds = time.perf_counter() - began
    packets, cpu_ms = _packets(sink) - packets_at_start, (cpu_seconds(pid) - cpu_at_start) * 1000
    memory = memory_bytes(pid)
    if (await sink.ask("report"))["up"] != calls:
        raise RuntimeError(f"some of {calls} calls ended while they were measured")
    await sink.ask("hang_up")
    return _Load(cpu_ms / calls / seconds, packets / (calls * seconds * PACKETS_PER_SECOND), memory)


def _packets(sink: SinkProcess) -> int:
    """RTP packets that reached the callees' port and found its buffer full, as it is while calls are measured."""
    _, dropped = udp_arrivals(sink.rtp_port)
    return dropped
