"""SIP over TCP and TLS on the event loop: connections made when needed, used again, kept alive, closed when idle.

RFC 3261 §18 (one connection per address and transport, responses over the connection of their request), RFC 5626
§3.5.1 (CRLF keep-alive), RFC 5922 (TLS). What arrives is framed (`sip/framing.py`) and handed up message by message;
a connection that cannot be made, or breaks, is told to `gone`, so that whoever waits for an answer stops waiting.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from callwright.sip.framing import PING, PONG, Framer
from callwright.sip.outputs import Address
from callwright.sip.streams import TLS, StreamAddress
from callwright.telephony.tls import reason_of

log = logging.getLogger(__name__)

MOST_PONGS = 16
"""Answers to the keep-alives that one read brings; who sends more at once is not keeping anything alive."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How much connections may take."""

    connect_seconds: float = 3.0
    "TCP and TLS handshake together; short, because a call waits to try the next address"
    idle_seconds: float = 1800.0
    "without a SIP message, until a connection is closed"
    keepalive_seconds: float = 95.0
    "between two CRLF keep-alives on connections that we opened (RFC 5626 §4.4.1: 95 to 120 s)"
    most_connections: int = 2_000
    most_from_one_host: int = 200
    "connections that one host may open to us"
    most_waiting_bytes: int = 1_048_576
    "to write on one connection; a peer that reads no more is gone"
    dead_peer_seconds: float = 10.0
    "that data may stay unacknowledged (TCP_USER_TIMEOUT)"


