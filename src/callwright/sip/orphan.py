"""Calls whose process is gone: ended from what it wrote down (`memo.py`), by whoever comes after it.

* One that we placed and that was not answered gets its CANCEL, with the branch and the sent-by of its INVITE (RFC 3261
  §9.1), and whatever final answer still comes is acknowledged; a 200 gets ACK and BYE. When the INVITE's own answer
  does not come (it goes to where the INVITE came from), the dialog that the answer to the CANCEL names gets a BYE:
  "the To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be the same".
* One that was answered gets its ACK, which may never have left, and BYE.
* One that came to us gets 503, because nothing says whether it was answered; a caller that does not acknowledge that
  was answered, and gets BYE.
* A 200 to an INVITE that nobody here knows of gets BYE and ACK too: it names the whole dialog.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from callwright.sip.authorizer import Authorizer
from callwright.sip.call import Call, CallState, failure
from callwright.sip.dialog import MAX_FORWARDS, Dialog, dialog_of_client
from callwright.sip.envelope import Arrival, Envelope, read_envelope
from callwright.sip.memo import SEQUENCE_GAP, Memo, branch_of, memo_of_dialog
from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import Address, CallEnded, CallFailed, Transmit, UnwantedAnswer
from callwright.sip.responses import answer_address
from callwright.sip.streams import StreamAddress, address_on, transport_of
from callwright.sip.transactions.layer import ClientTransaction, ServerTransaction, TransactionLayer, cancel_for
from callwright.sip.transactions.server_invite import ServerInvite, ServerInviteState

ANSWER_SECONDS: Final = 2.0
"""How long the INVITE's own final answer is waited for, or the ACK to our 503, before a BYE is sent as well."""
REASON: Final = 'SIP;cause=500;text="the process of this call ended"'
MOST_TAGS: Final = 8

Forget = Callable[[Call], None]


class AnsweredOrphan(Call):
    """A call with a dialog: ACK, if it is one that we placed, and BYE."""

    __slots__ = ("_ack", "_invite_number", "_tells")

    def __init__(  # the layer's and the agent's, as for every call
        self,
        layer: TransactionLayer,
        name: str,
        dialog: Dialog,
        forget: Forget,
        authorizer: Authorizer,
        invite: int,
        *,
        tells: bool = True,
    ) -> None:
        """`invite` is the CSeq number of the INVITE that we sent; 0 when the peer sent it.

        `tells` is whether its end is news: not for one that nobody asked for.
        """
        super().__init__(layer, name, dialog.call_id, dialog.local.tag or "", forget, authorizer)
        self.dialog: Dialog = dialog
        self._invite_number = invite
        self._ack = b""
        self._tells = tells
        self.state = CallState.RUNNING

    def begin(self, now: float) -> None:
        """Say that it is over.

        A dialog that nobody wrote down is hung up before it is acknowledged ("the caller's UA MAY send a BYE for either
        confirmed or early dialogs", RFC 3261 §15): if we end between the two, the callee repeats its 200.
        """
        if self._invite_number and self._tells:
            self.acknowledge()
        self.send_bye(now, REASON, "ended by another process")
        if self._invite_number and not self._tells:
            self.acknowledge()

    def acknowledge(self) -> None:
        """The ACK, again for each repetition of the 200."""
        if self._ack:
            self._layer.out.append(Transmit(self._ack, self.dialog.destination, self.name))
        else:
            ack = self.dialog.request("ACK", sequence=self._invite_number)
            self._ack = self._layer.send_once(ack, self.dialog.destination, self.name)

    def dialog_with(self, tag: str) -> Dialog | None:
        """The dialog, when the tag is the peer's."""
        return self.dialog if self.dialog.remote_tag == tag else None

    def hang_up(self, now: float, reason: str | None) -> None:
        """It is being ended already."""

    def took_too_long(self, now: float) -> None:
        """There is no set-up."""

    def finish(self, now: float, news: CallEnded | CallFailed) -> None:
        """Leave the tables, and tell if somebody wants to know."""
        was_over = self.state is CallState.OVER
        super().finish(now, news)
        if not self._tells and not was_over:
            self._layer.out.remove(news)


