"""One press told by several ways is one; two presses are two."""

from itertools import permutations

import pytest

from callwright.telephony.keys import KeyPresses, KeyWay

EVENT, TONE, INFO = KeyWay.EVENT, KeyWay.TONE, KeyWay.INFO
Report = tuple[str, KeyWay, float, float]


def counted(reports: list[Report]) -> str:
    """The keys that count, in the order in which their reports come in."""
    presses = KeyPresses()
    return "".join(digit for digit, way, at, length in reports if presses.take(digit, way, at, length))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((EVENT, 10.0, 0.0), (TONE, 10.0, 0.0)),
        ((TONE, 10.0, 0.0), (EVENT, 10.06, 0.0)),  # a gateway that lets the tone through until it has recognised it
        ((EVENT, 10.0, 0.0), (TONE, 9.95, 0.0)),  # the detector needs longer than the event, and takes that off
        ((EVENT, 10.0, 0.0), (INFO, 10.02, 0.0)),
        ((EVENT, 10.0, 0.0), (INFO, 10.28, 0.16)),  # sent when the key came up
        ((EVENT, 10.0, 0.0), (INFO, 11.6, 1.5)),  # a long press
        ((INFO, 10.0, 0.25), (EVENT, 10.1, 0.0)),  # the sound waited in a jitter buffer
        ((INFO, 10.0, 0.25), (TONE, 9.8, 0.0)),
    ],
)
def test_a_press_by_two_ways_is_one(one: tuple[KeyWay, float, float], other: tuple[KeyWay, float, float]) -> None:
    assert counted([("5", *one), ("5", *other)]) == "5"


@pytest.mark.parametrize("order", list(permutations([(EVENT, 10.0, 0.0), (TONE, 10.03, 0.0), (INFO, 10.2, 0.1)])))
def test_a_press_by_three_ways_is_one_whichever_comes_first(order: list[tuple[KeyWay, float, float]]) -> None:
    assert counted([("7", *report) for report in order]) == "7"


@pytest.mark.parametrize("way", list(KeyWay))
@pytest.mark.parametrize("apart_seconds", [0.05, 0.1, 0.2, 1.0])
def test_a_key_pressed_twice_by_one_way_is_two_presses(way: KeyWay, apart_seconds: float) -> None:
    assert counted([("5", way, 10.0, 0.0), ("5", way, 10.0 + apart_seconds, 0.0)]) == "55"


@pytest.mark.parametrize("apart_seconds", [0.1, 0.15, 0.25, 0.6])
@pytest.mark.parametrize("delay_seconds", [0.01, 0.1, 0.2])
def test_quick_presses_of_one_key_told_by_every_way_are_counted_once_each(
    apart_seconds: float, delay_seconds: float
) -> None:
    reports: list[Report] = []
    for press in range(4):
        at = 10.0 + press * apart_seconds
        reports += [("5", EVENT, at + 0.02, 0.0), ("5", TONE, at, 0.0), ("5", INFO, at + 0.08 + delay_seconds, 0.08)]
    assert counted(sorted(reports, key=lambda report: report[2])) == "5555"


def test_different_keys_are_never_one() -> None:
    assert counted([("5", EVENT, 10.0, 0.0), ("6", INFO, 10.0, 0.0), ("6", TONE, 10.0, 0.0)]) == "56"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((EVENT, 10.0, 0.0), (TONE, 10.13, 0.0)),
        ((EVENT, 10.0, 0.0), (INFO, 10.31, 0.0)),
        ((EVENT, 10.0, 0.0), (INFO, 20.0, 60.0)),  # no duration covers for ten seconds
    ],
)
def test_what_comes_too_late_is_another_press(
    one: tuple[KeyWay, float, float], other: tuple[KeyWay, float, float]
) -> None:
    assert counted([("5", *one), ("5", *other)]) == "55"


def test_little_is_remembered() -> None:
    presses = KeyPresses()
    for number in range(1_000):
        presses.take("1", EVENT, float(number), 0.0)
    assert len(presses._recent) <= 3
