"""Story: somebody calls a virtual number, and its owner says what happens next (§7.5)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from tests.answering import HANGUP, NOTHING, Answerer, ask, body, flow, make_call, never, say, virtual_number
from tests.customers import UUID
from tests.hearing import place_ms

from callwright.audio.compare import likeness
from callwright.simulator.behaviour import Behaviour, Press

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer
    from tests.programs import Shell

    from callwright.simulator.placed import PlacedCall

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLER = "+6590001111"


def call(site: "Site", number: str, behaviour: Behaviour | None = None, source: str = CALLER) -> "PlacedCall":
    """A phone of the carrier's calls one of our numbers."""
    return site.carrier.call(site.node.telephony.address, source, number, behaviour)


async def session_of(answerer: Answerer, number: str) -> str:
    """The session that the customer was asked about when somebody called the number."""

    def look() -> str | None:
        asked = [posted.body["payload"] for posted in answerer.of("/vca")]
        return next((payload["sessionId"] for payload in asked if payload["destination"] == number), None)

    return await answerer.news.until(look)


@contextlib.asynccontextmanager
async def numbered(site: "Site", customer: "Customer", answerer: Answerer) -> AsyncIterator[str]:
    """A number of the customer's, whose events are answered."""
    number = virtual_number()
    await site.node.store.add_number(customer.sub_account, number)
    await answerer.register(customer, "VCA", "VCS")
    yield number
    await site.node.store.remove_number(number)


async def test_a_caller_hears_what_the_owner_of_the_number_says(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    answerer.answers = [flow(say("We are closed today."), HANGUP)]
    async with numbered(site, customer, answerer) as number:
        placed = call(site, number)
        assert (await placed.over()).by_peer
        session_id = await session_of(answerer, number)
        summary = await customer.summary(session_id)
        (question,) = answerer.questions(session_id)
        events = await answerer.events(session_id, 3)
    assert placed.provisional == [180]
    assert placed.is_answered
    assert (summary["sessionStatus"], summary["lastAction"], summary["callCount"]) == ("COMPLETED", "HANGUP", 1)
    leg = summary["details"]["callA"]
    assert (leg["callDirection"], leg["source"], leg["destination"]) == ("INBOUND", CALLER, number)
    assert UUID.fullmatch(leg["destinationRefId"])
    assert (question["callStatus"], question["callDirection"]) == ("CALL_RECEIVED", "INBOUND")
    assert (question["source"], question["destination"]) == (CALLER, number)
    assert (question["callDuration"], question["sipCode"]) == (0, 200)
    assert (question["sourceRefId"], question["destinationRefId"]) == (None, leg["destinationRefId"])
    assert {"eventData", "dtmf", "clientActionId"}.isdisjoint(question)
    assert [event["callStatus"] for event in events] == ["CALL_RECEIVED", "CALL_CONNECTED", "CALL_DISCONNECTED"]
    story = await customer.story(session_id)
    prompt = site.prompt(story.only("speech.cache")["key"])
    assert place_ms(await site.recording(placed.call_id), prompt, story.skipped_ms) >= 0
    assert story.ladder == [
        "← INVITE", "→ 100 INVITE", "→ 180 INVITE", "→ 200 INVITE", "← ACK", "→ BYE", "← 200 BYE",
    ]  # fmt: skip


async def test_a_caller_goes_through_a_menu(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    answerer.answers = [flow(ask("Press a key."), clientActionId="menu"), flow(say("Thank you."), HANGUP)]
    async with numbered(site, customer, answerer) as number:
        placed = call(site, number, Behaviour(press_after_silence=(Press(0.1, "3"),), silence_seconds=0.3))
        await placed.over()
        session_id = await session_of(answerer, number)
        await customer.summary(session_id)
    received, completed = answerer.questions(session_id)
    assert received["callStatus"] == "CALL_RECEIVED"
    assert (completed["callStatus"], completed["callDirection"]) == ("ACTION_COMPLETED", "INBOUND")
    assert (completed["eventData"], completed["clientActionId"]) == ({"dtmf": "3"}, "menu")


async def test_a_number_that_is_nobodys_is_refused_like_every_stranger(site: "Site", customer: "Customer") -> None:
    before = site.node.board.calls_for_nobody
    ending = await call(site, "+6531999999").over()
    assert (ending.status, ending.reason) == (403, "Forbidden")
    assert site.node.board.calls_for_nobody == before + 1
    listed = (await customer.http.get("/sessions")).json()
    assert listed["sessions"] == []
    assert customer.web.posted == []


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        pytest.param(body(b"", 500), "ERROR", -2002, id="the webhook failed"),
        pytest.param(body(b"no JSON"), "ERROR", -2003, id="no flow"),
        pytest.param(flow(make_call("+870112233445")), "ERROR", -2004, id="no coverage"),
        pytest.param(NOTHING, "NO_ANSWER", None, id="the owner does not want the call"),
        pytest.param(flow(HANGUP), "CANCELED", None, id="hung up at once"),
    ],
)
async def test_a_caller_who_is_not_answered(
    site: "Site", customer: "Customer", answerer: Answerer, answer: "object", status: str, code: int | None
) -> None:
    answerer.answers = [answer]  # type: ignore[list-item]  # an Answering; parametrize has no types
    async with numbered(site, customer, answerer) as number:
        placed = call(site, number)
        assert ((await placed.over()).status or 0) >= 400
        session_id = await session_of(answerer, number)
        summary = await customer.summary(session_id)
    assert not placed.is_answered
    assert summary["sessionStatus"] == status
    assert [leg["callStatus"] for leg in summary["details"].values()] == [status]
    assert summary.get("errorDetails", {}).get("errorCode") == code
    assert summary["details"]["callA"]["callDuration"] == 0


