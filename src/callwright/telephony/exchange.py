"""The exchange: every leg that is not over, and what is done with one whichever way it came about.

`outgoing.py` and `incoming.py` bring legs up; here is what they share: the tables, wishes to the user agent, agreements
on media, changes during a call, key presses, and the end.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from dataclasses import replace

from callwright.callflow import events
from callwright.callflow.events import Event, HungUp, NotAnswered
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.errors import ErrorCode, SdpError, TelephonyError
from callwright.sip import sdp
from callwright.sip.agent import UserAgent
from callwright.sip.negotiation import Negotiated, read_answer
from callwright.sip.outputs import Address, Output
from callwright.sip.streams import place_text
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import FieldValue
from callwright.telephony import leg as legs
from callwright.telephony.keys import KeyWay
from callwright.telephony.leg import Leg, Stage
from callwright.telephony.media.planes import MediaPlanes
from callwright.telephony.media.stream import StreamReport
from callwright.telephony.reach import Reach
from callwright.telephony.signalling import Signalling, readable_text

log = logging.getLogger(__name__)

NOT_ACCEPTABLE_HERE = 488
UNAVAILABLE = 503
NORMAL_CLEARING = "Q.850;cause=16"
CSEQ_LINE = re.compile(r"^cseq[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)


def nobody_notes(_leg: Leg) -> None:
    """What is done about orphans when nothing is written down."""


class Exchange:
    """Legs on one user agent and one media plane. The three of them are handed in by whoever starts them."""

    agent: UserAgent
    signalling: Signalling | None = None
    media: MediaPlanes
    reach: Reach
    finished: Callable[[Leg], None]
    "told of each leg that is over, before its last event is posted"
    moved_on: Callable[[Leg], None]
    "told when what would end the leg without us may be another (`orphans.Memos`)"
    may_dial: Callable[[], bool]
    "asked right before each INVITE: whether this process is still the one to send it"
    picked_up: Callable[[Leg], None]
    "told when a leg that we dialled is answered; its ACK leaves afterwards"

    def __init__(self, clock: Clock, post: Callable[[str, Event], None]) -> None:
        self.clock = clock
        self.legs: dict[str, Leg] = {}
        self.leg_of_call: dict[str, Leg] = {}
        self.empty = asyncio.Event()
        self.empty.set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.moved_on = self.picked_up = nobody_notes
        self._post = post

    def add(self, leg: Leg) -> None:
        """A leg begins. ValueError when one of that id runs."""
        if leg.leg_id in self.legs:
            raise ValueError(f"leg {leg.leg_id} was dialled already")
        self.legs[leg.leg_id] = leg
        self.leg_of_call[leg.sip_call_id] = leg
        self.empty.clear()

    def up(self, leg_id: str) -> Leg | None:
        """The leg, when it is answered and not about to end: there is somebody to hear."""
        leg = self.legs.get(leg_id)
        return leg if leg is not None and leg.stage is Stage.UP and leg.given_up is None else None

    def post(self, leg: Leg, event: Event) -> None:
        """Tell whoever wants to know what happens to the leg."""
        if leg.is_taken:
            self._post(leg.leg_id, event)

    def post_for(self, leg_id: str, event: Event) -> None:
        """Likewise for a leg that is forgotten already."""
        self._post(leg_id, event)

    def carry(self, wishes: list[Output]) -> None:
        """Carry out what the user agent wants."""
        if self.signalling is not None:
            self.signalling.carry(wishes)

    def send_datagram(self, data: bytes, destination: Address) -> None:
        """Send what is not SIP from SIP's socket."""
        if self.signalling is not None:
            self.signalling.send_datagram(data, destination)

    def run(self, work: Coroutine[None, None, None], leg: Leg | None = None) -> None:
        """Have work done meanwhile; a mistake in it ends the leg it is for."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self.tasks.discard(task)
            if task.cancelled() or task.exception() is None:
                return
            log.error("telephony failed at its work", exc_info=task.exception())
            if leg is not None:  # a mistake of ours must not leave a leg without an end
                reason = "telephony failed; the log says how"
                self.finish(leg, leg.last or legs.could_not_dial(leg, self.clock(), ErrorCode.INTERNAL, reason))

        task.add_done_callback(done)

    # --- agreements ------------------------------------------------------------------------------------------------

    def agreed(self, leg: Leg, answer: bytes | None) -> Negotiated:
        """What the peer's answer makes of our offer; SdpError when it is of no use."""
        if leg.offered is None:
            raise SdpError("an answer without an offer")
        if not answer:
            raise SdpError("there is none")
        return read_answer(leg.offered, sdp.parse(answer))

    def connect(self, leg: Leg, agreed: Negotiated) -> None:
        """Let the leg's sound go where it was agreed upon; SdpError when it cannot go there."""
        remote = legs.remote_media(agreed, leg.remote, symmetric=leg.trunk.symmetric_rtp)
        if leg.local is None or remote == leg.remote:
            return
        try:
            self.media.connect(leg.leg_id, remote)
        except TelephonyError as error:
            raise SdpError(str(error)) from error
        leg.remote = remote
        leg.trace.add(
            self.clock(),
            "telephony.media",
            leg_id=leg.leg_id,
            trunk=leg.trunk.name,
            codec=agreed.codec,
            local=place_text((leg.local.host, leg.local.port)),
            remote=place_text((agreed.host, agreed.port)),
            direction=agreed.direction,
            telephone_events=remote.event_payload_type is not None,
            ptime_ms=remote.ptime_ms,
            srtp=remote.srtp.suite if remote.srtp is not None else None,
        )

    def change(self, leg: Leg, offer: bytes) -> None:
        """The peer changes the session: hold, another address, or nothing but a sign of life."""
        now = self.clock()
        try:
            if offer:
                answer, agreed = leg.answer(offer)
                self.connect(leg, agreed)
            else:
                answer = leg.offer()  # the peer wants ours; its answer comes with the ACK
        except SdpError as error:
            leg.trace.add(now, "telephony.change_refused_by_us", leg_id=leg.leg_id, reason=str(error))
            self.carry(self.agent.refuse_change(now, leg.sip_call_id, NOT_ACCEPTABLE_HERE))
            return
        self.carry(self.agent.accept_change(now, leg.sip_call_id, answer))
        self.moved_on(leg)

    def change_confirmed(self, leg: Leg, answer: bytes) -> None:
        """The peer answered what we offered on its wish."""
        try:
            self.connect(leg, self.agreed(leg, answer))
        except SdpError as error:
            self.give_up(leg, NOT_ACCEPTABLE_HERE, f"the answer to our offer cannot be used: {error}")

    def moved(self, leg: Leg, port: int) -> None:
        """The media plane had to give the leg another port: its peer is told, now or as soon as the call is up."""
        if leg.local is not None:
            leg.local = replace(leg.local, port=port)
            leg.is_moved = True
            leg.trace.add(self.clock(), "rtp.moved", leg_id=leg.leg_id, port=port)
            self.tell_of_move(leg)

    def tell_of_move(self, leg: Leg) -> None:
        """Offer the leg's stream anew where it is now, if its peer does not know that yet."""
        if leg.is_moved and leg.stage is Stage.UP and leg.given_up is None:
            leg.is_moved = False
            self.carry(self.agent.change(self.clock(), leg.sip_call_id, leg.offer()))

    # --- while it is up --------------------------------------------------------------------------------------------

    def digit(self, leg: Leg, digit: str, way: KeyWay, at: float, duration_seconds: float = 0.0) -> None:
        """A key was told of; it is posted unless another way told of the same press before."""
        is_first = leg.keys.take(digit, way, at, duration_seconds)
        leg.trace.add(at, "telephony.key", leg_id=leg.leg_id, digit=digit, way=way.value, counts=is_first)
        if is_first:
            self.post(leg, events.DigitPressed(at, leg.leg_id, digit))

    def record_message(self, leg: Leg, data: bytes, peer: Address, *, sent: bool) -> None:
        """A SIP message of the leg, for its trace."""
        text = readable_text(data)
        fields: dict[str, FieldValue] = {
            "leg_id": leg.leg_id,
            "line": text.partition("\n")[0].rstrip("\r"),
            "cseq": _cseq(text),
            "peer": place_text(peer),
            "text": text,
        }
        leg.trace.add(self.clock(), "sip.sent" if sent else "sip.received", **fields)

    # --- endings ---------------------------------------------------------------------------------------------------

    def hang_up(self, leg: Leg, reason: str = NORMAL_CLEARING, status: int = 480) -> None:
        """End a leg in whatever stage it is; one that came in and rings is refused with `status`."""
        match leg.stage:
            case Stage.OFFERED:
                self.carry(self.agent.reject(self.clock(), leg.sip_call_id, status, headers=[("Reason", reason)]))
            case Stage.CALLING | Stage.ANSWERING | Stage.UP:
                self.carry(self.agent.hang_up(self.clock(), leg.sip_call_id, reason))
            case Stage.PREPARING | Stage.ENDING:
                pass  # whoever prepares it looks at `hang_up_wanted`; what ends, ends

    def give_up(self, leg: Leg, status: int, reason: str) -> None:
        """End a leg of our own accord: nobody could hear anything on it."""
        if leg.stage is Stage.ENDING or leg.given_up is not None:
            return
        leg.given_up = (status, reason)
        leg.trace.add(self.clock(), "telephony.given_up", leg_id=leg.leg_id, status=status, reason=reason)
        self.hang_up(leg, f"SIP;cause={status}", status)

    def end(self, leg: Leg, last: Event) -> None:
        """The signalling is done with: fetch the stream's figures, then post the leg's last event."""
        leg.stage, leg.last = Stage.ENDING, last
        if leg.local is None:
            self.finish(leg, last)
        else:
            self.run(self._close_media(leg, last), leg)

    async def _close_media(self, leg: Leg, last: Event) -> None:
        report: StreamReport | None = None
        try:
            report = await self.media.close(leg.leg_id)
        except TelephonyError as error:
            leg.trace.add(self.clock(), "rtp.report_missing", leg_id=leg.leg_id, reason=str(error))
        if report is not None and leg.remote is not None:
            leg.trace.add(self.clock(), "rtp.report", leg_id=leg.leg_id, **legs.report_fields(report))
        if isinstance(last, HungUp):
            last = replace(last, quality=legs.quality_of(report))
        self.finish(leg, last)

    def finish(self, leg: Leg, last: Event) -> None:
        """Post the leg's last event, once, and forget it."""
        if self.legs.pop(leg.leg_id, None) is None:
            return
        self.leg_of_call.pop(leg.sip_call_id, None)
        self.finished(leg)
        if not self.legs:
            self.empty.set()
        self.post(leg, last)

    def cut_off(self, leg: Leg) -> None:
        """Finish a leg that did not end while telephony stopped."""
        now, reason = self.clock(), "telephony stopped before the peer confirmed the end"
        if leg.last is not None:
            self.finish(leg, leg.last)
        elif leg.stage is Stage.UP:
            self.finish(leg, HungUp(now, leg.leg_id, HungUpBy.US, reason))
        else:
            self.finish(leg, NotAnswered(now, leg.leg_id, CallStatus.CANCELED, None, reason))


def _cseq(text: str) -> str:
    """The CSeq of a message, for its record."""
    found = CSEQ_LINE.search(text, 0, text.find("\r\n\r\n") + 1 or len(text))
    return found[1].rstrip() if found else ""
