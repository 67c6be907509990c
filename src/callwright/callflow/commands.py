"""What a session wants done. The switchboard carries commands out in the order given; outcomes come back as events."""

from dataclasses import dataclass

from callwright.callflow.outcome import CallHappening
from callwright.callflow.summary import SessionSummary


@dataclass(frozen=True, slots=True)
class PrepareSpeech:
    """Have a text spoken into a prompt; answered by PromptReady or PromptFailed."""

    prompt_id: str
    text: str
    voice_profile: str
    speed: float


@dataclass(frozen=True, slots=True)
class PrepareFile:
    """Have a file fetched and decoded into a prompt; answered by PromptReady or PromptFailed."""

    prompt_id: str
    file_url: str


@dataclass(frozen=True, slots=True)
class Dial:
    """Call somebody; answered by Ringing (or not), then Answered or NotAnswered. Intent is durable first."""

    leg_id: str
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class Play:
    """Play a ready prompt on an answered leg; answered by PlaybackStarted and PlaybackFinished."""

    leg_id: str
    playback_id: str
    prompt_id: str
    repetition: int


@dataclass(frozen=True, slots=True)
class StopPlayback:
    """Cut a playback short; its PlaybackFinished says completed=False. Unknown or finished ids are ignored."""

    leg_id: str
    playback_id: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a leg in whatever state it is (CANCEL or BYE); answered by NotAnswered(CANCELED) or HungUp(by=US)."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class PickUp:
    """Answer a call that came in; answered by Answered, or NotAnswered when the caller left."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class RingBack:
    """Let a leg hear that another phone rings, until StopPlayback; its PlaybackFinished says completed=False."""

    leg_id: str
    playback_id: str


@dataclass(frozen=True, slots=True)
class Bridge:
    """Let two answered legs hear each other until one of them is over."""

    leg_id: str
    other_leg_id: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Find keys among a leg's sounds too (telephone-events are always noticed)."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class StopListening:
    """No keys are wanted for now."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """Record both directions of a leg until it is over, if there is somewhere to put recordings."""

    leg_id: str
    recording_id: str


@dataclass(frozen=True, slots=True)
class AskNext:
    """Ask the customer what to do (VCA, contract §7); answered by NextFlow or NextFlowFailed."""

    leg_id: str
    call_flow_request_id: str
    "for the flow that is to be answered"
    received: bool
    "a call came in; else an action was completed"
    captured: str | None
    "keys of the last capture"
    client_action_id: str | None
    "from the flow that ran before"
    duration_seconds: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the customer what happened to a leg (VCS, contract §6): best effort."""

    leg_id: str
    happening: CallHappening
    duration_seconds: int = 0
    sip_code: int = 200
    digit: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The session is over: make its one terminal record durable together with what is owed to the customer."""

    summary: SessionSummary


Command = (
    PrepareSpeech
    | PrepareFile
    | Dial
    | Play
    | StopPlayback
    | HangUp
    | PickUp
    | RingBack
    | Bridge
    | Listen
    | StopListening
    | Record
    | AskNext
    | Tell
    | Finish
)
