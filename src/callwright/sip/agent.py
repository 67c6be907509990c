"""The SIP user agent at one local address: bytes and wishes in, bytes and news out, time as an argument.

It owns no socket and no clock. Whoever carries it hands every datagram to `receive`, calls `tick` when `deadline` is
reached, and carries the returned outputs out in order. RFC 3261 with 6026 (transactions), 3581 (rport), 3311 (UPDATE),
7616/8760 (digest), 3326 (Reason).

    agent.invite(...) ─▶ CallProceeding? CallRinging* ─▶ CallAnswered ─▶ (ChangeOffered | DigitByInfo)* ─▶ CallEnded
                                      └────────────────▶ CallFailed
    receive(...) ─▶ IncomingCall ─▶ ring() / answer() ─▶ CallConfirmed ─▶ ... ─▶ CallEnded
                                  └▶ reject() / cancelled by the caller ─▶ CallFailed
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from callwright.errors import SipSyntaxError
from callwright.sip.address import NameAddr, SipUri
from callwright.sip.authorizer import Authorizer
from callwright.sip.call import ALLOW, SUPPORTED, TOO_BRIEF, Call
from callwright.sip.call_in import CallIn
from callwright.sip.call_out import CallOut
from callwright.sip.dialog import dialog_of_client
from callwright.sip.digest import Credentials
from callwright.sip.envelope import Arrival, Envelope, read_envelope
from callwright.sip.info import DIGIT_TYPES
from callwright.sip.inquiry import Inquiry
from callwright.sip.memo import SEQUENCE_GAP, Memo, memo_of_invite
from callwright.sip.message import Headers, Request, Response
from callwright.sip.orphan import AnsweredOrphan, ReceivedOrphan, UnansweredOrphan
from callwright.sip.outputs import Address, Output, Transmit
from callwright.sip.parse import BrokenRequest, is_keepalive, parse, serialize
from callwright.sip.profile import EXTENSIONS, METHODS, AgentProfile
from callwright.sip.responses import answer_address, mark_source, response_to
from callwright.sip.session_timer import is_too_brief
from callwright.sip.transactions.layer import ServerTransaction, TransactionLayer
from callwright.sip.validation import refusal, validate_request

FINAL = range(300, 700)
PROVISIONAL = range(101, 200)
TAG_BYTES = 8


class UserAgent:
    """All calls of one local SIP address. Pure: `now` is platform time in unix seconds, everywhere the same clock.

    A wish for a call that is unknown or over returns no outputs: the phone may have been quicker than we were. A wish
    that the call's state forbids (to answer twice, to ring after answering) does the same and is counted in `counts`.
    """

    def __init__(self, profile: AgentProfile, token: Callable[[], str]) -> None:
        """`token` gives cryptographically random token characters, 32 bits of it at least (RFC 3261 §19.3)."""
        self._profile = profile
        self._token = token
        self._layer = TransactionLayer(profile, token)
        self._layer.answered_late = self._answered_late
        self._calls: dict[str, Call] = {}
        self._by_tag: dict[str, Call] = {}
        self._tag_key = token().encode()[: hashlib.blake2s.MAX_KEY_SIZE]
        self.counts: Counter[str] = self._layer.counts
        "messages dropped or refused, by why"

    @property
    def deadline(self) -> float | None:
        """When to call `tick` if nothing else happens; None when nothing waits."""
        return self._layer.schedule.deadline

    @property
    def calls(self) -> int:
        """Calls that have not ended."""
        return len(self._calls)

    @property
    def transactions(self) -> int:
        """Transactions that have not terminated, those that only linger for repetitions included."""
        return len(self._layer)

    def contact(self, peer: Address) -> str:
        """The URI by which a peer at that address reaches us."""
        return self._layer.contact(peer).strip("<>")

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
        tag: str = "",
    ) -> list[Output]:
        """Place a call: INVITE `target` through `next_hop`, with `call_id` as its Call-ID and name at this door.

        `tag` is our From tag, a fresh token; one is made otherwise.

        `credentials` answer a 401 or 407 to requests of this call, and only those (once per nonce). ValueError when a
        call of that name runs; SipSyntaxError when a header would break the message apart.
        """
        if call_id in self._calls:
            raise ValueError(f"a call named {call_id} runs already")
        call = CallOut(self._layer, call_id, tag or self._token(), self._forget, Authorizer(credentials, self._token))
        call.invite(now, target, next_hop, from_, to, offer, extra_headers)
        self._remember(call)
        return self._taken()

    def foresee(
        self, call_id: str, tag: str, *, target: SipUri, next_hop: Address, from_: NameAddr, to: NameAddr
    ) -> Memo:
        """The memo of a call that `invite` is about to place: what must be durable before its INVITE leaves."""
        headers = Headers([("Via", f"{self._layer.via(next_hop)};branch="), ("From", str(from_.with_tag(tag)))])
        headers.add("To", str(to))
        headers.add("Call-ID", call_id)
        headers.add("CSeq", "1 INVITE")
        return memo_of_invite(Request("INVITE", str(target), headers), next_hop)

    def memo(self, call_id: str) -> Memo | None:
        """What it takes now to end a call without this agent; None when it is unknown or over."""
        call = self._calls.get(call_id)
        return call.memo() if isinstance(call, CallOut | CallIn | UnansweredOrphan) else None

    def release_ack(self, now: float, call_id: str) -> list[Output]:
        """With `hold_acks`: acknowledge the 200 of a call that we placed, and hang up if nobody wants it."""
        call = self._calls.get(call_id)
        if isinstance(call, CallOut | UnansweredOrphan):
            call.release_ack(now)
        return self._taken()

    def end_orphan(
        self, now: float, name: str, memo: Memo, credentials: Credentials | None = None, invites: int = 1
    ) -> list[Output]:
        """End a call of another process; `name` is its name at this door. `CallEnded` or `CallFailed` follows.

        `invites` is how often its INVITE may have been sent anew, the first included. SipSyntaxError when the memo
        is broken. Nothing happens for a call that is being ended already, or is our own.
        """
        if memo.local_tag in self._by_tag or name in self._calls:
            return []
        authorizer = Authorizer(credentials, self._token)
        call: AnsweredOrphan | UnansweredOrphan | ReceivedOrphan
        if memo.answered:
            number = 0 if memo.inbound else memo.invite
            call = AnsweredOrphan(self._layer, name, memo.dialog(), self._forget, authorizer, number)
        elif memo.inbound:
            call = ReceivedOrphan(self._layer, name, memo, self._forget, authorizer)
        else:
            call = UnansweredOrphan(self._layer, name, memo, self._forget, authorizer, invites)
        self._remember(call)
        call.begin(now)
        return self._taken()

    def ring(self, now: float, call_id: str, status: int = 180, sdp: bytes | None = None) -> list[Output]:
        """Send a provisional answer (101-199) to an incoming call, with early media when `sdp` is given."""
        if status not in PROVISIONAL:
            raise ValueError(f"{status} is not a provisional status")
        call = self._incoming(call_id)
        if call is not None:
            call.ring(now, status, sdp)
        return self._taken()

    def answer(self, now: float, call_id: str, sdp: bytes) -> list[Output]:
        """Pick an incoming call up: 200 with `sdp` (the answer, or the offer when the caller made none)."""
        call = self._incoming(call_id)
        if call is not None:
            call.answer(now, sdp)
        return self._taken()

    def reject(
        self, now: float, call_id: str, status: int, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> list[Output]:
        """Refuse an incoming call with a final status (300-699); `CallFailed` follows at once."""
        if status not in FINAL:
            raise ValueError(f"{status} does not refuse")
        call = self._incoming(call_id)
        if call is not None:
            call.reject(now, status, reason, headers)
        return self._taken()

    def hang_up(self, now: float, call_id: str, reason: str | None = None) -> list[Output]:
        """End a call in whatever state it is; any number of times.

        Unanswered outgoing: CANCEL, at once or as soon as a 1xx allows it (RFC 3261 §9.1); `CallFailed` 487 follows,
        also when a 200 crosses the CANCEL (once its BYE was answered). Unanswered incoming: 603. Answered:
        BYE. `reason` is a Reason header value (RFC 3326) such as `Q.850;cause=16`.
        """
        call = self._calls.get(call_id)
        if call is not None:
            call.hang_up(now, reason)
        return self._taken()

    def change(self, now: float, call_id: str, sdp: bytes) -> list[Output]:
        """Offer a new session to the peer of a running call (re-INVITE).

        `ChangeConfirmed` or `ChangeRefused` follows, unless the call ends first.
        """
        call = self._calls.get(call_id)
        if call is not None:
            call.change(now, sdp)
        return self._taken()

    def send_info(self, now: float, call_id: str, content_type: str, body: bytes) -> list[Output]:
        """Tell the peer of a running call something by INFO (RFC 6086), such as a key press (`info.digit_body`).

        Nothing follows when it was taken or refused; the call ends when the peer says that it no longer has it.
        SipSyntaxError when `content_type` would break the message apart.
        """
        call = self._calls.get(call_id)
        if call is not None:
            call.send_info(now, content_type, body)
        return self._taken()

    def probe(self, now: float, call_id: str, limit_seconds: float) -> list[Output]:
        """Ask the peer of a running call for a sign of life; the call ends when none comes within the limit."""
        call = self._calls.get(call_id)
        if call is not None:
            call.probe(now, limit_seconds)
        return self._taken()

    def accept_change(self, now: float, call_id: str, sdp: bytes) -> list[Output]:
        """Answer the `ChangeOffered` of a call with 200 and `sdp`."""
        call = self._calls.get(call_id)
        if call is not None:
            call.accept_change(now, sdp)
        return self._taken()

    def refuse_change(self, now: float, call_id: str, status: int = 488, reason: str = "") -> list[Output]:
        """Refuse the `ChangeOffered` of a call; the session stays as it was (RFC 3261 §14.2)."""
        if status not in FINAL:
            raise ValueError(f"{status} does not refuse")
        call = self._calls.get(call_id)
        if call is not None:
            call.refuse_change(now, status, reason)
        return self._taken()

    def ask(
        self,
        now: float,
        name: str,
        method: str,
        *,
        target: SipUri,
        next_hop: Address,
        from_: NameAddr,
        to: NameAddr,
        call_id: str,
        sequence: int = 1,
        headers: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
    ) -> list[Output]:
        """Send a request outside of any call, such as OPTIONS or REGISTER; one `Replied` of that name follows.

        `sequence` must grow between requests of one `call_id` by 10 at least: an answered challenge takes the next one.
        """
        inquiry = Inquiry(self._layer, name, Authorizer(credentials, self._token))
        inquiry.ask(now, method, target, next_hop, from_.with_tag(self._token()), to, call_id, sequence, headers)
        return self._taken()

    def receive(self, now: float, data: bytes, source: Address) -> list[Output]:
        """Take one datagram (one framed message on a stream) that came from `source`. Never raises for what it says."""
        if not self._profile.within_budget(now, source):
            self.counts["over budget"] += 1
            return []
        if is_keepalive(data):
            return []
        try:
            message = parse(data)
            if isinstance(message, Response):
                self._layer.receive_response(now, message, source)
                return self._taken()
            validate_request(message)
            arrival = Arrival(message, read_envelope(message, source))
        except BrokenRequest as error:
            self._answer_broken(error, source)
        except SipSyntaxError:
            self.counts["not SIP"] += 1
        else:
            mark_source(message, arrival.envelope)
            self._receive_request(now, arrival)
        return self._taken()

    def tick(self, now: float) -> list[Output]:
        """Let everything happen that is due; harmless when nothing is."""
        self._layer.schedule.tick(now)
        return self._taken()

    def transport_failed(self, now: float, destination: Address) -> list[Output]:
        """Say that sending to `destination` failed (ICMP unreachable, refused): requests that wait for it get 503."""
        self._layer.transport_failed(now, destination)
        return self._taken()

    def _answered_late(self, now: float, response: Response, envelope: Envelope) -> None:
        """A 200 to an INVITE of ours that nobody knows of any more: an earlier process sent it, or gave up on it."""
        tag, peer = envelope.from_tag, envelope.to_tag
        invite = Request("INVITE", envelope.to.uri, Headers())
        if not tag or not peer or not self._profile.may_call(envelope.source, invite):
            return
        known = self._by_tag.get(tag)
        if isinstance(known, AnsweredOrphan) and known.dialog.remote_tag == peer:
            known.acknowledge()
        elif known is None and len(self._calls) < self._profile.most_calls:
            dialog = dialog_of_client(invite, response, envelope, envelope.source)
            dialog.local_sequence += SEQUENCE_GAP
            authorizer = Authorizer(None, self._token)
            name, number = f"late;{tag}", envelope.cseq.number
            call = AnsweredOrphan(self._layer, name, dialog, self._forget, authorizer, number, tells=False)
            self._remember(call)
            self.counts["late answer hung up"] += 1
            call.begin(now)

    # Requests

    def _receive_request(self, now: float, arrival: Arrival) -> None:
        if self._layer.absorb(now, arrival):
            return
        if arrival.envelope.to_tag:
            self._receive_in_dialog(now, arrival)
        elif arrival.method == "CANCEL":
            self._cancel(now, arrival)
        elif arrival.method == "ACK":
            self.counts["stray ACK"] += 1
        else:
            self._receive_outside(now, arrival)

    def _receive_in_dialog(self, now: float, arrival: Arrival) -> None:
        envelope = arrival.envelope
        call = self._by_tag.get(envelope.to_tag)
        dialog = call.dialog_with(envelope.from_tag) if call is not None and call.call_id == envelope.call_id else None
        if arrival.method == "CANCEL":  # of a re-INVITE
            self._cancel(now, arrival)
        elif call is None or dialog is None:
            if arrival.method == "ACK":
                self.counts["stray ACK"] += 1
            else:
                # "If the request has a tag in the To header field, but the dialog identifier does not match any
                # existing dialogs", a 481 says so.
                self._refuse(arrival, 481)
        else:
            self._layer.note_received(call.name, arrival)
            if arrival.method == "ACK":
                call.acknowledged(now, arrival)
            elif self._layer.full and arrival.method != "BYE":
                self._refuse_overload(arrival)
            else:
                call.receive(now, arrival, dialog)

    def _cancel(self, now: float, arrival: Arrival) -> None:
        invite = self._layer.invite_behind(arrival)
        if invite is None:
            self._refuse(arrival, 481)
            return
        if invite.user is not None:
            self._layer.note_received(invite.user.name, arrival)
        # "the UAS MUST answer the CANCEL request itself with a 200 (OK) response", also when it comes too late.
        answer = response_to(arrival.request, 200, to_tag=self._tag_of(invite), extra=(self._server(),))
        self._layer.respond(now, self._layer.accept(arrival, invite.user), answer)
        if invite.user is not None:
            invite.user.cancelled(now, invite)

    def _receive_outside(self, now: float, arrival: Arrival) -> None:
        """A request that belongs to no call: let in, judged in the order of RFC 3261 §8.2, answered."""
        request, envelope = arrival.request, arrival.envelope
        if not self._profile.may_call(envelope.source, request):
            self._refuse(arrival, 403)  # nothing in it tells a stranger why, or what else is here
            return
        if self._layer.is_merged(envelope):
            self._refuse(arrival, 482)
            return
        refused = refusal(request, METHODS, EXTENSIONS)
        if refused is None and request.method == "INVITE" and is_too_brief(request):
            refused = TOO_BRIEF
        if refused is not None:
            self._refuse(arrival, refused.status, refused.reason, refused.headers)
        elif request.method == "OPTIONS":
            accept = ("Accept", ", ".join(("application/sdp", *DIGIT_TYPES)))
            self._refuse(arrival, 200, extra=(ALLOW, SUPPORTED, accept, ("Accept-Encoding", "identity")))
        elif request.method != "INVITE":
            self._refuse(arrival, 481)  # BYE, INFO and UPDATE mean something inside a dialog only
        elif len(self._calls) >= self._profile.most_calls or self._layer.full:
            self._refuse_overload(arrival)
        else:
            name = envelope.call_id
            if name in self._calls:  # our own call came back to us, or two callers chose the same word
                name = f"{name};{self._token()}"
            call = CallIn(self._layer, name, self._token(), self._forget, arrival, self._rseq(arrival))
            self._remember(call)
            self._layer.note_received(name, arrival)
            call.arrive(now)

    # Answers without a transaction: nothing is kept of a request that is refused at the door (RFC 3261 §8.2.7)

    def _refuse(self, arrival: Arrival, status: int, reason: str = "", extra: Sequence[tuple[str, str]] = ()) -> None:
        if status >= FINAL.start:
            self.counts[f"refused {status}"] += 1
        request, envelope = arrival.request, arrival.envelope
        tag = "" if envelope.to_tag else self._stateless_tag(request)
        response = response_to(request, status, reason, to_tag=tag, extra=(*extra, self._server()))
        self._layer.out.append(Transmit(serialize(response), answer_address(envelope)))

    def _refuse_overload(self, arrival: Arrival) -> None:
        self._refuse(arrival, 503, extra=(("Retry-After", str(self._profile.retry_after_seconds)),))

    def _answer_broken(self, error: BrokenRequest, source: Address) -> None:
        """Say to the sender of a broken request what is wrong with it, as far as it can be answered at all."""
        self.counts["broken request"] += 1
        request = error.request
        if request.method in ("ACK", ""):
            return
        try:
            envelope = read_envelope(request, source)
            destination = answer_address(envelope)
            mark_source(request, envelope)
        except SipSyntaxError:
            destination = source
        try:
            data = serialize(response_to(request, error.status, extra=(self._server(),)))
        except SipSyntaxError:
            return
        self._layer.out.append(Transmit(data, destination))

    def _stateless_tag(self, request: Request) -> str:
        """ "To header tags MUST be generated for responses in a stateless manner": the same for each repetition."""
        text = "\n".join([request.headers.get(name) or "" for name in ("From", "Call-ID", "CSeq", "Via")])
        data = text.encode("utf-8", "replace")
        return hashlib.blake2s(data, key=self._tag_key, digest_size=TAG_BYTES).hexdigest()

    def _rseq(self, arrival: Arrival) -> int:
        """Where a call's RSeq numbers begin: anywhere below 2**31, nobody outside knows where (RFC 3262 §3)."""
        data = arrival.envelope.call_id.encode("utf-8", "replace")
        digest = hashlib.blake2s(data, key=self._tag_key, digest_size=4).digest()
        return int.from_bytes(digest, "big") % 2**30

    def _tag_of(self, invite: ServerTransaction) -> str:
        """The tag for answers to a CANCEL: that of the answers to its INVITE (RFC 3261 §9.2)."""
        return "" if invite.arrival.envelope.to_tag or not isinstance(invite.user, Call) else invite.user.local_tag

    def _server(self) -> tuple[str, str]:
        return ("Server", self._profile.name)

    # Tables

    def _remember(self, call: Call) -> None:
        self._calls[call.name] = call
        self._by_tag[call.local_tag] = call

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.name, None)
        self._by_tag.pop(call.local_tag, None)

    def _incoming(self, call_id: str) -> CallIn | None:
        call = self._calls.get(call_id)
        if call is not None and not isinstance(call, CallIn):
            self.counts["wish against the call's state"] += 1
            return None
        return call

    def _taken(self) -> list[Output]:
        out = self._layer.out
        self._layer.out = []
        return out
