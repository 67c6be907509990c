"""Who a SIP user agent says it is, whom it lets in, and how much it takes on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from callwright.sip.message import Request
from callwright.sip.outputs import Address
from callwright.sip.transactions.timers import Timers

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK")
EXTENSIONS = ("100rel", "timer")
"""Option tags that we support (RFC 3262, RFC 4028)."""


def nobody(_source: Address, _request: Request) -> bool:
    """Nobody may call: what holds unless somebody is let in on purpose."""
    return False


def never(_address: Address) -> bool:
    """No address of datagrams takes connections too."""
    return False


def as_bound(_peer: Address) -> Address | None:
    """Everybody reaches us where we are."""
    return None


def unlimited(_now: float, _source: Address) -> bool:
    """Every datagram is read."""
    return True


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """One local SIP address: everything about a user agent that does not change while it runs."""

    host: str
    "the address that peers reach us at: in Via and Contact; IPv6 without brackets"
    port: int
    user: str = "callwright"
    "user part of our Contact"
    name: str = "callwright"
    "User-Agent and Server header"
    stream_ports: Mapping[str, int] = field(default_factory=dict)
    "where peers connect to us: transport (TCP, TLS) → port; `port` where none is named"
    reached_at: Callable[[Address], Address | None] = as_bound
    "where a peer at that address reaches us on its transport; None: at `host` and our port"
    timers: Timers = field(default_factory=Timers)
    may_call: Callable[[Address, Request], bool] = nobody
    "is asked for every request outside a dialog; refused ones all get the same 403"
    may_grow: Callable[[Address], bool] = never
    "whether a request too large for a datagram may go to this address over TCP instead (RFC 3261 §18.1.1)"
    within_budget: Callable[[float, Address], bool] = unlimited
    "is asked for every datagram before it is read; False drops it (per-source rate limits)"
    most_calls: int = 20_000
    "calls at the same time; INVITEs beyond get a stateless 503 with Retry-After"
    most_transactions: int = 200_000
    "transactions at the same time; requests beyond get a stateless 503 with Retry-After"
    most_forks: int = 8
    "early dialogs kept per outgoing call; a 200 from a further fork is still acknowledged and hung up"
    retry_after_seconds: int = 5
    "what the 503 says"
    session_seconds: int = 1800
    "the session interval that our INVITEs ask for (RFC 4028), 90 at least; 0 asks for none"
    hold_acks: bool = False
    "the ACK to the 200 of a call that we placed waits for `UserAgent.release_ack`"
    longest_setup_seconds: float = 240.0
    "an unanswered call is cancelled (outgoing) or refused with 480 (incoming) after this, whatever else happens"
