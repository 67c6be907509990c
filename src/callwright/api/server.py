"""The HTTP server: uvicorn inside our own event loop, with limits on what a connection may cost.

uvicorn has no limit on how long a request's head may take, so `BoundedProtocol` adds one; a body's time is bounded
where it is read (`exchange.py`). Signals stay with the command line, access logging with nobody: every request that
matters is in a trace or a metric.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from callwright.errors import SettingsError
from callwright.settings import HostPort

HEAD_SECONDS = 10.0
"""How long a request's head may take to arrive, and an answered request's rest."""
MOST_HEAD_BYTES = 16 * 1024
KEEP_ALIVE_SECONDS = 15
MOST_CONNECTIONS = 2_000
BACKLOG = 1_024


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a clock on every wait for the client that uvicorn does not time itself."""

    head_seconds = HEAD_SECONDS
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A connection is open: its first request is awaited."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Bytes came; did they complete what was awaited?"""
        super().data_received(data)
        # A head is incomplete, or the answer is out while the body still comes and is thrown away.
        waiting = self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE
        if not waiting:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and its clock with it."""
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers (the command line decides what SIGTERM means), and woken to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop_soon(self) -> None:
        """End the main loop now."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Keep the Date header fresh, once a second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class HttpServer:
    """A running server; made by `serve_http`."""

    def __init__(self, server: _Server, listener: socket.socket, task: "asyncio.Task[None]") -> None:
        self._server = server
        self._task = task
        host, port = listener.getsockname()[:2]
        self.address = HostPort(host, port)
        "where it really listens, which matters with port 0"

    async def stop(self) -> None:
        """Take no new connections, let answers that are under way finish within the grace, close. May be repeated."""
        self._server.stop_soon()
        await self._task


async def serve_http(
    app: ASGIApp,
    address: HostPort,
    *,
    grace_seconds: int = 5,
    most_connections: int = MOST_CONNECTIONS,
    protocol: type[BoundedProtocol] = BoundedProtocol,
) -> HttpServer:
    """Listen on `address` and answer with `app` until `stop`. SettingsError when the address cannot be had."""
    listener = await _listen(address)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=most_connections,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http server")
    while not server.started:  # uvicorn tells by a flag only
        if task.done():
            task.result()
            raise SettingsError(f"the HTTP server ended while it started on {address}")
        await asyncio.sleep(0.001)
    return HttpServer(server, listener, task)


async def _listen(address: HostPort) -> socket.socket:
    """A bound socket; uvicorn would end the process when it cannot bind."""
    loop = asyncio.get_running_loop()
    try:
        found: list[Any] = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.settimeout(0)
            listener.bind(place)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise SettingsError(
            f"HTTP cannot listen on {address}: {error.strerror or error}. Stop what is using it, or choose another "
            "address with --http HOST:PORT or CALLWRIGHT_HTTP"
        ) from error
    return listener
