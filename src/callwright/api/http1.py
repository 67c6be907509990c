"""HTTP/1.1 as a server (RFC 9112): connections, and their requests one after the other, each for an ASGI application.

The parser is httptools'. A client may cost so much and no more: heads of 16 KiB within ten seconds, one request worked
on at a time, a body that is read no faster than the application takes it. How long a body may take is the
application's to say (exchange.py).
"""

import asyncio
import http
import logging
import time
from collections import deque
from collections.abc import Coroutine
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import unquote

import httptools

from callwright.api.asgi import ASGIApp, Message, Scope

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""How long a request's head may take to arrive, and an answered request's rest."""
KEEP_ALIVE_SECONDS = 15.0
MOST_HEAD_BYTES = 16 * 1024
MOST_UNREAD_BYTES = 64 * 1024
"""Of a body that the application does not take; then the client has to wait."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in http.HTTPStatus
}
_WITHOUT_BODY = (204, 304)
_GONE: Message = {"type": "http.disconnect"}


class HttpExchange:
    """One request and its answer: `receive` and `send` are what ASGI calls so."""

    def __init__(
        self, connection: "ServerConnection", scope: Scope, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.is_complete = False
        "the whole request is here"
        self.is_answered = False
        self.is_gone = False
        "nobody is there to be answered"
        self.has_begun = False
        "some of the answer is out"
        self._connection = connection
        self._expects_continue = expects_continue
        self._body = bytearray()
        self._delivered = False
        "the application was given the end of the body"
        self._news: asyncio.Future[None] | None = None
        self._head = b""
        self._chunked = self._bodiless = False

    def take(self, piece: bytes) -> None:
        """A piece of the request's body; dropped when the answer is out already."""
        if not self.is_answered:
            self._body += piece
            if len(self._body) > MOST_UNREAD_BYTES:
                self._connection.hold_reading()
            self.tell()

    def tell(self) -> None:
        """Something changed: whoever waits in `receive` looks again."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def receive(self) -> Message:
        """The next piece of the body; http.disconnect once the client is gone, or the answer is out."""
        while not (self.is_gone or self.is_answered):
            if self._body or (self.is_complete and not self._delivered):
                body, self._body = bytes(self._body), bytearray()
                self._delivered = self.is_complete
                self._connection.resume_reading()
                return {"type": "http.request", "body": body, "more_body": not self.is_complete}
            if self._expects_continue:  # RFC 9110 §10.1.1: only now somebody wants the body
                self._expects_continue = False
                self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return _GONE

    async def send(self, message: Message) -> None:
        """The answer's head, and its body piece by piece. What is sent to nobody is dropped."""
        if message["type"] == "http.response.start":
            self._head = self._answer_head(message["status"], message.get("headers", ()))
            if self._chunked:  # who does not know its length may be long in coming: the head goes first
                self._connection.write(self._head)
                self._head, self.has_begun = b"", True
            return
        piece, more = message.get("body", b""), message.get("more_body", False)
        if self._bodiless:
            piece = b""
        elif self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            piece += b"" if more else b"0\r\n\r\n"
        head, self._head, self.has_begun = self._head, b"", True
        if head or piece:
            self._connection.write(head + piece)
        if more:
            await self._connection.drained()
        elif not self.is_answered:
            self.is_answered = True
            self._body.clear()
            self.tell()
            self._connection.answered(self)

    def _answer_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        self._bodiless = status in _WITHOUT_BODY or self.scope["method"] == "HEAD"
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, _date_line()]
        has_length = False
        for name, value in headers:
            if name == b"content-length":
                has_length = True
                if status in _WITHOUT_BODY:  # RFC 9110 §8.6
                    continue
            elif name == b"connection":
                self.keep_alive = self.keep_alive and value.lower() != b"close"
                continue
            lines.append(b"%b: %b\r\n" % (name, value))
        if not has_length and not self._bodiless:
            if self.scope["http_version"] == "1.0":
                self.keep_alive = False  # the end of the connection is the end of the body
            else:
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
        if self._connection.is_leaving:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)


