"""Voice OTP: a verification from its first call to its end, as a pure state machine, and its bodies (§11.5).

| state | right code | wrong code | five wrong codes | validity over | asked for again |
|---|---|---|---|---|---|
| WAITING | VERIFIED | WAITING | FAILED | EXPIRED | WAITING, code spoken again |
| VERIFIED, FAILED, EXPIRED | stays | stays | stays | stays | a new verification |

Asking again while WAITING keeps session and code, and the validity starts anew; with `resetSession` there is a new code
too, and no wrong tries. Asking again before the interval that the new request names is 1400 with HTTP 403. `attempt`
counts wrong codes. `code` is kept as text because the same one may have to be spoken again.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from callwright.callflow.plan import Callflow, HangUp, MakeCall, Say
from callwright.contract.otp_code import codes_match, spoken_text
from callwright.contract.otp_request import VerificationRequest
from callwright.contract.platform_errors import PlatformCode, platform_refusal
from callwright.contract.timestamps import iso_milliseconds
from callwright.errors import ContractError

MOST_ATTEMPTS = 5


class VerificationStatus(StrEnum):
    """`status` of a verification."""

    WAITING = "WAITING"
    VERIFIED = "VERIFIED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification as it stands; the functions below hand out the next one."""

    session_id: str
    sub_account_id: str
    destination: str
    "E.164 with +"
    code: str = field(repr=False)
    status: VerificationStatus
    attempt: int
    "wrong codes so far"
    expires_at: float
    "unix seconds"
    sent_at: float
    "when it was last asked for"
    resending_interval_seconds: int

    @property
    def retry_at(self) -> float:
        """Before this moment nobody may ask again; unix seconds."""
        return self.sent_at + self.resending_interval_seconds


def begin(request: VerificationRequest, sub_account_id: str, session_id: str, code: str, now: float) -> Verification:
    """A new verification; `session_id` is 32 hexadecimal digits, `code` fresh from `make_code`."""
    return Verification(
        session_id=session_id,
        sub_account_id=sub_account_id,
        destination=request.destination,
        code=code,
        status=VerificationStatus.WAITING,
        attempt=0,
        expires_at=now + request.code_validity_seconds,
        sent_at=now,
        resending_interval_seconds=request.resending_interval_seconds,
    )


def ask_again(current: Verification, request: VerificationRequest, new_code: str, now: float) -> Verification:
    """The WAITING verification of the same destination, asked for once more.

    `new_code` is used with `resetSession` only. ContractError 1400 with HTTP 403 when it is too early; ValueError when
    the verification is over, for then `begin` a new one.
    """
    current = at_moment(current, now)
    if current.status is not VerificationStatus.WAITING:
        raise ValueError(f"verification {current.session_id} is {current.status}")
    if now - current.sent_at < request.resending_interval_seconds:
        raise platform_refusal(PlatformCode.RESENT_TOO_EARLY)
    return replace(
        current,
        code=new_code if request.reset_session else current.code,
        attempt=0 if request.reset_session else current.attempt,
        expires_at=now + request.code_validity_seconds,
        sent_at=now,
        resending_interval_seconds=request.resending_interval_seconds,
    )


def at_moment(verification: Verification, now: float) -> Verification:
    """The verification at `now`: EXPIRED once its validity is over."""
    if verification.status is VerificationStatus.WAITING and now >= verification.expires_at:
        return replace(verification, status=VerificationStatus.EXPIRED)
    return verification


def check(verification: Verification, code: str | None, now: float) -> Verification:
    """The verification after a check with `code`; None only asks how it stands.

    Read, check and store in one transaction, or wrong codes that come at once count as one.
    """
    verification = at_moment(verification, now)
    if code is None or verification.status is not VerificationStatus.WAITING:
        return verification
    if codes_match(verification.code, code):
        return replace(verification, status=VerificationStatus.VERIFIED)
    attempt = verification.attempt + 1
    status = VerificationStatus.FAILED if attempt >= MOST_ATTEMPTS else VerificationStatus.WAITING
    return replace(verification, attempt=attempt, status=status)


def otp_callflow(
    verification: Verification, request: VerificationRequest, source: str, call_flow_request_id: str
) -> Callflow:
    """The call that speaks the code, not begun after it has expired; `source` is for requests that name none."""
    text = spoken_text(request.template, verification.code, request.brand)
    actions = (
        MakeCall(request.source or source, verification.destination),
        Say(text, request.voice_profile, request.speed, request.repetition),
        HangUp(),
    )
    return Callflow(actions, call_flow_request_id, valid_until=verification.expires_at)


def verification_body(verification: Verification) -> dict[str, object]:
    """HTTP 200 of asking and of checking, and what is posted to `callbackUrl`."""
    return {
        "sessionId": verification.session_id,
        "verifyUri": f"/api/v2/subaccounts/{verification.sub_account_id}/sessions/{verification.session_id}",
        "destination": verification.destination,
        "status": verification.status.value,
        "attempt": verification.attempt,
        "expiresAt": iso_milliseconds(verification.expires_at),
        "retryAfter": iso_milliseconds(verification.retry_at),
    }


def verification_not_found() -> ContractError:
    """1300 with HTTP 404, the same for an unknown verification and for somebody else's."""
    return platform_refusal(PlatformCode.NOT_FOUND)
