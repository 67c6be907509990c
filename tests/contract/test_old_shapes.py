"""Requests of older generations (§1.7) and what they become."""

import json
from typing import Any

import pytest

from callwright.callflow.plan import HangUp, MakeCall, PlayFile, Say, SayAndCapture
from callwright.contract.old_shapes import OldRequest, dtmf_result, parse_old_call
from callwright.contract.policy import OAS_DEFAULTS, RequestPolicy
from callwright.errors import ContractError

NOW = 1_719_986_400.0
NUMBERS = {"source": "6512341234", "destination": "6512345678"}
CALL = MakeCall("+6512341234", "+6512345678")
SPOKEN: dict[str, object] = {"text": "Your code is 12.", "voiceProfile": "en-US-ZiraRUS"}
CALLBACK = "https://example.com/dtmf"
ENTRY = "Invalid call flow entry provided. $.callflow[0]"
NO_WEBHOOK = RequestPolicy(has_call_action_webhook=False)


def parsed(action: str, params: dict[str, object], policy: RequestPolicy = NO_WEBHOOK, **fields: object) -> OldRequest:
    body = json.dumps({"callflow": [{"action": action, "params": NUMBERS | params}]} | fields)
    return parse_old_call(body.encode(), policy, NOW, "f-1")


def refusal_of(error: ContractError) -> tuple[int, int, str]:
    return error.status_code, error.http_status, error.message


def test_say_becomes_a_call_a_text_and_a_hangup() -> None:
    request = parsed("say", SPOKEN | {"speed": 1.5, "repetition": 2}, clientRequestId="mine")
    assert request.callflow.actions == (CALL, Say("Your code is 12.", "en-US-ZiraRUS", 1.5, 2), HangUp())
    assert request.callflow.client_request_id == "mine"
    assert request.callflow.call_flow_request_id == "f-1"
    assert request.dtmf_callback_url is None


def test_a_language_may_stand_for_the_voice() -> None:
    say = parsed("say", {"text": "Hello.", "language": "en-US"}).callflow.actions[1]
    assert isinstance(say, Say)
    assert say.voice_profile.startswith("en-US-")


def test_play_file_becomes_a_call_a_file_and_a_hangup() -> None:
    request = parsed("playFile", {"fileUrl": "https://example.com/a.wav", "repetition": 3})
    assert request.callflow.actions == (CALL, PlayFile("https://example.com/a.wav", 3), HangUp())


def test_a_capture_becomes_a_call_and_a_capture() -> None:  # §2.1 rule 6: a hangup after it would lose the digits
    params = {
        "minDigits": 1,
        "maxDigits": 4,
        "digitTimeout": 2000,
        "overallTimeout": 9000,
        "completeOnHash": False,
        "noOfTries": 2,
        "endMessage": "Goodbye.",
        "dtmfCallbackUrl": CALLBACK,
    }
    request = parsed("say&capture", SPOKEN | params)
    capture = SayAndCapture(
        prompt_message="Your code is 12.",
        voice_profile="en-US-ZiraRUS",
        success_message="Goodbye.",
        complete_on_hash=False,
        min_digits=1,
        max_digits=4,
        digit_timeout_ms=2000,
        overall_timeout_ms=9000,
        no_of_tries=2,
    )
    assert request == OldRequest(request.callflow, CALLBACK)
    assert request.callflow.actions == (CALL, capture)


def test_a_captures_defaults_are_the_policys() -> None:
    policy = RequestPolicy(capture=OAS_DEFAULTS)
    capture = parsed("say&capture", SPOKEN | {"dtmfCallbackUrl": CALLBACK}, policy).callflow.actions[1]
    assert isinstance(capture, SayAndCapture)
    assert (capture.max_digits, capture.overall_timeout_ms, capture.no_of_tries) == (1, 5000, 1)


