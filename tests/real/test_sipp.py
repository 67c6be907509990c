"""SIPp as the callee behind a trunk: endings and sound with a SIP and RTP stack that is not ours."""

import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.needs import need
from tests.peers import is_bound, until

from callwright.rtp.sampling import SAMPLED_ONE_IN

if TYPE_CHECKING:
    from tests.conftest import TrunkSite
    from tests.customers import Customer
    from tests.programs import Program, Shell

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.real]

SCENARIOS = Path(__file__).parent / "sipp"
NUMBER = "+6581234567"
LONG_TEXT = "This message is long enough to be cut off in the middle, because it goes on and on and on and on."


@pytest.fixture(autouse=True, scope="module")
def _sipp_is_installed() -> None:
    need("sipp")


class Callee:
    """A running SIPp."""

    def __init__(self, program: "Program", statistics: Path) -> None:
        self._program = program
        self._statistics = statistics

    async def assert_content(self, calls: int = 1) -> None:
        """SIPp ended by itself, and counts every call as it should be and none that failed."""
        ended = await self._program.end()
        assert ended.status == 0, ended.out[-4_000:] + ended.err
        with self._statistics.open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        assert (int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])) == (calls, 0)


class Sipp:
    """Starts SIPp where the trunk leads."""

    def __init__(self, shell: "Shell", port: int, media_port: int) -> None:
        self._shell = shell
        self._port = port
        self._media_port = media_port

    async def answers(self, scenario: str, *options: str, calls: int = 1) -> Callee:
        statistics = self._shell.folder / "statistics.csv"
        program = await self._shell.start(
            "sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(self._port),
            "-mi", "127.0.0.1", "-mp", str(self._media_port), "-rtp_echo", "-m", str(calls), "-nostdin",
            "-timeout", "60", "-timeout_error", "-trace_err", "-trace_stat", "-stf", str(statistics), *options,
        )  # fmt: skip
        await until(lambda: is_bound(self._port) or program.is_over)
        assert not program.is_over, (await program.end()).err
        return Callee(program, statistics)


@pytest_asyncio.fixture(loop_scope="session")
async def sipp(trunk_site: "TrunkSite", shell: "Shell", own_port: int) -> AsyncIterator[Sipp]:
    yield Sipp(shell, trunk_site.port, own_port)
    await shell.close()
    await until(lambda: not is_bound(trunk_site.port))  # the next callee needs the port


@pytest.mark.parametrize(
    ("scenario", "codec", "ladder"),
    [
        pytest.param("answer", "PCMU", ["→ INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE"], id="plain answer"),
        pytest.param(
            "ring_then_answer",
            "PCMA",
            ["→ INVITE", "← 180 INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE"],
            id="180 then 200",
        ),
        pytest.param(
            "early_media",
            "PCMU",
            ["→ INVITE", "← 183 INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE"],
            id="183 with early media",
        ),
        pytest.param(
            "challenge_407",
            "PCMU",
            [
                "→ INVITE", "← 407 INVITE", "→ ACK",
                "→ INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE",
            ],
            id="407",
        ),
        pytest.param(
            "challenge_401",
            "PCMU",
            [
                "→ INVITE", "← 401 INVITE", "→ ACK",
                "→ INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE",
            ],
            id="401 whose digest SIPp checks",
        ),
    ],
)  # fmt: skip
async def test_a_message_is_played_to_a_callee_that_answers(
    trunk_customer: "Customer", sipp: Sipp, scenario: str, codec: str, ladder: list[str]
) -> None:
    callee = await sipp.answers(scenario)
    session_id = await trunk_customer.say(NUMBER, "One.")
    summary = await trunk_customer.summary(session_id)
    await callee.assert_content()
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "HANGUP")
    quality = summary["details"]["callA"]["callQuality"]
    assert quality["packetLossRate"] == 0
    story = await trunk_customer.story(session_id)
    assert story.ladder == ladder
    assert story.only("event.Answered")["codec"] == codec
    report = story.only("rtp.report")
    assert report["sent"] >= 10
    # SIPp sends every packet back. Those on their way when we hang up are not waited for. Once the source is settled,
    # one packet in SAMPLED_ONE_IN is read: what came after the last of those is not counted.
    assert report["sent"] - 5 - SAMPLED_ONE_IN < report["received"] <= report["sent"]
    assert (report["malformed"], report["refused"]) == (0, 0)


@pytest.mark.parametrize(
    ("status", "session_status"), [(486, "BUSY"), (404, "FAILED"), (503, "FAILED")], ids=["486", "404", "503"]
)
async def test_a_callee_that_refuses(trunk_customer: "Customer", sipp: Sipp, status: int, session_status: str) -> None:
    callee = await sipp.answers(f"refuse_{status}")
    session_id = await trunk_customer.say(NUMBER, "One.")
    summary = await trunk_customer.summary(session_id)
    await callee.assert_content()
    assert summary["sessionStatus"] == session_status
    story = await trunk_customer.story(session_id)
    assert story.only("event.NotAnswered")["sip_code"] == status
    assert story.ladder == ["→ INVITE", f"← {status} INVITE", "→ ACK"]


async def test_a_callee_that_never_answers_is_cancelled(trunk_customer: "Customer", sipp: Sipp) -> None:
    callee = await sipp.answers("cancelled")
    session_id = await trunk_customer.say(NUMBER, "One.")
    summary = await trunk_customer.summary(session_id)
    await callee.assert_content()
    assert (summary["sessionStatus"], summary["lastAction"]) == ("NO_ANSWER", "MAKE_CALL")
    ladder = (await trunk_customer.story(session_id)).ladder
    assert ladder == ["→ INVITE", "← 180 INVITE", "→ CANCEL", "← 200 CANCEL", "← 487 INVITE", "→ ACK"]


async def test_a_callee_that_hangs_up_in_the_middle(trunk_customer: "Customer", sipp: Sipp) -> None:
    callee = await sipp.answers("hang_up")
    session_id = await trunk_customer.say(NUMBER, LONG_TEXT)
    summary = await trunk_customer.summary(session_id)
    await callee.assert_content()
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "SAY")
    story = await trunk_customer.story(session_id)
    assert story.only("event.HungUp")["by"] == "them"
    assert story.ladder == ["→ INVITE", "← 200 INVITE", "→ ACK", "← BYE", "→ 200 BYE"]


async def test_calls_over_a_network_that_loses_messages(trunk_customer: "Customer", sipp: Sipp) -> None:
    callee = await sipp.answers("lossy", "-lost", "25", "-max_invite_retrans", "12", calls=4)
    sessions = [await trunk_customer.say(NUMBER, "One.") for _ in range(4)]
    for session_id in sessions:
        summary = await trunk_customer.summary(session_id)
        story = await trunk_customer.story(session_id)
        assert summary["sessionStatus"] == "COMPLETED", story.ladder
    await callee.assert_content(calls=4)
