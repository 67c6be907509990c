"""What every SIP message says about where it belongs (RFC 3261 §8.1.1), read once on arrival."""

from dataclasses import dataclass

from callwright.sip.address import CSeq, NameAddr, Via, parse_vias
from callwright.sip.message import Message, Request, Response
from callwright.sip.outputs import Address
from callwright.sip.validation import media_type

ServerKey = tuple[str, ...]
"""Names a server transaction (RFC 3261 §17.2.3)."""


@dataclass(slots=True)
class Envelope:
    """The headers that say where a message belongs."""

    via: Via
    "the topmost hop"
    from_: NameAddr
    to: NameAddr
    call_id: str
    cseq: CSeq
    source: Address

    @property
    def from_tag(self) -> str:
        """Empty when there is none (RFC 2543 peers)."""
        return self.from_.tag or ""

    @property
    def to_tag(self) -> str:
        """Empty when there is none."""
        return self.to.tag or ""

    def server_key(self, method: str) -> ServerKey:
        """The key of the server transaction of `method` that this request belongs to."""
        sent_by = f"{self.via.host.lower()}:{self.via.port or 5060}"
        if self.via.has_unique_branch:
            # "The branch parameter [...], the sent-by value in the top Via" and the method decide.
            return (self.via.branch or "", sent_by, method)
        # A branch without the cookie comes from an RFC 2543 peer: the whole call decides; the To tag does not, since an
        # ACK carries ours where its INVITE carried none.
        return (self.call_id, self.from_tag, str(self.cseq.number), str(self.via), sent_by, method)


@dataclass(slots=True)
class Arrival:
    """A request with its envelope."""

    request: Request
    envelope: Envelope

    @property
    def method(self) -> str:
        """The request's method."""
        return self.request.method


def read_envelope(message: Message, source: Address) -> Envelope:
    """Read it from a message that `validation` found right; SipSyntaxError otherwise."""
    headers = message.headers
    return Envelope(
        parse_vias(headers.all("Via"))[0],
        NameAddr.parse(headers.get("From") or ""),
        NameAddr.parse(headers.get("To") or ""),
        headers.get("Call-ID") or "",
        CSeq.parse(headers.get("CSeq") or ""),
        source,
    )


def session_description(message: Request | Response) -> bytes | None:
    """The message's SDP; None when its body is empty or of another kind."""
    if not message.body or media_type(message.headers.get("Content-Type") or "") != "application/sdp":
        return None
    return message.body
