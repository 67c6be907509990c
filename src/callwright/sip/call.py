"""What outgoing and incoming calls have in common once there is a dialog: BYE, re-INVITE, UPDATE, INFO, OPTIONS.

RFC 3261 §12.2 (requests inside a dialog), §13.3.1.4 (2xx until the ACK), §14 (re-INVITE), §15 (BYE); RFC 3311 (UPDATE).
`call_out.py` and `call_in.py` add how a call comes about.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum, auto

from callwright.errors import SipSyntaxError
from callwright.sip.authorizer import Authorizer
from callwright.sip.dialog import Dialog
from callwright.sip.envelope import Arrival, Envelope, session_description
from callwright.sip.info import DIGIT_TYPES, parse_digit
from callwright.sip.memo import branch_of
from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import (
    Address,
    CallEnded,
    CallFailed,
    ChangeConfirmed,
    ChangeOffered,
    ChangeRefused,
    DigitByInfo,
    Transmit,
)
from callwright.sip.profile import EXTENSIONS, METHODS
from callwright.sip.responses import reason_phrase, response_to
from callwright.sip.schedule import Entry
from callwright.sip.session_timer import (
    LEAST_SECONDS,
    SessionTimer,
    answer_request,
    is_too_brief,
    least_seconds,
    request_headers,
    timer_of_answer,
)
from callwright.sip.transactions.layer import ClientTransaction, ServerTransaction, TransactionLayer
from callwright.sip.transactions.timers import Timers
from callwright.sip.validation import Refusal, refusal

ALLOW = ("Allow", ", ".join(METHODS))
SUPPORTED = ("Supported", ", ".join(EXTENSIONS))
SDP_TYPE = ("Content-Type", "application/sdp")
GONE = (408, 481)
"""Answers to a request inside a dialog that say the peer no longer has it (RFC 3261 §12.2.1.2)."""

INTERVAL_TOO_SMALL = 422
TOO_BRIEF = Refusal(INTERVAL_TOO_SMALL, "Session Interval Too Small", (("Min-SE", str(LEAST_SECONDS)),))


class CallState(Enum):
    """How far a call is."""

    SETUP = auto()
    RUNNING = auto()
    ENDING = auto()
    "our BYE is on its way"
    OVER = auto()


class RepeatedAnswer:
    """A 2xx to an INVITE, repeated until its ACK comes, on every transport (RFC 3261 §13.3.1.4)."""

    __slots__ = ("_interval", "_timers", "ends_at", "made_offer", "number", "repeat_at", "transaction")

    def __init__(self, now: float, timers: Timers, transaction: ServerTransaction, *, made_offer: bool) -> None:
        self._timers = timers
        self._interval = timers.t1
        self.repeat_at = now + self._interval
        self.ends_at = now + timers.give_up
        self.transaction = transaction
        self.number = transaction.arrival.envelope.cseq.number
        self.made_offer = made_offer  # our SDP was the offer, so the ACK brings the answer

    def repeated(self, now: float) -> None:
        """It was sent again."""
        # "an interval that starts at T1 seconds and doubles for each retransmission until it reaches T2 seconds"
        self._interval = min(self._interval * 2, self._timers.t2)
        self.repeat_at = now + self._interval


class Call:
    """One call. It sends through the transaction layer and tells its news there."""

    __slots__ = (
        "_answer",
        "_bye",
        "_change",
        "_change_sdp",
        "_end_reason",
        "_forget",
        "_layer",
        "_offered",
        "_probe_until",
        "_update",
        "authorizer",
        "call_id",
        "dialog",
        "local_sdp",
        "local_tag",
        "name",
        "peer_allows_update",
        "scheduled",
        "state",
        "timer",
        "until",
    )

    def __init__(
        self,
        layer: TransactionLayer,
        name: str,
        call_id: str,
        local_tag: str,
        forget: Callable[["Call"], None],
        authorizer: Authorizer,
    ) -> None:
        self._layer = layer
        self._forget = forget
        self.name = name
        self.call_id = call_id
        self.local_tag = local_tag
        self.authorizer = authorizer
        self.state = CallState.SETUP
        self.dialog: Dialog | None = None
        self.local_sdp = b""
        self.until: float | None = None  # when the set-up, or our word on a change, has taken too long
        self.scheduled: Entry | None = None
        self._answer: RepeatedAnswer | None = None
        self._offered: ServerTransaction | None = None  # the peer's re-INVITE or UPDATE that waits for our word
        self._change: ClientTransaction | None = None  # our re-INVITE that waits for the peer's
        self._change_sdp = b""
        self._bye: ClientTransaction | None = None
        self._update: ClientTransaction | None = None  # our refresh of the session
        self._probe_until: float | None = None  # when a peer that was asked for a sign of life counts as gone
        self.timer: SessionTimer | None = None
        self.peer_allows_update = False
        self._end_reason = ""

    # For the schedule

    @property
    def deadline(self) -> float | None:
        """The earliest of what this call itself waits for."""
        waits = [at for at in (self.until, self._probe_until) if at is not None]
        if self._answer is not None:
            waits += (self._answer.repeat_at, self._answer.ends_at)
        if self.timer is not None and self.state is CallState.RUNNING:
            waits.append(self.timer.deadline)
        return min(waits) if waits else None

    def tick(self, now: float) -> None:
        """Let what is due happen."""
        answer = self._answer
        if answer is not None and now >= answer.ends_at:
            # "If the server retransmits the 2xx response for 64*T1 seconds without receiving an ACK, the dialog is
            # confirmed, but the session SHOULD be terminated. This is accomplished with a BYE".
            self._answer = None
            if self.state is CallState.RUNNING:
                self.send_bye(now, None, "the answer was never acknowledged")
        elif answer is not None and now >= answer.repeat_at:
            answer.repeated(now)
            transaction = answer.transaction
            self._layer.out.append(Transmit(transaction.data, transaction.destination, self.name))
        if self._probe_until is not None and now >= self._probe_until:
            self._probe_until = None
            reason = "the peer is gone: neither sound nor signalling"
            self.send_bye(now, 'SIP;cause=408;text="no sign of life"', reason)
            # Nobody waits another 64*T1 for the answer of somebody who is gone; the BYE is repeated all the same.
            self.finish(now, CallEnded(self.name, by_peer=False, reason=reason))
        if self.timer is not None and self.state is CallState.RUNNING and now >= self.timer.deadline:
            self._session_due(now, self.timer)
        if self.until is not None and now >= self.until:
            self.until = None
            if self.state is CallState.SETUP:
                self.took_too_long(now)
            else:
                self.refuse_change(now, 488, "nobody here decided")

    @property
    def peer_address(self) -> Address:
        """Where the call runs: what our Contact must suit."""
        return ("", 0) if self.dialog is None else self.dialog.fallback

    @abstractmethod
    def took_too_long(self, now: float) -> None:
        """`until` has passed before the answer."""

    @abstractmethod
    def dialog_with(self, tag: str) -> Dialog | None:
        """The confirmed or early dialog with the peer of that tag."""

    @abstractmethod
    def hang_up(self, now: float, reason: str | None) -> None:
        """End the call in whatever state it is."""

    # Requests of ours

    def send_bye(self, now: float, reason: str | None, end_reason: str) -> None:
        """Say BYE; `CallEnded` follows when it was answered."""
        if self.dialog is None or self.state is not CallState.RUNNING:
            return
        self._settle(now)
        request = self.dialog.request("BYE", extra=self._extra(("Reason", reason) if reason else None))
        self._bye = self._layer.request(now, request, self.dialog.destination, self)
        self.state = CallState.ENDING
        self.until = self._probe_until = None
        self._end_reason = end_reason

    def change(self, now: float, sdp: bytes) -> None:
        """Offer another session."""
        if self.dialog is None or self.state is not CallState.RUNNING:
            self._layer.counts["wish against the call's state"] += 1
        elif self._change is not None or self._offered is not None or self._answer is not None:
            self._layer.out.append(ChangeRefused(self.name, 491, "another change is under way"))
        else:
            self._change_sdp = sdp
            extra = self._extra(self._contact(), ALLOW, SUPPORTED, *self._refresh_headers(), SDP_TYPE)
            request = self.dialog.request("INVITE", extra=extra, body=sdp)
            self._change = self._layer.request(now, request, self.dialog.destination, self)

    def send_info(self, now: float, content_type: str, body: bytes) -> None:
        """Tell the peer something about the call (RFC 6086 without packages)."""
        if self.dialog is None or self.state is not CallState.RUNNING:
            self._layer.counts["wish against the call's state"] += 1
            return
        request = self.dialog.request("INFO", extra=self._extra(("Content-Type", content_type)), body=body)
        self._layer.request(now, request, self.dialog.destination, self)

    def probe(self, now: float, limit_seconds: float) -> None:
        """Ask the peer of a running call for a sign of life (OPTIONS); without one in time it is over, with BYE."""
        if self.dialog is None or self.state is not CallState.RUNNING or self._probe_until is not None:
            return
        self._probe_until = now + limit_seconds
        self._layer.request(now, self.dialog.request("OPTIONS", extra=self._extra()), self.dialog.destination, self)
        self._layer.schedule.note(self)

    # The session's own time (RFC 4028)

    def follow(self, timer: SessionTimer | None) -> None:
        """Begin or refresh the session's time, as both sides agreed; None changes nothing."""
        if timer is not None:
            self.timer = timer
            self._layer.schedule.note(self)

    def _session_due(self, now: float, timer: SessionTimer) -> None:
        if timer.is_over(now):
            self.timer = None
            self.send_bye(now, 'SIP;cause=408;text="session expired"', "nobody refreshed the session in time")
        elif self._change is not None or self._offered is not None or self._answer is not None or self.dialog is None:
            timer.again(now)
        elif self.peer_allows_update:
            timer.refreshing()
            extra = self._extra(self._contact(), SUPPORTED, *self._refresh_headers())
            request = self.dialog.request("UPDATE", extra=extra)
            self._update = self._layer.request(now, request, self.dialog.destination, self)
        else:
            timer.refreshing()
            self.change(now, self.local_sdp)

    def _refresh_headers(self) -> list[tuple[str, str]]:
        if self.timer is None:
            return []
        return request_headers(self.timer.seconds, self.timer.seconds, "uac" if self.timer.we_refresh else "uas")

    def _refresh_failed(self, now: float, status: int, headers: Headers) -> None:
        if status in GONE:
            self.send_bye(now, None, f"the peer lost the call: {status}")
        elif self.timer is not None:
            if status == INTERVAL_TOO_SMALL:
                self.timer.seconds = max(self.timer.seconds, least_seconds(headers))
            self.timer.again(now)
            self._layer.schedule.note(self)

    def _update_responded(
        self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope
    ) -> None:
        again = self._authorized(now, transaction, response, envelope)
        if again is not None:
            self._update = again
        elif response.status < 300:
            self._update = None
            if self.dialog is not None:
                self.dialog.refresh(response)
            self.follow(timer_of_answer(now, response))
        else:
            self._update = None
            self._refresh_failed(now, response.status, response.headers)

    def responded(self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope) -> None:
        """A response to one of our requests inside the dialog."""
        if response.status < 200:
            return
        if response.status not in GONE:
            self._probe_until = None
        if transaction is self._bye:
            again = self._authorized(now, transaction, response, envelope)
            if again is not None:
                self._bye = again
            elif self.state is CallState.ENDING:
                self.finish(now, CallEnded(self.name, by_peer=False, reason=self._end_reason))
        elif transaction.request.method == "INVITE":
            self._change_responded(now, transaction, response, envelope)
        elif transaction is self._update:
            self._update_responded(now, transaction, response, envelope)
        elif transaction.request.method == "PRACK":
            self._authorized(now, transaction, response, envelope)
        elif transaction.request.method in ("INFO", "OPTIONS"):
            self._info_responded(now, transaction, response, envelope)

    def failed(self, now: float, transaction: ClientTransaction, status: int, reason: str) -> None:
        """One of our requests inside the dialog will get no response."""
        if transaction is self._bye and self.state is CallState.ENDING:
            self.finish(now, CallEnded(self.name, by_peer=False, reason=self._end_reason or f"BYE: {reason}"))
        elif transaction is self._change:
            self._change_failed(now, status, reason)
        elif transaction is self._update:
            self._update = None
            self._refresh_failed(now, status, Headers())
        elif transaction.request.method in ("INFO", "OPTIONS") and status in GONE:
            self.send_bye(now, None, f"the peer lost the call: {status}")

    def _info_responded(
        self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope
    ) -> None:
        """What became of an INFO is nobody's news, unless it says that the call is gone (RFC 3261 §12.2.1.2)."""
        again = self._authorized(now, transaction, response, envelope)
        if again is None and response.status in GONE:
            self.send_bye(now, None, f"the peer lost the call: {response.status}")

    def _change_responded(
        self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope
    ) -> None:
        if response.status < 300:
            self.acknowledge_change(transaction)
            if transaction is self._change and self.dialog is not None:
                self._change = None
                self.dialog.refresh(response)
                self.follow(timer_of_answer(now, response))
                self.local_sdp = self._change_sdp
                self._layer.out.append(ChangeConfirmed(self.name, session_description(response) or b""))
        elif transaction is self._change:
            again = self._authorized(now, transaction, response, envelope)
            if again is not None:
                self._change = again
            else:
                if response.status == INTERVAL_TOO_SMALL and self.timer is not None:
                    self.timer.seconds = max(self.timer.seconds, least_seconds(response.headers))
                self._change_failed(now, response.status, response.reason)

    def _change_failed(self, now: float, status: int, reason: str) -> None:
        self._change = None
        self._layer.out.append(ChangeRefused(self.name, status, reason))
        if status in GONE:
            self.send_bye(now, None, f"the peer lost the call: {status}")
        elif self.timer is not None and self.timer.we_refresh:
            self.timer.again(now)
            self._layer.schedule.note(self)

    def acknowledge_change(self, transaction: ClientTransaction) -> None:
        """ACK a 2xx to our re-INVITE, and each repetition of it with the same bytes."""
        if self.dialog is None:
            return
        if transaction.ack:
            self._layer.out.append(Transmit(transaction.ack, self.dialog.destination, self.name))
            return
        ack = self.dialog.request("ACK", sequence=sequence_of(transaction.request), extra=proofs(transaction.request))
        transaction.ack = self._layer.send_once(ack, self.dialog.destination, self.name)

    def _authorized(
        self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope
    ) -> ClientTransaction | None:
        """The same request with its challenge answered, under way; None when there is no challenge that we answer."""
        if envelope.source[0] != transaction.destination[0]:
            return None  # a challenge counts only from the host that we asked
        proof = self.authorizer.answer(transaction.request, response)
        if proof is None:
            return None
        old = transaction.request
        sequence = sequence_of(old) + 1
        dialog = self.dialog or (None if old.method == "INVITE" else self.dialog_with(envelope.to_tag))
        if dialog is not None:
            dialog.local_sequence = sequence = dialog.local_sequence + 1
        request = Request(old.method, old.uri, old.headers.copy(), old.body)
        request.headers.remove("Via")
        request.headers.set("CSeq", f"{sequence} {old.method}")
        request.headers.set(*proof)
        branch = branch_of(self.local_tag, sequence, old.method)
        return self._layer.request(now, request, transaction.destination, self, branch=branch)

    # Requests of the peer

    def receive(self, now: float, arrival: Arrival, dialog: Dialog) -> None:
        """A new request inside the dialog, other than ACK and CANCEL."""
        transaction = self._layer.accept(arrival, self)
        self._probe_until = None
        method, number = arrival.method, arrival.envelope.cseq.number
        # "If the remote sequence number was not empty, but the sequence number of the request is lower than the remote
        # sequence number, the request is out of order and MUST be rejected with a 500".
        if not dialog.take_sequence(number):
            self.respond(now, transaction, 500, "CSeq out of order")
            return
        if method == "BYE":
            self.peer_hung_up(now, transaction, dialog)
            return
        types = DIGIT_TYPES if method == "INFO" else ("application/sdp",)
        refused = refusal(arrival.request, METHODS, EXTENSIONS, types)
        if refused is None and is_too_brief(arrival.request):
            refused = TOO_BRIEF
        if refused is not None:
            self.respond(now, transaction, refused.status, refused.reason, refused.headers)
        elif self.state in (CallState.ENDING, CallState.OVER):
            self.respond(now, transaction, 481)
        elif method in ("INVITE", "UPDATE"):
            self._change_asked(now, transaction, dialog)
        elif method == "PRACK":
            self.provisionally_acknowledged(now, transaction)
        elif method == "INFO" and arrival.request.body:
            self._digit_told(now, transaction)
        else:
            extra = (("Accept", ", ".join(("application/sdp", *DIGIT_TYPES))),) if method == "OPTIONS" else ()
            self.respond(now, transaction, 200, extra=(ALLOW, *extra))

    def provisionally_acknowledged(self, now: float, transaction: ServerTransaction) -> None:
        """A PRACK; only calls that came in have sent what it could acknowledge."""
        self.respond(now, transaction, 481)

    def peer_hung_up(self, now: float, transaction: ServerTransaction, dialog: Dialog) -> None:
        """The peer's BYE; also when it crosses our own (RFC 3261 §15.1.2)."""
        self.respond(now, transaction, 200)
        if dialog is not self.dialog or self.state not in (CallState.RUNNING, CallState.ENDING):
            return
        reason = transaction.arrival.request.headers.get("Reason") or ""
        by_peer = self.state is CallState.RUNNING and not self.ends_already()
        self.finish(now, CallEnded(self.name, by_peer, reason if by_peer else self._end_reason))

    def ends_already(self) -> bool:
        """Whether we hung up but could not say BYE yet."""
        return False

    def _change_asked(self, now: float, transaction: ServerTransaction, dialog: Dialog) -> None:
        request = transaction.arrival.request
        offer = session_description(request)
        is_invite = request.method == "INVITE"
        if is_invite or offer is not None:
            # RFC 3261 §14.2, RFC 3311 §5.2: 491 while an offer of ours is out, 500 while the peer's own is unanswered.
            if self._change is not None or self.offers_first():
                self.respond(now, transaction, 491)
                return
            if self._offered is not None or self._answer is not None or self.state is CallState.SETUP:
                wait = ("Retry-After", str(1 + transaction.arrival.envelope.cseq.number % 10))
                self.respond(now, transaction, 500, "another change is under way", (wait,))
                return
        if offer is not None:
            dialog.refresh(request)
            self._offered = transaction
            self.until = now + self._layer.profile.timers.give_up
            self._layer.schedule.note(self)
            if is_invite:
                self.respond(now, transaction, 100)
            self._layer.out.append(ChangeOffered(self.name, offer))
        elif is_invite:
            # "the UAS MUST offer": a re-INVITE without an offer asks for ours, and what we use now is what we want.
            dialog.refresh(request)
            self._accept(now, transaction, self.local_sdp, made_offer=True)
        else:
            dialog.refresh(request)
            timer, headers = answer_request(now, request)
            self.follow(timer)
            self.respond(now, transaction, 200, extra=(self._contact(), ALLOW, SUPPORTED, *headers))

    def offers_first(self) -> bool:
        """Whether our INVITE's own offer still waits for its answer."""
        return False

    def accept_change(self, now: float, sdp: bytes) -> None:
        """Answer the peer's offer."""
        transaction = self._take_offered()
        if transaction is None:
            self._layer.counts["wish against the call's state"] += 1
            return
        self.local_sdp = sdp
        if transaction.arrival.method == "INVITE":
            self._accept(now, transaction, sdp, made_offer=False)
        else:
            timer, headers = answer_request(now, transaction.arrival.request)
            self.follow(timer)
            extra = (self._contact(), ALLOW, SUPPORTED, *headers, SDP_TYPE)
            self.respond(now, transaction, 200, extra=extra, body=sdp)

    def refuse_change(self, now: float, status: int, reason: str) -> None:
        """Refuse the peer's offer."""
        transaction = self._take_offered()
        if transaction is None:
            self._layer.counts["wish against the call's state"] += 1
        else:
            self.respond(now, transaction, status, reason)

    def cancelled(self, now: float, transaction: ServerTransaction) -> None:
        """The peer takes its re-INVITE back (RFC 3261 §9.2)."""
        if transaction is self._offered:
            self._take_offered()
            self.respond(now, transaction, 487)

    def acknowledged(self, now: float, arrival: Arrival) -> None:
        """An ACK for a 2xx of ours."""
        answer = self._answer
        if answer is None or arrival.envelope.cseq.number != answer.number:
            return  # a repeated ACK
        self._answer = None
        sdp = session_description(arrival.request) if answer.made_offer else None
        self.confirmed(now, answer, sdp)

    def confirmed(self, _now: float, _answer: RepeatedAnswer, sdp: bytes | None) -> None:
        """The peer has our 2xx; `sdp` is its answer when ours was the offer."""
        if sdp is not None:
            self._layer.out.append(ChangeConfirmed(self.name, sdp))

    def _digit_told(self, now: float, transaction: ServerTransaction) -> None:
        try:
            digit, duration_ms = parse_digit(transaction.arrival.request.body)
        except SipSyntaxError:
            self.respond(now, transaction, 400, "not a digit")
            return
        self.respond(now, transaction, 200)
        self._layer.out.append(DigitByInfo(self.name, digit, duration_ms))

    # Shared by all

    def respond(
        self,
        now: float,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        extra: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request of the peer."""
        request = transaction.arrival.request
        tag = "" if status == 100 or transaction.arrival.envelope.to_tag else self.local_tag
        extra = (*extra, ("Server", self._layer.profile.name))
        self._layer.respond(now, transaction, response_to(request, status, reason, to_tag=tag, extra=extra, body=body))

    def _accept(self, now: float, transaction: ServerTransaction, sdp: bytes, *, made_offer: bool) -> None:
        """200 to an INVITE, repeated until its ACK comes."""
        extra = [("Record-Route", route) for route in transaction.arrival.request.headers.all("Record-Route")]
        timer, headers = answer_request(now, transaction.arrival.request)
        self.follow(timer)
        extra += [self._contact(), ALLOW, SUPPORTED, *headers, SDP_TYPE]
        self.respond(now, transaction, 200, extra=extra, body=sdp)
        self._answer = RepeatedAnswer(now, self._layer.profile.timers, transaction, made_offer=made_offer)
        self._layer.schedule.note(self)

    def _settle(self, now: float) -> None:
        """Leave nothing of the peer's open: the session ends."""
        self._answer = None
        if self._change is not None:
            self._layer.limit(now, self._change)
            self._change = None
        transaction = self._take_offered()
        if transaction is not None:
            # "If the UAS receives a BYE [...] it MUST still respond to any pending requests [...] with a 487"
            self.respond(now, transaction, 487)

    def _take_offered(self) -> ServerTransaction | None:
        transaction, self._offered = self._offered, None
        if transaction is not None:
            self.until = None
        return transaction

    def finish(self, now: float, news: CallEnded | CallFailed) -> None:
        """Tell how it ended, once, and leave the tables."""
        if self.state is CallState.OVER:
            return
        self._settle(now)
        self.state = CallState.OVER
        self.until = self._probe_until = self.timer = None
        self._layer.schedule.note(self)
        self._layer.out.append(news)
        self._forget(self)

    def _contact(self) -> tuple[str, str]:
        return ("Contact", self._layer.contact(self.peer_address))

    def _extra(self, *headers: tuple[str, str] | None) -> tuple[tuple[str, str], ...]:
        return (*[header for header in headers if header is not None], ("User-Agent", self._layer.profile.name))


def sequence_of(request: Request) -> int:
    """The CSeq number of a request of ours."""
    return int((request.headers.get("CSeq") or "").split()[0])


def proofs(request: Request) -> list[tuple[str, str]]:
    """The credentials that an ACK repeats from its INVITE (RFC 3261 §22.1)."""
    return [(name, value) for name in ("Authorization", "Proxy-Authorization") for value in request.headers.all(name)]


def failure(name: str, status: int, reason: str = "") -> CallFailed:
    """A call that failed here."""
    return CallFailed(name, status, reason or reason_phrase(status), locally_generated=True)
