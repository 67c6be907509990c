"""Piper: natural voices on this machine, from files the operator has; an optional extra, `callwright[piper]`.

It runs in worker processes of its own, like espeak-ng, with more memory. Nothing is downloaded, and no text leaves the
machine.
"""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from callwright.errors import SettingsError
from callwright.settings_speech import PiperSpeech
from callwright.speech.messages import Head
from callwright.speech.second_try import spoken_by
from callwright.speech.stand_in import language_of
from callwright.speech.synthesizer import SAMPLE_RATE_HZ, WIDE_SAMPLE_RATE_HZ, EngineVoice, Spoken, VoiceLike
from callwright.speech.text import sanitise
from callwright.speech.workers import Died, Done, WorkerPool

JOB_SECONDS = 30.0


class PiperSynthesizer:
    """The Synthesizer port over a pool of `piper` workers. A voice is named as its key in the settings.

    SettingsError when Piper is not installed or a voice file is not there.
    """

    engine = "piper"

    def __init__(self, settings: PiperSpeech, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """`sample_rate_hz` of what is spoken: 8 or 16 kHz."""
        self._sample_rate_hz = sample_rate_hz
        try:
            package = installed_version("piper-tts")
        except PackageNotFoundError:
            raise SettingsError(
                "[speech.piper] is set, but Piper is not installed. Install it with: pip install 'callwright[piper]'"
            ) from None
        self._voices = {voice.key: voice for voice in settings.voices}
        self._paths = {key: Path(voice.path).absolute() for key, voice in self._voices.items()}
        stamps = [_stamp(key, path) for key, path in self._paths.items()]
        self.version = " ".join((package, *sorted(stamps)))
        self.pool = WorkerPool("piper", settings.workers)

    def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
        """Same gender and country, then any of that country, then the same of its language; never exact."""
        able = [
            voice
            for voice in self._voices.values()
            if language_of(voice.locale) == language_of(profile.locale) and voice.gender in (None, profile.gender)
        ]
        if not able:
            return None
        best = min(able, key=lambda voice: (voice.locale != profile.locale, voice.gender is None))
        return EngineVoice(best.key, exact=False)

    def prepared(self, text: str) -> str:
        """Without what the espeak-ng inside Piper dies of, and without brackets, which it takes for phonemes."""
        return sanitise(text)

    def widen(self) -> None:
        """From now on 16 kHz."""
        self._sample_rate_hz = WIDE_SAMPLE_RATE_HZ

    async def start(self) -> None:
        """Start the worker processes."""
        await self.pool.start()

    async def stop(self) -> None:
        """End the worker processes."""
        await self.pool.stop()

    async def synthesize(self, text: str, voice: EngineVoice, speed: float) -> Spoken:
        """Speak; when a worker dies of the text, try once more with its letters and digits only."""

        rate = self._sample_rate_hz
        head: Head = {"voice": str(self._paths[voice.name]), "speed": speed, "sample_rate_hz": rate}

        async def job(plain: str) -> Done | Died:
            return await self.pool.run(head, plain.encode(), JOB_SECONDS)

        return await spoken_by(job, text, rate)


def _stamp(key: str, path: Path) -> str:
    """Changes when the file is replaced; SettingsError when it or its description is not there."""
    description = path.with_name(path.name + ".json")
    for file in (path, description):
        if not file.is_file():
            raise SettingsError(f"'{key}' in 'voices' of [speech.piper]: there is no file {file}")
    status = path.stat()
    return f"{path.name}:{status.st_size}:{status.st_mtime_ns}"
