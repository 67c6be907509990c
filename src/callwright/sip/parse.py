"""Bytes of one datagram ↔ one SIP message (RFC 3261 §7, §18.3, §25).

`parse` looks only at what the message's shape needs: lines, start line, header names, Content-Length. What the headers
say is judged by `validation.py`, so that a message for nobody costs little. Limits stand before the work.
"""

import re

from callwright.errors import SipSyntaxError
from callwright.sip.lexis import decimal, is_token
from callwright.sip.message import KNOWN_NAMES, Headers, Message, Request, Response

MOST_MESSAGE_BYTES = 65_535
MOST_HEADER_LINES = 256
MOST_LINE_CHARS = 8_192
"""One header with its folded lines, or the start line."""

_SIP_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_FOLD = re.compile(r"\r\n[ \t]+")
_BAD_REQUEST, _VERSION_NOT_SUPPORTED, _MESSAGE_TOO_LARGE = 400, 505, 513


class BrokenRequest(SipSyntaxError):
    """A request that is wrong, with what is needed to answer it (`status`).

    `request` holds every header that could be read; its method is "" and its URI "" when the start line hides them, and
    its body is empty. At least one Via line is there, perhaps a broken one: then answer to where it came from. Nobody
    answers an ACK.
    """

    def __init__(self, message: str, status: int, request: Request) -> None:
        super().__init__(message, status)
        self.request = request


def is_keepalive(data: bytes) -> bool:
    """Whether a datagram is only line ends (or empty), as NAT keep-alives are (RFC 5626 §3.5.1)."""
    return not data.strip(b"\r\n\x00")


def parse(data: bytes) -> Message:
    """Read the message that one datagram holds; bytes behind Content-Length are dropped (RFC 3261 §18.3).

    Raises BrokenRequest (400, 505, 513) when it is a request that can be answered, and SipSyntaxError when there is
    nothing to do but to drop it: not SIP at all, or a broken response.
    """
    if len(data) > MOST_MESSAGE_BYTES:
        raise SipSyntaxError(f"a message of {len(data)} bytes", _MESSAGE_TOO_LARGE)
    data = data.lstrip(b"\r\n")  # RFC 3261 §7.5: empty lines before the start line are ignored
    head, blank_line, rest = data.partition(b"\r\n\r\n")
    # SIP is UTF-8; a display name in another code page costs that name, not the call.
    lines = _lines(head.decode("utf-8", "replace").removesuffix("\r\n"))
    start_line = lines[0]
    if start_line[:4].upper() == "SIP/":
        return _response(start_line, _headers(lines), rest, complete=bool(blank_line))
    if not _looks_like_request(start_line):
        raise SipSyntaxError("neither a request nor a response")
    return _request(start_line, lines, rest, complete=bool(blank_line))


def serialize(message: Message) -> bytes:
    """The bytes to send; Content-Length is computed, whatever the headers say.

    Raises SipSyntaxError when a part would break the message apart: line ends in a value, a space in the URI.
    """
    if isinstance(message, Request):
        if not is_token(message.method) or not _can_be_uri(message.uri):
            raise SipSyntaxError(f"not a request line: {message.method[:40]!r} {message.uri[:80]!r}")
        lines = [f"{message.method} {message.uri} SIP/2.0"]
    else:
        lines = [f"SIP/2.0 {message.status:03d} {message.reason}"]
    lines += [f"{name}: {value}" for name, value in message.headers if name != "Content-Length"]
    lines.append(f"Content-Length: {len(message.body)}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise SipSyntaxError("a line end inside a header value")
    try:
        return text.encode() + b"\r\n\r\n" + message.body
    except UnicodeEncodeError:
        raise SipSyntaxError("a header value that is not Unicode text") from None


def _lines(text: str) -> list[str]:
    """The start line and the unfolded header lines (RFC 3261 §7.3.1)."""
    line_ends = text.count("\r\n")
    if text.count("\n") != line_ends or text.count("\r") != line_ends:
        raise SipSyntaxError("a bare CR or LF in the header")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    if len(lines) > MOST_HEADER_LINES + 1:
        raise SipSyntaxError(f"{len(lines) - 1} header lines", _MESSAGE_TOO_LARGE)
    if max(map(len, lines)) > MOST_LINE_CHARS:
        raise SipSyntaxError(f"a line longer than {MOST_LINE_CHARS} characters", _MESSAGE_TOO_LARGE)
    return lines


def _headers(lines: list[str]) -> tuple[Headers, str | None]:
    """The headers, and what was wrong with the first bad line; bad lines are left out."""
    items: list[tuple[str, str]] = []
    fault = None
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if name not in KNOWN_NAMES:
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                fault = fault or f"not a header line: {line[:40]!r}"
                continue
        items.append((name, value.strip(" \t")))
    return Headers(items), fault


def _looks_like_request(start_line: str) -> bool:
    """Whether the line is near enough to a Request-Line that its sender deserves an answer."""
    words = start_line.split()
    return len(words) >= 2 and is_token(words[0]) and _SIP_VERSION.fullmatch(words[-1]) is not None


def _can_be_uri(text: str) -> bool:
    """Whether the text is one word without control characters, as far as the request line cares."""
    return text != "" and text.isprintable() and " " not in text


def _request(start_line: str, lines: list[str], rest: bytes, *, complete: bool) -> Request:
    headers, fault = _headers(lines)
    words = start_line.split(" ")
    request = Request("", "", headers)
    status = _BAD_REQUEST
    if start_line.split()[-1].upper() != "SIP/2.0":
        fault, status = f"version {start_line.split()[-1]!r}", _VERSION_NOT_SUPPORTED
    elif len(words) != 3 or not is_token(words[0]) or not _can_be_uri(words[1]):
        fault = "the request line is not three words with one space between (RFC 3261 §7.1)"
    if is_token(words[0]):
        request.method = words[0]
    if len(words) == 3:
        request.uri = words[1]
    if fault is None and not complete:
        fault = "no empty line after the headers"
    if fault is None:
        try:
            request.body = _body(headers, rest)
        except SipSyntaxError as error:
            fault = str(error)
    if fault is None:
        return request
    if "Via" not in headers:
        raise SipSyntaxError(fault, status)
    raise BrokenRequest(fault, status, request)


def _response(start_line: str, read: tuple[Headers, str | None], rest: bytes, *, complete: bool) -> Response:
    headers, fault = read
    version, _, status_and_reason = start_line.partition(" ")
    digits, _, reason = status_and_reason.partition(" ")
    status = decimal(digits, 699) if len(digits) == 3 else None
    if version.upper() != "SIP/2.0" or status is None or status < 100:
        raise SipSyntaxError(f"not a status line: {start_line[:40]!r}")
    if fault or not complete:
        raise SipSyntaxError(fault or "no empty line after the headers")
    return Response(status, reason, headers, _body(headers, rest))


def _body(headers: Headers, rest: bytes) -> bytes:
    """What Content-Length cuts out of the datagram; all of it when there is none (RFC 3261 §18.3)."""
    lengths = headers.all("Content-Length")
    if not lengths:
        return rest
    if len(lengths) > 1:
        raise SipSyntaxError("more than one Content-Length")
    length = decimal(lengths[0], MOST_MESSAGE_BYTES)
    if length is None:
        raise SipSyntaxError(f"Content-Length {lengths[0][:20]!r}")
    if length > len(rest):
        raise SipSyntaxError(f"Content-Length {length}, but {len(rest)} bytes follow")
    return rest[:length]
