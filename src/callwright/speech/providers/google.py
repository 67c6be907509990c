"""Google Cloud Text-to-Speech over REST: {endpoint}/v1/text:synthesize, JSON in, base64 of a WAV file out.

A request holds 5,000 bytes of text; longer texts go in pieces at once and are joined.
"""

import base64
import binascii
import json
from types import MappingProxyType

from callwright.audio import wav
from callwright.egress import Egress
from callwright.errors import SpeechFailed
from callwright.settings_speech import GoogleSpeech
from callwright.speech.cloud import MOST_BYTES, HttpRequest, Patience, Service, all_of
from callwright.speech.pieces import pieces
from callwright.speech.stand_in import locales_like
from callwright.speech.synthesizer import SAMPLE_RATE_HZ, EngineVoice, Spoken, VoiceLike
from callwright.speech.text import readable

MOST_TEXT_BYTES = 5_000
_PATH = "/v1/text:synthesize"
_MOST_ANSWER_BYTES = MOST_BYTES * 4 // 3 + 65_536

# Locales of the catalogue that Google has voices for, and its own names for them where they differ.
_SAME_NAME = """
    af-ZA bg-BG bn-IN ca-ES cs-CZ da-DK de-DE el-GR en-AU en-GB en-IN en-US es-ES es-US et-EE fi-FI fr-CA fr-FR gu-IN
    he-IL hi-IN hu-HU id-ID is-IS it-IT ja-JP kn-IN ko-KR lt-LT lv-LV ml-IN mr-IN ms-MY nb-NO nl-BE nl-NL pl-PL pt-BR
    pt-PT ro-RO ru-RU sk-SK sr-RS sv-SE ta-IN te-IN th-TH tr-TR uk-UA ur-IN vi-VN
"""
_OTHER_NAMES = {
    "zh-CN": "cmn-CN",
    "zh-TW": "cmn-TW",
    "zh-HK": "yue-HK",
    **dict.fromkeys(("ar-AE", "ar-EG", "ar-SA"), "ar-XA"),
}
LANGUAGE_CODES = MappingProxyType({code: code for code in _SAME_NAME.split()} | _OTHER_NAMES)
_GENDERS = MappingProxyType({"F": "FEMALE", "M": "MALE"})


class GoogleSynthesizer:
    """The Synthesizer port over Google's service. A voice is named as Google does, or `en-GB/FEMALE`: any such."""

    engine = "google"
    version = "1"

    def __init__(self, settings: GoogleSpeech, egress: Egress, patience: Patience | None = None) -> None:
        self._settings = settings
        self._service = Service("Google Text-to-Speech", egress, (settings.api_key,), patience or Patience())

    def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
        """Google's names exactly; anything else by a voice of its language and gender that Google chooses."""
        if profile.family == "google":
            language = LANGUAGE_CODES.get(profile.locale, profile.locale)
            return EngineVoice(language + profile.code.removeprefix(profile.locale), exact=True)
        for locale in locales_like(profile.locale):
            if locale in LANGUAGE_CODES:
                return EngineVoice(f"{LANGUAGE_CODES[locale]}/{_GENDERS[profile.gender]}", exact=False)
        return None

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
        """Speak, the pieces of a long text at once. Raises SpeechFailed or SpeechUnavailable."""
        parts = pieces(text, MOST_TEXT_BYTES, lambda character: len(character.encode()))
        sounds = await all_of([self._piece(part, voice, speed) for part in parts])
        return Spoken(self._service.doubted(b"".join(sounds), text, speed), simplified=False)

    async def _piece(self, text: str, voice: EngineVoice, speed: float) -> bytes:
        body = json.dumps(_document(text, voice, speed)).encode()

        def request() -> HttpRequest:
            # In a header, because a URL ends up in other people's logs.
            headers = {"X-Goog-Api-Key": self._settings.api_key.reveal(), "Content-Type": "application/json"}
            return HttpRequest(self._settings.endpoint + _PATH, headers, body)

        answer = await self._service.ask(request, _MOST_ANSWER_BYTES)
        try:
            sound = wav.parse(_audio_content(answer.body))
        except (ValueError, RecursionError) as error:  # WavError is a ValueError
            raise SpeechFailed(f"{self._service.name} answered with something that is not sound.") from error
        if sound.sample_rate != SAMPLE_RATE_HZ:
            raise SpeechFailed(f"{self._service.name} answered with {sound.sample_rate} samples a second.")
        return sound.samples.astype("<i2").tobytes()


def _document(text: str, voice: EngineVoice, speed: float) -> dict[str, object]:
    name, _, gender = voice.name.partition("/")
    language = "-".join(name.split("-")[:2])
    chosen = {"languageCode": language} | ({"ssmlGender": gender} if gender else {"name": name})
    config: dict[str, object] = {"audioEncoding": "LINEAR16", "sampleRateHertz": SAMPLE_RATE_HZ}
    if speed != 1.0:  # some voices refuse to be told a rate at all
        config["speakingRate"] = speed
    return {"input": {"text": text}, "voice": chosen, "audioConfig": config}


def _audio_content(body: bytes) -> bytes:
    document = json.loads(body)
    content = document.get("audioContent") if isinstance(document, dict) else None
    if not isinstance(content, str):
        raise ValueError("no audioContent")  # noqa: TRY004 - what is wrong is a value from outside
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise ValueError("audioContent is not base64") from error
