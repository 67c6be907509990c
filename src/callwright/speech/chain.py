"""Who is asked to speak, in which order.

1. Engines that have the very voice that was asked for, in the order of the configuration.
2. Engines that have a voice of its language and gender, in the order of the configuration.

An engine that was unavailable rests for half a minute: it is asked after all others, so that one call waits for a dead
service and not every call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from callwright.speech.synthesizer import EngineVoice, Synthesizer, VoiceLike
from callwright.telemetry.clock import Clock

REST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Choice:
    """One engine and the voice it would speak with."""

    synthesizer: Synthesizer
    voice: EngineVoice


class Chain:
    """The engines of an installation, in the order of its configuration."""

    def __init__(self, synthesizers: Sequence[Synthesizer], clock: Clock) -> None:
        self._synthesizers = tuple(synthesizers)
        self._clock = clock
        self._rests_until: dict[str, float] = {}

    def choices(self, profile: VoiceLike) -> list[Choice]:
        """Everybody who can speak for a profile, best first; empty when nobody has its language."""
        asked = ((synthesizer, synthesizer.voice_for(profile)) for synthesizer in self._synthesizers)
        able = [Choice(synthesizer, voice) for synthesizer, voice in asked if voice is not None]
        return sorted(able, key=lambda choice: not choice.voice.exact)

    def objections(self, profile: VoiceLike, choices: Sequence[Choice]) -> dict[str, str]:
        """By engine, why those that stand before the first choice in the configuration are not it."""
        able = {choice.synthesizer.engine for choice in choices}
        against: dict[str, str] = {}
        for synthesizer in self._synthesizers:
            if choices and synthesizer is choices[0].synthesizer:
                break
            against[synthesizer.engine] = (
                f"it does not have {profile.code} itself"
                if synthesizer.engine in able
                else f"it does not speak {profile.locale}"
            )
        return against

    def let_rest(self, engine: str) -> None:
        """It was unavailable just now."""
        self._rests_until[engine] = self._clock() + REST_SECONDS

    def why_resting(self, engine: str) -> str | None:
        """Words for the trace, or None when it may be asked."""
        left = self._rests_until.get(engine, 0.0) - self._clock()
        return f"it was unavailable {REST_SECONDS - left:.0f} s ago" if left > 0 else None