async def test_a_number_whose_owner_has_no_webhook(site: "Site", customer: "Customer") -> None:
    number = virtual_number()
    await site.node.store.add_number(customer.sub_account, number)
    ending = await call(site, number).over()
    assert (ending.status or 0) >= 400
    posted = await customer.web.news.until(lambda: next(iter(customer.web.posted), None))
    payload = posted.body["payload"]
    assert (payload["sessionStatus"], payload["callCount"]) == ("NO_ANSWER", 1)
    assert payload["details"]["callA"]["destination"] == number


async def test_a_caller_leaves_while_the_owner_thinks(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    release = asyncio.Event()

    async def thinks(writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await flow(say("Too late."), HANGUP)(writer)

    answerer.answers = [thinks]
    async with numbered(site, customer, answerer) as number:
        placed = call(site, number)
        session_id = await session_of(answerer, number)
        site.carrier.hang_up(placed.call_id)
        summary = await customer.summary(session_id)
        release.set()
    assert (summary["sessionStatus"], summary["details"]["callA"]["callStatus"]) == ("CANCELED", "CANCELED")
    assert (await placed.over()).status == 487
    assert "speech.cache" not in (await customer.story(session_id)).kinds


async def test_a_hidden_caller_is_taken_too(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    answerer.answers = [flow(say("Hello."), HANGUP)]
    async with numbered(site, customer, answerer) as number:
        await call(site, number, source="").over()
        session_id = await session_of(answerer, number)
        summary = await customer.summary(session_id)
    assert summary["details"]["callA"]["source"] == ""
    assert answerer.questions(session_id)[0]["source"] == ""


async def test_a_number_added_by_command_is_answered_by_the_running_server(
    site: "Site", customer: "Customer", answerer: Answerer, shell: "Shell"
) -> None:
    number = virtual_number()
    await answerer.register(customer, "VCA")
    added = await shell.ended("numbers", "add", customer.sub_account, number, *site.where)
    assert added.status == 0, added.err
    answerer.answers = [flow(say("Hello."), HANGUP)]
    async with asyncio.timeout(60):
        while not await call(site, number).answered():  # noqa: ASYNC110 - the server looks for numbers now and then
            await asyncio.sleep(0.2)
    listed = (await customer.http.get("/numbers")).json()
    assert number.removeprefix("+") in str(listed)
    summary = await customer.summary(await session_of(answerer, number))
    assert summary["sessionStatus"] == "COMPLETED"


async def test_the_customer_ends_a_call_that_nobody_answered_yet(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    answerer.answers = [never]
    async with numbered(site, customer, answerer) as number:
        placed = call(site, number)
        session_id = await session_of(answerer, number)
        assert (await customer.http.delete(f"/sessions/{session_id}")).status_code == 202
        assert ((await placed.over()).status or 0) >= 400
        summary = await customer.summary(session_id)
        shown = (await customer.http.get(f"/sessions/{session_id}")).json()
    assert (summary["sessionStatus"], summary["details"]["callA"]["callStatus"]) == ("CANCELED", "CANCELED")
    assert (shown["state"], shown["summary"]) == ("FINISHED", summary)


async def test_many_callers_at_once_each_hear_their_own_answer(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    async with numbered(site, customer, answerer) as number:
        texts = [f"You are caller number {turn}." for turn in range(1, 6)]
        answerer.answers = [flow(say(text), HANGUP) for text in texts]
        placed = [call(site, number, source=f"+659000{turn:04}") for turn in range(len(texts))]
        await asyncio.gather(*(each.over() for each in placed))
        asked = {posted.body["payload"]["sessionId"] for posted in answerer.of("/vca")}
        assert len(asked) == len(texts)
        prompts = {}
        for session_id in asked:
            source = (await customer.summary(session_id))["details"]["callA"]["source"]
            made = (await customer.story(session_id)).only("speech.cache")
            prompts[source] = site.prompt(made["key"])
        for turn, each in enumerate(placed):
            heard = await site.recording(each.call_id)
            likest = max(prompts, key=lambda source: likeness(heard, prompts[source]).correlation)
            assert likest == f"+659000{turn:04}"
