"""`GET …/sessions/{sessionId}/events`: a session as it happens, as server-sent events. An extension.

Each trace entry is one `trace` event `{"at", "kind", "fields"}` with a running number as its id; the terminal record is
the last event, `summary`, in the form of the VSS payload. What happened before the request comes first, so the stream
of a finished session is the whole story at once. A client that comes back with `Last-Event-ID` is spared what it has.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, authenticate
from callwright.api.exchange import Exchange
from callwright.api.platform import Platform
from callwright.api.routes.sessions import find_own_session
from callwright.api.session_report import summary_payload
from callwright.api.stream import EventStream, frame
from callwright.errors import StorageUnavailable
from callwright.storage.records import StoredSession
from callwright.telemetry.trace import TraceEntry

RECORD_POLL_SECONDS = 0.5
"""How often the terminal record is looked for when the session is not live here: another process may be ending it."""


async def follow_session(exchange: Exchange) -> ASGIApp:
    """Replay and follow one session."""
    await authenticate(exchange, READ)
    stored = await find_own_session(exchange)
    return EventStream(_frames(exchange.platform, stored, _last_seen(exchange)))


def _last_seen(exchange: Exchange) -> int:
    """The number of the last event the client has; 0 for none."""
    for value in exchange.headers(b"last-event-id"):
        if value.isdigit() and len(value) <= 9:
            return int(value)
    return 0


async def _frames(platform: Platform, stored: StoredSession, last_seen: int) -> AsyncGenerator[bytes, None]:
    number = 0
    async for entry in platform.board.watch(stored.session_id):
        number += 1
        if number > last_seen:
            yield _trace_frame(number, entry)
    payload = await _told_at_the_end(platform, stored)
    if number == 0:  # it was not live, or no longer: the store has the whole story
        trace = await platform.store.find_trace(stored.session_id)
        for number, entry in enumerate(trace.entries if trace is not None else (), start=1):
            if number > last_seen:
                yield _trace_frame(number, entry)
    yield frame("summary", payload)


async def _told_at_the_end(platform: Platform, stored: StoredSession) -> Any:
    """The summary as the VSS tells it, waited for as long as it takes."""
    while True:
        try:
            found = await platform.store.find_session(stored.session_id)
            if found is not None and found.summary is not None:
                return summary_payload(await platform.store.deliveries_of(stored.session_id))
        except StorageUnavailable:
            pass  # it comes back, and so do we
        await asyncio.sleep(RECORD_POLL_SECONDS)


def _trace_frame(number: int, entry: TraceEntry) -> bytes:
    return frame("trace", {"at": entry.at, "kind": entry.kind, "fields": entry.fields}, number)
