"""An incoming call until it is acknowledged (RFC 3261 §13.3, CANCEL §9.2)."""

from collections.abc import Callable, Sequence

from callwright.sip.authorizer import Authorizer
from callwright.sip.call import ALLOW, SDP_TYPE, Call, CallState, RepeatedAnswer, failure
from callwright.sip.dialog import Dialog, dialog_of_server
from callwright.sip.envelope import Arrival, session_description
from callwright.sip.outputs import CallConfirmed, CallFailed, IncomingCall
from callwright.sip.responses import reason_phrase
from callwright.sip.transactions.layer import ServerTransaction, TransactionLayer


class CallIn(Call):
    """A call that somebody places to us."""

    __slots__ = ("_bye_reason", "_bye_wanted", "_confirmed", "_invite", "_offer")

    def __init__(
        self,
        layer: TransactionLayer,
        name: str,
        local_tag: str,
        forget: Callable[[Call], None],
        arrival: Arrival,
    ) -> None:
        super().__init__(layer, name, arrival.envelope.call_id, local_tag, forget, Authorizer(None, layer.token))
        self.dialog: Dialog = dialog_of_server(arrival.request, arrival.envelope, local_tag)
        self._invite = layer.accept(arrival, self)
        self._offer = session_description(arrival.request)
        self._confirmed = False
        self._bye_wanted = False
        self._bye_reason: str | None = None

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

    def ring(self, now: float, status: int, sdp: bytes | None) -> None:
        """A provisional answer."""
        if self.state is not CallState.SETUP:
            self._layer.counts["wish against the call's state"] += 1
            return
        routes = [("Record-Route", route) for route in self._invite.arrival.request.headers.all("Record-Route")]
        body = (SDP_TYPE,) if sdp else ()
        self.respond(now, self._invite, status, extra=(*routes, self._contact(), ALLOW, *body), body=sdp or b"")

    def answer(self, now: float, sdp: bytes) -> None:
        """Pick up."""
        if self.state is not CallState.SETUP:
            self._layer.counts["wish against the call's state"] += 1
            return
        self.state = CallState.RUNNING
        self.until = None
        self.local_sdp = sdp
        self._accept(now, self._invite, sdp, made_offer=self._offer is None)

    def reject(self, now: float, status: int, reason: str, headers: Sequence[tuple[str, str]]) -> None:
        """Refuse."""
        if self.state is not CallState.SETUP:
            self._layer.counts["wish against the call's state"] += 1
            return
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
            self.respond(now, transaction, 487)
            self.finish(now, CallFailed(self.name, 487, "cancelled by the caller", locally_generated=False))

    def peer_hung_up(self, now: float, transaction: ServerTransaction, dialog: Dialog) -> None:
        """A BYE; the caller may send one before the answer too, instead of CANCEL (RFC 3261 §15)."""
        super().peer_hung_up(now, transaction, dialog)
        if self.state is CallState.SETUP:
            self.respond(now, self._invite, 487)
            self.finish(now, CallFailed(self.name, 487, "hung up by the caller", locally_generated=False))

    def took_too_long(self, now: float) -> None:
        """Nobody here said anything."""
        self.reject(now, 480, reason_phrase(480), ())
