"""An outgoing call until it is answered (RFC 3261 §13.2, CANCEL §9.1, forks §13.2.2.4, digest §22).

Every fork that answers with a To tag has an early dialog of its own; the first 200 becomes the call, later ones are
acknowledged and hung up. A 200 that crosses our CANCEL is acknowledged and hung up too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callwright.sip.address import NameAddr, SipUri
from callwright.sip.authorizer import Authorizer
from callwright.sip.call import (
    ALLOW,
    INTERVAL_TOO_SMALL,
    SDP_TYPE,
    SUPPORTED,
    Call,
    CallState,
    failure,
    proofs,
    sequence_of,
)
from callwright.sip.dialog import MAX_FORWARDS, Dialog, dialog_of_client
from callwright.sip.envelope import Envelope, session_description
from callwright.sip.memo import Memo, branch_of, memo_of_dialog, memo_of_invite
from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import (
    Address,
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProceeding,
    CallRinging,
    Transmit,
    UnwantedAnswer,
)
from callwright.sip.reliable import rseq_of
from callwright.sip.session_timer import least_seconds, read_session_expires, request_headers, timer_of_answer
from callwright.sip.transactions.layer import ClientTransaction, ServerTransaction, TransactionLayer, cancel_for


@dataclass(slots=True)
class Fork:
    """A phone that rings for this call."""

    dialog: Dialog
    status: int = 0
    sdp: bytes | None = None
    rseq: int | None = None
    "of the last reliable provisional answer"


class CallOut(Call):
    """A call that we place."""

    __slots__ = (
        "_acks",
        "_cancel_reason",
        "_cancel_wanted",
        "_cancelled",
        "_forks",
        "_heard",
        "_held",
        "_invite",
        "_next_hop",
        "_proceeding",
        "_too_late",
        "_wanted_bye",
    )

    def __init__(
        self,
        layer: TransactionLayer,
        call_id: str,
        local_tag: str,
        forget: Callable[[Call], None],
        authorizer: Authorizer,
    ) -> None:
        super().__init__(layer, call_id, call_id, local_tag, forget, authorizer)
        self._invite: ClientTransaction | None = None
        self._next_hop: Address = ("", 0)
        self._forks: dict[str, Fork] = {}
        self._acks: dict[str, tuple[bytes, Address]] = {}
        self._heard = False  # a 1xx came, so a CANCEL may be sent
        self._proceeding = False
        self._cancel_wanted = False
        self._cancelled = False
        self._cancel_reason: str | None = None
        self._too_late = False  # a 200 crossed our CANCEL
        self._held: tuple[ClientTransaction, Dialog] | None = None  # the 200 whose ACK waits for `release_ack`
        self._wanted_bye: tuple[str | None, str] | None = None  # reasons of the BYE that waits for that ACK

    def invite(
        self,
        now: float,
        target: SipUri,
        next_hop: Address,
        from_: NameAddr,
        to: NameAddr,
        offer: bytes,
        extra_headers: Sequence[tuple[str, str]],
    ) -> None:
        """Send the INVITE."""
        self._next_hop = next_hop
        self.local_sdp = offer
        self.until = now + self._layer.profile.longest_setup_seconds
        headers = Headers(
            [
                ("Max-Forwards", MAX_FORWARDS),
                ("From", str(from_.with_tag(self.local_tag))),
                ("To", str(to)),
                ("Call-ID", self.call_id),
                ("CSeq", "1 INVITE"),
                ("Contact", self._layer.contact(next_hop)),
                ALLOW,
                SUPPORTED,
                *request_headers(self._layer.profile.session_seconds, 0),
                ("Accept", "application/sdp"),
                ("User-Agent", self._layer.profile.name),
                *extra_headers,
                SDP_TYPE,
            ]
        )
        request = Request("INVITE", str(target), headers, offer)
        self._invite = self._layer.request(now, request, next_hop, self, branch=branch_of(self.local_tag, 1))
        self._layer.schedule.note(self)

    def memo(self) -> Memo | None:
        """What ends this call without us; None when it is over."""
        if self._invite is None or self.state is CallState.OVER:
            return None
        number = sequence_of(self._invite.request)
        if self.dialog is not None:
            return memo_of_dialog(self.dialog, invite=number, inbound=False, answered=True)
        return memo_of_invite(self._invite.request, self._invite.destination)

    def dialog_with(self, tag: str) -> Dialog | None:
        """The confirmed or early dialog with the peer of that tag."""
        if self.dialog is not None:
            return self.dialog if self.dialog.remote_tag == tag else None
        fork = self._forks.get(tag)
        return fork.dialog if fork else None

    def hang_up(self, now: float, reason: str | None) -> None:
        """CANCEL before the answer, BYE after it."""
        if self.state is CallState.RUNNING:
            self.send_bye(now, reason, "")
        elif self.state is CallState.SETUP and not self._cancel_wanted:
            self._cancel_wanted = True
            self._cancel_reason = reason
            # "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client
            # MUST wait for the arrival of a provisional response before sending the request."
            if self._heard:
                self._cancel(now)

    def _cancel(self, now: float) -> None:
        if self._invite is None or self._cancelled:
            return
        self._cancelled = True
        # "If there is no final response for the original request in 64*T1 seconds [...], the client SHOULD then
        # consider the original transaction cancelled and SHOULD destroy the client transaction handling the original
        # request."
        self._layer.limit(now, self._invite)
        request = cancel_for(self._invite.request, self._cancel_reason)
        via = self._invite.request.headers.get("Via")
        self._layer.request(now, request, self._invite.destination, self, via=via)

    def took_too_long(self, now: float) -> None:
        """Neither answer nor refusal within the set-up limit."""
        self.hang_up(now, None)

    def responded(self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope) -> None:
        """A response to one of our requests."""
        if transaction.request.method == "CANCEL":
            return  # the INVITE's own final response is what counts
        if transaction is self._invite:
            match response.status // 100:
                case 1:
                    self._rings(now, response, envelope)
                case 2:
                    self._accepted(now, transaction, response, envelope)
                case _:
                    self._refused(now, transaction, response, envelope)
        else:
            super().responded(now, transaction, response, envelope)

    def failed(self, now: float, transaction: ClientTransaction, status: int, reason: str) -> None:
        """One of our requests will get no response."""
        if transaction is self._invite and self.state is CallState.SETUP:
            if self._cancel_wanted:
                self.finish(now, failure(self.name, 487, "no answer to CANCEL" if self._cancelled else ""))
            else:
                self.finish(now, failure(self.name, status, reason))
        else:
            super().failed(now, transaction, status, reason)

    def offers_first(self) -> bool:
        """Until the 200 comes, our offer has no answer."""
        return self.state is CallState.SETUP

    def peer_hung_up(self, now: float, transaction: ServerTransaction, dialog: Dialog) -> None:
        """A BYE before the 200 means that the 200 got lost: take the whole call back."""
        super().peer_hung_up(now, transaction, dialog)
        if self.state is CallState.SETUP:
            self.hang_up(now, None)

    def _rings(self, now: float, response: Response, envelope: Envelope) -> None:
        self._heard = True
        if self.state is not CallState.SETUP:
            return
        if self._cancel_wanted:
            self._cancel(now)
            if rseq_of(response) is None:
                return  # a reliable answer is acknowledged all the same, or the peer would repeat it
        elif not self._proceeding:
            self._proceeding = True
            self._layer.out.append(CallProceeding(self.name))
        if response.status == 100:
            return
        tag = envelope.to_tag
        fork = self._forks.get(tag)
        if fork is None:
            if self._invite is None or len(self._forks) >= self._layer.profile.most_forks:
                self._layer.counts["fork beyond the limit"] += 1
                return
            fork = Fork(dialog_of_client(self._invite.request, response, envelope, self._next_hop))
            self._forks[tag] = fork
        if not self._acknowledge_provisional(now, fork, response) or self._cancel_wanted:
            return
        sdp = session_description(response)
        if response.status != fork.status or (sdp is not None and sdp != fork.sdp):
            fork.status = response.status
            fork.sdp = sdp or fork.sdp
            self._layer.out.append(CallRinging(self.name, response.status, response.reason, sdp))

    def _acknowledge_provisional(self, now: float, fork: Fork, response: Response) -> bool:
        """PRACK a reliable provisional answer; False when it is a repetition or comes out of order (RFC 3262 §4)."""
        rseq = rseq_of(response)
        if rseq is None:
            return True
        if fork.rseq is not None and rseq != fork.rseq + 1:
            # "the UAC MUST NOT acknowledge the response with a PRACK, and MUST NOT process the response further".
            self._layer.counts["provisional answer out of order"] += 1
            return False
        fork.rseq = rseq
        rack = ("RAck", f"{rseq} {response.headers.get('CSeq') or ''}")
        fork.dialog.refresh(response)
        self._layer.request(now, fork.dialog.request("PRACK", extra=self._extra(rack)), fork.dialog.destination, self)
        return True

    def _accepted(self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope) -> None:
        tag = envelope.to_tag
        if tag in self._acks:
            # "the ACK [...] is passed to the client transport every time a 2xx retransmission arrives"
            self._layer.out.append(Transmit(*self._acks[tag], self.name))
            return
        # "the route set MUST be recomputed based on the 2xx"; what the peer sent in the early dialog still counts.
        dialog = dialog_of_client(transaction.request, response, envelope, self._next_hop)
        fork = self._forks.get(tag)
        if fork is not None:
            dialog.remote_sequence = fork.dialog.remote_sequence
            dialog.local_sequence = fork.dialog.local_sequence  # PRACKs took numbers
        if self._held is not None and envelope.to_tag == self._held[1].remote_tag:
            return  # said again, because its ACK is still held back
        if self.state is CallState.SETUP and not self._cancel_wanted:
            if self._layer.profile.hold_acks:
                self._held = (transaction, dialog)
            else:
                self._acknowledge(transaction, dialog)
            self.dialog = dialog
            self.state = CallState.RUNNING
            self.until = None
            self.peer_allows_update = "UPDATE" in (response.headers.get("Allow") or "").upper()
            self.follow(timer_of_answer(now, response))
            # Some gateways answer in the 18x and leave the 200 empty.
            sdp = session_description(response) or (fork.sdp if fork else None) or b""
            self._forks.clear()
            self._layer.out.append(CallAnswered(self.name, sdp))
            return
        # Too late: "the UAC core [...] may need to terminate dialogs with a BYE".
        if self.state is CallState.SETUP:  # it is over when the BYE was heard: until then a phone is up
            self._too_late, self.dialog, self.state = True, dialog, CallState.RUNNING
            if self._layer.profile.hold_acks:
                self._held = (transaction, dialog)
            else:
                self._acknowledge(transaction, dialog)
            self.send_bye(now, self._cancel_reason, "")
        else:
            self._acknowledge(transaction, dialog)
            bye = dialog.request("BYE", extra=(("User-Agent", self._layer.profile.name),))
            self._layer.request(now, bye, dialog.destination, self)

    def _invite_for_longer(
        self, now: float, transaction: ClientTransaction, response: Response
    ) -> ClientTransaction | None:
        """The INVITE again with the interval that the peer wants at least (RFC 4028 §7.3); None when it was tried."""
        old = transaction.request
        least = least_seconds(response.headers)
        asked = read_session_expires(old.headers)
        if asked is None or least <= asked.seconds:
            return None
        request = Request(old.method, old.uri, old.headers.copy(), old.body)
        request.headers.remove("Via")
        request.headers.set("CSeq", f"{sequence_of(old) + 1} {old.method}")
        for header in request_headers(least, least):
            request.headers.set(*header)
        branch = branch_of(self.local_tag, sequence_of(request))
        return self._layer.request(now, request, transaction.destination, self, branch=branch)

    def finish(self, now: float, news: CallEnded | CallFailed) -> None:
        """A call that was answered too late was answered to nobody above."""
        super().finish(now, failure(self.name, 487) if self._too_late else news)

    def release_ack(self, now: float) -> None:
        """The ACK that was held back may leave, and the BYE that waits for it."""
        if self._held is None:
            return
        held, self._held = self._held, None
        self._acknowledge(*held)
        if self._wanted_bye is not None:
            super().send_bye(now, *self._wanted_bye)

    def send_bye(self, now: float, reason: str | None, end_reason: str) -> None:
        """BYE, after an ACK that is held back: whoever comes after us could not name the dialog without the memo."""
        if self._held is None:
            super().send_bye(now, reason, end_reason)
        elif self._wanted_bye is None:
            self._wanted_bye = (reason, end_reason)
            self._layer.out.append(UnwantedAnswer(self.name))

    def _acknowledge(self, transaction: ClientTransaction, dialog: Dialog) -> None:
        if len(self._acks) >= 2 * self._layer.profile.most_forks:
            self._acks.pop(next(iter(self._acks)))  # a peer that invents tags without end gets no memory for them
        request = transaction.request
        ack = dialog.request("ACK", sequence=sequence_of(request), extra=proofs(request))
        data = self._layer.send_once(ack, dialog.destination, self.name)
        self._acks[dialog.remote_tag] = (data, dialog.destination)

    def _refused(self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope) -> None:
        if self.state is not CallState.SETUP:
            return
        if not self._cancel_wanted:
            again = self._authorized(now, transaction, response, envelope)
            if again is None and response.status == INTERVAL_TOO_SMALL:
                again = self._invite_for_longer(now, transaction, response)
            if again is not None:
                self._invite = again
                self._heard = False
                self._forks.clear()
                return
        reason = response.reason
        self.finish(
            now, CallFailed(self.name, response.status, reason, locally_generated=False, headers=response.headers)
        )
