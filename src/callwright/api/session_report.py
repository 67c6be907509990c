"""A stored session, its trace and its events as the session resource shows them."""

import json
from collections.abc import Sequence
from typing import Any

from callwright.callflow.plan import ACTION_NAMES, MakeCall, PlayFile, Say, SayAndCapture
from callwright.contract.session_list import ActionReport, AttemptReport, SessionReport, WebhookReport
from callwright.errors import StorageError
from callwright.storage.records import StoredDelivery, StoredSession, WebhookKind
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
        actions=actions_of(trace.entries if trace is not None else ()),
        webhooks=tuple(_event(event) for event in events),
    )


def summary_payload(events: Sequence[StoredDelivery]) -> Any:
    """What a finished session's VSS says, wanted or not: its body is written together with the terminal record."""
    for event in events:
        if event.kind == WebhookKind.VSS and event.body is not None:
            return json.loads(event.body)["payload"]
    raise StorageError("a finished session has no summary that is told to webhooks")


def actions_of(entries: Sequence[TraceEntry]) -> tuple[ActionReport, ...]:
    """What was begun, in order and of every callflow, from what the trace says was dialled, played and listened to.

    Prompts of a capture have a third part in their id; they are no action of their own.
    """
    reports: dict[str, ActionReport] = {}
    files = {_field(entry, "prompt_id") for entry in entries if entry.kind == "command.PrepareFile"}
    for entry in entries:
        leg_id, playback_id = _field(entry, "leg_id"), _field(entry, "playback_id")
        match entry.kind:
            case "command.Dial":
                reports[leg_id] = ActionReport(ACTION_NAMES[MakeCall], entry.at)
            case "command.Play" if _field(entry, "prompt_id").count(".") == 1:
                action = PlayFile if _field(entry, "prompt_id") in files else Say
                reports[f"play {playback_id}"] = ActionReport(ACTION_NAMES[action], entry.at)
            case "command.Listen":
                reports[f"keys {leg_id} {len(reports)}"] = ActionReport(ACTION_NAMES[SayAndCapture], entry.at)
            case "event.Answered" | "event.NotAnswered":
                _end(reports, leg_id, entry)
            case "event.PlaybackFinished":
                _end(reports, f"play {playback_id}", entry)
            case "command.StopListening":
                _end(reports, next((key for key in reversed(reports) if key.startswith(f"keys {leg_id} ")), ""), entry)
            case _:
                pass
    return tuple(reports.values())


def _end(reports: dict[str, ActionReport], key: str, entry: TraceEntry) -> None:
    begun = reports.get(key)
    if begun is not None and begun.ended_at is None:
        reports[key] = ActionReport(begun.action, begun.started_at, entry.at, _result(entry))


def _result(entry: TraceEntry) -> str | None:
    match entry.kind:
        case "event.NotAnswered":
            return _field(entry, "status")
        case "event.Answered":
            return "answered"
        case "event.PlaybackFinished":
            return "played" if entry.fields.get("completed", True) else "cut short"
        case _:
            return None


def _field(entry: TraceEntry, name: str) -> str:
    return str(entry.fields.get(name, ""))


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
