"""Story: what the customer may answer when it is asked what to do next, and how each call ends by it (§7.4)."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from tests.answering import (
    HANGUP,
    NOTHING,
    Answerer,
    Answering,
    ask,
    body,
    dies,
    drips,
    endless,
    flow,
    make_call,
    never,
    say,
    slow,
)

from callwright.simulator.behaviour import Behaviour, Press

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer, Json

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRESSES = Behaviour(answer_after_seconds=0.05, press=(Press(0.1, "1"),))
NO_SUCH_ACTION = body(b'{"callflow":[{"action":"dance"}]}')
STRANGER = flow(make_call("+6581112222", source="+6599990000"), HANGUP)


async def session_of(site: "Site", customer: "Customer") -> str:
    """Call somebody who presses a key at once."""
    return await customer.send(make_call(site.phone(PRESSES)), ask("Press."))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(NOTHING, id="an empty object"),
        pytest.param(body(b'{"callflow":[]}'), id="an empty flow"),
        pytest.param(body(b'{"callflow":null}'), id="null"),
        pytest.param(body(b'{"status":"ignored"}'), id="something else"),
        pytest.param(slow(2.5, NOTHING), id="slow but in time"),
    ],
)
async def test_an_answer_that_asks_for_nothing_ends_the_call_well(
    site: "Site", customer: "Customer", answerer: Answerer, answer: Answering
) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [answer]
    summary = await customer.summary(await session_of(site, customer))
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "SAY_AND_CAPTURE")
    assert summary["details"]["callA"]["callStatus"] == "COMPLETED"


@pytest.mark.parametrize(
    ("answer", "code", "questions"),
    [
        pytest.param(body(b""), -2003, 1, id="an empty body"),
        pytest.param(body(b"<html>"), -2003, 1, id="no JSON"),
        pytest.param(body(b"[]"), -2003, 1, id="no object"),
        pytest.param(NO_SUCH_ACTION, -2003, 1, id="an action that does not exist"),
        pytest.param(flow({"action": "say", "params": {"text": "Hello."}}), -2003, 1, id="a parameter is missing"),
        pytest.param(flow(make_call("+6581"), HANGUP), -2003, 1, id="no number"),
        pytest.param(flow(HANGUP, say("Too late.")), -2003, 1, id="after the hangup"),
        pytest.param(flow(make_call("+6581112222"), make_call("+6581113333")), -2003, 1, id="two makeCalls"),
        pytest.param(flow(say("Hello."), validUntil="2020-01-01T00:00:00Z"), -2003, 1, id="too old"),
        pytest.param(body(b"{}", 404), -2002, 1, id="not found"),
        pytest.param(body(b"{}", 500), -2002, 1, id="a server that fails"),
        pytest.param(body(b"", 302, {"Location": "http://127.0.0.1:1/"}), -2002, 1, id="a redirect"),
        pytest.param(endless, -2003, 1, id="ten gigabytes"),
        pytest.param(dies, -2002, 2, id="dies in the middle"),
    ],
)
async def test_an_answer_that_cannot_be_used_ends_the_session_as_an_error(
    site: "Site", customer: "Customer", answerer: Answerer, answer: Answering, code: int, questions: int
) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [answer] * 2
    session_id = await session_of(site, customer)
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["errorDetails"]["errorCode"]) == ("ERROR", code)
    assert summary["errorDetails"]["callFlowRequestId"]
    assert summary["details"]["callA"]["callStatus"] == "COMPLETED"
    assert len(answerer.questions(session_id)) == questions
    assert (await customer.story(session_id)).only("event.NextFlowFailed")["reason"]


async def test_a_caller_id_that_is_not_the_accounts_is_refused(site: "Site", new_answerer: "type[Answerer]") -> None:
    async with site.customer("narrow") as narrow, new_answerer(STRANGER).serving() as answerer:
        await answerer.register(narrow, "VCA")
        summary = await narrow.summary(await session_of(site, narrow))
        assert (summary["sessionStatus"], summary["errorDetails"]["errorCode"]) == ("ERROR", -2008)


async def test_a_server_that_is_not_there_is_asked_twice(site: "Site", customer: "Customer") -> None:
    async with Answerer().serving() as gone:
        await gone.register(customer, "VCA")
    session_id = await session_of(site, customer)
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["errorDetails"]["errorCode"]) == ("ERROR", -2002)
    assert len((await customer.story(session_id)).all("vca.failed")) == 2


async def test_a_dead_answer_is_asked_for_once_more_and_then_obeyed(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [dies, flow(say("Hello again."), HANGUP)]
    session_id = await session_of(site, customer)
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "HANGUP")
    first, second = answerer.questions(session_id)
    assert first == second


async def test_no_server_holds_a_call_up_for_longer_than_ten_seconds(
    site: "Site", new_answerer: "type[Answerer]"
) -> None:
    async with AsyncExitStack() as stack:
        ended = []
        for answer in (never, drips):
            customer = await stack.enter_async_context(site.customer())
            answerer = await stack.enter_async_context(new_answerer(answer, answer).serving())
            await answerer.register(customer, "VCA")
            session_id = await session_of(site, customer)
            ended.append((customer, session_id))
        for customer, session_id in ended:
            summary: Json = await customer.summary(session_id)
            assert (summary["sessionStatus"], summary["errorDetails"]["errorCode"]) == ("ERROR", -2002)
            tries = (await customer.story(session_id)).all("vca.failed")
            assert sum(each["ms"] for each in tries) >= 9_900


async def test_somebody_who_hangs_up_while_the_customer_thinks_is_not_kept(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [never]
    phone = Behaviour(answer_after_seconds=0.05, press=(Press(0.1, "1"),), hang_up_after_answer_seconds=1.0)
    session_id = await customer.send(make_call(site.phone(phone)), ask("Press."))
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], "errorDetails" in summary) == ("COMPLETED", False)


async def test_a_flow_that_runs_dry_asks_even_without_keys(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [flow(say("And this."), clientActionId="a"), flow(say("That is all."), HANGUP)]
    session_id = await customer.send(make_call(site.phone()), say("First this."))
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "HANGUP")
    questions = answerer.questions(session_id)
    assert [question["eventData"] for question in questions] == [{"dtmf": None}] * 2
    assert ["clientActionId" in question for question in questions] == [False, True]


async def test_nobody_is_asked_after_a_hangup_or_when_the_webhook_is_switched_off(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    first = await customer.send(make_call(site.phone()), say("Hello."), HANGUP)
    await customer.summary(first)
    await answerer.register(customer, "VCA", active=False)
    second = await customer.send(make_call(site.phone()), say("Hello."))
    assert (await customer.summary(second))["sessionStatus"] == "COMPLETED"
    assert answerer.of("/vca") == []


async def test_an_answer_names_a_file_that_cannot_be_had(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    missing = {"action": "playFile", "params": {"fileUrl": customer.web.url("/no.wav")}}
    answerer.answers = [flow(missing, HANGUP)]
    summary = await customer.summary(await session_of(site, customer))
    assert (summary["sessionStatus"], summary["lastAction"]) == ("ERROR", "PLAY_FILE")
    assert (summary["errorDetails"]["errorCode"], summary["errorDetails"]["action"]) == (-2006, "PLAY_FILE")
    assert summary["details"]["callA"]["callStatus"] == "COMPLETED"


async def test_many_menus_at_once_are_not_mixed_up(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    await answerer.register(customer, "VCA")
    wanted = {}
    for key in "123456":
        number = site.phone(Behaviour(answer_after_seconds=0.05, press=(Press(0.2, key),)))
        wanted[await customer.send(make_call(number), ask("Press."))] = key
    await asyncio.gather(*(customer.summary(session_id) for session_id in wanted))
    read = {session_id: answerer.questions(session_id)[0]["eventData"]["dtmf"] for session_id in wanted}
    assert read == wanted
