"""A small web server of the loopback, as customers have one: it reads requests and leaves the answers to its owner."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    "names in lower case"
    body: bytes


Answering = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
"""Writes an answer, or does something else to whoever waits for one. What it raises ends the connection."""


async def respond(
    writer: asyncio.StreamWriter, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> None:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} Answer", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


@contextlib.asynccontextmanager
async def web_server(answering: Answering) -> AsyncIterator[int]:
    """Listen on a free port, which is what comes; at the end every conversation is cut off."""
    conversations: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_converse(answering, reader, writer))
        conversations.add(task)
        task.add_done_callback(conversations.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await server.wait_closed()


async def _converse(answering: Answering, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await answering(await _request(reader), writer)
    finally:
        writer.close()


async def _request(reader: asyncio.StreamReader) -> Request:
    line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest if each)}
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
