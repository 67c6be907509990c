"""A session that another node carries out, followed over that node's HTTP and passed on frame by frame.

The node that was asked has checked who asks; it goes to the owner with a ticket instead of the customer's key: a text
that only nodes with the key of this database's secrets can write, for one session and one minute. The owner answers for
what is live there and asks nobody else. When it dies, or cannot be reached, the stream goes on from the store.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import httptools

from callwright.api.exchange import Exchange
from callwright.errors import CallwrightError, StorageError
from callwright.storage.nodes import Owner

TICKET_HEADER: Final = b"callwright-node-ticket"
CONNECT_SECONDS: Final = 2.0
SILENCE_SECONDS: Final = 40.0
"""Without even a keep-alive comment, which comes every fifteen."""
READ_BYTES: Final = 65_536
MOST_FRAME_BYTES: Final = 1_048_576

log = logging.getLogger(__name__)


class NeighbourError(CallwrightError):
    """Another node could not be followed."""


def is_neighbour(exchange: Exchange) -> bool:
    """Whether the request comes from another node, for the session in its path. False for a ticket that is no good."""
    tickets = exchange.headers(TICKET_HEADER)
    if len(tickets) != 1:
        return False
    session_id = exchange.parameter("session_id").lower()
    return exchange.platform.store.is_good_ticket(tickets[0].decode("latin-1"), session_id)


async def owner_elsewhere(exchange: Exchange, session_id: str) -> Owner | None:
    """The other node that carries the session out, if it can be reached; None while the database is away."""
    store = exchange.platform.store
    with suppress(StorageError):
        owner = await store.owner_of(session_id)
        if owner is not None and owner.node_id != store.node_id and owner.url is not None:
            return owner
    return None


async def frames_of(exchange: Exchange, owner: Owner, session_id: str, last_seen: int) -> AsyncGenerator[bytes, None]:
    """The owner's frames, whole ones only, from after `last_seen` to its end. NeighbourError when it cannot be had."""
    address = urlsplit(owner.url or "")
    ticket = exchange.platform.store.ticket_for(session_id)
    lines = [
        f"GET {exchange.scope['path']} HTTP/1.1",
        f"Host: {address.netloc}",
        f"{TICKET_HEADER.decode()}: {ticket}",
        f"Last-Event-ID: {last_seen}",
        "Connection: close",
    ]
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
    except (OSError, TimeoutError) as error:
        raise NeighbourError(f"node {owner.name} cannot be reached at {owner.url}") from error
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async for frame in _frames(reader, owner):
            yield frame
    finally:
        writer.close()


async def _frames(reader: asyncio.StreamReader, owner: Owner) -> AsyncGenerator[bytes, None]:
    body = _Body()
    parser = httptools.HttpResponseParser(body)
    waiting = b""
    while not body.over:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                data = await reader.read(READ_BYTES)
            if not data:
                return
            parser.feed_data(data)
        except (OSError, TimeoutError, httptools.HttpParserError) as error:
            raise NeighbourError(f"node {owner.name} fell silent") from error
        if body.head_came and parser.get_status_code() != 200:
            raise NeighbourError(f"node {owner.name} answered {parser.get_status_code()}")
        waiting += body.take()
        while (end := waiting.find(b"\n\n")) >= 0:
            frame, waiting = waiting[: end + 2], waiting[end + 2 :]
            if not frame.startswith(b":"):
                yield frame
        if len(waiting) > MOST_FRAME_BYTES:
            raise NeighbourError(f"node {owner.name} sends what is no event")


class _Body:
    """What the parser tells of an answer."""

    def __init__(self) -> None:
        self.over = False
        self.head_came = False
        self._pieces: list[bytes] = []

    def take(self) -> bytes:
        """The body that has come since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def on_headers_complete(self) -> None:
        """The parser's word for it."""
        self.head_came = True

    def on_body(self, piece: bytes) -> None:
        """Some of it."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The end."""
        self.over = True


def number_of(frame: bytes) -> int | None:
    """The id of a `trace` frame; None for others."""
    head, _, rest = frame.partition(b"\n")
    if head.startswith(b"id: ") and rest.startswith(b"event: trace\n") and head[4:].isdigit():
        return int(head[4:])
    return None
