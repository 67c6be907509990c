"""Piper: what is said when it or a voice is not there, and a stand-in voice that really runs.

`voices/tone.onnx` is a model of 452 bytes made for these tests: 50 ms of a 440 Hz tone for each phoneme.
"""

import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from callwright.audio import compare
from callwright.contract.voices import resolve_profile
from callwright.errors import SettingsError, SpeechFailed
from callwright.settings_speech import PiperSpeech, PiperVoiceFile
from callwright.speech.providers.piper import PiperSynthesizer
from callwright.speech.synthesizer import EngineVoice
from callwright.speech.workers import Died, Done, WorkerPool

TONE = Path(__file__).parent / "voices" / "tone.onnx"
VOICE = EngineVoice("en-US", exact=False)


def settings(*voices: tuple[str, str | None, Path]) -> PiperSpeech:
    return PiperSpeech(tuple(PiperVoiceFile(locale, gender, str(path)) for locale, gender, path in voices), 1)


@pytest.fixture
def without_piper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment with all that this one has but Piper, for this process and those that it starts."""
    here = Path(sysconfig.get_path("purelib"))
    venv = tmp_path / "venv"
    there = venv / here.relative_to(sys.prefix)
    there.mkdir(parents=True)
    for installed in here.iterdir():
        if not installed.name.startswith("piper"):
            (there / installed.name).symlink_to(installed)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
    monkeypatch.setattr(sys, "path", [str(there) if entry == str(here) else entry for entry in sys.path])
    monkeypatch.setattr(sys, "executable", str(venv / "bin" / "python"))


@pytest.fixture
async def piper() -> AsyncIterator[PiperSynthesizer]:
    synthesizer = PiperSynthesizer(settings(("en-US", None, TONE)))
    yield synthesizer
    await synthesizer.stop()


def test_without_piper_the_operator_is_told_how_to_install_it(without_piper: None) -> None:
    with pytest.raises(PackageNotFoundError):
        version("piper-tts")
    with pytest.raises(SettingsError, match=r"\[speech.piper\] is set, but .*pip install 'callwright\[piper\]'"):
        PiperSynthesizer(settings(("en-US", None, TONE)))


async def test_without_piper_its_worker_does_not_come_up_and_the_job_says_so(without_piper: None) -> None:
    pool = WorkerPool("piper", 1)
    assert await pool.run({"voice": str(TONE), "speed": 1.0}, b"Hello", 20) == Died("its process could not be started")
    await pool.stop()


def test_a_voice_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'en-GB-M' in 'voices' of .*: there is no file .*absent.onnx"):
        PiperSynthesizer(settings(("en-GB", "M", tmp_path / "absent.onnx")))
    shutil.copy(TONE, tmp_path / "bare.onnx")
    with pytest.raises(SettingsError, match=r"there is no file .*bare.onnx.json"):
        PiperSynthesizer(settings(("en-GB", None, tmp_path / "bare.onnx")))


def test_the_nearest_voice_of_the_language_speaks() -> None:
    synthesizer = PiperSynthesizer(
        settings(("en-US", None, TONE), ("en-US", "M", TONE), ("en-GB", "F", TONE), ("zh-CN", "F", TONE))
    )
    chosen = {}
    for code in ("en-US-GuyNeural", "en-US-Jenny", "en-GB-Emma", "en-GB-Brian", "en-IE-EmilyNeural", "zh-TW-Yating"):
        profile = resolve_profile(code)
        assert profile is not None
        voice = synthesizer.voice_for(profile)
        assert voice is not None
        assert not voice.exact
        chosen[code] = voice.name
    assert chosen == {
        "en-US-GuyNeural": "en-US-M",
        "en-US-Jenny": "en-US",
        "en-GB-Emma": "en-GB-F",
        "en-GB-Brian": "en-US-M",
        "en-IE-EmilyNeural": "en-GB-F",
        "zh-TW-Yating": "zh-CN-F",
    }
    for code in ("zh-HK-TracyRUS", "zh-CN-Kangkang", "da-DK-Naja"):
        profile = resolve_profile(code)
        assert profile is not None
        assert synthesizer.voice_for(profile) is None


async def test_a_voice_is_heard_and_its_length_follows_the_speed(piper: PiperSynthesizer) -> None:
    normal = await piper.synthesize("Hello, this is a test.", VOICE, 1.0)
    fast = await piper.synthesize("Hello, this is a test.", VOICE, 2.0)
    assert len(normal.pcm) > 16_000
    assert len(fast.pcm) == pytest.approx(len(normal.pcm) / 2, abs=16)
    assert compare.find_tones(np.frombuffer(normal.pcm, "<i2").astype(np.int16), most=1) == [pytest.approx(440, abs=2)]


async def test_a_text_that_kills_its_phonemes_is_spoken_without_its_punctuation(piper: PiperSynthesizer) -> None:
    await piper.start()
    pids = piper.pool.pids()
    assert (await piper.synthesize("s'" * 80, VOICE, 1.0)).simplified
    assert piper.pool.pids() != pids


def not_voices(folder: Path) -> tuple[Path, Path]:
    """One whose model is rubbish, one whose description is."""
    broken = folder / "broken.onnx"
    broken.write_bytes(b"not a model")
    shutil.copy(f"{TONE}.json", f"{broken}.json")
    odd = folder / "odd.onnx"
    shutil.copy(TONE, odd)
    Path(f"{odd}.json").write_text('{"audio": {}}')
    return broken, odd


async def test_what_is_no_voice_is_a_failure_that_says_so(tmp_path: Path) -> None:
    broken, odd = not_voices(tmp_path)
    synthesizer = PiperSynthesizer(settings(("en-US", None, broken), ("en-GB", None, odd), ("en-AU", None, TONE)))
    for key in ("en-US", "en-GB"):
        with pytest.raises(SpeechFailed, match=r"the voice file .*\.onnx or its \.json is not Piper's"):
            await synthesizer.synthesize("Hello", EngineVoice(key, exact=False), 1.0)
    assert (await synthesizer.synthesize("Hello", EngineVoice("en-AU", exact=False), 1.0)).pcm
    await synthesizer.stop()


async def test_more_than_ten_minutes_are_a_failure_that_says_so(piper: PiperSynthesizer) -> None:
    with pytest.raises(SpeechFailed, match="longer than 10 minutes"):
        await piper.synthesize("999999999 " * 300, VOICE, 0.5)


def limits_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[0] for line in lines}


async def test_its_worker_is_limited(piper: PiperSynthesizer) -> None:
    await piper.start()
    assert isinstance(await piper.pool.run({"voice": str(TONE), "speed": 1.0}, b"Hello", 20), Done)
    (pid,) = piper.pool.pids()
    soft = limits_of(pid)
    assert int(soft["Max address space"]) == 2 * 1024**3
    assert soft["Max file size"] == "0"
    assert int(soft["Max cpu time"]) < 120


def test_a_replaced_file_is_another_version(tmp_path: Path) -> None:
    voice = tmp_path / "voice.onnx"
    shutil.copy(TONE, voice)
    shutil.copy(f"{TONE}.json", f"{voice}.json")
    before = PiperSynthesizer(settings(("en-US", None, voice))).version
    voice.write_bytes(TONE.read_bytes() + b"\0")
    assert PiperSynthesizer(settings(("en-US", None, voice))).version != before
