"""Callflow requests against the contract's §1 to §3 and §13, row by row; ids name the row."""

import json
from dataclasses import replace
from typing import Any

import pytest

from callwright.callflow.plan import HangUp, MakeCall, PlayFile, Say, SayAndCapture
from callwright.contract.policy import RequestPolicy
from callwright.contract.request import is_sub_account_id, parse_callflow

TUTORIAL = b"""{"validUntil":"2024-07-03T06:59:32.226Z",
 "callflow":[
  {"action":"makeCall","params":{"source":"+6512341234","destination":"+6512345678"}},
  {"action":"say","params":{"text":"Hello, this is a test Voice Message.","voiceProfile":"en-IE-EmilyNeural",
   "repetition":1,"speed":1}},
  {"action":"hangup"}]}"""

ENTRY = "Invalid call flow entry provided. "
FIRST = (-1013, 422, "Invalid Callflow : First action should be a MakeCall action")
HANGUP = (-1012, 422, "Invalid Callflow : Incorrect use of action Hangup")
COUNT = (-1010, 422, "Some actions are provided beyond the allowed count")
VOICE = (-1002, 422, "Speech profile or language parameter invalid")
SOURCE = (-1014, 422, "Source or caller ID is not allowed")
DESTINATION = (-1017, 422, "Invalid MSISDN format in Destination")
MANY = (-1011, 422, "Multiple destination phone numbers found in the request")
EXPIRED = (-1015, 422, "The validity period of the call flow request has expired")
CHARACTERS = (-1016, 422, "Invalid Callflow Content: Some special characters are invalid/unaccepted")
SCENARIO = "Invalid Callflow: Invalid scenarioName or the account doesn't have permission to execute this scenario"
DATE_TIME = "$.validUntil: does not match the date-time pattern YYYY-MM-DDTHH:MM:SS.SSSZ"


def entry(detail: str) -> tuple[int, int, str]:
    return -1009, 400, ENTRY + detail


# -- accepted ----------------------------------------------------------------------------------------------------------


def test_the_tutorials_request_is_read(request_of: Any) -> None:
    flow = request_of.parse_body(TUTORIAL)
    assert flow.actions == (
        MakeCall("+6512341234", "+6512345678", call_recording=False),
        Say("Hello, this is a test Voice Message.", "en-IE-EmilyNeural", speed=1.0, repetition=1),
        HangUp(),
    )
    assert flow.valid_until == pytest.approx(1719989972.226)
    assert flow.call_flow_request_id == "0a1b2c3d-376b-11ef-a28b-0582ff0039d5"
    assert flow.client_request_id is None
    assert flow.client_action_id is None


def test_the_tutorials_file_is_read(request_of: Any) -> None:
    flow = request_of.parse(request_of.call(), request_of.play(repetition=2), {"action": "hangup"})
    assert flow.actions[1] == PlayFile("https://example.com/wave.mp3", repetition=2)


def test_an_ivr_starts_without_a_hangup(request_of: Any) -> None:
    flow = request_of.parse(request_of.call(), request_of.capture())
    assert isinstance(flow.actions[1], SayAndCapture)


@pytest.mark.parametrize(
    "hangup",
    [
        pytest.param({"action": "hangup"}, id="§2.6 bare"),
        pytest.param({"action": "hangup", "params": {}}, id="§13 row 20 params {}"),
        pytest.param({"action": "hangup", "params": None}, id="§13 row 20 params null"),
        pytest.param({"action": "hangup", "params": {"reason": "done"}}, id="§13 row 19 unknown param"),
    ],
)
def test_hangup_needs_no_params(request_of: Any, hangup: object) -> None:
    assert request_of.parse(request_of.call(), hangup).actions[-1] == HangUp()


def test_defaults_are_those_of_the_tables(request_of: Any) -> None:
    flow = request_of.parse(request_of.call(), request_of.say(), request_of.play())
    assert flow.actions[0].call_recording is False  # §2.2
    assert (flow.actions[1].repetition, flow.actions[1].speed) == (1, 1.0)  # §2.3
    assert flow.actions[2].repetition == 1  # §2.4


