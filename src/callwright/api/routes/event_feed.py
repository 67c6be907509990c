"""`GET …/events`: all that happens in a sub-account, in order, for those who cannot receive webhooks. An extension.

Server-sent events whose id is the event's number: a client that comes back with `Last-Event-ID` (or `?after=`) has
missed nothing. Without either, it gets what happens from now on. `Accept: application/json` asks for a page instead.
"""

from collections.abc import AsyncGenerator

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, authenticate
from callwright.api.exchange import Exchange, Reply
from callwright.api.stream import EventStream, frame, text_frame
from callwright.contract.event_feed import (
    EventQuery,
    HappenedEvent,
    event_page,
    event_text,
    missed,
    not_yet,
    parse_event_query,
)
from callwright.storage.events import EventRange, StoredEvent


async def follow_events(exchange: Exchange) -> ASGIApp:
    """A stream from where the client is, or a page."""
    await authenticate(exchange, READ)
    last_seen = [value.decode("latin-1") for value in exchange.headers(b"last-event-id")]
    query = parse_event_query(exchange.query(), last_seen)
    accepted = b",".join(exchange.headers(b"accept"))
    if b"application/json" in accepted and b"text/event-stream" not in accepted:
        return await _page(exchange, query)
    platform, account = exchange.platform, exchange.sub_account_id
    platform.feed.check_room(account)
    await platform.store.follow_events(account)  # first, so that nothing is left out from what is the newest now
    kept = await _range(exchange, query)
    return EventStream(_frames(exchange, query.after if query.after is not None else kept.newest, kept))


async def _page(exchange: Exchange, query: EventQuery) -> Reply:
    store, account = exchange.platform.store, exchange.sub_account_id
    kept = await _range(exchange, query)
    after = query.after or 0
    events = await store.events_after(account, after, query.limit)
    return Reply(200, event_page([_happened(event) for event in events], after, kept.oldest_kept, kept.newest))


async def _range(exchange: Exchange, query: EventQuery) -> EventRange:
    kept = await exchange.platform.store.event_range(exchange.sub_account_id)
    if query.after is not None and query.after > kept.newest:
        raise not_yet(query.after, kept.newest)
    return kept


async def _frames(exchange: Exchange, after: int, kept: EventRange) -> AsyncGenerator[bytes, None]:
    yield b"retry: 1000\nid: %d\n\n" % after  # dispatches nothing; whoever is cut off now can come back
    if after + 1 < kept.oldest_kept:
        first, after = after + 1, kept.oldest_kept - 1
        yield frame("missed", missed(first, after), after)
    async for event in exchange.platform.feed.follow(exchange.sub_account_id, after):
        yield text_frame(event.kind, event_text(_happened(event)), event.number)


def _happened(event: StoredEvent) -> HappenedEvent:
    return HappenedEvent(event.number, event.event_id, event.kind, event.session_id, event.at, event.body)
