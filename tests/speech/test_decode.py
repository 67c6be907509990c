"""Customers' files, good and hostile, generated here byte by byte or by an encoder."""

import io
import struct
from collections.abc import Iterator, Sequence

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import g711, levels, tones
from callwright.speech.decode import Undecodable, decode, file_type

PCM, FLOAT, ALAW, MULAW, ADPCM, EXTENSIBLE = 1, 3, 6, 7, 2, 0xFFFE


def chunk(name: bytes, data: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def wav(
    data: bytes, *, rate: int = 8000, channels: int = 1, bits: int = 16, form: int = PCM, data_size: int | None = None
) -> bytes:
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", form, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    body = b"WAVE" + chunk(b"fmt ", head) + chunk(b"data", data, data_size)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def mp3(samples: NDArray[np.int16], rate: int = 44_100, layout: str = "mono", bit_rate: int = 64_000) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout=layout)
        stream.bit_rate = bit_rate
        channels = 2 if layout == "stereo" else 1
        packed = np.repeat(samples, channels).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return out.getvalue()


def samples_of(data: bytes) -> NDArray[np.int16]:
    return np.frombuffer(decode(data).pcm, dtype="<i2").astype(np.int16)


def middle(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    return samples[len(samples) // 4 : -len(samples) // 4]


def level_at(samples: NDArray[np.int16], frequency_hz: float) -> float:
    """Level of one tone in dB below full scale, by correlation over the middle of the sound."""
    part = middle(samples).astype(np.float64) * np.hanning(len(middle(samples))) * 2
    wave = np.exp(-2j * np.pi * frequency_hz * np.arange(len(part)) / 8000)
    return float(20 * np.log10(max(np.abs(part @ wave) * 2 / len(part) / 32768, 1e-9)))


TONE_44K = tones.sine(1000, 1.0, -10.0, rate=44_100)


def same_sound(samples: Sequence[int] | NDArray[np.int16]) -> Iterator[tuple[str, bytes]]:
    """One sound in every form that is accepted."""
    plain = np.asarray(samples, dtype=np.int16)
    wide = plain.astype(np.int32)
    yield "16 bit", wav(plain.tobytes(), rate=44_100)
    yield "8 bit", wav((((plain >> 8) + 128).astype(np.uint8)).tobytes(), rate=44_100, bits=8)
    packed = (wide << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
    yield "24 bit", wav(packed.tobytes(), rate=44_100, bits=24)
    yield "32 bit", wav((wide << 16).astype("<i4").tobytes(), rate=44_100, bits=32)
    yield "float", wav((plain / 32768).astype("<f4").tobytes(), rate=44_100, bits=32, form=FLOAT)
    yield "double", wav((plain / 32768).astype("<f8").tobytes(), rate=44_100, bits=64, form=FLOAT)
    yield "stereo", wav(np.repeat(plain, 2).tobytes(), rate=44_100, channels=2)
    yield "8 channels", wav(np.repeat(plain, 8).tobytes(), rate=44_100, channels=8)
    yield "mp3 mono", mp3(plain)
    yield "mp3 stereo", mp3(plain, layout="stereo")


@pytest.mark.parametrize(("form", "data"), [pytest.param(form, data, id=form) for form, data in same_sound(TONE_44K)])
def test_every_accepted_form_sounds_the_same(form: str, data: bytes) -> None:
    samples = samples_of(data)
    assert len(samples) == pytest.approx(8000, abs=900 if "mp3" in form else 4)  # an mp3 encoder pads
    assert level_at(samples, 1000) == pytest.approx(-10.0, abs=0.5)


def test_g711_files_come_through_bit_for_bit() -> None:
    tone = tones.sine(440, 0.5)
    for form, encoding in ((ALAW, "PCMA"), (MULAW, "PCMU")):
        codes = g711.encode(encoding, tone)
        assert np.array_equal(samples_of(wav(codes, bits=8, form=form)), g711.decode(encoding, codes))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_a_tone_of_the_telephone_band_comes_through_at_its_level(rate: int) -> None:
    samples = samples_of(wav(tones.sine(1000, 0.5, -10.0, rate=rate).tobytes(), rate=rate))
    assert level_at(samples, 1000) == pytest.approx(-10.0, abs=0.5)
    assert len(samples) == pytest.approx(4000, abs=4)


@pytest.mark.parametrize(("rate", "tone_hz"), [(44_100, 4_600), (44_100, 7_000), (48_000, 5_000), (16_000, 4_600)])
def test_a_tone_above_the_telephone_band_does_not_fold_back(rate: int, tone_hz: int) -> None:
    samples = samples_of(wav(tones.sine(tone_hz, 1.0, -3.0, rate=rate).tobytes(), rate=rate))
    assert levels.rms_dbfs(middle(samples)) < -63.0


GOOD_MP3 = mp3(TONE_44K)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a wav whose data chunk claims 4 GB", wav(TONE_44K.tobytes(), rate=44_100, data_size=0xFFFFFFFF)),
        ("a wav whose data chunk claims nothing", wav(TONE_44K.tobytes(), rate=44_100, data_size=0)),
        ("a wav cut in the middle of a sample", wav(TONE_44K.tobytes(), rate=44_100)[:-1001]),
        ("an mp3 cut in the middle of a frame", GOOD_MP3[: len(GOOD_MP3) - 333]),
        ("an mp3 with rubbish in the middle", GOOD_MP3[:3000] + bytes(range(256)) * 2 + GOOD_MP3[3000:]),
        ("an mp3 with a big ID3 tag", b"ID3\x04\0\0\0\x40\0\0" + bytes(1_048_576) + GOOD_MP3[45:]),
        (
            "a wav with chunks nobody knows",
            wav(b"")[:12] + chunk(b"junk", bytes(999)) + wav(TONE_44K.tobytes(), rate=44_100)[12:],
        ),
    ],
)
def test_an_odd_file_is_played_as_far_as_it_can_be(name: str, data: bytes) -> None:
    assert name
    samples = samples_of(data)
    assert levels.rms_dbfs(middle(samples)) == pytest.approx(-13.0, abs=1.5)


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"
NOISE = np.random.default_rng(7).integers(0, 256, 60_000, dtype=np.uint8).tobytes()
HOSTILE = [
    ("empty", b"", "empty"),
    ("one byte", b"R", "neither"),
    ("a web page", b"\n<!DOCTYPE html><html>404</html>", "web page"),
    ("a playlist", HLS, "neither"),
    ("a playlist behind a wav magic", b"RIFF\0\0\0\0WAVE" + HLS, "damaged"),
    ("a playlist behind an mp3 magic", b"ID3\x04\0\0\0\0\0\0" + HLS, "damaged"),
    ("a session description", SDP, "neither"),
    ("an ffconcat script", b"ffconcat version 1.0\nfile /etc/passwd\n", "neither"),
    ("Ogg", b"OggS" + bytes(100), "Ogg"),
    ("MP4", bytes(4) + b"ftypisom" + bytes(100), "MP4"),
    ("FLAC", b"fLaC" + bytes(100), "FLAC"),
    ("a zip", b"PK\x03\x04" + NOISE, "neither"),
    ("gzip", b"\x1f\x8b\x08" + NOISE, "neither"),
    ("only a wav magic", b"RIFF\0\0\0\0WAVE", "damaged"),
    ("a wav of nothing", wav(b""), "no sound"),
    ("a 1 Hz header", wav(bytes(200_000), rate=1), "1 Hz"),
    ("a 0 Hz header", wav(bytes(2_000), rate=0), "damaged"),
    ("a 4 GHz header", wav(bytes(2_000), rate=0xFFFFFFFF), "damaged"),
    ("a 192.001 kHz header", wav(bytes(20_000), rate=192_001), "192001 Hz"),
    ("no channels", wav(bytes(2_000), channels=0), "0 channels"),
    ("9 channels", wav(bytes(18_000), channels=9), "9 channels"),
    ("65,535 channels", wav(bytes(200_000), channels=65_535), "channels"),
    ("0 bits", wav(bytes(2_000), bits=0), "codec"),
    ("65,535 bits", wav(bytes(2_000), bits=65_535), "codec"),
    ("ADPCM", wav(bytes(4_096), bits=4, form=ADPCM), "codec adpcm_ms"),
    ("a codec nobody knows", wav(bytes(4_096), form=0x4242), "codec"),
    ("video in a wav", wav(bytes(4_096), form=0x0130), "codec"),
    ("11 minutes", wav(bytes(8_000 * 661), bits=8), "longer than 10 minutes"),
    ("21 minutes at 4 kHz", wav(bytes(5_200_000), rate=4_000, bits=8), "longer than 10 minutes"),
    ("two formats", wav(b"")[:12] + chunk(b"fmt ", bytes(16)) * 2_000, "damaged"),
    ("an endless chain of small chunks", b"RIFF\xff\xff\xff\xffWAVE" + chunk(b"junk", b"") * 300_000, "damaged"),
    ("a chunk that claims 4 GB", b"RIFF\xff\xff\xff\xffWAVE" + chunk(b"LIST", b"INFO", 0xFFFFFFFF), "damaged"),
    ("noise behind an mp3 magic", b"\xff\xfb" + NOISE, "damaged"),
    ("an ID3 tag that claims 256 MB", b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(5_000_000), "damaged"),
    ("mp3 headers without data", b"\xff\xfb\x90\x00" * 200_000, "too much of it is damaged"),
]


@pytest.mark.parametrize(("data", "reason"), [pytest.param(data, reason, id=name) for name, data, reason in HOSTILE])
def test_a_hostile_file_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(data)


def test_frames_that_end_in_nothing_give_their_little_sound() -> None:
    assert len(decode(b"\xff\xfb\x90\x00" + bytes(5_000_000)).pcm) < 16_000


def test_at_least_25_hostile_files_are_tried() -> None:
    assert len(HOSTILE) >= 25


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"RIFX\0\0\0\0WAVE", None),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90", "mp3"),
        (b"\xff\xf3", "mp3"),
        (b"\xff\xe3", "mp3"),
        (b"\xff\xfd", None),  # layer II
        (b"\xff\xf1", None),  # AAC
        (b"\xff", None),
        (b"", None),
    ],
)
def test_the_type_is_told_from_the_first_bytes(start: bytes, kind: str | None) -> None:
    assert file_type(start) == kind
