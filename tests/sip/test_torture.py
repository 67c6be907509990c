"""The 49 messages of RFC 4475, each held to the RFC's verdict."""

from pathlib import Path

import pytest
from fuzz.targets import read_message

from callwright.errors import DigestError, SipSyntaxError
from callwright.sip import sdp
from callwright.sip.address import CSeq, NameAddr, SipUri, Via, parse_vias
from callwright.sip.digest import parse_authorization
from callwright.sip.message import Request, Response
from callwright.sip.parse import BrokenRequest, parse, serialize
from callwright.sip.validation import refusal, validate_request, validate_response

CORPUS = Path(__file__).parent / "rfc4475"
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER")
OK, DROPPED = "ok", "dropped"

VERDICTS: dict[str, str | int] = {
    # §3.1.1 valid messages
    "wsinv": OK,
    "intmeth": 501,
    "esc01": OK,
    "escnull": OK,
    "esc02": 501,  # %47 in a method is not an escape: this is no REGISTER
    "lwsdisp": OK,
    "longreq": OK,
    "dblreq": OK,
    "semiuri": OK,
    "transports": OK,
    "mpart01": 405,
    "unreason": OK,
    "noreason": OK,
    # §3.1.2 invalid messages
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "scalarlg": DROPPED,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "escruri": 400,
    "baddate": OK,  # the RFC allows 400 or reading past it; nobody here reads Date
    "regbadct": 400,
    "badaspec": 400,
    "baddn": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,  # the RFC allows 501 as well
    "bigcode": DROPPED,
    # §3.2 transaction layer
    "badbranch": OK,
    # §3.3 application layer
    "insuf": 400,
    "unkscm": 416,
    "novelsc": 416,
    "unksm2": 400,
    "bext01": 420,
    "invut": 415,
    "regaut01": OK,  # whoever demands credentials answers 401: test_credentials_of_an_unknown_scheme
    "multi01": 400,
    "mcl01": 400,
    "bcast": DROPPED,
    "zeromf": OK,  # we are where it ends: Max-Forwards 0 only stops who forwards
    "cparam01": OK,
    "cparam02": OK,
    "regescrt": OK,
    "sdp01": 406,
    "inv2543": OK,
}


def read(name: str) -> bytes:
    return (CORPUS / f"{name}.dat").read_bytes()


def request(name: str) -> Request:
    message = parse(read(name))
    assert isinstance(message, Request)
    validate_request(message)
    return message


def verdict(data: bytes) -> str | int:
    """What a user agent that allows METHODS does with a datagram."""
    try:
        message = parse(data)
        if isinstance(message, Response):
            validate_response(message)
            return OK
        validate_request(message)
    except BrokenRequest as error:
        return error.status
    except SipSyntaxError:
        return DROPPED
    refused = refusal(message, METHODS)
    return refused.status if refused else OK


def test_every_file_has_a_verdict() -> None:
    assert {path.stem for path in CORPUS.glob("*.dat")} == set(VERDICTS)
    assert len(VERDICTS) == 49


@pytest.mark.parametrize(("name", "expected"), VERDICTS.items())
def test_the_verdict_is_the_rfcs(name: str, expected: str | int) -> None:
    assert verdict(read(name)) == expected


@pytest.mark.parametrize("name", [name for name, expected in VERDICTS.items() if expected != DROPPED])
def test_what_was_read_survives_the_wire(name: str) -> None:
    try:
        message = parse(read(name))
    except BrokenRequest:
        return
    again = parse(serialize(message))
    for one in (message, again):
        one.headers.remove("Content-Length")
    assert again == message


@pytest.mark.parametrize(
    "name", [name for name, expected in VERDICTS.items() if expected in (400, 416, 505) and name != "unksm2"]
)
def test_who_is_refused_can_be_answered(name: str) -> None:
    with pytest.raises(BrokenRequest) as raised:
        request(name)
    assert len(raised.value.request.headers.all("Via")) == 1
    assert raised.value.request.method


def test_the_tortuous_invite_is_understood() -> None:
    """§3.1.1.1."""
    message = request("wsinv")
    to = NameAddr.parse(message.headers.get("To") or "")
    assert (to.uri, to.tag) == ("sip:vivekg@chair-dnrc.example.com", "1918181833n")
    sender = NameAddr.parse(message.headers.get("From") or "")
    assert (sender.display, sender.uri, sender.tag) == ('J Rosenberg \\"', "sip:jdrosen@example.com", "98asjd8")
    assert str(CSeq.parse(message.headers.get("CSeq") or "")) == "9 INVITE"
    assert message.headers.get("Max-Forwards") == "0068"
    assert [(via.transport, via.host, via.branch) for via in parse_vias(message.headers.all("Via"))] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    contact = NameAddr.parse(message.headers.values("Contact")[0])
    assert (contact.display, contact.params) == (
        'Quoted string ""',
        {"newparam": "newvalue", "secondparam": None, "q": "0.33"},
    )
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("Subject") == ""
    route = SipUri.parse(NameAddr.parse(message.headers.values("Route")[0]).uri)
    assert route.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    assert len(message.body) == 150
    assert sdp.parse(message.body).media[0].port == 49217


