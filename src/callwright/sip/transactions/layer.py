"""The transaction layer of one user agent: finds the machine a message belongs to and carries out what it asks for.

Calls know their transactions, and transactions their users until they are over. Then they let go of them, so that what
ended is freed at once: a circle of references would stay until the collector looks at old objects, megabytes later.

Everything it has to send or tell is appended to `out`, which the user agent empties after every input. Requests that
belong to no transaction are left to the user agent; responses that belong to none are dropped (RFC 6026 §8.9).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from callwright.errors import SipSyntaxError
from callwright.sip.address import BRANCH_COOKIE, host_port_text
from callwright.sip.envelope import Arrival, Envelope, ServerKey, read_envelope
from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import Address, Output, Received, Transmit
from callwright.sip.parse import serialize
from callwright.sip.profile import AgentProfile
from callwright.sip.responses import answer_address, sent_by_address
from callwright.sip.schedule import Entry, Schedule
from callwright.sip.streams import DEFAULT_PORTS, MOST_DATAGRAM_BYTES, TCP, UDP, StreamAddress, transport_of
from callwright.sip.transactions.client_invite import ClientInvite
from callwright.sip.transactions.client_other import ClientOther
from callwright.sip.transactions.effects import Effect, Effects
from callwright.sip.transactions.server_invite import ServerInvite
from callwright.sip.transactions.server_other import ServerOther
from callwright.sip.transactions.timers import Timers
from callwright.sip.validation import validate_response

ClientKey = tuple[str, str]
"""Branch and method (RFC 3261 §17.1.3)."""


class ClientUser(Protocol):
    """Who sent a request."""

    name: str

    def responded(self, now: float, transaction: "ClientTransaction", response: Response, envelope: Envelope) -> None:
        """A response that the transaction passes up."""

    def failed(self, now: float, transaction: "ClientTransaction", status: int, reason: str) -> None:
        """No response will come: 408 after the timeout, 503 when the network would not (RFC 3261 §8.1.3.1)."""


class ServerUser(Protocol):
    """Who answers a request."""

    name: str

    def cancelled(self, now: float, transaction: "ServerTransaction") -> None:
        """The peer took this INVITE back."""


class ClientTransaction:
    """A request of ours that still means something."""

    __slots__ = ("ack", "data", "destination", "key", "layer", "machine", "narrower", "request", "scheduled", "user")

    def __init__(
        self,
        layer: "TransactionLayer",
        machine: ClientInvite | ClientOther,
        key: ClientKey,
        request: Request,
        destination: Address,
        user: ClientUser,
    ) -> None:
        self.layer = layer
        self.machine = machine
        self.key = key
        self.request = request
        self.data = serialize(request)
        self.ack = b""
        self.destination = destination
        self.narrower: Address | None = None  # where to try over UDP when the connection for a large request fails
        self.user: ClientUser | None = user  # None once it is over
        self.scheduled: Entry | None = None

    @property
    def deadline(self) -> float | None:
        """The machine's."""
        return self.machine.deadline

    def tick(self, now: float) -> None:
        """Let the machine see the time."""
        self.layer.run_client(now, self, self.machine.tick(now))


class ServerTransaction:
    """A request of a peer that still means something."""

    __slots__ = ("arrival", "data", "destination", "key", "layer", "machine", "merged_key", "scheduled", "user")

    def __init__(
        self,
        layer: "TransactionLayer",
        machine: ServerInvite | ServerOther,
        key: ServerKey,
        arrival: Arrival,
        user: ServerUser | None,
    ) -> None:
        self.layer = layer
        self.machine = machine
        self.key = key
        self.arrival = arrival
        self.merged_key = merged_key(arrival.envelope)
        self.data = b""
        self.destination = answer_address(arrival.envelope)
        self.user = user
        self.scheduled: Entry | None = None

    @property
    def deadline(self) -> float | None:
        """The machine's."""
        return self.machine.deadline

    def tick(self, now: float) -> None:
        """Let the machine see the time."""
        self.layer.run_server(self, self.machine.tick(now))