class Crowd:
    """The connections of a server. More than `most` are turned away."""

    def __init__(self, most: int) -> None:
        self.connections: set[ServerConnection] = set()
        self._most = most
        self._empty: asyncio.Future[None] | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether a request must be turned away."""
        return len(self.connections) > self._most

    def left(self, connection: "ServerConnection") -> None:
        """A connection is over."""
        self.connections.discard(connection)
        if not self.connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def hurry(self, now: float) -> None:
        """End connections whose clients keep us waiting."""
        for connection in tuple(self.connections):
            if connection.deadline <= now:
                connection.give_up()

    async def disperse(self, grace_seconds: float) -> None:
        """End all connections, each with the answer that is under way if that takes no longer than the grace."""
        for connection in tuple(self.connections):
            connection.leave()
        if self.connections:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=grace_seconds)
        tasks = [task for connection in self.connections for task in connection.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in tuple(self.connections):
            connection.abort()


class ServerConnection(asyncio.Protocol):
    """One client's connection, one of a crowd."""

    head_seconds = HEAD_SECONDS

    def __init__(self, app: ASGIApp, crowd: "Crowd") -> None:
        self.deadline = float("inf")
        "loop time at which the client has kept us waiting for too long"
        self.is_leaving = False
        "the server stops: this answer is the last"
        self.tasks: set[asyncio.Task[None]] = set()
        self._app = app
        self._crowd = crowd
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._client: tuple[str, int] | None = None
        self._server: tuple[str, int] | None = None
        self._current: HttpExchange | None = None
        "the request that is being answered"
        self._next: deque[HttpExchange] = deque()
        "requests that came before the answer to the current one was out"
        self._reading: HttpExchange | None = None
        "the request whose body is coming"
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_head = False
        "between the first byte of a head and its end"
        self._head_bytes = 0
        self._is_deaf = False
        "what comes now is not read any more"
        self._is_holding = False
        self._writable: asyncio.Future[None] | None = None

    # --- what the transport says (asyncio.Protocol) ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected: its first request is awaited."""
        self._transport = cast("asyncio.Transport", transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = (str(peer[0]), int(peer[1])) if peer else None
        self._server = (str(own[0]), int(own[1])) if own else None
        self.deadline = self._loop.time() + self.head_seconds
        self._crowd.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._is_deaf:
            return
        was_head = self._is_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            self._spoil(501)  # RFC 9110 §9.1
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # nothing but HTTP is spoken here
            self._spoil(400)
        if self._is_head:
            self._head_bytes = self._head_bytes + len(data) if was_head else 0
            if self._head_bytes > MOST_HEAD_BYTES:
                self._spoil(431)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Over."""
        self._lose()
        self.resume_writing()
        self._crowd.left(self)

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """It caught up, or is gone."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # --- what the parser says (httptools) ----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._target, self._headers, self._is_head, self._head_bytes = b"", [], True, 0
        if self._current is None:
            self.deadline = self._loop.time() + self.head_seconds

    def on_url(self, piece: bytes) -> None:
        """The target, or a piece of it."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line; behind a body it is a trailer, and of no interest."""
        if self._is_head:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """A request may be answered from here on."""
        self._is_head = False
        version = self._parser.get_http_version()
        refusal, expects_continue = _refusal(version, self._target, self._headers)
        if self._is_deaf:
            return
        if refusal:
            self._spoil(refusal)
            return
        target = self._target
        if not target.startswith(b"/"):  # absolute-form (RFC 9112 §3.2.2)
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        raw_path, _, query = target.partition(b"?")
        path = raw_path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._client,
            "server": self._server,
        }
        keep_alive = version == "1.1" and self._parser.should_keep_alive()
        exchange = HttpExchange(self, scope, keep_alive=keep_alive, expects_continue=expects_continue)
        self._reading = exchange
        if self._current is None:
            self._begin(exchange)
        else:
            self._next.append(exchange)
            self.hold_reading()

    def on_body(self, piece: bytes) -> None:
        """A piece of a body."""
        if self._reading is not None:
            self._reading.take(piece)

    def on_message_complete(self) -> None:
        """A request is whole."""
        exchange, self._reading = self._reading, None
        if exchange is not None:
            exchange.is_complete = True
            exchange.tell()
        if self._current is None and not self._is_deaf:
            self.deadline = self._loop.time() + KEEP_ALIVE_SECONDS

    # --- what an exchange says ---------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send, unless nobody is there."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has read most of what was sent."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def hold_reading(self) -> None:
        """The client has to wait."""
        if not self._is_holding and not self._transport.is_closing():
            self._is_holding = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """It may go on."""
        if self._is_holding and not self._next and not self._transport.is_closing():
            self._is_holding = False
            self._transport.resume_reading()

    def answered(self, exchange: HttpExchange) -> None:
        """The answer is out: the next request's turn."""
        if exchange is not self._current:
            return
        self._current = None
        if not exchange.keep_alive or self.is_leaving:
            if exchange.is_complete and not self._is_deaf:
                self._transport.close()
            else:
                self._part()
        elif self._next:
            self._begin(self._next.popleft())
        else:
            patience = KEEP_ALIVE_SECONDS if exchange.is_complete else self.head_seconds
            self.deadline = self._loop.time() + patience
        self.resume_reading()

    # --- the server --------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """The server stops: end now, or with the answer that is under way."""
        self.is_leaving = True
        if self._current is None:
            self._transport.close()

    def give_up(self) -> None:
        """The client kept us waiting for too long."""
        self.deadline = float("inf")
        self._transport.abort()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    # --- within ------------------------------------------------------------------------------------------------------

    def _begin(self, exchange: HttpExchange) -> None:
        self._current, self.deadline = exchange, float("inf")
        exchange.scope["came_at"] = self._loop.time()  # ours, not ASGI's: its head is read, and its turn has come
        if self._crowd.is_too_large:
            log.warning("a request was turned away: too many connections are open")
            self._refuse(503)
            return
        answering = cast("Coroutine[Any, Any, None]", self._app(exchange.scope, exchange.receive, exchange.send))
        task = self._loop.create_task(answering)
        self.tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, exchange))

    def _done(self, task: "asyncio.Task[None]", exchange: HttpExchange) -> None:
        """The application returned; an answer that it did not finish never will be."""
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request's answer broke off", exc_info=error)
            if not exchange.has_begun and exchange is self._current:
                self._refuse(500)
        if not exchange.is_answered and exchange is self._current:
            self._transport.abort()  # a client that takes nothing would keep it open

    def _spoil(self, status: int) -> None:
        """What came cannot be read, nor what may follow. Requests that came whole before it are answered still."""
        self._is_deaf, self._is_head = True, False
        if self._reading is not None and self._reading in self._next:
            self._next.remove(self._reading)
            self._reading = None
        last = self._next[-1] if self._next else self._current
        if last is None or last is self._reading:
            self._refuse(status)
        else:
            last.keep_alive = False

    def _refuse(self, status: int) -> None:
        """Answer in the application's place, unless it has begun to, and part."""
        exchange = self._current
        if exchange is None or not exchange.has_begun:
            phrase = http.HTTPStatus(status).phrase.encode("ascii")
            head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(phrase)
            self.write(_STATUS_LINES[status] + _date_line() + head + b"connection: close\r\n\r\n" + phrase)
        self._lose()
        self._part()

    def _part(self) -> None:
        """Say goodbye. What the client still sends is read and dropped for a while, or it might miss the answer."""
        self._next.clear()
        self._is_deaf = True
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self.deadline = self._loop.time() + self.head_seconds
        self.resume_reading()

    def _lose(self) -> None:
        """Nobody is there to be answered any more."""
        for exchange in (self._current, *self._next):
            if exchange is not None:
                exchange.is_gone = True
                exchange.tell()
        self._current = self._reading = None
        self._next.clear()


def _refusal(version: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, bool]:
    """The status that refuses a request, 0 for none; and whether it waits for a 100."""
    hosts = 0
    size = len(target)
    expects_continue = False
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            return 501, False
        elif name == b"expect":
            expects_continue = value.lower() == b"100-continue" and version == "1.1"
    if version not in ("1.0", "1.1"):
        return 505, False
    if size > MOST_HEAD_BYTES:
        return 431, False
    fewest_hosts = 0 if version == "1.0" else 1
    if not fewest_hosts <= hosts <= 1 or not target.isascii():  # RFC 9112 §3.2
        return 400, False
    return 0, expects_continue


_date: tuple[int, bytes] = (0, b"")


def _date_line() -> bytes:
    """The Date header, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, f"date: {formatdate(now, usegmt=True)}\r\n".encode("ascii"))
    return _date[1]
