"""Azure Speech over REST: https://{region}.tts.speech.microsoft.com/cognitiveservices/v1, SSML in, raw sound out.

Sound is asked for at 16 kHz and halved here, where the filter is known and measured (halving.py). The API's voice names
are Azure's, so most of them are spoken by the very voice; what Azure has retired is spoken by its successor.
"""

import asyncio
from types import MappingProxyType

from callwright.contract.voices import catalogued_voice
from callwright.egress import Egress
from callwright.settings_speech import AzureSpeech
from callwright.speech.cloud import MOST_BYTES, HttpRequest, Patience, Service
from callwright.speech.halving import halved
from callwright.speech.ssml import azure_document
from callwright.speech.synthesizer import EngineVoice, Spoken, VoiceLike
from callwright.speech.text import readable

OUTPUT_FORMAT = "raw-16khz-16bit-mono-pcm"
_PATH = "/cognitiveservices/v1"

SUCCESSORS = MappingProxyType(
    {
        "en-GB-MiaNeural": "en-GB-SoniaNeural",
        "en-US-AriaRUS": "en-US-AriaNeural",
        "en-US-JessaRUS": "en-US-AriaNeural",
        "en-US-Jessa24kRUS": "en-US-AriaNeural",
        "en-US-Guy24kRUS": "en-US-GuyNeural",
        "en-US-BenjaminRUS": "en-US-GuyNeural",
        "en-US-GuyRUS": "en-US-GuyNeural",
        "en-US-ZiraRUS": "en-US-JennyNeural",
        "fr-CA-HarmonieRUS": "fr-CA-SylvieNeural",
        "zh-CN-HuihuiRUS": "zh-CN-XiaoxiaoNeural",
    }
)
"""Retired voices whose successor has a name of its own; of the others it is the catalogue's first neural voice of the
same locale and gender. Microsoft retired all voices from before the neural ones on 31 August 2024."""


class AzureSynthesizer:
    """The Synthesizer port over Azure Speech."""

    engine = "azure"
    version = "1"

    def __init__(self, settings: AzureSpeech, egress: Egress, patience: Patience | None = None) -> None:
        self._settings = settings
        self._service = Service("Azure Speech", egress, (settings.key,), patience or Patience())

    def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
        """Neural names and their short forms exactly; anything else by a neural voice of its locale and gender."""
        if profile.code in SUCCESSORS:
            return EngineVoice(SUCCESSORS[profile.code], exact=False)
        if profile.family == "azure-neural":
            return EngineVoice(profile.code, exact=True)
        if profile.family == "short":
            name = f"{profile.code}Neural"
            return EngineVoice(SUCCESSORS.get(name, name), exact=name not in SUCCESSORS)
        found = catalogued_voice(profile.locale, profile.gender, "azure-neural")
        if found is None:
            return None
        return EngineVoice(SUCCESSORS.get(found.code, found.code), exact=False)

    def prepared(self, text: str) -> str:
        """All that can be read."""
        return readable(text)

    def widen(self) -> None:
        """Cloud speech is asked for as telephones carry it."""

    async def start(self) -> None:
        """Nothing: connections are made when they are needed."""

    async def stop(self) -> None:
        """Nothing."""

    async def synthesize(self, text: str, voice: EngineVoice, speed: float) -> Spoken:
        """Speak in one request. Raises SpeechFailed or SpeechUnavailable."""
        document = azure_document(text, voice.name, speed).encode()

        def request() -> HttpRequest:
            headers = {
                "Ocp-Apim-Subscription-Key": self._settings.key.reveal(),
                "Content-Type": "application/ssml+xml",
                "X-Microsoft-OutputFormat": OUTPUT_FORMAT,
            }
            return HttpRequest(self._settings.endpoint + _PATH, headers, document)

        answer = await self._service.ask(request, 2 * MOST_BYTES)
        sound = self._service.sound_of(answer)
        pcm = b"" if len(sound) % 2 else await asyncio.to_thread(halved, sound)
        return Spoken(self._service.doubted(pcm, text, speed), simplified=False)
