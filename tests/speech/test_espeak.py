"""The local engine speaks for real, in every language it is asked for, and survives what kills it."""

import ctypes
import random
from collections.abc import AsyncIterator

import espeakng_loader
import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import levels
from callwright.contract.voice_table import LOCALES
from callwright.contract.voices import resolve_profile
from callwright.errors import SpeechFailed
from callwright.speech.providers.espeak import VOICES, EspeakSynthesizer, words_per_minute
from callwright.speech.synthesizer import EngineVoice
from callwright.speech.text import sanitise
from callwright.speech.workers import Done

SENTENCE = "Hello, this is a test Voice Message. Your order has been shipped."


@pytest.fixture
async def espeak() -> AsyncIterator[EspeakSynthesizer]:
    synthesizer = EspeakSynthesizer(1)
    yield synthesizer
    await synthesizer.stop()


def samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, dtype="<i2").astype(np.int16)


def voice(code: str) -> EngineVoice:
    profile = resolve_profile(code)
    assert profile is not None
    found = EspeakSynthesizer(1).voice_for(profile)
    assert found is not None
    return found


def test_every_voice_file_that_is_named_exists() -> None:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    assert library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0x8000) == 22_050
    missing = [name for name in set(VOICES.values()) if library.espeak_SetVoiceByName(name.encode()) != 0]
    assert missing == []


def test_every_locale_of_the_catalogue_has_a_voice() -> None:
    without = [
        locale.code for locale in LOCALES if not (VOICES.get(locale.code) or VOICES.get(locale.code.split("-")[0]))
    ]
    assert without == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("en-IE-EmilyNeural", "gmw/en+f2"),
        ("en-US-BenjaminRUS", "gmw/en-US+m3"),
        ("zh-HK-TracyRUS", "sit/yue+f2"),
        ("zh-CN-Kangkang", "sit/cmn+m3"),
        ("es-MX-Raul", "roa/es-419+m3"),
        ("nb-NO-HuldaRUS", "gmq/nb+f2"),
    ],
)
def test_a_profile_gets_a_voice_of_its_language_and_gender(code: str, name: str) -> None:
    assert voice(code) == EngineVoice(name, exact=False)


async def test_speech_is_heard_and_its_length_follows_the_speed(espeak: EspeakSynthesizer) -> None:
    spoken = {
        speed: samples((await espeak.synthesize(SENTENCE, voice("en-IE-EmilyNeural"), speed)).pcm)
        for speed in (0.5, 1.0, 2.0)
    }
    assert 2.0 < len(spoken[1.0]) / 8_000 < 8.0
    assert len(spoken[0.5]) > 1.6 * len(spoken[1.0]) > 1.6 * 1.5 * len(spoken[2.0])
    assert all(-35 < levels.rms_dbfs(sound) < -8 for sound in spoken.values())


async def test_women_and_men_sound_different(espeak: EspeakSynthesizer) -> None:
    pitches = []
    for code in ("en-US-AriaNeural", "en-US-GuyNeural"):
        sound = samples((await espeak.synthesize("aaa", voice(code), 0.5)).pcm).astype(np.float64)
        loudest = int(np.argmax(np.convolve(sound**2, np.ones(800), "same")))
        part = sound[max(0, loudest - 400) : loudest + 400]
        correlation = np.correlate(part, part, "full")[len(part) - 1 :]
        pitches.append(8_000 / (25 + int(np.argmax(correlation[25:115]))))  # 70 to 320 Hz
    assert pitches[0] > pitches[1] * 1.2


async def test_a_text_that_kills_the_engine_is_spoken_without_its_punctuation(espeak: EspeakSynthesizer) -> None:
    spoken = await espeak.synthesize("s'" * 80, voice("en-US-AriaNeural"), 1.0)
    assert spoken.simplified
    assert levels.rms_dbfs(samples(spoken.pcm)) > -40


@pytest.mark.parametrize(
    ("code", "text"), [("en-US-AriaNeural", "s'" * 80), ("vi-VN-An", "---m"), ("da-DK-Naja", "---m")]
)
async def test_sanitised_the_same_texts_kill_nothing(espeak: EspeakSynthesizer, code: str, text: str) -> None:
    await espeak.start()
    pids = espeak.pool.pids()
    spoken = await espeak.synthesize(sanitise(text), voice(code), 1.0)
    assert not spoken.simplified
    assert espeak.pool.pids() == pids


async def test_sanitised_rubbish_kills_nothing(espeak: EspeakSynthesizer) -> None:
    chance = random.Random(20_260)
    alphabets = (
        "abcs '-",
        "'-.,s",
        "0123456789 -",
        "äéñøß'-",
        "абвг",
        "我你。，",
        "กขค่้",
        "अआकखािी",
        "عربي",
        "%&+@#=/€$",
        '()[]<>"!?',
    )
    await espeak.start()
    pids = espeak.pool.pids()
    for _ in range(60):
        unit = "".join(chance.choice(chance.choice(alphabets)) for _ in range(chance.choice((2, 5, 30))))
        name = chance.choice(sorted(set(VOICES.values()))) + chance.choice(("+f2", "+m3"))
        plain = sanitise(unit * chance.choice((1, 3, 20)))
        if plain:
            outcome = await espeak._job(plain, EngineVoice(name, exact=False), 2.0)
            assert isinstance(outcome, Done), (name, plain)
    assert espeak.pool.pids() == pids


async def test_a_voice_that_is_not_there_is_a_failure_that_says_so(espeak: EspeakSynthesizer) -> None:
    with pytest.raises(SpeechFailed, match="no voice xx/yy"):
        await espeak.synthesize("Hello", EngineVoice("xx/yy", exact=False), 1.0)
    assert (await espeak.synthesize("Hello", EngineVoice("gmw/en", exact=False), 1.0)).pcm


async def test_a_text_of_more_than_ten_minutes_is_a_failure_that_says_so(espeak: EspeakSynthesizer) -> None:
    with pytest.raises(SpeechFailed, match="longer than 10 minutes"):
        await espeak.synthesize(sanitise("999999999 " * 300), voice("en-US-AriaNeural"), 0.5)


@pytest.mark.parametrize(("speed", "rate"), [(0.5, 88), (1.0, 175), (2.0, 350), (0.1, 80), (9.0, 450)])
def test_speed_is_proportional_to_words_per_minute(speed: float, rate: int) -> None:
    assert words_per_minute(speed) == rate
