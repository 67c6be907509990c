"""Story: a platform that is told to stop, or is killed, loses no call and dials nobody twice."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from callwright.audio import tones, wav
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.telemetry.clock import platform_clock

if TYPE_CHECKING:
    from tests.customers import Page
    from tests.programs import Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = "+6581234567"
LONG_TEXT = "This message takes a while, because it has to be under way when the platform is told to stop."


@pytest_asyncio.fixture(loop_scope="session")
async def carrier() -> AsyncIterator[Carrier]:
    """A carrier that outlives the platform, so that it sees every INVITE of both its lives."""
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=Behaviour(answer_after_seconds=0.1))
    await carrier.start()
    yield carrier
    await carrier.stop()


def trunk(carrier: Carrier) -> tuple[str, str]:
    host, port = carrier.address
    return "--trunk", f"sip:{host}:{port}"


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether the process is there and not just unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(60):
        while any(runs(pid) for pid in pids):  # noqa: ASYNC110 - nobody tells of the end of somebody else's child
            await asyncio.sleep(0.05)


async def test_sigterm_lets_the_running_call_finish_and_sends_its_summary(shell: "Shell") -> None:
    platform = await shell.platform()
    async with platform.customer() as customer:
        session_id = await customer.say("+6581230200", LONG_TEXT)
        await customer.until(session_id, "event.PlaybackStarted")
        platform.program.signal(signal.SIGTERM)
        await platform.program.says("Stopping")
        with contextlib.suppress(httpx.TransportError):  # it may be over before we ask
            body = {"callflow": [{"action": "makeCall", "params": {"source": NUMBER, "destination": NUMBER}}]}
            assert (await customer.http.post("/callflows", json=body)).status_code == 503
        ended = await platform.program.end()
        assert ended.status == 0, ended.err
        assert "Traceback" not in ended.err
        (posted,) = customer.summaries_of(session_id)
        payload = posted.body["payload"]
        assert (payload["sessionStatus"], payload["lastAction"]) == ("COMPLETED", "HANGUP")
    told = await shell.ended("explain", session_id)
    assert "heard the whole message" in told.out


async def test_calls_that_outlast_the_drain_are_cut_off_and_all_of_them_reported(
    shell: "Shell", carrier: Carrier
) -> None:
    platform = await shell.platform(*trunk(carrier), "--drain-seconds", "0.2")
    async with platform.customer() as customer:
        sessions = await asyncio.gather(*(customer.say(f"+658123000{last}", LONG_TEXT) for last in range(10)))
        for session_id in sessions:
            await customer.until(session_id, "event.PlaybackStarted")
        platform.program.signal(signal.SIGTERM)
        ended = await platform.program.end()
        assert ended.status == 0, ended.err
        assert "10 calls were cut off" in ended.err
        for session_id in sessions:
            (posted,) = customer.summaries_of(session_id)
            payload = posted.body["payload"]
            assert (payload["sessionStatus"], payload["errorDetails"]["errorCode"]) == ("ERROR", -2001)
            assert payload["details"]["callA"]["callStatus"] == "COMPLETED"
    assert carrier.calls == ()


async def test_a_platform_killed_in_the_middle_of_a_call_ends_it_once_and_dials_nobody_again(
    shell: "Shell", carrier: Carrier
) -> None:
    first = await shell.platform(*trunk(carrier))
    async with first.customer() as customer:
        session_id = await customer.say(NUMBER, LONG_TEXT)
        await customer.until(session_id, "event.PlaybackStarted")
        workers = children_of(first.program.pid)
        assert workers
        first.program.signal(signal.SIGKILL)
        assert (await first.program.end()).status == -signal.SIGKILL
        await until_gone(workers)
        assert customer.summaries_of(session_id) == []

        second = await shell.platform(*trunk(carrier))
        assert second.key == first.key
        summary = await customer.summary(session_id)
        assert (summary["sessionStatus"], summary["errorDetails"]["errorCode"]) == ("ERROR", -2001)
        assert summary["details"]["callA"]["destination"] == NUMBER
        assert summary["details"]["callA"]["callStatus"] == "ERROR"

        async with httpx.AsyncClient(trust_env=False, headers=customer.http.headers) as client:
            url = f"http://{second.address}/api/v1/subaccounts/riders_hq/sessions/{session_id}"
            state = (await client.get(url)).json()
        assert (state["state"], state["summary"]) == ("FINISHED", summary)
        second.program.signal(signal.SIGTERM)
        assert (await second.program.end()).status == 0
        assert len(customer.summaries_of(session_id)) == 1
    assert carrier.calls_taken == 1


async def test_a_platform_killed_before_it_dialled_dials_when_it_is_back(
    shell: "Shell", carrier: Carrier, page: "type[Page]"
) -> None:
    first = await shell.platform(*trunk(carrier))
    async with first.customer() as customer:
        held = page(wav.serialize(tones.sine(800.0, 0.2)), release=asyncio.Event())
        assert held.release is not None
        customer.web.pages["/slow.wav"] = held
        session_id = await customer.play(NUMBER, customer.web.url("/slow.wav"))
        await customer.web.news.until(lambda: customer.web.fetched or None)
        first.program.signal(signal.SIGKILL)
        await first.program.end()
        held.release.set()
        second = await shell.platform(*trunk(carrier))
        assert (await customer.summary(session_id))["sessionStatus"] == "COMPLETED"
        assert carrier.calls_taken == 1
        second.program.signal(signal.SIGTERM)
        assert (await second.program.end()).status == 0


async def test_a_second_signal_stops_at_once(shell: "Shell", carrier: Carrier) -> None:
    platform = await shell.platform(*trunk(carrier))
    async with platform.customer() as customer:
        session_id = await customer.say(NUMBER, LONG_TEXT)
        await customer.until(session_id, "event.Answered")
        platform.program.signal(signal.SIGINT)
        await platform.program.says("Again to stop at once")
        platform.program.signal(signal.SIGINT)
        ended = await platform.program.end()
        assert ended.status == 0, ended.err
        assert "1 calls were cut off" in ended.err
        assert len(customer.summaries_of(session_id)) == 1
