"""Legs that we dial, until they are answered.

dial ─▶ trunk's address, RTP ports ─▶ INVITE ─▶ Ringing* ─▶ Answered(codec) ─▶ HungUp
                                         └─▶ NotAnswered
"""

import asyncio
import random
from collections.abc import Callable

from callwright.callflow import events
from callwright.errors import ErrorCode, SdpError, TelephonyError, TrunksFull
from callwright.sip import outputs
from callwright.sip.address import NameAddr
from callwright.sip.digest import Credentials
from callwright.sip.memo import Memo
from callwright.sip.outputs import Address
from callwright.sip.streams import place_text
from callwright.telemetry.trace import FieldValue
from callwright.telephony import leg as legs
from callwright.telephony import redirection
from callwright.telephony.exchange import NORMAL_CLEARING, NOT_ACCEPTABLE_HERE, Exchange
from callwright.telephony.leg import Leg, Stage
from callwright.telephony.trunk import Trunk
from callwright.telephony.trunking import FAILOVER_SECONDS, Attempt, Trunking

REDIRECTS = range(300, 400)


class Outgoing:
    """Dials legs."""

    def __init__(self, exchange: Exchange, trunking: Trunking, token: Callable[[], str], chance: random.Random) -> None:
        self._exchange = exchange
        self._trunking = trunking
        self._token = token
        self._chance = chance

    def dial(self, leg: Leg) -> None:
        """Begin. ValueError when a leg of that id runs."""
        leg.sdp_session_id = self._chance.getrandbits(62)
        self._exchange.add(leg)
        self._exchange.run(self._prepare(leg), leg)

    async def _prepare(self, leg: Leg) -> None:
        exchange = self._exchange
        try:
            leg.attempts = await self._trunking.admit(leg.leg_id, leg.trunk)
        except TrunksFull as error:
            last = legs.could_not_dial(leg, exchange.clock(), ErrorCode.TRUNK_CAPACITY, str(error))
            exchange.end(leg, legs.not_dialled(leg, exchange.clock()) if leg.hang_up_wanted else last)
            return
        except TelephonyError as error:
            exchange.end(leg, legs.could_not_dial(leg, exchange.clock(), ErrorCode.CONNECTIVITY, str(error)))
            return
        leg.admitted = leg.attempts[0].trunk
        try:
            leg.local = await exchange.media.open(leg.leg_id, leg.admitted.media_peers, leg.trace.session_id)
        except TelephonyError as error:
            code = ErrorCode.TRUNK_CAPACITY if exchange.media.ready else ErrorCode.INTERNAL
            exchange.end(leg, legs.could_not_dial(leg, exchange.clock(), code, str(error)))
            return
        if leg.hang_up_wanted:
            exchange.end(leg, legs.not_dialled(leg, exchange.clock()))
        else:
            self._invite(leg)

    def _invite(self, leg: Leg) -> None:
        exchange = self._exchange
        now = exchange.clock()
        if not exchange.may_dial():
            reason = "this node may have been given up by the others, which then carry on what it began"
            exchange.end(leg, legs.could_not_dial(leg, now, ErrorCode.CONNECTIVITY, reason))
            return
        attempt = leg.attempts.pop(0)
        trunk, next_hop = attempt.trunk, attempt.address
        leg.trunk, leg.was_heard = trunk, False
        host, leg.media_host = exchange.reach.host(trunk), exchange.reach.media_host(trunk)
        leg.srtp_keys = legs.fresh_srtp_keys(trunk, self._chance.randbytes)  # others were told the former ones
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
            address=place_text(next_hop),
            sip_call_id=leg.sip_call_id,
            codecs=" ".join(trunk.codecs),
        )
        callee = attempt.target or trunk.callee(leg.destination)
        leg.asked, leg.next_hop, leg.stage = callee, next_hop, Stage.CALLING
        leg.visited.add(str(callee))
        if leg.attempts:
            leg.patience = asyncio.get_running_loop().call_later(FAILOVER_SECONDS, self._impatient, leg)
        exchange.carry(
            exchange.agent.invite(
                now,
                leg.sip_call_id,
                target=callee,
                next_hop=next_hop,
                from_=trunk.caller(leg.source, host),
                to=NameAddr(str(trunk.callee(leg.destination))),
                offer=offer,
                extra_headers=trunk.call_headers(leg.source, host, leg.trace.session_id),
                credentials=Credentials(trunk.username, trunk.password) if trunk.username else None,
                tag=leg.tag,
            )
        )
        leg.tag = ""
        exchange.moved_on(leg)

    def foresee(self, trunk: Trunk, source: str, destination: str, call_id: str, tag: str, place: Address) -> Memo:
        """What the INVITE of a call will say, as far as it matters for its end."""
        callee = trunk.callee(destination)
        return self._exchange.agent.foresee(
            call_id,
            tag,
            target=callee,
            next_hop=place,
            from_=trunk.caller(source, self._exchange.reach.host(trunk)),
            to=NameAddr(str(callee)),
        )

    def heard(self, leg: Leg) -> None:
        """The trunk works on the call: no other address is tried."""
        leg.was_heard = True
        leg.stop_waiting()
        self._trunking.heard(leg.trunk)

    def ringing(self, leg: Leg, ringing: outputs.CallRinging) -> None:
        """The callee's phone rings, or the network lets something be heard already."""
        self.heard(leg)
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
        exchange.picked_up(leg)
        exchange.post(leg, events.Answered(exchange.clock(), leg.leg_id, agreed.codec))
        exchange.tell_of_move(leg)

    def failed(self, leg: Leg, failure: outputs.CallFailed) -> None:
        """The INVITE came to nothing."""
        leg.stop_waiting()
        if failure.status in REDIRECTS and not failure.locally_generated and leg.given_up is None:
            self._exchange.run(self._redirect(leg, failure), leg)
            return
        goes_on = self._trunking.goes_on(leg.trunk, failure, was_heard=leg.was_heard)
        if goes_on and not leg.hang_up_wanted and leg.given_up is None and self._next(leg):
            leg.memos.clear()
            self._invite(leg)  # a further address of the trunk, or of its group (RFC 3263 §4.3)
        else:
            self._exchange.end(leg, legs.not_answered(leg, failure, self._exchange.clock()))

    async def _redirect(self, leg: Leg, failure: outputs.CallFailed) -> None:
        """Call the first Contact of a 3xx that is the same trunk's; without one the status is the call's end."""
        exchange = self._exchange
        target, place, why = None, None, "no Contact is the trunk's own, and stands for the same number"
        for uri in redirection.contacts_of(failure.headers):
            if leg.redirections >= redirection.MOST_REDIRECTIONS or str(uri) in leg.visited:
                why = "it goes round in circles"
            elif leg.asked is not None and redirection.may_stand_for(uri, leg.asked, leg.destination):
                place = await self._trunking.place_inside(leg.trunk, uri, leg.next_hop)
            if place is not None:
                target = uri
                break
        fields: dict[str, FieldValue] = {"leg_id": leg.leg_id, "status": failure.status, "followed": target is not None}
        fields |= {"contact": str(target)} if target is not None else {"reason": why}
        leg.trace.add(exchange.clock(), "telephony.redirected", **fields)
        if target is None or place is None or leg.hang_up_wanted or leg.given_up is not None:
            exchange.end(leg, legs.not_answered(leg, failure, exchange.clock()))
            return
        leg.redirections += 1
        leg.memos.clear()
        leg.attempts.insert(0, Attempt(leg.trunk, place, target))
        self._invite(leg)

    def finished(self, leg: Leg) -> None:
        """The leg is over: another call may have its place on the trunk."""
        leg.stop_waiting()
        if leg.admitted is not None:
            self._trunking.leave(leg.admitted)
            leg.admitted = None

    def _next(self, leg: Leg) -> bool:
        """Whether there is a further attempt, now the first of the list, at a trunk with room for the call."""
        while leg.attempts:
            following = leg.attempts[0].trunk
            is_closed = self._trunking.is_closed(following)
            if not is_closed and leg.admitted is not None and self._trunking.move(leg.admitted, following):
                leg.admitted = following
                return True
            leg.attempts.pop(0)
        return False

    def _impatient(self, leg: Leg) -> None:
        """Nothing was heard from this address: try the next one, and take this call back should it answer after all."""
        leg.patience = None
        if leg.stage is not Stage.CALLING or leg.was_heard or leg.hang_up_wanted or leg.given_up is not None:
            return
        silent = leg.trunk
        self._trunking.silent(silent)
        if not self._next(leg):
            return
        exchange = self._exchange
        now = exchange.clock()
        leg.trace.add(now, "telephony.failover", leg_id=leg.leg_id, trunk=silent.name, reason="no sign of life")
        abandoned, leg.sip_call_id = leg.sip_call_id, self._token()
        exchange.leg_of_call.pop(abandoned, None)
        exchange.leg_of_call[leg.sip_call_id] = leg
        exchange.carry(exchange.agent.hang_up(now, abandoned, NORMAL_CLEARING))
        self._invite(leg)
