"""Connections to servers, kept between requests (RFC 9112 §9.3): as many as are needed at once, a few that rest.

Each is made to an address that was checked (network.py) and never outlives the pool whose rule that was.
"""

import asyncio
import functools
import ssl
from collections import defaultdict

import certifi

from callwright.egress.http1 import Connection
from callwright.egress.network import CheckedNetwork, cause, in_time
from callwright.egress.target import Origin
from callwright.errors import EgressError

CONNECT_SECONDS = 2.0
"""For a place in the pool, for the connection, and for TLS on it: each."""
MOST_CONNECTIONS = 256
MOST_IDLE_CONNECTIONS = 32
IDLE_SECONDS = 15.0


@functools.cache
def _public_authorities() -> ssl.SSLContext:
    """Read once, and when first needed: it takes as long as twenty requests."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


class Pool:
    """Lends connections. `ssl_context` replaces the public certificate authorities."""

    def __init__(self, network: CheckedNetwork, ssl_context: ssl.SSLContext | None) -> None:
        self._network = network
        self._ssl_context = ssl_context
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        "those used last at the end"
        self._resting = 0
        self._lent: dict[Connection, Origin] = {}
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)

    @property
    def connections(self) -> int:
        """How many there are, resting ones included."""
        return self._resting + len(self._lent)

    async def lend(self, origin: Origin) -> Connection:
        """A connection to `origin` that nobody else uses; `take_back` in any case. EgressError, EgressRefused."""
        if self._room.locked():
            async with in_time(CONNECT_SECONDS, "Too many connections are open to answer this request."):
                await self._room.acquire()
        else:
            await self._room.acquire()  # at once
        try:
            connection = self._rested(origin) or await self._open(origin)
        except BaseException:
            self._room.release()
            raise
        self._lent[connection] = origin
        return connection

    def take_back(self, connection: Connection) -> None:
        """The exchange is over; a connection whose answer did not come whole is closed."""
        origin = self._lent.pop(connection)
        self._room.release()
        if not connection.is_reusable:
            connection.close()
            return
        now = asyncio.get_running_loop().time()
        connection.rest(now)
        self._idle[origin].append(connection)
        self._resting += 1
        self._thin_out(now)

    def close(self) -> None:
        """Close every connection."""
        for connection in [*self._lent, *(one for resting in self._idle.values() for one in resting)]:
            connection.close()
        self._idle.clear()
        self._resting = 0

    def _rested(self, origin: Origin) -> Connection | None:
        """The connection that was used last, as it is the least likely to be closed any moment."""
        resting = self._idle.get(origin)
        while resting:
            connection = resting.pop()
            self._resting -= 1
            if asyncio.get_running_loop().time() - connection.idle_since < IDLE_SECONDS and connection.is_quiet:
                return connection
            connection.close()
        return None

    def _thin_out(self, now: float) -> None:
        """Close what rested for too long, and the one that rested longest when too many do."""
        for origin, resting in tuple(self._idle.items()):
            while resting and now - resting[0].idle_since >= IDLE_SECONDS:
                self._close_first(resting)
            if not resting:
                del self._idle[origin]
        if self._resting > MOST_IDLE_CONNECTIONS:
            self._close_first(min(self._idle.values(), key=lambda resting: resting[0].idle_since))

    def _close_first(self, resting: list[Connection]) -> None:
        resting.pop(0).close()
        self._resting -= 1

    async def _open(self, origin: Origin) -> Connection:
        connected = await self._network.connect(origin.host, origin.port, CONNECT_SECONDS)
        loop = asyncio.get_running_loop()
        try:
            if not origin.is_secure:
                _, connection = await loop.create_connection(Connection, sock=connected)
            else:
                _, connection = await loop.create_connection(
                    Connection,
                    sock=connected,
                    ssl=self._ssl_context or _public_authorities(),
                    server_hostname=origin.host,
                    ssl_handshake_timeout=CONNECT_SECONDS,
                )
        except ConnectionAbortedError as error:  # how asyncio says that TLS took too long
            raise EgressError(f"The server {origin.host} did not accept a connection in time.") from error
        except OSError as error:  # ssl.SSLError too
            raise EgressError(f"No connection to {origin.host}: {cause(error)}.") from error
        return connection
