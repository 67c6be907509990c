"""Sound to packets and back, for every codec that calls speak: G.711 by table, G.722 and Opus by FFmpeg's libraries.

Those libraries are loaded when they are needed first, or by `load`: that takes a fifth of a second and 20 MB, which
whoever needs G.711 at one rate is spared. Coders keep what they heard before; one of each is needed for every
direction of every call.
"""

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from callwright.audio import g711
from callwright.audio.codecs import CODECS, OPUS_BITS_PER_SECOND, OPUS_CLOCK_RATE

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler
    from av.audio.codeccontext import AudioCodecContext

Samples = NDArray[np.int16]

_OPUS_OPTIONS: Final = {"application": "voip", "frame_duration": "20", "vbr": "off"}
_OPUS_DECODER: Final = "libopus"


class CodingError(ValueError):
    """A packet is no packet of the codec."""


def load() -> None:
    """Load what coding needs now, not in the middle of calls."""
    import av.error  # noqa: F401  which loads all of it


def _context(name: str, mode: Literal["r", "w"], sample_rate: int) -> "AudioCodecContext":
    from av import CodecContext
    from av.audio.codeccontext import AudioCodecContext

    context = CodecContext.create(name, mode)
    assert isinstance(context, AudioCodecContext)  # noqa: S101  for the type checker: all of ours are
    context.sample_rate = sample_rate
    context.layout = "mono"
    context.thread_count = 1
    if mode == "w":
        context.format = "s16"
    return context


def _frame(samples: Samples, sample_rate: int) -> "AudioFrame":
    from av import AudioFrame

    frame = AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = sample_rate
    return frame


class Resampler:
    """Mono sound of one rate, piece by piece, as sound of another. Some milliseconds stay behind for the next piece."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._from_rate, self._to_rate = from_rate, to_rate
        self._resampler: AudioResampler | None = None
        self._ready = np.zeros(0, dtype=np.int16)
        if from_rate != to_rate:
            import av

            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=to_rate)

    def receive(self, samples: Samples) -> Samples:
        """What is ready with these samples; as many in the long run as the rates say."""
        if self._resampler is None or not len(samples):
            return samples
        return _joined(self._resampler.resample(_frame(samples, self._from_rate)))

    def in_step(self, samples: Samples) -> Samples:
        """Exactly as much time as goes in: silence goes before the first sound in place of what stayed behind."""
        if self._resampler is None:
            return samples
        wanted = len(samples) * self._to_rate // self._from_rate
        ready = np.concatenate([self._ready, self.receive(samples)])
        if len(ready) < wanted:
            ready = np.concatenate([np.zeros(wanted - len(ready), dtype=np.int16), ready])
        self._ready = ready[wanted:]
        return ready[:wanted]

    def rest(self) -> Samples:
        """What stayed behind; nothing may be handed in afterwards."""
        if self._resampler is None:
            return np.zeros(0, dtype=np.int16)
        return _joined(self._resampler.resample(None))


def _joined(frames: "list[AudioFrame]") -> Samples:
    if not frames:
        return np.zeros(0, dtype=np.int16)
    return np.concatenate([frame.to_ndarray()[0].astype(np.int16, copy=False) for frame in frames])


class Decoder:
    """Packets of one codec to sound at `CODECS[codec].sample_rate`. KeyError for a codec that calls do not speak."""

    def __init__(self, codec: str) -> None:
        self.codec = CODECS[codec]
        self._context: AudioCodecContext | None = None
        self._resampler: Resampler | None = None
        if codec == "G722":
            self._context = _context("g722", "r", self.codec.sample_rate)
        elif codec == "OPUS":
            self._context = _context(_OPUS_DECODER, "r", OPUS_CLOCK_RATE)
            self._resampler = Resampler(OPUS_CLOCK_RATE, self.codec.sample_rate)

    def decode(self, payload: bytes) -> Samples:
        """The sound in one packet; CodingError when it is damaged, and the next one may be good again."""
        if self._context is None:
            return g711.decode(self.codec.name, payload)
        if not payload:
            return np.zeros(0, dtype=np.int16)
        from av import Packet
        from av.error import FFmpegError

        try:
            frames = self._context.decode(Packet(payload))
        except FFmpegError as error:
            raise CodingError(f"{len(payload)} bytes are no {self.codec.name}: {error}") from error
        sound = _joined(frames)
        return sound if self._resampler is None else self._resampler.in_step(sound)


class Encoder:
    """Sound at `CODECS[codec].sample_rate` to frames of 20 ms. KeyError for a codec that calls do not speak."""

    def __init__(self, codec: str) -> None:
        self.codec = CODECS[codec]
        self._context: AudioCodecContext | None = None
        if codec == "G722":
            self._context = _context("g722", "w", self.codec.sample_rate)
        elif codec == "OPUS":
            self._context = _context("libopus", "w", self.codec.sample_rate)
            self._context.bit_rate = OPUS_BITS_PER_SECOND
            self._context.options = dict(_OPUS_OPTIONS)

    def encode(self, samples: Samples) -> bytes:
        """One frame; ValueError for more or less than 20 ms."""
        if len(samples) != self.codec.frame_samples:
            raise ValueError(f"{len(samples)} samples are no frame of {self.codec.frame_samples}")
        if self._context is None:
            return g711.encode(self.codec.name, samples)
        packets = self._context.encode(_frame(samples, self.codec.sample_rate))
        return b"".join(bytes(packet) for packet in packets)


def encoded(codec: str, pcm: bytes, sample_rate: int) -> bytes:
    """A whole sound, signed 16-bit little-endian mono, as frames of 20 ms; silence fills the last one up."""
    encoder, resampler = Encoder(codec), Resampler(sample_rate, CODECS[codec].sample_rate)
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False)
    step = sample_rate  # a second at a time
    pieces = [resampler.receive(samples[at : at + step]) for at in range(0, len(samples), step)]
    wanted = np.concatenate([*pieces, resampler.rest()] if pieces else [resampler.rest()])
    size = encoder.codec.frame_samples
    wanted = np.concatenate([wanted, np.zeros(-len(wanted) % size, dtype=np.int16)])
    return b"".join(encoder.encode(wanted[at : at + size]) for at in range(0, len(wanted), size))