@pytest.mark.parametrize(
    ("params", "field", "value"),
    [
        pytest.param({"speed": 0.5}, "speed", 0.5, id="§2.3 slowest"),
        pytest.param({"speed": 2}, "speed", 2.0, id="§2.3 fastest"),
        pytest.param({"speed": 1.25}, "speed", 1.25, id="§13 row 28 speed is a number"),
        pytest.param({"speed": None}, "speed", 1.0, id="§13 row 20 null speed"),
        pytest.param({"repetition": 3}, "repetition", 3, id="§2.3 most repetitions"),
        pytest.param({"repetition": 2.0}, "repetition", 2, id="an integer written with a fraction"),
        pytest.param({"repetition": None}, "repetition", 1, id="§13 row 20 null repetition"),
        pytest.param({"text": "x" * 3000}, "text", "x" * 3000, id="§1.6 longest text"),
        pytest.param({"text": "a < b & c > d"}, "text", "a < b & c > d", id="§10.6 text is plain"),
        pytest.param({"text": "two\nlines\tand a tab"}, "text", "two\nlines\tand a tab", id="white space"),
        pytest.param({"text": "你好 👋"}, "text", "你好 👋", id="any script"),
        pytest.param({"voiceProfile": "en-US-Neural2-C"}, "voice_profile", "en-US-Neural2-C", id="§10.2"),
        pytest.param({"language": "en-US"}, "voice_profile", "en-IE-EmilyNeural", id="§13 row 19 language beside"),
        pytest.param(
            {"language": 7, "pitch": [1]}, "voice_profile", "en-IE-EmilyNeural", id="§13 row 19 unknown params"
        ),
    ],
)
def test_say_takes_its_params(request_of: Any, params: dict[str, object], field: str, value: object) -> None:
    assert getattr(request_of.parse(request_of.call(), request_of.say(**params)).actions[1], field) == value


@pytest.mark.parametrize(
    ("params", "voice"),
    [
        pytest.param({"language": "en-IE"}, "en-IE-EmilyNeural", id="§1.7 language instead"),
        pytest.param({"language": "en"}, "en-US-JennyNeural", id="§1.7 bare language"),
        pytest.param({"language": "da-DK", "voiceProfile": None}, "da-DK-ChristelNeural", id="null voiceProfile"),
    ],
)
def test_a_language_alone_gets_its_voice(request_of: Any, params: dict[str, object], voice: str) -> None:
    action = request_of.without(request_of.say(), "voiceProfile")
    action["params"] |= params
    assert request_of.parse(request_of.call(), action).actions[1].voice_profile == voice


@pytest.mark.parametrize("number", ["6512345678", "+6512345678"])
def test_numbers_come_with_or_without_plus(request_of: Any, number: str) -> None:  # §13 row 23
    flow = request_of.parse(request_of.call(source=number, destination=number))
    assert flow.actions[0] == MakeCall("+6512345678", "+6512345678")


@pytest.mark.parametrize(("given", "read"), [(True, True), (False, False), (None, False)])
def test_recording_is_accepted_in_a_request(request_of: Any, given: object, read: bool) -> None:  # §13 row 18
    assert request_of.parse(request_of.call(callRecording=given)).actions[0].call_recording is read


def test_a_second_call_may_follow(request_of: Any) -> None:  # §2.1 rule 3
    assert len(request_of.parse(request_of.call(), request_of.say(), request_of.call()).actions) == 3


@pytest.mark.parametrize(
    ("fields", "client_request_id", "client_action_id"),
    [
        pytest.param({"clientRequestId": "r-1"}, "r-1", None, id="§13 row 22"),
        pytest.param({"clientActionId": "a-1"}, None, "a-1", id="§13 row 21"),
        pytest.param({"clientRequestId": None, "clientActionId": None}, None, None, id="§13 row 20"),
        pytest.param({"campaign": {"any": ["thing"]}}, None, None, id="§1.3 unknown fields"),
    ],
)
def test_the_clients_own_ids_travel_along(
    request_of: Any, fields: dict[str, object], client_request_id: str | None, client_action_id: str | None
) -> None:
    request_of.fields = fields
    flow = request_of.parse(request_of.call())
    assert (flow.client_request_id, flow.client_action_id) == (client_request_id, client_action_id)


