"""What the scripts of one session share: the time, and what is known of prompts."""

from dataclasses import dataclass, field

from callwright.callflow.prompts import PromptBook


@dataclass(slots=True)
class Desk:
    """Kept up to date by the session before a script sees an event."""

    now: float = 0.0
    "`at` of the event in hand"
    prompts: PromptBook = field(default_factory=PromptBook)
    _playbacks: int = 0

    def new_playback_id(self) -> str:
        """Unlike any other of this session."""
        self._playbacks += 1
        return str(self._playbacks)
