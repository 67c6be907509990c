"""Server-sent events (WHATWG HTML, "Server-sent events"): a text stream that ends when its source does.

A comment every fifteen seconds keeps proxies from closing a quiet stream, and finds out clients that are gone. A client
that takes nothing for half a minute is cut off; it may come back and go on from the last event it has.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from callwright.api.asgi import Message, Receive, Scope, Send
from callwright.contract.json_text import serialize

KEEP_ALIVE_SECONDS = 15.0
SLOWEST_SECONDS = 30.0
_log = logging.getLogger(__name__)
_KEEP_ALIVE = b": still here\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]


def frame(event: str, data: object, event_id: int | None = None) -> bytes:
    """One event; `data` becomes JSON, which holds no line breaks, so one data line is enough."""
    return text_frame(event, serialize(data), event_id)


def text_frame(event: str, text: bytes, event_id: int | None = None) -> bytes:
    """One event whose data is JSON already, without line breaks."""
    name = b"event: " + event.encode() + b"\n"
    number = b"" if event_id is None else b"id: %d\n" % event_id
    return number + name + b"data: " + text + b"\n\n"


class EventStream:
    """An answer that sends frames as they come, until they end or the client goes."""

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        slowest_seconds: float = SLOWEST_SECONDS,
    ) -> None:
        self._frames = frames
        self._keep_alive_seconds = keep_alive_seconds
        self._slowest_seconds = slowest_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send it all."""
        async with contextlib.aclosing(self._frames):
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            gone = asyncio.ensure_future(_disconnected(receive))

            async def send_soon(message: Message) -> None:
                async with asyncio.timeout(self._slowest_seconds):
                    await send(message)

            try:
                await self._pump(send_soon, gone)
            except TimeoutError:
                _log.info("a stream of events was cut off: its client takes nothing")
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
