"""URIs, name-addr, Via and CSeq are read as RFC 3261 §19.1, §20 and §25 say."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import SipSyntaxError
from callwright.sip.address import CSeq, NameAddr, SipUri, Via, escape_user, parse_vias


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:example.com", SipUri("example.com")),
        ("sip:+6512345678@192.0.2.1:5080", SipUri("192.0.2.1", "+6512345678", 5080)),
        ("SIPS:a@example.com", SipUri("example.com", "a", scheme="sips")),
        ("sip:a:secret@example.com", SipUri("example.com", "a", password="secret")),
        ("sip:a@[2001:db8::1]", SipUri("2001:db8::1", "a")),
        ("sip:[2001:db8::1]:5061;transport=tcp", SipUri("2001:db8::1", port=5061, params={"transport": "tcp"})),
        ("sip:a@b.example.com;LR;x=%41", SipUri("b.example.com", "a", params={"lr": None, "x": "%41"})),
        ("sip:*21#@pbx_1.lan", SipUri("pbx_1.lan", "*21#")),
        ("sip:a@example.com?Subject=x%20y&to=", SipUri("example.com", "a", headers=(("Subject", "x%20y"), ("to", "")))),
        ("sip:a;b?c@example.com", SipUri("example.com", "a;b?c")),
    ],
)
def test_a_uri_is_read_and_written(text: str, uri: SipUri) -> None:
    assert SipUri.parse(text) == uri
    assert SipUri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@example.com",
        "sip:a@",
        "sip:a b@example.com",
        "sip:a@exa mple.com",
        "sip: a@example.com",
        "sip:a@example.com ",
        "sip:a@example.com:",
        "sip:a@example.com:0",
        "sip:a@example.com:65536",
        "sip:a@example.com:x",
        "sip:a@example.com : 5060",
        "sip:a@192.0.2.256",
        "sip:a@1.2.3",
        "sip:a@[2001:db8::1",
        "sip:a@[192.0.2.1]",
        "sip:a@[fe80::1%eth0]",
        "sip:a@2001:db8::1",
        "sip:a@-example.com",
        "sip:a@example..com",
        "sip:a@b@example.com",
        "sip:%zz@example.com",
        "sip:%4@example.com",
        "sip:a@example.com;",
        "sip:a@example.com;=x",
        "sip:a@example.com;x=",
        "sip:a@example.com;lr;lr",
        "sip:a@example.com?",
        "sip:a@example.com?x",
        "sip:a@example.com?x=1&",
        "sip:jos\u00e9@example.com",
        "<sip:a@example.com>",
        "sip:a@" + "a" * 300,
        "sip:a\0@example.com",
        'sip:"a"@example.com',
        ":a",
        "sip:a@exämple.com",
    ],
)
def test_a_broken_uri_is_400(text: str) -> None:
    with pytest.raises(SipSyntaxError) as raised:
        SipUri.parse(text)
    assert raised.value.status == 400


@pytest.mark.parametrize("text", ["tel:+6512345678", "http://example.com", "urn:service:sos"])
def test_another_scheme_is_416(text: str) -> None:
    with pytest.raises(SipSyntaxError) as raised:
        SipUri.parse(text)
    assert raised.value.status == 416


@pytest.mark.parametrize(
    ("one", "other"),
    [  # RFC 3261 §19.1.4, its own examples
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_equivalent_uris_match(one: str, other: str) -> None:
    assert SipUri.parse(one).matches(SipUri.parse(other))
    assert SipUri.parse(other).matches(SipUri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@example.com", "sips:a@example.com"),
        ("sip:a@example.com", "sip:a:b@example.com"),
        ("sip:a@example.com", "sip:a@example.com;maddr=192.0.2.1"),
    ],
)
def test_different_uris_do_not_match(one: str, other: str) -> None:
    assert not SipUri.parse(one).matches(SipUri.parse(other))
    assert not SipUri.parse(other).matches(SipUri.parse(one))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_can_be_a_user(text: str) -> None:
    uri = SipUri("example.com", escape_user(text))
    assert SipUri.parse(str(uri)).decoded_user == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:a@example.com", NameAddr("sip:a@example.com")),
        ("sip:a@example.com;tag=1", NameAddr("sip:a@example.com", params={"tag": "1"})),
        ("<sip:a@example.com;x=1>;tag=2", NameAddr("sip:a@example.com;x=1", params={"tag": "2"})),
        ('"Ann, \\"A\\"" <sip:a@example.com>', NameAddr("sip:a@example.com", 'Ann, "A"')),
        ('"<>"<sip:a@example.com>', NameAddr("sip:a@example.com", "<>")),
        ("A. Bell<sip:a@example.com> ; tag = 3", NameAddr("sip:a@example.com", "A. Bell", {"tag": "3"})),
        ("José  Ruiz <sip:a@example.com>", NameAddr("sip:a@example.com", "José Ruiz")),
        ("<tel:+6512345678>", NameAddr("tel:+6512345678")),
        ("<sip:a@b.org?x=y>", NameAddr("sip:a@b.org?x=y")),
        (
            '<sip:a@b.org>;+sip.instance="<urn:uuid:0>";q=0.5;ob',
            NameAddr("sip:a@b.org", "", {"+sip.instance": '"<urn:uuid:0>"', "q": "0.5", "ob": None}),
        ),
        ('sip:a@b.org;x="<>"', NameAddr("sip:a@b.org", "", {"x": '"<>"'})),
    ],
)
def test_a_name_addr_is_read_and_written(text: str, expected: NameAddr) -> None:
    assert NameAddr.parse(text) == expected
    assert NameAddr.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "<sip:a@b.org",
        "sip:a@b.org>",
        "< sip:a@b.org>",
        "<sip:a@b.org >",
        '"A <sip:a@b.org>',
        '"A" sip:a@b.org',
        '"A" x <sip:a@b.org>',
        "Bell, Al <sip:a@b.org>",
        "sip:a@b.org?x=y",
        "sip:a,b@c.org",
        "<sip:a@b.org>x",
        "<sip:a@b.org>;;",
        "<sip:a@b.org>;tag=1;tag=2",
        "<sip:a@b.org>;tag=",
        "<sip:a@b.org>;t g=1",
        "not a uri",
        "<sip:a@b.org><sip:c@d.org>",
        "<<sip:a@b.org>>",
        '<sip:a@b.org>;x="open',
    ],
)
def test_a_broken_name_addr_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        NameAddr.parse(text)


def test_a_tag_is_added_without_changing_the_original() -> None:
    plain = NameAddr("sip:a@example.com", "A")
    assert str(plain.with_tag("x1")) == '"A" <sip:a@example.com>;tag=x1'
    assert (plain.tag, plain.with_tag("x1").tag) == (None, "x1")


NAMES = st.text(string.ascii_lowercase + string.digits + "-._", min_size=1, max_size=8)
PARAMS = st.dictionaries(NAMES, st.none() | NAMES, max_size=3)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), PARAMS)
def test_any_display_name_survives(display: str, params: dict[str, str | None]) -> None:
    address = NameAddr("sip:a@example.com", display, params)
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP 192.0.2.1", Via("UDP", "192.0.2.1")),
        ("sip/2.0/tls a.example.com:5061;branch=z9hG4bKx", Via("TLS", "a.example.com", 5061, {"branch": "z9hG4bKx"})),
        ("SIP / 2.0 / TCP\t [2001:db8::1] : 5062 ; rport", Via("TCP", "2001:db8::1", 5062, {"rport": None})),
        (
            "SIP/2.0/UDP a;received=2001:db8::9;rport=7",
            Via("UDP", "a", None, {"received": "2001:db8::9", "rport": "7"}),
        ),
    ],
)
def test_a_via_is_read_and_written(text: str, via: Via) -> None:
    assert Via.parse(text) == via
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 192.0.2.1",
        "SIP/1.0/UDP a",
        "HTTP/2.0/UDP a",
        "SIP/2.0/UDP a b",
        "SIP/2.0/U(P a",
        "SIP/2.0/UDP a:99999",
        "SIP/2.0/UDP ;branch=x",
        "SIP/2.0/UDP a;;branch=x",
        "SIP/2.0/UDP a;branch=x;branch=y",
        "SIP/2.0/UDP a/b",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP 2001:db8::1",
    ],
)
def test_a_broken_via_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        Via.parse(text)


def test_what_the_next_hop_noted_is_read() -> None:
    asked = Via.parse("SIP/2.0/UDP a;rport;branch=z9hG4bK1")
    noted = Via.parse("SIP/2.0/UDP a;rport=5070;received=[2001:db8::9]")
    assert (asked.wants_rport, asked.rport, asked.received) == (True, None, None)
    assert (noted.wants_rport, noted.rport, noted.received) == (True, 5070, "2001:db8::9")
    assert Via.parse("SIP/2.0/UDP a;rport=70000").rport is None


@pytest.mark.parametrize(
    ("branch", "unique"),
    [
        (";branch=z9hG4bKa", True),
        (";branch=Z9HG4BKa", True),
        (";branch=z9hG4bK", False),
        (";branch=1", False),
        ("", False),
        (";branch", False),
    ],
)
def test_only_a_cookie_with_something_behind_it_names_a_transaction(branch: str, unique: bool) -> None:
    assert Via.parse("SIP/2.0/UDP a" + branch).has_unique_branch is unique


def test_hops_come_in_order_from_any_number_of_lines() -> None:
    vias = parse_vias(["SIP/2.0/UDP a, SIP/2.0/TCP b", "SIP/2.0/TLS c"])
    assert [via.host for via in vias] == ["a", "b", "c"]
    with pytest.raises(SipSyntaxError):
        parse_vias([])


@pytest.mark.parametrize(
    ("text", "cseq"),
    [("1 INVITE", CSeq(1, "INVITE")), ("0009\t BYE", CSeq(9, "BYE")), ("2147483647 x", CSeq(2**31 - 1, "x"))],
)
def test_a_cseq_is_read(text: str, cseq: CSeq) -> None:
    assert CSeq.parse(text) == cseq
    assert CSeq.parse(str(cseq)) == cseq


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "INVITE",
        "INVITE 1",
        "-1 INVITE",
        "2147483648 INVITE",
        "1 INV(ITE",
        "1 a b",
        "1.5 X",
        "٣ X",
        "9" * 9_000 + " X",
    ],
)
def test_a_broken_cseq_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        CSeq.parse(text)
