"""The example servers, each a process of its own, asked by a running callwright about calls of real phones."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.answering import virtual_number
from tests.hearing import tone_ms

from callwright.simulator.behaviour import Behaviour, Press

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer
    from tests.programs import Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_the_menu_is_gone_through(site: "Site", customer: "Customer", shell: "Shell") -> None:
    # The first key cuts the menu short; the question that follows at once is heard out.
    number = site.phone(
        Behaviour(
            answer_after_seconds=0.05,
            press=(Press(0.5, "1"),),
            press_after_silence=(Press(0.1, "4711#"),),
            silence_seconds=1.0,
        )
    )
    where = ("--url", site.base_url, "--sub-account", customer.sub_account)
    example = await shell.start(sys.executable, str(EXAMPLES / "ivr_server.py"), customer.key, *where, "--call", number)
    await example.says(r"COMPLETED: \S+")
    example.signal(signal.SIGINT)
    ended = await example.end()
    assert (ended.status, ended.err) == (0, "")
    ready, first, second, over = ended.out.splitlines()
    assert (ready, first, second) == (
        "ready", "ACTION_COMPLETED 1 → sayAndCapture", "ACTION_COMPLETED 4711 → say",
    )  # fmt: skip
    story = await customer.story(over.removeprefix("COMPLETED: "))
    said = {command["text"] for command in story.all("command.PrepareSpeech")}
    assert "Order 4 7 1 1 is on its way." in said


async def test_two_people_are_connected_and_a_stranger_is_not(
    site: "Site", customer: "Customer", shell: "Shell"
) -> None:
    number, rider = virtual_number(), "+6590003333"
    guest = site.phone(Behaviour(answer_after_seconds=0.05, says_hz=(1_100.0,), hang_up_after_answer_seconds=0.6))
    await site.node.store.add_number(customer.sub_account, number)
    example = await shell.start(
        sys.executable, str(EXAMPLES / "masking_server.py"), customer.key, number, rider, guest,
        "--url", site.base_url, "--sub-account", customer.sub_account,
    )  # fmt: skip
    await example.says("connects")
    address = site.node.telephony.address
    known = site.carrier.call(address, rider, number, Behaviour())
    assert (await known.over()).by_peer
    assert tone_ms(await site.recording(known.call_id), 1_100.0) >= 300
    await site.carrier.call(address, "+6590004444", number, Behaviour()).over()
    await example.says("→ say hangup")
    example.signal(signal.SIGINT)
    ended = await example.end()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[1:] == [
        "CALL_RECEIVED → makeCall", "ACTION_COMPLETED → nothing", "CALL_RECEIVED → say hangup",
    ]  # fmt: skip
