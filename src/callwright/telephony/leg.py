"""One leg: what is known of it, what it offers and answers, what its ends mean. Pure; `exchange.py` carries.

    PREPARING ──▶ CALLING ──▶ UP ──▶ ENDING ──▶ (gone)
        │            │        ▲         ▲
        └────────────┴────────┼─────────┤
                              │         │
    OFFERED ──▶ ANSWERING ────┘         │
        └────────────┴──────────────────┘

A leg that we dial. PREPARING: the trunk's address is looked up and RTP ports are taken; a hang-up here means that
nothing is ever dialled. CALLING: the INVITE is out.

A leg that came in. OFFERED: somebody calls, and nobody picked up yet. ANSWERING: our 200 is out; its ACK is not back,
so we do not know whether the caller hears us.

UP: answered, with a codec. ENDING: the signalling is done with and the media stream is being closed for its figures;
then the one NotAnswered or HungUp is posted.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from callwright.callflow.events import Event, HungUp, NotAnswered
from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.errors import ErrorCode, SdpError
from callwright.sip import crypto, sdp
from callwright.sip.address import SipUri
from callwright.sip.memo import Memo
from callwright.sip.negotiation import TELEPHONE_EVENT, Negotiated, Protection, make_answer, make_offer
from callwright.sip.outputs import Address, CallFailed
from callwright.telemetry.trace import FieldValue, Trace
from callwright.telephony.keys import KeyPresses
from callwright.telephony.media.stream import CLOCK_RATES, Direction, LocalMedia, RemoteMedia, Srtp, StreamReport
from callwright.telephony.trunk import Trunk, ip_literal
from callwright.telephony.trunking import Attempt

BUSY_STATUSES = {486, 600}
NO_ANSWER_STATUSES = {408, 480}


class Stage(Enum):
    """Where a leg stands."""

    PREPARING = "preparing"
    CALLING = "calling"
    OFFERED = "offered"
    ANSWERING = "answering"
    UP = "up"
    ENDING = "ending"


@dataclass(slots=True)
class Leg:
    """The record of one leg, from `dial` or its INVITE to its one last event."""

    leg_id: str
    source: str
    destination: str
    trunk: Trunk
    sip_call_id: str
    trace: Trace
    stage: Stage = Stage.PREPARING
    inbound: bool = False
    is_taken: bool = True
    "somebody above wants its events; False for a call that came in until then"
    offer_received: bytes = b""
    "the caller's; empty when it wants ours"
    forwarded: dict[str, FieldValue] = field(default_factory=dict)
    "who sent a call on to us, for its trace"
    pick_up_wanted: bool = False
    hang_up_wanted: bool = False
    "somebody above asked for its end"
    given_up: tuple[int, str] | None = None
    "why telephony itself ended it: a SIP status that says it best, and words"
    attempts: list[Attempt] = field(default_factory=list)
    "addresses that were not tried yet, of its trunk and of the others in the group"
    asked: SipUri | None = None
    "what the last INVITE asked for"
    next_hop: Address = ("", 0)
    "where it went"
    redirections: int = 0
    visited: set[str] = field(default_factory=set)
    "what INVITEs asked for: no 3xx leads there again"
    admitted: Trunk | None = None
    "whose limits the call counts for"
    patience: asyncio.TimerHandle | None = None
    "until the next address is tried"
    was_heard: bool = False
    "the trunk answered something, a 100 will do"
    rang: bool = False
    early_media: bool = False
    local: LocalMedia | None = None
    "None while the media plane has no stream of this leg"
    is_moved: bool = False
    "the peer was not told of `local` yet"
    media_host: str = ""
    "where the trunk is told to send media; empty: where it is bound"
    remote: RemoteMedia | None = None
    "what the media plane was connected to last"
    sdp_session_id: int = 0
    sdp_version: int = 0
    offered: sdp.SessionDescription | None = None
    "our last description: what a peer that asks for an offer is offered"
    srtp_keys: dict[str, bytes] = field(default_factory=dict, repr=False)
    "suite → what our sound is encrypted with; the same as long as the call is with the same trunk"
    keys: KeyPresses = field(default_factory=KeyPresses)
    tag: str = ""
    "for the From of its first INVITE; empty: a new one"
    memos: dict[str, Memo] = field(default_factory=dict)
    "what is written down of its calls, by our From or To"
    last: Event | None = None
    "what will be posted once the media stream is closed"

    def stop_waiting(self) -> None:
        """No other address will be tried because of silence."""
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None

    def offer(self) -> bytes:
        """A new offer of our stream. SdpError when the trunk's codecs are not ours."""
        host, port = self._place()
        self.sdp_version += 1
        self.offered = make_offer(
            host,
            port,
            session_id=self.sdp_session_id,
            version=self.sdp_version,
            codecs=self.trunk.codecs,
            protection=self._protection(),
        )
        return sdp.serialize(self.offered)

    def answer(self, offer: bytes) -> tuple[bytes, Negotiated]:
        """Our answer to the peer's offer, and what it comes to. SdpError when nothing can be agreed upon."""
        host, port = self._place()
        self.sdp_version += 1
        description, agreed = make_answer(
            sdp.parse(offer),
            host,
            port,
            session_id=self.sdp_session_id,
            version=self.sdp_version,
            codecs=self.trunk.codecs,
            protection=self._protection(),
        )
        self.offered = description
        return sdp.serialize(description), agreed

    def _protection(self) -> Protection:
        return Protection(self.trunk.srtp, self.srtp_keys)

    def _place(self) -> tuple[str, int]:
        if self.local is None:
            raise SdpError("there is no stream to describe")
        return self.media_host or self.local.host, self.local.port


