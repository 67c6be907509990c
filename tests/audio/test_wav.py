"""WAV bytes: what is written is read, and nothing in a header is trusted."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.audio import g711, wav
from callwright.audio.wav import WavError

SOUND = np.array([0, 1, -1, 32767, -32768], dtype=np.int16)


def file(tag: int, channels: int, bits: int, data: bytes, rate: int = 8000, data_length: int | None = None) -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    length = len(data) if data_length is None else data_length
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk to step over, with its fill byte
    chunks = odd + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def test_what_is_written_is_read_again() -> None:
    sound = wav.parse(wav.serialize(SOUND, 16000))
    assert sound.sample_rate == 16000
    assert sound.samples.tolist() == SOUND.tolist()
    assert sound.duration_seconds == 5 / 16000


def test_a_header_for_two_channels_counts_both() -> None:
    header = wav.header(320, channels=2)
    assert struct.unpack_from("<IHHIIHH4sI", header, 16) == (16, 1, 2, 8000, 32000, 4, 16, b"data", 320)
    both = wav.parse(header + b"\x10\x00\x30\x00" * 80)
    assert (both.duration_seconds, both.samples[0]) == (0.01, 0x20)


def test_the_header_is_44_bytes_and_counts_itself() -> None:
    header = wav.header(320)
    assert len(header) == wav.HEADER_BYTES
    assert struct.unpack_from("<I", header, 4) == (356,)
    assert struct.unpack_from("<IHHIIHH4sI", header, 16) == (16, 1, 1, 8000, 16000, 2, 16, b"data", 320)


@pytest.mark.parametrize(("tag", "encoding"), [(wav.A_LAW, "PCMA"), (wav.MU_LAW, "PCMU")])
def test_g711_files_are_decoded(tag: int, encoding: str) -> None:
    codes = bytes(range(256))
    assert wav.parse(file(tag, 1, 8, codes)).samples.tolist() == g711.decode(encoding, codes).tolist()


def test_channels_are_averaged_and_a_broken_last_frame_is_dropped() -> None:
    stereo = struct.pack("<5h", 100, 300, -32768, -32768, 7)
    assert wav.parse(file(wav.PCM, 2, 16, stereo)).samples.tolist() == [200, -32768]


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 1000])
def test_a_data_length_that_is_unknown_or_a_lie_ends_with_the_bytes(claimed: int) -> None:
    data = file(wav.PCM, 1, 16, SOUND.tobytes(), data_length=claimed)
    assert wav.parse(data).samples.tolist() == SOUND.tolist()


def test_bytes_behind_the_data_are_no_sound() -> None:
    assert len(wav.parse(wav.serialize(SOUND) + b"LIST\4\0\0\0junk").samples) == len(SOUND)


def test_the_extensible_form_names_its_format_further_back() -> None:
    form = struct.pack("<HHIIHHHHI", wav.EXTENSIBLE, 1, 8000, 16000, 2, 16, 22, 16, 4) + struct.pack("<H14x", wav.PCM)
    data = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<Ih", 2, 42)
    assert wav.parse(data).samples.tolist() == [42]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no RIFF"),
        (b"RIFX" + wav.serialize(SOUND)[4:], "no RIFF"),
        (wav.serialize(SOUND)[:36], "no data"),
        (b"RIFF\0\0\0\0WAVEdata\2\0\0\0ab", "before the format"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0abcd", "cut off"),
        (file(3, 1, 32, b"abcd"), "not read here"),
        (file(wav.PCM, 1, 8, b"abcd"), "not read here"),
        (file(wav.PCM, 0, 16, b"abcd"), "channels"),
        (file(wav.PCM, 9, 16, b"abcd"), "channels"),
        (file(wav.PCM, 1, 16, b"abcd", rate=0), "samples per second"),
        (file(wav.PCM, 1, 16, b"abcd", rate=10**6), "samples per second"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, complaint: str) -> None:
    with pytest.raises(WavError, match=complaint):
        wav.parse(data)


@given(st.binary(max_size=100), st.integers(0, 60))
def test_any_bytes_are_read_or_refused(data: bytes, kept: int) -> None:
    with contextlib.suppress(WavError):
        wav.parse(wav.serialize(SOUND)[:kept] + data)
