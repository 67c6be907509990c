"""makeCall (contract §2.2): dial, let it ring, go on when it is answered.

A leg that ends without an answer ends the session by itself (`Session` sees its only leg over), so this script returns
only when somebody picked up, or when it rang too long.
"""

from callwright.callflow.actions.script import DONE, Report, Script, Turn, overdue
from callwright.callflow.commands import Dial
from callwright.callflow.leg import Leg
from callwright.callflow.outcome import CallStatus


def make_call(leg: Leg, ring_timeout_seconds: float) -> Script:
    """Dial `leg` and wait for the answer, giving up as NO_ANSWER after the ring timeout."""
    until = leg.initiated_at + ring_timeout_seconds
    event = yield Turn((Dial(leg.leg_id, leg.source, leg.destination),), until)
    while not leg.talking:
        if overdue(event, until):
            return Report(ends_as=CallStatus.NO_ANSWER)
        event = yield Turn(until=until)
    return DONE