def fresh_srtp_keys(trunk: Trunk, random_bytes: Callable[[int], bytes]) -> dict[str, bytes]:
    """Keys for a call over the trunk, one for each suite (RFC 4568 §6.1); `random_bytes` is secret."""
    return {} if trunk.srtp == "off" else {suite: random_bytes(size) for suite, size in crypto.SUITES.items()}


def not_dialled(leg: Leg, at: float) -> NotAnswered:
    """The last event of a leg that was hung up before its INVITE."""
    return NotAnswered(at, leg.leg_id, CallStatus.CANCELED, None, "hung up before it was dialled")


def remote_media(agreed: Negotiated, former: RemoteMedia | None, *, symmetric: bool = False) -> RemoteMedia:
    """What the media plane needs of an agreement. SdpError when the peer is named instead of addressed.

    A hold by the address 0.0.0.0 (RFC 3264 §8.4) is the former address with another direction.
    """
    address = ip_literal(agreed.host)
    if address is None or (agreed.rtcp_host and ip_literal(agreed.rtcp_host) is None):
        raise SdpError(f"media at the name {agreed.host!r}; an address is needed")
    direction = Direction(agreed.direction)
    if address.is_unspecified:
        if former is None:
            raise SdpError(f"media at {agreed.host} from the beginning")
        return replace(former, direction=direction)
    events = {number: _clock_of(name) for number, name in agreed.received.items() if name.startswith(TELEPHONE_EVENT)}
    # A peer that kept two of them sends the one at its codec's clock (RFC 4733 §2.1).
    event = min(events, key=lambda number: events[number] != CLOCK_RATES.get(agreed.codec, 8000), default=None)
    keys = agreed.srtp
    return RemoteMedia(
        address=agreed.host,
        port=agreed.port,
        codec=agreed.codec,
        payload_type=agreed.payload_type,
        event_payload_type=event,
        sent_event_payload_type=agreed.event_payload_type,
        direction=direction,
        rtcp_address=agreed.rtcp_host or None,
        rtcp_port=agreed.rtcp_port,
        ptime_ms=agreed.ptime_ms,
        heard={number: codec for number, codec in agreed.received.items() if number not in events},
        event_clock_rate=agreed.event_clock_rate,
        heard_event_clock_rate=8000 if event is None else events[event],
        rtcp_mux=agreed.rtcp_mux,
        srtp=None if keys is None else Srtp(keys.suite, keys.sending, keys.receiving),
        symmetric=symmetric,
    )


