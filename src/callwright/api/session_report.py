"""A stored session, its trace and its events as the session resource shows them."""

from collections.abc import Sequence

from callwright.callflow.plan import ACTION_NAMES, Callflow, MakeCall
from callwright.contract.session_list import ActionReport, AttemptReport, SessionReport, WebhookReport
from callwright.storage.records import StoredDelivery, StoredSession
from callwright.telemetry.trace import Trace, TraceEntry


def report(stored: StoredSession, trace: Trace | None = None, events: Sequence[StoredDelivery] = ()) -> SessionReport:
    """The session; with its trace and its events, all of it."""
    source, destination = _first_numbers(stored)
    return SessionReport(
        session_id=stored.session_id,
        sub_account_id=stored.sub_account_id,
        state=stored.state.value,
        accepted_at=stored.accepted_at,
        finished_at=stored.finished_at,
        summary=stored.summary,
        call_flow_request_id=stored.callflow.call_flow_request_id,
        client_request_id=stored.callflow.client_request_id,
        source=source,
        destination=destination,
        actions=actions_of(stored.callflow, trace.entries if trace is not None else ()),
        webhooks=tuple(_event(event) for event in events),
    )


def actions_of(callflow: Callflow, entries: Sequence[TraceEntry]) -> tuple[ActionReport, ...]:
    """What was begun, in order, from what the trace says was dialled and played.

    A playback bears the place of its action in the callflow as its id; one that does not is of a later callflow, whose
    actions the trace alone knows, and is left out.
    """
    reports: dict[str, ActionReport] = {}
    for entry in entries:
        key = str(entry.fields.get("playback_id") or entry.fields.get("leg_id"))
        match entry.kind:
            case "command.Dial":
                reports[key] = ActionReport(ACTION_NAMES[MakeCall], entry.at)
            case "command.Play" if key.isdecimal() and int(key) < len(callflow.actions):
                reports[key] = ActionReport(ACTION_NAMES[type(callflow.actions[int(key)])], entry.at)
            case "event.Answered" | "event.NotAnswered" | "event.PlaybackFinished" if key in reports:
                begun = reports[key]
                if begun.ended_at is None:
                    reports[key] = ActionReport(begun.action, begun.started_at, entry.at, _result(entry))
            case _:
                pass
    return tuple(reports.values())


def _result(entry: TraceEntry) -> str:
    if entry.kind == "event.NotAnswered":
        return str(entry.fields.get("status"))
    return "answered" if entry.kind == "event.Answered" else "played"


def _first_numbers(stored: StoredSession) -> tuple[str | None, str | None]:
    """Source and destination of the first leg, as early as they are known."""
    for intent in stored.dial_intents:
        if intent.inbound:
            return intent.source, intent.destination
    for action in stored.callflow.actions:
        if isinstance(action, MakeCall):
            return action.source, action.destination
    return None, None


def _event(stored: StoredDelivery) -> WebhookReport:
    return WebhookReport(
        event_id=stored.event_id,
        type=stored.kind,
        state=stored.state.value,
        next_attempt_at=stored.next_attempt_at,
        attempts=tuple(
            AttemptReport(attempt.at, attempt.status, attempt.error, attempt.elapsed_ms) for attempt in stored.attempts
        ),
    )
