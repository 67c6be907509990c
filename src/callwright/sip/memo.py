"""What it takes to end a call without the process that made it: written down beforehand, in a row of text.

A call that we place is known well enough before its INVITE leaves (`UserAgent.foresee`): every INVITE of it has a
branch that follows from its From tag and its CSeq, so one that was sent again for a challenge can be cancelled too.
Once it is answered, and for a call that came in, the memo holds the dialog (RFC 3261 §12). `orphan.py` ends calls from
it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from callwright.errors import SipSyntaxError
from callwright.sip.address import BRANCH_COOKIE, NameAddr
from callwright.sip.dialog import Dialog
from callwright.sip.message import Request
from callwright.sip.outputs import Address
from callwright.sip.streams import StreamAddress, transport_of

SEQUENCE_GAP: Final = 1_000
"""How many requests the process that is gone may have sent in a dialog after its memo; a peer refuses lower CSeqs."""


class Memo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call as a row keeps it. Headers are kept as they are written."""

    call_id: str
    local: str
    "us, with our tag: the From of what we send in the call"
    remote: str
    "the peer; with its tag once there is a dialog, or when it called"
    target: str
    "the Request-URI of the INVITE, and the remote target once there is a dialog"
    host: str
    port: int
    "where the INVITE went, or came from"
    transport: str = "UDP"
    server_name: str = ""
    "whose certificate the peer shows (TLS)"
    invite: int = 1
    "the CSeq number of the INVITE"
    sequence: int = 0
    "the latest CSeq number of ours"
    via: str = ""
    "of our INVITE, without its branch"
    hops: tuple[str, ...] = ()
    "the Vias of the peer's INVITE"
    routes: tuple[str, ...] = ()
    answered: bool = False
    inbound: bool = False

    @property
    def local_tag(self) -> str:
        """Ours; SipSyntaxError when the row does not hold one."""
        tag = NameAddr.parse(self.local).tag
        if not tag:
            raise SipSyntaxError("a memo without our tag")
        return tag

    @property
    def place(self) -> Address:
        """Where the INVITE went, or came from. A connection that the peer opened is gone with its process."""
        if self.transport == "UDP":
            return (self.host, self.port)
        return StreamAddress(self.host, self.port, self.transport, self.server_name)

    def dialog(self) -> Dialog:
        """The dialog, with room for requests that were sent after the memo was written."""
        return Dialog(
            self.call_id,
            NameAddr.parse(self.local),
            NameAddr.parse(self.remote),
            self.target,
            self.routes,
            local_sequence=self.sequence + SEQUENCE_GAP,
            remote_sequence=None,
            fallback=self.place,
        )


def branch_of(tag: str, number: int, method: str = "INVITE") -> str:
    """The branch of the INVITE with this CSeq number, of the call with this From tag; empty for other methods.

    It is as unguessable as the tag.
    """
    return f"{BRANCH_COOKIE}{tag}.{number}" if method == "INVITE" else ""


def memo_of_dialog(dialog: Dialog, *, invite: int, inbound: bool, hops: Sequence[str] = (), answered: bool) -> Memo:
    """The memo of a call that has a dialog."""
    place = dialog.fallback
    return Memo(
        call_id=dialog.call_id,
        local=str(dialog.local),
        remote=str(dialog.remote),
        target=dialog.target,
        host=place[0],
        port=place[1],
        transport=transport_of(place),
        server_name=place.server_name if isinstance(place, StreamAddress) else "",
        invite=invite,
        sequence=dialog.local_sequence,
        hops=tuple(hops),
        routes=dialog.route_set,
        answered=answered,
        inbound=inbound,
    )


def memo_of_invite(request: Request, destination: Address) -> Memo:
    """The memo of a call whose INVITE is out."""
    headers = request.headers
    number = (headers.get("CSeq") or "").split()[0]
    return Memo(
        call_id=headers.get("Call-ID") or "",
        local=headers.get("From") or "",
        remote=headers.get("To") or "",
        target=request.uri,
        host=destination[0],
        port=destination[1],
        transport=transport_of(destination),
        server_name=destination.server_name if isinstance(destination, StreamAddress) else "",
        invite=int(number),
        via=(headers.get("Via") or "").rpartition(";branch=")[0],
    )


def encode_memos(memos: Sequence[Memo]) -> str:
    """The calls that one leg stands for, as JSON: several when more than one address was tried."""
    return msgspec.json.encode(memos).decode()


def decode_memos(text: str) -> tuple[Memo, ...]:
    """What `encode_memos` wrote; SipSyntaxError for anything else."""
    try:
        return msgspec.json.decode(text, type=tuple[Memo, ...])
    except msgspec.DecodeError as error:
        raise SipSyntaxError(f"this is no memo of a call: {error}") from error