class UnansweredOrphan(Call):
    """A call that we placed and did not hear answered: CANCEL, and ACK and BYE whatever comes."""

    __slots__ = ("_acks", "_cancels", "_held", "_memo", "_numbers", "_tags")

    def __init__(
        self, layer: TransactionLayer, name: str, memo: Memo, forget: Forget, authorizer: Authorizer, invites: int
    ) -> None:
        """`invites` is how many INVITEs it may have sent: one more for each challenge that it may have answered."""
        super().__init__(layer, name, memo.call_id, memo.local_tag, forget, authorizer)
        self._memo = memo
        self._cancels: set[ClientTransaction] = set()
        self._tags: set[str] = set()
        self._acks: dict[str, bytes] = {}
        self._held: dict[str, tuple[Dialog, int]] = {}
        "the peer's tag → dialog and CSeq number of a 200 that is not acknowledged yet"
        self._numbers = range(memo.invite, memo.invite + invites)

    def begin(self, now: float) -> None:
        """Take back each INVITE that may be out."""
        memo = self._memo
        self.until = now + ANSWER_SECONDS
        self._layer.schedule.note(self)
        for number in self._numbers:
            headers = Headers([("Max-Forwards", MAX_FORWARDS)])
            for name, value in (("From", memo.local), ("To", memo.remote), ("Call-ID", memo.call_id)):
                headers.add(name, value)
            headers.add("CSeq", f"{number} INVITE")
            invite = Request("INVITE", memo.target, headers)
            via = f"{memo.via};branch={branch_of(self.local_tag, number)}"
            self._layer.resume(now, invite, memo.place, self, via)
            cancel = cancel_for(invite, REASON)
            self._cancels.add(self._layer.request(now, cancel, memo.place, self, via=via))

    def responded(self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope) -> None:
        """What became of the INVITE, the CANCEL or the BYE."""
        method, status = transaction.request.method, response.status
        if status < 200:
            return
        if method == "INVITE":
            if status < 300:
                self._hang_up_answered(now, transaction, response, envelope)
            elif status == 487:  # others are answers to an INVITE that was sent again after them
                self._over(now)
        elif method == "CANCEL":
            self._cancels.discard(transaction)
            if status < 300 and envelope.to_tag and len(self._tags) < MOST_TAGS:
                self._tags.add(envelope.to_tag)
            elif not self._cancels and not self._tags and not self._held:
                self._over(now)  # nobody there knows of an INVITE that is not answered
        elif self._authorized(now, transaction, response, envelope) is None:
            self._over(now)

    def failed(self, now: float, transaction: ClientTransaction, status: int, reason: str) -> None:
        """No answer: to the INVITE it may come to another address, to the rest it means that nobody is there."""
        self._cancels.discard(transaction)
        if transaction.request.method != "INVITE" and not self._cancels and not self._held:
            self.finish(now, failure(self.name, status, reason))

    def took_too_long(self, now: float) -> None:
        """The INVITE's own answer did not come here: end the dialog that the CANCEL's answer named."""
        for tag in self._tags:
            remote = f"{self._memo.remote};tag={tag}"
            self._bye_in(now, msgspec.structs.replace(self._memo, remote=remote, sequence=self._memo.invite).dialog())

    def dialog_with(self, tag: str) -> Dialog | None:
        """None: what the peer asks in a dialog that we never saw is answered with 481, which ends it as well."""

    def hang_up(self, now: float, reason: str | None) -> None:
        """It is being ended already."""

    def _hang_up_answered(
        self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope
    ) -> None:
        dialog = dialog_of_client(transaction.request, response, envelope, self._memo.place)
        dialog.local_sequence += SEQUENCE_GAP  # PRACKs of the process that is gone
        tag = envelope.to_tag
        if tag in self._acks:
            self._layer.out.append(Transmit(self._acks[tag], dialog.destination, self.name))
            return
        if tag in self._held or len(self._acks) + len(self._held) >= MOST_TAGS:
            return
        self._held[tag] = (dialog, envelope.cseq.number)
        self._tags.discard(tag)
        if self._layer.profile.hold_acks:
            self._layer.out.append(UnwantedAnswer(self.name))
        else:
            self.release_ack(now)

    def memo(self) -> Memo | None:
        """What ends the call now: the dialog of the latest 200 that waits for `release_ack`."""
        for dialog, number in reversed(self._held.values()):
            return memo_of_dialog(dialog, invite=number, inbound=False, answered=True)
        return None

    def release_ack(self, now: float) -> None:
        """Acknowledge what was answered, and hang it up.

        The ACK must not leave before the dialog is kept: a callee that has it no longer says its tag, and whoever
        comes after a process that ended between ACK and BYE could not name the dialog.
        """
        held, self._held = self._held, {}
        for tag, (dialog, number) in held.items():
            ack = dialog.request("ACK", sequence=number)
            self._acks[tag] = self._layer.send_once(ack, dialog.destination, self.name)
            self._bye_in(now, dialog)

    def _bye_in(self, now: float, dialog: Dialog) -> None:
        bye = dialog.request("BYE", extra=self._extra(("Reason", REASON)))
        self._layer.request(now, bye, dialog.destination, self)

    def _over(self, now: float) -> None:
        self.finish(now, failure(self.name, 487))


