"""A request of ours outside of any call and its one answer: OPTIONS (RFC 3261 §11), REGISTER (§10.2)."""

from collections.abc import Sequence

from callwright.sip.address import NameAddr, SipUri
from callwright.sip.authorizer import Authorizer
from callwright.sip.dialog import MAX_FORWARDS
from callwright.sip.envelope import Envelope
from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import Address, Replied
from callwright.sip.transactions.layer import ClientTransaction, TransactionLayer


class Inquiry:
    """One request; the transaction layer keeps it until the answer came."""

    __slots__ = ("_authorizer", "_layer", "_sequence", "name")

    def __init__(self, layer: TransactionLayer, name: str, authorizer: Authorizer) -> None:
        self._layer = layer
        self._authorizer = authorizer
        self._sequence = 0
        self.name = name

    def ask(
        self,
        now: float,
        method: str,
        target: SipUri,
        next_hop: Address,
        from_: NameAddr,
        to: NameAddr,
        call_id: str,
        sequence: int,
        extra: Sequence[tuple[str, str]],
    ) -> None:
        """Send it."""
        self._sequence = sequence
        headers = Headers(
            [
                ("Max-Forwards", MAX_FORWARDS),
                ("From", str(from_)),
                ("To", str(to)),
                ("Call-ID", call_id),
                ("CSeq", f"{sequence} {method}"),
                ("Contact", self._layer.contact(next_hop)),
                ("Accept", "application/sdp"),
                ("User-Agent", self._layer.profile.name),
                *extra,
            ]
        )
        self._layer.request(now, Request(method, str(target), headers), next_hop, self)

    def responded(self, now: float, transaction: ClientTransaction, response: Response, envelope: Envelope) -> None:
        """The answer, or a challenge that is met once."""
        if response.status < 200:
            return
        if envelope.source[0] == transaction.destination[0]:  # a challenge counts only from the host that we asked
            proof = self._authorizer.answer(transaction.request, response)
            if proof is not None:
                old = transaction.request
                request = Request(old.method, old.uri, old.headers.copy(), old.body)
                request.headers.remove("Via")
                self._sequence += 1
                request.headers.set("CSeq", f"{self._sequence} {old.method}")
                request.headers.set(*proof)
                self._layer.request(now, request, transaction.destination, self)
                return
        self._tell(
            Replied(self.name, response.status, response.reason, locally_generated=False, headers=response.headers)
        )

    def failed(self, now: float, transaction: ClientTransaction, status: int, reason: str) -> None:  # noqa: ARG002
        """No answer will come. (The port of a transaction's user has more than is needed here.)"""
        self._tell(Replied(self.name, status, reason, locally_generated=True))

    def _tell(self, reply: Replied) -> None:
        self._layer.out.append(reply)
