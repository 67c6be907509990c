"""What calls cost while they play, and how well their packets are paced: 1,000, 5,000 and 10,000 at once.

The callees are bench/rig/crowd.py's: each at an address of its own, each measured packet by packet. Calls are added up
to the next number, measured for a while, and more are added; the message outlasts all of it. While 5,000 play, further
calls are set up one by one and timed.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.rig.http import Connection, Receiver
from bench.rig.machine import load_average
from bench.rig.media import Listener
from bench.rig.processes import cpu_seconds, memory_bytes
from bench.rig.result import Failure, Figure, Result, percentile
from bench.rig.rig import CrowdRig, Rig, accepted, number, play
from bench.rig.trouble import Attempt, NotHeld
from callwright.audio import g711, wav

FIRST_NUMBER = 5_000_000
FEW, MORE, MOST = (4, 100, 1_000), (6, 500, 5_000), (10, 1_000, 10_000)
"""Calls at once, by the rig's size."""
STARTS_PER_SECOND = 80
CONNECTIONS = 16
"""Each POST waits for the disk."""
MESSAGE_SECONDS = 180
REPETITIONS = 3
PACKETS_PER_SECOND = 50
WINDOW_SECONDS = 10.0
SETTLE_SECONDS = 3.0
ALL_PLAY_SECONDS = 15.0
SETUPS = 100
TARGET_CPU_MS = 0.10
TARGET_KIB = 20.0
TARGET_GAP_MS = 25.0
TARGET_ERROR_MS = (2.0, 5.0)
TARGET_SETUP_MS = 50.0


@dataclass(frozen=True, slots=True)
class Load:
    """What N calls cost for a while, and what their callees heard."""

    cpu_ms_per_call_second: float
    packet_share: float
    "of the packets that should have come"
    memory_bytes: int
    "of all callwright's processes"
    heard: dict[str, Any]
    "crowd.c's report"

    @property
    def faults(self) -> int:
        """Packets that were missing, doubled, out of order, or not of the message."""
        return sum(int(self.heard[name]) for name in ("missing", "doubled_or_late", "wrong", "other", "silent_streams"))


def message(seconds: float) -> NDArray[np.int16]:
    """Noise, the same each time, 8,000 samples a second: every frame can be told from every other."""
    chance = random.Random(6)  # noqa: S311 - a message, no secret
    return np.frombuffer(chance.randbytes(2 * round(8_000 * seconds)), dtype="<i2") // 4


async def until_all_play(listener: Listener) -> None:
    """A call that is up may still be silent: wait for a second in which everybody heard the message, not for ever.

    What is amiss after that is counted by the measurement.
    """
    until = time.perf_counter() + ALL_PLAY_SECONDS
    while time.perf_counter() < until:
        await listener.ask("begin")
        await asyncio.sleep(1.0)
        heard = await listener.ask("report")
        if not heard["wrong"] and not heard["silent_streams"]:
            return


async def load_of(listener: Listener, pid: int, count: int, seconds: float) -> Load:
    """What so many calls cost `pid` and its children for so long; NotHeld when not all are up at the end."""
    await listener.ask("begin")
    cpu_at_start, began = cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    cpu_ms, seconds = (cpu_seconds(pid) - cpu_at_start) * 1000, time.perf_counter() - began
    heard = await listener.ask("report")
    if heard["up"] != count:
        raise NotHeld(f"{heard['up']} calls were up at the end of the measurement, not {count}")
    share = heard["packets"] / (count * seconds * PACKETS_PER_SECOND)
    return Load(cpu_ms / count / seconds, share, memory_bytes(pid), heard)


async def measure(rig: Rig) -> Result:
    """At 1,000 and 5,000 calls whose callees send sound back, and at 10,000 whose callees only listen."""
    few, more, most = rig.sized(*FEW), rig.sized(*MORE), rig.sized(*MOST)
    noise = message(MESSAGE_SECONDS)
    receiver = Receiver(wav.serialize(noise))
    await receiver.start()
    crowd = CrowdRig(rig.size, g711.encode("PCMU", noise))
    figures: list[Figure] = []
    failures: list[Failure] = []
    raw: dict[str, str | int | float] = {"load average before": load_average()}
    try:
        calls = _Calls(crowd, f"http://127.0.0.1:{receiver.port}/")
        # The first call has the message decoded, by a process that stays: a matter of messages, not of calls.
        first = await calls.measured(1, talking=False)
        raw["1 call: memory bytes"] = first.memory_bytes
        name = f"{few} calls, callees talk"
        with Attempt(name, failures):
            load = await calls.measured(few, talking=True)
            figures += figures_of(name, load, raw)
            figures += _errors(name, load)
        name = f"{more} calls, callees talk"
        with Attempt(name, failures):
            load = await calls.measured(more, talking=True)
            figures += figures_of(name, load, raw)
            kib = (load.memory_bytes - first.memory_bytes) / (more - 1) / 1024
            figures.append(Figure(f"memory per call, {more} calls", kib, "KiB", TARGET_KIB, note="over the first"))
        name = f"set-up while {more} calls play"
        with Attempt(name, failures):
            setups = [await calls.set_up() for _ in range(rig.sized(3, 20, SETUPS))]
            for word, share, target in (("p50", 0.5, None), ("p99", 0.99, TARGET_SETUP_MS)):
                note = "POST → INVITE, and 200 OK → ACK"
                figures.append(Figure(f"{name}, {word}", percentile(setups, share) * 1000, "ms", target, note=note))
        name = f"{most} calls, callees listen"
        with Attempt(name, failures):
            load = await calls.measured(most, talking=False)
            figures += figures_of(name, load, raw)
        with Attempt("all callees hang up", failures):
            await (await crowd.sink()).ask("hang_up")
    finally:
        await crowd.close()
        await receiver.stop()
    raw["load average after"] = load_average()
    return Result("concurrent_calls", tuple(figures), raw, tuple(failures))


