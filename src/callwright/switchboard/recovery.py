"""The terminal record of a session that a crash cut off: what is known, and that it was cut off (durability rule 2)."""

from itertools import zip_longest

from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import ACTION_NAMES, MakeCall
from callwright.callflow.summary import ErrorDetails, LegSummary, SessionSummary
from callwright.errors import ErrorCode
from callwright.storage.records import DialIntent, StoredSession

REASON = "callwright stopped while the call was under way; it was not dialled again"


def interrupted_summary(stored: StoredSession, at: float) -> SessionSummary:
    """ERROR/-2001 with one leg for each dial intent."""
    calls = [action for action in stored.callflow.actions if isinstance(action, MakeCall)]
    legs = tuple(_cut_off(intent, call, at) for intent, call in zip_longest(stored.dial_intents, calls) if intent)
    last_action = ACTION_NAMES[type(stored.callflow.actions[0])] if stored.callflow.actions else ACTION_NAMES[MakeCall]
    return SessionSummary(
        session_id=stored.session_id,
        sub_account_id=stored.sub_account_id,
        status=CallStatus.ERROR,
        started_at=stored.accepted_at,
        ended_at=at,
        last_action=last_action,
        legs=legs,
        error=ErrorDetails(ErrorCode.INTERNAL, last_action, stored.callflow.call_flow_request_id, REASON),
        client_request_id=stored.callflow.client_request_id,
    )


def _cut_off(intent: DialIntent, call: MakeCall | None, at: float) -> LegSummary:
    """`call` knows the numbers of an intent that an earlier version wrote without them."""
    return LegSummary(
        call_id=intent.leg_id,
        inbound=intent.inbound,
        source=intent.source or (call.source if call else ""),
        destination=intent.destination or (call.destination if call else ""),
        initiated_at=intent.dialled_at,
        connected_at=None,
        disconnected_at=at,
        status=CallStatus.ERROR,
        reason=REASON,
    )
