"""Story: two phones are connected; each hears the other, and the summary says how either leg ended (§2.1, §5.4)."""

from typing import TYPE_CHECKING

import pytest
from tests.answering import HANGUP, Answerer, flow, make_call, say
from tests.hearing import longest_gap_ms, place_ms, tone_ms

from callwright.audio.compare import likeness
from callwright.audio.tones import RINGBACK_HZ
from callwright.simulator.behaviour import Behaviour

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer

pytestmark = pytest.mark.asyncio(loop_scope="session")

A_HZ, B_HZ = 700.0, 1_100.0
KEPT_SECONDS = 0.15
"""The first words of whoever picks up are kept for longer than that, until somebody may hear them."""
WAITS = Behaviour(answer_after_seconds=0.05, says_hz=(A_HZ,))


def statuses(summary: "dict[str, object]") -> tuple[str, ...]:
    """callA, callB, session."""
    details: dict[str, dict[str, str]] = summary["details"]  # type: ignore[assignment]  # JSON
    return (*(details[name]["callStatus"] for name in sorted(details)), str(summary["sessionStatus"]))


@pytest.mark.parametrize(("codec", "other"), [("PCMU", "PCMU"), ("PCMA", "PCMA"), ("PCMU", "PCMA"), ("PCMA", "PCMU")])
async def test_each_phone_hears_the_other(site: "Site", customer: "Customer", codec: str, other: str) -> None:
    first = site.phone(Behaviour(answer_after_seconds=0.05, says_hz=(A_HZ,), codecs=(codec,)))
    second = site.phone(
        Behaviour(answer_after_seconds=0.4, hang_up_after_answer_seconds=0.8, says_hz=(B_HZ,), codecs=(other,))
    )
    session_id = await customer.send(make_call(first), make_call(second), HANGUP)
    summary = await customer.summary(session_id)
    assert statuses(summary) == ("COMPLETED", "COMPLETED", "COMPLETED")
    assert (summary["callCount"], summary["lastAction"]) == (2, "HANGUP")
    assert [summary["details"][name]["destination"] for name in ("callA", "callB")] == [first, second]
    story = await customer.story(session_id)
    at_first, at_second = await site.recording(session_id, first), await site.recording(session_id, second)
    # From pick-up to hang-up all that the second phone said reached the first, without a hole but for what the phones
    # themselves left out, and what the second one said in vain for longer than is kept while it is connected.
    spoken_first, spoken_second = site.heard_at[session_id, first], site.heard_at[session_id, second]
    connecting_seconds = story.at("command.Bridge") - story.at("event.Answered", 1)
    missed_ms = story.skipped_ms + (1000 * connecting_seconds if connecting_seconds > KEPT_SECONDS else 0.0)
    assert tone_ms(at_first, B_HZ) >= 20 * spoken_second.packets_sent - 40 - missed_ms
    assert longest_gap_ms(at_first, B_HZ) <= 60 + story.skipped_ms + spoken_second.missed_ms
    assert tone_ms(at_second, A_HZ) >= 300 - missed_ms - spoken_first.missed_ms
    assert longest_gap_ms(at_second, A_HZ) <= 60 + story.skipped_ms + spoken_first.missed_ms
    assert tone_ms(at_first, A_HZ) == tone_ms(at_second, B_HZ) == 0, "nobody hears themselves"
    assert tone_ms(at_first, RINGBACK_HZ) >= 100
    assert tone_ms(at_second, RINGBACK_HZ) == 0
    assert [each["codec"] for each in story.all("event.Answered")] == [codec, other]
    assert story.kinds.index("event.Answered") < story.kinds.index("command.RingBack")


@pytest.mark.parametrize(
    ("behaviour", "ending"),
    [
        pytest.param(Behaviour(answer_after_seconds=0.05, reject_status=486), "BUSY", id="busy"),
        pytest.param(Behaviour(answer_after_seconds=0.05, reject_status=480), "NO_ANSWER", id="unavailable"),
        pytest.param(Behaviour(answer_after_seconds=0.05, reject_status=404), "FAILED", id="unknown"),
        pytest.param(Behaviour(answer_after_seconds=None), "NO_ANSWER", id="rings for ever"),
    ],
)
async def test_the_second_phone_is_not_reached(
    site: "Site", customer: "Customer", answerer: Answerer, behaviour: Behaviour, ending: str
) -> None:
    await answerer.register(customer, "VCA", "VCS")
    first, second = site.phone(WAITS), site.phone(behaviour)
    session_id = await customer.send(make_call(first), make_call(second))
    summary = await customer.summary(session_id)
    assert statuses(summary) == ("COMPLETED", ending, ending)
    assert (summary["callCount"], summary["lastAction"]) == (2, "MAKE_CALL")
    assert "connectedTimestamp" not in summary["details"]["callB"]
    assert "errorDetails" not in summary
    assert answerer.questions(session_id) == []
    events = await answerer.events(session_id, 5)
    leg_b = summary["details"]["callB"]["callId"]
    assert [event["callStatus"] for event in events if event["callId"] == leg_b] == [
        "CALL_INITIATED", "CALL_DISCONNECTED",
    ]  # fmt: skip


