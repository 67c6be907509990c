"""What a customer asked for: the five actions and the flow that holds them (contract §1.3, §2).

Values are already checked and defaulted by `contract/`; numbers are E.164 with `+`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MakeCall:
    """Call `destination`, showing `source` (§2.2)."""

    source: str
    "caller id, E.164 with +"
    destination: str
    "who is called, E.164 with +"
    call_recording: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text (§2.3)."""

    text: str
    "plain text, at most 3,000 characters"
    voice_profile: str
    "a speechProfileCode (§10), as the customer wrote it"
    speed: float = 1.0
    "0.5 to 2.0"
    repetition: int = 1
    "how often it is heard, 1 to 3"


@dataclass(frozen=True, slots=True)
class PlayFile:
    """Play an mp3 or wav file from a URL (§2.4)."""

    file_url: str
    repetition: int = 1


@dataclass(frozen=True, slots=True)
class SayAndCapture:
    """Speak a prompt and take digits (§2.5). `None` means: the customer gave none."""

    prompt_message: str
    voice_profile: str
    speed: float = 1.0
    success_message: str | None = None
    failure_message: str | None = None
    complete_on_hash: bool = True
    min_digits: int | None = None
    max_digits: int = 25
    digit_timeout_ms: int | None = None
    "longest pause between two digits"
    overall_timeout_ms: int = 30_000
    "time for the caller to enter all digits, from the end of the prompt"
    no_of_tries: int = 3


@dataclass(frozen=True, slots=True)
class HangUp:
    """Drop every leg and end the session (§2.6)."""


Action = MakeCall | Say | PlayFile | SayAndCapture | HangUp

ACTION_NAMES: dict[type[Action], str] = {
    MakeCall: "MAKE_CALL",
    Say: "SAY",
    PlayFile: "PLAY_FILE",
    SayAndCapture: "SAY_AND_CAPTURE",
    HangUp: "HANGUP",
}
"""How records name the actions (§2)."""


@dataclass(frozen=True, slots=True)
class Callflow:
    """One accepted request: the actions in order, and what travels with them."""

    actions: tuple[Action, ...]
    call_flow_request_id: str
    valid_until: float | None = None
    "unix seconds; the last moment at which the flow may be started (§9.5)"
    client_action_id: str | None = None
    client_request_id: str | None = None
    dtmf_callback_url: str | None = None
    "of a `/calls` request (§1.7): captured digits are posted here instead of to the VCA webhook"
