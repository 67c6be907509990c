"""A dialog: what two user agents remember of each other between requests (RFC 3261 §12).

It is made from the INVITE and the first response that names both tags, builds every later request of ours (route set,
remote target, CSeq), and judges the order of the peer's.
"""

from collections.abc import Sequence

from callwright.errors import SipSyntaxError
from callwright.sip.address import NameAddr, SipUri, is_ipv6
from callwright.sip.envelope import Envelope
from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import Address
from callwright.sip.streams import DEFAULT_PORTS, TCP, TLS, UDP, StreamAddress, address_on, transport_of

MAX_FORWARDS = "70"


class Dialog:
    """One peer-to-peer relation. `local` is us, `remote` the peer; sequences are the latest CSeq numbers."""

    __slots__ = ("call_id", "fallback", "local", "local_sequence", "remote", "remote_sequence", "route_set", "target")

    def __init__(
        self,
        call_id: str,
        local: NameAddr,
        remote: NameAddr,
        target: str,
        route_set: Sequence[str],
        *,
        local_sequence: int,
        remote_sequence: int | None,
        fallback: Address,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.target = target
        self.route_set = tuple(route_set)
        self.local_sequence = local_sequence
        self.remote_sequence = remote_sequence
        self.fallback = fallback

    @property
    def remote_tag(self) -> str:
        """The peer's tag; empty for RFC 2543 peers."""
        return self.remote.tag or ""

    @property
    def destination(self) -> Address:
        """Where the next request goes: the first route, else the target, when that is an IP address.

        A host name needs a look-up, which nobody does here; then requests go where the INVITE went or came from.
        """
        uri = NameAddr.parse(self.route_set[0]).uri if self.route_set else self.target
        try:
            hop = SipUri.parse(uri)
        except SipSyntaxError:  # a target of another scheme (tel:) is reached through where the call runs already
            return self.fallback
        if not is_ip_address(hop.host):
            return self.fallback
        former = self.fallback
        if hop.scheme == "sips" or hop.transport == TLS:
            # The trunk proves the same name on every connection, or we would talk to whoever stands at an address.
            name, account = (former.server_name, former.account) if isinstance(former, StreamAddress) else ("", "")
            wanted = address_on(hop.host, hop.port, TLS, name or hop.host, account)
        elif hop.transport == TCP:
            wanted = address_on(hop.host, hop.port, TCP)
        elif hop.transport is None and isinstance(former, StreamAddress):
            # RFC 3263 §4.1 would have UDP here. Who came over a connection has one, and it may be the encrypted one.
            wanted = address_on(hop.host, hop.port, former.transport, former.server_name, former.account)
        else:
            wanted = (hop.host, hop.port or DEFAULT_PORTS[UDP])
        if isinstance(former, StreamAddress) and former.by_peer and wanted[0] == former[0]:
            return former if transport_of(wanted) == former.transport else wanted  # RFC 5923: its own connection
        return wanted

    def request(
        self, method: str, *, sequence: int | None = None, extra: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Request:
        """A request inside the dialog (RFC 3261 §12.2.1.1), without Via.

        `sequence` only for ACK, which repeats the INVITE's.
        """
        if sequence is None:
            self.local_sequence += 1
            sequence = self.local_sequence
        uri, routes = self.target, self.route_set
        if routes:
            first = NameAddr.parse(routes[0])
            if "lr" not in SipUri.parse(first.uri).params:
                # "If the route set is not empty, and its first URI does not contain the lr parameter, the UAC MUST
                # place the first URI from the route set into the Request-URI, stripping any parameters that are not
                # allowed"; the remote target goes "into the Route header field as the last value".
                uri = first.uri.partition("?")[0]
                routes = (*routes[1:], f"<{self.target}>")
        headers = Headers(
            [
                ("Max-Forwards", MAX_FORWARDS),
                *[("Route", route) for route in routes],
                ("From", str(self.local)),
                ("To", str(self.remote)),
                ("Call-ID", self.call_id),
                ("CSeq", f"{sequence} {method}"),
                *extra,
            ]
        )
        return Request(method, uri, headers, body)

    def take_sequence(self, number: int) -> bool:
        """Whether a peer's request with this CSeq number is in order; remembers it when it is (RFC 3261 §12.2.2)."""
        if self.remote_sequence is not None and number <= self.remote_sequence:
            return False
        self.remote_sequence = number
        return True

    def refresh(self, message: Request | Response) -> None:
        """Follow the peer to a new Contact (target refresh: INVITE, UPDATE and their 2xx)."""
        self.target = contact_of(message) or self.target


def dialog_of_client(request: Request, response: Response, envelope: Envelope, next_hop: Address) -> Dialog:
    """The dialog that a response to our INVITE makes (RFC 3261 §12.1.2)."""
    return Dialog(
        envelope.call_id,
        envelope.from_,
        envelope.to,
        contact_of(response) or request.uri,
        # "taken in reverse order": the hop nearest to us comes first.
        response.headers.values("Record-Route")[::-1],
        local_sequence=envelope.cseq.number,
        remote_sequence=None,
        fallback=next_hop,
    )


def dialog_of_server(request: Request, envelope: Envelope, tag: str) -> Dialog:
    """The dialog that our response to an INVITE makes (RFC 3261 §12.1.1)."""
    return Dialog(
        envelope.call_id,
        envelope.to.with_tag(tag),
        envelope.from_,
        contact_of(request) or envelope.from_.uri,
        request.headers.values("Record-Route"),
        local_sequence=0,
        remote_sequence=envelope.cseq.number,
        fallback=envelope.source,
    )


def contact_of(message: Request | Response) -> str | None:
    """The URI of the first Contact; None when there is none."""
    contacts = message.headers.values("Contact")
    return NameAddr.parse(contacts[0]).uri if contacts and contacts[0] != "*" else None


def is_ip_address(host: str) -> bool:
    """Whether the host of a SIP URI is a literal address (a host name's last label starts with a letter)."""
    return host.rpartition(".")[2].isdigit() or is_ipv6(host)
