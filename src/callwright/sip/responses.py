"""Responses: which headers are the request's (RFC 3261 §8.2.6) and where they go (§18.2.2, RFC 3581)."""

from collections.abc import Sequence
from dataclasses import replace

from callwright.sip.envelope import Envelope
from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import Address
from callwright.sip.streams import TCP, StreamAddress

DEFAULT_PORT = 5060
REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}
CLASS_REASONS = {
    1: "Progress",
    2: "OK",
    3: "Redirected",
    4: "Request Failure",
    5: "Server Failure",
    6: "Global Failure",
}


def reason_phrase(status: int) -> str:
    """The RFC's words for a status; its class's for one without."""
    return REASONS.get(status) or CLASS_REASONS[status // 100]


def mark_source(request: Request, envelope: Envelope) -> None:
    """Note in the topmost Via where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4)."""
    host, port = envelope.source
    via = envelope.via
    # "If the host portion of the sent-by parameter contains a domain name, or if it contains an IP address that differs
    # from the packet source address, the server MUST add a received parameter"; with rport it MUST be added always.
    if via.host == host and not via.wants_rport:
        return
    marks = {"received": host, "rport": str(port)} if via.wants_rport else {"received": host}
    marked = replace(via, params={**via.params, **marks})
    hops = request.headers.values("Via")
    request.headers.remove("Via")
    for hop in reversed([str(marked), *hops[1:]]):
        request.headers.insert_first("Via", hop)


def answer_address(envelope: Envelope) -> Address:
    """Where responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4): on a stream, over the connection it came on."""
    if isinstance(envelope.source, StreamAddress):
        return envelope.source
    host, port = envelope.source
    # The address the packet came from is where `received` points; only the port depends on what the peer asked for.
    return (host, port if envelope.via.wants_rport else envelope.via.port or DEFAULT_PORT)


def sent_by_address(envelope: Envelope) -> Address | None:
    """Where a response goes whose connection is gone (RFC 3261 §18.2.2); None when there is nowhere else.

    "If that connection is no longer open, the server SHOULD open a connection to the IP address in the received
    parameter, if present, using the port in the sent-by value, or the default port for that transport". Over TLS nobody
    could say whose certificate to expect there.
    """
    source = envelope.source
    if not isinstance(source, StreamAddress) or not source.by_peer or source.transport != TCP:
        return None
    return StreamAddress(source[0], envelope.via.port or DEFAULT_PORT, TCP)


def response_to(
    request: Request,
    status: int,
    reason: str = "",
    *,
    to_tag: str = "",
    extra: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """A response: From, Call-ID, CSeq and Via are the request's, To gets our tag unless it has one (§8.2.6.2)."""
    asked = request.headers
    headers = Headers([("Via", hop) for hop in asked.all("Via")])
    for name in ("From", "To", "Call-ID", "CSeq"):
        for value in asked.all(name):
            headers.add(name, f"{value};tag={to_tag}" if name == "To" and to_tag else value)
    for name, value in extra:
        headers.add(name, value)
    return Response(status, reason or reason_phrase(status), headers, body)
