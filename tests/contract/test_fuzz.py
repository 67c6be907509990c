"""Whatever a customer sends, the answer is a callflow or a ContractError with a documented status, never a crash."""

import json
import string

from hypothesis import example, given
from hypothesis import strategies as st

from callwright.callflow.plan import Callflow
from callwright.contract.answers import not_created, webhook_refused
from callwright.contract.codes import STATUS_MESSAGES, StatusCode
from callwright.contract.json_text import parse_json, serialize
from callwright.contract.policy import OAS_DEFAULTS, RequestPolicy
from callwright.contract.request import parse_callflow
from callwright.contract.webhook_config import WebhookConfig, parse_webhook
from callwright.errors import ContractError

POLICIES = st.builds(
    RequestPolicy,
    caller_ids=st.sampled_from([None, frozenset(), frozenset({"+6512341234"})]),
    capture=st.sampled_from([RequestPolicy().capture, OAS_DEFAULTS]),
    strict_digit_timeout=st.booleans(),
    coerce_numbers=st.booleans(),
    has_call_action_webhook=st.booleans(),
    most_actions=st.integers(1, 60),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 40)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "+6512345678",
            "+6512341234",
            "6512345678,6512345679",
            "en-US-Jenny",
            "en-US",
            "https://example.com/a.mp3",
            "2031-01-01T00:00:00Z",
            "\x00",
        ]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(
    [
        "source",
        "destination",
        "callRecording",
        "text",
        "voiceProfile",
        "language",
        "speed",
        "repetition",
        "fileUrl",
        "promptMessage",
        "successMessage",
        "failureMessage",
        "completeOnHash",
        "minDigits",
        "maxDigits",
        "digitTimeout",
        "overallTimeout",
        "noOfTries",
        "scenarioName",
    ]
)
ACTIONS = st.sampled_from(["makeCall", "say", "playFile", "sayAndCapture", "hangup", "executeScenario"])
ENTRIES = VALUES | st.fixed_dictionaries(
    {"action": ACTIONS | VALUES}, optional={"params": st.dictionaries(NAMES, SCALARS | VALUES) | VALUES}
)
# Requests near enough to right ones that every step of the checks is reached.
REQUESTS = st.fixed_dictionaries(
    {"callflow": st.lists(ENTRIES, max_size=5) | VALUES},
    optional={"validUntil": VALUES, "clientRequestId": VALUES, "clientActionId": VALUES},
)


def outcome_of(body: bytes, policy: RequestPolicy) -> Callflow | ContractError:
    try:
        return parse_callflow(body, policy, 1_700_000_000.0, "id")
    except ContractError as error:
        return error


def webhook_outcome_of(body: bytes) -> WebhookConfig | ContractError:
    try:
        return parse_webhook(body)
    except ContractError as error:
        return error


def judged(body: bytes, policy: RequestPolicy) -> None:
    outcome = outcome_of(body, policy)
    if isinstance(outcome, Callflow):
        assert outcome.actions
        return
    assert StatusCode(outcome.status_code) in STATUS_MESSAGES
    assert outcome.http_status in {400, 413, 422}
    assert json.loads(serialize(not_created(outcome, "id")))["statusCode"] == outcome.status_code


@given(st.binary(max_size=400), POLICIES)
@example(b"\xff\xfe", RequestPolicy())
@example(b'{"a":1e999}', RequestPolicy())
def test_any_bytes_are_judged(body: bytes, policy: RequestPolicy) -> None:
    judged(body, policy)


@given(VALUES, POLICIES)
def test_any_json_is_judged(value: object, policy: RequestPolicy) -> None:
    judged(json.dumps(value).encode(), policy)


@given(REQUESTS, POLICIES)
def test_any_request_is_judged(request: object, policy: RequestPolicy) -> None:
    judged(json.dumps(request).encode(), policy)


@given(st.text(alphabet='[]{}",:\\u0dD89a1.eE-+ \n' + string.ascii_letters, max_size=200))
def test_any_nearly_json_is_judged(text: str) -> None:
    judged(text.encode(), RequestPolicy())


@given(st.sampled_from(list(range(0, 262_144, 4096))), st.sampled_from([b"[", b'{"a":', b'"', b'\\"', b"[]", b"]"]))
def test_long_runs_of_one_thing_are_judged(length: int, piece: bytes) -> None:
    judged((piece * length)[: 256 * 1024], RequestPolicy())


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    try:
        written = serialize(value)
    except (ValueError, UnicodeEncodeError):
        return  # infinities and lone surrogates are no JSON
    assert parse_json(written) == value


@given(st.binary(max_size=200) | REQUESTS.map(lambda value: json.dumps(value).encode()))
def test_any_webhook_body_is_judged(body: bytes) -> None:
    outcome = webhook_outcome_of(body)
    if isinstance(outcome, ContractError):
        assert (outcome.status_code, outcome.http_status) == (1001, 422)
        assert serialize(webhook_refused(outcome, "id", 0.0))
