"""16 kHz becomes 8 kHz with the telephone band untouched and nothing folded into it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import levels, tones
from callwright.speech.halving import halved


def half(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    return np.frombuffer(halved(samples.astype("<i2").tobytes()), dtype="<i2").astype(np.int16)


def gain_db(frequency_hz: float) -> float:
    sound = tones.sine(frequency_hz, 1.0, rate=16_000)
    return levels.rms_dbfs(half(sound)[200:-200]) - levels.rms_dbfs(sound)


@pytest.mark.parametrize("frequency_hz", [50, 300, 1_000, 2_000, 3_000, 3_400])
def test_the_telephone_band_is_flat(frequency_hz: float) -> None:
    assert abs(gain_db(frequency_hz)) < 0.1


@pytest.mark.parametrize("frequency_hz", [4_010, 4_200, 4_600, 5_000, 6_000, 7_000, 7_900])
def test_nothing_folds_back(frequency_hz: float) -> None:
    assert gain_db(frequency_hz) < -65  # what is left is the rounding to 16 bits


def test_length_and_time_are_kept() -> None:
    for count in (0, 1, 2, 3, 999, 1_000):
        assert len(half(np.zeros(count, np.int16))) == (count + 1) // 2
    click = np.zeros(2_000, np.int16)
    click[1_000] = 20_000
    assert int(np.argmax(np.abs(half(click).astype(np.int32)))) == 500


def test_full_scale_does_not_wrap_and_an_odd_byte_is_dropped() -> None:
    square = np.where(np.arange(4_000) % 40 < 20, 32_767, -32_768).astype(np.int16)
    sound = half(square)
    assert int(sound.max()) == 32_767
    assert int(sound.min()) == -32_768
    assert halved(b"\1\0\0") == halved(b"\1\0")
