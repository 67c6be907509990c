"""In-band keys: what must be heard, and what must not (Q.24)."""

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import g711, tones
from callwright.audio.dtmf import DtmfDetector

KEYS = "0123456789*#ABCD"


def heard(samples: NDArray[np.int16], piece: int = 160) -> str:
    detector = DtmfDetector()
    return "".join("".join(detector.receive(samples[at : at + piece])) for at in range(0, len(samples), piece))


def pair(digit: str, seconds: float, low_dbfs: float, high_dbfs: float, off: float = 1.0) -> NDArray[np.int16]:
    low, high = tones.PAIRS_HZ[digit]
    return tones.sine(low * off, seconds, low_dbfs) + tones.sine(high * off, seconds, high_dbfs)


def with_pauses(parts: list[NDArray[np.int16]], seconds: float = 0.06) -> NDArray[np.int16]:
    return np.concatenate([sound for part in parts for sound in (part, tones.silence(seconds))])


@pytest.mark.parametrize("encoding", g711.ENCODINGS)
@pytest.mark.parametrize("on_off_seconds", [(0.1, 0.1), (0.06, 0.06), (0.04, 0.04)])
@pytest.mark.parametrize("level_dbfs", [-6.1, -20.0, -30.0])
def test_every_key_is_heard_through_g711(encoding: str, on_off_seconds: tuple[float, float], level_dbfs: float) -> None:
    sound = tones.dial_string(KEYS, *on_off_seconds, level_dbfs)
    assert heard(g711.decode(encoding, g711.encode(encoding, sound))) == KEYS


@pytest.mark.parametrize("shift", range(0, 80, 16))
def test_keys_are_heard_wherever_the_blocks_fall(shift: int) -> None:
    assert heard(np.concatenate([tones.silence(shift / 8000), tones.dial_string(KEYS, 0.045, 0.045)])) == KEYS


@pytest.mark.parametrize("piece", [1, 37, 160, 1000, 100_000])
def test_keys_are_heard_in_pieces_of_any_size(piece: int) -> None:
    assert heard(tones.dial_string("19#"), piece) == "19#"


@pytest.mark.parametrize("off", [0.985, 1.015])
def test_frequencies_may_be_off_by_1_5_percent(off: float) -> None:
    assert heard(with_pauses([pair(key, 0.06, -13, -13, off) for key in KEYS])) == KEYS


@pytest.mark.parametrize("off", [0.94, 1.06])
def test_frequencies_off_by_6_percent_are_no_keys(off: float) -> None:
    assert heard(with_pauses([pair(key, 0.06, -13, -13, off) for key in "1470"])) == ""


def test_noise_10_db_below_the_keys_is_tolerated() -> None:
    random = np.random.default_rng(1)
    sound = tones.dial_string(KEYS, 0.06, 0.06, -13).astype(np.float64)
    tone_power = 2 * (tones.FULL_SCALE * 10 ** (-13 / 20)) ** 2 / 2
    sound += random.normal(0, np.sqrt(tone_power / 10), len(sound))
    assert heard(np.clip(sound, -32768, 32767).astype(np.int16)) == KEYS


@pytest.mark.parametrize(("low_dbfs", "high_dbfs"), [(-20, -14), (-14, -20)])
def test_twist_of_6_db_is_tolerated(low_dbfs: float, high_dbfs: float) -> None:
    assert heard(with_pauses([pair(key, 0.06, low_dbfs, high_dbfs) for key in KEYS])) == KEYS


@pytest.mark.parametrize(("low_dbfs", "high_dbfs"), [(-25, -10), (-10, -25)])
def test_twist_of_15_db_is_no_key(low_dbfs: float, high_dbfs: float) -> None:
    assert heard(with_pauses([pair(key, 0.06, low_dbfs, high_dbfs) for key in KEYS])) == ""


def test_a_key_held_long_is_pressed_once_and_a_short_dropout_does_not_double_it() -> None:
    assert heard(tones.dtmf("5", 3.0)) == "5"
    held = tones.dtmf("5", 0.3)
    held[1000:1080] = 0
    assert heard(held) == "5"


def test_the_same_key_twice_is_heard_twice() -> None:
    assert heard(tones.dial_string("77", 0.06, 0.06)) == "77"


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(tones.silence(1.0), id="silence"),
        pytest.param(tones.sine(697, 1.0), id="one tone of a pair"),
        pytest.param(tones.mixed((697, 770), 1.0), id="two rows"),
        pytest.param(tones.mixed((697, 1209, 1477), 1.0), id="two columns"),
        pytest.param(tones.mixed((350, 440), 1.0), id="dial tone"),
        pytest.param(tones.mixed((440, 480), 1.0), id="ringback"),
        pytest.param(tones.mixed((697, 1209, 1394, 2418), 1.0), id="harmonics"),
        pytest.param(tones.dtmf("1", 0.02), id="too short"),
        pytest.param(tones.dtmf("1", 1.0, -60), id="too faint"),
    ],
)
def test_what_is_no_key_is_not_heard(sound: NDArray[np.int16]) -> None:
    assert heard(sound) == ""


def test_noise_presses_no_keys() -> None:
    random = np.random.default_rng(2)
    assert heard(np.clip(random.normal(0, 6000, 8000 * 20), -32768, 32767).astype(np.int16)) == ""


def test_a_voice_like_buzz_presses_no_keys() -> None:
    for pitch in range(90, 300, 7):
        harmonics = tuple(float(pitch * n) for n in range(1, 3400 // pitch))
        assert heard(tones.mixed(harmonics, 0.2, -30)) == ""
