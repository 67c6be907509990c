import pytest

from callwright.simulator.behaviour import Behaviour, behaviour_of

USUAL = Behaviour(answer_after_seconds=0.25)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("+6591230486", 486),
        ("6591230480", 480),
        ("+6591230404", 404),
        ("+6591230503", 503),
        ("+6591230600", 600),
        ("+6591230603", 603),
    ],
)
def test_a_number_ending_in_a_failure_is_refused_with_it(number: str, status: int) -> None:
    assert behaviour_of(number, USUAL) == Behaviour(answer_after_seconds=0.25, reject_status=status)


@pytest.mark.parametrize(
    "number", ["+6512345678", "+6591230401", "+6591230407", "+6591230399", "+6591230700", "486", ""]
)
def test_a_number_without_a_meaning_answers(number: str) -> None:
    assert behaviour_of(number, USUAL) is USUAL


def test_a_number_may_ring_for_ever() -> None:
    assert behaviour_of("+6591230408", USUAL).answer_after_seconds is None
    assert behaviour_of("+6591230408", USUAL).ring_after_seconds == 0.0


def test_scripted_numbers_answer_as_late_as_the_usual_ones() -> None:
    assert behaviour_of("+6591230487", USUAL) == Behaviour(answer_after_seconds=0.25, hang_up_after_answer_seconds=2.0)
    assert behaviour_of("+6591230183", USUAL) == Behaviour(answer_after_seconds=0.25, early_media=True)
    assert behaviour_of("+6591230200", USUAL).answer_after_seconds == 0.0


@pytest.mark.parametrize("status", [200, 399, 700])
def test_a_rejection_needs_a_failure_status(status: int) -> None:
    with pytest.raises(ValueError, match=str(status)):
        Behaviour(reject_status=status)


def test_nobody_loses_more_than_everything() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        Behaviour(drop_rate=1.5)