# -- validUntil --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("2024-07-03T06:00:00.226Z", 1719986400.226, id="§1.3 documented"),
        pytest.param("2024-07-03T06:00:01Z", 1719986401.0, id="§1.3 observed, without milliseconds"),
        pytest.param("2024-07-03T06:00:01.123456789Z", 1719986401.123456, id="nanoseconds"),
        pytest.param("2024-07-03T14:00:01+08:00", 1719986401.0, id="an offset"),
        pytest.param("2024-07-02T22:00:01.5-08:00", 1719986401.5, id="a negative offset"),
        pytest.param("2024-07-03T06:00:00Z", 1719986400.0, id="the very moment is not past"),
        pytest.param("9999-12-31T23:59:59Z", 253402300799.0, id="the end of time"),
        pytest.param(None, None, id="§13 row 20 null"),
    ],
)
def test_valid_until_is_read(request_of: Any, text: str | None, at: float | None) -> None:
    request_of.fields = {"validUntil": text}
    assert request_of.parse(request_of.call()).valid_until == (None if at is None else pytest.approx(at, abs=1e-5))


@pytest.mark.parametrize("text", ["2024-07-03T05:59:59.999Z", "2024-07-03T13:59:59+08:00", "0001-01-01T00:00:00+14:00"])
def test_a_request_past_its_time_is_expired(request_of: Any, text: str) -> None:
    request_of.fields = {"validUntil": text}
    assert request_of.refused(request_of.call()) == EXPIRED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2024-07-03",
        "2024-07-03 06:00:00Z",
        "2024-07-03T06:00:00",
        "2024-07-03T06:00Z",
        "2024-06-31T06:00:00Z",
        "2024-07-03T25:00:00Z",
        "2024-07-03T06:00:00+99:00",
        "20240703T060000Z",
        "1719986401",
        "２024-07-03T06:00:00Z",
    ],
)
def test_valid_until_must_be_a_date_time(request_of: Any, text: str) -> None:
    request_of.fields = {"validUntil": text}
    assert request_of.refused(request_of.call()) == entry(DATE_TIME)


# -- JSON: -1001 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="no JSON"),
        pytest.param(TUTORIAL[:-1], id="cut short"),
        pytest.param(TUTORIAL + b"}", id="too much"),
        pytest.param(TUTORIAL.replace(b'"hangup"}', b'"hangup"},'), id="§13 row 35 trailing comma"),
        pytest.param(b"// note\n" + TUTORIAL, id="§13 row 35 comment"),
        pytest.param(TUTORIAL.replace(b'"', b"'"), id="single quotes"),
        pytest.param(TUTORIAL.replace(b'"speed":1', b'"speed":NaN'), id="NaN"),
        pytest.param(TUTORIAL.replace(b'"speed":1', b'"speed":-Infinity'), id="Infinity"),
        pytest.param(TUTORIAL.replace(b'"speed":1', b'"speed":1,"speed":2'), id="a name twice"),
        pytest.param(TUTORIAL.replace(b"Hello", b"Hell\xf6"), id="Latin-1"),
        pytest.param(TUTORIAL.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(TUTORIAL.replace(b"Hello", b"\\ud83d"), id="half a surrogate pair"),
        pytest.param(TUTORIAL.replace(b"Hello", b"\xed\xa0\xbd"), id="half a surrogate pair, raw"),
        pytest.param(TUTORIAL.replace(b"Hello", b"Hel\x00lo"), id="raw control character"),
        pytest.param(TUTORIAL.replace(b'"speed":1', b'"speed":' + b"9" * 5000), id="a number of 5,000 digits"),
        pytest.param(b"[" * 17 + b"]" * 17, id="17 levels"),
        pytest.param(b"[" * 100_000, id="100,000 brackets"),
        pytest.param(b'{"a":' * 20_000 + b"1" + b"}" * 20_000, id="20,000 objects"),
        pytest.param(b'"\\"' * 40_000 + b"[" * 20, id="quotes without end"),
    ],
)
def test_a_body_that_is_not_json_is_refused(request_of: Any, body: bytes) -> None:
    assert request_of.body_refused(body) == (-1001, 400, "Invalid JSON request body")


