"""The non-INVITE server transaction, cell by cell: RFC 3261 Figure 8."""

import pytest

from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.server_other import ServerOther, ServerOtherState
from callwright.sip.transactions.timers import Timers

TRYING, PROCEEDING, COMPLETED, TERMINATED = ServerOtherState
SEND = (Effect.SEND,)


def machine_in(state: ServerOtherState) -> ServerOther:
    """A machine that was led into `state` at 0 (TERMINATED: at 32)."""
    machine = ServerOther(Timers())
    if state is PROCEEDING:
        machine.respond(0, 100)
    if state in (COMPLETED, TERMINATED):
        machine.respond(0, 200)
    if state is TERMINATED:
        machine.tick(32)
    assert machine.state is state
    return machine


@pytest.mark.parametrize(
    ("state", "effects"), [(TRYING, NOTHING), (PROCEEDING, SEND), (COMPLETED, SEND), (TERMINATED, NOTHING)]
)
def test_a_repeated_request_moves_nothing(state: ServerOtherState, effects: Effects) -> None:
    machine = machine_in(state)
    assert machine.repeat(1) == effects
    assert machine.state is state


@pytest.mark.parametrize("status", [200, 302, 404, 503, 603])
@pytest.mark.parametrize(
    ("state", "effects", "then"),
    [
        (TRYING, SEND, COMPLETED),
        (PROCEEDING, SEND, COMPLETED),
        (COMPLETED, NOTHING, COMPLETED),
        (TERMINATED, NOTHING, TERMINATED),
    ],
)
def test_a_final_answer_of_the_user_moves_it(
    state: ServerOtherState, status: int, effects: Effects, then: ServerOtherState
) -> None:
    machine = machine_in(state)
    assert machine.respond(1, status) == effects
    assert machine.state is then


@pytest.mark.parametrize(
    ("state", "effects", "then"),
    [
        (TRYING, SEND, PROCEEDING),
        (PROCEEDING, SEND, PROCEEDING),
        (COMPLETED, NOTHING, COMPLETED),
        (TERMINATED, NOTHING, TERMINATED),
    ],
)
def test_a_provisional_answer_of_the_user_moves_it(
    state: ServerOtherState, effects: Effects, then: ServerOtherState
) -> None:
    machine = machine_in(state)
    assert machine.respond(1, 100) == effects
    assert machine.state is then


@pytest.mark.parametrize(
    ("state", "at", "then"),
    [
        (TRYING, 1000, TRYING),
        (PROCEEDING, 1000, PROCEEDING),
        (COMPLETED, 31.9, COMPLETED),
        (COMPLETED, 32, TERMINATED),
        (TERMINATED, 1000, TERMINATED),
    ],
)
def test_time_moves_it(state: ServerOtherState, at: float, then: ServerOtherState) -> None:
    machine = machine_in(state)
    assert machine.tick(at) == NOTHING
    assert machine.state is then
    assert machine.over == (then is TERMINATED)


@pytest.mark.parametrize(
    ("state", "effects"),
    [(TRYING, NOTHING), (PROCEEDING, (Effect.UNREACHABLE,)), (COMPLETED, (Effect.UNREACHABLE,)), (TERMINATED, NOTHING)],
)
def test_a_network_error_is_told_and_ends_nothing(state: ServerOtherState, effects: Effects) -> None:
    machine = machine_in(state)
    assert machine.transport_failed(1) == effects
    assert machine.state is state


def test_on_a_reliable_transport_the_answer_ends_it() -> None:
    machine = ServerOther(Timers(reliable=True))
    assert machine.respond(1, 200) == SEND
    assert machine.over
    assert machine.deadline is None
