"""A verification from its first call to its end (§11.5)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.callflow.plan import HangUp, MakeCall, Say
from callwright.contract.otp_request import VerificationRequest, parse_verification
from callwright.contract.otp_session import (
    MOST_ATTEMPTS,
    Verification,
    VerificationStatus,
    ask_again,
    at_moment,
    begin,
    check,
    otp_callflow,
    verification_body,
    verification_not_found,
)
from callwright.errors import ContractError

NOW = 1_719_986_400.0
SESSION = "a44a91be5ea5ea118169020897df5459"
REQUEST: VerificationRequest = parse_verification(
    b'{"destination":"+6598765432","channel":"call","codeValidity":60,"resendingInterval":20,"brand":"ABC"}'
)
RESET = replace(REQUEST, reset_session=True)
STATUSES = VerificationStatus


def begun() -> Verification:
    return begin(REQUEST, "riders_hq", SESSION, "4719", NOW)


def test_a_verification_is_written_field_by_field() -> None:
    assert verification_body(begun()) == {
        "sessionId": SESSION,
        "verifyUri": f"/api/v2/subaccounts/riders_hq/sessions/{SESSION}",
        "destination": "+6598765432",
        "status": "WAITING",
        "attempt": 0,
        "expiresAt": "2024-07-03T06:01:00.000Z",
        "retryAfter": "2024-07-03T06:00:20.000Z",
    }


def test_the_code_is_not_shown() -> None:
    assert "4719" not in repr(begun())
    assert "4719" not in str(verification_body(begun()))


@pytest.mark.parametrize(
    ("code", "after_seconds", "status", "attempt"),
    [
        pytest.param(None, 0, STATUSES.WAITING, 0, id="only asked"),
        pytest.param("4719", 0, STATUSES.VERIFIED, 0, id="right"),
        pytest.param("4718", 0, STATUSES.WAITING, 1, id="wrong"),
        pytest.param("4719", 59.999, STATUSES.VERIFIED, 0, id="right at last"),
        pytest.param("4719", 60, STATUSES.EXPIRED, 0, id="right too late"),
        pytest.param("4718", 60, STATUSES.EXPIRED, 0, id="wrong too late"),
        pytest.param(None, 60, STATUSES.EXPIRED, 0, id="only asked too late"),
    ],
)
def test_a_check_is_judged(code: str | None, after_seconds: float, status: VerificationStatus, attempt: int) -> None:
    checked = check(begun(), code, NOW + after_seconds)
    assert (checked.status, checked.attempt) == (status, attempt)


def test_five_wrong_codes_fail() -> None:
    verification = begun()
    for attempt in range(1, MOST_ATTEMPTS):
        verification = check(verification, "0000", NOW)
        assert (verification.status, verification.attempt) == (STATUSES.WAITING, attempt)
    assert check(verification, "4719", NOW).status is STATUSES.VERIFIED
    verification = check(verification, "0000", NOW)
    assert (verification.status, verification.attempt) == (STATUSES.FAILED, 5)


@pytest.mark.parametrize("status", [STATUSES.VERIFIED, STATUSES.FAILED, STATUSES.EXPIRED])
@pytest.mark.parametrize("code", [None, "4719", "0000"])
@pytest.mark.parametrize("after_seconds", [0, 3600])
def test_an_end_is_final(status: VerificationStatus, code: str | None, after_seconds: float) -> None:
    over = replace(begun(), status=status)
    assert check(over, code, NOW + after_seconds) == over
    with pytest.raises(ValueError, match=status.value):
        ask_again(over, REQUEST, "5555", NOW + after_seconds)


def test_asking_again_keeps_the_code_and_the_tries() -> None:
    tried = check(begun(), "0000", NOW + 5)
    again = ask_again(tried, REQUEST, "5555", NOW + 20)
    assert again == replace(tried, expires_at=NOW + 80, sent_at=NOW + 20)
    assert (again.code, again.attempt, again.retry_at) == ("4719", 1, NOW + 40)


def test_a_reset_makes_a_new_code_and_forgets_the_tries() -> None:
    again = ask_again(check(begun(), "0000", NOW + 5), RESET, "5555", NOW + 20)
    assert (again.session_id, again.code, again.attempt) == (SESSION, "5555", 0)
    assert check(again, "4719", NOW + 21).status is STATUSES.WAITING
    assert check(again, "5555", NOW + 21).status is STATUSES.VERIFIED


@pytest.mark.parametrize("request_again", [REQUEST, RESET])
def test_asking_too_early_is_refused(request_again: VerificationRequest) -> None:
    with pytest.raises(ContractError) as caught:
        ask_again(begun(), request_again, "5555", NOW + 19.9)
    assert (caught.value.status_code, caught.value.http_status) == (1400, 403)


def test_the_new_requests_interval_counts() -> None:
    assert ask_again(begun(), replace(REQUEST, resending_interval_seconds=10), "5555", NOW + 10).sent_at == NOW + 10


def test_an_expired_verification_is_begun_anew() -> None:
    with pytest.raises(ValueError, match="EXPIRED"):
        ask_again(begun(), REQUEST, "5555", NOW + 60)
    assert at_moment(begun(), NOW + 60).status is STATUSES.EXPIRED


def test_the_call_speaks_the_code_while_it_is_valid() -> None:
    flow = otp_callflow(begun(), REQUEST, "+6512345678", "f-1")
    assert flow.actions == (
        MakeCall("+6512345678", "+6598765432"),
        Say("ABC: Your verification code is 4, 7, 1, 9", REQUEST.voice_profile, 0.8, 2),
        HangUp(),
    )
    assert (flow.valid_until, flow.call_flow_request_id) == (NOW + 60, "f-1")
    own = otp_callflow(begun(), replace(REQUEST, source="+6587654321"), "+6512345678", "f-1")
    assert own.actions[0] == MakeCall("+6587654321", "+6598765432")


def test_an_unknown_verification_is_1300() -> None:
    error = verification_not_found()
    assert (error.status_code, error.http_status) == (1300, 404)


STEPS = st.lists(
    st.tuples(st.sampled_from(["check", "ask"]), st.sampled_from([None, "4719", "0000", "5555"]), st.integers(0, 40)),
    max_size=12,
)


@given(STEPS)
def test_whatever_happens_the_rules_hold(steps: list[tuple[str, str | None, int]]) -> None:
    verification, now = begun(), NOW
    for step, code, seconds in steps:
        now += seconds
        before = verification
        if step == "check":
            verification = check(before, code, now)
        else:
            try:
                verification = ask_again(before, RESET, "5555", now)
            except (ValueError, ContractError):
                verification = at_moment(before, now)
        assert 0 <= verification.attempt <= MOST_ATTEMPTS
        assert (verification.attempt == MOST_ATTEMPTS) == (verification.status is STATUSES.FAILED)
        if before.status is not STATUSES.WAITING:
            assert verification == before
        if verification.status is STATUSES.WAITING:
            assert now < verification.expires_at
