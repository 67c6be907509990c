"""Sound through each codec and back: the same sound, at the same time."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from callwright.audio.codecs import CODECS, opus_ticks
from callwright.audio.coding import CodingError, Decoder, Encoder, Resampler, encoded
from callwright.audio.levels import rms_dbfs

ALL = sorted(CODECS)
WIDE = ("G722", "OPUS")


def tone(hertz: float, rate: int, seconds: float = 1.0, level: float = 8000) -> NDArray[np.int16]:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


def speechlike(rate: int, seconds: float = 2.0) -> NDArray[np.int16]:
    """Harmonics that come and go in syllables."""
    at = np.arange(round(rate * seconds)) / rate
    voice = sum(np.sin(2 * np.pi * 140 * n * at + n * n) / n for n in range(1, 22))
    return (4000 * voice * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * at))).astype(np.int16)


def frames(data: bytes, codec: str) -> list[bytes]:
    size = CODECS[codec].frame_bytes
    assert len(data) % size == 0
    return [data[at : at + size] for at in range(0, len(data), size)]


def through(codec: str, sound: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    decoder = Decoder(codec)
    return np.concatenate([decoder.decode(frame) for frame in frames(encoded(codec, sound.tobytes(), rate), codec)])


def strongest(sound: NDArray[np.int16], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * rate / len(sound)


def alike(heard: NDArray[np.int16], wanted: NDArray[np.int16], most_delay: int) -> float:
    """The best correlation within a delay."""
    one, other = heard.astype(float), wanted.astype(float)
    best = 0.0
    for delay in range(most_delay + 1):
        part, whole = one[delay:], other[: max(0, len(one) - delay)]
        size = min(len(part), len(whole))
        best = max(
            best, float(part[:size] @ whole[:size]) / float(np.linalg.norm(part[:size]) * np.linalg.norm(whole[:size]))
        )
    return best


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050])
@pytest.mark.parametrize("hertz", [440.0, 1000.0, 2500.0])
def test_a_tone_comes_through_at_its_pitch_and_level(codec: str, rate: int, hertz: float) -> None:
    heard = through(codec, tone(hertz, rate), rate)[800:]
    assert strongest(heard, CODECS[codec].sample_rate) == pytest.approx(hertz, abs=3)
    assert rms_dbfs(heard) == pytest.approx(rms_dbfs(tone(hertz, rate)), abs=1.5)


@pytest.mark.parametrize("codec", WIDE)
def test_wide_band_codecs_carry_what_a_telephone_does_not(codec: str) -> None:
    heard = through(codec, tone(6_000, 16_000), 16_000)[1600:]
    assert strongest(heard, 16_000) == pytest.approx(6_000, abs=5)
    assert rms_dbfs(heard) == pytest.approx(rms_dbfs(tone(6_000, 16_000)), abs=4)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_what_a_telephone_cannot_carry_does_not_come_back_as_something_else(codec: str) -> None:
    assert rms_dbfs(through(codec, tone(6_000, 16_000), 16_000)[800:-800]) < -60


@pytest.mark.parametrize(("codec", "least"), [("PCMU", 0.99), ("PCMA", 0.99), ("G722", 0.97), ("OPUS", 0.75)])
def test_speech_comes_through_as_it_was(codec: str, least: float) -> None:
    rate = CODECS[codec].sample_rate
    sound = speechlike(rate)
    assert alike(through(codec, sound, rate), sound, most_delay=rate // 50) > least


@pytest.mark.parametrize("codec", ALL)
def test_frames_are_of_one_size_and_last_20_ms(codec: str) -> None:
    shape = CODECS[codec]
    data = frames(encoded(codec, speechlike(16_000).tobytes(), 16_000), codec)
    assert len(data) in (100, 101)  # the resampler's delay
    assert {shape.ticks(frame) for frame in data} == {shape.frame_ticks}
    decoder = Decoder(codec)
    assert abs(sum(len(decoder.decode(frame)) for frame in data) - len(data) * shape.frame_samples) < 320


@pytest.mark.parametrize("codec", ALL)
def test_silence_is_silent_after_anything_loud(codec: str) -> None:
    shape = CODECS[codec]
    decoder = Decoder(codec)
    noise = np.random.default_rng(5).normal(0, 6000, 16_000).astype(np.int16)
    for frame in frames(encoded(codec, noise.tobytes(), 16_000), codec):
        decoder.decode(frame)
    assert shape.ticks(shape.silence) == shape.frame_ticks
    heard = [decoder.decode(shape.silence) for _ in range(25)]
    assert all(np.std(sound) < 40 for sound in heard[10:])
    assert np.max(np.abs(np.concatenate(heard[10:]))) < 60


@pytest.mark.parametrize("codec", WIDE)
def test_sound_after_silence_comes_through(codec: str) -> None:
    """A prompt is encoded on its own, and follows silence that was not: the decoder catches up at once."""
    decoder = Decoder(codec)
    for _ in range(50):
        decoder.decode(CODECS[codec].silence)
    data = frames(encoded(codec, tone(1000, 16_000).tobytes(), 16_000), codec)
    heard = np.concatenate([decoder.decode(frame) for frame in data])
    assert strongest(heard, 16_000) == pytest.approx(1000, abs=3)
    assert rms_dbfs(heard[1600:]) == pytest.approx(rms_dbfs(tone(1000, 16_000)), abs=1.5)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
def test_divisible_codecs_may_be_cut_anywhere(codec: str) -> None:
    data = encoded(codec, speechlike(16_000).tobytes(), 16_000)
    whole, pieces = Decoder(codec), Decoder(codec)
    one = np.concatenate([whole.decode(frame) for frame in frames(data, codec)])
    other = np.concatenate([pieces.decode(data[at : at + 80]) for at in range(0, len(data), 80)])
    assert np.array_equal(one, other)
    assert CODECS[codec].packet_ms(30) == 30
    assert CODECS["OPUS"].packet_ms(30) == 20


@pytest.mark.parametrize("codec", ALL)
def test_damage_is_said_or_heard_and_the_next_packet_is_good(codec: str) -> None:
    decoder = Decoder(codec)
    for damaged in (b"", b"\xff", b"\xff\xff\xff", b"\x03", bytes(7), b"\xab" * 3000):
        with contextlib.suppress(CodingError):
            decoder.decode(damaged)
    data = frames(encoded(codec, tone(1000, 16_000).tobytes(), 16_000), codec)
    heard = np.concatenate([decoder.decode(frame) for frame in data])
    assert strongest(heard[4000:], CODECS[codec].sample_rate) == pytest.approx(1000, abs=5)


@given(st.binary(max_size=200))
def test_opus_takes_what_its_length_says_or_refuses(payload: bytes) -> None:
    assert 0 <= opus_ticks(payload) <= 5_760


@pytest.mark.parametrize(
    ("payload", "ticks"),
    [
        ("48", 960), ("40", 480), ("58", 2_880), ("68", 960), ("80", 120), ("f8", 960), ("49", 1_920), ("4a", 1_920),
        ("4b03", 2_880), ("4b06", 5_760), ("4b07", 0), ("4b", 0), ("", 0), ("5b03", 0),
    ],
)  # fmt: skip
def test_the_length_of_an_opus_packet_is_read_from_its_head(payload: str, ticks: int) -> None:
    assert opus_ticks(bytes.fromhex(payload)) == ticks


@pytest.mark.parametrize("codec", ALL)
def test_half_a_frame_is_refused(codec: str) -> None:
    with pytest.raises(ValueError, match="samples"):
        Encoder(codec).encode(np.zeros(10, dtype=np.int16))


@pytest.mark.parametrize(("one", "other"), [(8_000, 16_000), (16_000, 8_000), (48_000, 16_000), (8_000, 8_000)])
def test_sound_in_pieces_is_resampled_as_a_whole(one: int, other: int) -> None:
    resampler = Resampler(one, other)
    sound = tone(1000, one)
    step = one // 50
    pieces = [resampler.receive(sound[at : at + step]) for at in range(0, len(sound), step)]
    heard = np.concatenate([*pieces, resampler.rest()])
    assert abs(len(heard) - other) <= 40
    assert strongest(heard, other) == pytest.approx(1000, abs=3)
    assert rms_dbfs(heard) == pytest.approx(rms_dbfs(sound), abs=0.3)


@pytest.mark.parametrize(("one", "other"), [(8_000, 16_000), (16_000, 8_000), (48_000, 16_000), (8_000, 8_000)])
def test_sound_in_step_is_as_long_as_what_went_in(one: int, other: int) -> None:
    resampler = Resampler(one, other)
    sound = tone(1000, one)
    step = one // 50
    pieces = [resampler.in_step(sound[at : at + step]) for at in range(0, len(sound), step)]
    assert {len(piece) for piece in pieces} == {other // 50}
    assert strongest(np.concatenate(pieces), other) == pytest.approx(1000, abs=3)


def test_g711_at_its_own_rate_is_coded_without_loading_what_codes_the_others() -> None:
    program = """
import sys
import numpy
from callwright.audio.coding import Decoder, Encoder, Resampler

assert Decoder("PCMU").decode(Encoder("PCMU").encode(numpy.zeros(160, numpy.int16))).tolist() == [0] * 160
assert len(Resampler(8000, 8000).receive(numpy.zeros(160, numpy.int16))) == 160
assert "av" not in sys.modules
Encoder("G722")
assert "av" in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