def test_a_body_over_256_kib_is_refused_by_its_size(request_of: Any) -> None:
    for extra, expected in ((0, None), (1, (-1001, 413, "Invalid JSON request body"))):
        body = TUTORIAL + b" " * (256 * 1024 - len(TUTORIAL) + extra)
        if expected is None:
            assert request_of.parse_body(body).actions
        else:
            assert request_of.body_refused(body) == expected
    assert request_of.body_refused(b"[" * 300 * 1024)[1] == 413


def test_brackets_inside_texts_are_no_depth(request_of: Any) -> None:
    text = "[{" * 50 + '\\"' * 3
    assert request_of.parse(request_of.call(), request_of.say(text=text)).actions[1].text == text


def test_sixteen_levels_are_read(request_of: Any) -> None:
    nested: object = 1
    for _ in range(15):
        nested = [nested]
    request_of.fields = {"extra": nested}
    assert request_of.parse(request_of.call()).actions
    request_of.fields = {"extra": [nested]}
    assert request_of.refused(request_of.call())[0] == -1001


def test_a_byte_order_mark_is_skipped(request_of: Any) -> None:
    assert request_of.parse_body(b"\xef\xbb\xbf" + TUTORIAL).actions


def test_escaped_surrogate_pairs_are_characters(request_of: Any) -> None:
    flow = request_of.parse_body(TUTORIAL.replace(b"Hello", b"\\ud83d\\udc4b"))
    assert flow.actions[1].text.startswith("👋")


# -- shape: -1009, -1007 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"[]", "$: array found, object expected"),
        (b'"x"', "$: string found, object expected"),
        (b"null", "$: null found, object expected"),
        (b"1", "$: integer found, object expected"),
        (b"1e999", "$: number found, object expected"),
        (b"true", "$: boolean found, object expected"),
        (b"{}", "$.callflow: is missing but it is required"),
        (b'{"callflow":null}', "$.callflow: null found, array expected"),
        (b'{"callflow":{}}', "$.callflow: object found, array expected"),
        (b'{"callflow":[]}', "$.callflow: there must be a minimum of 1 items in the array"),
        (b'{"callflow":["hangup"]}', "$.callflow[0]: string found, object expected"),
        (b'{"callflow":[{}]}', "$.callflow[0].action: is missing but it is required"),
        (b'{"callflow":[{"action":5}]}', "$.callflow[0].action: integer found, string expected"),
        (b'{"callflow":[{"action":null}]}', "$.callflow[0].action: null found, string expected"),
        (b'{"callflow":[{"action":"makeCall"}]}', "$.callflow[0].params: is missing but it is required"),
        (b'{"callflow":[{"action":"say","params":null}]}', "$.callflow[0].params: null found, object expected"),
        (b'{"callflow":[{"action":"hangup","params":[]}]}', "$.callflow[0].params: array found, object expected"),
        (b'{"validUntil":5,"callflow":[]}', "$.validUntil: integer found, string expected"),
        (b'{"clientRequestId":5,"callflow":[]}', "$.clientRequestId: integer found, string expected"),
        (b'{"clientActionId":{},"callflow":[]}', "$.clientActionId: object found, string expected"),
        (
            b'{"clientRequestId":"' + b"x" * 257 + b'","callflow":[]}',
            "$.clientRequestId: may only be 256 characters long",
        ),
    ],
)
def test_a_body_of_another_shape_is_refused(request_of: Any, body: bytes, detail: str) -> None:
    assert request_of.body_refused(body) == entry(detail)


@pytest.mark.parametrize(
    "action",
    ["", "Say", "makecall", "MAKE_CALL", "say&capture", "sayAndcapture", "record", "transfer", "play&capture", "💥"],
)
def test_an_unknown_action_is_refused_with_its_place(request_of: Any, action: str) -> None:  # §13 row 9
    expected = "should be one of: say,playFile,sayAndCapture,makeCall,hangup"
    assert request_of.refused({"action": action}) == (-1007, 400, f"$.callflow[0].action {expected}")
    assert request_of.refused(request_of.call(), {"action": action, "params": {}})[2] == (
        f"$.callflow[1].action {expected}"
    )


