"""A request is refused for what RFC 3261 §8.1.1 and §8.2 say, with the status they say."""

import pytest

from callwright.errors import SipSyntaxError
from callwright.sip.message import Headers, Request, Response
from callwright.sip.parse import BrokenRequest
from callwright.sip.validation import media_type, refusal, validate_request, validate_response

METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS")


def invite(changes: dict[str, str | None] | None = None, more: tuple[tuple[str, str], ...] = ()) -> Request:
    """A good INVITE with some headers changed, taken out (None) or added."""
    headers = Headers(
        [
            ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
            ("From", "<sip:a@example.com>;tag=1"),
            ("To", "<sip:b@example.com>"),
            ("Call-ID", "c1@192.0.2.1"),
            ("CSeq", "1 INVITE"),
            ("Max-Forwards", "70"),
            ("Contact", "<sip:a@192.0.2.1>"),
            ("Content-Type", "application/sdp"),
        ]
    )
    for name, value in (changes or {}).items():
        if value is None:
            headers.remove(name)
        else:
            headers.set(name, value)
    for name, value in more:
        headers.add(name, value)
    return Request("INVITE", "sip:b@example.com", headers, b"v=0")


def test_a_good_request_passes() -> None:
    validate_request(invite())
    assert refusal(invite(), METHODS) is None


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq"])
def test_a_missing_header_is_400(name: str) -> None:
    with pytest.raises(BrokenRequest) as raised:
        validate_request(invite({name: None}))
    assert raised.value.status == 400
    assert raised.value.request.headers.get("Via")


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type"])
def test_a_doubled_header_is_400(name: str) -> None:
    request = invite()
    request.headers.add(name, request.headers.get(name) or "")
    with pytest.raises(BrokenRequest):
        validate_request(request)


def test_without_a_via_nobody_is_answered() -> None:
    with pytest.raises(SipSyntaxError) as raised:
        validate_request(invite({"Via": None}))
    assert not isinstance(raised.value, BrokenRequest)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Via", "SIP/2.0/UDP"),
        ("Via", "SIP/2.0/UDP 192.0.2.1, "),
        ("From", "nobody"),
        ("To", "<sip:b@exa mple.com>"),
        ("Call-ID", "a b"),
        ("Call-ID", ""),
        ("CSeq", "1 BYE"),
        ("CSeq", "1 invite"),
        ("CSeq", "2147483648 INVITE"),
        ("Max-Forwards", "256"),
        ("Max-Forwards", "-1"),
        ("Max-Forwards", "many"),
        ("Contact", "sip:a@192.0.2.1?x=y"),
        ("Contact", "<sip:a@192.0.2.1>,"),
        ("Route", "sip:a@192.0.2.1"),
        ("Record-Route", "<sip:a@>"),
        ("Require", "100rel,,timer"),
        ("Accept", "a/b,"),
    ],
)
def test_an_unreadable_header_is_400(name: str, value: str) -> None:
    with pytest.raises(BrokenRequest) as raised:
        validate_request(invite({name: value}))
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:b@", 400),
        ("sip:b@example.com?Route=%3Csip:evil.example.com%3E", 400),
        ("sip:b@example.com;method=BYE", 400),
        ("<sip:b@example.com>", 400),
        ("tel:+6512345678", 416),
        ("http://example.com", 416),
    ],
)
def test_a_request_uri_that_leads_nowhere_is_refused(uri: str, status: int) -> None:
    request = invite()
    request.uri = uri
    with pytest.raises(BrokenRequest) as raised:
        validate_request(request)
    assert raised.value.status == status


@pytest.mark.parametrize(
    "changes",
    [
        {"Max-Forwards": None},
        {"Max-Forwards": "0"},
        {"Contact": "*"},
        {"Date": "Fri, 01 Jan 2010 16:00:00 EST"},
        {"From": "<tel:+6512345678>;tag=1"},
        {"Supported": ""},
    ],
)
def test_what_harms_nobody_passes(changes: dict[str, str | None]) -> None:
    validate_request(invite(changes))


def test_a_method_that_is_not_allowed_is_405_and_an_unknown_one_501() -> None:
    request = invite()
    request.method = "REFER"
    refused = refusal(request, METHODS)
    assert refused
    assert (refused.status, refused.headers) == (405, (("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS"),))
    request.method = "DANCE"
    refused = refusal(request, METHODS)
    assert refused
    assert refused.status == 501


def test_an_extension_must_be_supported_when_it_is_required() -> None:
    request = invite({"Require": "100rel, TIMER"})
    assert refusal(request, METHODS, extensions=("100REL", "timer")) is None
    refused = refusal(request, METHODS, extensions=("timer",))
    assert refused
    assert (refused.status, refused.headers) == (420, (("Unsupported", "100rel"),))
    request.method = "ACK"
    assert refusal(request, METHODS) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": None}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "identity"}, None),
        ({"Content-Type": "Application / SDP ;charset=utf-8"}, None),
        ({"Content-Type": "text/plain", "Content-Disposition": "render; handling=optional"}, None),
        ({"Accept": "text/plain"}, 406),
        ({"Accept": "text/plain, application/sdp;level=1"}, None),
        ({"Accept": "*/*"}, None),
    ],
)
def test_a_body_must_be_readable_and_the_answer_acceptable(changes: dict[str, str | None], status: int | None) -> None:
    refused = refusal(invite(changes), METHODS)
    assert (refused.status if refused else None) == status


def test_who_refuses_a_body_says_what_it_reads() -> None:
    refused = refusal(invite({"Content-Type": "text/plain"}), METHODS)
    assert refused
    assert dict(refused.headers)["Accept"] == "application/sdp"


def test_a_response_for_somebody_else_is_dropped() -> None:
    headers = invite().headers
    assert validate_response(Response(200, "OK", headers)).branch == "z9hG4bK1"
    headers.add("Via", "SIP/2.0/UDP 192.0.2.2")
    with pytest.raises(SipSyntaxError):
        validate_response(Response(200, "OK", headers))


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_response_without_a_needed_header_is_dropped(name: str) -> None:
    with pytest.raises(SipSyntaxError):
        validate_response(Response(200, "OK", invite({name: None}).headers))


def test_a_media_type_is_compared_without_its_parameters() -> None:
    assert media_type('Text/Plain; charset="utf-8"') == "text/plain"
