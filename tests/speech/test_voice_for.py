"""Which voice each engine speaks a profile with, and whether it is the very one."""

import pytest

from callwright.contract.voice_table import LOCALES
from callwright.contract.voices import VoiceProfile, resolve_profile, speech_profiles
from callwright.egress import Egress
from callwright.settings_speech import AzureSpeech, GoogleSpeech, PollySpeech
from callwright.settings_table import Secret
from callwright.speech.providers.azure import SUCCESSORS, AzureSynthesizer
from callwright.speech.providers.google import LANGUAGE_CODES, GoogleSynthesizer
from callwright.speech.providers.polly import ENGINES, PollySynthesizer
from callwright.speech.stand_in import language_of, locales_like
from callwright.speech.synthesizer import EngineVoice

ALL = [profile["speechProfileCode"] for profile in speech_profiles()]


def known(code: str) -> VoiceProfile:
    profile = resolve_profile(code)
    assert profile is not None
    return profile


@pytest.fixture
def azure(egress: Egress) -> AzureSynthesizer:
    return AzureSynthesizer(AzureSpeech(Secret("k"), "https://speech.example.com"), egress)


@pytest.fixture
def google(egress: Egress) -> GoogleSynthesizer:
    return GoogleSynthesizer(GoogleSpeech(Secret("k"), "https://speech.example.com"), egress)


def polly_with(engine: str, egress: Egress) -> PollySynthesizer:
    settings = PollySpeech(Secret("a"), Secret("b"), "eu-west-1", engine, "https://speech.example.com")
    return PollySynthesizer(settings, egress, lambda: 0.0)


@pytest.mark.parametrize(
    ("code", "name", "exact"),
    [
        ("en-IE-EmilyNeural", "en-IE-EmilyNeural", True),
        ("en-US-NobodyNeural", "en-US-NobodyNeural", True),
        ("en-US-Jenny", "en-US-JennyNeural", True),
        ("en-GB-MiaNeural", "en-GB-SoniaNeural", False),
        ("en-GB-Mia", "en-GB-SoniaNeural", False),
        ("en-US-ZiraRUS", "en-US-JennyNeural", False),
        ("en-US-BenjaminRUS", "en-US-GuyNeural", False),
        ("en-US-AriaRUS", "en-US-AriaNeural", False),
        ("zh-CN-Yaoyao-Apollo", "zh-CN-XiaoxiaoNeural", False),
        ("ar-EG-Hoda", "ar-EG-SalmaNeural", False),
        ("fr-FR-Paul", "fr-FR-HenriNeural", False),
        ("en-GB-Emma", "en-GB-LibbyNeural", False),
        ("en-US-Neural2-D", "en-US-GuyNeural", False),
        ("generic-en-male", "en-US-GuyNeural", False),
    ],
)
def test_azure(azure: AzureSynthesizer, code: str, name: str, exact: bool) -> None:
    assert azure.voice_for(known(code)) == EngineVoice(name, exact)


def test_azure_speaks_for_every_catalogued_voice_in_its_locale_and_gender(azure: AzureSynthesizer) -> None:
    for code in ALL:
        profile = known(code)
        voice = azure.voice_for(profile)
        assert voice is not None, code
        stand_in = known(voice.name)
        assert (stand_in.locale, stand_in.gender, stand_in.family) == (profile.locale, profile.gender, "azure-neural")
        assert voice.exact is (voice.name == code)


def test_successors_are_current_voices_of_the_same_locale_and_gender() -> None:
    for retired, successor in SUCCESSORS.items():
        assert successor in ALL
        assert successor not in SUCCESSORS
        assert successor.split("-")[:2] == retired.split("-")[:2]
        profile = resolve_profile(retired)
        if profile is not None and profile.code in ALL:
            assert profile.gender == known(successor).gender


@pytest.mark.parametrize(
    ("code", "name", "exact"),
    [
        ("en-US-Neural2-C", "en-US-Neural2-C", True),
        ("en-US-Standard-A", "en-US-Standard-A", True),
        ("zh-CN-Wavenet-B", "cmn-CN-Wavenet-B", True),
        ("en-GB-Emma", "en-GB/FEMALE", False),
        ("en-US-BenjaminRUS", "en-US/MALE", False),
        ("zh-HK-TracyRUS", "yue-HK/FEMALE", False),
        ("ar-EG-Hoda", "ar-XA/FEMALE", False),
        ("en-IE-EmilyNeural", "en-US/FEMALE", False),
        ("es-MX-Raul", "es-ES/MALE", False),
    ],
)
def test_google(google: GoogleSynthesizer, code: str, name: str, exact: bool) -> None:
    assert google.voice_for(known(code)) == EngineVoice(name, exact)


def test_google_does_not_speak_what_it_has_no_voice_for(google: GoogleSynthesizer) -> None:
    assert google.voice_for(known("ga-IE-OrlaNeural")) is None
    assert {row.code for row in LOCALES} >= set(LANGUAGE_CODES)


@pytest.mark.parametrize(
    ("code", "engine", "name", "exact"),
    [
        ("en-GB-Emma", "neural", "Emma/neural", True),
        ("en-GB-Emma", "standard", "Emma/standard", True),
        ("da-DK-Naja", "neural", "Naja/standard", True),
        ("en-US-Danielle", "standard", "Danielle/neural", True),
        ("en-US-Patrick", "neural", "Patrick/long-form", True),
        ("hi-IN-Aditi", "neural", "Aditi/standard/hi-IN", True),
        ("en-IN-Kajal", "neural", "Kajal/neural/en-IN", True),
        ("en-IE-EmilyNeural", "neural", "Niamh/neural", False),
        ("en-IE-ConnorNeural", "neural", "Gregory/neural", False),
        ("zh-TW-Yating", "neural", "Zhiyu/neural", False),
    ],
)
def test_polly(egress: Egress, code: str, engine: str, name: str, exact: bool) -> None:
    assert polly_with(engine, egress).voice_for(known(code)) == EngineVoice(name, exact)


def test_polly_does_not_speak_mandarin_for_cantonese(egress: Egress) -> None:
    polly = polly_with("neural", egress)
    assert polly.voice_for(known("zh-HK-TracyRUS")) is None
    assert polly.voice_for(known("ga-IE-OrlaNeural")) is None
    assert polly.voice_for(known("zh-CN-Kangkang")) is None  # no man speaks Mandarin there


def test_every_catalogued_polly_voice_has_an_engine(egress: Egress) -> None:
    names = {name.rstrip("*") for row in LOCALES for name in row.polly.split()}
    assert names - set(ENGINES) == set()


def test_who_stands_in_speaks_the_same_language_with_the_same_gender(egress: Egress) -> None:
    polly = polly_with("neural", egress)
    speakers: dict[str, set[tuple[str, str]]] = {}
    for row in LOCALES:
        for marked in row.polly.split():
            gender = "M" if marked.endswith("*") else "F"
            speakers.setdefault(marked.rstrip("*"), set()).add((language_of(row.code), gender))
    for code in ALL:
        profile = known(code)
        voice = polly.voice_for(profile)
        if voice is not None:
            assert (language_of(profile.locale), profile.gender) in speakers[voice.name.split("/")[0]], code


def test_the_own_country_comes_first_then_the_usual_one() -> None:
    assert locales_like("en-IE")[:2] == ["en-IE", "en-US"]
    assert locales_like("pt-PT") == ["pt-PT", "pt-BR"]
    assert locales_like("zh-TW") == ["zh-TW", "zh-CN"]
    assert locales_like("zh-HK") == ["zh-HK"]
    assert locales_like("mt-MT") == ["mt-MT"]