class Connection(asyncio.Protocol):
    """One connection. `transport` is None until it is made."""

    def __init__(self, streams: "Streams", address: StreamAddress | None, kind: str) -> None:
        self._streams = streams
        self._framer = Framer()
        self.kind = kind
        "TCP or TLS"
        self.address = address
        "where it leads; None until a peer's connection is made"
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []
        self.last_message_at = self.last_sent_at = streams.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands (for peers' TLS connections: before the handshake)."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  asyncio hands a Protocol nothing else
        self.transport = transport
        self._streams.made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        framed = self._framer.receive(data)
        if framed.pings:
            self._write(PONG * min(framed.pings, MOST_PONGS))
        if framed.messages:
            self.last_message_at = self._streams.loop.time()
        for message in framed.messages:
            if self.address is not None:
                self._streams.receive(message, self.address)
        if framed.fault:
            log.info("connection with %s is closed: %s", self.address, framed.fault)
            self._streams.count_fault()
            if self.transport is not None:
                self.transport.close()  # after what is written, such as the 400

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over."""
        why = reason_of(error) if isinstance(error, OSError) else "the connection was closed"
        self._streams.lost(self, why)

    def send(self, data: bytes) -> None:
        """Send one message, at once or when the connection is made."""
        self.last_message_at = self._streams.loop.time()
        if self.transport is None:
            if sum(map(len, self.waiting)) + len(data) > self._streams.limits.most_waiting_bytes:
                self._streams.unsent += 1
            else:
                self.waiting.append(data)
        else:
            self._write(data)

    @property
    def is_broken(self) -> bool:
        """Its bytes are no SIP."""
        return self._framer.is_broken()

    def flush(self) -> None:
        """The connection is ready: write what waited for it."""
        waiting, self.waiting = self.waiting, []
        for data in waiting:
            self._write(data)

    def keep_alive(self) -> None:
        """Send a ping."""
        self._write(PING)

    def _write(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            self._streams.unsent += 1
            return
        self.transport.write(data)
        self.last_sent_at = self._streams.loop.time()
        if self.transport.get_write_buffer_size() > self._streams.limits.most_waiting_bytes:
            self.transport.abort()


@dataclass(slots=True)
class Listener:
    """Where peers connect to us."""

    server: asyncio.Server
    context: ssl.SSLContext | None = field(repr=False)


class Streams:
    """All connections of one user agent. Made on the running loop; `close` ends them."""

    def __init__(
        self,
        receive: Callable[[bytes, Address], None],
        gone: Callable[[Address, str], None],
        admits: Callable[[str], bool],
        client_context: Callable[[StreamAddress], ssl.SSLContext | None],
        *,
        local_host: str = "",
        limits: StreamLimits | None = None,
    ) -> None:
        """`receive` gets each message with the address it came from; `gone` each address whose connection failed.

        `admits` says which IP addresses may connect to us; `client_context` gives the TLS settings for an address, None
        when none is configured. Connections leave from `local_host` when it is given.
        """
        self.receive = receive
        self.limits = limits or StreamLimits()
        self.loop = asyncio.get_running_loop()
        self.unsent = 0
        "messages that no connection took"
        self.faults = 0
        "connections closed because their bytes were no SIP"
        self._gone = gone
        self._admits = admits
        self._client_context = client_context
        self._local = (local_host, 0) if local_host else None
        self._connections: dict[StreamAddress, Connection] = {}
        self._from_host: dict[str, int] = {}
        self._listeners: dict[str, Listener] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._arm_sweeper()

    @property
    def connections(self) -> int:
        """Connections that stand or are being made."""
        return len(self._connections)

    async def listen(self, tcp: socket.socket, transport: str, context: ssl.SSLContext | None = None) -> None:
        """Take connections on a bound socket; `context` for TLS."""
        server = await self.loop.create_server(lambda: Connection(self, None, transport), sock=tcp, backlog=512)
        self._listeners[transport] = Listener(server, context)

    def send(self, data: bytes, destination: StreamAddress) -> None:
        """Send one message, connecting first when there is no connection; a failure is told to `gone`, later."""
        connection = self._connections.get(destination)
        if connection is None:
            if destination.by_peer:
                self._fail(destination, "the peer closed its connection")
                return
            if len(self._connections) >= self.limits.most_connections:
                self._fail(destination, "too many connections")
                return
            connection = self._connections[destination] = Connection(self, destination, destination.transport)
            self._start(self._connect(connection, destination))
        connection.send(data)

    def close(self) -> None:
        """End every connection, after what was written; may be called twice."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in self._tasks:
            task.cancel()
        for listener in self._listeners.values():
            listener.server.close()
        for connection in tuple(self._connections.values()):
            if connection.transport is not None:
                connection.transport.close()
        self._connections.clear()

    # --- what connections tell -------------------------------------------------------------------------------------

    def made(self, connection: Connection) -> None:
        """A connection stands."""
        transport = connection.transport
        if transport is None:
            return
        if connection.address is not None:  # ours
            self._tune(transport)
            connection.flush()
            return
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        admitted = (
            not self._closed
            and self._admits(host)
            and len(self._connections) < self.limits.most_connections
            and self._from_host.get(host, 0) < self.limits.most_from_one_host
        )
        if not admitted:
            transport.abort()  # strangers learn nothing, not even a certificate
            return
        connection.address = StreamAddress(host, port, connection.kind, by_peer=True)
        self._connections[connection.address] = connection
        self._from_host[host] = self._from_host.get(host, 0) + 1
        self._tune(transport)
        listener = self._listeners.get(connection.kind)
        if listener is not None and listener.context is not None:
            transport.pause_reading()
            # What is sent before the handshake is known to be over waits: the plain transport must never see it.
            connection.transport = None
            self._start(self._secure(connection, transport, listener.context))

    def lost(self, connection: Connection, why: str) -> None:
        """A connection is over."""
        address = connection.address
        if address is None or self._connections.get(address) is not connection:
            return
        self._forget(address)
        if not self._closed:
            self._gone(address, why)

    def count_fault(self) -> None:
        """Bytes that were no SIP ended a connection."""
        self.faults += 1

    # --- connecting ------------------------------------------------------------------------------------------------

    async def _connect(self, connection: Connection, address: StreamAddress) -> None:
        context = None
        if address.transport == TLS:
            context = self._client_context(address)
            if context is None:
                self._forget(address)
                self._gone(address, "no TLS is configured for it")
                return
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                await self.loop.create_connection(
                    lambda: connection,
                    address[0],
                    address[1],
                    ssl=context,
                    server_hostname=(address.server_name or address[0]) if context else None,
                    local_addr=self._local,
                )
        except OSError as error:
            if self._connections.get(address) is connection:
                self._forget(address)
                log.warning("no connection to %s port %d: %s", *address, reason_of(error))
                if not self._closed:
                    self._gone(address, reason_of(error))

    async def _secure(self, connection: Connection, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        """The server's side of a TLS handshake, which only peers that are let in get as far as."""
        try:
            secured = await self.loop.start_tls(
                transport,
                connection,
                context,
                server_side=True,
                ssl_handshake_timeout=self.limits.connect_seconds,
            )
        except OSError as error:
            log.warning("no TLS with %s: %s", connection.address, reason_of(error))
            self.lost(connection, reason_of(error))
            return
        if isinstance(secured, asyncio.Transport):
            connection.transport = secured
            connection.flush()
            secured.resume_reading()
            if connection.is_broken:
                secured.close()

    def _tune(self, transport: asyncio.Transport) -> None:
        plug = transport.get_extra_info("socket")
        if plug is not None:
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            unacknowledged_ms = int(self.limits.dead_peer_seconds * 1000)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unacknowledged_ms)

    def _fail(self, destination: StreamAddress, why: str) -> None:
        self.unsent += 1
        self.loop.call_soon(self._tell_gone, destination, why)

    def _tell_gone(self, destination: StreamAddress, why: str) -> None:
        if not self._closed:
            self._gone(destination, why)

    def _forget(self, address: StreamAddress) -> None:
        connection = self._connections.pop(address, None)
        if connection is not None and connection.address is not None and connection.address.by_peer:
            left = self._from_host.get(address[0], 1) - 1
            if left > 0:
                self._from_host[address[0]] = left
            else:
                self._from_host.pop(address[0], None)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- keeping ---------------------------------------------------------------------------------------------------

    def _arm_sweeper(self) -> None:
        rhythm = min(self.limits.keepalive_seconds, self.limits.idle_seconds) / 4
        self._sweeper = self.loop.call_later(rhythm, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        for address, connection in tuple(self._connections.items()):
            if connection.transport is None:
                continue
            if now - connection.last_message_at >= self.limits.idle_seconds:
                connection.transport.close()
            elif not address.by_peer and now - connection.last_sent_at >= self.limits.keepalive_seconds:
                connection.keep_alive()
        self._arm_sweeper()


def open_tcp_socket(host: str, port: int) -> socket.socket:
    """A bound socket to listen on, non-blocking; OSError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    tcp = socket.socket(family, socket.SOCK_STREAM)
    try:
        tcp.setblocking(False)  # noqa: FBT003  positional only
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        tcp.bind((host, port))
    except (OSError, OverflowError):
        tcp.close()
        raise
    return tcp
