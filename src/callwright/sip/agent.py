"""The SIP user agent at one local address: bytes and wishes in, bytes and news out, time as an argument.

It owns no socket and no clock. Whoever carries it hands every datagram to `receive`, calls `tick` when `deadline` is
reached, and carries the returned outputs out in order. RFC 3261 with 6026 (transactions), 3581 (rport), 3311 (UPDATE),
7616/8760 (digest), 3326 (Reason).

    agent.invite(...) ─▶ CallProceeding? CallRinging* ─▶ CallAnswered ─▶ (ChangeOffered | DigitByInfo)* ─▶ CallEnded
                                      └────────────────▶ CallFailed
    receive(...) ─▶ IncomingCall ─▶ ring() / answer() ─▶ CallConfirmed ─▶ ... ─▶ CallEnded
                                  └▶ reject() / cancelled by the caller ─▶ CallFailed
"""

from collections import Counter
from collections.abc import Callable, Sequence

from callwright.sip.address import NameAddr, SipUri
from callwright.sip.digest import Credentials
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile


class UserAgent:
    """All calls of one local SIP address. Pure: `now` is platform time in unix seconds, everywhere the same clock.

    A wish for a call that is unknown or over returns no outputs: the phone may have been quicker than we were. A wish
    that the call's state forbids (to answer twice, to ring after answering) does the same and is counted in `counts`.
    """

    def __init__(self, profile: AgentProfile, token: Callable[[], str]) -> None:
        """`token` gives cryptographically random text of at least 32 bits (RFC 3261 §19.3), of token characters only."""
        raise NotImplementedError

    @property
    def deadline(self) -> float | None:
        """When to call `tick` if nothing else happens; None when nothing waits."""
        raise NotImplementedError

    @property
    def calls(self) -> int:
        """Calls that have not ended."""
        raise NotImplementedError

    @property
    def transactions(self) -> int:
        """Transactions that have not terminated, those that only linger for repetitions included."""
        raise NotImplementedError

    counts: Counter[str]
    "messages dropped or refused, by why"

    def invite(
        self,
        now: float,
        call_id: str,
        *,
        target: SipUri,
        next_hop: Address,
        from_: NameAddr,
        to: NameAddr,
        offer: bytes,
        extra_headers: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
    ) -> list[Output]:
        """Place a call: INVITE `target` through `next_hop`, with `call_id` as its Call-ID and name at this door.

        `credentials` answer a 401 or 407 to requests of this call, and only those (once per nonce). ValueError when a
        call of that name runs.
        """
        raise NotImplementedError

    def ring(self, now: float, call_id: str, status: int = 180, sdp: bytes | None = None) -> list[Output]:
        """Send a provisional answer (101-199) to an incoming call, with early media when `sdp` is given."""
        raise NotImplementedError

    def answer(self, now: float, call_id: str, sdp: bytes) -> list[Output]:
        """Pick an incoming call up: 200 with `sdp` (the answer, or the offer when the caller made none)."""
        raise NotImplementedError

    def reject(
        self, now: float, call_id: str, status: int, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> list[Output]:
        """Refuse an incoming call with a final status (300-699); `CallFailed` follows at once."""
        raise NotImplementedError

    def hang_up(self, now: float, call_id: str, reason: str | None = None) -> list[Output]:
        """End a call in whatever state it is; any number of times.

        Unanswered outgoing: CANCEL, at once or as soon as a 1xx allows it (RFC 3261 §9.1); `CallFailed` 487 follows,
        also when a 200 crosses the CANCEL (it is acknowledged and hung up here). Unanswered incoming: 603. Answered: BYE.
        `reason` is a Reason header value (RFC 3326) such as `Q.850;cause=16`.
        """
        raise NotImplementedError

    def change(self, now: float, call_id: str, sdp: bytes) -> list[Output]:
        """Offer a new session to the peer of a running call (re-INVITE); `ChangeConfirmed` or `ChangeRefused` follows."""
        raise NotImplementedError

    def accept_change(self, now: float, call_id: str, sdp: bytes) -> list[Output]:
        """Answer the `ChangeOffered` of a call with 200 and `sdp`."""
        raise NotImplementedError

    def refuse_change(self, now: float, call_id: str, status: int = 488, reason: str = "") -> list[Output]:
        """Refuse the `ChangeOffered` of a call; the session stays as it was (RFC 3261 §14.2)."""
        raise NotImplementedError

    def receive(self, now: float, data: bytes, source: Address) -> list[Output]:
        """Take one datagram (one framed message on a stream) that came from `source`. Never raises for what it says."""
        raise NotImplementedError

    def tick(self, now: float) -> list[Output]:
        """Let everything happen that is due; harmless when nothing is."""
        raise NotImplementedError

    def transport_failed(self, now: float, destination: Address) -> list[Output]:
        """Say that sending to `destination` failed (ICMP unreachable, connection refused): its requests fail with 503."""
        raise NotImplementedError
