"""Story: the platform is killed with calls up; who is started after it hangs them up, and nobody is left on a line."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.answering import Answerer, flow, never, say, virtual_number
from tests.programs import unused_port

from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.telemetry.clock import platform_clock

if TYPE_CHECKING:
    from tests.customers import Customer
    from tests.programs import Platform, Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOR_EVER, LATE, USUAL = "+6581230408", "+6581230001", "+6581237777"
LONG_TEXT = "This message is long enough to be cut off, because it goes on and on. " * 20
SOON_SECONDS = 25.0
"""An orphan is hung up well before its carrier would give up by itself (32 s)."""


@pytest_asyncio.fixture(loop_scope="session")
async def carrier() -> AsyncIterator[Carrier]:
    """A carrier that outlives the platform."""
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=Behaviour(answer_after_seconds=0.1))
    carrier.behave(LATE, Behaviour(answer_after_seconds=0.8))
    await carrier.start()
    yield carrier
    await carrier.stop()


class Place:
    """Where the platform is started again and again, over one trunk."""

    def __init__(self, shell: "Shell", carrier: Carrier) -> None:
        self._shell = shell
        self._sip = f"127.0.0.1:{unused_port()}"
        self._trunk = ("--trunk", "sip:{}:{}".format(*carrier.address))

    async def platform(self, *, elsewhere: bool = False, key: str = "") -> "Platform":
        sip = () if elsewhere else ("--sip", self._sip)
        environment = {"CALLWRIGHT_API_KEY": key} if key else {}
        return await self._shell.platform(*self._trunk, *sip, **environment)


@pytest.fixture
def place(shell: "Shell", carrier: Carrier) -> Place:
    return Place(shell, carrier)


async def kill(platform: "Platform") -> None:
    platform.program.signal(signal.SIGKILL)
    await platform.program.end()


async def nobody_is_on_the_line(carrier: Carrier) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        while carrier.calls:  # noqa: ASYNC110 - the carrier does not say when its last call is over
            await asyncio.sleep(0.05)


async def ended_as_cut_off(customer: "Customer", session_id: str) -> None:
    summary = await customer.summary(session_id)
    assert summary["sessionStatus"] == "ERROR"
    assert summary["errorDetails"]["errorCode"] == -2001


@pytest.mark.parametrize("elsewhere", [False, True], ids=["from the same address", "from another address"])
@pytest.mark.parametrize(
    ("number", "until", "said"),
    [
        pytest.param(FOR_EVER, "event.Ringing", "CANCEL", id="ringing"),
        pytest.param(USUAL, "event.PlaybackStarted", "BYE", id="talking"),
    ],
)
async def test_a_call_that_was_cut_off_is_hung_up(  # one story, with its places
    place: Place, carrier: Carrier, number: str, until: str, said: str, elsewhere: bool
) -> None:
    platform = await place.platform()
    async with platform.customer() as customer:
        session_id = await customer.say(number, LONG_TEXT)
        await customer.until(session_id, until)
        before = carrier.calls_taken
        await kill(platform)
        assert len(carrier.calls) == 1
        await place.platform(elsewhere=elsewhere, key=customer.key)
        await nobody_is_on_the_line(carrier)
        await ended_as_cut_off(customer, session_id)
        assert len(customer.summaries_of(session_id)) == 1
        assert carrier.calls_taken == before


async def test_a_callee_that_picks_up_while_nobody_is_there_is_hung_up(place: Place, carrier: Carrier) -> None:
    platform = await place.platform()
    async with platform.customer() as customer:
        session_id = await customer.say(LATE, LONG_TEXT)
        await customer.until(session_id, "event.Ringing")
        await kill(platform)
        await asyncio.sleep(1.0)  # long enough to pick up, and for nothing else
        assert len(carrier.calls) == 1
        await place.platform(key=customer.key)
        await nobody_is_on_the_line(carrier)
        await ended_as_cut_off(customer, session_id)


async def test_a_caller_who_hears_ringing_is_turned_away(
    shell: "Shell", place: Place, carrier: Carrier, answerer: Answerer
) -> None:
    platform = await place.platform()
    number = virtual_number()
    assert (await shell.ended("numbers", "add", "riders_hq", number)).status == 0
    host, _, port = (await platform.program.says(r"SIP +(\S+) \(UDP"))[1].rpartition(":")
    async with platform.customer() as customer:
        answerer.answers = [never for _ in range(50)]
        await answerer.register(customer, "VCA")
        placed = carrier.call((host, int(port)), "+6590002222", number)
        while not await placed.rings():
            await asyncio.sleep(0.1)  # the platform looks for new numbers now and then
            placed = carrier.call((host, int(port)), "+6590002222", number)
        await kill(platform)
        assert placed.ending is None
        await place.platform(key=customer.key)
        async with asyncio.timeout(SOON_SECONDS):
            ending = await placed.over()
        assert ending.status == 503


async def test_a_caller_who_was_answered_is_hung_up(
    shell: "Shell", place: Place, carrier: Carrier, answerer: Answerer
) -> None:
    platform = await place.platform()
    number = virtual_number()
    assert (await shell.ended("numbers", "add", "riders_hq", number)).status == 0
    host, _, port = (await platform.program.says(r"SIP +(\S+) \(UDP"))[1].rpartition(":")
    async with platform.customer() as customer:
        answerer.answers = [flow(say(LONG_TEXT)) for _ in range(50)]
        await answerer.register(customer, "VCA")
        placed = carrier.call((host, int(port)), "+6590002222", number)
        while not await placed.answered():
            await asyncio.sleep(0.1)
            placed = carrier.call((host, int(port)), "+6590002222", number)
        session_id: str = answerer.of("/vca")[0].body["payload"]["sessionId"]
        await customer.until(session_id, "event.PlaybackStarted")
        await kill(platform)
        assert placed.ending is None
        await place.platform(elsewhere=True, key=customer.key)
        async with asyncio.timeout(SOON_SECONDS):
            ending = await placed.over()
        assert (ending.status, ending.by_peer) == (None, True)
        await ended_as_cut_off(customer, session_id)