async def test_the_first_phone_leaves_while_the_second_rings(site: "Site", customer: "Customer") -> None:
    first = site.phone(Behaviour(answer_after_seconds=0.05, hang_up_after_answer_seconds=0.4))
    session_id = await customer.send(make_call(first), make_call(site.phone(Behaviour(answer_after_seconds=None))))
    summary = await customer.summary(session_id)
    assert statuses(summary) == ("COMPLETED", "CANCELED", "CANCELED")
    assert "→ CANCEL" in (await customer.story(session_id)).ladder


async def test_the_first_phone_hangs_up_and_so_the_second_is_hung_up(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA", "VCS")
    first = site.phone(Behaviour(answer_after_seconds=0.05, hang_up_after_answer_seconds=0.6))
    session_id = await customer.send(make_call(first), make_call(site.phone(WAITS)), say("Nobody hears this."))
    summary = await customer.summary(session_id)
    assert statuses(summary) == ("COMPLETED", "COMPLETED", "COMPLETED")
    assert summary["lastAction"] == "MAKE_CALL"
    assert answerer.questions(session_id) == []
    story = await customer.story(session_id)
    assert [each["by"] for each in story.all("event.HungUp")] == ["them", "us"]
    events = await answerer.events(session_id, 6)
    for leg in summary["details"].values():
        assert [event["callStatus"] for event in events if event["callId"] == leg["callId"]] == [
            "CALL_INITIATED", "CALL_CONNECTED", "CALL_DISCONNECTED",
        ]  # fmt: skip


async def test_after_the_bridge_the_flow_goes_on_for_the_first_phone(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [flow(say("How was it?"), HANGUP)]
    first = site.phone(WAITS)
    second = site.phone(Behaviour(answer_after_seconds=0.05, hang_up_after_answer_seconds=0.3))
    session_id = await customer.send(make_call(first), make_call(second), clientActionId="post_call")
    summary = await customer.summary(session_id)
    assert statuses(summary) == ("COMPLETED", "COMPLETED", "COMPLETED")
    (question,) = answerer.questions(session_id)
    assert (question["clientActionId"], question["callStatus"]) == ("post_call", "ACTION_COMPLETED")
    story = await customer.story(session_id)
    prompt = site.prompt(story.only("speech.cache")["key"])
    assert place_ms(await site.recording(session_id, first), prompt, story.skipped_ms) >= 0
    assert likeness(await site.recording(session_id, second), prompt).correlation < 0.5


async def test_the_customer_connects_one_phone_after_the_other(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    short = Behaviour(answer_after_seconds=0.05, hang_up_after_answer_seconds=0.3, says_hz=(B_HZ,))
    busy = Behaviour(answer_after_seconds=0.05, reject_status=486)
    second, third, fourth = site.phone(short), site.phone(short), site.phone(busy)
    answerer.answers = [flow(make_call(second)), flow(make_call(third)), flow(make_call(fourth))]
    session_id = await customer.send(make_call(site.phone(WAITS)), say("One moment."))
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["callCount"]) == ("BUSY", 4)
    assert [leg["destination"] for leg in summary["details"].values()][1:] == [second, third, fourth]
    for number in (second, third):
        assert tone_ms(await site.recording(session_id, number), 700.0) >= 100


async def test_a_second_destination_that_may_not_be_called_is_an_error(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [flow(make_call("+870112233445"))]
    session_id = await customer.send(make_call(site.phone(WAITS)), say("One moment."))
    summary = await customer.summary(session_id)
    assert statuses(summary) == ("COMPLETED", "ERROR", "ERROR")
    assert summary["errorDetails"]["errorCode"] == -2004


async def test_the_customer_ends_a_bridge(site: "Site", customer: "Customer") -> None:
    first, second = site.phone(WAITS), site.phone(WAITS)
    session_id = await customer.send(make_call(first), make_call(second))
    await customer.until(session_id, "command.Bridge")
    assert (await customer.http.delete(f"/sessions/{session_id}")).status_code == 202
    summary = await customer.summary(session_id)
    assert statuses(summary) == ("COMPLETED", "COMPLETED", "COMPLETED")
    assert [each["by"] for each in (await customer.story(session_id)).all("event.HungUp")] == ["us", "us"]
