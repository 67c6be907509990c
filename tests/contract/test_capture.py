"""The rules between digits and timeouts of sayAndCapture (§2.5, §13 rows 2 to 4)."""

from typing import Any

import pytest

from callwright.callflow.plan import SayAndCapture
from callwright.contract.policy import GUIDE_DEFAULTS, OAS_DEFAULTS, RequestPolicy

MIN = (-1003, 422, "Valid maxDigits required when minDigits provided")
CALLBACK = (-1004, 422, "DTMF callback url not provided")
OVERALL = (-1005, 422, "Valid overallTimeout is required when digitTimeout provided")
SHORT = (-1006, 422, "OverallTimeout should be greater than digitTimeout")
HASH = (-1008, 422, "Valid maxDigits is required when completeOnHash is false")

NULLABLE = "successMessage failureMessage completeOnHash minDigits maxDigits digitTimeout overallTimeout noOfTries"


@pytest.mark.parametrize(
    ("defaults", "digits", "timeout_ms", "tries"),
    [
        pytest.param(GUIDE_DEFAULTS, 25, 30_000, 3, id="§13 row 2 guide"),
        pytest.param(OAS_DEFAULTS, 1, 5_000, 1, id="§13 row 2 OAS"),
    ],
)
def test_what_is_not_said_is_filled_in(
    request_of: Any, defaults: Any, digits: int, timeout_ms: int, tries: int
) -> None:
    request_of.policy = RequestPolicy(capture=defaults)
    nulls = dict.fromkeys(NULLABLE.split())
    for params in ({}, nulls):
        assert request_of.parse(request_of.call(), request_of.capture(**params)).actions[1] == SayAndCapture(
            "Press one.",
            "en-US-BenjaminRUS",
            complete_on_hash=True,
            max_digits=digits,
            overall_timeout_ms=timeout_ms,
            no_of_tries=tries,
        )


def test_the_guide_is_the_default() -> None:
    assert RequestPolicy().capture == GUIDE_DEFAULTS


def test_everything_said_is_read(request_of: Any) -> None:
    params = {
        "speed": 1.5,
        "successMessage": "Thank you.",
        "failureMessage": "Sorry.",
        "completeOnHash": False,
        "minDigits": 2,
        "maxDigits": 4,
        "digitTimeout": 5000,
        "overallTimeout": 20000,
        "noOfTries": 5,
        "repetition": "any",  # §2.5: not a param of this action, tolerated
    }
    assert request_of.parse(request_of.call(), request_of.capture(**params)).actions[1] == SayAndCapture(
        prompt_message="Press one.",
        voice_profile="en-US-BenjaminRUS",
        speed=1.5,
        success_message="Thank you.",
        failure_message="Sorry.",
        complete_on_hash=False,
        min_digits=2,
        max_digits=4,
        digit_timeout_ms=5000,
        overall_timeout_ms=20000,
        no_of_tries=5,
    )


def test_blank_messages_are_none(request_of: Any) -> None:
    action = request_of.parse(request_of.call(), request_of.capture(successMessage="", failureMessage=" ")).actions[1]
    assert (action.success_message, action.failure_message) == (None, None)


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"minDigits": 4, "maxDigits": 4}, id="exactly four digits"),
        pytest.param({"completeOnHash": False, "maxDigits": 1}, id="§2.5 fewest"),
        pytest.param({"completeOnHash": False, "maxDigits": 25}, id="§2.5 most"),
        pytest.param({"digitTimeout": 10000, "overallTimeout": 10000}, id="§13 row 3 equal timeouts"),
        pytest.param({"digitTimeout": 9999, "overallTimeout": 10000}, id="§13 row 3 less"),
        pytest.param({"digitTimeout": 5000}, id="§13 row 4 lenient"),
        pytest.param({"digitTimeout": None, "overallTimeout": 1000}, id="overallTimeout alone"),
    ],
)
def test_fitting_values_are_accepted(request_of: Any, params: dict[str, object]) -> None:
    assert isinstance(request_of.parse(request_of.call(), request_of.capture(**params)).actions[1], SayAndCapture)


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        pytest.param({"minDigits": 1}, MIN, id="-1003 no maxDigits"),
        pytest.param({"minDigits": 1, "maxDigits": None}, MIN, id="-1003 null maxDigits"),
        pytest.param({"minDigits": 1, "maxDigits": 0}, MIN, id="-1003 maxDigits 0"),
        pytest.param({"minDigits": 1, "maxDigits": 26}, MIN, id="-1003 maxDigits 26"),
        pytest.param({"minDigits": 5, "maxDigits": 4}, MIN, id="-1003 maxDigits below minDigits"),
        pytest.param({"completeOnHash": False}, HASH, id="-1008 no maxDigits"),
        pytest.param({"completeOnHash": False, "maxDigits": 0}, HASH, id="-1008 maxDigits 0"),
        pytest.param({"completeOnHash": False, "maxDigits": -1}, HASH, id="-1008 maxDigits -1"),
        pytest.param({"completeOnHash": False, "maxDigits": 26}, HASH, id="-1008 maxDigits 26"),
        pytest.param({"completeOnHash": False, "minDigits": 1}, MIN, id="-1003 before -1008"),
        pytest.param({"digitTimeout": 5000, "overallTimeout": 0}, OVERALL, id="-1005 overallTimeout 0"),
        pytest.param({"digitTimeout": 5000, "overallTimeout": -1}, OVERALL, id="-1005 overallTimeout -1"),
        pytest.param({"digitTimeout": 10001, "overallTimeout": 10000}, SHORT, id="-1006"),
        pytest.param({"digitTimeout": 30001}, SHORT, id="-1006 over the default"),
        pytest.param({"completeOnHash": False, "digitTimeout": 2, "overallTimeout": 1}, HASH, id="-1008 before -1006"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    request_of: Any, params: dict[str, object], refusal: tuple[int, int, str]
) -> None:
    assert request_of.refused(request_of.call(), request_of.capture(**params)) == refusal


def test_strict_mode_wants_an_overall_timeout(request_of: Any) -> None:  # §13 row 4
    request_of.policy = RequestPolicy(strict_digit_timeout=True)
    assert request_of.refused(request_of.call(), request_of.capture(digitTimeout=5000)) == OVERALL
    assert request_of.parse(request_of.call(), request_of.capture(digitTimeout=5000, overallTimeout=9000)).actions
    assert request_of.parse(request_of.call(), request_of.capture()).actions


def test_digits_need_somewhere_to_go(request_of: Any) -> None:  # §2.1 rule 6
    request_of.policy = RequestPolicy(has_call_action_webhook=False)
    assert request_of.refused(request_of.call(), request_of.capture()) == CALLBACK
    assert request_of.parse(request_of.call(), request_of.say()).actions
