"""espeak-ng: the local engine, 75 languages, always there. It runs in worker processes because some texts end it."""

from importlib.metadata import version as installed_version
from types import MappingProxyType

from callwright.speech.messages import Head
from callwright.speech.second_try import spoken_by
from callwright.speech.synthesizer import SAMPLE_RATE_HZ, WIDE_SAMPLE_RATE_HZ, EngineVoice, Spoken, VoiceLike
from callwright.speech.text import sanitise
from callwright.speech.workers import Died, Done, WorkerPool

JOB_SECONDS = 20.0
NORMAL_WORDS_PER_MINUTE = 175
LOWEST_WORDS_PER_MINUTE = 80
HIGHEST_WORDS_PER_MINUTE = 450

# The variant of a voice that sounds like a woman or a man on a telephone.
_VARIANTS = MappingProxyType({"F": "+f2", "M": "+m3"})

# espeak-ng's voice files, each named after its language.
_VOICE_FILES = """
    gmw/af sem/am roa/an sem/ar inc/as trk/az zle/be zls/bg inc/bn zls/bs roa/ca zlw/cs cel/cy gmq/da gmw/de
    grk/el gmw/en gmw/en-US roa/es urj/et eu ira/fa urj/fi gmq/fo roa/fr roa/fr-BE roa/fr-CH cel/ga cel/gd
    inc/gu sem/he inc/hi zls/hr urj/hu ine/hy poz/id gmq/is roa/it jpx/ja ccs/ka trk/kk dra/kn ko trk/ky gmw/lb
    bat/lt bat/lv poz/mi zls/mk dra/ml inc/mr poz/ms sem/mt sit/my gmq/nb inc/ne gmw/nl inc/or inc/pa zlw/pl
    roa/pt roa/pt-BR roa/ro zle/ru inc/si zlw/sk zls/sl ine/sq zls/sr gmq/sv bnt/sw dra/ta dra/te tai/th trk/tr
    zle/uk inc/ur trk/uz aav/vi
"""
_NAMED_OTHERWISE = {
    "no": "gmq/nb",
    "zh": "sit/cmn",
    "zh-HK": "sit/yue",
    "en-CA": "gmw/en-US",
    "en-PH": "gmw/en-US",
    **dict.fromkeys(("es-AR", "es-CL", "es-CO", "es-MX", "es-PE", "es-US"), "roa/es-419"),
}
VOICES = MappingProxyType({path.rpartition("/")[2]: path for path in _VOICE_FILES.split()} | _NAMED_OTHERWISE)
"""Language, or language and country where that makes a difference → voice file."""


class EspeakSynthesizer:
    """The Synthesizer port over a pool of `speak` workers."""

    engine = "espeak-ng"

    def __init__(self, workers: int, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """`sample_rate_hz` of what is spoken: 8 or 16 kHz."""
        self._sample_rate_hz = sample_rate_hz
        self.version = installed_version("espeakng-loader")
        self.pool = WorkerPool("speak", workers)

    def widen(self) -> None:
        """From now on 16 kHz."""
        self._sample_rate_hz = WIDE_SAMPLE_RATE_HZ

    async def start(self) -> None:
        """Start one worker process; the others come when there is more to speak than it can (0.2 s, 15 MB each)."""
        await self.pool.start(1)

    async def stop(self) -> None:
        """End the worker processes."""
        await self.pool.stop()

    def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
        """Same language and gender; never exact, as no customer names espeak-ng's own voices."""
        language = profile.locale.partition("-")[0]
        voice = VOICES.get(profile.locale) or VOICES.get(language)
        return EngineVoice(voice + _VARIANTS[profile.gender], exact=False) if voice else None

    def prepared(self, text: str) -> str:
        """Without anything that espeak-ng dies of."""
        return sanitise(text)

    async def synthesize(self, text: str, voice: EngineVoice, speed: float) -> Spoken:
        """Speak; when a worker dies of the text, try once more with its letters and digits only."""
        rate = self._sample_rate_hz
        return await spoken_by(lambda plain: self._job(plain, voice, speed, rate), text, rate)

    async def _job(self, text: str, voice: EngineVoice, speed: float, rate: int = SAMPLE_RATE_HZ) -> Done | Died:
        head: Head = {"voice": voice.name, "words_per_minute": words_per_minute(speed), "sample_rate_hz": rate}
        return await self.pool.run(head, text.encode(), JOB_SECONDS)


def words_per_minute(speed: float) -> int:
    """espeak-ng's rate for a speed of 0.5 to 2.0, within what it takes."""
    return min(max(round(NORMAL_WORDS_PER_MINUTE * speed), LOWEST_WORDS_PER_MINUTE), HIGHEST_WORDS_PER_MINUTE)