MISSING = "is missing but it is required"


@pytest.mark.parametrize(
    ("action", "field", "value", "detail"),
    [
        pytest.param("call", "source", ..., MISSING, id="§2.2 source"),
        pytest.param("call", "source", None, "null found, string expected", id="§2.2 source null"),
        pytest.param("call", "source", 6512341234, "integer found, string expected", id="§13 row 36 source"),
        pytest.param("call", "destination", ..., MISSING, id="§2.2 destination"),
        pytest.param("call", "destination", 6512345678, "integer found, string expected", id="§13 row 36 destination"),
        pytest.param("call", "destination", ["+6512345678"], "array found, string expected", id="a list of one"),
        pytest.param("call", "destination", "1" * 1001, "may only be 1000 characters long", id="endless number"),
        pytest.param("call", "callRecording", "yes", "string found, boolean expected", id="§2.2 callRecording"),
        pytest.param("call", "callRecording", 1, "integer found, boolean expected", id="§2.2 callRecording 1"),
        pytest.param("say", "text", ..., MISSING, id="§3 text"),
        pytest.param("say", "text", None, "null found, string expected", id="text null"),
        pytest.param("say", "text", "", "must be at least 1 characters long", id="text empty"),
        pytest.param("say", "text", " \n", "must be at least 1 characters long", id="text blank"),
        pytest.param("say", "text", "x" * 3001, "may only be 3000 characters long", id="§1.6 text"),
        pytest.param("say", "text", 7, "integer found, string expected", id="text a number"),
        pytest.param("say", "text", 7.5, "number found, string expected", id="text a fraction"),
        pytest.param("say", "voiceProfile", ..., MISSING, id="§2.3 voiceProfile"),
        pytest.param("say", "voiceProfile", None, "null found, string expected", id="voiceProfile null"),
        pytest.param("say", "voiceProfile", 5, "integer found, string expected", id="voiceProfile a number"),
        pytest.param("say", "repetition", 0, "must have a minimum value of 1", id="§2.3 repetition 0"),
        pytest.param("say", "repetition", 4, "must have a maximum value of 3", id="§2.3 repetition 4"),
        pytest.param("say", "repetition", 1.5, "number found, integer expected", id="repetition 1.5"),
        pytest.param("say", "repetition", True, "boolean found, integer expected", id="repetition true"),
        pytest.param("say", "repetition", "1", "string found, integer expected", id="repetition text"),
        pytest.param("say", "repetition", 10**40, "must have a maximum value of 3", id="repetition huge"),
        pytest.param("say", "speed", 0.49, "must have a minimum value of 0.5", id="§2.3 too slow"),
        pytest.param("say", "speed", 2.01, "must have a maximum value of 2", id="§2.3 too fast"),
        pytest.param("say", "speed", 10**400, "must have a maximum value of 2", id="speed beyond floats"),
        pytest.param("say", "speed", "fast", "string found, number expected", id="speed text"),
        pytest.param("say", "speed", True, "boolean found, number expected", id="speed true"),
        pytest.param("play", "fileUrl", ..., MISSING, id="§2.4 fileUrl"),
        pytest.param("play", "fileUrl", None, "null found, string expected", id="fileUrl null"),
        pytest.param("play", "fileUrl", "", "does not match the regex pattern ^https?://\\S+$", id="fileUrl empty"),
        pytest.param(
            "play",
            "fileUrl",
            "ftp://example.com/a.mp3",
            "does not match the regex pattern ^https?://\\S+$",
            id="§2.4 ftp",
        ),
        pytest.param(
            "play", "fileUrl", "file:///etc/passwd", "does not match the regex pattern ^https?://\\S+$", id="§2.4 file"
        ),
        pytest.param(
            "play",
            "fileUrl",
            "https://a b",
            "does not match the regex pattern ^https?://\\S+$",
            id="fileUrl with a space",
        ),
        pytest.param(
            "play", "fileUrl", "https://" + "a" * 2048, "may only be 2048 characters long", id="fileUrl too long"
        ),
        pytest.param("play", "repetition", 4, "must have a maximum value of 3", id="§2.4 repetition"),
        pytest.param("capture", "promptMessage", ..., MISSING, id="§2.5 promptMessage"),
        pytest.param("capture", "promptMessage", "", "must be at least 1 characters long", id="promptMessage empty"),
        pytest.param(
            "capture", "promptMessage", "x" * 3001, "may only be 3000 characters long", id="§1.6 promptMessage"
        ),
        pytest.param("capture", "voiceProfile", ..., MISSING, id="§2.5 voiceProfile"),
        pytest.param("capture", "successMessage", "x" * 3001, "may only be 3000 characters long", id="successMessage"),
        pytest.param("capture", "failureMessage", 5, "integer found, string expected", id="failureMessage"),
        pytest.param("capture", "completeOnHash", "true", "string found, boolean expected", id="completeOnHash"),
        pytest.param("capture", "minDigits", 0, "must have a minimum value of 1", id="§2.5 minDigits"),
        pytest.param("capture", "maxDigits", 0, "must have a minimum value of 1", id="§2.5 maxDigits 0"),
        pytest.param("capture", "maxDigits", 26, "must have a maximum value of 25", id="§1.6 maxDigits 26"),
        pytest.param("capture", "maxDigits", "4", "string found, integer expected", id="maxDigits text"),
        pytest.param("capture", "digitTimeout", 0, "must have a minimum value of 1", id="§2.5 digitTimeout"),
        pytest.param("capture", "overallTimeout", 0, "must have a minimum value of 1", id="§2.5 overallTimeout"),
        pytest.param(
            "capture", "overallTimeout", 2**31, "must have a maximum value of 2147483647", id="overallTimeout huge"
        ),
        pytest.param("capture", "noOfTries", 0, "must have a minimum value of 1", id="§2.5 noOfTries"),
        pytest.param("capture", "speed", 3, "must have a maximum value of 2", id="§2.5 speed"),
    ],
)
def test_a_wrong_param_is_refused_with_its_path(
    request_of: Any, action: str, field: str, value: object, detail: str
) -> None:
    wrong = getattr(request_of, action)()
    wrong = request_of.without(wrong, field) if value is ... else getattr(request_of, action)(**{field: value})
    flow = [wrong] if action == "call" else [request_of.call(), wrong]
    assert request_of.refused(*flow) == entry(f"$.callflow[{len(flow) - 1}].params.{field}: {detail}")