def figures_of(name: str, load: Load, raw: dict[str, str | int | float]) -> list[Figure]:
    """The figures of a load; every number behind them goes to `raw`."""
    raw[f"{name}: packet share"] = load.packet_share
    raw[f"{name}: memory bytes"] = load.memory_bytes
    for what, value in load.heard.items():
        for part, figure in value.items() if isinstance(value, dict) else (("", value),):
            raw[f"{name}: {what} {part}".rstrip()] = figure
    note = f"{load.packet_share:.2%} of the packets that were due"
    gap_ms = load.heard["gap_ms"]["p99"]
    return [
        Figure(name, load.cpu_ms_per_call_second, "CPU ms per call-second", TARGET_CPU_MS, note=note),
        Figure(f"{name}: gap, p99", gap_ms, "ms", TARGET_GAP_MS, note="between two packets of a stream"),
        Figure(f"{name}: packets amiss", float(load.faults), "", 0.0, note="missing, doubled, late or wrong"),
    ]


def _errors(name: str, load: Load) -> list[Figure]:
    errors = load.heard["gap_error_ms"]
    return [
        Figure(f"{name}: gap error, {share}", errors[share], "ms", target, note="|gap - 20 ms|")
        for share, target in zip(("p99", "p99.9"), TARGET_ERROR_MS, strict=True)
    ]


class _Calls:
    """Calls to the crowd, more and more of them."""

    def __init__(self, rig: CrowdRig, url: str) -> None:
        self._rig = rig
        self._message = play(url, REPETITIONS)
        self._made = 0
        self._are_held = True

    async def measured(self, count: int, *, talking: bool) -> Load:
        """So many calls at once, and what they cost; NotHeld when they are not, and ever after."""
        self._check()
        self._are_held = False
        load = await self._measured(count, talking=talking)
        self._are_held = True
        return load

    def _check(self) -> None:
        if not self._are_held:
            raise NotHeld("not tried, because fewer calls were not held")

    async def _measured(self, count: int, *, talking: bool) -> Load:
        rig = self._rig
        sink, pid = await rig.sink(), await rig.server_pid()
        await sink.ask("talk 0")
        began, first = time.perf_counter(), self._made
        posting = [self._post_until(count, first, began) for _ in range(CONNECTIONS)]
        for outcome in await asyncio.gather(*posting, return_exceptions=True):
            if isinstance(outcome, TimeoutError):
                raise NotHeld(f"POSTs were not answered; {(await sink.ask('report'))['up']} calls were up")
            if outcome is not None:
                raise outcome
        up = (await sink.ask(f"until_up {count}"))["up"]
        if up != count:
            raise NotHeld(f"{up} calls were up, not {count}")
        await sink.ask(f"talk {int(talking)}")
        await until_all_play(sink)
        await asyncio.sleep(rig.sized(SETTLE_SECONDS / 4, SETTLE_SECONDS, SETTLE_SECONDS))
        return await load_of(sink, pid, count, rig.sized(1.0, WINDOW_SECONDS / 2, WINDOW_SECONDS))

    async def _post_until(self, count: int, first: int, began: float) -> None:
        """Post calls over one of several connections, all of them together at a steady rate."""
        async with self._rig.connected() as connection:
            while self._made < count:
                index = self._made
                self._made += 1
                await asyncio.sleep(max(0.0, began + (index - first) / STARTS_PER_SECOND - time.perf_counter()))
                await self._post(connection, index)

    async def set_up(self) -> float:
        """One more call; the seconds of its set-up that are ours: POST → INVITE, 200 OK → ACK."""
        self._check()
        async with self._rig.connected() as connection:
            posted = time.monotonic()
            destination = await self._post(connection, self._made)
            self._made += 1
            times = await (await self._rig.sink()).ask(f"times {destination}")
        return float(times["invited"] - posted + times["acknowledged"] - times["answered"])

    async def _post(self, connection: Connection, index: int) -> str:
        destination = number(FIRST_NUMBER + index)
        await accepted(connection, self._rig.callflow(destination, self._message))
        return destination
