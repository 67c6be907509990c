"""What must be true of every simulation, whatever went wrong in it. Each sentence here is a promise of callwright.

The database, the phones' own memories and those of receivers and clients are held against each other when all is over.
What can only be seen at the moment itself is looked at then, by `simulation.run`.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from callwright.callflow.summary import LegSummary
from callwright.retries import GIVE_UP_SECONDS
from callwright.storage.records import decode_summary, decode_trace
from callwright.telemetry.trace import TraceEntry
from simulation.disk import rows
from simulation.phones import Phone
from simulation.receivers import Mood, Taken

ORPHAN_SECONDS = 30.0
"""How long a phone may be kept on the line for a session that is over, or whose process has died and come back."""
HUNTS_AFTER_A_CRASH = True
ENDS = {"DELIVERED", "EXHAUSTED", "NO_ENDPOINT"}


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client was told."""

    at: float
    numbers: tuple[str, ...]
    "that it asked to be called"
    status: int
    "of HTTP; 0 when the connection broke"
    session_id: str
    "empty when no session was accepted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known when a simulation is over."""

    connection: sqlite3.Connection
    phones: Sequence[Phone]
    taken: Sequence[Taken]
    answers: Sequence[Answered]
    back_at: float
    "when the last process that was killed was replaced; 0 when none was"
    ended_at: float


def verdicts(evidence: Evidence) -> Iterator[str]:
    """What is not as it was promised, in words."""
    yield from _sessions_end_once(evidence)
    yield from _accepted_means_known(evidence)
    yield from _one_key_is_one_session(evidence)
    yield from _refused_means_untouched(evidence)
    yield from _legs_are_dialled_once(evidence)
    yield from _no_phone_is_forgotten(evidence)
    yield from _every_event_ends(evidence)
    yield from _events_are_the_same_on_every_try(evidence)
    yield from _summaries_are_true(evidence)
    yield from _causes_come_first(evidence)


# --- sessions --------------------------------------------------------------------------------------------------------


def _sessions_end_once(evidence: Evidence) -> Iterator[str]:
    """Accepted means finished: exactly one terminal record each."""
    for row in rows(
        evidence.connection,
        "SELECT s.session_id, s.state, count(w.place) AS records, min(w.was) AS first FROM sessions s"
        " LEFT JOIN witness w ON w.session_id = s.session_id GROUP BY s.session_id",
    ):
        if row["state"] != "FINISHED":
            yield f"session {row['session_id']} is {row['state']} for ever"
        elif row["records"] != 1:
            yield f"the terminal record of session {row['session_id']} was written {row['records']} times"
    for row in rows(evidence.connection, "SELECT session_id, count(*) AS traces FROM traces GROUP BY 1 HAVING 2 > 1"):
        if row["traces"] != 1:
            yield f"session {row['session_id']} has {row['traces']} traces"


def _accepted_means_known(evidence: Evidence) -> Iterator[str]:
    known = {row["session_id"] for row in rows(evidence.connection, "SELECT session_id FROM sessions")}
    for answer in evidence.answers:
        if answer.session_id and answer.session_id not in known:
            yield f"session {answer.session_id} was accepted, and nobody knows of it"


def _one_key_is_one_session(evidence: Evidence) -> Iterator[str]:
    """However often a request is repeated."""
    made: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for answer in evidence.answers:
        if answer.session_id:
            made[answer.numbers].add(answer.session_id)
    for numbers, sessions in made.items():
        if len(sessions) > 1:
            yield f"one request for {' and '.join(numbers)} made {len(sessions)} sessions"


def _refused_means_untouched(evidence: Evidence) -> Iterator[str]:
    """A refusal leaves no call, and no row that acts."""
    flows = [row["callflow"] for row in rows(evidence.connection, "SELECT callflow FROM sessions")]
    # One that nobody heard of again may have been accepted, and so may another try of the same request.
    perhaps = {number for one in evidence.answers if one.session_id or not one.status for number in one.numbers}
    for answer in evidence.answers:
        if not perhaps.isdisjoint(answer.numbers):
            continue
        for number in answer.numbers:
            if any(number in flow for flow in flows):
                yield f"a request for {number} was refused with {answer.status}, and left a session"
            if any(phone.number == number for phone in evidence.phones):
                yield f"a request for {number} was refused with {answer.status}, and the phone was called"


# --- legs ------------------------------------------------------------------------------------------------------------


def _legs_are_dialled_once(evidence: Evidence) -> Iterator[str]:
    called: dict[str, int] = defaultdict(int)
    for phone in evidence.phones:
        if not phone.inbound:
            called[phone.number] += 1
    for number, times in called.items():
        if times > 1:
            yield f"{number} was called {times} times"


def _no_phone_is_forgotten(evidence: Evidence) -> Iterator[str]:
    over_at = {
        row["destination"] if not row["inbound"] else row["source"]: row["finished_at"]
        for row in rows(
            evidence.connection,
            "SELECT i.source, i.destination, i.inbound, s.finished_at"
            " FROM dial_intents i JOIN sessions s USING (session_id)",
        )
    }
    for phone in evidence.phones:
        if phone.answered_at is None or phone.vanished or (evidence.back_at and not HUNTS_AFTER_A_CRASH):
            continue
        finished_at = over_at.get(phone.number)
        since = max(finished_at or phone.answered_at, evidence.back_at)
        until = evidence.ended_at if phone.ended_at is None else phone.ended_at
        if until - since > ORPHAN_SECONDS:
            yield f"{phone.number} was kept on the line for {until - since:.1f} s after its session was over"


# --- webhooks --------------------------------------------------------------------------------------------------------


