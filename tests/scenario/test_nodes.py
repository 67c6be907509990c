"""Story: two nodes share a PostgreSQL. One is killed, stopped for a while or drained; every call ends once."""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.programs import unused_port

from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.telemetry.clock import platform_clock

if TYPE_CHECKING:
    from tests.customers import Customer, Json
    from tests.programs import Platform, Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOR_EVER, USUAL = "+6581230408", "+6581237777"
LONG_TEXT = "This message is long enough to be cut off, because it goes on and on. " * 20
SHORT_TEXT = "This takes some seconds to say, and nobody may cut it off."
KEY = "a-key-for-both-nodes"
PATIENCE_SECONDS = 60.0
"""Much more than a takeover takes (about 8 s), for busy machines; less than a callee's own patience adds up to."""


@pytest_asyncio.fixture(loop_scope="session")
async def carrier() -> AsyncIterator[Carrier]:
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=Behaviour(answer_after_seconds=0.1))
    await carrier.start()
    yield carrier
    await carrier.stop()


class Cluster:
    """Nodes on one database, each with a data folder of its own and the same key."""

    def __init__(self, shell: "Shell", database: str, carrier: Carrier) -> None:
        self._shell = shell
        self._database = database
        self._trunk = "sip:{}:{}".format(*carrier.address)
        self._first: Path | None = None

    async def node(self, name: str) -> "Platform":
        folder = self._shell.folder / name
        if self._first is None:
            self._first = folder
        elif not folder.exists():
            folder.mkdir(mode=0o700)
            shutil.copy(self._first / "secrets.key", folder)
        http = f"127.0.0.1:{unused_port()}"
        return await self._shell.platform(
            "--database", self._database, "--data", str(folder), "--trunk", self._trunk,
            "--http", http, "--node-url", f"http://{http}", CALLWRIGHT_API_KEY=KEY,
        )  # fmt: skip


@pytest.fixture
def cluster(shell: "Shell", postgres_url: str, carrier: Carrier) -> Cluster:
    return Cluster(shell, postgres_url, carrier)


async def nobody_is_on_the_line(carrier: Carrier) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while carrier.calls:  # noqa: ASYNC110 - the carrier does not say when its last call is over
            await asyncio.sleep(0.05)


async def is_ready(platform: "Platform", customer: "Customer") -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await customer.http.get(f"http://{platform.address}/readyz")).status_code != 200:  # noqa: ASYNC110 - a balancer asks, too
            await asyncio.sleep(0.05)


def at(platform: "Platform", customer: "Customer", path: str) -> str:
    return f"http://{platform.address}/api/v1/subaccounts/{customer.sub_account}{path}"


async def seen_from(platform: "Platform", customer: "Customer", session_id: str) -> "Json":
    answer = await customer.http.get(at(platform, customer, f"/sessions/{session_id}"))
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


@pytest.mark.parametrize(
    ("number", "until"),
    [pytest.param(FOR_EVER, "event.Ringing", id="ringing"), pytest.param(USUAL, "event.PlaybackStarted", id="talking")],
)
async def test_the_calls_of_a_node_that_is_killed_are_ended_by_another(
    cluster: Cluster, carrier: Carrier, number: str, until: str
) -> None:
    first, second = await cluster.node("a"), await cluster.node("b")
    async with first.customer() as customer:
        session_id = await customer.say(number, LONG_TEXT)
        await customer.until(session_id, until)
        before = carrier.calls_taken
        first.program.signal(signal.SIGKILL)
        await first.program.end()
        await nobody_is_on_the_line(carrier)
        summary = await customer.summary(session_id)
        assert summary["sessionStatus"] == "ERROR"
        assert summary["errorDetails"]["errorCode"] == -2001
        assert carrier.calls_taken == before
        assert (await seen_from(second, customer, session_id))["status"] == "ERROR"
        await asyncio.sleep(1.0)  # a second record would send a second summary
        assert len(customer.summaries_of(session_id)) == 1


