"""An incoming call until it is acknowledged (RFC 3261 §13.3, CANCEL §9.2)."""

from collections.abc import Callable, Sequence

from callwright.sip.authorizer import Authorizer
from callwright.sip.call import ALLOW, SDP_TYPE, Call, CallState, RepeatedAnswer, failure
from callwright.sip.dialog import Dialog, dialog_of_server
from callwright.sip.envelope import Arrival, session_description
from callwright.sip.memo import Memo, memo_of_dialog
from callwright.sip.outputs import CallConfirmed, CallFailed, ChangeOffered, IncomingCall, Transmit
from callwright.sip.reliable import OPTION_TAG, RAck, RepeatedRinging, read_rack, wants_reliable
from callwright.sip.responses import reason_phrase
from callwright.sip.transactions.layer import ServerTransaction, TransactionLayer

MOST_RUNG = 8
"""Provisional answers that may wait for the PRACK of the one before."""


class CallIn(Call):
    """A call that somebody places to us."""

    __slots__ = (
        "_answer_wanted",
        "_bye_reason",
        "_bye_wanted",
        "_confirmed",
        "_invite",
        "_offer",
        "_ringing",
        "_rseq",
        "_rung",
    )

    def __init__(
        self,
        layer: TransactionLayer,
        name: str,
        local_tag: str,
        forget: Callable[[Call], None],
        arrival: Arrival,
        rseq: int,
    ) -> None:
        """`rseq` is the number before that of the first reliable provisional answer."""
        super().__init__(layer, name, arrival.envelope.call_id, local_tag, forget, Authorizer(None, layer.token))
        self.dialog: Dialog = dialog_of_server(arrival.request, arrival.envelope, local_tag)
        self._invite = layer.accept(arrival, self)
        self._offer = session_description(arrival.request)
        self._confirmed = False
        self._bye_wanted = False
        self._bye_reason: str | None = None
        self._ringing: RepeatedRinging | None = None  # the reliable provisional answer that waits for its PRACK
        self._rung: list[tuple[int, bytes | None]] = []  # provisional answers that wait behind it
        self._answer_wanted: bytes | None = None  # likewise the 200
        self._rseq = rseq
        self.peer_allows_update = "UPDATE" in (arrival.request.headers.get("Allow") or "").upper()

    def arrive(self, now: float) -> None:
        """Tell of the call, and the caller that we have it."""
        self.until = now + self._layer.profile.longest_setup_seconds
        self._layer.schedule.note(self)
        # A 100 at once, not after 200 ms: it stops the caller's repetitions whatever our user does.
        self.respond(now, self._invite, 100)
        arrival = self._invite.arrival
        self._layer.out.append(IncomingCall(self.name, arrival.request, arrival.envelope.source, self._offer))

    def dialog_with(self, tag: str) -> Dialog | None:
        """The dialog, when the tag is the caller's."""
        return self.dialog if self.dialog.remote_tag == tag else None

    def memo(self) -> Memo | None:
        """What ends this call without us; None when it is over."""
        if self.state is CallState.OVER:
            return None
        arrival = self._invite.arrival
        hops = arrival.request.headers.all("Via")
        number = arrival.envelope.cseq.number
        return memo_of_dialog(self.dialog, invite=number, inbound=True, hops=hops, answered=self._confirmed)

    def ring(self, now: float, status: int, sdp: bytes | None) -> None:
        """A provisional answer."""
        if self.state is not CallState.SETUP:
            self._layer.counts["wish against the call's state"] += 1
            return
        if self._ringing is not None:
            # "the UAS MUST NOT send a second reliable provisional response until the first is acknowledged".
            if len(self._rung) < MOST_RUNG:
                self._rung.append((status, sdp))
            return
        request = self._invite.arrival.request
        headers = [("Record-Route", route) for route in request.headers.all("Record-Route")]
        headers += [self._contact(), ALLOW, *([SDP_TYPE] if sdp else [])]
        if not wants_reliable(request, has_sdp=bool(sdp)):
            self.respond(now, self._invite, status, extra=headers, body=sdp or b"")
            return
        self._rseq += 1
        headers += [("Require", OPTION_TAG), ("RSeq", str(self._rseq))]
        self.respond(now, self._invite, status, extra=headers, body=sdp or b"")
        timers = self._layer.profile.timers
        self._ringing = RepeatedRinging(now, timers, self._rseq, self._invite.data, has_sdp=bool(sdp))
        self._layer.schedule.note(self)

    @property
    def deadline(self) -> float | None:
        """The earliest of what this call itself waits for."""
        waits = [super().deadline]
        if self._ringing is not None:
            waits += [self._ringing.repeat_at, self._ringing.ends_at]
        return min((at for at in waits if at is not None), default=None)

    def tick(self, now: float) -> None:
        """Let what is due happen."""
        ringing = self._ringing
        if ringing is not None and now >= ringing.ends_at:
            # "If a reliable provisional response is retransmitted for 64*T1 seconds without reception of a
            # corresponding PRACK, the UAS SHOULD reject the original request with a 5xx response."
            self._ringing = None
            if self.state is CallState.SETUP:
                self.reject(now, 504, "no PRACK", ())
        elif ringing is not None and now >= ringing.repeat_at:
            ringing.repeated(now)
            self._layer.out.append(Transmit(ringing.data, self._invite.destination, self.name))
        super().tick(now)

    def provisionally_acknowledged(self, now: float, transaction: ServerTransaction) -> None:
        """A PRACK: the caller has our provisional answer; what waited behind it follows."""
        rack = read_rack(transaction.arrival.request)
        ringing = self._ringing
        number = self._invite.arrival.envelope.cseq.number
        if ringing is None or rack != RAck(ringing.rseq, number, "INVITE"):
            self.respond(now, transaction, 481)
            return
        self._ringing = None
        offer = session_description(transaction.arrival.request)
        if offer is None or self._offer is None:
            self.respond(now, transaction, 200)
            self._go_on(now)
        elif ringing.has_sdp:
            # RFC 3262 §5: "If the UAC receives a reliable provisional response with an answer, it MAY generate an
            # additional offer in the PRACK. If the UAS receives a PRACK with an offer, it MUST place the answer in the
            # 2xx to the PRACK."
            self._offered = transaction
            self._layer.out.append(ChangeOffered(self.name, offer))
        else:
            self.respond(now, transaction, 491, "the offer before has no answer yet")
            self._go_on(now)

    def accept_change(self, now: float, sdp: bytes) -> None:
        """Answer the peer's offer, also one that came with a PRACK."""
        transaction = self._offered
        if transaction is None or transaction.arrival.method != "PRACK":
            super().accept_change(now, sdp)
            return
        self._offered, self.local_sdp = None, sdp
        self.respond(now, transaction, 200, extra=(SDP_TYPE,), body=sdp)
        self._go_on(now)

    def refuse_change(self, now: float, status: int, reason: str) -> None:
        """Refuse the peer's offer; the session stays as it was."""
        super().refuse_change(now, status, reason)
        if self.state is CallState.SETUP:
            self._go_on(now)

    def _go_on(self, now: float) -> None:
        """Send what waited for the PRACK."""
        waiting, self._rung = self._rung, []
        for status, sdp in waiting:  # the first that is reliable keeps the others waiting
            self.ring(now, status, sdp)
        self._answer_now(now)

    def _answer_now(self, now: float) -> None:
        """Send the 200 that is wanted, unless a description of ours is still on its way to the caller."""
        sdp = self._answer_wanted
        if sdp is None or self.state is not CallState.SETUP or self._offered is not None:
            return
        if self._ringing is not None and self._ringing.has_sdp:
            return
        # "the UAS MUST NOT send the 2xx until the provisional response is acknowledged" holds for descriptions only.
        self._ringing = None
        self._rung.clear()
        self.state = CallState.RUNNING
        self.until = None
        self.local_sdp = sdp
        self._accept(now, self._invite, sdp, made_offer=self._offer is None)

    def answer(self, now: float, sdp: bytes) -> None:
        """Pick up."""
        if self.state is not CallState.SETUP or self._answer_wanted is not None:
            self._layer.counts["wish against the call's state"] += 1
            return
        self._answer_wanted = sdp
        self._answer_now(now)

    def reject(self, now: float, status: int, reason: str, headers: Sequence[tuple[str, str]]) -> None:
        """Refuse."""
        if self.state is not CallState.SETUP:
            self._layer.counts["wish against the call's state"] += 1
            return
        self._ringing = None
        self.respond(now, self._invite, status, reason, headers)
        self.finish(now, failure(self.name, status, reason))

    def hang_up(self, now: float, reason: str | None) -> None:
        """Refuse before the answer; BYE after it, once the caller has acknowledged it."""
        if self.state is CallState.SETUP:
            self.reject(now, 603, "", (("Reason", reason),) if reason else ())
        elif self.state is CallState.RUNNING and (self._confirmed or self._answer is None):
            self.send_bye(now, reason, "")
        elif self.state is CallState.RUNNING and not self._bye_wanted:
            # "The callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx
            # response or until the server transaction times out."
            self._bye_wanted = True
            self._bye_reason = reason

    def ends_already(self) -> bool:
        """We hung up, and wait for the ACK to say BYE."""
        return self._bye_wanted

    def confirmed(self, now: float, answer: RepeatedAnswer, sdp: bytes | None) -> None:
        """The caller has our 2xx."""
        if answer.transaction is not self._invite:
            super().confirmed(now, answer, sdp)
            return
        self._confirmed = True
        if self._bye_wanted:
            self.send_bye(now, self._bye_reason, "")
        else:
            self._layer.out.append(CallConfirmed(self.name, sdp))

    def cancelled(self, now: float, transaction: ServerTransaction) -> None:
        """The caller takes its INVITE back; too late once it is answered (RFC 3261 §9.2)."""
        if transaction is not self._invite:
            super().cancelled(now, transaction)
        elif self.state is CallState.SETUP:
            self._ringing = None
            self.respond(now, transaction, 487)
            self.finish(now, CallFailed(self.name, 487, "cancelled by the caller", locally_generated=False))

    def peer_hung_up(self, now: float, transaction: ServerTransaction, dialog: Dialog) -> None:
        """A BYE; the caller may send one before the answer too, instead of CANCEL (RFC 3261 §15)."""
        super().peer_hung_up(now, transaction, dialog)
        if self.state is CallState.SETUP:
            self._ringing = None
            self.respond(now, self._invite, 487)
            self.finish(now, CallFailed(self.name, 487, "hung up by the caller", locally_generated=False))

    def took_too_long(self, now: float) -> None:
        """Nobody here said anything."""
        self.reject(now, 480, reason_phrase(480), ())
