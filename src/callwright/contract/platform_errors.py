"""Errors in the platform's general form, `{code, message, errorId, timestamp}` (§11.3): log exports and Voice OTP."""

from enum import IntEnum

from callwright.contract.timestamps import iso_milliseconds
from callwright.errors import ContractError


class PlatformCode(IntEnum):
    """`code` of such an error."""

    INVALID_PARAMETER = 1000
    ILLEGAL_SUB_ACCOUNT = 1001
    INVALID_MSISDN = 1002
    INVALID_TEXT = 1004
    INVALID_SOURCE = 1005
    INVALID_COUNTRY = 1009
    UNAUTHORIZED = 1200
    FORBIDDEN = 1201
    NOT_FOUND = 1300
    RESENT_TOO_EARLY = 1400
    INTERNAL = 2000
    INVALID_JOB = 4018


_MEANINGS: dict[PlatformCode, tuple[int, str]] = {
    PlatformCode.INVALID_PARAMETER: (400, "Invalid parameter"),
    PlatformCode.ILLEGAL_SUB_ACCOUNT: (404, "Illegal SubAccountId"),
    PlatformCode.INVALID_MSISDN: (400, "Invalid MSISDN"),
    PlatformCode.INVALID_TEXT: (400, "Invalid Text"),
    PlatformCode.INVALID_SOURCE: (400, "Invalid Source"),
    PlatformCode.INVALID_COUNTRY: (400, "Invalid Country Code"),
    PlatformCode.UNAUTHORIZED: (401, "Unauthorized Access"),
    PlatformCode.FORBIDDEN: (403, "Access forbidden"),
    PlatformCode.NOT_FOUND: (404, "Not found"),
    PlatformCode.RESENT_TOO_EARLY: (403, "Resending interval violation"),
    PlatformCode.INTERNAL: (500, "Internal Error"),
    PlatformCode.INVALID_JOB: (404, "Invalid jobId"),
}
"""HTTP status and words."""

_CODES_BY_STATUS = {
    401: PlatformCode.UNAUTHORIZED,
    403: PlatformCode.FORBIDDEN,
    404: PlatformCode.NOT_FOUND,
    500: PlatformCode.INTERNAL,
}


def platform_refusal(code: PlatformCode, detail: str = "") -> ContractError:
    """The error that refuses with `code`; `detail` follows the documented words."""
    http_status, words = _MEANINGS[code]
    return ContractError(int(code), http_status, f"{words}. {detail}" if detail else words)


def invalid_parameter(detail: str) -> ContractError:
    """1000, with what is wrong: what `Fields` takes as its `refuse`."""
    return platform_refusal(PlatformCode.INVALID_PARAMETER, detail)


def platform_refused(error: ContractError, error_id: str, now: float) -> dict[str, object]:
    """The body; `error_id` is a UUID, `now` unix seconds.

    Errors raised elsewhere carry their HTTP status as their code; 401, 403, 404 and 500 get the platform's.
    """
    return {
        "code": int(_CODES_BY_STATUS.get(error.status_code, error.status_code)),
        "message": error.message,
        "errorId": error_id,
        "timestamp": iso_milliseconds(now),
    }
