"""Whatever arrives, every parser of this room hands out its value or a ContractError, and nothing else."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.contract.json_text import serialize
from callwright.contract.log_export import parse_export_request
from callwright.contract.old_shapes import parse_old_call
from callwright.contract.otp_request import parse_check, parse_verification
from callwright.contract.platform_errors import platform_refused
from callwright.contract.policy import RequestPolicy
from callwright.contract.problems import problem_of
from callwright.contract.recordings import (
    external_file_url,
    parse_push_config,
    push_config,
    recording_path,
    s3_target,
)
from callwright.contract.reply import parse_reply
from callwright.contract.request import parse_callflow
from callwright.contract.session_list import parse_session_query, session_page
from callwright.contract.virtual_numbers import read_number
from callwright.contract.webhook_config import parse_webhook
from callwright.errors import ContractError

NOW = 1_719_986_400.0
POLICIES = (
    RequestPolicy(),
    RequestPolicy(caller_ids=frozenset({"+6512341234"}), coerce_numbers=True, accept_old_shapes=True),
)


def replies(body: bytes, policy: RequestPolicy) -> object:
    return parse_reply(body, policy, NOW, "f-1")


def old_calls(body: bytes, policy: RequestPolicy) -> object:
    return parse_old_call(body, policy, NOW, "f-1")


def callflows(body: bytes, policy: RequestPolicy) -> object:
    return parse_callflow(body, policy, NOW, "f-1")


def push_configs(body: bytes, _: RequestPolicy) -> object:
    config = parse_push_config(body)
    if config.protocol == "S3":
        assert s3_target(config).bucket
    assert external_file_url(config, recording_path(config.path, "s-1", "r-1", NOW))
    return push_config("riders_hq", config)


def exports(body: bytes, _: RequestPolicy) -> object:
    return parse_export_request(body, NOW)


def verifications(body: bytes, policy: RequestPolicy) -> object:
    return parse_verification(body, policy.caller_ids)


def webhooks(body: bytes, _: RequestPolicy) -> object:
    return parse_webhook(body)


PARSERS = [replies, old_calls, callflows, push_configs, exports, verifications, webhooks]
WORDS = st.sampled_from(
    [
        *("+6512345678", "+6512341234", "6598765432", "87654321", "SG", "en-US", "en-US-Jenny", "call", "S3", "SFTP"),
        *(
            "LOCAL",
            "https://example.com/a",
            "http://192.0.2.7:9000",
            "ap-southeast-2",
            "bucket/a",
            "{code}",
            "2024-07-01",
        ),
        *(
            "2024-07-01T13:00:00+07:00",
            "0001-01-01",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31",
            "NUMERIC",
            "VSS",
            "\x00",
        ),
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(-3, 40) | st.floats(allow_nan=False) | st.text(max_size=12)
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("source", "destination", "text", "voiceProfile", "language", "speed", "repetition", "fileUrl"),
        *("promptMessage", "dtmfCallbackUrl", "endMessage", "minDigits", "maxDigits", "digitTimeout", "overallTimeout"),
        *("completeOnHash", "noOfTries"),
    ]
)
FIELDS = st.sampled_from(
    [
        *("protocol", "host", "port", "username", "password", "path", "from", "to", "limit", "destination", "country"),
        *("channel", "call", "brand", "codeLength", "codeValidity", "codeType", "template", "language", "resetSession"),
        *("resendingInterval", "callbackUrl", "clientIp", "type", "url", "enabled", "payloadVersion", "clientActionId"),
        *("clientRequestId", "validUntil"),
    ]
)
PARAMS = st.dictionaries(NAMES, SCALARS | WORDS)
ACTIONS = st.sampled_from(["makeCall", "say", "say&capture", "sayAndCapture", "playFile", "hangup", "executeScenario"])
ENTRIES = VALUES | st.fixed_dictionaries({"action": ACTIONS}, optional={"params": PARAMS | VALUES})
CALLS = st.dictionaries(st.sampled_from(["source", "speed", "repetition", "voiceProfile"]), SCALARS | WORDS)
BODIES = st.one_of(
    st.binary(max_size=80),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, WORDS | VALUES | CALLS).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"callflow": st.lists(ENTRIES, max_size=3) | VALUES}, optional={"validUntil": VALUES}).map(
        lambda value: json.dumps(value).encode()
    ),
)


def refusal_of(parse: Callable[[], object]) -> ContractError | None:
    """The ContractError, or None after a value that is not empty; anything else raised is a failure."""
    try:
        value = parse()
    except ContractError as error:
        return error
    assert value
    return None


@pytest.mark.parametrize("parser", PARSERS)
@given(body=BODIES, policy=st.sampled_from(POLICIES))
def test_any_body_is_judged(
    parser: Callable[[bytes, RequestPolicy], object], body: bytes, policy: RequestPolicy
) -> None:
    error = refusal_of(lambda: parser(body, policy))
    if error is not None:
        assert error.http_status in {400, 413, 422}
        assert json.loads(serialize(platform_refused(error, "id", NOW)))["message"] == error.message


VERIFICATION: dict[str, object] = {
    "destination": "+6598765432",
    "channel": "call",
    "country": "SG",
    "call": {"source": "6512341234"},
}
PUSH: dict[str, object] = {
    "protocol": "S3",
    "host": "s3.example.com",
    "port": 9,
    "username": "u",
    "password": "p",
    "path": "bucket/a",
}
EXPORT: dict[str, object] = {"from": "2024-06-01", "to": "2024-06-02T00:00:00Z", "limit": 5}


@pytest.mark.parametrize(("parser", "right"), [(verifications, VERIFICATION), (push_configs, PUSH), (exports, EXPORT)])
@given(data=st.data())
def test_a_right_body_with_one_field_changed_is_judged(
    parser: Callable[[bytes, RequestPolicy], object], right: dict[str, object], data: st.DataObject
) -> None:
    assert refusal_of(lambda: parser(json.dumps(right).encode(), POLICIES[0])) is None
    changed = right | {data.draw(st.sampled_from(sorted(right))): data.draw(VALUES | WORDS)}
    error = refusal_of(lambda: parser(json.dumps(changed).encode(), POLICIES[0]))
    assert error is None or error.http_status in {400, 422}


QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["status", "from", "to", "destination", "limit", "page", "code"]) | st.text(max_size=8),
        WORDS | st.text(max_size=30) | st.integers(-1, 300).map(str),
    ),
    max_size=4,
)


@given(QUERIES)
def test_any_query_is_judged(query: list[tuple[str, str]]) -> None:
    error = refusal_of(lambda: session_page("/sessions", parse_session_query(query), [], more=False))
    assert error is None or problem_of(error, "id")["status"] == 400
    error = refusal_of(lambda: [parse_check(query)])
    assert error is None or error.http_status == 400


@given(WORDS | st.text(max_size=20))
def test_any_number_in_a_path_is_judged(text: str) -> None:
    error = refusal_of(lambda: read_number(text))
    assert error is None or error.http_status == 404
