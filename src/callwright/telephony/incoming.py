"""Legs that come in, until they are answered.

    INVITE from a trunk ─▶ Received ─▶ take (180) ─▶ pick_up (200) ─▶ ACK ─▶ Answered(codec) ─▶ HungUp
                               │                └─▶ NotAnswered (the caller left, or hang_up)
                               └─▶ refuse, or nobody decided in time

Nobody above is told anything of a call before somebody takes it. A call counts as answered when its ACK is here: before
that the caller may not have our 200, and would miss the beginning of whatever is played.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callwright.callflow import events
from callwright.callflow.events import NotAnswered
from callwright.callflow.outcome import CallStatus
from callwright.errors import ErrorCode, SdpError, TelephonyError
from callwright.sip import outputs, sdp
from callwright.sip.memo import encode_memos
from callwright.sip.negotiation import Protection, make_answer
from callwright.telemetry.trace import Trace
from callwright.telephony import leg as legs
from callwright.telephony.caller import called_number, calling_number, forwarding_of
from callwright.telephony.exchange import NOT_ACCEPTABLE_HERE, UNAVAILABLE, Exchange
from callwright.telephony.leg import Leg, Stage
from callwright.telephony.trunk import Trunk

FORBIDDEN = 403
TEMPORARILY_UNAVAILABLE = 480
RETRY_AFTER_SECONDS = 5
"""What a trunk is asked to wait for before its next call, when no calls are taken now."""
_SOME_PORT = 9


@dataclass(frozen=True, slots=True)
class Received:
    """Somebody calls over a trunk. Say `take` or `refuse`."""

    leg_id: str
    "made here; the leg's name from now on"
    sip_call_id: str
    trunk: str
    source: str
    "who calls, E.164 with +; empty when the caller hides it"
    destination: str
    "the number that was called, E.164 with +"
    dialog: str = ""
    "what ends it without us: to be written down before it is taken"


def refuse_everybody(_received: Received) -> None:
    """What is done with calls when nobody wants them; `Incoming` then refuses them at once."""


class Incoming:
    """Takes calls in and tells `received` of each; with `refuse_everybody` none gets that far."""

    def __init__(
        self,
        exchange: Exchange,
        trunk_of: Callable[[outputs.Address], Trunk | None],
        received: Callable[[Received], None],
        decide_seconds: float,
        chance: random.Random,
    ) -> None:
        """`trunk_of` says whose address it is; a call that nobody decided on within `decide_seconds` is refused.

        `chance` makes leg ids: nobody outside may guess it.
        """
        self._exchange = exchange
        self._trunk_of = trunk_of
        self._received = received
        self._decide_seconds = decide_seconds
        self._chance = chance
        self._undecided: dict[str, asyncio.TimerHandle] = {}

    def arrive(self, call: outputs.IncomingCall) -> Leg | None:
        """An INVITE came. Returns the leg, which waits for a decision; None when the call is refused already."""
        trunk = self._trunk_of(call.source)
        destination = called_number(call.request)
        if self._received is refuse_everybody or trunk is None or destination is None:
            self._reject(call.call_id, FORBIDDEN)
            return None
        srtp_keys = legs.fresh_srtp_keys(trunk, self._chance.randbytes)
        if call.sdp is not None:
            try:
                _, agreed = make_answer(
                    sdp.parse(call.sdp),
                    "127.0.0.1",
                    _SOME_PORT,
                    session_id=0,
                    version=0,
                    codecs=trunk.codecs,
                    protection=Protection(trunk.srtp, srtp_keys),
                )
                legs.remote_media(agreed, None)
            except SdpError:
                self._reject(call.call_id, NOT_ACCEPTABLE_HERE)  # better now than after somebody was asked
                return None
        leg = Leg(
            str(uuid.UUID(int=self._chance.getrandbits(128), version=4)),
            calling_number(call.request),
            destination,
            trunk,
            call.call_id,
            Trace(""),
            Stage.OFFERED,
            inbound=True,
            is_taken=False,
            offer_received=call.sdp or b"",
            media_host=self._exchange.reach.media_host(trunk),
            forwarded=forwarding_of(call.request),
            was_heard=True,
            sdp_session_id=self._chance.getrandbits(62),
            srtp_keys=srtp_keys,
        )
        self._exchange.add(leg)
        loop = asyncio.get_running_loop()
        self._undecided[leg.leg_id] = loop.call_later(self._decide_seconds, self._nobody_decided, leg.leg_id)
        return leg

    def tell(self, leg: Leg) -> None:
        """Ask above what is to become of the leg."""
        memo = self._exchange.agent.memo(leg.sip_call_id)
        dialog = ""
        if memo is not None:
            leg.memos[memo.local] = memo
            dialog = encode_memos([memo])
        self._received(Received(leg.leg_id, leg.sip_call_id, leg.trunk.name, leg.source, leg.destination, dialog))

    def take(self, leg_id: str, trace: Trace) -> None:
        """Let it ring; from now on its events are posted. ValueError for a leg that is no undecided call.

        A caller who left meanwhile makes a NotAnswered at the next turn of the loop.
        """
        leg = self._exchange.legs.get(leg_id)
        if leg is None:
            asyncio.get_running_loop().call_soon(self._post_that_it_left, leg_id)
            return
        if leg.is_taken:
            raise ValueError(f"leg {leg_id} was taken or dialled already")
        self._decided(leg_id)
        for entry in leg.trace.entries:
            trace.add(entry.at, entry.kind, **entry.fields)
        leg.trace, leg.is_taken = trace, True
        trace.add(
            self._exchange.clock(),
            "telephony.trunk",
            leg_id=leg_id,
            trunk=leg.trunk.name,
            sip_call_id=leg.sip_call_id,
            codecs=" ".join(leg.trunk.codecs),
            **leg.forwarded,
        )
        self._exchange.carry(self._exchange.agent.ring(self._exchange.clock(), leg.sip_call_id))
        self._exchange.run(self._prepare(leg), leg)

    def _post_that_it_left(self, leg_id: str) -> None:
        reason = "the caller left before the call was taken"
        self._exchange.post_for(leg_id, NotAnswered(self._exchange.clock(), leg_id, CallStatus.CANCELED, 487, reason))

    def refuse(self, leg_id: str, *, busy: bool = False) -> None:
        """Turn an undecided call away; no events follow.

        With the 403 that everybody gets who may not call, or, when it is only that nobody takes calls now (`busy`),
        with a 503 that lets the trunk try elsewhere (RFC 3261 §21.5.4).
        """
        leg = self._exchange.legs.get(leg_id)
        if leg is None or leg.is_taken:
            return
        self._decided(leg_id)
        if busy:
            self._reject(leg.sip_call_id, UNAVAILABLE, (("Retry-After", str(RETRY_AFTER_SECONDS)),))
        else:
            self._reject(leg.sip_call_id, FORBIDDEN)

    def _nobody_decided(self, leg_id: str) -> None:
        leg = self._exchange.legs.get(leg_id)
        self._undecided.pop(leg_id, None)
        if leg is not None:
            self._reject(leg.sip_call_id, TEMPORARILY_UNAVAILABLE)

    def _decided(self, leg_id: str) -> None:
        timer = self._undecided.pop(leg_id, None)
        if timer is not None:
            timer.cancel()

    def pick_up(self, leg_id: str) -> None:
        """Answer a call that was taken, as soon as it has its RTP ports; unknown and answered ones stay as they are."""
        leg = self._exchange.legs.get(leg_id)
        if leg is None or not leg.inbound or not leg.is_taken or leg.pick_up_wanted:
            return
        leg.pick_up_wanted = True
        if leg.local is not None:
            self._answer(leg)

    async def _prepare(self, leg: Leg) -> None:
        exchange = self._exchange
        try:
            local = await exchange.media.open(leg.leg_id, leg.trunk.media_peers, leg.trace.session_id)
        except TelephonyError as error:
            if leg.stage is Stage.OFFERED:
                code = ErrorCode.TRUNK_CAPACITY if exchange.media.ready else ErrorCode.INTERNAL
                leg.last = legs.could_not_dial(leg, exchange.clock(), code, str(error))
                self._reject(leg.sip_call_id, UNAVAILABLE)
            return
        if leg.stage is not Stage.OFFERED:  # the caller was quicker
            await exchange.media.close(leg.leg_id)
            return
        leg.local = local
        if leg.pick_up_wanted:
            self._answer(leg)

    def _answer(self, leg: Leg) -> None:
        exchange = self._exchange
        if leg.stage is not Stage.OFFERED or leg.given_up is not None:
            return
        try:
            if leg.offer_received:
                description, agreed = leg.answer(leg.offer_received)
                exchange.connect(leg, agreed)
            else:
                description = leg.offer()
        except SdpError as error:
            exchange.give_up(leg, NOT_ACCEPTABLE_HERE, f"the caller's offer cannot be used: {error}")
            return
        leg.stage = Stage.ANSWERING
        exchange.carry(exchange.agent.answer(exchange.clock(), leg.sip_call_id, description))

    def confirmed(self, leg: Leg, answer: bytes | None) -> None:
        """The caller's ACK: it hears us."""
        exchange = self._exchange
        if leg.stage is not Stage.ANSWERING or leg.given_up is not None:
            return
        if not leg.offer_received:
            try:
                exchange.connect(leg, exchange.agreed(leg, answer))
            except SdpError as error:
                exchange.give_up(leg, NOT_ACCEPTABLE_HERE, f"the caller's answer cannot be used: {error}")
                return
        leg.stage = Stage.UP
        exchange.moved_on(leg)
        codec = leg.remote.codec if leg.remote is not None else ""
        exchange.post(leg, events.Answered(exchange.clock(), leg.leg_id, codec))
        exchange.tell_of_move(leg)

    def failed(self, leg: Leg, failure: outputs.CallFailed) -> None:
        """It was refused here, or taken back by the caller."""
        self._decided(leg.leg_id)
        self._exchange.end(leg, leg.last or legs.not_answered(leg, failure, self._exchange.clock()))

    def stop(self) -> None:
        """No more decisions are waited for."""
        for timer in self._undecided.values():
            timer.cancel()
        self._undecided.clear()

    def _reject(self, call_id: str, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._exchange.carry(self._exchange.agent.reject(self._exchange.clock(), call_id, status, headers=headers))
