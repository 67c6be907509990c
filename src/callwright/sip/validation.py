"""What a server answers to a message that parses but says something wrong (RFC 3261 §8.1.1, §8.2, §18.1.2).

`validate_request` finds requests that are wrong for everybody (400, 416); `refusal` finds those that are right but ask
for what we do not do (405, 501, 416, 420, 415, 406), in the order of RFC 3261 §8.2. `validate_response` says which
responses to drop. The verdicts of RFC 4475 hold them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from callwright.errors import SipSyntaxError
from callwright.sip.address import CSeq, NameAddr, SipUri, Via, parse_vias
from callwright.sip.lexis import decimal
from callwright.sip.message import Headers, Request, Response
from callwright.sip.parse import BrokenRequest

KNOWN_METHODS = frozenset(
    (
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    )
)
"""Methods that have an RFC: refused with 405 where they are not allowed; others are unknown, 501."""

_ONCE_REQUIRED = ("From", "To", "Call-ID", "CSeq")
_ONCE_ALLOWED = ("Max-Forwards", "Content-Type", "Expires", "Date")
_MOST_FORWARDS = 255


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final answer to a good request that asks for too much; `headers` are those the status demands."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


def validate_request(request: Request) -> None:
    """Raise BrokenRequest (400 or 416) when a required header is missing, doubled or unreadable (RFC 3261 §8.1.1).

    SipSyntaxError instead when there is no Via: nobody can be answered. A missing Max-Forwards (RFC 2543 peers) and a
    Date in another time zone, which nobody reads, are let pass.
    """
    if "Via" not in request.headers:
        raise SipSyntaxError("no Via")
    try:
        _check_common(request.headers)
        _check_cseq(request)
        _check_request_uri(request)
        _check_forwards(request)
    except SipSyntaxError as error:
        raise BrokenRequest(str(error), error.status, request) from error


def validate_response(response: Response) -> Via:
    """The one Via of a response for us; SipSyntaxError when the response must be dropped (RFC 3261 §8.1.3.3)."""
    vias = _check_common(response.headers)
    CSeq.parse(response.headers.get("CSeq") or "")
    if len(vias) > 1:
        raise SipSyntaxError("a response with more than one Via is for somebody else")
    return vias[0]


def refusal(
    request: Request,
    methods: Sequence[str],
    extensions: Collection[str] = (),
    content_types: Sequence[str] = ("application/sdp",),
) -> Refusal | None:
    """What a user agent server answers instead of doing it (RFC 3261 §8.2), for a request that is valid; None: do it.

    `methods` are those allowed here, `extensions` the option tags we support, `content_types` the bodies we read. ACK
    gets no answer, so the caller drops it instead.
    """
    method = request.method
    if method not in methods:
        if method in KNOWN_METHODS:
            return Refusal(405, "Method Not Allowed", (("Allow", ", ".join(methods)),))
        return Refusal(501, "Not Implemented", (("Allow", ", ".join(methods)),))
    if method not in ("ACK", "CANCEL"):
        supported = {tag.lower() for tag in extensions}
        missing = [tag for tag in request.headers.values("Require") if tag.lower() not in supported]
        if missing:
            return Refusal(420, "Bad Extension", (("Unsupported", ", ".join(missing)),))
    if method == "REGISTER" and not _is_sip(NameAddr.parse(request.headers.get("To") or "").uri):
        return Refusal(400, "Address Of Record Is Not A SIP URI")  # RFC 3261 §10.3 step 5
    return _content_refusal(request, content_types)


def _is_sip(uri: str) -> bool:
    return uri.partition(":")[0].lower() in ("sip", "sips")


def _content_refusal(request: Request, content_types: Sequence[str]) -> Refusal | None:
    readable = {content_type.lower() for content_type in content_types}
    if request.body:
        content_type = media_type(request.headers.get("Content-Type") or "")
        coding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
        optional = "handling=optional" in (request.headers.get("Content-Disposition") or "").replace(" ", "").lower()
        if (content_type not in readable or coding != "identity") and not optional:
            demanded = (("Accept", ", ".join(content_types)), ("Accept-Encoding", "identity"))
            return Refusal(415, "Unsupported Media Type", demanded)
    if request.method == "INVITE" and "Accept" in request.headers:
        accepted = {media_type(value) for value in request.headers.values("Accept")}
        if accepted.isdisjoint({"*/*", "application/*", *readable}):
            return Refusal(406, "Not Acceptable")
    return None


def media_type(value: str) -> str:
    """`application/sdp` out of a Content-Type or Accept value, lower case, parameters cut off."""
    return "/".join(part.strip() for part in value.partition(";")[0].lower().split("/"))


def _check_common(headers: Headers) -> list[Via]:
    """Headers every message has, and the shape of addresses that somebody will follow; the Vias."""
    for name in _ONCE_REQUIRED:
        lines = headers.all(name)
        if len(lines) != 1 or not lines[0]:
            raise SipSyntaxError(f"{len(lines)} {name} headers" if lines != [""] else f"{name} is empty")
    for name in headers.repeated():
        if name in _ONCE_ALLOWED:
            raise SipSyntaxError(f"more than one {name}")
    vias = parse_vias(headers.all("Via"))
    call_id = headers.get("Call-ID") or ""
    if " " in call_id or not call_id.isprintable():
        raise SipSyntaxError("a space or a control character in Call-ID")
    for name in ("Require", "Accept"):
        headers.values(name)
    _check_addresses(headers)
    return vias


def _check_addresses(headers: Headers) -> None:
    for name in ("From", "To"):
        NameAddr.parse(headers.get(name) or "")
    contacts = headers.values("Contact")
    if contacts != ["*"]:
        for value in contacts:
            NameAddr.parse(value)
    for name in ("Route", "Record-Route"):
        for value in headers.values(name):
            if "<" not in value:
                raise SipSyntaxError(f"{name} needs '<>'")
            NameAddr.parse(value)


def _check_cseq(request: Request) -> None:
    cseq = CSeq.parse(request.headers.get("CSeq") or "")
    if cseq.method != request.method:
        raise SipSyntaxError(f"CSeq is for {cseq.method[:40]!r}, the request is {request.method[:40]!r}")


def _check_forwards(request: Request) -> None:
    forwards = request.headers.get("Max-Forwards")
    if forwards is not None and decimal(forwards, _MOST_FORWARDS) is None:
        raise SipSyntaxError(f"Max-Forwards {forwards[:20]!r}")


def _check_request_uri(request: Request) -> None:
    uri = SipUri.parse(request.uri)
    if uri.headers or "method" in uri.params:
        # RFC 3261 §19.1.1: neither may stand in a Request-URI; acting on them would let a caller write our headers.
        raise SipSyntaxError("headers in the Request-URI")
