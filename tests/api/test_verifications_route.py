"""Voice OTP over real HTTP (contract §11.5): a code is spoken sign by sign, said back, guessed, or too old."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from callwright.callflow.plan import HangUp, MakeCall, Say
from callwright.contract.policy import RequestPolicy
from callwright.errors import StorageUnavailable
from callwright.switchboard.board import BusyError

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v2/subaccounts/riders_hq/sessions"
numbers = iter(range(6587650000, 6587659999))


async def ask(api: "Installation", destination: object = None, **more: object) -> Any:
    body = {"channel": "call", "destination": destination or str(next(numbers)), "call": {"source": "6512341234"}}
    return await api.client.post(PATH, json=body | more, headers=api.as_rider())


def spoken_code(api: "Installation") -> str:
    """The code of the last call."""
    call, say, end = api.board.accepted[-1][2].actions
    assert isinstance(call, MakeCall)
    assert isinstance(say, Say)
    assert isinstance(end, HangUp)
    return "".join(re.findall(r"\d", say.text))


async def check(api: "Installation", session_id: str, code: str) -> Any:
    return await api.client.get(f"{PATH}/{session_id}", params={"code": code}, headers=api.as_rider())


async def test_a_code_is_spoken_digit_by_digit_and_verified(api: "Installation") -> None:
    answer = await ask(api, "6587654321", codeLength=6)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["destination"], body["attempt"]) == ("WAITING", "+6587654321", 0)
    _, sub_account_id, callflow = api.board.accepted[-1]
    call, say, _ = callflow.actions
    assert (sub_account_id, call) == ("riders_hq", MakeCall("+6512341234", "+6587654321"))
    assert isinstance(say, Say)
    assert re.fullmatch(r"Your verification code is (\d, ){5}\d", say.text)
    assert (say.speed, say.repetition) == (0.8, 2)
    waiting = await api.client.get(body["verifyUri"], headers=api.as_rider())
    assert (waiting.status_code, waiting.json()) == (200, body)
    verified = await check(api, body["sessionId"], spoken_code(api))
    assert (verified.status_code, verified.json()["status"]) == (200, "VERIFIED")


async def test_wrong_codes_are_counted_and_five_are_too_many(api: "Installation") -> None:
    session_id = (await ask(api)).json()["sessionId"]
    code = spoken_code(api)
    wrong = str((int(code) + 1) % 10_000).zfill(4)
    states = [(await check(api, session_id, wrong)).json() for _ in range(5)]
    assert [(state["status"], state["attempt"]) for state in states[3:]] == [("WAITING", 4), ("FAILED", 5)]
    assert (await check(api, session_id, code)).json()["status"] == "FAILED"


async def test_a_code_is_good_for_its_time_only(api: "Installation") -> None:
    session_id = (await ask(api, codeValidity=30)).json()["sessionId"]
    api.pass_time(30)
    assert (await check(api, session_id, spoken_code(api))).json()["status"] == "EXPIRED"


async def test_asking_again_is_the_same_code_but_not_too_soon(api: "Installation") -> None:
    destination = str(next(numbers))
    first = (await ask(api, destination)).json()
    code, calls = spoken_code(api), len(api.board.accepted)
    early = await ask(api, destination)
    assert early.status_code == 403
    assert (early.json()["code"], early.json()["message"]) == (1400, "Resending interval violation")
    assert len(api.board.accepted) == calls
    api.pass_time(10)
    again = (await ask(api, destination)).json()
    assert (again["sessionId"], spoken_code(api)) == (first["sessionId"], code)
    assert len(api.board.accepted) == calls + 1


async def told(api: "Installation", url: str, times: int) -> list[dict[str, Any]]:
    """What a callback was told, once it was told so often."""
    async with asyncio.timeout(60):
        while len(bodies := [body for to, body in api.told if to == url]) < times:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.005)
    return bodies


async def test_the_callback_is_told_of_the_right_code_once(api: "Installation") -> None:
    url = "https://hooks.example.com/right"
    session_id = (await ask(api, callbackUrl=url)).json()["sessionId"]
    code = spoken_code(api)
    wrong = str((int(code) + 1) % 10_000).zfill(4)
    assert (await check(api, session_id, wrong)).json()["status"] == "WAITING"
    verified = (await check(api, session_id, code)).json()
    assert (await check(api, session_id, code)).json() == verified
    assert await told(api, url, 1) == [verified]
    api.pass_time(400)
    other = "https://hooks.example.com/after"
    session_id = (await ask(api, callbackUrl=other)).json()["sessionId"]
    await check(api, session_id, spoken_code(api))
    await told(api, other, 1)
    assert await told(api, url, 1) == [verified], "its validity ran out afterwards"


async def test_the_callback_is_told_of_too_many_wrong_codes(api: "Installation") -> None:
    url = "https://hooks.example.com/wrong"
    session_id = (await ask(api, callbackUrl=url)).json()["sessionId"]
    wrong = str((int(spoken_code(api)) + 1) % 10_000).zfill(4)
    states = [(await check(api, session_id, wrong)).json() for _ in range(5)]
    assert states[-1]["status"] == "FAILED"
    assert await told(api, url, 1) == states[-1:]


async def test_the_callback_is_told_of_the_end_that_nobody_asked_for(api: "Installation") -> None:
    url, destination = "https://hooks.example.com/late", str(next(numbers))
    first = (await ask(api, destination, callbackUrl=url, codeValidity=60)).json()
    api.pass_time(40)
    again = (await ask(api, destination, codeValidity=60)).json()
    assert again["sessionId"] == first["sessionId"]
    api.pass_time(40)
    assert (await check(api, first["sessionId"], "0" * 8)).json()["status"] == "WAITING"
    assert not [to for to, _ in api.told if to == url]
    api.pass_time(20)
    (body,) = await told(api, url, 1)
    assert (body["sessionId"], body["status"]) == (first["sessionId"], "EXPIRED")


async def test_the_callback_is_told_that_nobody_could_be_called(api: "Installation") -> None:
    url = "https://hooks.example.com/full"
    api.board.failure = BusyError("full")
    assert (await ask(api, callbackUrl=url)).status_code == 503
    (body,) = await told(api, url, 1)
    assert body["status"] == "WAITING"
    assert body["retryAfter"] < body["expiresAt"]


@pytest.mark.parametrize("failure", [BusyError("full"), StorageUnavailable("the database is locked")])
async def test_a_call_that_could_not_be_placed_may_be_asked_for_again_at_once(
    api: "Installation", failure: Exception
) -> None:
    destination = str(next(numbers))
    api.board.failure = failure
    refused = await ask(api, destination)
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert (await ask(api, destination)).status_code == 200


async def test_the_usual_source_is_a_number_that_may_be_shown(api: "Installation") -> None:
    nobody = await ask(api, call={})
    assert (nobody.status_code, nobody.json()["code"]) == (400, 1005)
    await api.store.add_number("riders_hq", "+6531580009")
    await api.store.find_number("+6531580009")
    assert (await ask(api, call={})).status_code == 200
    assert api.board.accepted[-1][2].actions[0].source == "+6531580009"  # type: ignore[union-attr]  # a MakeCall
    api.policies["riders_hq"] = RequestPolicy(caller_ids=frozenset({"+6512341234"}))
    assert (await ask(api, call={})).status_code == 200
    assert api.board.accepted[-1][2].actions[0].source == "+6512341234"  # type: ignore[union-attr]  # likewise
    refused = await ask(api, call={"source": "6512340000"})
    del api.policies["riders_hq"]
    assert (refused.status_code, refused.json()["code"]) == (400, 1005)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"channel": "sms"}, 1000),
        ({"codeLength": 2}, 1000),
        ({"destination": "12"}, 1002),
        ({"template": "no code"}, 1000),
        ({"template": "{code}\u0000"}, 1004),
        ({"country": "XX", "destination": "81234567"}, 1009),
    ],
)
async def test_a_bad_request_has_the_platforms_form(api: "Installation", more: dict[str, object], code: int) -> None:
    calls = len(api.board.accepted)
    answer = await ask(api, **more)
    assert answer.status_code == 400
    assert list(answer.json()) == ["code", "message", "errorId", "timestamp"]
    assert answer.json()["code"] == code
    assert len(api.board.accepted) == calls


@pytest.mark.parametrize("session_id", ["x", "0" * 32, "foreign"])
async def test_unknown_and_foreign_verifications_answer_alike(api: "Installation", session_id: str) -> None:
    if session_id == "foreign":
        session_id = (await ask(api)).json()["sessionId"]
    path = f"/api/v2/subaccounts/other_co/sessions/{session_id}"
    answer = await api.client.get(path, headers=api.as_rider(api.other_key))
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (404, 1300, "Not found")


@pytest.mark.parametrize("query", ["code=12", "code=1234&code=1234", "code="])
async def test_a_check_that_means_nothing_is_refused(api: "Installation", query: str) -> None:
    session_id = (await ask(api)).json()["sessionId"]
    answer = await api.client.get(f"{PATH}/{session_id}?{query}", headers=api.as_rider())
    assert (answer.status_code, answer.json()["code"]) == (400, 1000)
