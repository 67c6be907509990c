"""One datagram is one message: start line, headers, as many body bytes as Content-Length says."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import SipSyntaxError
from callwright.sip.message import Headers, Message, Request, Response
from callwright.sip.parse import (
    MOST_HEADER_LINES,
    MOST_LINE_CHARS,
    MOST_MESSAGE_BYTES,
    BrokenRequest,
    is_keepalive,
    parse,
    serialize,
)

OPTIONS = b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCall-ID: c1\r\n"


def parse_request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def test_a_request_is_read() -> None:
    request = parse_request(OPTIONS + b"l: 2\r\n\r\nhi")
    assert (request.method, request.uri, request.body) == ("OPTIONS", "sip:a@example.com", b"hi")
    assert list(request.headers) == [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("Call-ID", "c1"),
        ("Content-Length", "2"),
    ]


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"SIP/2.0 200 OK", 200, "OK"),
        (b"SIP/2.0 100 ", 100, ""),
        (b"SIP/2.0 180", 180, ""),
        (b"sip/2.0 486 Busy  Here ", 486, "Busy  Here "),
        (b"SIP/2.0 699 \xd0\xbd\xd0\xbe", 699, "но"),
    ],
)
def test_a_status_line_is_read(line: bytes, status: int, reason: str) -> None:
    message = parse(line + b"\r\nCall-ID: x\r\n\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


@pytest.mark.parametrize(
    "line",
    [
        b"SIP/2.0 99 Low",
        b"SIP/2.0 700 High",
        b"SIP/2.0 0200 OK",
        b"SIP/2.0 2000 OK",
        b"SIP/2.0 abc",
        b"SIP/2.0",
        b"SIP/3.0 200 OK",
    ],
)
def test_a_response_with_a_broken_status_line_is_dropped(line: bytes) -> None:
    with pytest.raises(SipSyntaxError) as raised:
        parse(line + b"\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n")
    assert not isinstance(raised.value, BrokenRequest)


def test_folded_lines_are_one_value() -> None:
    request = parse_request(OPTIONS + b"Subject: one\r\n two\r\n\t three\r\nTo:\r\n  sip:a@example.com\r\n\r\n")
    assert request.headers.get("Subject") == "one two three"
    assert request.headers.get("To") == "sip:a@example.com"


def test_empty_lines_before_the_start_line_are_ignored() -> None:
    assert parse_request(b"\r\n\r\n" + OPTIONS + b"\r\n").headers.get("Call-ID") == "c1"


def test_bytes_behind_content_length_are_dropped() -> None:
    assert parse_request(OPTIONS + b"l: 1\r\n\r\nhi there").body == b"h"


def test_without_content_length_the_datagram_ends_the_body() -> None:
    assert parse_request(OPTIONS + b"\r\nhi\r\n\r\nthere").body == b"hi\r\n\r\nthere"


@pytest.mark.parametrize("length", ["3", "-1", "+1", "1.0", "0x1", "", "9" * 5_000, "1, 1", "\u0662", "1\r\nl: 1"])
def test_a_wrong_content_length_is_400_for_a_request_and_drops_a_response(length: str) -> None:
    with pytest.raises(BrokenRequest) as raised:
        parse(OPTIONS + f"Content-Length: {length}\r\n\r\nhi".encode())
    assert raised.value.status == 400
    assert raised.value.request.headers.get("Call-ID") == "c1"
    with pytest.raises(SipSyntaxError) as dropped:
        parse(f"SIP/2.0 200 OK\r\nVia: x\r\nl: {length}\r\n\r\nhi".encode())
    assert not isinstance(dropped.value, BrokenRequest)


@pytest.mark.parametrize(
    ("start_line", "status", "method"),
    [
        (b"INVITE  sip:a@example.com SIP/2.0", 400, "INVITE"),
        (b"INVITE sip:a@example.com SIP/2.0 ", 400, "INVITE"),
        (b"INVITE SIP/2.0", 400, "INVITE"),
        (b" INVITE sip:a@example.com SIP/2.0", 400, ""),
        (b"ACK sip:a@example.com SIP/3.0", 505, "ACK"),
    ],
)
def test_a_broken_request_line_is_answerable(start_line: bytes, status: int, method: str) -> None:
    with pytest.raises(BrokenRequest) as raised:
        parse(start_line + b"\r\nv: SIP/2.0/UDP 192.0.2.1\r\nCall-ID: c2\r\n\r\n")
    assert raised.value.status == status
    assert raised.value.request.method == method
    assert raised.value.request.headers.get("Via") == "SIP/2.0/UDP 192.0.2.1"
    assert raised.value.request.headers.get("Call-ID") == "c2"


@pytest.mark.parametrize("line", [b"no colon", b"Sub ject: x", b": empty", b"Na(me: x", b"C\xc3\xb6lor: x"])
def test_a_bad_header_line_is_left_out_and_answered(line: bytes) -> None:
    with pytest.raises(BrokenRequest) as raised:
        parse(OPTIONS + line + b"\r\nSubject: kept\r\n\r\n")
    assert [name for name, _ in raised.value.request.headers] == ["Via", "Call-ID", "Subject"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"hello",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x00" * 80,
        b"OPTIONS sip:a SIP/2.0\r\nCall-ID: x\r\nl: -1\r\n\r\n",  # without Via nobody can be answered
        OPTIONS + b"Subject: a\rb\r\n\r\n",
        OPTIONS + b"Subject: a\nFrom: b\r\n\r\n",
        OPTIONS.replace(b"\r\n", b"\n") + b"\n",
    ],
)
def test_what_is_not_sip_is_dropped(data: bytes) -> None:
    with pytest.raises(SipSyntaxError) as raised:
        parse(data)
    assert not isinstance(raised.value, BrokenRequest)


def test_a_header_without_an_end_is_400() -> None:
    with pytest.raises(BrokenRequest):
        parse(OPTIONS)


@pytest.mark.parametrize(
    "data",
    [
        OPTIONS + b"\r\n" + b"x" * MOST_MESSAGE_BYTES,
        OPTIONS + b"X: y\r\n" * (MOST_HEADER_LINES - 1) + b"\r\n",
        OPTIONS + b"X: " + b"y" * MOST_LINE_CHARS + b"\r\n\r\n",
        OPTIONS + b"X: " + b"y\r\n " * MOST_LINE_CHARS + b"\r\n\r\n",
    ],
)
def test_limits_stand_before_the_work(data: bytes) -> None:
    with pytest.raises(SipSyntaxError) as raised:
        parse(data)
    assert raised.value.status == 513


def test_as_many_headers_as_allowed_are_read() -> None:
    assert len(parse_request(OPTIONS + b"X: y\r\n" * (MOST_HEADER_LINES - 2) + b"\r\n").headers) == MOST_HEADER_LINES


def test_a_display_name_in_another_code_page_costs_only_the_name() -> None:
    request = parse_request(OPTIONS + b'From: "Jos\xe9" <sip:j@example.com>;tag=1\r\n\r\n')
    assert request.headers.get("From") == '"Jos\ufffd" <sip:j@example.com>;tag=1'


@pytest.mark.parametrize(("data", "answer"), [(b"\r\n\r\n", True), (b"", True), (b"\0", True), (b"\r\nx", False)])
def test_keepalives_are_told(data: bytes, answer: bool) -> None:
    assert is_keepalive(data) is answer


def test_serialize_counts_the_body_whatever_the_headers_say() -> None:
    request = Request("INVITE", "sip:a@example.com", Headers([("l", "99"), ("To", "x")]), "é".encode())
    assert serialize(request) == b"INVITE sip:a@example.com SIP/2.0\r\nTo: x\r\nContent-Length: 2\r\n\r\n\xc3\xa9"


def test_a_response_is_serialized() -> None:
    assert serialize(Response(180, "Ringing", Headers([("CSeq", "1 INVITE")]))) == (
        b"SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    "message",
    [
        Request("INVITE", "sip:a@example.com", Headers([("Subject", "x\r\nRoute: <sip:evil.example.com>")])),
        Request("INVITE", "sip:a@example.com", Headers([("Subject", "x\ny")])),
        Request("INVITE", "sip:a@example.com\r\nX: y", Headers()),
        Request("INVITE", "sip:a b@example.com", Headers()),
        Request("INVITE", "", Headers()),
        Request("IN VITE", "sip:a@example.com", Headers()),
        Request("INVITE", "sip:a@example.com", Headers([("Subject", "\ud800")])),
        Response(200, "OK\r\nX: y", Headers()),
    ],
)
def test_nothing_can_be_smuggled_into_a_message(message: Message) -> None:
    with pytest.raises(SipSyntaxError):
        serialize(message)


TOKENS = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).map(lambda text: text.strip(" \t"))
HEADERS = st.lists(st.tuples(TOKENS, VALUES), max_size=8).map(
    lambda items: Headers((name, value) for name, value in items if name.lower() not in ("l", "content-length"))
)


@given(TOKENS, HEADERS, st.binary(max_size=60))
def test_a_request_survives_the_wire(method: str, headers: Headers, body: bytes) -> None:
    request = Request(method, "sip:a@example.com", headers, body)
    if method.upper().startswith("SIP"):
        method = request.method = "X" + method
    read = parse_request(serialize(request))
    assert read.headers.get("Content-Length") == str(len(body))
    read.headers.remove("Content-Length")
    assert read == request


@given(st.integers(100, 699), VALUES, HEADERS, st.binary(max_size=60))
def test_a_response_survives_the_wire(status: int, reason: str, headers: Headers, body: bytes) -> None:
    response = Response(status, reason, headers, body)
    read = parse(serialize(response))
    assert isinstance(read, Response)
    read.headers.remove("Content-Length")
    assert read == response
