"""Story: what a customer may rely on: every event is signed, can be followed and sent again; a request counts once."""

import json
import signal
import uuid
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook
from tests.answering import HANGUP, NOTHING, Answerer, make_call, say
from tests.customers import Posted

from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.telemetry.clock import platform_clock

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer, Json
    from tests.programs import Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")


def check(secret: str, posted: Posted) -> None:
    Webhook(secret).verify(posted.raw, dict(posted.headers))


async def secret_of(customer: "Customer", kind: str) -> str:
    shown: Json = (await customer.http.get(f"/webhooks/{kind}")).json()
    return str(shown["secrets"][0]["secret"])


async def test_everything_that_is_posted_is_signed(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    await answerer.register(customer, "VCA")
    await answerer.register(customer, "VCS")
    answerer.answers = [NOTHING]
    session_id = await customer.send(make_call(site.phone(Behaviour(answer_after_seconds=0.05))), say("Hello."))
    await customer.summary(session_id)
    news = await answerer.news.until(lambda: answerer.of("/vcs") if len(answerer.of("/vcs")) == 3 else None)
    for posted in news:
        check(await secret_of(customer, "VCS"), posted)
        assert posted.headers["webhook-id"] == posted.body["payload"]["eventId"]
    (question,) = answerer.of("/vca")
    check(await secret_of(customer, "VCA"), question)
    assert question.headers["webhook-id"] == question.body["payload"]["eventId"]
    (summary,) = customer.summaries_of(session_id)
    check(await secret_of(customer, "VSS"), summary)


async def test_a_call_is_followed_and_its_summary_sent_again_by_command(shell: "Shell") -> None:
    platform = await shell.platform()
    async with platform.customer() as customer:
        async with customer.http.stream("GET", "/events") as answer:
            session_id = await customer.say("+6512345678", "Hello.")
            seen: list[Json] = []
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: ")))
                    if len(seen) == 4:
                        break
        (told,) = (one for one in seen if one["type"] == "VSS")
        statuses = [one["body"]["payload"]["callStatus"] for one in seen if one["type"] == "VCS"]
        assert sorted(statuses) == ["CALL_CONNECTED", "CALL_DISCONNECTED", "CALL_INITIATED"]
        await customer.summary(session_id)
        (first,) = customer.summaries_of(session_id)
        assert told["body"] == first.body
        assert told["eventId"] == first.headers["webhook-id"]
        server = ("--http", platform.address, "--api-key", customer.key)
        again = await shell.ended("webhooks", "replay", "--event", told["eventId"], *server)
        assert (again.status, again.out, again.err) == (0, "1 sent again.\n", "")
        both = await customer.web.news.until(
            lambda: found if len(found := customer.summaries_of(session_id)) == 2 else None
        )
        assert both[0].raw == both[1].raw
        assert both[0].headers["webhook-id"] == both[1].headers["webhook-id"]
        tested = await shell.ended("webhooks", "test", "VSS", "--json", *server)
        assert json.loads(tested.out)["delivered"]
        listed = await shell.ended("webhooks", "list", "--json", *server)
        (webhook,) = json.loads(listed.out)
        assert (webhook["type"], webhook["state"], webhook["waiting"]) == ("VSS", "WORKING", 0)


async def test_a_request_that_is_repeated_after_a_crash_makes_no_second_call(shell: "Shell") -> None:
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=Behaviour(answer_after_seconds=0.1))
    await carrier.start()
    try:
        trunk = ("--trunk", "sip:{}:{}".format(*carrier.address))
        platform = await shell.platform(*trunk)
        async with platform.customer() as customer:
            flow = {"callflow": [make_call("+6512345678"), say("Hello. " * 50), HANGUP]}
            once = {"Idempotency-Key": str(uuid.uuid4())}
            first = await customer.http.post("/callflows", json=flow, headers=once)
            await customer.until(first.json()["sessionId"], "event.Answered")
            platform.program.signal(signal.SIGKILL)
            await platform.program.end()
            again = await shell.platform(*trunk, CALLWRIGHT_API_KEY=customer.key)
            customer.http.base_url = str(customer.http.base_url).replace(platform.address, again.address)
            repeated = await customer.http.post("/callflows", json=flow, headers=once)
            assert repeated.content == first.content
            assert repeated.headers["idempotent-replayed"] == "true"
            summary = await customer.summary(first.json()["sessionId"])
            assert summary["errorDetails"]["errorCode"] == -2001
        assert carrier.calls_taken == 1
    finally:
        await carrier.stop()
