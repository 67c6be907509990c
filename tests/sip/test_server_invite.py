"""The INVITE server transaction, cell by cell: RFC 3261 Figure 7 with RFC 6026."""

import pytest

from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.server_invite import ServerInvite, ServerInviteState
from callwright.sip.transactions.timers import Timers

PROCEEDING, COMPLETED, CONFIRMED, ACCEPTED, TERMINATED = ServerInviteState
TIMERS = Timers()
RELIABLE = Timers(reliable=True)
SEND = (Effect.SEND,)


def machine_in(state: ServerInviteState, timers: Timers = TIMERS) -> ServerInvite:
    """A machine that was led into `state` at 0 (TERMINATED: at 32)."""
    machine = ServerInvite(timers)
    if state in (COMPLETED, CONFIRMED):
        machine.respond(0, 486)
    if state is CONFIRMED:
        machine.acknowledge(0)
    if state in (ACCEPTED, TERMINATED):
        machine.respond(0, 200)
    if state is TERMINATED:
        machine.tick(32)
    assert machine.state is state
    return machine


@pytest.mark.parametrize(
    ("state", "effects"),
    [(PROCEEDING, SEND), (COMPLETED, SEND), (CONFIRMED, NOTHING), (ACCEPTED, NOTHING), (TERMINATED, NOTHING)],
)
def test_a_repeated_invite_moves_nothing(state: ServerInviteState, effects: Effects) -> None:
    machine = machine_in(state)
    assert machine.repeat(1) == effects
    assert machine.state is state


@pytest.mark.parametrize(
    ("state", "effects", "then"),
    [
        (PROCEEDING, NOTHING, PROCEEDING),
        (COMPLETED, NOTHING, CONFIRMED),
        (CONFIRMED, NOTHING, CONFIRMED),
        (ACCEPTED, (Effect.DELIVER,), ACCEPTED),
        (TERMINATED, NOTHING, TERMINATED),
    ],
)
def test_an_ack_moves_it(state: ServerInviteState, effects: Effects, then: ServerInviteState) -> None:
    machine = machine_in(state)
    assert machine.acknowledge(1) == effects
    assert machine.state is then


@pytest.mark.parametrize(
    ("state", "status", "effects", "then"),
    [
        (PROCEEDING, 100, SEND, PROCEEDING),
        (PROCEEDING, 200, SEND, ACCEPTED),
        (PROCEEDING, 302, SEND, COMPLETED),
        (PROCEEDING, 486, SEND, COMPLETED),
        (PROCEEDING, 503, SEND, COMPLETED),
        (PROCEEDING, 603, SEND, COMPLETED),
        (COMPLETED, 180, NOTHING, COMPLETED),
        (COMPLETED, 200, NOTHING, COMPLETED),
        (COMPLETED, 486, NOTHING, COMPLETED),
        (CONFIRMED, 180, NOTHING, CONFIRMED),
        (CONFIRMED, 200, NOTHING, CONFIRMED),
        (CONFIRMED, 486, NOTHING, CONFIRMED),
        (ACCEPTED, 180, NOTHING, ACCEPTED),
        (ACCEPTED, 200, SEND, ACCEPTED),
        (ACCEPTED, 486, NOTHING, ACCEPTED),
        (TERMINATED, 180, NOTHING, TERMINATED),
        (TERMINATED, 200, NOTHING, TERMINATED),
        (TERMINATED, 486, NOTHING, TERMINATED),
    ],
)
def test_an_answer_of_the_user_moves_it(
    state: ServerInviteState, status: int, effects: Effects, then: ServerInviteState
) -> None:
    machine = machine_in(state)
    assert machine.respond(1, status) == effects
    assert machine.state is then


@pytest.mark.parametrize(
    ("state", "at", "effects", "then"),
    [
        (PROCEEDING, 1000, NOTHING, PROCEEDING),
        (COMPLETED, 0.49, NOTHING, COMPLETED),
        (COMPLETED, 0.5, SEND, COMPLETED),
        (COMPLETED, 32, (Effect.TIMED_OUT,), TERMINATED),
        (CONFIRMED, 4.9, NOTHING, CONFIRMED),
        (CONFIRMED, 5, NOTHING, TERMINATED),
        (ACCEPTED, 31.9, NOTHING, ACCEPTED),
        (ACCEPTED, 32, NOTHING, TERMINATED),
        (TERMINATED, 1000, NOTHING, TERMINATED),
    ],
)
def test_time_moves_it(state: ServerInviteState, at: float, effects: Effects, then: ServerInviteState) -> None:
    machine = machine_in(state)
    assert machine.tick(at) == effects
    assert machine.state is then
    assert machine.over == (then is TERMINATED)


@pytest.mark.parametrize(
    ("state", "effects"),
    [
        (PROCEEDING, (Effect.UNREACHABLE,)),
        (COMPLETED, (Effect.UNREACHABLE,)),
        (CONFIRMED, NOTHING),
        (ACCEPTED, (Effect.UNREACHABLE,)),
        (TERMINATED, NOTHING),
    ],
)
def test_a_network_error_is_told_and_ends_nothing(state: ServerInviteState, effects: Effects) -> None:
    machine = machine_in(state)
    assert machine.transport_failed(1) == effects
    assert machine.state is state


def test_timer_g_doubles_up_to_t2_until_timer_h_gives_up() -> None:
    machine = machine_in(COMPLETED)
    ticks = []
    while (at := machine.deadline) is not None:
        ticks.append((at, machine.tick(at)))
    assert [at for at, effects in ticks if effects == SEND] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert ticks[-1] == (32, (Effect.TIMED_OUT,))


def test_on_a_reliable_transport_a_refusal_is_not_repeated_and_its_ack_ends_it() -> None:
    machine = machine_in(COMPLETED, RELIABLE)
    assert machine.deadline == 32
    assert machine.acknowledge(1) == NOTHING
    assert machine.over
