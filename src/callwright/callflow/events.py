"""What happens to a session. Telephony, speech and the customer cause events; `Session.handle` takes them one by one.

`at` is platform time everywhere: unix seconds that never jump (see telemetry/clock.py).
"""

from dataclasses import dataclass

from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.callflow.plan import Callflow
from callwright.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Started:
    """The session may begin; always its first event."""

    at: float


@dataclass(frozen=True, slots=True)
class Tick:
    """`Session.deadline` was reached and nothing else happened."""

    at: float


@dataclass(frozen=True, slots=True)
class Ringing:
    """The callee's phone rings (any 18x)."""

    at: float
    leg_id: str
    early_media: bool = False
    "the network plays something already (183 with a session description)"


@dataclass(frozen=True, slots=True)
class Answered:
    """The callee picked up (2xx)."""

    at: float
    leg_id: str
    codec: str
    "RTP encoding name of the codec agreed upon: PCMU, PCMA ..."


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """A dialled leg ended without an answer."""

    at: float
    leg_id: str
    status: CallStatus
    "BUSY, NO_ANSWER, CANCELED, FAILED, or ERROR when telephony itself could not dial"
    sip_code: int | None = None
    "the final SIP status, if one came or was made for a timeout (408) or a dead trunk (503)"
    reason: str = ""
    "words for people: the reason phrase, or what went wrong here"
    error: ErrorCode | None = None
    "set with ERROR"


@dataclass(frozen=True, slots=True)
class HungUp:
    """An answered leg is over and its signalling is done with."""

    at: float
    leg_id: str
    by: HungUpBy
    reason: str = ""
    quality: CallQuality | None = None
    "None when no RTP arrived"


@dataclass(frozen=True, slots=True)
class PromptReady:
    """Speech or file is ready to be played."""

    at: float
    prompt_id: str
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class PromptFailed:
    """Speech or file cannot be had."""

    at: float
    prompt_id: str
    error: ErrorCode
    "SPEECH_FAILED or FILE_FAILED"
    reason: str
    "words for the trace"


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first packet of a playback left."""

    at: float
    leg_id: str
    playback_id: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """A playback ended: its last packet's 20 ms are over, or it was stopped."""

    at: float
    leg_id: str
    playback_id: str
    completed: bool
    "False when it was stopped before its end"


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """A key was pressed on a leg (RFC 4733, in-band tone or SIP INFO; deduplicated)."""

    at: float
    leg_id: str
    digit: str
    "one of 0-9 * # A-D"


@dataclass(frozen=True, slots=True)
class NextFlow:
    """The customer's answer to AskNext."""

    at: float
    callflow: Callflow | None
    "None: nothing more to do, or nobody to ask"


@dataclass(frozen=True, slots=True)
class NextFlowFailed:
    """The customer could not be asked, or answered something that is no callflow (contract §7.4)."""

    at: float
    error: ErrorCode
    "CONNECTIVITY when there was no usable answer, CALLFLOW_INVALID or SOURCE_NOT_ALLOWED when it could not be used"
    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """End the session now: the operator or customer asked for it, or the platform stops."""

    at: float
    reason: str
    error: ErrorCode | None = None
    "INTERNAL when the platform gave up on the session; None when somebody asked for its end"


Event = (
    Started
    | Tick
    | Ringing
    | Answered
    | NotAnswered
    | HungUp
    | PromptReady
    | PromptFailed
    | PlaybackStarted
    | PlaybackFinished
    | DigitPressed
    | NextFlow
    | NextFlowFailed
    | Stopped
)
