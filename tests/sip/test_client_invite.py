"""The INVITE client transaction, cell by cell: RFC 3261 Figure 5 with RFC 6026."""

import pytest

from callwright.sip.transactions.client_invite import ClientInvite, ClientInviteState
from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.timers import Timers

CALLING, PROCEEDING, COMPLETED, ACCEPTED, TERMINATED = ClientInviteState
TIMERS = Timers()
RELIABLE = Timers(reliable=True)
PATHS: dict[ClientInviteState, tuple[int, ...]] = {
    CALLING: (),
    PROCEEDING: (180,),
    COMPLETED: (486,),
    ACCEPTED: (200,),
}


def machine_in(state: ClientInviteState, timers: Timers = TIMERS) -> ClientInvite:
    """A machine that started at 0 and was led into `state` at 0 (TERMINATED: at 32)."""
    machine = ClientInvite(timers)
    assert machine.start(0) == (Effect.SEND,)
    for status in PATHS.get(state, ()):
        machine.respond(0, status)
    if state is TERMINATED:
        machine.tick(32)
    assert machine.state is state
    return machine


@pytest.mark.parametrize(
    ("state", "status", "effects", "then"),
    [
        (CALLING, 100, (Effect.DELIVER,), PROCEEDING),
        (CALLING, 183, (Effect.DELIVER,), PROCEEDING),
        (CALLING, 200, (Effect.DELIVER,), ACCEPTED),
        (CALLING, 302, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (CALLING, 486, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (CALLING, 503, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (CALLING, 603, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (PROCEEDING, 180, (Effect.DELIVER,), PROCEEDING),
        (PROCEEDING, 200, (Effect.DELIVER,), ACCEPTED),
        (PROCEEDING, 302, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (PROCEEDING, 404, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (PROCEEDING, 500, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (PROCEEDING, 600, (Effect.ACK, Effect.DELIVER), COMPLETED),
        (COMPLETED, 180, NOTHING, COMPLETED),
        (COMPLETED, 200, NOTHING, COMPLETED),
        (COMPLETED, 302, (Effect.ACK,), COMPLETED),
        (COMPLETED, 486, (Effect.ACK,), COMPLETED),
        (COMPLETED, 503, (Effect.ACK,), COMPLETED),
        (COMPLETED, 603, (Effect.ACK,), COMPLETED),
        (ACCEPTED, 180, NOTHING, ACCEPTED),
        (ACCEPTED, 200, (Effect.DELIVER,), ACCEPTED),
        (ACCEPTED, 302, NOTHING, ACCEPTED),
        (ACCEPTED, 486, NOTHING, ACCEPTED),
        (ACCEPTED, 503, NOTHING, ACCEPTED),
        (ACCEPTED, 603, NOTHING, ACCEPTED),
        (TERMINATED, 180, NOTHING, TERMINATED),
        (TERMINATED, 200, NOTHING, TERMINATED),
        (TERMINATED, 302, NOTHING, TERMINATED),
        (TERMINATED, 486, NOTHING, TERMINATED),
        (TERMINATED, 503, NOTHING, TERMINATED),
        (TERMINATED, 603, NOTHING, TERMINATED),
    ],
)
def test_a_response_moves_it(state: ClientInviteState, status: int, effects: Effects, then: ClientInviteState) -> None:
    machine = machine_in(state)
    assert machine.respond(1, status) == effects
    assert machine.state is then


@pytest.mark.parametrize(
    ("state", "at", "effects", "then"),
    [
        (CALLING, 0.49, NOTHING, CALLING),
        (CALLING, 0.5, (Effect.SEND,), CALLING),
        (CALLING, 32, (Effect.TIMED_OUT,), TERMINATED),
        (PROCEEDING, 1000, NOTHING, PROCEEDING),
        (COMPLETED, 31.9, NOTHING, COMPLETED),
        (COMPLETED, 32, NOTHING, TERMINATED),
        (ACCEPTED, 31.9, NOTHING, ACCEPTED),
        (ACCEPTED, 32, NOTHING, TERMINATED),
        (TERMINATED, 1000, NOTHING, TERMINATED),
    ],
)
def test_time_moves_it(state: ClientInviteState, at: float, effects: Effects, then: ClientInviteState) -> None:
    machine = machine_in(state)
    assert machine.tick(at) == effects
    assert machine.state is then
    assert machine.over == (then is TERMINATED)


@pytest.mark.parametrize(
    ("state", "effects", "then"),
    [
        (CALLING, (Effect.UNREACHABLE,), TERMINATED),
        (PROCEEDING, NOTHING, PROCEEDING),
        (COMPLETED, (Effect.UNREACHABLE,), TERMINATED),
        (ACCEPTED, NOTHING, ACCEPTED),
        (TERMINATED, NOTHING, TERMINATED),
    ],
)
def test_a_network_error_moves_it(state: ClientInviteState, effects: Effects, then: ClientInviteState) -> None:
    machine = machine_in(state)
    assert machine.transport_failed(1) == effects
    assert machine.state is then


def test_a_limit_ends_one_that_only_ever_rings() -> None:
    machine = machine_in(PROCEEDING)
    machine.limit(10)
    assert machine.deadline == 42
    machine.limit(11)
    assert machine.respond(12, 180) == (Effect.DELIVER,)
    assert machine.deadline == 42
    assert machine.tick(42) == (Effect.TIMED_OUT,)
    assert machine.over


@pytest.mark.parametrize("state", [CALLING, COMPLETED, ACCEPTED, TERMINATED])
def test_a_limit_changes_nothing_where_a_timer_runs_already(state: ClientInviteState) -> None:
    machine = machine_in(state)
    before = machine.deadline
    machine.limit(10)
    assert (machine.state, machine.deadline) == (state, before)


def test_timer_a_doubles_until_timer_b_gives_up() -> None:
    machine = machine_in(CALLING)
    sent = []
    while machine.deadline is not None:
        at = machine.deadline
        sent.append((at, machine.tick(at)))
    assert [at for at, effects in sent if effects == (Effect.SEND,)] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert sent[-1] == (32, (Effect.TIMED_OUT,))


def test_timers_follow_t1() -> None:
    machine = machine_in(CALLING, Timers(t1=0.1))
    assert machine.deadline == 0.1
    assert machine.tick(6.4) == (Effect.TIMED_OUT,)


def test_on_a_reliable_transport_nothing_is_repeated_but_timer_b_holds() -> None:
    machine = machine_in(CALLING, RELIABLE)
    assert machine.deadline == 32
    assert machine.tick(32) == (Effect.TIMED_OUT,)


def test_on_a_reliable_transport_a_refusal_ends_it_at_once() -> None:
    machine = machine_in(PROCEEDING, RELIABLE)
    assert machine.respond(1, 486) == (Effect.ACK, Effect.DELIVER)
    assert machine.over


def test_on_a_reliable_transport_timer_m_still_waits_for_forked_answers() -> None:
    assert machine_in(ACCEPTED, RELIABLE).deadline == 32


def test_a_provisional_answer_stops_both_timers() -> None:
    assert machine_in(PROCEEDING).deadline is None
