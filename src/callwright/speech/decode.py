"""Customers' mp3 and wav files into 16-bit mono at 8 or 16 kHz. Runs inside worker processes only.

The type is told from the first bytes and the demuxer forced to it: probing would let a playlist or a session
description through, which open further files and URLs. What a header may claim is bounded before a sample is decoded:
a rate of 1 Hz once cost 25 s of processor time.
"""

import io
import itertools
from dataclasses import dataclass
from typing import cast

import av
import av.error
from av import AudioCodecContext
from av.container import InputContainer

from callwright.speech.sound import Downsampler, TooLong
from callwright.speech.synthesizer import SAMPLE_RATE_HZ

LOWEST_RATE_HZ = 4_000
HIGHEST_RATE_HZ = 192_000
MOST_CHANNELS = 8
MOST_BAD_PACKETS = 50
MOST_PACKETS = 2_000_000
CODECS = frozenset(
    (
        *("mp3", "mp3float"),
        *("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"),
        *("pcm_alaw", "pcm_mulaw"),
    )
)

# MPEG-1, 2 and 2.5 layer III: 11 sync bits, version not reserved, layer bits 01 (ISO 11172-3 §2.4.1.3).
_MP3_SECOND_BYTES = frozenset((0xFA, 0xFB, 0xF2, 0xF3, 0xE2, 0xE3))


class Undecodable(Exception):
    """The file is not sound that can be played; the text is a clause that says why ("it is ...")."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file as sound."""

    pcm: bytes
    codec: str
    sample_rate_hz: int
    channels: int
    bad_packets: int


def file_type(data: bytes) -> str | None:
    """`wav` or `mp3` by the first bytes, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] and data[1] in _MP3_SECOND_BYTES):
        return "mp3"
    return None


def decode(data: bytes, to_rate_hz: int = SAMPLE_RATE_HZ) -> Decoded:
    """Decode a whole file to sound at `to_rate_hz`; raises Undecodable with a clause for people."""
    kind = file_type(data)
    if kind is None:
        raise Undecodable(f"it is neither an mp3 nor a wav file{_what_it_seems(data)}")
    try:
        with av.open(io.BytesIO(data), mode="r", format=kind, metadata_errors="ignore") as container:
            return _decode_stream(container, to_rate_hz)
    except TooLong:
        raise Undecodable("it is longer than 10 minutes") from None
    except (av.error.FFmpegError, ValueError, EOFError) as error:
        raise Undecodable(f"its {kind} data is damaged") from error


def _decode_stream(container: InputContainer, to_rate_hz: int) -> Decoded:
    if len(container.streams.audio) < 1:
        raise Undecodable("it holds no sound")
    stream = container.streams.audio[0]
    # None, though PyAV's types do not say so, when FFmpeg has no decoder for the format.
    context = cast("AudioCodecContext | None", stream.codec_context)
    if context is None:
        raise Undecodable("its codec is not one of MP3, PCM, A-law and µ-law")
    codec, rate_hz, channels = context.name, context.sample_rate, context.channels
    if codec not in CODECS:
        raise Undecodable(f"its codec {codec} is not one of MP3, PCM, A-law and µ-law")
    _check_form(rate_hz, channels)
    context.thread_count = 1
    sampler = Downsampler(to_rate_hz)
    bad_packets = 0
    for packet in itertools.islice(container.demux(stream), MOST_PACKETS):
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            bad_packets += 1
            if bad_packets > MOST_BAD_PACKETS:
                raise Undecodable("too much of it is damaged") from error
            continue
        for frame in frames:
            _check_form(frame.sample_rate, frame.layout.nb_channels)
            sampler.add(frame)
    pcm = sampler.finish()
    if not pcm:
        raise Undecodable("it holds no sound")
    return Decoded(pcm, codec, rate_hz, channels, bad_packets)


def _check_form(rate_hz: int, channels: int) -> None:
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise Undecodable(f"its sample rate of {rate_hz} Hz is not between 4 and 192 kHz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise Undecodable(f"it has {channels} channels, not between 1 and 8")


def _what_it_seems(data: bytes) -> str:
    start = data[:64].lstrip().lower()
    if not data:
        return ": it is empty"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return ": it looks like a web page"
    known = ((b"OggS", "Ogg"), (b"fLaC", "FLAC"), (b"#!AMR", "AMR"), (b"FORM", "AIFF"), (b"\x1aE\xdf\xa3", "Matroska"))
    name = "MP4" if data[4:8] == b"ftyp" else next((name for magic, name in known if data.startswith(magic)), None)
    return f": it looks like {name}" if name else ""
