"""Addresses that are reached over a connection, and whatever else about a transport the core must know (RFC 3261 §18).

A plain `(host, port)` is a datagram address. A `StreamAddress` is the same pair, and says on which kind of connection:
code that only compares, stores and sends addresses works with both.
"""

from typing import Self

from callwright.sip.address import host_port_text
from callwright.sip.outputs import Address

UDP, TCP, TLS = "UDP", "TCP", "TLS"
DEFAULT_PORTS = {UDP: 5060, TCP: 5060, TLS: 5061}
"""RFC 3261 §19.1.2."""
MOST_DATAGRAM_BYTES = 1300
"""Larger requests go over a stream when the path's MTU is unknown (RFC 3261 §18.1.1)."""


class StreamAddress(tuple[str, int]):  # noqa: SLOT001  a tuple cannot have slots with anything in them
    """An IP address and a port at the other end of a connection; equal only when transport and server name are too."""

    transport: str
    "TCP or TLS"
    server_name: str
    "the name that the peer's certificate must bear; empty on TCP and for connections that the peer opened"
    account: str
    "which of our certificates and authorities count there, where several do"
    by_peer: bool
    "the peer opened the connection: nobody listens at the port"

    def __new__(  # an address, whole
        cls, host: str, port: int, transport: str, server_name: str = "", account: str = "", *, by_peer: bool = False
    ) -> Self:
        """`transport` as in Via."""
        made = super().__new__(cls, (host, port))
        made.transport = transport
        made.server_name = server_name
        made.account = account
        made.by_peer = by_peer
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamAddress):
            return False
        return (
            tuple.__eq__(self, other)
            and self.transport == other.transport
            and self.server_name == other.server_name
            and self.account == other.account
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self[0], self[1], self.transport, self.server_name, self.account))

    def __repr__(self) -> str:
        name = f", {self.server_name!r}" if self.server_name else ""
        return f"StreamAddress({self[0]!r}, {self[1]}, {self.transport!r}{name})"


def transport_of(address: Address) -> str:
    """`UDP`, `TCP` or `TLS`."""
    return address.transport if isinstance(address, StreamAddress) else UDP


def address_on(host: str, port: int | None, transport: str, server_name: str = "", account: str = "") -> Address:
    """The address of that host on that transport, at its usual port when none is named."""
    port = port or DEFAULT_PORTS[transport]
    return (host, port) if transport == UDP else StreamAddress(host, port, transport, server_name, account)


def place_text(address: Address) -> str:
    """`192.0.2.1:5060`, with the transport in front unless it is UDP."""
    transport = transport_of(address)
    return ("" if transport == UDP else f"{transport} ") + host_port_text(*address)
