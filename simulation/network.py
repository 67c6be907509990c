"""The network between all parties: datagrams that get lost, come twice, late, or in another order.

A process speaks through `VirtualSocket`, which is a socket to everybody who looks at it, so that the real
`telephony.datagrams` works on it unchanged, ICMP errors included. Parties outside of processes are plain callbacks.
"""

import errno
import random
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from callwright.telephony.datagrams import EXTENDED_ERROR, IP_RECVERR
from simulation.world import World

Address = tuple[str, int]
FIRST_DESCRIPTOR = 1_000_000
"""Of a virtual socket; no real one is ever that high."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How the network behaves."""

    loss: float = 0.0
    "share of datagrams that never arrive"
    doubled: float = 0.0
    "share of datagrams that arrive twice"
    least_seconds: float = 0.001
    most_seconds: float = 0.02
    "on the way; each datagram draws its own, so a wide range reorders"
    tells_closed: bool = True
    "whether an ICMP error comes back from an address where nobody listens"


class VirtualSocket(socket.socket):
    """A UDP socket on the virtual network; bound for good. Never opened, so there is nothing to free."""

    # The parent's __init__ would open a real one, and is left out on purpose.
    def __init__(self, network: "Network", address: Address, descriptor: int) -> None:
        self._network = network
        self._address = address
        self._descriptor = descriptor
        self._inbox: deque[tuple[bytes, Address]] = deque()
        self._errors: deque[tuple[int, Address]] = deque()
        self.readable: Callable[[float], None] | None = None
        "tells the loop that waits for it that there is something to read, and since when"

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4."""
        return socket.AF_INET

    def fileno(self) -> int:
        """-1 once it is closed."""
        return self._descriptor

    def getsockname(self) -> Address:
        """Where it is bound."""
        return self._address

    def sendto(self, data: bytes, destination: Address) -> int:  # type: ignore[override]  # without flags
        """Send one datagram."""
        self._network.send(bytes(data), self._address, destination)
        return len(data)

    def recvfrom(self, _size: int, _flags: int = 0) -> tuple[bytes, Address]:
        """The next datagram; as on a real socket, an ICMP error that waits fails the call once."""
        if self._errors:
            raise OSError(self._errors[0][0], "refused")
        if not self._inbox:
            raise BlockingIOError
        return self._inbox.popleft()

    def recvmsg(
        self, _size: int, _ancillary: int = 0, _flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address]:
        """The next entry of the error queue (MSG_ERRQUEUE)."""
        if not self._errors:
            raise BlockingIOError
        number, address = self._errors.popleft()
        return b"", [(socket.IPPROTO_IP, IP_RECVERR, EXTENDED_ERROR.pack(number, 2, 3, 3, 0, 0, 0))], 0, address

    def close(self) -> None:
        """Let the address go."""
        if self._descriptor != -1:
            self._descriptor = -1
            self._network.leave(self._address)

    def deliver(self, at: float, data: bytes, source: Address) -> None:
        """A datagram is here."""
        self._inbox.append((data, source))
        if self.readable is not None:
            self.readable(at)

    def refuse(self, at: float, number: int, destination: Address) -> None:
        """An ICMP error is here."""
        self._errors.append((number, destination))
        if self.readable is not None:
            self.readable(at)


class Network:
    """Who listens where, and what becomes of datagrams."""

    def __init__(self, world: World, quality: Quality) -> None:
        self.quality = quality
        self.cut: set[frozenset[str]] = set()
        "pairs of hosts between which nothing passes"
        self.sent: Callable[[bytes, Address, Address], None] = lambda *_: None
        "told of each datagram that leaves"
        self.arrived: Callable[[bytes, Address, Address], None] = lambda *_: None
        "told of each datagram that arrives at a process"
        self._world = world
        self._chance: random.Random = world.lots("network")
        self._sockets: dict[Address, VirtualSocket] = {}
        self._parties: dict[Address, Callable[[bytes, Address], None]] = {}
        self._descriptors = FIRST_DESCRIPTOR

    def open(self, address: Address) -> VirtualSocket:
        """A bound socket for a process."""
        self._descriptors += 1
        opened = VirtualSocket(self, address, self._descriptors)
        self._sockets[address] = opened
        return opened

    def listen(self, address: Address, receive: Callable[[bytes, Address], None]) -> None:
        """Somebody outside of all processes listens from now on."""
        self._parties[address] = receive

    def leave(self, address: Address) -> None:
        """Nobody listens there any more."""
        self._sockets.pop(address, None)
        self._parties.pop(address, None)

    def send(self, data: bytes, source: Address, destination: Address) -> None:
        """One datagram goes on its way."""
        self.sent(data, source, destination)
        chance, quality = self._chance, self.quality
        if chance.random() < quality.loss or frozenset((source[0], destination[0])) in self.cut:
            return
        copies = 2 if chance.random() < quality.doubled else 1
        for _ in range(copies):
            self._world.after(self._delay(), self._arrive, data, source, destination)

    def _delay(self) -> float:
        return self._chance.uniform(self.quality.least_seconds, self.quality.most_seconds)

    def _arrive(self, data: bytes, source: Address, destination: Address) -> None:
        now = self._world.now
        bound = self._sockets.get(destination)
        if bound is not None:
            bound.deliver(now, data, source)
            self.arrived(data, source, destination)
            return
        receive = self._parties.get(destination)
        if receive is not None:
            receive(data, source)
        elif self.quality.tells_closed:
            sender = self._sockets.get(source)
            if sender is not None:
                sender.refuse(now, errno.ECONNREFUSED, destination)