def _every_event_ends(evidence: Evidence) -> Iterator[str]:
    """Delivered, or visibly given up after a week; one summary for each session."""
    gone = {taken.kind for taken in evidence.taken if taken.mood is Mood.GONE}
    accepted = {taken.event_id for taken in evidence.taken if taken.accepted}
    summaries: dict[str, int] = defaultdict(int)
    for row in rows(evidence.connection, "SELECT * FROM deliveries"):
        name = f"the {row['kind']} {row['event_id']} of session {row['session_id']}"
        summaries[row["session_id"]] += row["kind"] == "VSS"
        if row["state"] not in ENDS:
            yield f"{name} is {row['state']} for ever"
        elif row["state"] == "DELIVERED" and row["event_id"] not in accepted:
            yield f"{name} counts as delivered, and no receiver took it"
        elif row["state"] == "EXHAUSTED" and row["kind"] not in gone:
            last = rows(
                evidence.connection,
                "SELECT max(at) AS at FROM delivery_attempts WHERE delivery_id = ?",
                row["delivery_id"],
            )[0]["at"]
            if last is None or last - row["due_since"] < GIVE_UP_SECONDS:
                yield f"{name} was given up too early"
        elif row["state"] == "NO_ENDPOINT" and rows(
            evidence.connection, "SELECT 1 FROM webhooks WHERE kind = ? AND enabled", row["kind"]
        ):
            yield f"{name} was not sent, though a webhook is registered"
    for row in rows(evidence.connection, "SELECT session_id FROM sessions"):
        if summaries[row["session_id"]] != 1:
            yield f"session {row['session_id']} owes {summaries[row['session_id']]} summaries"


def _events_are_the_same_on_every_try(evidence: Evidence) -> Iterator[str]:
    bodies: dict[str, bytes] = {}
    event_of_session: dict[str, str] = {}
    for taken in evidence.taken:
        if taken.kind == "VCA":
            continue
        if bodies.setdefault(taken.event_id, taken.body) != taken.body:
            yield f"{taken.kind} {taken.event_id} said something else on another try"
        if taken.kind == "VSS" and event_of_session.setdefault(taken.session_id, taken.event_id) != taken.event_id:
            yield f"session {taken.session_id} was summed up under two event ids"
    records = {
        row["session_id"]: row["status"] for row in rows(evidence.connection, "SELECT session_id, status FROM sessions")
    }
    for taken in evidence.taken:
        if taken.kind == "VSS":
            told = json.loads(taken.body)["payload"]["sessionStatus"]
            if told != records.get(taken.session_id):
                yield f"session {taken.session_id} was told to be {told}, and is {records.get(taken.session_id)}"


# --- truth -----------------------------------------------------------------------------------------------------------


def _summaries_are_true(evidence: Evidence) -> Iterator[str]:
    """Who counts as answered picked up before; and who was not called has no leg."""
    phones = {phone.number: phone for phone in evidence.phones}
    for row in rows(evidence.connection, "SELECT session_id, summary FROM sessions WHERE summary IS NOT NULL"):
        summary = decode_summary(row["summary"])
        for leg in summary.legs:
            yield from _leg_is_true(row["session_id"], leg, phones.get(leg.source if leg.inbound else leg.destination))
        if summary.ended_at < summary.started_at:
            yield f"session {row['session_id']} ended before it began"


def _leg_is_true(session_id: str, leg: LegSummary, phone: Phone | None) -> Iterator[str]:
    if leg.connected_at is None:
        return
    name = f"leg {leg.call_id} of session {session_id}"
    if phone is None:
        yield f"{name} was connected with a phone that nobody called"
    elif phone.inbound:
        return  # who gives up calling in the moment of our answer acknowledges it, and hears nothing of it
    elif phone.answered_at is None:
        yield f"{name} was connected, but {phone.number} was never picked up"
    elif leg.connected_at < phone.answered_at - 0.001:
        yield f"{name} was connected {phone.answered_at - leg.connected_at:.3f} s before {phone.number} was picked up"


CAUSES = {
    "event.Ringing": ("command.Dial", "leg_id"),
    "event.Answered": ("command.Dial", "leg_id"),
    "event.PlaybackStarted": ("command.Play", "playback_id"),
    "event.PlaybackFinished": ("command.Play", "playback_id"),
    "event.PromptReady": ("command.PrepareSpeech", "prompt_id"),
    "event.NextFlow": ("command.AskNext", ""),
}


def _causes_come_first(evidence: Evidence) -> Iterator[str]:
    for row in rows(evidence.connection, "SELECT session_id, body FROM traces"):
        yield from _trace_is_sound(decode_trace(row["session_id"], row["body"]).entries, row["session_id"])


def _trace_is_sound(entries: Sequence[TraceEntry], session_id: str) -> Iterator[str]:
    seen: set[tuple[str, object]] = set()
    inbound = {entry.fields.get("leg_id") for entry in entries if entry.kind == "command.PickUp"}
    ends: dict[object, int] = defaultdict(int)
    for entry in entries:
        if entry.kind in ("event.NotAnswered", "event.HungUp"):
            ends[entry.fields.get("leg_id")] += 1
        kind = {"command.PrepareFile": "command.PrepareSpeech", "command.RingBack": "command.Play"}.get(
            entry.kind, entry.kind
        )
        for name in ("leg_id", "playback_id", "prompt_id", ""):
            if name in entry.fields or not name:
                seen.add((kind, entry.fields.get(name)))
        cause = CAUSES.get(entry.kind)
        if cause is None or entry.fields.get("leg_id") in inbound:
            continue
        if (cause[0], entry.fields.get(cause[1])) not in seen:
            yield f"session {session_id}: {entry.kind} came before {cause[0]}"
    for leg_id, count in ends.items():
        if count > 1:
            yield f"session {session_id}: leg {leg_id} ended {count} times"
