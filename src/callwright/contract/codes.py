"""The contract's numbers and their words: status codes of answers (§3) and error codes of sessions (§4).

HTTP statuses follow §13 row 10: 400 for requests of a wrong shape, 422 for well-formed requests that make no sense, 500
for what is our fault.
"""

from enum import IntEnum

from callwright.errors import ContractError, ErrorCode


class StatusCode(IntEnum):
    """`statusCode` of an answer to a callflow request."""

    CREATED = 1
    INVALID_JSON = -1001
    VOICE_INVALID = -1002
    MAX_DIGITS_WITH_MIN_DIGITS = -1003
    NO_DTMF_CALLBACK = -1004
    OVERALL_TIMEOUT_MISSING = -1005
    OVERALL_TIMEOUT_TOO_SHORT = -1006
    ACTION_UNKNOWN = -1007
    MAX_DIGITS_WITHOUT_HASH = -1008
    ENTRY_INVALID = -1009
    TOO_MANY_ACTIONS = -1010
    MANY_DESTINATIONS = -1011
    HANGUP_MISUSED = -1012
    FIRST_ACTION_NOT_MAKE_CALL = -1013
    SOURCE_NOT_ALLOWED = -1014
    EXPIRED = -1015
    CHARACTERS_INVALID = -1016
    DESTINATION_INVALID = -1017
    SCENARIO_NOT_ALONE = -1018
    SCENARIO_NAME_EMPTY = -1019
    SCENARIO_INVALID = -1020
    UNKNOWN = -9999


STATUS_MESSAGES = {
    StatusCode.CREATED: "Created",
    StatusCode.INVALID_JSON: "Invalid JSON request body",
    StatusCode.VOICE_INVALID: "Speech profile or language parameter invalid",
    StatusCode.MAX_DIGITS_WITH_MIN_DIGITS: "Valid maxDigits required when minDigits provided",
    StatusCode.NO_DTMF_CALLBACK: "DTMF callback url not provided",
    StatusCode.OVERALL_TIMEOUT_MISSING: "Valid overallTimeout is required when digitTimeout provided",
    StatusCode.OVERALL_TIMEOUT_TOO_SHORT: "OverallTimeout should be greater than digitTimeout",
    StatusCode.ACTION_UNKNOWN: "{} should be one of: say,playFile,sayAndCapture,makeCall,hangup",
    StatusCode.MAX_DIGITS_WITHOUT_HASH: "Valid maxDigits is required when completeOnHash is false",
    StatusCode.ENTRY_INVALID: "Invalid call flow entry provided. {}",
    StatusCode.TOO_MANY_ACTIONS: "Some actions are provided beyond the allowed count",
    StatusCode.MANY_DESTINATIONS: "Multiple destination phone numbers found in the request",
    StatusCode.HANGUP_MISUSED: "Invalid Callflow : Incorrect use of action Hangup",
    StatusCode.FIRST_ACTION_NOT_MAKE_CALL: "Invalid Callflow : First action should be a MakeCall action",
    StatusCode.SOURCE_NOT_ALLOWED: "Source or caller ID is not allowed",
    StatusCode.EXPIRED: "The validity period of the call flow request has expired",
    StatusCode.CHARACTERS_INVALID: "Invalid Callflow Content: Some special characters are invalid/unaccepted",
    StatusCode.DESTINATION_INVALID: "Invalid MSISDN format in Destination",
    StatusCode.SCENARIO_NOT_ALONE: (
        "Invalid Callflow: Execute Scenario cannot be processed together with other actions"
    ),
    StatusCode.SCENARIO_NAME_EMPTY: "Invalid Callflow Content: scenarioName is null or empty",
    StatusCode.SCENARIO_INVALID: (
        "Invalid Callflow: Invalid scenarioName or the account doesn't have permission to execute this scenario"
    ),
    StatusCode.UNKNOWN: "An unknown error has occurred.",
}
"""Texts on the wire; `{}` takes the JSON path or the detail."""

ERROR_MESSAGES = {
    ErrorCode.INTERNAL: "An internal error has occurred",
    ErrorCode.CONNECTIVITY: "An internal connectivity error has occurred",
    ErrorCode.CALLFLOW_INVALID: "The call flow provided is invalid",
    ErrorCode.NO_COVERAGE: "No coverage available for requested area",
    ErrorCode.SPEECH_FAILED: "Unable to synthesize text to speech",
    ErrorCode.FILE_FAILED: "Unable to download file for playback",
    ErrorCode.VALIDITY_EXPIRED: "The validity period of the call flow request has expired",
    ErrorCode.SOURCE_NOT_ALLOWED: "The provided source MSISDN or caller ID is not whitelisted",
    ErrorCode.SCENARIO_INVALID: "The scenario parameters provided is invalid",
    ErrorCode.TRUNK_CAPACITY: "The trunk capacity has been exceeded",
    ErrorCode.UNKNOWN: "An unknown error has occurred",
}
"""`errorMsg` of a session's `errorDetails`."""

_SHAPE_CODES = {StatusCode.INVALID_JSON, StatusCode.ACTION_UNKNOWN, StatusCode.ENTRY_INVALID}


def refusal(code: StatusCode, detail: str = "") -> ContractError:
    """The error that refuses a request with `code`; `detail` fills the text's gap where it has one."""
    http_status = 400 if code in _SHAPE_CODES else 500 if code is StatusCode.UNKNOWN else 422
    return ContractError(int(code), http_status, STATUS_MESSAGES[code].format(detail))


def entry_refusal(detail: str) -> ContractError:
    """-1009 with its detail, such as `$.callflow[0].params.text: is missing but it is required`."""
    return refusal(StatusCode.ENTRY_INVALID, detail)
