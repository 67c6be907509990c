"""Server-sent events (WHATWG HTML, "Server-sent events"): a text stream that ends when its source does.

A comment every fifteen seconds keeps proxies from closing a quiet stream, and finds out clients that are gone.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from callwright.api.asgi import Receive, Scope, Send
from callwright.contract.json_text import serialize

KEEP_ALIVE_SECONDS = 15.0
_KEEP_ALIVE = b": still here\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]


def frame(event: str, data: object, event_id: int | None = None) -> bytes:
    """One event; `data` becomes JSON, which holds no line breaks, so one data line is enough."""
    name = b"event: " + event.encode() + b"\n"
    number = b"" if event_id is None else b"id: %d\n" % event_id
    return number + name + b"data: " + serialize(data) + b"\n\n"


class EventStream:
    """An answer that sends frames as they come, until they end or the client goes."""

    def __init__(self, frames: AsyncGenerator[bytes, None], keep_alive_seconds: float = KEEP_ALIVE_SECONDS) -> None:
        self._frames = frames
        self._keep_alive_seconds = keep_alive_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send it all."""
        async with contextlib.aclosing(self._frames):
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            gone = asyncio.ensure_future(_disconnected(receive))
            try:
                await self._pump(send, gone)
            finally:
                gone.cancel()
                await asyncio.wait([gone])

    async def _pump(self, send: Send, gone: "asyncio.Future[None]") -> None:
        coming: asyncio.Future[bytes | None] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(self._frames, None))
                await asyncio.wait(
                    (coming, gone), timeout=self._keep_alive_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if gone.done():
                    return
                if not coming.done():
                    await send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})
                    continue
                piece, coming = coming.result(), None
                await send({"type": "http.response.body", "body": piece or b"", "more_body": piece is not None})
                if piece is None:
                    return
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait([coming])


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
