"""Amazon Polly over REST: POST {endpoint}/v1/speech, signed with AWS Signature Version 4, raw sound at 8 kHz out.

A request holds 3,000 characters of text and 6,000 with its markup; longer ones go in pieces at once and are joined.
"""

import json
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import urlsplit

from callwright.contract.voices import catalogued_voice
from callwright.egress import Egress, sigv4
from callwright.settings_speech import PollySpeech
from callwright.speech.cloud import MOST_BYTES, HttpRequest, Patience, Service, all_of
from callwright.speech.pieces import pieces
from callwright.speech.ssml import escaped_length, polly_document
from callwright.speech.stand_in import locales_like
from callwright.speech.synthesizer import SAMPLE_RATE_HZ, EngineVoice, Spoken, VoiceLike
from callwright.speech.text import readable
from callwright.telemetry.clock import Clock

MOST_CHARACTERS = 3_000
"""Escapes counted in: then both of Polly's limits hold, however they are counted."""

_PATH = "/v1/speech"
_STANDARD = """
    Aditi Astrid Carla Carmen Celine Chantal Conchita Cristiano Dora Enrique Ewa Filiz Giorgio Gwyneth Hans Jacek Jan
    Karl Liv Lotte Mads Maja Marlene Mathieu Maxim Miguel Mizuki Naja Nicole Penelope Raveena Ricardo Ruben Russell
    Tatyana
"""
_STANDARD_AND_NEURAL = """
    Amy Bianca Brian Camila Emma Ines Ivy Joanna Joey Justin Kendra Kimberly Lea Lucia Lupe Matthew Mia Salli Seoyeon
    Takumi Vicki Vitoria Zhiyu
"""
_NEURAL = """
    Adriano Andres Aria Arlet Arthur Ayanda Burcu Daniel Danielle Elin Gabrielle Gregory Hala Hannah Ida Isabelle
    Jasmine Jihye Jitka Kajal Kazuha Kevin Laura Liam Lisa Niamh Ola Olivia Pedro Remi Ruth Sabrina Sergio Sofie
    Stephen Suvi Thiago Tomoko Zayd
"""
_LONG_FORM = "Alba Patrick Raul"
ENGINES = MappingProxyType(
    dict.fromkeys(_STANDARD.split(), ("standard",))
    | dict.fromkeys(_STANDARD_AND_NEURAL.split(), ("standard", "neural"))
    | dict.fromkeys(_NEURAL.split(), ("neural",))
    | dict.fromkeys(_LONG_FORM.split(), ("long-form",))
)
"""Which of Polly's engines have a voice."""

_BILINGUAL = frozenset(("Aditi", "Kajal"))


class PollySynthesizer:
    """The Synthesizer port over Polly. A voice is named `Emma/neural`, with `/hi-IN` after it if it is bilingual."""

    engine = "polly"
    version = "1"

    def __init__(self, settings: PollySpeech, egress: Egress, clock: Clock, patience: Patience | None = None) -> None:
        self._settings = settings
        self._clock = clock
        secrets = (settings.secret_access_key, settings.access_key_id)
        self._service = Service("Amazon Polly", egress, secrets, patience or Patience())

    def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
        """Polly's names exactly; anything else by the first voice of its language and gender."""
        if profile.family == "polly":
            return self._voice(profile.code, profile.locale, exact=True)
        for locale in locales_like(profile.locale):
            found = catalogued_voice(locale, profile.gender, "polly")
            if found is not None:
                return self._voice(found.code, found.locale, exact=False)
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
        parts = pieces(text, MOST_CHARACTERS, escaped_length)
        sounds = await all_of([self._piece(part, voice, speed) for part in parts])
        return Spoken(self._service.doubted(b"".join(sounds), text, speed), simplified=False)

    def _voice(self, code: str, locale: str, *, exact: bool) -> EngineVoice | None:
        name = code.removeprefix(locale + "-")
        engines = ENGINES.get(name)
        if engines is None:
            return None
        engine = self._settings.engine if self._settings.engine in engines else engines[0]
        language = f"/{locale}" if name in _BILINGUAL else ""
        return EngineVoice(f"{name}/{engine}{language}", exact)

    async def _piece(self, text: str, voice: EngineVoice, speed: float) -> bytes:
        name, engine, *language = voice.name.split("/")
        document = {
            "Engine": engine,
            "OutputFormat": "pcm",
            "SampleRate": str(SAMPLE_RATE_HZ),
            "Text": polly_document(text, speed),
            "TextType": "ssml",
            "VoiceId": name,
        } | ({"LanguageCode": language[0]} if language else {})
        body = json.dumps(document).encode()
        answer = await self._service.ask(lambda: self._signed(body), MOST_BYTES)
        return self._service.sound_of(answer)

    def _signed(self, body: bytes) -> HttpRequest:
        """Signed now: a signature is good for five minutes."""
        place = urlsplit(self._settings.endpoint + _PATH)
        host = place.netloc.lower().removesuffix(":443" if place.scheme == "https" else ":80")  # as it will be sent
        headers = {"Content-Type": "application/json", "X-Amz-Date": sigv4.amz_date(self._clock())}
        authorization = sigv4.authorization(
            sigv4.Request("POST", place.path, (("Host", host), *headers.items()), sha256(body).hexdigest()),
            sigv4.Credentials(self._settings.access_key_id.reveal(), self._settings.secret_access_key.reveal()),
            sigv4.Scope(self._settings.region, "polly"),
        )
        return HttpRequest(self._settings.endpoint + _PATH, headers | {"Authorization": authorization}, body)
