"""Servers on loopback that answer byte for byte what a test wants, and count who came."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """One listening socket; `requests` holds the head and body of each request, `connects` counts connections."""

    def __init__(self, talk: Talk | bytes, host: str) -> None:
        self.connects = 0
        self.requests: list[bytes] = []
        self.host = host
        self.port = 0
        self._talk = talk
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, stack: AsyncExitStack) -> None:
        server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        stack.push_async_callback(self._stop, server)

    def url(self, path: str = "/") -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{path}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connects += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                if isinstance(self._talk, bytes):
                    writer.write(self._talk)
                    await writer.drain()
                else:
                    await self._talk(reader, writer)
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(answer)` starts a server; `answer` is the bytes of a response, or a conversation."""
    async with AsyncExitStack() as stack:

        async def start(talk: Talk | bytes, host: str = "127.0.0.1") -> Server:
            server = Server(talk, host)
            await server.serve(stack)
            return server

        yield start