@pytest.mark.parametrize(
    ("action", "params", "refusal"),
    [
        pytest.param("say&capture", SPOKEN, (-1004, 422, "DTMF callback url not provided"), id="-1004"),
        pytest.param(
            "say&capture",
            SPOKEN | {"dtmfCallbackUrl": None},
            (-1004, 422, "DTMF callback url not provided"),
            id="-1004 null",
        ),
        pytest.param(
            "say&capture",
            SPOKEN | {"dtmfCallbackUrl": ""},
            (-1004, 422, "DTMF callback url not provided"),
            id="-1004 empty",
        ),
        pytest.param(
            "say&capture",
            SPOKEN | {"dtmfCallbackUrl": "ftp://example.com"},
            (-1009, 400, ENTRY + ".params.dtmfCallbackUrl: does not match the regex pattern ^https?://\\S+$"),
            id="-1009 callback",
        ),
        pytest.param(
            "say&capture",
            {"voiceProfile": "en-US-ZiraRUS", "dtmfCallbackUrl": CALLBACK},
            (-1009, 400, ENTRY + ".params.text: is missing but it is required"),
            id="-1009 names the client's own param",
        ),
        pytest.param(
            "say&capture",
            SPOKEN | {"dtmfCallbackUrl": CALLBACK, "minDigits": 1},
            (-1003, 422, "Valid maxDigits required when minDigits provided"),
            id="-1003",
        ),
        pytest.param(
            "say",
            {"text": "Hello.", "voiceProfile": "xx"},
            (-1002, 422, "Speech profile or language parameter invalid"),
            id="-1002",
        ),
        pytest.param(
            "say",
            SPOKEN | {"source": "private"},
            (-1014, 422, "Source or caller ID is not allowed"),
            id="-1014 private",
        ),
        pytest.param(
            "say", SPOKEN | {"destination": "12"}, (-1017, 422, "Invalid MSISDN format in Destination"), id="-1017"
        ),
        pytest.param(
            "makeCall",
            {},
            (-1007, 400, "$.callflow[0].action should be one of: say,say&capture,playFile"),
            id="-1007 today's action",
        ),
        pytest.param(
            "playFile", {}, (-1009, 400, ENTRY + ".params.fileUrl: is missing but it is required"), id="-1009 path"
        ),
    ],
)
def test_a_wrong_request_is_refused(action: str, params: dict[str, object], refusal: tuple[int, int, str]) -> None:
    with pytest.raises(ContractError) as caught:
        parsed(action, params)
    assert refusal_of(caught.value) == refusal


def test_an_old_request_holds_one_action() -> None:
    entry = {"action": "say", "params": NUMBERS | SPOKEN}
    with pytest.raises(ContractError) as caught:
        parse_old_call(json.dumps({"callflow": [entry, entry]}).encode(), NO_WEBHOOK, NOW, "f-1")
    assert caught.value.status_code == -1010


def test_an_old_request_names_where_it_calls_to() -> None:
    body = json.dumps({"callflow": [{"action": "say", "params": {"source": "6512341234"} | SPOKEN}]})
    with pytest.raises(ContractError) as caught:
        parse_old_call(body.encode(), NO_WEBHOOK, NOW, "f-1")
    assert caught.value.message == ENTRY + ".params.destination: is missing but it is required"


def test_an_expired_request_is_refused() -> None:
    with pytest.raises(ContractError) as caught:
        parsed("say", SPOKEN, validUntil="2024-07-03T05:59:59Z")
    assert caught.value.status_code == -1015


def test_the_captured_digits_are_reported() -> None:
    assert dtmf_result("u-1", NOW + 0.25, "+6512345678", "12345", "mine") == {
        "uid": "u-1",
        "status": {"code": "DTMF", "timestamp": "2024-07-03T06:00:00.250Z"},
        "destination": "+6512345678",
        "clientRequestId": "mine",
        "actionDetails": {"dtmf": "12345"},
    }
    assert "clientRequestId" not in dtmf_result("u-1", NOW, "+6512345678", "1")


# -- early v1.2, on /callflows -----------------------------------------------------------------------------------------


def test_the_early_shape_is_taken_when_the_policy_says_so(request_of: Any) -> None:
    request_of.policy = RequestPolicy(accept_old_shapes=True)
    kinds = [
        (request_of.say(**NUMBERS), [MakeCall, Say, HangUp]),
        (request_of.play(**NUMBERS), [MakeCall, PlayFile, HangUp]),
        (request_of.capture(**NUMBERS), [MakeCall, SayAndCapture]),
    ]
    for action, expected in kinds:
        actions = request_of.parse(action).actions
        assert [type(each) for each in actions] == expected
        assert actions[0] == CALL


def test_the_early_shape_is_refused_otherwise(request_of: Any) -> None:
    assert request_of.refused(request_of.say(**NUMBERS))[0] == -1013


def test_todays_flows_stay_what_they_are(request_of: Any) -> None:
    request_of.policy = RequestPolicy(accept_old_shapes=True)
    assert request_of.refused(request_of.say())[0] == -1013
    assert request_of.refused(request_of.say(**NUMBERS), {"action": "hangup"})[0] == -1013
    # §2.4: an example of today's playFile wrongly carries a destination
    flow = request_of.parse(request_of.call(), request_of.play(**NUMBERS))
    assert [type(each) for each in flow.actions] == [MakeCall, PlayFile]
