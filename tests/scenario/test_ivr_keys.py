"""Story: a menu is heard, keys are pressed in every way that phones press them, and the customer reads them."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.answering import HANGUP, Answerer, ask, flow, make_call, say
from tests.customers import PATIENCE_SECONDS
from tests.hearing import place_ms

from callwright.audio.compare import likeness
from callwright.simulator.behaviour import Behaviour, Press
from callwright.telephony.keys import KeyWay

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer, Json

pytestmark = pytest.mark.asyncio(loop_scope="session")

MENU = "For sales press one, for everything else press two"
SOON = 0.1
PAUSE = 0.3
PATIENT_MS = 60_000
"""A phone on a busy machine presses late."""
LONG_ENOUGH = "Please press a key now"
"""For a phone to know it for a prompt, though a busy machine leaves some of it out."""


def reacts(*keys: str, ways: tuple[KeyWay, ...] = (KeyWay.EVENT,), codec: str = "PCMU") -> Behaviour:
    """A phone whose owner hears each prompt out and then presses."""
    presses = tuple(Press(SOON, each, ways) for each in keys)
    return Behaviour(answer_after_seconds=SOON, press_after_silence=presses, codecs=(codec,), silence_seconds=PAUSE)


async def captured(customer: "Customer", answerer: Answerer, session_id: str) -> "list[str | None]":
    """What the customer was told of keys, question by question, once the call is over."""
    await customer.summary(session_id)
    return [question["eventData"]["dtmf"] for question in answerer.questions(session_id)]


WAYS: tuple[tuple[tuple[KeyWay, ...], str], ...] = (
    ((KeyWay.EVENT,), "PCMU"),
    ((KeyWay.TONE,), "PCMU"),
    ((KeyWay.TONE,), "PCMA"),
    ((KeyWay.INFO,), "PCMU"),
    (tuple(KeyWay), "PCMU"),
)
"""How a key is told, and the codec; the last is a gateway that tells it in every way at once."""


async def test_a_key_is_read_once_however_it_is_pressed(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [flow(say("Sales are closed."), HANGUP)] * len(WAYS)
    menu = ask(MENU, maxDigits=3, digitTimeout=500, overallTimeout=PATIENT_MS)
    sessions = [
        await customer.send(make_call(site.phone(reacts("1", ways=ways, codec=codec))), menu) for ways, codec in WAYS
    ]
    for session_id, (_, codec) in zip(sessions, WAYS, strict=True):
        assert await captured(customer, answerer, session_id) == ["1"]
        summary = await customer.summary(session_id)
        assert (summary["sessionStatus"], summary["lastAction"], summary["callCount"]) == ("COMPLETED", "HANGUP", 1)
        story = await customer.story(session_id)
        assert story.only("event.DigitPressed")["digit"] == "1"
        heard = await site.recording(session_id)
        prompts = [site.prompt(key, codec) for key in story.spoken]
        places = [place_ms(heard, prompt, story.skipped_ms) for prompt in prompts]
        assert places == sorted(places), "first the menu, then the answer"


async def test_the_first_key_cuts_the_prompt_short(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    await answerer.register(customer, "VCA")
    answerer.answers = [flow(HANGUP)]
    number = site.phone(Behaviour(answer_after_seconds=SOON))
    session_id = await customer.send(make_call(number), ask(MENU))
    await press_within_a_prompt(site, number, "2")
    assert await captured(customer, answerer, session_id) == ["2"]
    story = await customer.story(session_id)
    assert story.only("event.PlaybackFinished")["completed"] is False
    prompt = site.prompt(story.only("speech.cache")["key"])
    heard = await site.recording(session_id)
    assert place_ms(heard, prompt[: 8000 // 2], story.skipped_ms) >= 0
    assert likeness(heard, prompt).missing_ms > story.skipped_ms + 300


async def press_within_a_prompt(site: "Site", number: str, keys: str) -> None:
    """Press when the phone has heard some of it, however late that is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for call_id, phone in site.carrier._phones.items():
                if phone.number == number and phone.handset._sound_frames >= 40:
                    site.carrier.press(call_id, Press(0.0, keys))
                    return
            await asyncio.sleep(0.01)


