"""Requests of the oldest generation over real HTTP (contract §1.7)."""

from typing import TYPE_CHECKING, Any

import pytest

from callwright.callflow.plan import HangUp, MakeCall, Say, SayAndCapture

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/subaccounts/riders_hq/calls"
CALL = {"source": "6512341234", "destination": "6512345678", "text": "Hello.", "language": "en-US"}


async def send(api: "Installation", action: str, **params: object) -> Any:
    body = {"clientRequestId": "r-7", "callflow": [{"action": action, "params": CALL | params}]}
    return await api.client.post(PATH, json=body, headers=api.as_rider())


async def test_a_message_becomes_a_call_that_says_it_and_hangs_up(api: "Installation") -> None:
    answer = await send(api, "say")
    assert answer.status_code == 200
    assert answer.json()["sessionStatus"] == "CREATED"
    session_id, _, callflow = api.board.accepted[-1]
    assert session_id == answer.json()["sessionId"]
    assert [type(action) for action in callflow.actions] == [MakeCall, Say, HangUp]
    assert (callflow.client_request_id, callflow.dtmf_callback_url) == ("r-7", None)


async def test_captured_digits_have_an_address_of_their_own_that_is_kept(api: "Installation") -> None:
    url = "https://hooks.example.com/dtmf"
    answer = await send(api, "say&capture", dtmfCallbackUrl=url, maxDigits=1)
    assert answer.status_code == 200
    stored = await api.store.find_session(answer.json()["sessionId"])
    assert stored is not None
    assert [type(action) for action in stored.callflow.actions] == [MakeCall, SayAndCapture]
    assert stored.callflow.dtmf_callback_url == url


@pytest.mark.parametrize(
    ("action", "params", "status", "code"),
    [
        ("sayAndCapture", {}, 400, -1007),
        ("say&capture", {}, 422, -1004),
        ("say", {"destination": "12"}, 422, -1017),
        ("say", {"source": "private"}, 422, -1014),
        ("say", {"text": None}, 400, -1009),
    ],
)
async def test_a_bad_call_is_refused_as_a_bad_callflow_is(
    api: "Installation", action: str, params: dict[str, object], status: int, code: int
) -> None:
    accepted = len(api.board.accepted)
    answer = await send(api, action, **params)
    assert (answer.status_code, answer.json()["statusCode"]) == (status, code)
    assert answer.json()["sessionStatus"] == "NOT_CREATED"
    assert len(api.board.accepted) == accepted


async def test_while_it_drains_no_call_is_taken(api: "Installation") -> None:
    api.draining = True
    answer = await send(api, "say")
    api.draining = False
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
