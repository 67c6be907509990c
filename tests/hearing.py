"""Tones and prompts found again in what a phone heard, or in a recording."""

import itertools

import numpy as np
from numpy.typing import NDArray

from callwright.audio.compare import likeness

Samples = NDArray[np.int16]


def tone_ms(samples: Samples, *tones_hz: float) -> int:
    """How long all these tones, and little else, are to be heard at once; in steps of 20 ms."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    energy = np.sum(frames**2, axis=1)
    heard = energy > 160 * 500.0**2
    total = np.zeros(len(frames))
    for hz in tones_hz:
        wave = np.exp(-2j * np.pi * hz / 8_000 * np.arange(160))
        power = np.abs(frames @ wave) ** 2 * 2 / 160
        heard &= power > 0.5 / len(tones_hz) * energy
        total += power
    return 20 * int(np.count_nonzero(heard & (total > 0.8 * energy)))


def longest_gap_ms(samples: Samples, hz: float) -> int:
    """The longest time between two pieces of this tone; -1 when there is none."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    there = [at for at, frame in enumerate(frames) if tone_ms(frame, hz)]
    if not there:
        return -1
    return 20 * max((later - at - 1 for at, later in itertools.pairwise(there)), default=0)


def place_ms(heard: Samples, prompt: Samples, skipped_ms: int) -> float:
    """Where the prompt begins, after making sure that it is there whole, but for what a busy machine left out."""
    match = likeness(heard, prompt)
    assert match.missing_ms <= skipped_ms
    assert match.correlation > (0.5 if skipped_ms else 0.9)
    return match.delay_ms
