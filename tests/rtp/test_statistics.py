"""Receiver statistics (RFC 3550 A.1, A.3, §6.4.1) and the E-model (G.107)."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.rtp.statistics import ReceiverStatistics, mos, mos_of, r_factor


def heard(sequences: Iterable[int]) -> ReceiverStatistics:
    statistics = ReceiverStatistics(8000)
    for sequence in sequences:
        statistics.receive(sequence & 0xFFFF, 0, 0.0, paces=False)
    return statistics


def test_a_stream_without_loss_loses_nothing() -> None:
    statistics = heard(range(1000, 1100))
    assert (statistics.packets, statistics.expected, statistics.lost, statistics.loss_rate) == (100, 100, 0, 0.0)


def test_missing_packets_are_lost_also_across_the_wrap_around() -> None:
    statistics = heard(n for n in range(65_500, 65_600) if n % 10)
    assert (statistics.packets, statistics.expected, statistics.lost) == (
        90,
        99,
        9,
    )  # the first of the 100 is missing too


def test_late_packets_are_received_after_all_and_doubled_ones_count_against_losses() -> None:
    assert heard([1, 2, 4, 3, 5]).lost == 0
    assert heard([1, 2, 2, 3]).lost == -1
    assert heard([1, 2, 2, 3]).loss_rate == 0.0


def test_a_single_stray_number_is_set_aside() -> None:
    statistics = heard([10, 11, 40_000, 12, 13])
    assert (statistics.packets, statistics.lost) == (4, 0)


def test_a_sender_that_starts_again_is_followed_and_nothing_is_forgotten() -> None:
    statistics = heard([10, 11, 13, 40_000, 40_001, 40_002])
    assert statistics.packets == 5  # the first of the new run only announced it
    assert (statistics.expected, statistics.lost) == (6, 1)


def test_a_new_source_continues_the_counts() -> None:
    statistics = heard([1, 2, 4])
    statistics.restart()
    for sequence in (50_000, 50_001, 50_003):
        statistics.receive(sequence, 0, 0.0)
    assert (statistics.packets, statistics.expected, statistics.lost) == (6, 8, 2)


@given(st.integers(0, 0xFFFF), st.sets(st.integers(1, 998), max_size=90))
def test_losses_are_counted_exactly_wherever_the_stream_begins(begin: int, missing: set[int]) -> None:
    statistics = heard(begin + n for n in range(1000) if n not in missing)
    assert statistics.lost == len(missing)


def test_report_blocks_tell_the_loss_since_the_last_one() -> None:
    statistics = heard(n for n in range(100) if n % 4 != 1)
    first = statistics.report_block(7, 8, 9)
    assert (first.ssrc, first.last_sender_report, first.delay_since_last) == (7, 8, 9)
    assert (first.fraction_lost, first.packets_lost, first.highest_sequence) == (64, 25, 99)
    for sequence in range(100, 200):
        statistics.receive(sequence, 0, 0.0)
    second = statistics.report_block(7)
    assert (second.fraction_lost, second.packets_lost, second.highest_sequence) == (0, 25, 199)


def test_an_even_stream_has_no_jitter() -> None:
    statistics = ReceiverStatistics(8000)
    for n in range(100):
        statistics.receive(n, 160 * n, 0.02 * n)
    assert statistics.jitter_ms == pytest.approx(0, abs=1e-6)


def test_jitter_converges_to_the_mean_deviation() -> None:
    statistics = ReceiverStatistics(8000)
    for n in range(1000):  # every other packet 5 ms late: each transit differs by 5 ms from the one before
        statistics.receive(n, 160 * n, 0.02 * n + 0.005 * (n % 2))
    assert statistics.jitter_ms == pytest.approx(5.0, abs=0.01)
    assert statistics.report_block(1).jitter == pytest.approx(40, abs=1)


def test_jitter_of_the_first_late_packet_is_a_sixteenth_of_its_delay() -> None:
    statistics = ReceiverStatistics(8000)
    for n, late in enumerate((0.0, 0.016)):
        statistics.receive(n, 160 * n, 0.02 * n + late)
    assert statistics.jitter_ms == pytest.approx(1.0)


def test_a_jump_of_the_senders_clock_and_key_presses_are_no_jitter() -> None:
    statistics = ReceiverStatistics(8000)
    timestamps = [0, 160, 10**9, 10**9 + 160]
    for n, timestamp in enumerate(timestamps):
        statistics.receive(n, timestamp, 0.02 * n)
    statistics.receive(4, 12345, 0.08, paces=False)
    assert statistics.jitter == pytest.approx(0, abs=1e-6)


def test_a_perfect_line_scores_what_the_e_model_gives_g711() -> None:
    assert mos_of(93.2) == pytest.approx(4.41, abs=0.005)
    assert r_factor(0.0, 0.0) == 93.2


@pytest.mark.parametrize(
    ("loss_rate", "delay_ms", "expected"),
    [
        (0.0, 100.0, 90.8),  # 93.2 - 2.4
        (0.0, 277.3, 75.5448),  # 93.2 - 6.6552 - 11
        (0.01, 0.0, 89.56),  # 93.2 - 95 / 26.1
        (0.05, 0.0, 77.42),  # 93.2 - 475 / 30.1
        (1.0, 0.0, 17.26),
    ],
)
def test_loss_and_delay_lower_r_by_the_formula(loss_rate: float, delay_ms: float, expected: float) -> None:
    assert r_factor(loss_rate, delay_ms) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("r", "score"), [(-5, 1.0), (0, 1.0), (50, 2.575), (80, 4.024), (100, 4.5), (120, 4.5)])
def test_r_is_turned_into_a_score_from_1_to_4_5(r: float, score: float) -> None:
    assert mos_of(r) == pytest.approx(score, abs=0.001)


@given(st.floats(0, 100))
def test_scores_stay_on_the_scale(r: float) -> None:
    assert 1.0 <= mos_of(r) <= 4.5


def test_jitter_and_round_trip_cost_score() -> None:
    assert mos(0.0, 0.0) > mos(0.0, 30.0) > mos(0.0, 30.0, 300.0) > mos(0.1, 30.0, 300.0)
