"""Tones: sines, DTMF pairs (Q.23), ringback. 16-bit samples; levels in dBFS of one sine's peak.

0 dBFS is a sine that just reaches full scale; G.711's +3.14 dBm0 lies there, so -10 dBm0 is about -13 dBFS.
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
FULL_SCALE = 32767

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYPAD = ("123A", "456B", "789C", "*0#D")
PAIRS_HZ = {key: (ROWS_HZ[r], COLUMNS_HZ[c]) for r, row in enumerate(KEYPAD) for c, key in enumerate(row)}
"""Key → its low and high frequency (Q.23)."""

RINGBACK_HZ = 425.0
"""The ringing tone of most of the world (E.180 supplement 2); North America's is 440 + 480 Hz."""


def mixed(frequencies_hz: tuple[float, ...], seconds: float, level_dbfs: float = -13.0, rate: int = 8000) -> Samples:
    """Sines added up, each at `level_dbfs`; clipped where they exceed full scale together."""
    instants = np.arange(round(seconds * rate)) / rate
    amplitude = FULL_SCALE * 10 ** (level_dbfs / 20)
    total = np.zeros(len(instants))
    for frequency in frequencies_hz:
        total += amplitude * np.sin(2 * np.pi * frequency * instants)
    return np.clip(np.round(total), -FULL_SCALE - 1, FULL_SCALE).astype(np.int16)


def sine(frequency_hz: float, seconds: float, level_dbfs: float = -13.0, rate: int = 8000) -> Samples:
    """One tone."""
    return mixed((frequency_hz,), seconds, level_dbfs, rate)


def dtmf(digit: str, seconds: float = 0.1, level_dbfs: float = -13.0, rate: int = 8000) -> Samples:
    """The pair of a key; `KeyError` when there is no such key."""
    return mixed(PAIRS_HZ[digit], seconds, level_dbfs, rate)


def silence(seconds: float, rate: int = 8000) -> Samples:
    """Nothing to hear."""
    return np.zeros(round(seconds * rate), dtype=np.int16)


def dial_string(digits: str, on_seconds: float = 0.1, off_seconds: float = 0.1, level_dbfs: float = -13.0) -> Samples:
    """Keys one after the other with pauses behind each."""
    parts = [part for digit in digits for part in (dtmf(digit, on_seconds, level_dbfs), silence(off_seconds))]
    return np.concatenate(parts) if parts else silence(0)


def ringback(seconds: float, on_seconds: float = 1.0, off_seconds: float = 4.0) -> Samples:
    """425 Hz in the cadence of 1 s on, 4 s off, beginning with the tone."""
    one = np.concatenate([sine(RINGBACK_HZ, on_seconds), silence(off_seconds)])
    wanted = round(seconds * 8000)
    return np.tile(one, wanted // len(one) + 1)[:wanted]
