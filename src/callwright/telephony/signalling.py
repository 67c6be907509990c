"""Carries one SIP user agent: its datagrams, its timer, its news, and who may speak to it.

Datagrams in → `agent.receive` → outputs carried in order; `agent.deadline` → one timer of the loop; ICMP errors →
`agent.transport_failed`. Nothing is decided here but who is let in.
"""

import asyncio
import re
import secrets
import socket
import ssl
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from callwright.errors import TelephonyError
from callwright.sip.agent import UserAgent
from callwright.sip.message import Request
from callwright.sip.outputs import Address, Output, Received, Transmit
from callwright.sip.streams import TCP, TLS, StreamAddress
from callwright.sip.stun import is_stun
from callwright.telemetry.clock import Clock
from callwright.telephony.datagrams import Datagrams, open_udp_socket
from callwright.telephony.streams import Streams, open_tcp_socket
from callwright.telephony.tls import server_context

TOKEN_BYTES = 12
PORT_ATTEMPTS = 20
MOST_SOURCES = 1_024
"""Sources whose budgets are kept; the one that was silent longest is forgotten first."""
DATAGRAMS_PER_SECOND = 10_000.0
"""What one source may send: a trunk over which 1,000 calls are set up and ended per second sends about 6,000."""
OTHERS_PER_SECOND = 1_000.0
"""What all ports of a trunk's host that we never sent a request to may send together: some 150 calls to us a second."""
BURST_SECONDS = 2.0
LONGEST_RECORDED_TEXT = 8_192
RESPONSE = b"SIP/2.0 "

SECRET_LINES = re.compile(r"(?im)^((?:proxy-)?authorization[ \t]*:)[^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*")
SECRET_KEYS = re.compile(r"(?im)^(a=crypto:\d+ \S+ )inline:\S+")


def sip_token() -> str:
    """A tag, branch or Call-ID that nobody guesses (RFC 3261 §19.3 asks for 32 bits; these are 96)."""
    return secrets.token_hex(TOKEN_BYTES)


def bind_sip(host: str, port: int, setting: str = "--sip, CALLWRIGHT_SIP") -> socket.socket:
    """A socket bound for SIP; port 0 picks one. TelephonyError names the `setting` that changes where."""
    try:
        return open_udp_socket(host, port)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TelephonyError(f"SIP cannot listen on UDP {host}:{port}: {why} ({setting} changes it)") from error


def bind_sip_pair(host: str, port: int, setting: str = "--sip, CALLWRIGHT_SIP") -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port; port 0 picks one that is free for both."""
    for _ in range(PORT_ATTEMPTS - 1 if port == 0 else 0):
        udp = bind_sip(host, port, setting)
        try:
            return udp, open_tcp_socket(host, udp.getsockname()[1])
        except OSError:  # somebody has the same port for TCP
            udp.close()
    udp = bind_sip(host, port, setting)
    try:
        return udp, bind_tcp(host, udp.getsockname()[1], setting)
    except TelephonyError:
        udp.close()
        raise


def bind_tcp(host: str, port: int, setting: str = "--sip-tls, CALLWRIGHT_SIP_TLS") -> socket.socket:
    """A socket bound for connections; TelephonyError names the `setting` that changes where."""
    try:
        return open_tcp_socket(host, port)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TelephonyError(f"SIP cannot listen on TCP {host}:{port}: {why} ({setting} changes it)") from error


def readable_text(data: bytes) -> str:
    """A message as a call's record keeps it: text, without digest answers and SRTP keys, of bounded length."""
    text = data.decode("utf-8", "replace")
    if "uthorization" in text.lower():  # seldom there, and a search through all lines costs more than this look
        text = SECRET_LINES.sub(r"\1 (not recorded)", text)
    if "rypto:" in text.lower():
        text = SECRET_KEYS.sub(r"\1inline:(not recorded)", text)
    return text if len(text) <= LONGEST_RECORDED_TEXT else text[:LONGEST_RECORDED_TEXT] + "…"


class Gate:
    """Who may speak to a user agent, and how much: one budget per source, nothing for strangers.

    Strangers get no answer at all, so that nobody learns from outside who is a trunk here.
    """

    def __init__(
        self,
        admits: Callable[[str], bool],
        datagrams_per_second: float = DATAGRAMS_PER_SECOND,
        burst_seconds: float = BURST_SECONDS,
        others_per_second: float | None = None,
    ) -> None:
        """`admits` says whether an IP address may speak to us.

        With `others_per_second` a host's ports that we never asked anything share that, and each of those that we did
        ask has `datagrams_per_second` to itself: who has the address of a trunk only cannot shout it down.
        """
        self._admits = admits
        self._rate = datagrams_per_second
        self._others_rate = datagrams_per_second if others_per_second is None else others_per_second
        self._burst_seconds = burst_seconds
        self._asked: OrderedDict[Address, None] = OrderedDict()
        self._budgets: OrderedDict[str | Address, tuple[float, float]] = OrderedDict()

    def ask(self, destination: Address) -> None:
        """A request leaves for there."""
        place = destination[0], destination[1]
        self._asked[place] = None
        self._asked.move_to_end(place)
        if len(self._asked) > MOST_SOURCES:
            self._asked.popitem(last=False)

    def may_call(self, source: Address, _request: Request) -> bool:
        """May this source send a request outside of a call?"""
        return self._admits(source[0])

    def within_budget(self, now: float, source: Address) -> bool:
        """Take one datagram from the source's budget; False when nothing is left, or the source is a stranger."""
        host = source[0]
        if not self._admits(host):
            return False
        place = host, source[1]
        asked = place in self._asked
        rate = self._rate if asked else self._others_rate
        most, key = rate * self._burst_seconds, place if asked else host
        left, at = self._budgets.get(key, (most, now))
        left = min(most, left + max(0.0, now - at) * rate)
        allowed = left >= 1.0
        self._budgets[key] = (left - 1.0 if allowed else left, now)
        self._budgets.move_to_end(key)
        if len(self._budgets) > MOST_SOURCES:
            self._budgets.popitem(last=False)
        return allowed


