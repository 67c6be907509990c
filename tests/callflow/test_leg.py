"""Every cell of the leg table is filled, and each way through it ends in the status the contract names."""

from itertools import product

import pytest

from callwright.callflow.events import Answered, HungUp, NotAnswered, Ringing
from callwright.callflow.leg import TABLE, Happening, Leg, LegEvent, LegState
from callwright.callflow.outcome import CallStatus, HungUpBy

RINGS = Ringing(1.0, "leg")
ANSWERS = Answered(2.0, "leg", "PCMU")
BUSY = NotAnswered(3.0, "leg", CallStatus.BUSY, 486, "Busy Here")
CANCELED = NotAnswered(3.0, "leg", CallStatus.CANCELED, 487)
THEY_HANG_UP = HungUp(9.4, "leg", HungUpBy.THEM)
WE_HUNG_UP = HungUp(9.4, "leg", HungUpBy.US)


def a_leg() -> Leg:
    return Leg("leg", "+6512341234", "+6512345678", initiated_at=0.0)


@pytest.mark.parametrize(("state", "happening"), list(product(LegState, Happening)))
def test_every_cell_is_filled(state: LegState, happening: Happening) -> None:
    cell = TABLE[state, happening]
    assert cell.next_state is LegState.OVER or state is not LegState.OVER


@pytest.mark.parametrize("events", list(product([RINGS, ANSWERS, BUSY, THEY_HANG_UP], repeat=4)))
def test_no_order_of_events_reopens_a_leg_or_leaves_it_without_a_status(events: tuple[LegEvent, ...]) -> None:
    leg = a_leg()
    for event in events:
        was_over = leg.over
        before = leg.status
        leg.take(event)
        assert not was_over or (leg.over and leg.status is before)
        assert leg.over == (leg.status is not None)


@pytest.mark.parametrize(
    ("events", "status", "seconds"),
    [
        ([RINGS, ANSWERS, THEY_HANG_UP], CallStatus.COMPLETED, 7),
        ([ANSWERS, RINGS, ANSWERS, THEY_HANG_UP], CallStatus.COMPLETED, 7),
        ([BUSY], CallStatus.BUSY, 0),
        ([RINGS, BUSY], CallStatus.BUSY, 0),
    ],
)
def test_a_leg_ends_as_its_events_say(events: list[LegEvent], status: CallStatus, seconds: int) -> None:
    leg = a_leg()
    for event in events:
        leg.take(event)
    assert (leg.summary().status, leg.summary().duration_seconds) == (status, seconds)
    assert leg.strange_happenings == 0


def test_a_leg_we_gave_up_on_keeps_our_reason_whatever_sip_says() -> None:
    leg = a_leg()
    leg.take(RINGS)
    assert leg.hang_up(CallStatus.NO_ANSWER)
    assert not leg.hang_up(CallStatus.CANCELED)
    leg.take(CANCELED)
    assert (leg.status, leg.sip_code) == (CallStatus.NO_ANSWER, 487)


@pytest.mark.parametrize("last", [CANCELED, WE_HUNG_UP])
def test_an_answer_that_crosses_our_cancel_does_not_count_as_connected(last: LegEvent) -> None:
    leg = a_leg()
    leg.hang_up(CallStatus.NO_ANSWER)
    leg.take(ANSWERS)
    leg.take(last)
    assert (leg.status, leg.connected_at, leg.strange_happenings) == (CallStatus.NO_ANSWER, None, 0)


def test_a_leg_whose_end_is_never_reported_is_abandoned_as_what_it_was() -> None:
    talking, dialling = a_leg(), a_leg()
    talking.take(ANSWERS)
    talking.abandon(50.0)
    dialling.abandon(50.0)
    assert (talking.status, talking.hung_up_by) == (CallStatus.COMPLETED, HungUpBy.NETWORK)
    assert dialling.status is CallStatus.FAILED


def test_what_cannot_happen_is_counted() -> None:
    leg = a_leg()
    leg.take(BUSY)
    leg.take(BUSY)
    assert leg.strange_happenings == 1


@pytest.mark.parametrize(
    ("given_up_as", "status"), [(CallStatus.NO_ANSWER, CallStatus.FAILED), (CallStatus.CANCELED, CallStatus.CANCELED)]
)
def test_a_trunk_that_never_said_anything_is_a_failure_unless_somebody_called_it_off(
    given_up_as: CallStatus, status: CallStatus
) -> None:
    leg = a_leg()
    leg.hang_up(given_up_as)
    leg.take(NotAnswered(60.0, "leg", CallStatus.FAILED, 408, "trunk main does not answer"))
    assert (leg.status, leg.sip_code) == (status, 408)
