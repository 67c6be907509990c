"""What a session wants done. The switchboard carries commands out in the order given; outcomes come back as events."""

from dataclasses import dataclass

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
class Finish:
    """The session is over: make its one terminal record durable together with what is owed to the customer."""

    summary: SessionSummary


Command = PrepareSpeech | PrepareFile | Dial | Play | StopPlayback | HangUp | Finish
