"""Replies of a VCA webhook (§7.2, §7.4), form by form."""

import json
from dataclasses import replace
from typing import Any

import pytest

from callwright.callflow.plan import HangUp, MakeCall, PlayFile, Say, SayAndCapture
from callwright.contract.policy import RequestPolicy
from callwright.contract.reply import Reply, parse_reply
from callwright.errors import ContractError

NOW = 1_719_986_400.0
PLAIN = RequestPolicy()
BRIDGE = b"""{"clientActionId":"ivr1_level2",
 "callflow":[{"action":"makeCall","params":{"source":"6512345678","destination":"6587654321","callRecording":true}}]}"""


def replied(body: bytes, policy: RequestPolicy = PLAIN) -> Reply:
    return parse_reply(body, policy, NOW, "f-2")


def refused(body: bytes, policy: RequestPolicy = PLAIN) -> tuple[int, int, str]:
    with pytest.raises(ContractError) as caught:
        replied(body, policy)
    return caught.value.status_code, caught.value.http_status, caught.value.message


def flow(*actions: object, **fields: object) -> bytes:
    return json.dumps({"callflow": list(actions)} | fields).encode()


def test_the_published_reply_is_read() -> None:  # §7.2
    reply = replied(BRIDGE)
    assert reply.client_action_id == "ivr1_level2"
    assert reply.callflow is not None
    assert reply.callflow.actions == (MakeCall("+6512345678", "+6587654321", call_recording=True),)
    assert reply.callflow.call_flow_request_id == "f-2"
    assert reply.callflow.client_action_id == "ivr1_level2"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{}", id="§7.4 {}"),
        pytest.param(b' {"callflow":[]} ', id="§7.4 empty flow"),
        pytest.param(b'{"status":"ignored"}', id="§7.4 ignored"),
        pytest.param(b'{"callflow":null}', id="null is not given"),
        pytest.param(b'{"callflow":[],"clientActionId":null}', id="null id"),
    ],
)
def test_a_reply_may_ask_for_nothing(body: bytes) -> None:
    assert replied(body) == Reply(None, None)


def test_a_reply_may_only_name_its_state() -> None:
    assert replied(b'{"clientActionId":"level1"}') == Reply(None, "level1")


def test_each_action_may_come_first(request_of: Any) -> None:  # §2.1 rule 7
    firsts = [
        (request_of.say(), Say),
        (request_of.play(), PlayFile),
        (request_of.capture(), SayAndCapture),
        (request_of.call(), MakeCall),
        ({"action": "hangup"}, HangUp),
    ]
    for action, kind in firsts:
        reply = replied(flow(action))
        assert reply.callflow is not None
        assert [type(each) for each in reply.callflow.actions] == [kind]


def test_actions_are_combined(request_of: Any) -> None:  # §7.2 say + hangup
    reply = replied(flow(request_of.say(), {"action": "hangup"}))
    assert reply.callflow is not None
    assert [type(each) for each in reply.callflow.actions] == [Say, HangUp]


def test_a_call_may_follow_a_text(request_of: Any) -> None:
    reply = replied(flow(request_of.say(), request_of.call()))
    assert reply.callflow is not None
    assert isinstance(reply.callflow.actions[1], MakeCall)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param(b"", (-1001, 400, "Invalid JSON request body"), id="empty body"),
        pytest.param(b"ok", (-1001, 400, "Invalid JSON request body"), id="bad JSON"),
        pytest.param(b"<html></html>", (-1001, 400, "Invalid JSON request body"), id="a page"),
        pytest.param(b" " * 300_000, (-1001, 413, "Invalid JSON request body"), id="too large"),
        pytest.param(
            b"[]", (-1009, 400, "Invalid call flow entry provided. $: array found, object expected"), id="an array"
        ),
        pytest.param(
            b'"ok"', (-1009, 400, "Invalid call flow entry provided. $: string found, object expected"), id="a text"
        ),
        pytest.param(
            b'{"callflow":{}}',
            (-1009, 400, "Invalid call flow entry provided. $.callflow: object found, array expected"),
            id="a flow that is no array",
        ),
        pytest.param(
            b'{"callflow":false}',
            (-1009, 400, "Invalid call flow entry provided. $.callflow: boolean found, array expected"),
            id="false is not nothing",
        ),
        pytest.param(
            b'{"callflow":[{"action":"say&capture","params":{}}]}',
            (-1007, 400, "$.callflow[0].action should be one of: say,playFile,sayAndCapture,makeCall,hangup"),
            id="-1007",
        ),
        pytest.param(
            b'{"clientActionId":7}',
            (-1009, 400, "Invalid call flow entry provided. $.clientActionId: integer found, string expected"),
            id="an id that is no text",
        ),
        pytest.param(
            b'{"clientActionId":"a\\u0000b"}',
            (-1016, 422, "Invalid Callflow Content: Some special characters are invalid/unaccepted"),
            id="-1016 in the id, nothing to do",
        ),
        pytest.param(
            b'{"clientActionId":"a\\u0000b","callflow":[{"action":"hangup"}]}',
            (-1016, 422, "Invalid Callflow Content: Some special characters are invalid/unaccepted"),
            id="-1016 in the id",
        ),
        pytest.param(
            b'{"callflow":[{"action":"hangup"},{"action":"hangup"}]}',
            (-1012, 422, "Invalid Callflow : Incorrect use of action Hangup"),
            id="-1012",
        ),
        pytest.param(
            b'{"callflow":[{"action":"hangup"}],"validUntil":"2024-07-03T05:59:59Z"}',
            (-1015, 422, "The validity period of the call flow request has expired"),
            id="-1015",
        ),
    ],
)
def test_a_bad_reply_is_refused(body: bytes, refusal: tuple[int, int, str]) -> None:
    assert refused(body) == refusal


def test_a_reply_dials_one_number_only(request_of: Any) -> None:
    words = "Some actions are provided beyond the allowed count"
    assert refused(flow(request_of.call(), request_of.call())) == (-1010, 422, words)


def test_a_replys_source_is_checked() -> None:
    virtual = RequestPolicy(caller_ids=frozenset({"+6512345678"}))
    assert replied(BRIDGE, virtual).callflow is not None
    assert refused(BRIDGE, replace(virtual, caller_ids=frozenset()))[0] == -1014
