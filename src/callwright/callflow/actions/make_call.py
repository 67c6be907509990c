"""makeCall (contract §2.2): dial, let it ring, go on when it is answered. The second one is bridged to the first.

A first leg that ends ends the session by itself (`Session` sees it), so `make_call` returns only when somebody picked
up, or when it rang too long. While the second phone rings the first leg hears ringback. When either side hangs up the
two are apart again: the session is over if it was the first leg, and the flow goes on for the first leg if it was the
second.
"""

from dataclasses import dataclass

from callwright.callflow.actions.script import DONE, Report, Script, Turn, overdue
from callwright.callflow.commands import Bridge, Command, Dial, Record, RingBack, StopPlayback
from callwright.callflow.desk import Desk
from callwright.callflow.leg import Leg
from callwright.callflow.outcome import CallStatus


def make_call(leg: Leg, ring_timeout_seconds: float, recording_id: str | None) -> Script:
    """Dial `leg` and wait for the answer, giving up as NO_ANSWER after the ring timeout."""
    answered = yield from _reach(leg, (), ring_timeout_seconds)
    if answered.ends_as is None and recording_id is not None:
        yield Turn((Record(leg.leg_id, recording_id),), at_once=True)
    return answered


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take, in seconds."""

    ring: float
    "until a phone that rings is given up"
    talk: float
    "until a bridge is hung up: two phones that nobody hangs up must not talk for ever"


def bridge_call(desk: Desk, first: Leg, second: Leg, patience: Patience, recording_id: str | None) -> Script:
    """Dial `second` while `first` hears ringback; bridge them; return when `second` is over."""
    ringback = desk.new_playback_id()
    answered = yield from _reach(second, (RingBack(first.leg_id, ringback),), patience.ring)
    if answered.ends_as is not None:
        return answered
    joining: list[Command] = [StopPlayback(first.leg_id, ringback), Bridge(first.leg_id, second.leg_id)]
    if recording_id is not None:
        joining.append(Record(first.leg_id, recording_id))
    until = desk.now + patience.talk
    yield Turn(tuple(joining), until)
    while not second.over:
        if desk.now >= until:
            return Report(ends_as=CallStatus.CANCELED)
        yield Turn(until=until)
    return DONE


def _reach(leg: Leg, before: tuple[Command, ...], ring_timeout_seconds: float) -> Script:
    until = leg.initiated_at + ring_timeout_seconds
    event = yield Turn((*before, Dial(leg.leg_id, leg.source, leg.destination)), until)
    while not leg.talking:
        if leg.over:
            return Report(ends_as=leg.status)
        if overdue(event, until):
            return Report(ends_as=CallStatus.NO_ANSWER)
        event = yield Turn(until=until)
    return DONE