class ReceivedOrphan(Call):
    """A call that came to us: 503, and BYE when nobody acknowledges that."""

    __slots__ = ("_invite",)

    def __init__(self, layer: TransactionLayer, name: str, memo: Memo, forget: Forget, authorizer: Authorizer) -> None:
        super().__init__(layer, name, memo.call_id, memo.local_tag, forget, authorizer)
        self.dialog: Dialog = memo.dialog()
        self._invite = layer.accept(_arrival_of(memo), self)

    def begin(self, now: float) -> None:
        """Refuse it."""
        self.until = now + ANSWER_SECONDS
        self._layer.schedule.note(self)
        self.respond(now, self._invite, 503, extra=(("Reason", REASON),))

    def took_too_long(self, now: float) -> None:
        """Without an ACK it was answered: say BYE."""
        machine = self._invite.machine
        if machine.over or (isinstance(machine, ServerInvite) and machine.state is ServerInviteState.CONFIRMED):
            self.finish(now, failure(self.name, 503))
        else:
            self.state = CallState.RUNNING
            self.send_bye(now, REASON, "ended by another process")

    def dialog_with(self, tag: str) -> Dialog | None:
        """The dialog, when the tag is the caller's."""
        return self.dialog if self.dialog.remote_tag == tag else None

    def hang_up(self, now: float, reason: str | None) -> None:
        """It is being ended already."""

    def peer_hung_up(self, now: float, transaction: ServerTransaction, dialog: Dialog) -> None:
        """The caller was quicker."""
        super().peer_hung_up(now, transaction, dialog)
        self.finish(now, failure(self.name, 487))

    def cancelled(self, now: float, transaction: ServerTransaction) -> None:
        """The caller takes it back: it has our 503 already."""
        if transaction is self._invite and self.state is CallState.SETUP:
            self.finish(now, CallFailed(self.name, 487, "cancelled by the caller", locally_generated=False))


def _arrival_of(memo: Memo) -> Arrival:
    """The peer's INVITE, as far as answers to it need it. SipSyntaxError when the memo is broken."""
    request = Request(
        "INVITE",
        "sip:callwright@localhost",
        Headers(
            [
                *[("Via", hop) for hop in memo.hops],
                ("From", memo.remote),
                ("To", memo.local),
                ("Call-ID", memo.call_id),
                ("CSeq", f"{memo.invite} INVITE"),
            ]
        ),
    )
    envelope = read_envelope(request, memo.place)
    envelope.source = _answers_to(envelope)
    return Arrival(request, envelope)


def _answers_to(envelope: Envelope) -> Address:
    """Where an answer goes when the connection is gone that the request came over (RFC 3261 §18.2.2)."""
    place = answer_address(envelope)
    if not isinstance(place, StreamAddress):
        return envelope.source
    # "the server SHOULD open a connection to the IP address in the "received" parameter, if present, using the port in
    # the "sent-by" value, or the default port for that transport, if no port is specified."
    return address_on(place[0], envelope.via.port, transport_of(place), place.server_name)