def test_unusual_characters_are_kept() -> None:
    """§3.1.1.2."""
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    uri = SipUri.parse(message.uri)
    assert uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert NameAddr.parse(message.headers.get("To") or "").display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    sender = NameAddr.parse(message.headers.get("From") or "")
    assert sender.display == "token1~` token2'+_ token3*%!.-"
    assert sender.params["fromparam''~+*_!.-%"] == '"работающий"'
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_are_undone_once() -> None:
    """§3.1.1.3."""
    message = request("esc01")
    assert SipUri.parse(message.uri).decoded_user == "sips:user@example.com"
    contact = NameAddr.parse(message.headers.get("Contact") or "").sip_uri
    assert contact.decoded_user == "caller"
    assert contact.params == {"%6c%72": None, "n%61me": "v%61lue%25%34%31"}
    assert contact.matches(SipUri.parse("sip:caller@host5.example.net;lr;name=value%2541"))


def test_null_escapes_are_characters() -> None:
    """§3.1.1.4."""
    assert SipUri.parse(request("escnull").headers.get("To") or "").decoded_user == "null-\0-null"


def test_an_escaped_method_and_header_are_other_names() -> None:
    """§3.1.1.5."""
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert len(message.headers.all("Contact")) == 2
    assert message.headers.get("C%6Fntact") == "<sip:alias2@host2.example.com>"
    assert NameAddr.parse(message.headers.get("To") or "").display == "%Z%45"


def test_all_hops_of_a_long_request_are_read() -> None:
    """§3.1.1.7."""
    hosts = [via.host for via in parse_vias(request("longreq").headers.all("Via"))]
    assert hosts == [f"sip{number}.example.com" for number in range(33, 0, -1)] + ["host.example.com"]


def test_the_second_request_in_a_datagram_is_ignored() -> None:
    """§3.1.1.8."""
    message = request("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")


def test_a_semicolon_belongs_to_the_user() -> None:
    """§3.1.1.9."""
    uri = SipUri.parse(request("semiuri").uri)
    assert (uri.user, uri.params) == ("user;par=u%40example.net", {})
    assert uri.decoded_user == "user;par=u@example.net"


def test_every_transport_name_is_read() -> None:
    """§3.1.1.10."""
    vias = parse_vias(request("transports").headers.all("Via"))
    assert [via.transport for via in vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_a_binary_body_is_untouched() -> None:
    """§3.1.1.11."""
    message = request("mpart01")
    assert len(message.body) == 553
    assert message.body.endswith(b"--7a9cbec02ceef655--\r\n")
    assert b"\x30\x82\x01\x52\x06" in message.body


def test_the_comma_of_a_display_name_is_why_baddn_is_refused() -> None:
    """§3.1.2.15. The file also lacks the empty line after its headers; with it, the name is still wrong."""
    message = parse(read("baddn") + b"\r\n")
    assert isinstance(message, Request)
    with pytest.raises(BrokenRequest, match="display name 'Bell, Alexander' needs quotes"):
        validate_request(message)


def test_a_bare_cookie_names_no_transaction() -> None:
    """§3.2.1."""
    via = Via.parse(request("badbranch").headers.get("Via") or "")
    assert via.branch == "z9hG4bK"
    assert not via.has_unique_branch


def test_the_unsupported_extensions_are_named() -> None:
    """§3.3.5."""
    refused = refusal(request("bext01"), METHODS)
    assert refused
    assert refused.headers == (("Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),)


def test_credentials_of_an_unknown_scheme() -> None:
    """§3.3.7."""
    with pytest.raises(DigestError):
        parse_authorization(request("regaut01").headers.get("Authorization") or "")


@pytest.mark.parametrize(
    ("name", "uri", "params"),
    [
        ("cparam01", "sip:+19725552222@gw1.example.net", {"unknownparam": None}),
        ("cparam02", "sip:+19725552222@gw1.example.net;unknownparam", {}),
        ("regescrt", "sip:user@example.com?Route=%3Csip:sip.example.com%3E", {}),
    ],
)
def test_contact_parameters_belong_to_the_header_without_brackets(name: str, uri: str, params: dict[str, None]) -> None:
    """§3.3.13, §3.3.14, §3.3.16."""
    contact = NameAddr.parse(request(name).headers.get("Contact") or "")
    assert (contact.uri, contact.params) == (uri, params)


def test_the_old_invite_has_neither_branch_nor_tag() -> None:
    """§3.3.17."""
    message = request("inv2543")
    assert Via.parse(message.headers.get("Via") or "").branch is None
    assert NameAddr.parse(message.headers.get("From") or "").tag is None
    assert sdp.parse(message.body).media[0].codecs().keys() == {0}


@pytest.mark.parametrize(
    "line",
    [
        b"Via: " + b"SIP / " * 1_000,
        b"Via: SIP/2.0/UDP a;" + b"x=" * 4_000,
        b"Contact: " + b'"' * 8_001,
        b"Contact: " + b"\\" * 4_000 + b'"' + b"\\" * 4_000,
        b"Contact: " + b"<" * 8_000,
        b"Contact: <sip:" + b"a.-" * 2_600,
        b"Contact: sip:a@" + b"a-" * 100 + b"!",
        b"Contact: <sip:a@b;" + b"p=" * 3_900 + b">",
        b"Contact: " + b"a " * 4_000,
        b"WWW-Authenticate: Digest " + b'a="' * 2_600,
        b"WWW-Authenticate: " + b"Digest " * 1_100,
        b"Route: " + b"," * 8_000,
        b"CSeq: " + b"1" * 8_000,
        b"X:" + b" " * 8_000 + b"\r\n" + b" " * 8_000 + b"y",
    ],
)
def test_no_line_makes_reading_slow(line: bytes) -> None:
    """A line that made a pattern back-track would take minutes here; pytest's time limit is the judge."""
    read_message(b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n" + line + b"\r\n\r\n")