class TransactionLayer:
    """All transactions of one user agent."""

    def __init__(self, profile: AgentProfile, token: Callable[[], str]) -> None:
        self.profile = profile
        self.token = token
        self.out: list[Output] = []
        self.counts: Counter[str] = Counter()
        self.schedule = Schedule()
        self._reliable = replace(profile.timers, reliable=True)
        self._sent_by = {
            transport: host_port_text(profile.host, profile.stream_ports.get(transport, profile.port))
            for transport in DEFAULT_PORTS
        }
        self.answered_late: Callable[[float, Response, Envelope], None] = let_it_pass
        "is told of a 200 to an INVITE that belongs to no transaction"
        self._clients: dict[ClientKey, ClientTransaction] = {}
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._merged: dict[tuple[str, ...], ServerTransaction] = {}
        self._by_destination: dict[Address, set[ClientTransaction | ServerTransaction]] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def full(self) -> bool:
        """No room for another server transaction."""
        return len(self) >= self.profile.most_transactions

    # Client side

    def request(
        self,
        now: float,
        request: Request,
        destination: Address,
        user: ClientUser,
        *,
        via: str | None = None,
        branch: str = "",
    ) -> ClientTransaction:
        """Send a request, which has no Via yet. `via` only for CANCEL, which repeats its INVITE's (RFC 3261 §9.1).

        `branch` is one that the caller can name again later; a new one otherwise.
        """
        narrower = None
        if via is None:
            if self._outgrows(request, destination):
                narrower, destination = destination, StreamAddress(*destination, TCP)
                self._name_contact(request, destination)
            via = self._new_via(destination, branch)
        request.headers.insert_first("Via", via)
        key = (via.rpartition("branch=")[2], request.method)
        transaction = ClientTransaction(self, self._machine(request, destination), key, request, destination, user)
        transaction.narrower = narrower
        self._start(now, transaction)
        return transaction

    def resume(self, now: float, invite: Request, destination: Address, user: ClientUser, via: str) -> None:
        """Wait for the answer to an INVITE that another process sent with this Via, perhaps from another address."""
        invite.headers.insert_first("Via", via)
        machine = ClientInvite(self._timers(destination))
        machine.resume(now)
        key = (via.rpartition("branch=")[2], "INVITE")
        transaction = ClientTransaction(self, machine, key, invite, destination, user)
        self._know(transaction)
        self.schedule.note(transaction)

    def via(self, destination: Address) -> str:
        """Our Via for requests that go there, without a branch."""
        return self._new_via(destination, "-").rpartition(";branch=")[0]

    def _know(self, transaction: ClientTransaction) -> None:
        self._clients[transaction.key] = transaction
        self._by_destination.setdefault(transaction.destination, set()).add(transaction)

    def _start(self, now: float, transaction: ClientTransaction) -> None:
        self._know(transaction)
        self.run_client(now, transaction, transaction.machine.start(now))

    def _machine(self, request: Request, destination: Address) -> ClientInvite | ClientOther:
        return (ClientInvite if request.method == "INVITE" else ClientOther)(self._timers(destination))

    def _outgrows(self, request: Request, destination: Address) -> bool:
        """Whether a request is too large for a datagram and may take a connection instead (RFC 3261 §18.1.1)."""
        if transport_of(destination) != UDP or not self.profile.may_grow(destination):
            return False
        via = Headers([("Via", self._new_via(destination))])
        whole = Request(request.method, request.uri, Headers([*via, *request.headers]), request.body)
        return len(serialize(whole)) > MOST_DATAGRAM_BYTES

    def _shrink(self, now: float, transaction: ClientTransaction, destination: Address) -> None:
        """Send the request of `transaction` again, over UDP: nobody listens for connections there.

        "If an element sends a request over TCP because of these message size constraints, and that request would have
        otherwise been sent over UDP, if the attempt to establish the connection generates either an ICMP Protocol Not
        Supported, or results in a TCP reset, the element SHOULD retry the request, using UDP."
        """
        self._forget_client(transaction)
        request = transaction.request
        request.headers.remove("Via")
        self._name_contact(request, destination)
        request.headers.insert_first("Via", self._new_via(destination, transaction.key[0]))
        transaction.data = serialize(request)
        transaction.destination, transaction.narrower = destination, None
        transaction.machine = self._machine(request, destination)
        self.counts["connection refused, sent as a datagram"] += 1
        self._start(now, transaction)

    def _name_contact(self, request: Request, destination: Address) -> None:
        if "Contact" in request.headers:
            request.headers.set("Contact", self.contact(destination))

    def contact(self, peer: Address) -> str:
        """Our Contact for a peer that is reached there."""
        transport = transport_of(peer)
        parameter = "" if transport == UDP else f";transport={transport.lower()}"
        return f"<sip:{self.profile.user}@{self._place(peer)}{parameter}>"

    def _place(self, peer: Address) -> str:
        """Host and port that a peer at that address reaches us at."""
        place = self.profile.reached_at(peer)
        return self._sent_by[transport_of(peer)] if place is None else host_port_text(*place)

    def _timers(self, peer: Address) -> Timers:
        return self.profile.timers if transport_of(peer) == UDP else self._reliable

    def send_once(self, request: Request, destination: Address, name: str) -> bytes:
        """Send an ACK for a 2xx: no transaction, a branch of its own (RFC 3261 §13.2.2.4). Returns what was sent."""
        request.headers.insert_first("Via", self._new_via(destination))
        data = serialize(request)
        self.out.append(Transmit(data, destination, name))
        return data

    def limit(self, now: float, transaction: ClientTransaction) -> None:
        """Wait no longer than 64*T1 for the final response to an INVITE; `failed` follows when none comes."""
        if isinstance(transaction.machine, ClientInvite):
            transaction.machine.limit(now)
            self.schedule.note(transaction)

    def receive_response(self, now: float, response: Response, source: Address) -> None:
        """Hand a response to its transaction; drop and count those that belong to none or are broken."""
        try:
            via = validate_response(response)
            envelope = read_envelope(response, source)
        except SipSyntaxError:
            self.counts["broken response"] += 1
            return
        # RFC 3261 §18.1.2: without the sent-by that we put into our Vias, "the response MUST be silently discarded".
        transaction = self._clients.get((via.branch or "", envelope.cseq.method))
        ours = "" if transaction is None else transaction.request.headers.get("Via") or ""
        if transaction is None or f" {host_port_text(via.host, via.port)};" not in ours:
            self.counts["stray response"] += 1
            is_ours = host_port_text(via.host, via.port) in (self._place(source), *self._sent_by.values())
            if is_ours and transaction is None and response.status // 100 == 2 and envelope.cseq.method == "INVITE":
                self.answered_late(now, response, envelope)
            return
        sequence = str(envelope.cseq)
        start_line = f"SIP/2.0 {response.status} {response.reason}"
        name = "" if transaction.user is None else transaction.user.name
        self.out.append(Received(name, start_line, sequence, source))
        self.run_client(now, transaction, transaction.machine.respond(now, response.status), (response, envelope))

    def run_client(
        self,
        now: float,
        transaction: ClientTransaction,
        effects: Effects,
        received: tuple[Response, Envelope] | None = None,
    ) -> None:
        """Carry out what a client machine asked for."""
        user = transaction.user
        if user is None:
            return
        if transaction.machine.over:
            self._forget_client(transaction)
        self.schedule.note(transaction)
        if received is not None and isinstance(transaction.machine, ClientInvite):
            transaction.data = b""  # an INVITE that was answered in any way is never repeated, and calls last long
        for effect in effects:
            match effect:
                case Effect.SEND:
                    self.out.append(Transmit(transaction.data, transaction.destination, user.name))
                case Effect.ACK if received is not None:
                    if not transaction.ack:
                        transaction.ack = serialize(ack_for(transaction.request, received[0]))
                    self.out.append(Transmit(transaction.ack, transaction.destination, user.name))
                case Effect.DELIVER if received is not None:
                    user.responded(now, transaction, *received)
                case Effect.TIMED_OUT:
                    user.failed(now, transaction, 408, "no response")
                case Effect.UNREACHABLE if transaction.narrower is not None:
                    self._shrink(now, transaction, transaction.narrower)
                case Effect.UNREACHABLE:
                    user.failed(now, transaction, 503, "the network could not deliver the request")
                case _:
                    pass
        let_go(transaction)

    def _forget_client(self, transaction: ClientTransaction) -> None:
        self._clients.pop(transaction.key, None)
        self._leave_destination(transaction)

    def _new_via(self, destination: Address, branch: str = "") -> str:
        # RFC 3581 §3: rport asks that responses come back to the port we sent from; RFC 5923 §5: alias allows the peer
        # to send its own requests back over our connection.
        transport = transport_of(destination)
        alias = "" if transport == UDP else ";alias"
        branch = branch or f"{BRANCH_COOKIE}{self.token()}"
        return f"SIP/2.0/{transport} {self._place(destination)};rport{alias};branch={branch}"

    # Server side

    def absorb(self, now: float, arrival: Arrival) -> bool:
        """Whether a request repeats one that is known, or acknowledges one; then it is dealt with."""
        method = "INVITE" if arrival.method == "ACK" else arrival.method
        transaction = self._servers.get(arrival.envelope.server_key(method))
        if transaction is None:
            return False
        if transaction.user is not None:
            self.note_received(transaction.user.name, arrival)
        if arrival.method != "ACK":
            self.run_server(transaction, transaction.machine.repeat(now))
            return True
        if not isinstance(transaction.machine, ServerInvite):
            return True
        effects = transaction.machine.acknowledge(now)
        self.run_server(transaction, effects)
        # An ACK for a 2xx belongs to the dialog, also when the peer used the INVITE's branch for it.
        return Effect.DELIVER not in effects

    def accept(self, arrival: Arrival, user: ServerUser | None) -> ServerTransaction:
        """Take up a new request; answer it with `respond`."""
        timers = self._timers(arrival.envelope.source)
        machine = (ServerInvite if arrival.method == "INVITE" else ServerOther)(timers)
        key = arrival.envelope.server_key(arrival.method)
        transaction = ServerTransaction(self, machine, key, arrival, user)
        self._servers[key] = transaction
        self._by_destination.setdefault(transaction.destination, set()).add(transaction)
        self._merged.setdefault(transaction.merged_key, transaction)
        return transaction

    def respond(self, now: float, transaction: ServerTransaction, response: Response) -> None:
        """Answer a request that was taken up."""
        data = serialize(response)
        effects = transaction.machine.respond(now, response.status)
        if Effect.SEND in effects:
            transaction.data = data
        self.run_server(transaction, effects)

    def invite_behind(self, cancel: Arrival) -> ServerTransaction | None:
        """The INVITE that a CANCEL takes back: same branch (RFC 3261 §9.2)."""
        return self._servers.get(cancel.envelope.server_key("INVITE"))

    def is_merged(self, envelope: Envelope) -> bool:
        """Whether the same request reached us before on another way (RFC 3261 §8.2.2.2)."""
        return merged_key(envelope) in self._merged

    def run_server(self, transaction: ServerTransaction, effects: Effects) -> None:
        """Carry out what a server machine asked for."""
        if transaction.machine.over:
            self._servers.pop(transaction.key, None)
            self._leave_destination(transaction)
            if self._merged.get(transaction.merged_key) is transaction:
                del self._merged[transaction.merged_key]
        self.schedule.note(transaction)
        for effect in effects:
            match effect:
                case Effect.SEND:
                    name = transaction.user.name if transaction.user is not None else ""
                    if transaction.data:
                        self.out.append(Transmit(transaction.data, transaction.destination, name))
                case Effect.TIMED_OUT:
                    self.counts["refusal never acknowledged"] += 1
                case Effect.UNREACHABLE:
                    self.counts["response undeliverable"] += 1
                case _:
                    pass
        let_go(transaction)

    def note_received(self, name: str, arrival: Arrival) -> None:
        """Tell that a request of this call arrived."""
        request = arrival.request
        start_line = f"{request.method} {request.uri} SIP/2.0"
        self.out.append(Received(name, start_line, str(arrival.envelope.cseq), arrival.envelope.source))

    # Both

    def transport_failed(self, now: float, destination: Address) -> None:
        """Fail the requests that wait for an answer from there; responses are left to their timers (RFC 6026 §8.7)."""
        for transaction in tuple(self._by_destination.get(destination, ())):
            effects = transaction.machine.transport_failed(now)
            if isinstance(transaction, ClientTransaction):
                self.run_client(now, transaction, effects)
            elif not self._move(transaction):
                self.run_server(transaction, effects)

    def _move(self, transaction: ServerTransaction) -> bool:
        """Answer over a new connection from now on, because the request's own is gone; False when there is none.

        A refusal may have been lost with it and is sent again; a 2xx is repeated until its ACK comes in any case.
        """
        elsewhere = sent_by_address(transaction.arrival.envelope)
        if elsewhere is None or not getattr(transaction.destination, "by_peer", False):
            return False
        self._leave_destination(transaction)
        transaction.destination = elsewhere
        self._by_destination.setdefault(elsewhere, set()).add(transaction)
        if transaction.data and transaction.data[8:9] not in (b"1", b"2"):
            name = transaction.user.name if transaction.user is not None else ""
            self.out.append(Transmit(transaction.data, elsewhere, name))
        return True

    def _leave_destination(self, transaction: ClientTransaction | ServerTransaction) -> None:
        there = self._by_destination.get(transaction.destination)
        if there is not None:
            there.discard(transaction)
            if not there:
                del self._by_destination[transaction.destination]


