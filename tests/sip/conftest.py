"""A scripted SIP peer across the wire from one user agent, under a clock that the test moves."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeVar

import pytest

from callwright.sip.address import NameAddr, SipUri
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Credentials
from callwright.sip.message import Headers, Message, Request, Response
from callwright.sip.outputs import Address, Output, Received, Transmit
from callwright.sip.parse import parse, serialize
from callwright.sip.profile import AgentProfile
from callwright.sip.responses import reason_phrase

US = ("192.0.2.1", 5060)
PEER = ("192.0.2.2", 5060)
OFFER, ANSWER = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n"
SDP_TYPE = ("Content-Type", "application/sdp")
PEER_CONTACT = ("Contact", "<sip:peer@192.0.2.2:5060>")
CALL = "call-1"

Told = TypeVar("Told")


class Bench:
    """A user agent, and a peer that says what the test makes it say. `sent` and `told` are the latest step's."""

    us, peer, offer, answer, call = US, PEER, OFFER, ANSWER, CALL
    our_tag = ""
    rseq = ""

    def __init__(self, profile: AgentProfile) -> None:
        numbers = count(1)
        self.agent = UserAgent(profile, lambda: f"token{next(numbers)}")
        self.now = 1_000_000.0
        self.sent: list[Message] = []
        self.destinations: list[Address] = []
        self.told: list[Output] = []
        self._branches = count(1)
        self._sequence = count(100)

    def take(self, outputs: list[Output]) -> None:
        """Sort what the agent wants into what it sends and what it tells."""
        transmits = [output for output in outputs if isinstance(output, Transmit)]
        self.sent = [parse(output.data) for output in transmits]
        self.destinations = [output.destination for output in transmits]
        self.told = [output for output in outputs if not isinstance(output, Transmit | Received)]

    def wait(self, seconds: float) -> None:
        """Let time pass, tick by tick; `sent` and `told` are all that happened meanwhile."""
        ends_at = self.now + seconds
        outputs: list[Output] = []
        while (at := self.agent.deadline) is not None and at <= ends_at:
            self.now = at
            outputs += self.agent.tick(at)
        self.now = ends_at
        self.take(outputs)

    def only(self, kind: type[Told]) -> Told:
        """The one piece of news, which is of this kind."""
        assert [type(output) for output in self.told] == [kind]
        news = self.told[0]
        assert isinstance(news, kind)
        return news

    @property
    def lines(self) -> list[str]:
        """What was sent, in short: `INVITE`, `180 INVITE`."""
        return [
            message.method
            if isinstance(message, Request)
            else f"{message.status} {(message.headers.get('CSeq') or '').split()[1]}"
            for message in self.sent
        ]

    def request(self, index: int = -1) -> Request:
        """A request among what was sent."""
        message = self.sent[index]
        assert isinstance(message, Request)
        return message

    def response(self, index: int = -1) -> Response:
        """A response among what was sent."""
        message = self.sent[index]
        assert isinstance(message, Response)
        return message

    def do(self, wish: Callable[..., list[Output]], *args: object, **kwargs: object) -> None:
        """Make a wish at the agent's door, now."""
        self.take(wish(self.now, *args, **kwargs))

    def receive(self, message: Message, source: Address = PEER) -> None:
        """Hand a message to the agent."""
        self.take(self.agent.receive(self.now, serialize(message), source))

    # Calls that the agent places

    def invite(self, credentials: Credentials | None = None, headers: Sequence[tuple[str, str]] = ()) -> Request:
        """The agent calls the peer; returns its INVITE."""
        self.do(
            self.agent.invite,
            CALL,
            target=SipUri.parse("sip:15551234@192.0.2.2"),
            next_hop=PEER,
            from_=NameAddr("sip:caller@192.0.2.1"),
            to=NameAddr("sip:15551234@192.0.2.2"),
            offer=OFFER,
            credentials=credentials,
            extra_headers=headers,
        )
        self.our_tag = tag_of(self.request().headers.get("From"))
        return self.request()

    def respond(
        self,
        request: Request,
        status: int,
        tag: str = "peer",
        sdp: bytes = b"",
        headers: Sequence[tuple[str, str]] = (PEER_CONTACT,),
        source: Address = PEER,
    ) -> None:
        """The peer answers a request of the agent."""
        fields = [(name, value) for name, value in request.headers if name in ("Via", "From", "Call-ID", "CSeq")]
        to = request.headers.get("To") or ""
        fields.append(("To", to if "tag=" in to or not tag else f"{to};tag={tag}"))
        fields += [*headers, *([SDP_TYPE] if sdp else [])]
        self.receive(Response(status, reason_phrase(status), Headers(fields), sdp), source)

    def talk(self) -> Request:
        """A call that the agent placed and the peer answered; returns the INVITE."""
        invite = self.invite()
        self.respond(invite, 200, sdp=ANSWER)
        return invite

    # Requests of the peer

    def build(
        self,
        method: str,
        *,
        our_tag: str = "",
        tag: str = "peer",
        call_id: str = CALL,
        number: int | None = None,
        branch: str | None = None,
        sdp: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Request:
        """A request of the peer; inside a dialog when `our_tag` is given."""
        branch = f"z9hG4bKpeer{next(self._branches)}" if branch is None else branch
        number = next(self._sequence) if number is None else number
        fields = [
            ("Via", f"SIP/2.0/UDP {PEER[0]}:{PEER[1]};rport;branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:peer@192.0.2.2>;tag={tag}"),
            ("To", "<sip:callwright@192.0.2.1>" + (f";tag={our_tag}" if our_tag else "")),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            PEER_CONTACT,
            *headers,
            *([SDP_TYPE] if sdp else []),
        ]
        return Request(method, "sip:callwright@192.0.2.1:5060", Headers(fields), sdp)

    def ask_in_call(self, method: str, sdp: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> Request:
        """The peer asks something inside the call that the agent placed with `talk`; returns what it asked."""
        request = self.build(method, our_tag=self.our_tag, sdp=sdp, headers=headers)
        self.receive(request)
        return request

    def answered_call(self, sdp: bytes = OFFER) -> Request:
        """A call that the peer placed and the agent answered, not yet acknowledged; returns the INVITE."""
        invite = self.build("INVITE", sdp=sdp)
        self.receive(invite)
        self.do(self.agent.answer, CALL, ANSWER)
        self.our_tag = tag_of(self.response().headers.get("To"))
        return invite

    def acknowledge(self, invite: Request, sdp: bytes = b"") -> None:
        """The peer acknowledges the agent's 2xx."""
        number = int((invite.headers.get("CSeq") or "").split()[0])
        self.receive(self.build("ACK", our_tag=self.our_tag, number=number, sdp=sdp))


def tag_of(value: str | None) -> str:
    """The tag in a From or To header."""
    return NameAddr.parse(value or "").tag or ""


def everybody(_source: Address, _request: Request) -> bool:
    """Everybody may call."""
    return True


@pytest.fixture
def bench() -> Bench:
    """A user agent that lets everybody call."""
    return Bench(AgentProfile(*US, may_call=everybody))


@pytest.fixture
def make_bench() -> Callable[[AgentProfile], Bench]:
    """Benches for user agents with other profiles."""
    return Bench
