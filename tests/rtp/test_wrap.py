"""Sequence numbers and timestamps at the wrap-around."""

import pytest

from callwright.rtp.wrap import Rescaled, sequence_after, sequence_distance, timestamp_after, timestamp_distance


@pytest.mark.parametrize(("older", "newer", "steps"), [(1, 3, 2), (65535, 0, 1), (0, 65535, -1), (10, 10, 0)])
def test_sequence_numbers_are_compared_the_shorter_way_round(older: int, newer: int, steps: int) -> None:
    assert sequence_distance(older, newer) == steps
    assert sequence_after(older, steps) == newer


@pytest.mark.parametrize(("older", "newer", "ticks"), [(0, 160, 160), (2**32 - 160, 0, 160), (0, 2**32 - 1, -1)])
def test_timestamps_are_compared_the_shorter_way_round(older: int, newer: int, ticks: int) -> None:
    assert timestamp_distance(older, newer) == ticks
    assert timestamp_after(older, ticks) == newer


@pytest.mark.parametrize("from_rate", [8_000, 16_000, 48_000])
def test_another_clock_tells_the_same_time_for_days(from_rate: int) -> None:
    other = Rescaled(from_rate, 8_000)
    begin = 2**32 - 1_000
    first = other.of(begin)
    told = first
    for seconds in range(0, 200_001, 10_000):
        told = other.of((begin + seconds * from_rate) % 2**32)
        assert abs(timestamp_distance((first + seconds * 8_000) % 2**32, told)) <= 8
    assert abs(timestamp_distance(other.of((begin + 199_999 * from_rate) % 2**32), told) - 8_000) <= 8


def test_time_goes_on_when_the_clock_changes() -> None:
    other = Rescaled(8_000, 8_000)
    assert other.of(5_000) == 5_000
    assert other.of(13_000) == 13_000
    other.change(48_000, 13_000)
    assert other.of(13_000 + 48_000) == 21_000
    other.change(48_000, 0)
    assert other.of(13_000 + 96_000) == 29_000
