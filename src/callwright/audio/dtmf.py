"""Keys heard as tones: a Goertzel detector for 8 kHz sound (Q.23, Q.24).

Blocks of 160 samples (20 ms), a new one every 80, are correlated with the eight DTMF frequencies. A block names a key
when one row and one column stand out of their group, their levels differ by no more than the permitted twist, together
they hold most of the energy of the block (speech and music do not), and the second harmonics are weak (voices have
them). A key counts when two adjacent blocks name it and is over when three in a row do not, so tones from 40 ms on
with pauses from 40 ms on are told apart.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from callwright.audio.tones import COLUMNS_HZ, KEYPAD, ROWS_HZ

SAMPLE_RATE: Final = 8000
BLOCK_SAMPLES: Final = 160
HOP_SAMPLES: Final = 80
LEAST_LEVEL_DBFS: Final = -45.0
"""A weaker tone is no key press: the faintest that Q.24 asks for is some dB above."""
STANDS_OUT: Final = 6.0
"""A tone's power must exceed every other of its group by this factor (8 dB)."""
MOST_TWIST_DB: Final = 9.0
"""High group over low group: Q.24 tolerates 4-8 dB, the line may add some."""
MOST_REVERSE_TWIST_DB: Final = 9.0
"""Low group over high group."""
DOMINANCE: Final = 0.5
"""Share of the block's energy that the two tones must hold; noise at 10 dB leaves 0.9, an offset of 1.5 % about 0.6."""
MOST_HARMONIC: Final = 0.25
"""Power of a second harmonic relative to its tone."""
BLOCKS_TO_BEGIN: Final = 2
BLOCKS_TO_END: Final = 3
SURE_AFTER_SECONDS: Final = (BLOCK_SAMPLES + (BLOCKS_TO_BEGIN - 1) * HOP_SAMPLES) / SAMPLE_RATE
"""How much of a tone must have been heard until it is recognised."""

_FREQUENCIES: Final = np.array([*ROWS_HZ, *COLUMNS_HZ], dtype=np.float64)
_WINDOWED = np.arange(BLOCK_SAMPLES) / SAMPLE_RATE


def _kernel(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines of every frequency, then sines; the product with a block is what Goertzel's recursion ends in."""
    phases = 2 * np.pi * np.outer(frequencies, _WINDOWED)
    return np.concatenate([np.cos(phases), np.sin(phases)])


_TONES: Final = _kernel(_FREQUENCIES)
_HARMONICS: Final = _kernel(2 * _FREQUENCIES)
# |X|² of a sine of amplitude A is (A·N/2)², its energy in the block A²·N/2: the quotient turns power into energy.
_ENERGY_OF_POWER: Final = 2 / BLOCK_SAMPLES
_LEAST_POWER: Final = (32768 * 10 ** (LEAST_LEVEL_DBFS / 20) * BLOCK_SAMPLES / 2) ** 2
_LEAST_ENERGY: Final = _LEAST_POWER / BLOCK_SAMPLES
"""No block of less energy holds a tone of the least level: |X|² is at most N times the energy."""
_MOST_TWIST: Final = 10 ** (MOST_TWIST_DB / 10)
_MOST_REVERSE_TWIST: Final = 10 ** (MOST_REVERSE_TWIST_DB / 10)
_GROUP: Final = 4
_BOTH: Final = 8


def _powers(kernel: NDArray[np.float64], block: NDArray[np.float64]) -> list[float]:
    """|X|² of every frequency. Eight numbers are quicker added up here than in an array."""
    parts: list[float] = (kernel @ block).tolist()
    return [parts[n] * parts[n] + parts[n + _BOTH] * parts[n + _BOTH] for n in range(_BOTH)]


def _key_of(block: NDArray[np.float64]) -> str | None:
    """The key one block names, or None; what rules out most blocks comes first."""
    energy = float(block @ block)
    if energy < _LEAST_ENERGY:  # most of what is listened to is a quiet room
        return None
    powers = _powers(_TONES, block)
    rows, columns = powers[:_GROUP], powers[_GROUP:]
    low, high = max(rows), max(columns)
    if (low + high) * _ENERGY_OF_POWER < DOMINANCE * energy or min(low, high) < _LEAST_POWER:
        return None
    if low < STANDS_OUT * sorted(rows)[2] or high < STANDS_OUT * sorted(columns)[2]:
        return None
    if high > _MOST_TWIST * low or low > _MOST_REVERSE_TWIST * high:
        return None
    row, column = rows.index(low), columns.index(high)
    harmonics = _powers(_HARMONICS, block)
    if harmonics[row] > MOST_HARMONIC * low or harmonics[_GROUP + column] > MOST_HARMONIC * high:
        return None
    return KEYPAD[row][column]


class DtmfDetector:
    """Hand in sound as it comes, in pieces of any size; get the keys that began in it."""

    __slots__ = ("_absent", "_candidate", "_pending", "_pressed", "_seen")

    def __init__(self) -> None:
        self._pending = np.zeros(0, dtype=np.float64)
        self._candidate: str | None = None
        self._seen = 0
        self._pressed: str | None = None
        self._absent = 0

    def receive(self, samples: NDArray[np.int16]) -> list[str]:
        """The keys recognised with these samples, in order; each press once, however long it is held."""
        self._pending = np.concatenate([self._pending, samples.astype(np.float64)])
        keys = []
        start = 0
        while start + BLOCK_SAMPLES <= len(self._pending):
            key = self._decide(_key_of(self._pending[start : start + BLOCK_SAMPLES]))
            if key is not None:
                keys.append(key)
            start += HOP_SAMPLES
        self._pending = self._pending[start:]
        return keys

    def _decide(self, heard: str | None) -> str | None:
        """Hysteresis over the blocks: the key, when this block is the one that confirms it."""
        if heard is not None and heard == self._pressed:
            self._absent = 0
            return None
        if self._pressed is not None:
            self._absent += 1
            if self._absent >= BLOCKS_TO_END:
                self._pressed = None
        if heard is None or heard != self._candidate:
            self._candidate, self._seen = heard, 0
        if heard is None:
            return None
        self._seen += 1
        if self._seen < BLOCKS_TO_BEGIN:
            return None
        self._pressed, self._absent = heard, 0
        return heard