async def test_a_session_is_looked_up_and_ended_from_any_node(cluster: Cluster, carrier: Carrier) -> None:
    first, second = await cluster.node("a"), await cluster.node("b")
    async with first.customer() as customer:
        session_id = await customer.say(USUAL, LONG_TEXT)
        await customer.until(session_id, "event.PlaybackStarted")
        assert (await seen_from(second, customer, session_id))["status"] == "IN_PROGRESS"
        answer = await customer.http.delete(at(second, customer, f"/sessions/{session_id}"))
        assert answer.status_code == 202, answer.text
        await nobody_is_on_the_line(carrier)
        await customer.summary(session_id)
        answer = await customer.http.delete(at(second, customer, f"/sessions/{session_id}"))
        assert answer.status_code == 409


async def frames_seen(
    platform: "Platform", customer: "Customer", session_id: str, until: str, kinds: list[str] | None = None
) -> list[str]:
    """The kinds of what happens in a session, as one node tells them, until one comes; all of them without it.

    `kinds` grows as they come.
    """
    kinds = [] if kinds is None else kinds
    async with customer.http.stream("GET", at(platform, customer, f"/sessions/{session_id}/events")) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                kinds.append(json.loads(line.removeprefix("data: ")).get("kind", "the summary"))
                if kinds[-1] == until:
                    break
    return kinds


async def test_a_live_session_is_followed_from_any_node_even_when_its_own_dies(
    cluster: Cluster, carrier: Carrier
) -> None:
    first, second = await cluster.node("a"), await cluster.node("b")
    async with first.customer() as customer:
        session_id = await customer.say(USUAL, LONG_TEXT)
        kinds = await frames_seen(second, customer, session_id, "event.PlaybackStarted")
        assert kinds[0] == "session.accepted"
        seen: list[str] = []
        following = asyncio.create_task(frames_seen(second, customer, session_id, "", seen))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "event.PlaybackStarted" not in seen:  # noqa: ASYNC110 - a list tells nobody
                await asyncio.sleep(0.05)
        first.program.signal(signal.SIGKILL)
        kinds = await following
        assert kinds.count("session.accepted") == 1
        assert "event.PlaybackStarted" in kinds
        assert kinds[-1] == "the summary"
        stranger = await customer.http.get(
            at(second, customer, f"/sessions/{session_id}/events"),
            headers={"Authorization": "", "Callwright-Node-Ticket": "AQAA"},
        )
        assert stranger.status_code == 401
    await nobody_is_on_the_line(carrier)


async def test_a_node_that_was_stopped_for_too_long_hangs_up_and_writes_nothing(
    cluster: Cluster, carrier: Carrier
) -> None:
    first, second = await cluster.node("a"), await cluster.node("b")
    async with first.customer() as customer:
        talking = await customer.say(USUAL, LONG_TEXT)
        await customer.until(talking, "event.PlaybackStarted")
        before = carrier.calls_taken
        first.program.signal(signal.SIGSTOP)
        summary = await customer.summary(talking)
        assert summary["errorDetails"]["errorCode"] == -2001
        first.program.signal(signal.SIGCONT)
        await first.program.says("gave this one up")
        await nobody_is_on_the_line(carrier)
        assert carrier.calls_taken == before
        # It is a node again, under another name.
        await is_ready(first, customer)
        again = await customer.say(USUAL, "Hello.")
        assert (await customer.summary(again))["sessionStatus"] == "COMPLETED"
        assert len(customer.summaries_of(talking)) == 1
        assert (await seen_from(second, customer, again))["status"] == "COMPLETED"


async def test_a_node_that_is_drained_finishes_its_calls_while_another_takes_the_new_ones(
    cluster: Cluster, carrier: Carrier
) -> None:
    first, second = await cluster.node("a"), await cluster.node("b")
    async with first.customer() as customer:
        session_id = await customer.say(USUAL, SHORT_TEXT)
        await customer.until(session_id, "event.PlaybackStarted")
        first.program.signal(signal.SIGTERM)
        await first.program.says("Stopping")
        answer = await customer.http.get(f"http://{first.address}/readyz")
        assert answer.status_code == 503
        call = {"action": "makeCall", "params": {"source": "+6531350000", "destination": USUAL}}
        answer = await customer.http.post(at(second, customer, "/callflows"), json={"callflow": [call]})
        assert answer.status_code == 200
        assert (await customer.summary(session_id))["sessionStatus"] == "COMPLETED"
        assert (await first.program.end()).status == 0
        assert "cut off" not in first.program.err.rpartition("Stopping")[2]
        await customer.summary(answer.json()["sessionId"])
    await nobody_is_on_the_line(carrier)
