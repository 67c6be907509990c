"""Story: a rider and a customer call each other through a virtual number, and neither sees the other's (§9.1)."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from tests.answering import HANGUP, Answerer, flow, make_call, say, virtual_number
from tests.hearing import tone_ms

from callwright.audio.tones import RINGBACK_HZ
from callwright.simulator.behaviour import Behaviour

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer, Json

    from callwright.simulator.placed import PlacedCall

pytestmark = pytest.mark.asyncio(loop_scope="session")

RIDER = "+6590002222"
RIDER_HZ, GUEST_HZ = 700.0, 1_100.0
RIDES = Behaviour(says_hz=(RIDER_HZ,))


def call(site: "Site", number: str, behaviour: Behaviour = RIDES) -> "PlacedCall":
    return site.carrier.call(site.node.telephony.address, RIDER, number, behaviour)


@contextlib.asynccontextmanager
async def masked(
    site: "Site", customer: "Customer", answerer: Answerer, guest: Behaviour, **more: object
) -> AsyncIterator[tuple[str, str]]:
    """A virtual number behind which a guest is called: both numbers."""
    number, guest_number = virtual_number(), site.phone(guest)
    await site.node.store.add_number(customer.sub_account, number)
    await answerer.register(customer, "VCA", "VCS")
    answerer.answers = [flow(make_call(guest_number.removeprefix("+"), number, **more), clientActionId="post_call")]
    yield number, guest_number
    await site.node.store.remove_number(number)


async def summary_of(customer: "Customer", answerer: Answerer) -> "Json":
    """The one session there was."""
    posted = await answerer.news.until(lambda: next(iter(answerer.of("/vca")), None))
    return await customer.summary(posted.body["payload"]["sessionId"])


def statuses(summary: "Json") -> "list[str]":
    return [leg["callStatus"] for leg in summary["details"].values()] + [summary["sessionStatus"]]


async def test_both_hear_each_other_and_see_only_the_virtual_number(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    guest = Behaviour(answer_after_seconds=0.4, hang_up_after_answer_seconds=0.8, says_hz=(GUEST_HZ,))
    async with masked(site, customer, answerer, guest) as (number, guest_number):
        placed = call(site, number)
        assert (await placed.over()).by_peer
        summary = await summary_of(customer, answerer)
        session_id = summary["sessionId"]
        events = await answerer.events(session_id, 6)
    assert statuses(summary) == ["COMPLETED", "COMPLETED", "COMPLETED"]
    inbound, outbound = summary["details"]["callA"], summary["details"]["callB"]
    assert (inbound["callDirection"], inbound["source"], inbound["destination"]) == ("INBOUND", RIDER, number)
    assert (outbound["callDirection"], outbound["source"], outbound["destination"]) == (
        "OUTBOUND",
        number,
        guest_number,
    )
    assert inbound["destinationRefId"] == outbound["sourceRefId"]

    at_rider = await site.recording(placed.call_id)
    at_guest = await site.recording(session_id, guest_number)
    assert tone_ms(at_rider, GUEST_HZ) >= 400
    assert tone_ms(at_guest, RIDER_HZ) >= 300
    assert tone_ms(at_rider, RINGBACK_HZ) >= 100

    # What the guest's phone was shown, byte by byte: the rider's number is nowhere in the call to it.
    story = await customer.story(session_id)
    sip_call_id = next(
        each["sip_call_id"] for each in story.all("telephony.trunk") if each["leg_id"] == outbound["callId"]
    )
    texts = [
        str(each.get("message", each))
        for kind in ("sip.sent", "sip.received")
        for each in story.all(kind)
        if sip_call_id in str(each)
    ]
    assert texts
    assert any(number in text for text in texts), texts[0]
    assert not any(RIDER.removeprefix("+") in text for text in texts)

    first, second = answerer.questions(session_id)
    assert (first["callStatus"], first["destinationRefId"]) == ("CALL_RECEIVED", inbound["destinationRefId"])
    assert (second["callStatus"], second["clientActionId"], second["eventData"]) == (
        "ACTION_COMPLETED", "post_call", {"dtmf": None},
    )  # fmt: skip
    told: dict[str, list[str]] = {leg["callId"]: [] for leg in (inbound, outbound)}
    for event in events:
        told[event["callId"]].append(event["callStatus"])
    assert told[inbound["callId"]] == ["CALL_RECEIVED", "CALL_CONNECTED", "CALL_DISCONNECTED"]
    assert told[outbound["callId"]] == ["CALL_INITIATED", "CALL_CONNECTED", "CALL_DISCONNECTED"]


async def test_the_rider_leaves_before_the_guest_answers(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    async with masked(site, customer, answerer, Behaviour(answer_after_seconds=None)) as (number, _):
        placed = call(site, number)
        posted = await answerer.news.until(lambda: next(iter(answerer.of("/vca")), None))
        await customer.until(posted.body["payload"]["sessionId"], "event.Ringing")
        site.carrier.hang_up(placed.call_id)
        summary = await summary_of(customer, answerer)
    assert statuses(summary) == ["CANCELED", "CANCELED", "CANCELED"]
    assert len(answerer.of("/vca")) == 1


@pytest.mark.parametrize(("status", "ending"), [(486, "BUSY"), (480, "NO_ANSWER"), (503, "FAILED")])
async def test_the_guest_is_not_reached(
    site: "Site", customer: "Customer", answerer: Answerer, status: int, ending: str
) -> None:
    guest = Behaviour(answer_after_seconds=0.3, reject_status=status)
    async with masked(site, customer, answerer, guest) as (number, _):
        placed = call(site, number)
        assert (await placed.over()).by_peer
        summary = await summary_of(customer, answerer)
    assert statuses(summary) == ["COMPLETED", ending, ending]
    assert summary["callCount"] == 2


async def test_a_stranger_is_told_so_and_hung_up(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    async with masked(site, customer, answerer, Behaviour()) as (number, guest_number):
        answerer.answers = [flow(say("You have no ride."), HANGUP)]
        await call(site, number).over()
        summary = await summary_of(customer, answerer)
    assert statuses(summary) == ["COMPLETED", "COMPLETED"]
    assert (summary["sessionId"], guest_number) not in site.heard_at


async def test_the_customer_ends_the_call_while_they_talk(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    async with masked(site, customer, answerer, Behaviour(answer_after_seconds=0.05)) as (number, _):
        placed = call(site, number)
        posted = await answerer.news.until(lambda: next(iter(answerer.of("/vca")), None))
        session_id = posted.body["payload"]["sessionId"]
        await customer.until(session_id, "command.Bridge")
        assert (await customer.http.delete(f"/sessions/{session_id}")).status_code == 202
        assert (await placed.over()).by_peer
        summary = await summary_of(customer, answerer)
    assert statuses(summary) == ["COMPLETED", "COMPLETED", "COMPLETED"]
