"""The HTTP server: a listening socket on our own event loop, and a clock on every wait for a client.

Signals stay with the command line, access logging with nobody: every request that matters is in a trace or a metric.
"""

import asyncio
import socket
from typing import Any

from callwright.api.asgi import ASGIApp
from callwright.api.http1 import Crowd, ServerConnection
from callwright.errors import SettingsError
from callwright.settings import HostPort

MOST_CONNECTIONS = 2_000
BACKLOG = 1_024
LOOKS_A_WAIT = 10
"""How often, while a client may keep us waiting, it is looked whether it did for too long."""


class HttpServer:
    """A running server; made by `serve_http`."""

    def __init__(
        self, server: asyncio.Server, address: HostPort, crowd: Crowd, look_seconds: float, grace_seconds: float
    ) -> None:
        self.address = address
        "where it really listens, which matters with port 0"
        self._server = server
        self._crowd = crowd
        self._look_seconds = look_seconds
        self._grace_seconds = grace_seconds
        self._loop = asyncio.get_running_loop()
        self._look_timer = self._loop.call_later(look_seconds, self._look)
        self._stopping: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Take no new connections, let answers that are under way finish within the grace, close. May be repeated."""
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self._server.close()
        await self._crowd.disperse(self._grace_seconds)
        self._look_timer.cancel()
        await self._server.wait_closed()

    def _look(self) -> None:
        """One timer for all connections, where each would set and cancel its own at every request."""
        self._crowd.hurry(self._loop.time())
        self._look_timer = self._loop.call_later(self._look_seconds, self._look)


async def serve_http(
    app: ASGIApp,
    address: HostPort,
    *,
    grace_seconds: float = 5.0,
    most_connections: int = MOST_CONNECTIONS,
    protocol: type[ServerConnection] = ServerConnection,
) -> HttpServer:
    """Listen on `address` and answer with `app` until `stop`. SettingsError when the address cannot be had."""
    listener = await _listen(address)
    crowd = Crowd(most_connections)
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(app, crowd), sock=listener, backlog=BACKLOG
    )
    host, port = listener.getsockname()[:2]
    return HttpServer(server, HostPort(host, port), crowd, protocol.head_seconds / LOOKS_A_WAIT, grace_seconds)


async def _listen(address: HostPort) -> socket.socket:
    """A bound socket that listens."""
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
