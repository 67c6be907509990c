"""`GET …/sessions/{sessionId}/events`: a session as it happens, as server-sent events. An extension.

Each trace entry is one `trace` event `{"at", "kind", "fields"}` with a running number as its id; the terminal record is
the last event, `summary`, in the form of the VSS payload. What happened before the request comes first, so the stream
of a finished session is the whole story at once. A client that comes back with `Last-Event-ID` is spared what it has.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, authenticate
from callwright.api.exchange import Exchange
from callwright.api.neighbours import NeighbourError, frames_of, is_neighbour, number_of, owner_elsewhere
from callwright.api.platform import Platform
from callwright.api.routes.sessions import find_own_session
from callwright.api.session_report import summary_payload
from callwright.api.stream import EventStream, frame
from callwright.errors import StorageUnavailable
from callwright.storage.records import SessionState, StoredSession
from callwright.telemetry.trace import TraceEntry

log = logging.getLogger(__name__)

SUMMARY = b"event: summary\n"
RECORD_POLL_SECONDS = 0.5
"""How often the terminal record is looked for when the session is not live here: another process may be ending it."""


async def follow_session(exchange: Exchange) -> ASGIApp:
    """Replay and follow one session."""
    from_neighbour = is_neighbour(exchange)
    if not from_neighbour:
        await authenticate(exchange, READ)
    stored = await find_own_session(exchange)
    last_seen = _last_seen(exchange)
    if from_neighbour or stored.state is SessionState.FINISHED:
        return EventStream(_frames(exchange.platform, stored, last_seen))
    return EventStream(_frames_from_anywhere(exchange, stored, last_seen))


def _last_seen(exchange: Exchange) -> int:
    """The number of the last event the client has; 0 for none."""
    for value in exchange.headers(b"last-event-id"):
        if value.isdigit() and len(value) <= 9:
            return int(value)
    return 0


async def _frames_from_anywhere(
    exchange: Exchange, stored: StoredSession, last_seen: int
) -> AsyncGenerator[bytes, None]:
    """From this node's own session, or its owner's; what that one does not tell to the end comes from the store."""
    owner = await owner_elsewhere(exchange, stored.session_id)
    if owner is not None:
        try:
            async with aclosing(frames_of(exchange, owner, stored.session_id, last_seen)) as frames:
                async for each in frames:
                    yield each
                    last_seen = number_of(each) or last_seen
                    if each.startswith(SUMMARY):
                        return
        except NeighbourError as error:
            log.info("session %s is not followed any further: %s", stored.session_id, error)
    async with aclosing(_frames(exchange.platform, stored, last_seen)) as frames:
        async for each in frames:
            yield each


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