# -- the flow: -1010, -1012, -1013, -1018 to -1020 ---------------------------------------------------------------------


def test_the_first_action_must_be_a_call(request_of: Any) -> None:
    assert request_of.refused(request_of.say(), request_of.call()) == FIRST
    assert request_of.refused({"action": "hangup"}) == FIRST


def test_a_third_call_is_one_too_many(request_of: Any) -> None:
    assert request_of.refused(*[request_of.call()] * 3) == COUNT


def test_a_callflow_has_a_longest_length(request_of: Any) -> None:
    assert len(request_of.parse(request_of.call(), *[request_of.say()] * 49).actions) == 50
    assert request_of.refused(request_of.call(), *[request_of.say()] * 50) == COUNT
    request_of.policy = RequestPolicy(most_actions=2)
    assert request_of.refused(request_of.call(), request_of.say(), {"action": "hangup"}) == COUNT


def test_hangup_stands_last_and_once(request_of: Any) -> None:
    hangup = {"action": "hangup"}
    assert request_of.parse(request_of.call(), hangup).actions[-1] == HangUp()
    assert request_of.refused(request_of.call(), hangup, request_of.say()) == HANGUP
    assert request_of.refused(request_of.call(), request_of.say(), hangup, hangup) == HANGUP


@pytest.mark.parametrize(
    ("flow", "refusal"),
    [
        pytest.param(
            [{"action": "executeScenario", "params": {"scenarioName": "welcome"}}, {"action": "hangup"}],
            (-1018, 422, "Invalid Callflow: Execute Scenario cannot be processed together with other actions"),
            id="-1018",
        ),
        pytest.param(
            [{"action": "executeScenario"}],
            (-1019, 422, "Invalid Callflow Content: scenarioName is null or empty"),
            id="-1019 missing",
        ),
        pytest.param(
            [{"action": "executeScenario", "params": {"scenarioName": " "}}],
            (-1019, 422, "Invalid Callflow Content: scenarioName is null or empty"),
            id="-1019 blank",
        ),
        pytest.param(
            [{"action": "executeScenario", "params": {"scenarioName": "welcome"}}],
            (-1020, 422, SCENARIO),
            id="-1020",
        ),
    ],
)
def test_scenarios_are_refused(request_of: Any, flow: list[object], refusal: tuple[int, int, str]) -> None:
    assert request_of.refused(*flow) == refusal