def _clock_of(event_name: str) -> int:
    """Of `telephone-event` or `telephone-event/48000`."""
    return int(event_name.partition("/")[2] or 8000)


def status_of_failure(leg: Leg, failure: CallFailed) -> CallStatus:
    """What a call that was not answered is called (contract §5.4).

    A made-up 408 before the trunk said anything at all is a dead trunk, not a phone that nobody picks up.
    """
    if leg.given_up is not None:
        return CallStatus.FAILED
    if leg.hang_up_wanted:
        dead = failure.locally_generated and not leg.was_heard and not leg.inbound
        return CallStatus.FAILED if dead else CallStatus.CANCELED
    if leg.inbound:  # the caller took it back, or nobody here picked up for too long
        return CallStatus.NO_ANSWER if failure.locally_generated else CallStatus.CANCELED
    if failure.status in BUSY_STATUSES:
        return CallStatus.BUSY
    if failure.status in NO_ANSWER_STATUSES and (leg.was_heard or not failure.locally_generated):
        return CallStatus.NO_ANSWER
    return CallStatus.FAILED


def not_answered(leg: Leg, failure: CallFailed, at: float) -> NotAnswered:
    """The last event of a leg whose INVITE failed."""
    status = status_of_failure(leg, failure)
    if leg.given_up is not None:
        return NotAnswered(at, leg.leg_id, status, *leg.given_up)
    reason = failure.reason
    if status is CallStatus.FAILED and failure.locally_generated and not leg.was_heard:
        reason = f"trunk {leg.trunk.name} does not answer" + (f": {reason}" if reason else "")
    return NotAnswered(at, leg.leg_id, status, failure.status, reason)


def could_not_dial(leg: Leg, at: float, error: ErrorCode, reason: str) -> NotAnswered:
    """The last event of a leg that never got as far as an INVITE."""
    return NotAnswered(at, leg.leg_id, CallStatus.ERROR, None, reason, error)


def hung_up(leg: Leg, at: float, *, by_peer: bool, reason: str) -> Event:
    """The last event of a leg whose call was answered; without its quality, which the media plane knows.

    An answer that nothing could be heard with (`given_up` before UP) is no answer to anybody above.
    """
    if leg.given_up is not None:
        status, why = leg.given_up
        if leg.stage is not Stage.UP:
            return NotAnswered(at, leg.leg_id, CallStatus.FAILED, status, why)
        return HungUp(at, leg.leg_id, HungUpBy.NETWORK, why)
    if leg.stage is not Stage.UP:
        if leg.inbound and not by_peer and not leg.hang_up_wanted:
            return NotAnswered(at, leg.leg_id, CallStatus.FAILED, 408, reason)  # our 200 was never acknowledged
        return NotAnswered(at, leg.leg_id, CallStatus.CANCELED, 487, reason)
    if by_peer:
        return HungUp(at, leg.leg_id, HungUpBy.THEM, reason)
    return HungUp(at, leg.leg_id, HungUpBy.US if leg.hang_up_wanted else HungUpBy.NETWORK, reason)


def quality_of(report: StreamReport | None) -> CallQuality | None:
    """What the contract calls the quality of a leg; None when nothing was received."""
    if report is None or report.mos is None:
        return None
    return CallQuality(report.mos, report.loss_rate, round(report.jitter_ms))


def report_fields(report: StreamReport) -> dict[str, FieldValue]:
    """A stream's figures for the call's trace."""
    return {
        "sent": report.packets_sent,
        "received": report.packets_received,
        "lost": report.packets_lost,
        "loss_rate": report.loss_rate,
        "jitter_ms": report.jitter_ms,
        "mos": report.mos,
        "late_frames": report.gaps,
        "send_errors": report.send_errors,
        "malformed": report.malformed,
        "refused": report.refused,
        "round_trip_ms": report.round_trip_ms,
        "remote_loss_rate": report.remote_loss_rate,
        "remote_jitter_ms": report.remote_jitter_ms,
        "unauthentic": report.unauthentic or None,
        "replayed": report.replayed or None,
    }
