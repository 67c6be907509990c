"""Whether a recording holds the prompt."""

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import g711, tones
from callwright.audio.compare import find_tones, likeness


@pytest.fixture
def speech() -> NDArray[np.int16]:
    """Two seconds that repeat nowhere: noise with the slow swelling of syllables."""
    random = np.random.default_rng(7)
    swelling = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * np.arange(16_000) / 8000)
    return (random.normal(0, 4000, 16_000) * swelling).clip(-32768, 32767).astype(np.int16)


def test_the_same_sound_is_alike(speech: NDArray[np.int16]) -> None:
    same = likeness(speech, speech)
    assert (same.delay_ms, same.missing_ms) == (0.0, 0)
    assert same.correlation == pytest.approx(1.0)


def test_delay_volume_and_g711_do_not_matter(speech: NDArray[np.int16]) -> None:
    heard = np.concatenate([tones.silence(0.25), speech // 4, tones.silence(1.0)])
    found = likeness(g711.decode("PCMA", g711.encode("PCMA", heard)), speech)
    assert (found.delay_ms, found.missing_ms) == (250.0, 0)
    assert found.correlation > 0.99


def test_a_cut_beginning_is_missed_and_the_delay_negative(speech: NDArray[np.int16]) -> None:
    found = likeness(speech[4000:], speech)
    assert (found.delay_ms, found.missing_ms) == (-500.0, 500)


def test_lost_frames_are_missed(speech: NDArray[np.int16]) -> None:
    heard = speech.copy()
    heard[1600:1760] = 0
    heard[8000:8480] = 0
    found = likeness(heard, speech)
    assert (found.delay_ms, found.missing_ms) == (0.0, 80)
    assert 0.9 < found.correlation < 1.0


def test_another_sound_is_not_alike(speech: NDArray[np.int16]) -> None:
    found = likeness(tones.sine(440, 3.0), speech)
    assert found.correlation < 0.2
    assert found.missing_ms > 1500


def test_silence_is_like_nothing(speech: NDArray[np.int16]) -> None:
    for heard in (tones.silence(0), tones.silence(1)):
        found = likeness(heard, speech)
        assert (found.correlation, found.missing_ms) == (0.0, 2000)
    assert likeness(speech, tones.silence(1)).correlation == 0.0


def test_pauses_in_the_prompt_are_not_missed(speech: NDArray[np.int16]) -> None:
    prompt = np.concatenate([speech, tones.silence(1), speech])
    assert likeness(prompt, prompt).missing_ms == 0


def test_tones_are_found_strongest_first() -> None:
    sound = tones.sine(440, 0.5, -10) + tones.sine(1000, 0.5, -16) + tones.sine(3000, 0.5, -60)
    assert find_tones(sound) == [pytest.approx(440, abs=1), pytest.approx(1000, abs=1)]


def test_silence_has_no_tones() -> None:
    assert find_tones(tones.silence(1)) == []
    assert find_tones(tones.silence(0)) == []
