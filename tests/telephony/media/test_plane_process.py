"""The media process itself: its beginning, its end, its death, its ports."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callwright.audio import tones
from callwright.errors import TelephonyError
from callwright.rtp import rtcp
from callwright.simulator.loopback import own_host, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.media import protocol
from callwright.telephony.media.events import MediaGone, PlaybackFinished, PlaybackStarted
from callwright.telephony.media.plane import MediaPlane

Bench = Any  # conftest's classes cannot be imported from here
pytestmark = pytest.mark.asyncio(loop_scope="session")


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_the_process_ends_with_stop_and_says_goodbye(make_bench: Any) -> None:
    bench = await make_bench()
    phone, pid = bench.phone(), bench.plane.pid
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    await bench.until(lambda: phone.heard)
    await bench.plane.stop()
    assert not is_alive(pid)
    assert (bench.plane.ready, bench.plane.pid) == (False, None)
    await bench.until(lambda: phone.reports and isinstance(phone.reports[-1][-1], rtcp.Goodbye))
    assert bench.events == []  # nobody is told of a death that was asked for
    await bench.plane.stop()
    with pytest.raises(TelephonyError, match="gone"):
        await bench.plane.open("t")


async def test_signals_to_the_whole_group_leave_it_to_the_parent(bench: Bench) -> None:
    phone = bench.phone()
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    for sent in (signal.SIGINT, signal.SIGTERM):
        os.kill(bench.plane.pid, sent)
    bench.plane.play("s", "p", bench.prompt("p", tones.sine(500, 0.1)), 1)
    await bench.until(lambda: bench.posted(PlaybackFinished))
    assert bench.plane.ready


async def test_a_killed_process_is_noticed_and_can_be_started_again(make_bench: Any) -> None:
    bench = await make_bench()
    phone, pid = bench.phone(), bench.plane.pid
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    os.kill(pid, signal.SIGSTOP)  # so that what is asked now is never answered
    opening = asyncio.create_task(bench.plane.open("t"))
    closing = asyncio.create_task(bench.plane.close("s"))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    for waiting in (opening, closing):
        with pytest.raises(TelephonyError, match="SIGKILL"):
            await waiting
    assert [event.reason for event in bench.posted(MediaGone)] == ["killed by SIGKILL"]
    assert not bench.plane.ready
    with pytest.raises(TelephonyError, match="gone"):
        await bench.plane.open("u")
    with pytest.raises(TelephonyError, match="not open"):
        bench.plane.connect("s", phone.remote())

    await bench.plane.start()
    assert bench.plane.pid != pid
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    bench.plane.play("s", "p", bench.prompt("p", tones.sine(500, 0.1)), 1)
    await bench.until(lambda: bench.posted(PlaybackFinished))


async def test_a_bug_ends_the_process_loudly(make_bench: Any, capfd: pytest.CaptureFixture[str]) -> None:
    bench = await make_bench()  # here, so that the process inherits the captured stderr
    bench.plane._send(protocol.CutPlayback("nobody's", "p"))  # what the door would never let through
    await bench.until(lambda: bench.posted(MediaGone))
    assert bench.posted(MediaGone)[0].reason == "exit status 1"
    said = capfd.readouterr().err
    assert "the media process ends on a bug" in said
    assert "KeyError" in said


async def test_starting_twice_is_refused(bench: Bench) -> None:
    with pytest.raises(TelephonyError, match="already"):
        await bench.plane.start()


async def test_events_carry_platform_time(bench: Bench) -> None:
    clock = platform_clock()
    before = clock()
    await bench.plane.open("s")
    bench.plane.connect("s", bench.phone().remote())
    bench.plane.play("s", "p", bench.prompt("p", tones.sine(500, 0.04)), 1)
    await bench.until(lambda: bench.posted(PlaybackFinished))
    (started,), (finished,) = bench.posted(PlaybackStarted), bench.posted(PlaybackFinished)
    # Clocks anchored at different moments differ by what the wall clock was adjusted in between: next to nothing.
    assert before - 0.1 <= started.at < finished.at <= clock() + 0.1


async def test_another_clock_is_followed(bench: Bench) -> None:
    events: list[Any] = []
    plane = MediaPlane(own_host(), unused_ports(4, own_host()), lambda: time.monotonic() + 1e9, events.append)
    await plane.start()
    before = time.monotonic() + 1e9
    await plane.open("s")
    plane.connect("s", bench.phone().remote())
    plane.play("s", "p", bench.prompt("p", tones.sine(500, 0.04)), 1)
    await bench.until(lambda: len(events) == 2)
    assert before <= events[0].at < events[1].at <= time.monotonic() + 1e9
    await plane.stop()


async def test_a_thousand_streams_play_at_once(make_bench: Any) -> None:
    bench = await make_bench(pairs=1_100)
    prompt = bench.prompt("p", tones.sine(500, 0.1))
    phone = bench.phone()
    asyncio.get_running_loop().remove_reader(phone.rtp)  # what it hears is not the matter here
    opened = await asyncio.gather(*(bench.plane.open(f"s{n}") for n in range(1_000)))
    assert len({local.port for local in opened}) == 1_000
    for n in range(1_000):
        bench.plane.connect(f"s{n}", phone.remote())
        bench.plane.play(f"s{n}", "p", prompt, 1)
    await bench.until(lambda: len(bench.posted(PlaybackFinished)) == 1_000)
    assert all(event.completed for event in bench.events if isinstance(event, PlaybackFinished))
    reports = await asyncio.gather(*(bench.plane.close(f"s{n}") for n in range(1_000)))
    assert all(report.packets_sent + report.send_errors + report.gaps >= 5 for report in reports)


async def test_ports_run_out_and_come_back(make_bench: Any) -> None:
    bench = await make_bench(pairs=2)
    ports = {(await bench.plane.open(f"s{n}")).port for n in range(2)}
    assert len(ports) == 2
    with pytest.raises(TelephonyError, match="--rtp-ports"):
        await bench.plane.open("s2")
    await bench.plane.close("s1")
    assert (await bench.plane.open("s2")).port in ports


async def test_ports_that_others_hold_are_passed_over(make_bench: Any, holder: Callable[[int], None]) -> None:
    bench = await make_bench(pairs=4)
    probe = [(await bench.plane.open(f"p{n}")).port for n in range(4)]
    for n in range(4):
        await bench.plane.close(f"p{n}")
    low = min(probe)
    holder(low)  # an RTP port ...
    holder(low + 3)  # ... and the RTCP port of the pair above
    got = {(await bench.plane.open(f"s{n}")).port for n in range(2)}
    assert got == {low + 4, low + 6}
    with pytest.raises(TelephonyError, match="in use"):
        await bench.plane.open("s2")


async def test_an_opening_that_nobody_waits_for_any_more_is_closed_again(make_bench: Any) -> None:
    bench = await make_bench(pairs=1)
    opening = asyncio.create_task(bench.plane.open("s"))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    # Commands keep their order, but the abandoned stream is closed only once we hear that it opened.
    with pytest.raises(TelephonyError, match="--rtp-ports"):
        await bench.plane.open("t")
    await bench.plane.open("t")


async def test_a_host_that_is_not_ours_is_refused() -> None:
    plane = MediaPlane("192.0.2.1", range(20_000, 20_100), platform_clock(), lambda _: None)
    with pytest.raises(TelephonyError, match=r"192\.0\.2\.1"):
        await plane.start()
    assert not plane.ready


async def test_a_range_without_a_pair_is_refused() -> None:
    with pytest.raises(TelephonyError, match="--rtp-ports 20001-20002"):
        MediaPlane("127.0.0.1", range(20_001, 20_003), platform_clock(), lambda _: None)
