"""When something that failed is tried again."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.retries import GIVE_UP_SECONDS, WAITS, wait_seconds


def test_the_first_waits_are_those_of_the_contract_and_then_grow_to_a_day() -> None:
    minute, hour = 60, 3600
    assert WAITS[:12] == (
        1, 10, 30, 90, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour,
    )  # fmt: skip
    assert set(WAITS[11:]) == {24 * hour}
    assert all(earlier <= later for earlier, later in itertools.pairwise(WAITS))


def test_it_is_tried_for_at_least_a_week_and_not_much_longer() -> None:
    assert GIVE_UP_SECONDS == 7 * 24 * 3600
    assert GIVE_UP_SECONDS <= sum(WAITS) < GIVE_UP_SECONDS + 24 * 3600


@given(st.integers(1, len(WAITS)), st.floats(0, 1))
def test_jitter_lengthens_a_wait_by_up_to_a_tenth(tries: int, jitter: float) -> None:
    wait = wait_seconds(tries, jitter)
    assert wait is not None
    assert WAITS[tries - 1] <= wait <= WAITS[tries - 1] * 1.1


def test_jitter_does_something() -> None:
    assert wait_seconds(4, 0.0) == 90
    assert wait_seconds(4, 1.0) == pytest.approx(99)


def test_after_the_last_wait_it_is_given_up_whatever_the_receiver_asks_for() -> None:
    assert wait_seconds(len(WAITS), 0.0) is not None
    assert wait_seconds(len(WAITS) + 1, 0.0) is None
    assert wait_seconds(len(WAITS) + 1, 0.0, 60.0) is None


def test_a_receiver_may_lengthen_a_wait_but_not_shorten_it() -> None:
    assert wait_seconds(1, 0.0, 120.0) == 120
    assert wait_seconds(4, 0.0, 5.0) == 90
