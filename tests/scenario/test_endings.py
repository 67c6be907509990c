"""Story: what a phone can do other than listen to the end, and what the customer is told of it."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from callwright.simulator.behaviour import Behaviour

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG_TEXT = "This message is long enough to be cut off in the middle, because it goes on and on and on and on."


@pytest.mark.parametrize(
    ("status", "session_status"),
    [
        pytest.param(486, "BUSY", id="busy"),
        pytest.param(600, "BUSY", id="busy everywhere"),
        pytest.param(480, "NO_ANSWER", id="unavailable"),
        pytest.param(603, "FAILED", id="rejected"),
        pytest.param(404, "FAILED", id="unknown number"),
        pytest.param(503, "FAILED", id="overloaded"),
    ],
)
async def test_a_call_that_is_refused(site: "Site", customer: "Customer", status: int, session_status: str) -> None:
    number = site.phone(Behaviour(answer_after_seconds=0.05, reject_status=status))
    session_id = await customer.say(number, "One.")
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == (session_status, "MAKE_CALL")
    assert summary["details"]["callA"]["callStatus"] == session_status
    story = await customer.story(session_id)
    assert story.only("event.NotAnswered")["sip_code"] == status
    assert story.ladder == ["→ INVITE", "← 100 INVITE", "← 180 INVITE", f"← {status} INVITE", "→ ACK"]
    assert session_id not in site.heard


async def test_a_phone_that_nobody_picks_up(site: "Site", customer: "Customer") -> None:
    session_id = await customer.say(site.phone(Behaviour(answer_after_seconds=None)), "One.")
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("NO_ANSWER", "MAKE_CALL")
    leg = summary["details"]["callA"]
    assert leg["callStatus"] == "NO_ANSWER"
    rang = datetime.fromisoformat(leg["disconnectedTimestamp"]) - datetime.fromisoformat(leg["initiatedTimestamp"])
    assert timedelta(seconds=4) <= rang
    story = await customer.story(session_id)
    assert story.ladder[:3] == ["→ INVITE", "← 100 INVITE", "← 180 INVITE"]
    assert sorted(story.ladder[3:]) == sorted(["→ CANCEL", "← 200 CANCEL", "← 487 INVITE", "→ ACK"])


async def test_a_callee_who_hangs_up_in_the_middle_of_the_message(site: "Site", customer: "Customer") -> None:
    number = site.phone(Behaviour(answer_after_seconds=0.1, hang_up_after_answer_seconds=0.6))
    session_id = await customer.say(number, LONG_TEXT)
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "SAY")
    story = await customer.story(session_id)
    assert story.only("event.HungUp")["by"] == "them"
    assert story.ladder[-2:] == ["← BYE", "→ 200 BYE"]
    heard = await site.recording(session_id)
    assert 0 < len(heard) / 8000 < story.only("event.PromptReady")["duration_seconds"]


async def test_early_media_before_the_answer_is_no_answer(site: "Site", customer: "Customer") -> None:
    number = site.phone(Behaviour(answer_after_seconds=0.4, early_media=True))
    session_id = await customer.say(number, "One.")
    assert (await customer.summary(session_id))["sessionStatus"] == "COMPLETED"
    story = await customer.story(session_id)
    assert story.only("event.Ringing")["early_media"] is True
    assert "← 183 INVITE" in story.ladder
    assert story.kinds.index("event.Answered") < story.kinds.index("event.PlaybackStarted")


async def test_a_call_that_the_customer_ends_while_it_rings(site: "Site", customer: "Customer") -> None:
    session_id = await customer.say(site.phone(Behaviour(answer_after_seconds=None)), "One.")
    await customer.until(session_id, "event.Ringing")
    assert (await customer.http.delete(f"/sessions/{session_id}")).status_code == 202
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["details"]["callA"]["callStatus"]) == ("CANCELED", "CANCELED")
    assert "→ CANCEL" in (await customer.story(session_id)).ladder
    assert (await customer.http.delete(f"/sessions/{session_id}")).status_code == 409


async def test_a_call_that_the_customer_ends_in_the_middle_of_the_message(site: "Site", customer: "Customer") -> None:
    session_id = await customer.say(site.phone(), LONG_TEXT)
    await customer.until(session_id, "event.PlaybackStarted")
    assert (await customer.http.delete(f"/sessions/{session_id}")).status_code == 202
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "SAY")
    story = await customer.story(session_id)
    assert story.only("event.HungUp")["by"] == "us"
    assert len(await site.recording(session_id)) / 8000 < story.only("event.PromptReady")["duration_seconds"]


async def test_a_callee_who_sends_no_sound_still_hears_the_message(site: "Site", customer: "Customer") -> None:
    session_id = await customer.say(site.phone(Behaviour(answer_after_seconds=0.1, talks=False)), "One.")
    summary = await customer.summary(session_id)
    assert summary["sessionStatus"] == "COMPLETED"
    assert "callQuality" not in summary["details"]["callA"]
    assert len(await site.recording(session_id)) > 0


async def test_a_callflow_without_hangup_ends_by_itself(site: "Site", customer: "Customer") -> None:
    session_id = await customer.send(
        {"action": "makeCall", "params": {"source": "+6531350000", "destination": site.phone()}},
        {"action": "say", "params": {"text": "One.", "voiceProfile": "en-IE-EmilyNeural"}},
    )
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "SAY")


async def test_a_summary_that_is_refused_at_first_is_sent_again_as_the_same_event(
    site: "Site", customer: "Customer"
) -> None:
    customer.web.answers = [503]
    session_id = await customer.say(site.phone(Behaviour(answer_after_seconds=0.0, reject_status=486)), "One.")
    first, second = await customer.web.news.until(
        lambda: found if len(found := customer.summaries_of(session_id)) == 2 else None
    )
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
