"""The non-INVITE client transaction, cell by cell: RFC 3261 Figure 6."""

import pytest

from callwright.sip.transactions.client_other import ClientOther, ClientOtherState
from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.timers import Timers

TRYING, PROCEEDING, COMPLETED, TERMINATED = ClientOtherState
TIMERS = Timers()
RELIABLE = Timers(reliable=True)
PATHS: dict[ClientOtherState, tuple[int, ...]] = {TRYING: (), PROCEEDING: (100,), COMPLETED: (200,)}
FINALS = (200, 302, 404, 503, 603)


def machine_in(state: ClientOtherState, timers: Timers = TIMERS) -> ClientOther:
    """A machine that started at 0 and was led into `state` at 0 (TERMINATED: at 32)."""
    machine = ClientOther(timers)
    assert machine.start(0) == (Effect.SEND,)
    for status in PATHS.get(state, ()):
        machine.respond(0, status)
    if state is TERMINATED:
        machine.tick(32)
    assert machine.state is state
    return machine


@pytest.mark.parametrize("state", [TRYING, PROCEEDING])
@pytest.mark.parametrize("status", FINALS)
def test_a_final_response_is_delivered_once(state: ClientOtherState, status: int) -> None:
    machine = machine_in(state)
    assert machine.respond(1, status) == (Effect.DELIVER,)
    assert machine.state is COMPLETED
    assert machine.deadline == 6  # timer K
    assert machine.respond(2, status) == NOTHING


@pytest.mark.parametrize("state", [TRYING, PROCEEDING])
def test_a_provisional_response_is_delivered(state: ClientOtherState) -> None:
    machine = machine_in(state)
    assert machine.respond(0.1, 183) == (Effect.DELIVER,)
    assert machine.state is PROCEEDING


@pytest.mark.parametrize("state", [COMPLETED, TERMINATED])
@pytest.mark.parametrize("status", [100, *FINALS])
def test_a_late_response_changes_nothing(state: ClientOtherState, status: int) -> None:
    machine = machine_in(state)
    before = machine.deadline
    assert machine.respond(33, status) == NOTHING
    assert machine.state is state
    assert machine.deadline == before


@pytest.mark.parametrize(
    ("state", "at", "effects", "then"),
    [
        (TRYING, 0.49, NOTHING, TRYING),
        (TRYING, 0.5, (Effect.SEND,), TRYING),
        (TRYING, 32, (Effect.TIMED_OUT,), TERMINATED),
        (PROCEEDING, 0.49, NOTHING, PROCEEDING),
        (PROCEEDING, 0.5, (Effect.SEND,), PROCEEDING),
        (PROCEEDING, 32, (Effect.TIMED_OUT,), TERMINATED),
        (COMPLETED, 4.9, NOTHING, COMPLETED),
        (COMPLETED, 5, NOTHING, TERMINATED),
        (TERMINATED, 1000, NOTHING, TERMINATED),
    ],
)
def test_time_moves_it(state: ClientOtherState, at: float, effects: Effects, then: ClientOtherState) -> None:
    machine = machine_in(state)
    assert machine.tick(at) == effects
    assert machine.state is then
    assert machine.over == (then is TERMINATED)


@pytest.mark.parametrize(
    ("state", "effects", "then"),
    [
        (TRYING, (Effect.UNREACHABLE,), TERMINATED),
        (PROCEEDING, (Effect.UNREACHABLE,), TERMINATED),
        (COMPLETED, NOTHING, COMPLETED),
        (TERMINATED, NOTHING, TERMINATED),
    ],
)
def test_a_network_error_moves_it(state: ClientOtherState, effects: Effects, then: ClientOtherState) -> None:
    machine = machine_in(state)
    assert machine.transport_failed(1) == effects
    assert machine.state is then


def repetitions(machine: ClientOther) -> list[float]:
    """When it sends again, until it is over."""
    times = []
    while (at := machine.deadline) is not None:
        if machine.tick(at) == (Effect.SEND,):
            times.append(at)
    return times


def test_timer_e_doubles_up_to_t2() -> None:
    assert repetitions(machine_in(TRYING)) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_timer_e_is_t2_once_the_peer_works_on_it() -> None:
    assert repetitions(machine_in(PROCEEDING)) == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]


def test_on_a_reliable_transport_nothing_is_repeated_and_nothing_lingers() -> None:
    machine = machine_in(TRYING, RELIABLE)
    assert machine.deadline == 32
    assert machine.respond(1, 200) == (Effect.DELIVER,)
    assert machine.over
    assert machine.deadline is None
