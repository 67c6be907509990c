"""The process that makes one file: `python -m callwright.recordings.encoder mp3|wav`.

Its standard input is the recording as the call left it, a regular file; its standard output is the file to make; its
standard error receives one JSON line that says how it went. A recording holds what a stranger's telephone sent, so
the process has nothing else: no secrets (who starts it empties its environment), no file or socket beyond those three
(the limit on open files), and limits on memory, processor time and the length of what it makes. It gives way to
others (nice), because calls go on beside it.

The recording is 16-bit PCM at any rate, left what the leg sent and right what it heard. A crash leaves lengths in the
header that are not true, so the sound is all that follows the head of the data chunk. An mp3 has both sides as one
channel, each at half its level: two people who speak at once are not clipped. A wav keeps them apart.
"""

import io
import json
import os
import resource
import struct
import sys
from dataclasses import dataclass
from typing import BinaryIO

import av
import av.logging
import numpy as np

MEMORY_BYTES = 768 * 1024 * 1024
CPU_SECONDS = 1_200
"""An hour of sound takes about ten seconds, so this is several days."""
NICENESS = 10
MP3_BITS_PER_SECOND = 32_000
CHUNK_FRAMES = 65_536

_MOST_HEAD_BYTES = 4_096
_MOST_CHANNELS = 2
_RATES_HZ = range(8_000, 48_001)
_BYTES = 2


class Unusable(Exception):
    """The recording holds no sound that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Form:
    """How the samples lie in the file."""

    channels: int
    sample_rate_hz: int


def main(kind: str) -> None:
    """Make the file and say how it went."""
    # Whatever a library prints must not end up in the file that is made.
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w+b")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    report = os.fdopen(os.dup(2), "w", encoding="utf-8")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, CPU_SECONDS)
    _limit(resource.RLIMIT_FSIZE, os.fstat(source.fileno()).st_size + 1024 * 1024)
    os.nice(NICENESS)
    av.logging.set_level(None)
    _warm()
    _limit(resource.RLIMIT_NOFILE, report.fileno() + 1)
    try:
        seconds = encode(source, target) if kind == "mp3" else copy(source, target)
        target.flush()
        os.fsync(target.fileno())
        answer: dict[str, object] = {"seconds": seconds}
    except Unusable as error:
        answer = {"unusable": str(error)}
    except OSError as error:
        answer = {"failed": error.strerror or "it cannot be written"}
    except MemoryError:
        answer = {"failed": "it needs too much memory"}
    report.write(json.dumps(answer) + "\n")
    report.flush()


def encode(source: BinaryIO, target: BinaryIO) -> float:
    """Sound → mp3, one channel; how many seconds. Unusable, OSError."""
    form = read_head(source)
    frames = 0
    with av.open(target, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=form.sample_rate_hz)
        stream.layout = "mono"
        stream.bit_rate = MP3_BITS_PER_SECOND
        while (samples := _read_frames(source, form)) is not None:
            mono = (samples.astype(np.int32).sum(axis=1) // form.channels).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(mono.reshape(1, -1), format="s16p", layout="mono")
            frame.sample_rate = form.sample_rate_hz
            frame.pts = frames
            frames += len(mono)
            container.mux(stream.encode(frame))
        if not frames:
            raise Unusable("nothing was recorded")
        container.mux(stream.encode(None))
    return frames / form.sample_rate_hz


def copy(source: BinaryIO, target: BinaryIO) -> float:
    """Sound → wav with a true header, channels as they are; how many seconds. Unusable, OSError."""
    form = read_head(source)
    target.write(_header(form, 0))
    written = 0
    while (samples := _read_frames(source, form)) is not None:
        written += target.write(samples.astype("<i2").tobytes())
    if not written:
        raise Unusable("nothing was recorded")
    target.seek(0)
    target.write(_header(form, written))
    return written / (form.channels * _BYTES) / form.sample_rate_hz


def read_head(source: BinaryIO) -> Form:
    """Read up to the first sample; Unusable when this is no recording of ours."""
    riff = source.read(12)
    if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise Unusable("nothing was recorded")
    form: Form | None = None
    left = _MOST_HEAD_BYTES
    while left > 0 and len(head := source.read(8)) == 8:
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            if form is None:
                break
            return form
        left -= 8 + length
        chunk = source.read(length + length % 2) if left > 0 else b""
        if name == b"fmt " and len(chunk) >= 16:
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
            if (tag, bits) != (1, 8 * _BYTES) or not 1 <= channels <= _MOST_CHANNELS or rate not in _RATES_HZ:
                raise Unusable(f"it has a format that is not ours ({tag}, {bits} bits, {channels} channels, {rate} Hz)")
            form = Form(channels, rate)
    raise Unusable("its header is cut off")


def _read_frames(source: BinaryIO, form: Form) -> "np.ndarray[tuple[int, int], np.dtype[np.int16]] | None":
    size = form.channels * _BYTES
    data = source.read(CHUNK_FRAMES * size)
    whole = len(data) - len(data) % size  # a crash may cut a frame in two
    if not whole:
        return None
    return np.frombuffer(data[:whole], dtype="<i2").reshape(-1, form.channels).astype(np.int16)


def _header(form: Form, data_bytes: int) -> bytes:
    frame = form.channels * _BYTES
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        min(36 + data_bytes, 0xFFFF_FFFF),
        b"WAVE",
        b"fmt ",
        16,
        1,
        form.channels,
        form.sample_rate_hz,
        form.sample_rate_hz * frame,
        frame,
        8 * _BYTES,
        b"data",
        min(data_bytes, 0xFFFF_FFFF),
    )


def _warm() -> None:
    """Have loaded what is loaded on first use, before the process may open nothing more."""
    silence = io.BytesIO(_header(Form(2, 8_000), 6_400) + bytes(6_400))
    encode(silence, io.BytesIO())


def _limit(what: int, most: int) -> None:
    """Lower a limit for good; one that is already lower stays."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    main(sys.argv[1])
