"""The port every speech engine stands behind, local or cloud."""

from dataclasses import dataclass
from typing import Literal, Protocol

SAMPLE_RATE_HZ = 8_000
"""Speech and files become 16-bit mono at this rate, which is what G.711 carries (RFC 3551 §4.5.14)."""

WIDE_SAMPLE_RATE_HZ = 16_000
"""What they become first where some trunk speaks G.722 or Opus, if their source has it."""

MOST_SECONDS = 600
"""A prompt is at most ten minutes long."""


class VoiceLike(Protocol):
    """What a synthesizer needs to know of the voice a customer asked for."""

    @property
    def code(self) -> str:
        """The customer's name for it, such as en-IE-EmilyNeural."""

    @property
    def locale(self) -> str:
        """Language and country, such as en-IE."""

    @property
    def gender(self) -> Literal["F", "M"]:
        """F or M."""

    @property
    def family(self) -> str:
        """Whose naming it is (contract/voices.py), which tells an engine whether the name is one of its own."""


@dataclass(frozen=True, slots=True)
class EngineVoice:
    """A voice by the engine's own name."""

    name: str
    exact: bool
    "true when it is the very voice that was asked for, false when only language and gender agree"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text as sound."""

    pcm: bytes
    "signed 16-bit little-endian mono"
    simplified: bool
    "true when only letters and digits of the text were spoken, because the engine died of the rest"
    sample_rate_hz: int = SAMPLE_RATE_HZ
    "8 or 16 kHz"


class Synthesizer(Protocol):
    """Turns text into sound."""

    @property
    def engine(self) -> str:
        """The engine's name, part of the cache key."""

    @property
    def version(self) -> str:
        """Changes whenever the engine may sound different; part of the cache key."""

    def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
        """The engine's voice for a profile, or None when it does not speak that language."""

    def prepared(self, text: str) -> str:
        """What of a customer's text this engine is given; empty when nothing in it can be spoken."""

    def widen(self) -> None:
        """From now on speak with 16 kHz, where the engine can: a trunk came that carries more than telephones do."""

    async def start(self) -> None:
        """Get ready; may be called once, before the first text."""

    async def stop(self) -> None:
        """End everything that was started."""

    async def synthesize(self, text: str, voice: EngineVoice, speed: float) -> Spoken:
        """Speak a prepared text at `speed` times the normal rate (0.5 to 2.0).

        Raises SpeechFailed; SpeechUnavailable when other texts would fail there too, so that others are asked first for
        a while.
        """
