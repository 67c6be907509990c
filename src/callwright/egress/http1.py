"""HTTP/1.1 as a client (RFC 9112): one request at a time on a connection that may be used again.

The parser is httptools'. An answer is kept whole, up to as many bytes as were asked for; reading ends there. What is
refused: headers over 32 KiB, a Content-Encoding (nothing bounds what it expands to), a Transfer-Encoding other than
chunked, and whatever comes that nobody asked for: it would pass for the answer to the next request.
"""

import asyncio
import select
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import cast

import httptools

from callwright.errors import EgressError

MOST_HEADER_BYTES = 32 * 1024
MOST_BARREN_BYTES = 2 * MOST_HEADER_BYTES
"""Read at most so much that is neither body nor the end of the head: a line without an end, chunks without content."""
PLAIN_ENCODINGS = ("", "identity")
BROKEN = "The connection broke before the whole answer came."


class Stage(IntEnum):
    """How far an exchange is."""

    IDLE = 0
    HEAD = 1
    "the request is out, or on its way out"
    BODY = 2
    "the answer's head is here"
    WHOLE = 3
    "everything is, or as much as was wanted"
    FAILED = 4


@dataclass(slots=True)
class Response:
    """An answer, as far as it has come."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    "names in lower case; of repeated headers the first"
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False
    "there was more body than was wanted"


class Connection(asyncio.Protocol):
    """One connection to a server. `ask`, then `head` and `whole`; again if `is_reusable`."""

    def __init__(self) -> None:
        self.response = Response()
        self.idle_since = 0.0
        "loop time of the last answer's end"
        self._transport: asyncio.Transport | None = None
        self._parser = _new_parser(self)
        self._poll = select.poll()
        self._stage = Stage.IDLE
        self._failure = BROKEN
        self._most_bytes = 0
        self._wanted = Stage.WHOLE
        "what `_waiter` waits for"
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        "there while the peer takes no more"
        self._keep_alive = False
        self._is_interim = False
        "the head that came is that of a 1xx"
        self._header_bytes = 0
        self._barren_bytes = 0

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(self, request: bytes, most_bytes: int) -> None:
        """Send a request, or its head; of the answer's body at most `most_bytes` are read."""
        self.response = Response()
        self._most_bytes = most_bytes
        self._header_bytes = self._barren_bytes = 0
        if self._transport is None or self._transport.is_closing():
            self._fail(BROKEN)
            return
        self._stage = Stage.HEAD
        self._transport.write(request)

    async def send(self, chunks: AsyncIterable[bytes], stall_seconds: float) -> None:
        """Send the body that belongs to the request, unless the answer comes first.

        EgressError when the server takes nothing for `stall_seconds`.
        """
        async for chunk in chunks:
            if self._stage >= Stage.WHOLE or self._transport is None:
                return
            self._transport.write(chunk)
            if self._writable is not None:
                try:
                    async with asyncio.timeout(stall_seconds):
                        await asyncio.shield(self._writable)
                except TimeoutError:
                    raise EgressError("The server stopped taking what was sent.") from None

    async def head(self) -> Response:
        """Wait for status and headers. EgressError when they do not come."""
        return await self._reach(Stage.BODY)

    async def whole(self) -> Response:
        """Wait for the whole answer, or as much of it as was wanted. EgressError when it does not come."""
        return await self._reach(Stage.WHOLE)

    async def _reach(self, stage: Stage) -> Response:
        if self._stage < stage:
            self._wanted = stage
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._stage is Stage.FAILED:
            raise EgressError(self._failure)
        return self.response

    # --- using it again ----------------------------------------------------------------------------------------------

    @property
    def is_reusable(self) -> bool:
        """The answer is whole, and neither side wants to leave."""
        return self._keep_alive and self._stage is Stage.WHOLE and not self._is_closing

    def rest(self, now: float) -> None:
        """Nobody asks anything for a while; what comes meanwhile ends the connection."""
        self._stage, self.idle_since = Stage.IDLE, now

    @property
    def is_quiet(self) -> bool:
        """Nothing has come since, not even the end: the loop may not have told us yet, so the kernel is asked."""
        return not self._is_closing and not self._poll.poll(0)

    def close(self) -> None:
        """Leave at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def _is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    # --- what the transport says (asyncio.Protocol) ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        if self._stage not in (Stage.HEAD, Stage.BODY):
            self.close()  # nobody asked
            return
        self._barren_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keep_alive = False
            self._fail(BROKEN)
        if self._barren_bytes > MOST_BARREN_BYTES and self._stage < Stage.WHOLE:
            self._fail(f"The answer's headers are larger than {MOST_HEADER_BYTES} bytes.")
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The end; of a body that nothing else delimits too (RFC 9112 §6.3 rule 8)."""
        self._transport = None
        delimited = self.response.headers.keys() & {"content-length", "transfer-encoding"}
        if self._stage is Stage.BODY and not delimited:
            self._stage, self._keep_alive = Stage.WHOLE, False
        self._fail(BROKEN)
        self._tell()
        self.resume_writing()

    def pause_writing(self) -> None:
        """The peer takes no more for now."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It does again, or never will."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # --- what the parser says (httptools) ----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins; behind a whole one there should be none."""
        if self._stage is not Stage.HEAD:
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line; behind the body it is a trailer, and of no interest."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MOST_HEADER_BYTES:
            self._fail(f"The answer's headers are larger than {MOST_HEADER_BYTES} bytes.")
        if self._stage is not Stage.HEAD:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")
        if key == "content-encoding":  # of several lines each counts
            former = self.response.headers.pop(key, "")
            text = text if former.lower() in PLAIN_ENCODINGS else former
        elif key == "transfer-encoding" and text.lower() != "chunked":
            self._fail(BROKEN)
        self.response.headers.setdefault(key, text)

    def on_headers_complete(self) -> None:
        """The head is whole: of the answer, or of a 1xx before it (RFC 9110 §15.2)."""
        if self._stage is not Stage.HEAD:
            return
        status = self._parser.get_status_code()
        self._is_interim = 100 <= status < 200 and status != 101
        if self._is_interim:
            self.response.headers.clear()
            return
        encoding = self.response.headers.get("content-encoding", "")
        if status < 100:
            self._fail(BROKEN)
        elif encoding.lower() not in PLAIN_ENCODINGS:
            self._fail(f"The answer is compressed ({encoding[:40]}), which was not asked for.")
        else:
            self._stage, self.response.status, self._barren_bytes = Stage.BODY, status, 0

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        if self._stage is not Stage.BODY:
            return
        self._barren_bytes = 0
        body = self.response.body
        body += piece
        if len(body) > self._most_bytes:
            del body[self._most_bytes :]
            self.response.truncated, self._keep_alive = True, False
            self._stage = Stage.WHOLE
            self.close()

    def on_message_complete(self) -> None:
        """The answer, or a 1xx, is whole."""
        if self._is_interim:
            self._is_interim = False
        elif self._stage is Stage.BODY:
            self._stage, self._keep_alive = Stage.WHOLE, self._parser.should_keep_alive()

    # --- both --------------------------------------------------------------------------------------------------------

    def _fail(self, why: str) -> None:
        if self._stage < Stage.WHOLE:
            self._stage, self._failure = Stage.FAILED, why
            self.close()

    def _tell(self) -> None:
        """Whoever waits for as much as there is now."""
        if self._waiter is not None and self._stage >= self._wanted:
            waiter, self._waiter = self._waiter, None
            if not waiter.done():
                waiter.set_result(None)


def _new_parser(connection: Connection) -> httptools.HttpResponseParser:
    parser = httptools.HttpResponseParser(connection)
    # "a recipient MAY recognize a single LF as a line terminator" (RFC 9112 §2.2), and there are servers that need it.
    parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
    return parser