async def test_levels_are_told_apart_by_the_ids_that_the_customer_gave_them(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA", "VCS")
    answerer.answers = [
        flow(ask("Second level."), clientActionId="level-2"),
        flow(ask("Third level.", completeOnHash=True, maxDigits=6), clientActionId="level-3"),
        flow(say("Goodbye."), HANGUP),
    ]
    number = site.phone(reacts("1", "2", "345#"))
    session_id = await customer.send(make_call(number), ask("First level."), clientActionId="level-1")
    assert await captured(customer, answerer, session_id) == ["1", "2", "345"]
    questions = answerer.questions(session_id)
    assert [question.get("clientActionId") for question in questions] == ["level-1", "level-2", "level-3"]
    for question in questions:
        assert question["callStatus"] == "ACTION_COMPLETED"
        assert (question["callDirection"], question["callType"], question["sipCode"]) == ("OUTBOUND", "PSTN", 200)
        assert (question["sessionId"], question["subAccountId"]) == (session_id, customer.sub_account)
        assert question["destination"] == number
    (told,) = {posted.headers["authorization"] for posted in answerer.of("/vca", session_id)}
    assert told == "Bearer mine"
    leg = (await customer.summary(session_id))["details"]["callA"]
    assert {question["callId"] for question in questions} == {leg["callId"]}
    assert len({question["eventId"] for question in questions}) == 3
    events = await answerer.events(session_id, 9)
    assert [event["callStatus"] for event in events] == [
        "CALL_INITIATED", "CALL_CONNECTED", *["DTMF_RECEIVED"] * 6, "CALL_DISCONNECTED",
    ]  # fmt: skip
    assert events[-1]["callDuration"] == leg["callDuration"]


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_digits_lie_where_the_endpoint_wants_them(
    site: "Site", customer: "Customer", answerer: Answerer, version: int
) -> None:
    await answerer.register(customer, "VCA", payloadVersion=version)
    session_id = await customer.send(make_call(site.phone(reacts("7"))), ask(LONG_ENOUGH))
    await customer.summary(session_id)
    (question,) = answerer.questions(session_id)
    places: dict[int, Json] = {1: {"dtmf": "7"}, 2: {"eventData": "7"}, 3: {"eventData": {"dtmf": "7"}}}
    assert {name: question[name] for name in ("dtmf", "eventData") if name in question} == places[version]


async def test_nobody_presses_anything_in_any_try(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    await answerer.register(customer, "VCA")
    menu = ask("Press.", noOfTries=2, overallTimeout=300, failureMessage="I heard nothing.")
    session_id = await customer.send(make_call(site.phone()), menu)
    assert await captured(customer, answerer, session_id) == [None]
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "SAY_AND_CAPTURE")
    story = await customer.story(session_id)
    prompt, failure = (site.prompt(key) for key in story.spoken)
    heard = (await site.recording(session_id)).copy()
    assert len(story.all("command.Play")) == 4
    for sound in (prompt, failure):
        # Found, and with that place cut out found again; but short words with a hole are taken for each other.
        for _ in range(1 if story.skipped_ms else 2):
            place = round(place_ms(heard, sound, story.skipped_ms) * 8)
            heard[place : place + len(sound)] = 0


async def test_too_few_keys_fail_the_try_and_the_next_one_succeeds(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    menu = ask(
        "Your number?",
        minDigits=3,
        maxDigits=5,
        noOfTries=3,
        failureMessage="That is too short.",
        successMessage="Thank you.",
    )
    # The complaint and the question again are heard as one.
    number = site.phone(reacts("12#", "4567#"))
    session_id = await customer.send(make_call(number), menu)
    assert await captured(customer, answerer, session_id) == ["4567"]
    story = await customer.story(session_id)
    played = [command["prompt_id"].rpartition(".")[2] for command in story.all("command.Play")]
    assert played == ["prompt", "failure", "prompt", "success"]
    heard = await site.recording(session_id)
    for key in story.spoken:
        assert place_ms(heard, site.prompt(key), story.skipped_ms) >= 0


ENDS: "tuple[tuple[str, Json, str | None], ...]" = (
    ("12#", {"completeOnHash": True, "maxDigits": 10}, "12"),
    ("12#", {"completeOnHash": False, "maxDigits": 3}, "12#"),
    ("1234", {"completeOnHash": False, "maxDigits": 3}, "123"),
    ("*0", {"maxDigits": 2}, "*0"),
    ("5", {"maxDigits": 4, "digitTimeout": 300, "overallTimeout": PATIENT_MS}, "5"),
    ("5", {"maxDigits": 4, "minDigits": 2, "digitTimeout": 300, "overallTimeout": 5000}, None),
    ("5", {"maxDigits": 4, "overallTimeout": 500}, None),
    ("#", {"maxDigits": 4}, None),
)
"""Keys pressed after the prompt, what was asked for, and what is read."""


async def test_what_ends_an_input(site: "Site", customer: "Customer", answerer: Answerer) -> None:
    await answerer.register(customer, "VCA")
    sessions = [
        await customer.send(
            make_call(site.phone(reacts(keys))), ask(LONG_ENOUGH, **{"overallTimeout": PATIENT_MS, **wanted})
        )
        for keys, wanted, _ in ENDS
    ]
    read = [await captured(customer, answerer, session_id) for session_id in sessions]
    assert read == [[expected] for _, _, expected in ENDS]


async def test_a_hangup_behind_a_question_makes_its_keys_be_ignored(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    session_id = await customer.send(make_call(site.phone(reacts("1"))), ask("Press."), HANGUP)
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "HANGUP")
    assert answerer.questions(session_id) == []


async def test_a_question_needs_somebody_who_is_told_the_answer(site: "Site", customer: "Customer") -> None:
    answer = await customer.http.post("/callflows", json={"callflow": [make_call(site.phone()), ask("Press.")]})
    assert (answer.status_code, answer.json()["statusCode"]) == (422, -1004)


async def test_who_hangs_up_in_the_menu_is_not_asked_about(
    site: "Site", customer: "Customer", answerer: Answerer
) -> None:
    await answerer.register(customer, "VCA")
    number = site.phone(Behaviour(answer_after_seconds=SOON, hang_up_after_answer_seconds=0.5))
    session_id = await customer.send(make_call(number), ask(MENU))
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["callCount"]) == ("COMPLETED", 1)
    assert answerer.questions(session_id) == []
