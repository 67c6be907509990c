"""SIPp calls a virtual number and presses keys: telephone-events and tones of a sender that is not ours."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.answering import HANGUP, Answerer, ask, flow, say, virtual_number
from tests.needs import need

from callwright.audio import g711, tones

if TYPE_CHECKING:
    from tests.conftest import TrunkSite
    from tests.customers import Customer
    from tests.programs import Shell

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.real]

SCENARIOS = Path(__file__).parent / "sipp"


@pytest.fixture(autouse=True, scope="module")
def _sipp_is_installed() -> None:
    need("sipp")


@pytest.mark.parametrize("way", ["telephone-event", "tone"])
async def test_keys_of_another_sender_are_read(
    trunk_site: "TrunkSite", trunk_customer: "Customer", shell: "Shell", own_port: int, way: str
) -> None:
    if way == "telephone-event" and os.geteuid() != 0:
        pytest.skip("SIPp's play_dtmf opens a raw socket, and that needs root")
    number, site = virtual_number(), trunk_site.site
    await site.node.store.add_number(trunk_customer.sub_account, number)
    keys = g711.encode("PCMU", tones.dial_string("15#"))
    (shell.folder / "keys.ulaw").write_bytes(keys)
    scenario = SCENARIOS / ("press_events.xml" if way == "telephone-event" else "press_tones.xml")
    menu = ask("Enter your number, then press the hash key", maxDigits=5, overallTimeout=8000)
    async with Answerer(flow(menu), flow(say("Thank you."), HANGUP)).serving() as answerer:
        await answerer.register(trunk_customer, "VCA")
        host, port = site.node.telephony.address
        caller = await shell.start(
            "sipp", "-sf", str(scenario), "-s", number, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", str(own_port),
            "-m", "1", "-nostdin", "-timeout", "30", "-timeout_error", "-trace_err", f"{host}:{port}",
        )  # fmt: skip
        ended = await caller.end()
        assert ended.status == 0, ended.out[-3_000:] + ended.err
        session_id = answerer.of("/vca")[0].body["payload"]["sessionId"]
        summary = await trunk_customer.summary(session_id)
        received, completed = answerer.questions(session_id)
    assert (received["callStatus"], received["source"]) == ("CALL_RECEIVED", "+6590001111")
    assert completed["eventData"] == {"dtmf": "15"}
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "HANGUP")
    story = await trunk_customer.story(session_id)
    assert {told["way"] for told in story.all("telephony.key")} == {way}
