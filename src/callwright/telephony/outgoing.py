"""Legs that we dial, until they are answered.

dial ─▶ trunk's address, RTP ports ─▶ INVITE ─▶ Ringing* ─▶ Answered(codec) ─▶ HungUp
                                         └─▶ NotAnswered
"""

import secrets

from callwright.callflow import events
from callwright.callflow.events import NotAnswered
from callwright.callflow.outcome import CallStatus
from callwright.errors import ErrorCode, SdpError, TelephonyError
from callwright.sip import outputs
from callwright.sip.address import NameAddr, SipUri, escape_user
from callwright.sip.digest import Credentials
from callwright.telephony import leg as legs
from callwright.telephony.exchange import NOT_ACCEPTABLE_HERE, UNAVAILABLE, Exchange, place
from callwright.telephony.leg import Leg, Stage
from callwright.telephony.trunk import Resolver


class Outgoing:
    """Dials legs. `host` is what we are reached at: the host part of our From where the trunk wants no other."""

    def __init__(self, exchange: Exchange, resolver: Resolver, host: str) -> None:
        self._exchange = exchange
        self._resolver = resolver
        self._host = host

    def dial(self, leg: Leg) -> None:
        """Begin. ValueError when a leg of that id runs."""
        leg.sdp_session_id = secrets.randbits(62)
        self._exchange.add(leg)
        self._exchange.run(self._prepare(leg), leg)

    async def _prepare(self, leg: Leg) -> None:
        exchange = self._exchange
        try:
            leg.next_hops = list(await self._resolver.resolve(leg.trunk))
        except TelephonyError as error:
            exchange.end(leg, legs.could_not_dial(leg, exchange.clock(), ErrorCode.CONNECTIVITY, str(error)))
            return
        try:
            leg.local = await exchange.media.open(leg.leg_id)
        except TelephonyError as error:
            code = ErrorCode.TRUNK_CAPACITY if exchange.media.ready else ErrorCode.INTERNAL
            exchange.end(leg, legs.could_not_dial(leg, exchange.clock(), code, str(error)))
            return
        if leg.hang_up_wanted:
            reason = "hung up before it was dialled"
            exchange.end(leg, NotAnswered(exchange.clock(), leg.leg_id, CallStatus.CANCELED, None, reason))
        else:
            self._invite(leg)

    def _invite(self, leg: Leg) -> None:
        exchange = self._exchange
        now = exchange.clock()
        trunk, next_hop = leg.trunk, leg.next_hops.pop(0)
        try:
            offer = leg.offer()
        except SdpError as error:
            reason = f"trunk {trunk.name}: {error}"
            exchange.end(leg, legs.could_not_dial(leg, now, ErrorCode.INTERNAL, reason))
            return
        leg.trace.add(
            now,
            "telephony.trunk",
            leg_id=leg.leg_id,
            trunk=trunk.name,
            address=place(next_hop),
            sip_call_id=leg.sip_call_id,
            codecs=" ".join(trunk.codecs),
        )
        host = trunk.host.strip("[]")
        callee = SipUri(host, escape_user(trunk.number(leg.destination)), None if trunk.port == 5060 else trunk.port)
        caller = SipUri(trunk.from_domain or self._host, escape_user(trunk.number(leg.source)))
        leg.stage = Stage.CALLING
        exchange.carry(
            exchange.agent.invite(
                now,
                leg.sip_call_id,
                target=callee,
                next_hop=next_hop,
                from_=NameAddr(str(caller)),
                to=NameAddr(str(callee)),
                offer=offer,
                extra_headers=trunk.session_headers(leg.trace.session_id),
                credentials=Credentials(trunk.username, trunk.password) if trunk.username else None,
            )
        )

    def ringing(self, leg: Leg, ringing: outputs.CallRinging) -> None:
        """The callee's phone rings, or the network lets something be heard already."""
        leg.was_heard = True
        exchange = self._exchange
        now = exchange.clock()
        if ringing.sdp:
            try:
                exchange.connect(leg, exchange.agreed(leg, ringing.sdp))
            except SdpError as error:
                # The answer may still be a good one; until then there is just nothing to hear.
                leg.trace.add(now, "telephony.early_media_unusable", leg_id=leg.leg_id, reason=str(error))
            else:
                leg.early_media = True
        if not leg.rang or (ringing.sdp and leg.early_media):
            exchange.post(leg, events.Ringing(now, leg.leg_id, leg.early_media))
        leg.rang = True

    def answered(self, leg: Leg, answer: bytes) -> None:
        """The callee picked up."""
        exchange = self._exchange
        try:
            agreed = exchange.agreed(leg, answer)
            exchange.connect(leg, agreed)
        except SdpError as error:
            exchange.give_up(leg, NOT_ACCEPTABLE_HERE, f"the answer to our offer cannot be used: {error}")
            return
        leg.stage = Stage.UP
        exchange.post(leg, events.Answered(exchange.clock(), leg.leg_id, agreed.codec))

    def failed(self, leg: Leg, failure: outputs.CallFailed) -> None:
        """The INVITE came to nothing."""
        unreachable = failure.locally_generated and failure.status == UNAVAILABLE and not leg.was_heard
        if unreachable and leg.next_hops and not leg.hang_up_wanted and leg.given_up is None:
            self._invite(leg)  # the trunk has a further address (RFC 3263 §4.3)
        else:
            self._exchange.end(leg, legs.not_answered(leg, failure, self._exchange.clock()))
