"""Every error callwright raises on purpose, in one tree.

    CallwrightError
    ├── SettingsError            a flag, variable or file is wrong; the text says which and what to do
    ├── ContractError            the customer's request is wrong (HTTP status and contract statusCode)
    ├── SipSyntaxError           bytes that are not a SIP message, or that break a limit (RFC 3261 §25)
    │   └── BrokenRequest        ... yet a request that can be answered; carries it (sip/parse.py)
    ├── SdpError                 a session description that cannot be read or answered (RFC 8866, 3264)
    ├── RtpError                 bytes that are not RTP or RTCP (RFC 3550)
    ├── DigestError              a challenge that cannot be answered (RFC 7616)
    ├── PromptError              something that should be heard cannot be made; carries its contract errorCode
    │   ├── SpeechFailed         -2005
    │   │   └── SpeechUnavailable ... because a speech service as a whole is away or refuses us
    │   └── FileFailed           -2006
    ├── EgressError              an outside URL did not answer as needed
    │   └── EgressRefused        ... because callwright will not go there (address, scheme, redirect)
    ├── PushFailed               a recording cannot be put where its sub-account wants it; later it may
    ├── StorageError             the database did not do it
    │   ├── StorageUnavailable   ... because it is away, locked or full; try again later
    │   ├── KeyTaken             ... because another request with the same Idempotency-Key was faster
    │   └── AlreadyTried         ... because another node has written that try of a webhook
    └── TelephonyError           no trunk, no port, media process gone
        └── TrunksFull           ... because the trunks take no more calls now

What a phone does (busy, no answer, hung up) is an event and an outcome, never an exception.
"""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Why a session ended badly: `errorDetails.errorCode` of the session summary (contract §4)."""

    INTERNAL = -2001
    CONNECTIVITY = -2002
    CALLFLOW_INVALID = -2003
    NO_COVERAGE = -2004
    SPEECH_FAILED = -2005
    FILE_FAILED = -2006
    VALIDITY_EXPIRED = -2007
    SOURCE_NOT_ALLOWED = -2008
    SCENARIO_INVALID = -2009
    TRUNK_CAPACITY = -2010
    UNKNOWN = -9999


class CallwrightError(Exception):
    """The root: catch it to catch whatever callwright raises on purpose."""


class SettingsError(CallwrightError):
    """A setting is wrong. The text names it, says what is wrong and what to do."""


class ContractError(CallwrightError):
    """A customer's request is refused before anything was done.

    `status_code` is the contract's (§3), `http_status` follows §13 row 10, `message` is the text on the wire;
    `retry_after_seconds` is said to a client that may come back then.
    """

    def __init__(
        self, status_code: int, http_status: int, message: str, *, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.http_status = http_status
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class SipSyntaxError(CallwrightError):
    """Bytes that are not a SIP message. `status` is what a server may answer: 400, 413, 505 ... (RFC 3261 §21.4)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class SdpError(CallwrightError):
    """A session description that cannot be read, or an offer that shares nothing with us (answer 488)."""


class RtpError(CallwrightError):
    """Bytes that are not RTP or RTCP."""


class DigestError(CallwrightError):
    """A digest challenge that we cannot or must not answer."""


class PromptError(CallwrightError):
    """Something that should be heard cannot be made."""

    code = ErrorCode.INTERNAL


class SpeechFailed(PromptError):
    """Text could not be spoken."""

    code = ErrorCode.SPEECH_FAILED


class SpeechUnavailable(SpeechFailed):
    """A speech service does not answer, is overloaded or refuses its key: other texts would fail there too."""


class FileFailed(PromptError):
    """A `fileUrl` could not be fetched or decoded."""

    code = ErrorCode.FILE_FAILED


class EgressError(CallwrightError):
    """An outside URL did not answer as needed: no connection, too slow, too large, wrong status."""


class EgressRefused(EgressError):
    """callwright will not go there: a forbidden address, scheme, port or redirect."""


class PushFailed(CallwrightError):
    """A recording cannot be put where its sub-account wants it. The text is shown to the sub-account."""


class StorageError(CallwrightError):
    """The database refused or failed."""


class StorageUnavailable(StorageError):
    """The database is away, locked or full; nothing was written, trying later may work."""


class KeyTaken(StorageError):
    """Another request with the same Idempotency-Key was taken a moment ago; nothing was written for this one."""


class AlreadyTried(StorageError):
    """Another node sent a webhook too and was faster to write its try down; nothing was written for this one."""


class TelephonyError(CallwrightError):
    """A leg cannot be set up or carried: no trunk, no free RTP port, media process gone."""


class TrunksFull(TelephonyError):
    """No trunk has room for a call now: its limits are reached, or it asked for quiet (Retry-After)."""
