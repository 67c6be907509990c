"""`callwright explain`: one call told as a story, from its trace."""

import argparse
import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callwright.cli.ladder import KINDS, ladder
from callwright.cli.options import add_settings, read_settings
from callwright.cli.verdict import verdict
from callwright.contract.webhooks import session_summary
from callwright.errors import CallwrightError
from callwright.settings import Settings
from callwright.storage.place import open_store
from callwright.storage.records import StoredDelivery, StoredSession
from callwright.storage.store import Store
from callwright.telemetry.log import story_line
from callwright.telemetry.trace import FieldValue, TraceEntry

HELP = "tell what happened in a call, and what to do about it"
MOST_SEARCHED = 1_000
"""How many of the latest sessions a shortened id is looked for in."""


@dataclass(frozen=True, slots=True)
class Told:
    """All that is known of one session."""

    session: StoredSession
    entries: tuple[TraceEntry, ...]
    deliveries: tuple[StoredDelivery, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    parser.add_argument(
        "session", metavar="SESSION", help="session id, its first characters, or 'last' for the latest session"
    )
    parser.add_argument("--messages", action="store_true", help="also print every SIP message in full")
    parser.add_argument("--json", action="store_true", help="everything as one JSON object")
    add_settings(parser, ["data", "database", "config"])


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    settings = read_settings(arguments, development=True)
    told = asyncio.run(_look_up(settings, arguments.session))
    console = Console(highlight=False, soft_wrap=True)
    if arguments.json:
        console.print_json(json.dumps(_document(told)))
    else:
        _tell(console, told, messages=arguments.messages)
    return 0


async def _look_up(settings: Settings, wanted: str) -> Told:
    store = await open_store(settings, exclusive=False)
    try:
        session = await _find(store, wanted)
        if session is None:
            place = f"{settings.data} (--data)" if settings.database is None else "this database (--database)"
            raise CallwrightError(f"no session '{wanted}' is known in {place}")
        trace = await store.find_trace(session.session_id)
        entries = () if trace is None else tuple(trace.entries)
        return Told(session, entries, await store.deliveries_of(session.session_id))
    finally:
        await store.close()


async def _find(store: Store, wanted: str) -> StoredSession | None:
    found = await store.find_session(wanted.lower())
    if found is not None:
        return found
    recent = await store.recent_sessions(MOST_SEARCHED)
    if wanted == "last":
        return recent[0] if recent else None
    matching = [session for session in recent if session.session_id.startswith(wanted.lower())]
    if len(matching) > 1:
        raise CallwrightError(f"'{wanted}' is the beginning of {len(matching)} sessions; give more of it")
    return matching[0] if matching else None


def _tell(console: Console, told: Told, *, messages: bool) -> None:
    session, summary = told.session, told.session.summary
    console.print(Text.assemble("Session ", (session.session_id, "bold"), f" of {session.sub_account_id}"))
    if summary is None:
        console.print(
            f"Accepted at {_time(session.accepted_at)} and not over yet ({session.state});"
            " its trace is written when it ends.",
            markup=False,
        )
        return
    sentence, advice = verdict(summary, told.entries, told.deliveries)
    console.print(Text.assemble((f"{summary.status} ", _style(summary.status)), sentence))
    if advice:
        console.print(Text.assemble(("What to do: ", "bold"), advice))
    _tell_story(console, told)
    _tell_ladder(console, told)
    _tell_rtp(console, told)
    _tell_deliveries(console, told)
    if messages:
        for entry in told.entries:
            if entry.kind in KINDS:
                console.print(f"\n{_time(entry.at)} {entry.kind} {entry.fields.get('peer')}", style="bold")
                console.print(str(entry.fields.get("text")), markup=False)


def _tell_story(console: Console, told: Told) -> None:
    table = Table("time", "s", "what happened", title="Story", title_justify="left", box=None, pad_edge=False)
    for entry in told.entries:
        words = story_line(entry) or _decision(entry)
        if words:
            table.add_row(_time(entry.at), f"{entry.at - told.session.accepted_at:.3f}", Text(words))
    console.print()
    console.print(table)


def _decision(entry: TraceEntry) -> str | None:
    """Decisions and notes that only somebody who looks closely wants to read."""
    fields = entry.fields
    match entry.kind:
        case "speech.voice":
            how = "stands in for" if fields.get("fallback") else "speaks for"
            others = f" ({fields['skipped']})" if fields.get("skipped") else ""
            voice = f"{fields['engine']} {fields['voice']}"
            return f"voice: {voice} {how} {fields['profile']}, speed {fields['speed']}{others}"
        case "speech.failed":
            return f"voice: {fields['engine']} {fields['voice']} failed: {fields['reason']}"
        case "speech.cache":
            whence = "from the cache" if fields["hit"] else "made"
            return f"speech: {whence} in {fields['ms']} ms, {fields['seconds']} s long"
        case "speech.file":
            whence = "from the cache" if fields["hit"] else "fetched and decoded"
            return f"file: {whence} in {fields['ms']} ms, {fields['seconds']} s long, {fields['form']}"
        case "telephony.trunk":
            return f"trunk: {fields['trunk']} at {fields['address']}, offering {fields['codecs']}"
        case "command.HangUp":
            return "hanging up"
        case kind if kind.startswith(("telephony.", "rtp.")) and kind != "rtp.report":
            return f"{kind}: " + ", ".join(f"{name} {value}" for name, value in fields.items() if name != "leg_id")
        case _:
            return None


def _tell_ladder(console: Console, told: Told) -> None:
    lines = ladder(told.entries, told.session.accepted_at)
    if lines:
        console.print("\nSIP", style="italic")
        for line in lines:
            console.print(line, markup=False)


def _tell_rtp(console: Console, told: Told) -> None:
    reports = [entry for entry in told.entries if entry.kind == "rtp.report"]
    if not reports:
        return
    names = ("sent", "received", "lost", "jitter_ms", "mos", "late_frames", "remote_loss_rate", "round_trip_ms")
    table = Table(*(name.replace("_", " ") for name in names), title="RTP", title_justify="left")
    for entry in reports:
        table.add_row(*(_figure(entry.fields.get(name)) for name in names))
    console.print()
    console.print(table)


def _figure(value: FieldValue) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _tell_deliveries(console: Console, told: Told) -> None:
    if not any(delivery.attempts for delivery in told.deliveries):
        return
    table = Table("event", "try", "at", "to", "answer", "ms", title="Webhooks", title_justify="left")
    for delivery in told.deliveries:
        for attempt in delivery.attempts:
            answer = str(attempt.status) if attempt.status is not None else (attempt.error or "")
            table.add_row(
                delivery.kind, str(attempt.number), _time(attempt.at), attempt.host, answer, str(attempt.elapsed_ms)
            )
    console.print()
    console.print(table)


def _document(told: Told) -> dict[str, Any]:
    session, summary = told.session, told.session.summary
    sentence, advice = ("", "") if summary is None else verdict(summary, told.entries, told.deliveries)
    return {
        "sessionId": session.session_id,
        "subAccountId": session.sub_account_id,
        "state": session.state,
        "verdict": sentence,
        "advice": advice,
        "summary": None if summary is None else session_summary(summary)["payload"],
        "legs": [] if summary is None else [asdict(leg) for leg in summary.legs],
        "trace": [{"at": entry.at, "kind": entry.kind, **entry.fields} for entry in told.entries],
        "deliveries": list(_delivery_documents(told)),
    }


def _delivery_documents(told: Told) -> Iterator[dict[str, Any]]:
    for delivery in told.deliveries:
        yield {
            "eventId": delivery.event_id,
            "type": delivery.kind,
            "state": delivery.state,
            "attempts": [asdict(attempt) for attempt in delivery.attempts],
        }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _style(status: str) -> str:
    return {"COMPLETED": "bold green", "ERROR": "bold red", "FAILED": "bold red"}.get(status, "bold yellow")
