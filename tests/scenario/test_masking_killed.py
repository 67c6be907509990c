"""Story: the platform is killed while two parties talk through a virtual number; both are told of, once."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.answering import Answerer, flow, make_call, virtual_number

from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.telemetry.clock import platform_clock

if TYPE_CHECKING:
    from tests.customers import Json
    from tests.programs import Platform, Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

RIDER, GUEST = "+6590002222", "+6581234567"


@pytest_asyncio.fixture(loop_scope="session")
async def carrier() -> AsyncIterator[Carrier]:
    """A carrier that outlives the platform."""
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=Behaviour(answer_after_seconds=0.1))
    await carrier.start()
    yield carrier
    await carrier.stop()


async def sip_address_of(platform: "Platform") -> tuple[str, int]:
    host, _, port = (await platform.program.says(r"SIP +(\S+) \(UDP"))[1].rpartition(":")
    return host, int(port)


async def test_a_bridged_call_that_was_cut_off_ends_once_with_both_its_legs(
    shell: "Shell", carrier: Carrier, answerer: Answerer
) -> None:
    trunk = ("--trunk", "sip:{}:{}".format(*carrier.address))
    platform = await shell.platform(*trunk)
    number = virtual_number()
    added = await shell.ended("numbers", "add", "riders_hq", number)
    assert added.status == 0, added.err
    async with platform.customer() as customer:
        answerer.answers = [flow(make_call(GUEST, number)) for _ in range(50)]
        await answerer.register(customer, "VCA")
        before = carrier.calls_taken
        placed = carrier.call(await sip_address_of(platform), RIDER, number)
        while not await placed.answered():
            await asyncio.sleep(0.1)  # the platform looks for new numbers now and then
            placed = carrier.call(await sip_address_of(platform), RIDER, number)
        session_id: str = answerer.of("/vca")[0].body["payload"]["sessionId"]
        await customer.until(session_id, "command.Bridge")
        platform.program.signal(signal.SIGKILL)
        await platform.program.end()
        assert carrier.calls_taken == before + 1

        again = await shell.platform(*trunk, CALLWRIGHT_API_KEY=customer.key)
        summary: Json = await customer.summary(session_id)
        assert summary["sessionStatus"] == "ERROR"
        assert summary["errorDetails"]["errorCode"] == -2001
        assert summary["callCount"] == 2
        inbound, outbound = summary["details"]["callA"], summary["details"]["callB"]
        assert (inbound["callDirection"], inbound["source"], inbound["destination"]) == ("INBOUND", RIDER, number)
        assert (outbound["callDirection"], outbound["source"], outbound["destination"]) == ("OUTBOUND", number, GUEST)
        again.program.signal(signal.SIGTERM)
        assert (await again.program.end()).status == 0
        assert len(customer.summaries_of(session_id)) == 1
    assert carrier.calls_taken == before + 1, "nobody was dialled again"
