"""Several media processes behind one door."""

import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from callwright.errors import TelephonyError
from callwright.simulator.loopback import own_host, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.media.events import MediaEvent, MediaGone
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.planes import MediaPlanes

Bench = Any  # conftest's classes cannot be imported from here
plane_test = pytest.mark.asyncio(loop_scope="session")
HOST = own_host()


def planes_of(ports: range, processes: int, events: list[MediaEvent]) -> MediaPlanes:
    return MediaPlanes(
        lambda share, post: MediaPlane(HOST, share, platform_clock(), post), ports, processes, events.append
    )


class Two:
    """Two processes, and what they told."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.ports = unused_ports(60, HOST)
        self.planes = planes_of(self.ports, 2, self.events)

    async def streams(self, bench: Bench, count: int) -> list[Any]:
        """Connected ones, two a session; their phones."""
        phones = [bench.phone() for _ in range(count)]
        for n, phone in enumerate(phones):
            local = await self.planes.open(f"s{n}", "", f"session {n // 2}")
            assert local.port in self.ports
            self.planes.connect(f"s{n}", phone.remote())
        await bench.until(lambda: all(phone.heard for phone in phones))
        return phones


@pytest_asyncio.fixture(loop_scope="session")
async def two() -> AsyncIterator[Two]:
    made = Two()
    await made.planes.start()
    yield made
    await made.planes.stop()
    assert made.planes.pids == []


@plane_test
async def test_streams_of_one_session_are_in_one_process_and_sessions_are_spread(bench: Bench, two: Two) -> None:
    assert len(set(two.planes.pids)) == 2
    await two.streams(bench, 24)
    numbers = [two.planes._plane_of[f"s{n}"] for n in range(24)]
    assert numbers[::2] == numbers[1::2]
    assert set(numbers) == {0, 1}
    for n in range(0, 24, 2):
        two.planes.bridge(f"s{n}", f"s{n + 1}")
    other = numbers.index(1 - numbers[0])
    with pytest.raises(TelephonyError, match="not of one session"):
        two.planes.bridge("s0", f"s{other}")
    reports = [await two.planes.close(f"s{n}") for n in range(24)]
    assert all(report.packets_sent for report in reports)
    assert two.planes._plane_of == {}


@plane_test
async def test_one_that_dies_takes_its_own_streams_along_and_comes_back(bench: Bench, two: Two) -> None:
    phones = await two.streams(bench, 12)
    number = two.planes._plane_of["s0"]
    lost = {stream_id for stream_id, owner in two.planes._plane_of.items() if owner == number}
    pid = two.planes._planes[number].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await bench.until(lambda: two.events)
    (gone,) = two.events
    assert isinstance(gone, MediaGone)
    assert gone.stream_ids == lost
    assert len(two.planes.pids) == 1
    with pytest.raises(TelephonyError, match="gone"):
        await two.planes.open("again", "", "session 0")
    with pytest.raises(TelephonyError, match="not open"):
        two.planes.connect("s0", phones[0].remote())
    await two.planes.start()
    assert len(two.planes.pids) == 2
    await two.planes.open("again", "", "session 0")
    left = next(n for n in range(12) if f"s{n}" not in lost)
    before = len(phones[left].heard)
    await bench.until(lambda: len(phones[left].heard) > before + 10)


@plane_test
async def test_a_stream_that_is_open_is_not_opened_again(bench: Bench, two: Two) -> None:
    await two.streams(bench, 1)
    with pytest.raises(TelephonyError, match="open already"):
        await two.planes.open("s0", "", "another")
    two.planes.stop_playback("unknown", "p")
    two.planes.stop_recording("unknown")


@plane_test
async def test_when_one_does_not_come_up_none_does() -> None:
    events: list[MediaEvent] = []
    ports = unused_ports(8, HOST)

    def make(share: range, post: Any) -> MediaPlane:
        return MediaPlane(HOST if share.start == ports.start else "192.0.2.1", share, platform_clock(), post)

    planes = MediaPlanes(make, ports, 2, events.append)
    with pytest.raises(TelephonyError, match=r"192\.0\.2\.1"):
        await planes.start()
    assert planes.pids == []
    assert events == []


def test_more_processes_than_pairs_of_ports_are_refused() -> None:
    with pytest.raises(TelephonyError, match="--media-processes: 3"):
        planes_of(range(20_000, 20_004), 3, [])