def let_go(transaction: ClientTransaction | ServerTransaction) -> None:
    """A transaction that is over knows its user no more."""
    if transaction.machine.over:
        transaction.user = None


def let_it_pass(_now: float, _response: Response, _envelope: Envelope) -> None:
    """What is done with a late 200 when nobody wants to know."""


def merged_key(envelope: Envelope) -> tuple[str, ...]:
    """What two copies of one request have in common though they came on different ways."""
    return (envelope.from_tag, envelope.call_id, str(envelope.cseq))


def ack_for(invite: Request, response: Response) -> Request:
    """The ACK for a final response other than 2xx (RFC 3261 §17.1.1.3)."""
    # "The ACK MUST contain a single Via header field, and this MUST be equal to the top Via header field of the
    # original request"; To comes from the response, all else from the request.
    number = (invite.headers.get("CSeq") or "").split()[0]
    headers = Headers([("Via", invite.headers.get("Via") or ""), ("Max-Forwards", "70")])
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    headers.add("From", invite.headers.get("From") or "")
    headers.add("To", response.headers.get("To") or "")
    headers.add("Call-ID", invite.headers.get("Call-ID") or "")
    headers.add("CSeq", f"{number} ACK")
    return Request("ACK", invite.uri, headers)


def cancel_for(invite: Request, reason: str | None) -> Request:
    """The CANCEL for an INVITE (RFC 3261 §9.1), without its Via."""
    number = (invite.headers.get("CSeq") or "").split()[0]
    headers = Headers([("Max-Forwards", "70")])
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    for name in ("From", "To", "Call-ID"):
        headers.add(name, invite.headers.get(name) or "")
    headers.add("CSeq", f"{number} CANCEL")
    if reason:
        headers.add("Reason", reason)
    return Request("CANCEL", invite.uri, headers)