class News(Protocol):
    """Whoever wants to know what became of an agent's calls."""

    def told(self, output: Output) -> None:
        """One output other than Transmit and Received; further wishes may be carried from within."""

    def recorded(self, call_id: str, data: bytes, peer: Address, *, sent: bool) -> None:
        """A message of this call left or came."""


class StreamPeers(Protocol):
    """Whoever knows the peers of connections."""

    def admits(self, host: str) -> bool:
        """Whether this IP address may connect to us."""

    def context(self, address: StreamAddress) -> ssl.SSLContext | None:
        """The TLS settings for an address; None when there are none."""

    def connection_failed(self, address: Address) -> None:
        """A connection broke or could not be made."""


class Everybody:
    """Peers of whoever lets everybody connect and connects to nobody with TLS."""

    def admits(self, host: str) -> bool:  # noqa: ARG002  the port of StreamPeers
        """Everybody is let in."""
        return True

    def context(self, address: StreamAddress) -> ssl.SSLContext | None:  # noqa: ARG002  likewise
        """No TLS to others."""
        return None

    def connection_failed(self, address: Address) -> None:
        """Nobody takes note."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where peers connect with TLS, and how we prove ourselves."""

    host: str
    port: int
    certificate: str
    "PEM file"
    key: str = ""


class Signalling:
    """One user agent on the running loop, with its UDP socket and its connections."""

    def __init__(self, udp: socket.socket, agent: UserAgent, clock: Clock, news: News) -> None:
        self._agent = agent
        self._clock = clock
        self._news = news
        self._loop = asyncio.get_running_loop()
        self._datagrams = Datagrams(udp, self.receive, self.gone)
        self.streams: Streams | None = None
        "connections; without them only datagrams are sent"
        self._peers: StreamPeers | None = None
        self.asked: Callable[[Address], None] | None = None
        "is told where each request goes"
        self.stun: Callable[[bytes, Address], None] | None = None
        "is handed what is STUN and not SIP; without it that is dropped"
        self._pending: deque[tuple[Output, bytes]] = deque()
        self._carrying = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False

    @property
    def unsent(self) -> int:
        """Messages that the system had no room for."""
        return self._datagrams.unsent + (self.streams.unsent if self.streams is not None else 0)

    async def open_streams(
        self, tcp: socket.socket, tls: "Listening | None", peers: "StreamPeers", local_host: str
    ) -> None:
        """Take and make connections; `tcp` is bound. TelephonyError when TLS cannot be had."""
        context = None if tls is None else server_context(tls.certificate, tls.key)
        self._peers = peers
        self.streams = Streams(self.receive, self.gone, peers.admits, peers.context, local_host=local_host)
        await self.streams.listen(tcp, TCP)
        if tls is not None:
            await self.streams.listen(bind_tcp(tls.host, tls.port), TLS, context)

    def carry(self, outputs: Iterable[Output], cause: bytes = b"") -> None:
        """Carry outputs out, in order; those of wishes made from within `told` come after the rest.

        `cause` is the datagram they answer, for the record.
        """
        self._pending.extend((output, cause) for output in outputs)
        if self._carrying or self._closed:
            return
        self._carrying = True
        try:
            while self._pending:
                self._carry_one(*self._pending.popleft())
        finally:
            self._carrying = False
            self._arm()

    def close(self) -> None:
        """Stop hearing and speaking; may be called twice."""
        self._closed = True
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._datagrams.close()
        if self.streams is not None:
            self.streams.close()

    def _carry_one(self, output: Output, cause: bytes) -> None:
        match output:
            case Transmit(data=data, destination=destination, call_id=call_id):
                if self.asked is not None and not data.startswith(RESPONSE):
                    self.asked(destination)
                if not isinstance(destination, StreamAddress):
                    self._datagrams.send(data, destination)
                elif self.streams is not None:
                    self.streams.send(data, destination)
                else:
                    self._loop.call_soon(self.gone, destination, "no connections here")
                if call_id:
                    self._news.recorded(call_id, data, destination, sent=True)
            case Received(call_id=call_id, source=source):
                self._news.recorded(call_id, cause, source, sent=False)
            case _:
                self._news.told(output)

    def send_datagram(self, data: bytes, destination: Address) -> None:
        """Send something that is not SIP from SIP's socket."""
        if not self._closed:
            self._datagrams.send(data, destination)

    def receive(self, data: bytes, source: Address) -> None:
        """One message came."""
        if self.stun is not None and is_stun(data):
            self.stun(data, source)
            return
        self.carry(self._agent.receive(self._clock(), data, source), data)

    def gone(self, destination: Address, _reason: str) -> None:
        """An address cannot be reached, or its connection broke."""
        if self._peers is not None and isinstance(destination, StreamAddress):
            self._peers.connection_failed(destination)
        if not self._closed:
            self.carry(self._agent.transport_failed(self._clock(), destination))

    def _tick(self) -> None:
        self._timer = None
        self.carry(self._agent.tick(self._clock()))

    def _arm(self) -> None:
        # A timer that comes too early costs one harmless tick; re-arming for each later deadline would cost more.
        deadline = self._agent.deadline
        if deadline is None or self._closed:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - self._clock()), self._tick)
