"""HTTP at both ends of a measurement, as cheap as it can be: a load generator and a receiver of webhooks."""

import asyncio
import json
from dataclasses import dataclass
from typing import Self

ANSWER_SECONDS = 120.0
"""Thousands of calls may leave the server little of a machine that is busy besides."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes


class Connection:
    """One connection that is kept open; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection(host, port))

    async def exchange(self, request: bytes) -> Answer:
        """Send `request` as it is, read the answer."""
        self._writer.write(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            return Answer(int(head[9:12]), await self._reader.readexactly(_content_length(head)))

    async def close(self) -> None:
        """Disconnect."""
        self._writer.close()
        await self._writer.wait_closed()


def request(method: str, path: str, key: str, body: object = None) -> bytes:
    """A whole request as bytes."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Receiver:
    """Answers 200 to every POST and counts them; GET is answered with `file`."""

    def __init__(self, file: bytes = b"") -> None:
        self._file = file
        self.received = 0
        self._news = asyncio.Event()
        self._server: asyncio.Server
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of the loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; connections end with the process or their peer."""
        self._server.close()

    async def until(self, count: int, limit_seconds: float) -> None:
        """Wait until `count` POSTs have come in all; TimeoutError when they do not."""
        async with asyncio.timeout(limit_seconds):
            while self.received < count:
                self._news.clear()
                await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_content_length(head))
                content = self._file if head.startswith(b"GET ") else b"{}"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))
                if head.startswith(b"POST "):
                    self.received += 1
                    self._news.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the peer is done
        finally:
            writer.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
