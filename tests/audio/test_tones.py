"""Tones and levels."""

import numpy as np
import pytest

from callwright.audio import levels, tones
from callwright.audio.compare import find_tones


def test_a_sine_has_its_length_frequency_and_level() -> None:
    sound = tones.sine(1000, 0.5, -10)
    assert len(sound) == 4000
    assert find_tones(sound) == [pytest.approx(1000, abs=1)]
    assert levels.peak_dbfs(sound) == pytest.approx(-10, abs=0.05)
    assert levels.rms_dbfs(sound) == pytest.approx(-13.01, abs=0.05)


@pytest.mark.parametrize(
    ("digit", "pair"), [("1", (697, 1209)), ("0", (941, 1336)), ("#", (941, 1477)), ("D", (941, 1633))]
)
def test_a_key_is_two_tones(digit: str, pair: tuple[int, int]) -> None:
    assert sorted(find_tones(tones.dtmf(digit, 0.2))) == [pytest.approx(frequency, abs=2) for frequency in pair]


def test_too_much_at_once_is_clipped_not_wrapped() -> None:
    sound = tones.mixed((200, 200, 200), 0.1, 0)
    assert sound.max() == 32767
    assert sound.min() == -32768


def test_ringback_sounds_one_second_in_five() -> None:
    sound = tones.ringback(11)
    assert len(sound) == 88_000
    assert [bool(np.any(sound[8000 * n : 8000 * (n + 1)])) for n in range(11)] == [n % 5 == 0 for n in range(11)]


def test_levels_of_nothing_are_silence() -> None:
    for sound in (tones.silence(0), tones.silence(0.1)):
        assert levels.rms_dbfs(sound) == levels.peak_dbfs(sound) == levels.SILENCE_DBFS


def test_the_loudest_sample_is_full_scale() -> None:
    assert levels.peak_dbfs(np.array([-32768], dtype=np.int16)) == 0.0
