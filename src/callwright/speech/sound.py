"""Resampling to 8 or 16 kHz 16-bit mono with the anti-aliasing that a telephone needs. Inside worker processes only.

libswresample's default filter keeps what would fold back below -90 dB; linear interpolation would leave it at -0.3 dB.
"""

from av import AudioFrame, AudioResampler

from callwright.speech.synthesizer import MOST_SECONDS, SAMPLE_RATE_HZ

_BYTES_PER_SAMPLE = 2
_CHUNK_SAMPLES = 16_384


class TooLong(Exception):
    """More than ten minutes of sound."""


class Downsampler:
    """Collects frames of any rate, format and channel count, even changing ones, as 16-bit mono of one rate."""

    def __init__(self, to_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        self._to_rate_hz = to_rate_hz
        self._pcm = bytearray()
        self._setup: tuple[int, str, str] | None = None
        self._resampler: AudioResampler | None = None

    def add(self, frame: AudioFrame) -> None:
        """Take one decoded frame. TooLong once there are more than ten minutes."""
        setup = (frame.sample_rate, frame.format.name, frame.layout.name)
        if setup != self._setup:
            self._flush()
            self._setup = setup
            self._resampler = AudioResampler(format="s16", layout="mono", rate=self._to_rate_hz)
        # Time stamps of a broken file must not make the resampler invent or drop sound.
        frame.pts = None
        assert self._resampler is not None  # noqa: S101 - set above, for the type checker
        self._take(self._resampler.resample(frame))

    def finish(self) -> bytes:
        """All of it, as signed 16-bit little-endian mono."""
        self._flush()
        return bytes(self._pcm)

    def _flush(self) -> None:
        if self._resampler is not None:
            self._take(self._resampler.resample(None))
            self._resampler = None

    def _take(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._pcm += bytes(frame.planes[0])[: frame.samples * _BYTES_PER_SAMPLE]
        if len(self._pcm) > MOST_SECONDS * self._to_rate_hz * _BYTES_PER_SAMPLE:
            raise TooLong


def downsampled(pcm: bytes, sample_rate_hz: int, to_rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """16-bit mono at one rate, as 16-bit mono at another. Raises TooLong."""
    sampler = Downsampler(to_rate_hz)
    step = _CHUNK_SAMPLES * _BYTES_PER_SAMPLE
    for start in range(0, len(pcm), step):
        chunk = pcm[start : start + step]
        frame = AudioFrame(format="s16", layout="mono", samples=len(chunk) // _BYTES_PER_SAMPLE)
        frame.sample_rate = sample_rate_hz
        frame.planes[0].update(chunk.ljust(frame.planes[0].buffer_size, b"\0"))
        sampler.add(frame)
    return sampler.finish()