# -- voices, content, numbers: -1002, -1016, -1011, -1017, -1014 -------------------------------------------------------


@pytest.mark.parametrize("voice", ["", "en-US", "en-US-Nobody", "xx-XX-SomebodyNeural", "en-US-jenny", "x" * 2000])
def test_an_unknown_voice_is_refused(request_of: Any, voice: str) -> None:
    assert request_of.refused(request_of.call(), request_of.say(voiceProfile=voice)) == VOICE
    assert request_of.refused(request_of.call(), request_of.capture(voiceProfile=voice)) == VOICE


def test_an_unknown_language_is_refused(request_of: Any) -> None:
    action = request_of.without(request_of.say(language="xx-XX"), "voiceProfile")
    assert request_of.refused(request_of.call(), action) == VOICE


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\x9b", "\uffff"], ids=ascii)
def test_control_characters_are_refused(request_of: Any, character: str) -> None:
    text = f"Hello{character}there"
    for action in (
        request_of.say(text=text),
        request_of.capture(promptMessage=text),
        request_of.capture(successMessage=text),
        request_of.capture(failureMessage=text),
    ):
        assert request_of.refused(request_of.call(), action) == CHARACTERS
    request_of.fields = {"clientRequestId": text}
    assert request_of.refused(request_of.call()) == CHARACTERS
    request_of.fields = {"clientActionId": text}
    assert request_of.refused(request_of.call()) == CHARACTERS


def test_control_characters_in_a_url_are_refused(request_of: Any) -> None:
    assert request_of.refused(request_of.call(), request_of.play(fileUrl="https://example.com/\x00a")) == CHARACTERS


@pytest.mark.parametrize(
    "number",
    ["", "12", "abc", "+65 1234 5678", "0065123456789", "tel:+6512345678", "+９９", "+6512345678;ext=x", "a,b"],
)
def test_a_destination_that_is_no_number_is_refused(request_of: Any, number: str) -> None:
    assert request_of.refused(request_of.call(destination=number)) == DESTINATION


@pytest.mark.parametrize(
    "numbers",
    [
        "+6512345678,+6512345679",
        "6512345678, 6512345679",
        "+6512345678;+6512345679",
        ["+6512345678", "+6512345679"],
    ],
    ids=str,
)
def test_several_destinations_are_refused(request_of: Any, numbers: object) -> None:
    assert request_of.refused(request_of.call(destination=numbers)) == MANY


@pytest.mark.parametrize("source", ["", "private", "anonymous", "12", "+6512341234,+6512341235"])
def test_a_source_that_is_no_number_is_refused(request_of: Any, source: str) -> None:
    assert request_of.refused(request_of.call(source=source)) == SOURCE


def test_only_listed_caller_ids_may_be_shown(request_of: Any) -> None:  # §13 row 29
    request_of.policy = RequestPolicy(caller_ids=frozenset({"+6512341234"}))
    assert request_of.parse(request_of.call(source="6512341234")).actions[0].source == "+6512341234"
    assert request_of.refused(request_of.call(source="+6588000000")) == SOURCE
    assert request_of.refused(request_of.call(), request_of.call(source="+6588000000")) == SOURCE
    request_of.policy = RequestPolicy(caller_ids=frozenset())
    assert request_of.refused(request_of.call()) == SOURCE


