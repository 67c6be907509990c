"""Sequence numbers and timestamps at the wrap-around."""

import pytest

from callwright.rtp.wrap import sequence_after, sequence_distance, timestamp_after, timestamp_distance


@pytest.mark.parametrize(("older", "newer", "steps"), [(1, 3, 2), (65535, 0, 1), (0, 65535, -1), (10, 10, 0)])
def test_sequence_numbers_are_compared_the_shorter_way_round(older: int, newer: int, steps: int) -> None:
    assert sequence_distance(older, newer) == steps
    assert sequence_after(older, steps) == newer


@pytest.mark.parametrize(("older", "newer", "ticks"), [(0, 160, 160), (2**32 - 160, 0, 160), (0, 2**32 - 1, -1)])
def test_timestamps_are_compared_the_shorter_way_round(older: int, newer: int, ticks: int) -> None:
    assert timestamp_distance(older, newer) == ticks
    assert timestamp_after(older, ticks) == newer
