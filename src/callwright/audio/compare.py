"""Is what arrived the prompt that was played? Tones found again, recordings aligned and correlated (8 kHz sound)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callwright.audio import levels

SAMPLE_RATE = 8000
_SEGMENT_MS = 20
_PRESENT_CORRELATION = 0.5
"""Below this a 20 ms piece of the prompt is missing from the recording; G.711 alone leaves above 0.99."""
_AUDIBLE_DBFS = -55.0
"""A quieter piece of the prompt says nothing about whether it arrived."""


def find_tones(samples: NDArray[np.int16], most: int = 4, above_db: float = -20.0) -> list[float]:
    """The strongest frequencies in Hz, strongest first: peaks of the spectrum within `above_db` of the highest.

    Resolution is that of the sound's length: 0.5 s tells tones 4 Hz apart. An empty or silent sound has none.
    """
    if len(samples) < 64 or levels.rms_dbfs(samples) < -80:
        return []
    size = 1 << (4 * len(samples) - 1).bit_length()  # zero-padded, so that peaks lie between the bins
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    width = max(1, round(3 * size / len(samples)))  # the main lobe of the window: one peak each
    floor = float(np.max(spectrum)) * 10 ** (above_db / 20)
    found: list[float] = []
    while len(found) < most:
        peak = int(np.argmax(spectrum))
        if spectrum[peak] < floor:
            break
        found.append(peak * SAMPLE_RATE / size)
        spectrum[max(0, peak - width) : peak + width + 1] = 0
    return found


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a recording compares with the prompt that should be in it."""

    delay_ms: float
    "where in the recording the prompt begins; negative when its beginning was cut off"
    correlation: float
    "of the prompt with the recording at that place: 1.0 is the same sound, 0 another"
    missing_ms: int
    "audible parts of the prompt that are not there, in steps of 20 ms"


def likeness(heard: NDArray[np.int16], prompt: NDArray[np.int16]) -> Likeness:
    """Find the prompt in the recording. Levels do not matter; a silent or empty prompt is like nothing."""
    if not len(heard) or not len(prompt) or not np.any(heard) or not np.any(prompt):
        return Likeness(0.0, 0.0, _audible_ms(prompt))
    sound, wanted = heard.astype(np.float64), prompt.astype(np.float64)
    size = 1 << (len(sound) + len(wanted) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(wanted, size)), size)
    # Index i is a delay of i; the upper end holds the negative ones.
    lag = int(np.argmax(products))
    delay = lag if lag < len(sound) else lag - size
    aligned = _cut(sound, delay, len(wanted))
    missing = sum(_is_missing(aligned[at : at + step], wanted[at : at + step]) for at, step in _segments(len(wanted)))
    return Likeness(delay * 1000 / SAMPLE_RATE, _correlation(aligned, wanted), missing * _SEGMENT_MS)


def _segments(length: int) -> list[tuple[int, int]]:
    step = SAMPLE_RATE * _SEGMENT_MS // 1000
    return [(at, step) for at in range(0, length, step)]


def _cut(sound: NDArray[np.float64], start: int, length: int) -> NDArray[np.float64]:
    """`length` samples from `start` on, zeros where the sound has none."""
    piece = np.zeros(length)
    begin, end = max(0, start), min(len(sound), start + length)
    if begin < end:
        piece[begin - start : end - start] = sound[begin:end]
    return piece


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / norm if norm else 0.0


def _is_missing(aligned: NDArray[np.float64], wanted: NDArray[np.float64]) -> bool:
    audible = levels.rms_dbfs(wanted.astype(np.int16)) >= _AUDIBLE_DBFS
    return audible and _correlation(aligned, wanted) < _PRESENT_CORRELATION


def _audible_ms(prompt: NDArray[np.int16]) -> int:
    parts = (prompt[at : at + step] for at, step in _segments(len(prompt)))
    return sum(levels.rms_dbfs(part) >= _AUDIBLE_DBFS for part in parts) * _SEGMENT_MS