def test_integers_become_numbers_where_the_setting_says_so(request_of: Any) -> None:  # §13 row 36
    request_of.policy = RequestPolicy(coerce_numbers=True)
    flow = request_of.parse(request_of.call(source=6512341234, destination=6512345678))
    assert flow.actions[0] == MakeCall("+6512341234", "+6512345678")
    assert request_of.refused(request_of.call(destination=-6512345678))[0] == -1009
    assert request_of.refused(request_of.call(destination=10**15))[0] == -1009
    assert request_of.refused(request_of.call(destination=True))[0] == -1009


# -- which of several mistakes is answered -----------------------------------------------------------------------------


def test_mistakes_are_found_in_the_documented_order(request_of: Any) -> None:
    """A request with every mistake; mended from the first one on, each answers in its turn."""
    request_of.policy = RequestPolicy(caller_ids=frozenset({"+6512341234"}), has_call_action_webhook=False)
    request_of.fields = {"validUntil": "2001-01-01T00:00:00Z", "clientRequestId": 5}
    call: dict[str, object] = {"source": "+6599999999", "destination": "?"}
    say: dict[str, object] = {"voiceProfile": "nobody"}
    capture: dict[str, object] = {
        "promptMessage": "\x00",
        "voiceProfile": "en-US-Jenny",
        "minDigits": 2,
        "digitTimeout": 9,
        "overallTimeout": 5,
    }
    flow: list[object] = [
        "entry",
        {"action": "jump"},
        {"action": "hangup"},
        {"action": "makeCall", "params": call},
        {"action": "say", "params": say},
        {"action": "sayAndCapture", "params": capture},
        {"action": "makeCall", "params": call},
        {"action": "makeCall", "params": call},
    ]
    found = []

    def answered() -> None:
        found.append(request_of.refused(*flow)[0])

    answered()  # clientRequestId
    request_of.fields["clientRequestId"] = "\x00"
    answered()  # entry
    flow.pop(0)
    answered()  # jump
    flow.pop(0)
    answered()  # text missing
    say["text"] = "Hello"
    answered()  # three calls
    flow.pop()
    answered()  # hangup first
    flow.insert(0, flow.pop())
    answered()  # hangup not last
    flow.append(flow.pop(1))
    answered()  # no webhook
    request_of.policy = replace(request_of.policy, has_call_action_webhook=True)
    answered()  # minDigits without maxDigits
    capture["maxDigits"] = 4
    answered()  # digitTimeout over overallTimeout
    capture["overallTimeout"] = 9
    answered()  # voice
    say["voiceProfile"] = "en-US-Jenny"
    answered()  # control character
    capture["promptMessage"] = "Press one."
    answered()  # destination
    call["destination"] = "+6512345678"
    answered()  # source
    call["source"] = "+6512341234"
    answered()  # control character in the client's id
    request_of.fields["clientRequestId"] = "mine"
    answered()  # expired
    request_of.fields["validUntil"] = "2031-01-01T00:00:00Z"
    assert len(request_of.parse(*flow).actions) == 5
    assert found == [
        -1009, -1009, -1007, -1009, -1010, -1013, -1012, -1004, -1003, -1006, -1002, -1016, -1017, -1014, -1016, -1015,
    ]  # fmt: skip


def test_parsing_does_not_depend_on_what_came_before() -> None:
    body = json.dumps(
        {"callflow": [{"action": "makeCall", "params": {"source": 6512341234, "destination": 1}}]}
    ).encode()
    for _ in range(2):
        with pytest.raises(Exception, match="integer found") as caught:
            parse_callflow(body, RequestPolicy(), 0.0, "x")
        assert caught.value.status_code == -1009  # type: ignore[attr-defined]  # pytest cannot know the class by its text


@pytest.mark.parametrize(
    ("text", "valid"),
    [("riders_hq", True), ("8x8.Test-1&2", True), ("ab", False), ("a" * 51, False), ("a/b", False), ("né_é", False)],
)
def test_sub_account_ids_have_a_form(text: str, valid: bool) -> None:  # §1.1
    assert is_sub_account_id(text) is valid
