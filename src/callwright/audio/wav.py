"""WAV files in memory: a header to write, a container to read (RIFF WAVE).

Reading is for files of callwright's own making and answers of speech services: 16-bit PCM, A-law and µ-law. Files of
any other make go through the decoder in a worker process. Lengths in the file are never trusted: a chunk that claims
more than there is ends where the bytes end, as streamed files with a length of 0 or 0xFFFFFFFF need.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callwright.audio import g711

PCM, A_LAW, MU_LAW, EXTENSIBLE = 1, 6, 7, 0xFFFE
HEADER_BYTES = 44
_UNKNOWN_LENGTHS = (0, 0xFFFF_FFFF)
_HIGHEST_RATE = 192_000
_MOST_CHANNELS = 8


class WavError(ValueError):
    """The bytes are no WAV file that can be read here; the text says why."""


@dataclass(frozen=True, slots=True)
class Wav:
    """Sound in memory."""

    sample_rate: int
    "per second"
    samples: NDArray[np.int16]
    "one channel; more in the file are averaged"

    @property
    def duration_seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.sample_rate


def header(data_bytes: int, sample_rate: int = 8000, channels: int = 1) -> bytes:
    """The 44 bytes before `data_bytes` of 16-bit PCM; for files that are written as they grow."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        min(36 + data_bytes, 0xFFFF_FFFF),
        b"WAVE",
        b"fmt ",
        16,
        PCM,
        channels,
        sample_rate,
        sample_rate * 2 * channels,
        2 * channels,
        16,
        b"data",
        min(data_bytes, 0xFFFF_FFFF),
    )


def serialize(samples: NDArray[np.int16], sample_rate: int = 8000) -> bytes:
    """A whole 16-bit mono PCM file."""
    data = samples.astype("<i2").tobytes()
    return header(len(data), sample_rate) + data


@dataclass(frozen=True, slots=True)
class _Format:
    tag: int
    channels: int
    sample_rate: int
    bits: int


def parse(data: bytes) -> Wav:
    """Read a file; `WavError` says what is wrong with it."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise WavError("no RIFF WAVE header")
    found: _Format | None = None
    start = 12
    while start + 8 <= len(data):
        name = data[start : start + 4]
        (length,) = struct.unpack_from("<I", data, start + 4)
        body = start + 8
        if name == b"fmt ":
            found = _parse_format(data[body : body + length])
        elif name == b"data":
            if found is None:
                raise WavError("the data chunk comes before the format")
            if length in _UNKNOWN_LENGTHS:
                length = len(data) - body
            return Wav(found.sample_rate, _decode(found, data[body : body + length]))
        start = body + length + length % 2
    raise WavError("no data chunk")


def _parse_format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise WavError("the format chunk is cut off")
    tag, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE:
        if len(chunk) < 26:
            raise WavError("the format chunk is cut off")
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if (tag, bits) not in ((PCM, 16), (A_LAW, 8), (MU_LAW, 8)):
        raise WavError(f"format {tag} with {bits} bits per sample is not read here")
    if not 1 <= channels <= _MOST_CHANNELS or not 1 <= sample_rate <= _HIGHEST_RATE:
        raise WavError(f"{channels} channels at {sample_rate} samples per second")
    return _Format(tag, channels, sample_rate, bits)


def _decode(form: _Format, data: bytes) -> NDArray[np.int16]:
    whole = len(data) - len(data) % (form.channels * form.bits // 8)
    if form.tag == PCM:
        samples = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)
    else:
        samples = g711.decode("PCMA" if form.tag == A_LAW else "PCMU", data[:whole])
    if form.channels == 1:
        return samples
    mono: NDArray[np.int16] = samples.reshape(-1, form.channels).mean(axis=1).round().astype(np.int16)
    return mono
