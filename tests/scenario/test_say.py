"""Story: the tutorial's request rings a phone, the message is heard, the call is hung up and reported."""

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.hearing import place_ms

from callwright.audio.compare import likeness
from callwright.simulator.behaviour import Behaviour

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer
    from tests.programs import Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

TUTORIAL = """
{"callflow":[
  {"action":"makeCall","params":{"source":"+6512341234","destination":"%s"}},
  {"action":"say","params":{"text":"Hello, this is a test Voice Message.","voiceProfile":"en-IE-EmilyNeural",
                            "repetition":1,"speed":1}},
  {"action":"hangup"}]}
"""


async def test_the_tutorials_request_rings_a_phone_which_hears_the_message(site: "Site", customer: "Customer") -> None:
    number = site.phone()
    answer = await customer.http.post("/callflows", content=TUTORIAL % number)
    assert answer.status_code == 200
    body = answer.json()
    session_id = body["sessionId"]
    assert body == {
        "sessionId": session_id,
        "sessionStatus": "CREATED",
        "callFlowRequestId": body["callFlowRequestId"],
        "statusCode": 1,
        "statusMessage": "Created",
    }

    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"], summary["callCount"]) == ("COMPLETED", "HANGUP", 1)
    leg = summary["details"]["callA"]
    assert (leg["source"], leg["destination"], leg["callStatus"]) == ("+6512341234", number, "COMPLETED")
    assert (leg["sourceCountryCode"], leg["destinationCountryCode"]) == ("SG", "SG")
    assert leg["callDuration"] >= 1
    assert leg["callQuality"]["packetLossRate"] == 0

    story = await customer.story(session_id)
    heard = await site.recording(session_id)
    assert place_ms(heard, site.prompt(story.only("speech.cache")["key"]), story.skipped_ms) >= -story.skipped_ms


async def test_the_trace_tells_every_decision_and_every_message(site: "Site", customer: "Customer") -> None:
    number = site.phone()
    session_id = await customer.say(number, "Hello, this is a test Voice Message.")
    await customer.summary(session_id)
    story = await customer.story(session_id)
    assert story.kinds[0] == "session.accepted"
    assert story.kinds[-1] == "session.finished"
    voice = story.only("speech.voice")
    assert (voice["profile"], voice["engine"]) == ("en-IE-EmilyNeural", "espeak-ng")
    assert story.only("speech.cache")["seconds"] > 0
    assert story.only("telephony.trunk")["trunk"] == "built-in"
    assert story.only("telephony.media")["codec"] == "PCMU"
    assert story.only("event.Answered")["codec"] == "PCMU"
    assert story.ladder == [
        "→ INVITE", "← 100 INVITE", "← 180 INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE",
    ]  # fmt: skip
    report = story.only("rtp.report")
    assert report["sent"] >= 10
    assert report["received"] >= 10
    assert report["lost"] == report["malformed"] == report["refused"] == 0
    assert report["remote_loss_rate"] == 0 or report["late_frames"] > 0
    assert report["mos"] == pytest.approx(
        (await customer.summary(session_id))["details"]["callA"]["callQuality"]["mos"], abs=0.01
    )
    assert story.only("event.HungUp")["by"] == "us"


async def test_a_repeated_message_is_heard_that_often(site: "Site", customer: "Customer") -> None:
    number = site.phone()
    session_id = await customer.say(number, "Twice.", repetition=2, speed=1.5)
    await customer.summary(session_id)
    story = await customer.story(session_id)
    prompt = site.prompt(story.only("speech.cache")["key"])
    heard = await site.recording(session_id)
    assert place_ms(heard, np.concatenate([prompt, prompt]), story.skipped_ms) >= -story.skipped_ms


async def test_two_messages_are_heard_one_after_the_other(site: "Site", customer: "Customer") -> None:
    number = site.phone(Behaviour(answer_after_seconds=0.1, codecs=("PCMA",)))
    session_id = await customer.send(
        {"action": "makeCall", "params": {"source": "6531350000", "destination": number.removeprefix("+")}},
        {"action": "say", "params": {"text": "First this.", "voiceProfile": "en-US-GuyNeural"}},
        {"action": "say", "params": {"text": "Dann das.", "voiceProfile": "de-DE-KatjaNeural", "speed": 1.2}},
        {"action": "hangup", "params": {}},
        clientRequestId="my-own-id",
        validUntil="2099-01-01T00:00:00Z",
    )
    summary = await customer.summary(session_id)
    assert summary["clientRequestId"] == "my-own-id"
    assert summary["details"]["callA"]["destination"] == number
    story = await customer.story(session_id)
    assert story.only("event.Answered")["codec"] == "PCMA"
    heard = await site.recording(session_id)
    begins = []
    for key in story.spoken:
        match = likeness(heard, site.prompt(key, "PCMA"))
        assert match.correlation > 0.95
        assert match.missing_ms <= story.skipped_ms
        begins.append(match.delay_ms)
    assert begins == sorted(begins)
    assert len(begins) == 2


async def test_many_calls_at_once_each_hear_their_own_message(site: "Site", customer: "Customer") -> None:
    texts = [f"This is message number {number}." for number in range(1, 9)]
    sessions = await asyncio.gather(*(customer.say(site.phone(), text) for text in texts))
    for session_id in sessions:
        assert (await customer.summary(session_id))["sessionStatus"] == "COMPLETED"
    stories = {session_id: await customer.story(session_id) for session_id in sessions}
    prompts = {session_id: site.prompt(story.only("speech.cache")["key"]) for session_id, story in stories.items()}
    for session_id in sessions:
        heard = await site.recording(session_id)
        likest = max(prompts, key=lambda other: likeness(heard, prompts[other]).correlation)
        assert likest == session_id or stories[session_id].skipped_ms
        assert likeness(heard, prompts[session_id]).missing_ms <= stories[session_id].skipped_ms


async def test_a_poor_line_is_measured_and_the_message_still_recognised(site: "Site", customer: "Customer") -> None:
    number = site.phone(Behaviour(answer_after_seconds=0.1, drop_rate=0.2, seed=7))
    session_id = await customer.say(number, "Hello, this is a test Voice Message.")
    await customer.summary(session_id)
    story = await customer.story(session_id)
    match = likeness(await site.recording(session_id), site.prompt(story.only("speech.cache")["key"]))
    assert 0.6 < match.correlation < 0.99
    assert match.missing_ms > 0
    assert 0.05 < story.only("rtp.report")["remote_loss_rate"] < 0.4


async def test_explain_tells_the_call(site: "Site", customer: "Customer", shell: "Shell") -> None:
    number = site.phone()
    session_id = await customer.say(number, "One.")
    await customer.summary(session_id)
    told, document = await asyncio.gather(
        shell.ended("explain", session_id, *site.where),
        shell.ended("explain", session_id[:10], *site.where, "--json"),
    )
    assert told.status == 0, told.err
    assert f"{number} answered and heard the whole message" in told.out
    for words in ("espeak-ng", "en-IE-EmilyNeural", "trunk: built-in", "PCMU", "INVITE (SDP)", "180 Ringing"):
        assert words in told.out
    assert "200 OK (BYE)" in told.out
    assert "Webhooks" in told.out
    assert document.status == 0, document.err
    whole = json.loads(document.out)
    assert whole["summary"]["sessionStatus"] == "COMPLETED"
    assert whole["deliveries"][0]["attempts"][0]["status"] == 200
    assert [entry["kind"] for entry in whole["trace"]] == (await customer.story(session_id)).kinds
