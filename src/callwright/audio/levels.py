"""How loud it is: RMS and peak in dBFS, where a full-scale sine has a peak of 0 dBFS and an RMS of -3 dBFS."""

import numpy as np
from numpy.typing import NDArray

SILENCE_DBFS = -96.0
"""What digital silence is given: below the smallest 16-bit sample."""
FULL_SCALE = 32768.0


def rms_dbfs(samples: NDArray[np.int16]) -> float:
    """Root mean square level; `SILENCE_DBFS` when there is nothing."""
    if not len(samples):
        return SILENCE_DBFS
    power = float(np.mean(np.square(samples.astype(np.float64))))
    return max(SILENCE_DBFS, 10 * float(np.log10(power / FULL_SCALE**2))) if power else SILENCE_DBFS


def peak_dbfs(samples: NDArray[np.int16]) -> float:
    """The largest sample's level."""
    peak = int(np.max(np.abs(samples.astype(np.int32)))) if len(samples) else 0
    return 20 * float(np.log10(peak / FULL_SCALE)) if peak else SILENCE_DBFS
