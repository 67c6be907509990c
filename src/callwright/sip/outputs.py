"""What the SIP user agent tells whoever carries it: datagrams to send and what became of calls.

Every method of `UserAgent` returns a list of these, in the order in which they are to be carried out. A call, outgoing
or incoming, ends in exactly one `CallFailed` (it was never answered) or one `CallEnded` (it was), and nothing about it
follows after that except `Transmit` and `Received`, because the network may still repeat old messages.
"""

from dataclasses import dataclass

from callwright.sip.message import Headers, Request

Address = tuple[str, int]
"""An IP address in text and a port, as sockets speak it."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send these bytes as one datagram (or write them to the connection, on a stream)."""

    data: bytes
    destination: Address
    call_id: str = ""
    "the call it belongs to, for the call's record; empty when it belongs to none"


@dataclass(frozen=True, slots=True)
class Received:
    """A message that belongs to this call arrived, for the call's record. Repetitions are told too."""

    call_id: str
    start_line: str
    "`SIP/2.0 180 Ringing`, `BYE sip:... SIP/2.0`"
    sequence: str
    "the CSeq: `1 INVITE`"
    source: Address


@dataclass(frozen=True, slots=True)
class CallProceeding:
    """Somebody is working on our INVITE (100): it no longer needs repeating."""

    call_id: str


@dataclass(frozen=True, slots=True)
class CallRinging:
    """A provisional answer other than 100 (RFC 3261 §13.2.2.1); told again when fork, status or sdp differ."""

    call_id: str
    status: int
    "180 ringing, 181 forwarded, 182 queued, 183 progress"
    reason: str
    sdp: bytes | None
    "early media: the network plays something already"


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The outgoing call was picked up (2xx) and acknowledged; the first fork wins."""

    call_id: str
    sdp: bytes
    "the answer to our offer; empty when the peer's 2xx had none (hang up then)"


@dataclass(frozen=True, slots=True)
class CallConfirmed:
    """The incoming call we answered was acknowledged (ACK)."""

    call_id: str
    sdp: bytes | None
    "the peer's answer, when its INVITE had no offer and ours went out in the 200"


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The call ended before it was answered."""

    call_id: str
    status: int
    "the final status; 487 when one side cancelled, 408 when nobody answered at all, 503 when the network would not"
    reason: str
    "the reason phrase, or what went wrong here"
    locally_generated: bool
    "True when the status was made here (timeout, network, our own hang-up or refusal) and not said by the peer"
    headers: Headers | None = None
    "of the final response, when one came: Retry-After, Reason, Warning, Contact of a 3xx"


@dataclass(frozen=True, slots=True)
class UnwantedAnswer:
    """With `hold_acks`: a call was answered that is to be hung up, ours or an orphan.

    `release_ack` acknowledges it and hangs it up; it is to be said once `memo` is kept.
    """

    call_id: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """An answered call is over, and its BYE was answered (or given up on)."""

    call_id: str
    by_peer: bool
    reason: str
    "the Reason header of the BYE (RFC 3326), or what went wrong here; empty for a plain end"


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """Somebody calls. Answer with `ring`, `answer` or `reject`; 100 Trying was sent already."""

    call_id: str
    "names the call at the user agent's door; it is the Call-ID unless a call of that name runs already"
    request: Request
    source: Address
    sdp: bytes | None
    "the offer; None when the caller wants ours (then `answer` carries it and `CallConfirmed` the peer's answer)"


@dataclass(frozen=True, slots=True)
class ChangeOffered:
    """The peer wants to change the session (re-INVITE or UPDATE); say `accept_change` or `refuse_change`."""

    call_id: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class ChangeConfirmed:
    """The peer answered an offer of ours in a running call: after `change`, or after it asked for our offer."""

    call_id: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class ChangeRefused:
    """The peer did not accept our `change`; the session stays as it was."""

    call_id: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class DigitByInfo:
    """A key was pressed on the peer's phone and told by INFO (application/dtmf-relay or application/dtmf)."""

    call_id: str
    digit: str
    "one of 0-9 * # A-D"
    duration_ms: int | None
    "how long it was pressed, when the peer says so"


@dataclass(frozen=True, slots=True)
class Replied:
    """What became of a request of ours outside of any call (`UserAgent.ask`)."""

    call_id: str
    "the name it was given"
    status: int
    "408 when nobody answered, 503 when the network would not"
    reason: str
    locally_generated: bool
    headers: Headers | None = None


Output = (
    Transmit
    | Received
    | CallProceeding
    | CallRinging
    | CallAnswered
    | CallConfirmed
    | CallFailed
    | CallEnded
    | UnwantedAnswer
    | IncomingCall
    | ChangeOffered
    | ChangeConfirmed
    | ChangeRefused
    | DigitByInfo
    | Replied
)
