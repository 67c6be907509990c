"""Messages that RFC 4475 has not, each with the verdict that the RFCs ask for.

A verdict is what `verdict` of test_torture.py says: "ok", "dropped" (nobody can or may be answered) or a status.
"""

from typing import Final

OK, DROPPED = "ok", "dropped"
Verdict = str | int
Case = tuple[str, bytes, Verdict]

LONG_NAMES: Final = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact"}
SDP: Final = b"v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
USUAL: Final = {
    "Via": "SIP/2.0/UDP 192.0.2.5:5060;branch=z9hG4bKcase",
    "Max-Forwards": "70",
    "From": "<sip:a@example.com>;tag=1",
    "To": "<sip:b@example.com>",
    "Call-ID": "case@192.0.2.5",
    "CSeq": "1 INVITE",
    "Contact": "<sip:a@192.0.2.5>",
}


def message(
    *lines: str,
    start: str = "INVITE sip:b@example.com SIP/2.0",
    without: tuple[str, ...] = (),
    body: bytes = SDP,
    content_type: str | None = "application/sdp",
    length: str | None = "",
) -> bytes:
    """An INVITE with these header lines in place of its own of the same name, or added to them.

    `length` is Content-Length as written; "" the right one, None no such line.
    """
    names = {line.partition(":")[0].strip().lower() for line in lines}
    replaced = {LONG_NAMES.get(name, name) for name in names} | {name.lower() for name in without}
    headers = [f"{name}: {value}" for name, value in USUAL.items() if name.lower() not in replaced]
    headers += lines
    if content_type and body:
        headers.append(f"Content-Type: {content_type}")
    if length is not None:
        headers.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join((start, *headers, "", "")).encode("utf-8", "surrogateescape") + body


def _of_lines(group: str, *cases: tuple[str, Verdict]) -> list[Case]:
    return [
        (f"{group} {number:02} {line[:40]!r}", message(line), verdict) for number, (line, verdict) in enumerate(cases)
    ]


def _of_starts(*cases: tuple[str, Verdict]) -> list[Case]:
    made = []
    for number, (start, verdict) in enumerate(cases):
        method = start.split(" ")[0] or "INVITE"
        made.append((f"start {number:02} {start[:40]!r}", message(f"CSeq: 1 {method}", start=start), verdict))
    return made


VIA: Final = _of_lines(
    "via",
    ("Via: SIP/2.0/UDP 192.0.2.5", OK),  # RFC 2543: no branch
    ("Via: SIP/2.0/UDP 192.0.2.5;branch=", 400),
    ("Via: SIP/2.0/UDP 192.0.2.5;branch", OK),
    ("Via: SIP / 2.0 / UDP 192.0.2.5:5060 ;branch=z9hG4bKx", OK),
    ("Via: SIP/2.0/UDP  192.0.2.5 : 5060;branch=z9hG4bKx", OK),
    ("Via: SIP/2.0/UDP 192.0.2.5:65535;branch=z9hG4bKx", OK),
    ("Via: SIP/2.0/UDP 192.0.2.5:65536;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP 192.0.2.5:-1;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP 192.0.2.5:;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP :5060;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP ;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP", 400),
    ("Via: SIP/2.0 192.0.2.5", 400),
    ("Via: UDP 192.0.2.5", 400),
    ("Via: ,", 400),
    ("Via: SIP/2.0/UDP [2001:db8::5]:5060;branch=z9hG4bKx", OK),
    ("Via: SIP/2.0/UDP [2001:db8::5];branch=z9hG4bKx", OK),
    ("Via: SIP/2.0/UDP [::ffff:192.0.2.5]:5060;branch=z9hG4bKx", OK),
    ("Via: SIP/2.0/UDP [2001:db8::5;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP 2001:db8::5]:5060;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP [2001:db8:::5]:5060;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP [2001:db8::5]5060;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP [::1%25lo]:5060;branch=z9hG4bKx", 400),  # zones have no place in SIP
    ("Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx;received=2001:db8::9", OK),  # RFC 5118 §4.5
    ("Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx;received=[2001:db8::9]", OK),
    ("Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx;rport", OK),
    ("Via: SIP/2.0/UDP 192.0.2.5;rport=99999;branch=z9hG4bKx", OK),  # ours to fill in, whatever stood there
    ('Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx;x="a;b,c"', OK),
    ('Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx;x="a', 400),
    ("Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx;;", 400),
    ("Via: SIP/3.0/UDP 192.0.2.5;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/SCTP 192.0.2.5;branch=z9hG4bKx", OK),
    ("Via: SIP/2.0/UDP host_with_underscore;branch=z9hG4bKx", OK),  # names in private networks have them
    ("Via: SIP/2.0/UDP -host.example.com;branch=z9hG4bKx", 400),
    ("Via: SIP/2.0/UDP example.com.;branch=z9hG4bKx", OK),  # the root's dot
    ("Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx, SIP/2.0/TCP proxy.example.com;branch=z9hG4bKy", OK),
    ("Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx,", 400),
    ("v: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx", OK),
)
ADDRESSES: Final = [
    *_of_lines(
        "from",
        ("From: sip:a@example.com;tag=1", OK),
        ("From: <sip:a@example.com>", OK),  # RFC 2543: no tag
        ("From: A. Person <sip:a@example.com>;tag=1", OK),  # dots are token characters
        ("From: A: Person <sip:a@example.com>;tag=1", 400),
        ('From: "A: Person" <sip:a@example.com>;tag=1', OK),
        ('From: "A \\" Person" <sip:a@example.com>;tag=1', OK),
        ('From: "A Person <sip:a@example.com>;tag=1', 400),
        ('From: "A" "B" <sip:a@example.com>;tag=1', 400),
        ('From: ""<sip:a@example.com>;tag=1', OK),
        ('From: "\\', 400),
        ("From: <sip:a@example.com;tag=1", 400),
        ("From: sip:a@example.com>;tag=1", 400),
        ("From: <<sip:a@example.com>>;tag=1", 400),
        ("From: <>;tag=1", 400),
        ("From: ;tag=1", 400),
        ("From:", 400),
        ("From: *", 400),
        ("From: <sip:a@example.com>;tag=", 400),
        ("From: <sip:a@example.com>;tag=1;tag=2", 400),
        ("From: <sip:a@example.com> ; tag = 1", OK),
        ("From: <sip:a@example.com> x;tag=1", 400),
        ("From: <tel:+15551234>;tag=1", OK),
        ("From: <tel:+15551234;phone-context=example.com>;tag=1", OK),
        ("From: <mailto:a@example.com>;tag=1", OK),  # any URI may stand there
        ("From: <http://example.com/?a=b>;tag=1", OK),
        ("From: <sip:anonymous@anonymous.invalid>;tag=1", OK),
        ("From: <sip:@example.com>;tag=1", 400),
        ("From: <sip:a@>;tag=1", 400),
        ("From: <sip:a@b@example.com>;tag=1", 400),
        ("From: <sip:a@example.com:0>;tag=1", 400),
        ("From: <sip:a@example.com:70000>;tag=1", 400),
        ("From: <sip:a@[2001:db8::1]>;tag=1", OK),
        ("From: <sip:a@[2001:db8::1]:5061;transport=tls>;tag=1", OK),
        ("From: <sip:a@2001:db8::1>;tag=1", 400),  # RFC 5118 §4.2: brackets
        ("From: <sip:a@[2001:db8::g]>;tag=1", 400),
        ("From: <sip:a@[2001:db8::1>;tag=1", 400),
        ("From: <sip:a@[]>;tag=1", 400),
        ("From: <sip:%41%42@example.com>;tag=1", OK),
        ("From: <sip:%4@example.com>;tag=1", 400),
        ("From: <sip:%zz@example.com>;tag=1", 400),
        ("From: <sip:a b@example.com>;tag=1", 400),
        ("From: <sip:a@exa mple.com>;tag=1", 400),
        ("From: \u00fc <sip:a@example.com>;tag=1", OK),  # the grammar wants quotes; phones forget them
        ('From: "\u00fc\u4f60" <sip:a@example.com>;tag=1', OK),
        ("f: <sip:a@example.com>;tag=1", OK),
        ("FROM : <sip:a@example.com>;tag=1", OK),
    ),
    *_of_lines(
        "to",
        ("To: <sip:b@example.com>;x=y", OK),
        ("To: b <sip:b@example.com>", OK),
        ("To: sip:b@example.com?subject=x", 400),  # headers need brackets
        ("To: <sip:b@example.com?subject=x>", OK),
        ("To: <sip:b:secret@example.com>", OK),
        ("To: , <sip:b@example.com>", 400),
        ("To: <sip:b@example.com>, <sip:c@example.com>", 400),
        ("t: <sip:b@example.com>", OK),
        ("To: <sips:b@example.com>", OK),
        ("To: <sip:b@example.com;user=phone;isub=1>", OK),
        ("To: <sip:b@example.com;;>", 400),
        ("To: <sip:b@example.com;=x>", 400),
        ("To: <sip:b@192.0.2.300>", 400),
        ("To: <sip:b@1.2.3>", 400),
    ),
    *_of_lines(
        "contact",
        ("Contact: <sip:a@192.0.2.5>, <sip:c@192.0.2.6>", OK),
        ("Contact: *", OK),
        ("Contact: *, <sip:a@192.0.2.5>", 400),
        ("Contact: <sip:a@192.0.2.5", 400),
        ("Contact: sip:a@192.0.2.5;expires=3600", OK),
        ("Contact: <sip:a@192.0.2.5>;expires=x", OK),  # nobody registers with us: not read
        ("Contact: <sip:a@192.0.2.5>;q=2.0", OK),  # likewise
        ("Contact: <sip:a@[2001:db8::5]:5060;ob>", OK),
        ('Contact: "a, b" <sip:a@192.0.2.5>;+sip.instance="<urn:uuid:0>"', OK),
        ("Contact: <urn:service:sos>", OK),
        ("m: <sip:a@192.0.2.5>", OK),
        ("Contact: <sip:a@192.0.2.5>,", 400),
        ("Contact: ,,", 400),
        ("Contact: \x01<sip:a@192.0.2.5>", 400),
    ),
    *_of_lines(
        "route",
        ("Route: <sip:192.0.2.9;lr>", OK),
        ("Route: <sip:192.0.2.9;lr>, <sip:192.0.2.10>", OK),
        ("Route: sip:192.0.2.9;lr", 400),
        ("Route: <sip:192.0.2.9;lr>;x=y", OK),
        ("Route: <sip:[2001:db8::9];lr>", OK),
        ("Route: <sip:[2001:db8::9;lr>", 400),
        ("Record-Route: <sip:192.0.2.9;lr>,<sip:p2.example.com;lr>", OK),
        ("Record-Route: sip:192.0.2.9;lr", 400),
        ("Record-Route: <sip:192.0.2.9;lr", 400),
        ("Record-Route: <>", 400),
    ),
]
ONCE: Final = _of_lines(
    "once",
    ("CSeq: 0 INVITE", OK),
    ("CSeq: 2147483647 INVITE", OK),
    ("CSeq: 2147483648 INVITE", 400),  # RFC 3261 §8.1.1.5: less than 2^31
    ("CSeq: 4294967296 INVITE", 400),
    ("CSeq: -1 INVITE", 400),
    ("CSeq: +1 INVITE", 400),
    ("CSeq: 1", 400),
    ("CSeq: INVITE", 400),
    ("CSeq: 1 INVITE x", 400),
    ("CSeq: 1 invite", 400),  # methods have a case
    ("CSeq: 1 BYE", 400),
    ("CSeq: 0x1 INVITE", 400),
    ("CSeq: 1\tINVITE", OK),
    ("CSeq:  0000000001   INVITE", OK),
    ("CSeq: \u0661 INVITE", 400),  # an Arabic digit is no digit
    ("CSeq:", 400),
    ("Max-Forwards: 0", OK),
    ("Max-Forwards: 255", OK),
    ("Max-Forwards: 256", 400),
    ("Max-Forwards: -1", 400),
    ("Max-Forwards: 70.0", 400),
    ("Max-Forwards: seventy", 400),
    ("Max-Forwards:", 400),
    ("Call-ID: a", OK),
    ("Call-ID: a b", 400),
    ("Call-ID: a\tb", 400),
    ("Call-ID:", 400),
    ('Call-ID: <>(){}[]/?\\"', OK),
    ("i: short@192.0.2.5", OK),
    ("Require: timer", 420),
    ("Require: 100rel, nothing", 420),
    ("Require:", OK),
    ("Accept: application/sdp", OK),
    ("Accept: text/plain", 406),
    ("Accept: */*", OK),
    ("Accept: application/*;q=0.1, text/plain", OK),
    ("Date: yesterday", OK),  # nobody here reads it
    ("Expires: never", OK),
    ("Subject: \u4f60\u597d", OK),
    ("X-Anything: \x07\x1b[31m", OK),
    ("Warning: 399 example.com", OK),
    ("Timestamp: x", OK),
)
MISSING: Final[list[Case]] = [
    ("missing Via", message(without=("Via",)), DROPPED),
    *((f"missing {name}", message(without=(name,)), 400) for name in ("From", "To", "Call-ID", "CSeq")),
    ("missing Max-Forwards", message(without=("Max-Forwards",)), OK),  # RFC 2543
    ("missing Contact", message(without=("Contact",)), OK),  # for the user agent to judge: a dialog needs it
    *(
        (f"twice {name}", message(f"{name}: {USUAL[name]}", f"{name}: {USUAL[name]}"), 400)
        for name in ("From", "To", "Call-ID", "CSeq", "Max-Forwards")
    ),
    ("twice in short and long", message(f"From: {USUAL['From']}", f"f: {USUAL['From']}"), 400),
    ("twice Content-Type", message("Content-Type: text/plain"), 400),
    ("twice Via", message(f"Via: {USUAL['Via']}", f"Via: {USUAL['Via']}"), OK),
]
STARTS: Final = _of_starts(
    ("INVITE sip:b@example.com SIP/2.0", OK),
    ("INVITE  sip:b@example.com SIP/2.0", 400),
    ("INVITE sip:b@example.com  SIP/2.0", 400),
    ("INVITE sip:b@example.com SIP/2.0 ", 400),
    (" INVITE sip:b@example.com SIP/2.0", 400),
    ("INVITE sip:b@example.com", DROPPED),
    ("INVITE SIP/2.0", 400),
    ("INVITE", DROPPED),
    ("INVITE sip:b@example.com SIP/2.1", 505),
    ("INVITE sip:b@example.com SIP/7.0", 505),
    ("INVITE sip:b@example.com SIP/2", DROPPED),
    ("INVITE sip:b@example.com SIP/2.0.0", DROPPED),
    ("INVITE sip:b@example.com HTTP/1.1", DROPPED),
    ("INVITE sip:b@example.com sip/2.0", OK),  # RFC 3261 §7.1: the version has no case
    ("GET / HTTP/1.1", DROPPED),
    ("INV\u00ccTE sip:b@example.com SIP/2.0", DROPPED),
    ("INV(ITE sip:b@example.com SIP/2.0", DROPPED),
    ("invite sip:b@example.com SIP/2.0", 501),
    ("NOTIFY sip:b@example.com SIP/2.0", 405),
    ("REFER sip:b@example.com SIP/2.0", 405),
    ("SUBSCRIBE sip:b@example.com SIP/2.0", 405),
    ("MESSAGE sip:b@example.com SIP/2.0", 405),
    ("PUBLISH sip:b@example.com SIP/2.0", 405),
    ("WHATEVER sip:b@example.com SIP/2.0", 501),
    ("OPTIONS sip:b@example.com SIP/2.0", OK),
    ("BYE sip:b@example.com SIP/2.0", OK),
    ("INVITE * SIP/2.0", 400),
    ("INVITE b@example.com SIP/2.0", 400),
    ("INVITE tel:+15551234 SIP/2.0", 416),
    ("INVITE http://example.com/ SIP/2.0", 416),
    ("INVITE sip: SIP/2.0", 400),
    ("INVITE sip:@ SIP/2.0", 400),
    ("INVITE sip:example.com SIP/2.0", OK),
    ("INVITE sip:b@[2001:db8::1] SIP/2.0", OK),
    ("INVITE sip:b@[2001:db8::1]:5060;transport=udp SIP/2.0", OK),
    ("INVITE sip:b@[2001:db8::1 SIP/2.0", 400),
    ("INVITE sip:b@2001:db8::1 SIP/2.0", 400),
    ("INVITE sip:b@[v1.x] SIP/2.0", 400),
    ("INVITE sip:b@example.com:99999 SIP/2.0", 400),
    ("INVITE sip:b@example.com:port SIP/2.0", 400),
    ("INVITE sip:b%00c@example.com SIP/2.0", OK),
    ("INVITE sip:b%@example.com SIP/2.0", 400),
    ("INVITE sip:b@example.com?Route=x SIP/2.0", 400),
    ("INVITE sip:b@example.com;method=BYE SIP/2.0", 400),
    ("INVITE sip:b@example.com;lr;lr SIP/2.0", 400),
    ("INVITE sip:+15551234;phone-context=x@example.com;user=phone SIP/2.0", OK),
    ("INVITE sip:b\x00@example.com SIP/2.0", 400),
    ("INVITE <sip:b@example.com> SIP/2.0", 400),
    ('INVITE "sip:b@example.com" SIP/2.0', 400),
    ("INVITE sips:b@example.com SIP/2.0", OK),
)
_PART: Final = b"--edge\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"--edge--\r\n"


def _body(
    name: str, verdict: Verdict, body: bytes, content_type: str | None, length: str | None = "", *lines: str
) -> Case:
    return f"body {name}", message(*lines, body=body, content_type=content_type, length=length), verdict


BODIES: Final[list[Case]] = [
    _body("usual", OK, SDP, "application/sdp"),
    _body("with a parameter", OK, SDP, "application/sdp; charset=utf-8"),
    _body("type in capitals", OK, SDP, "APPLICATION/SDP"),
    _body("type with spaces", OK, SDP, "application / sdp"),
    _body("no type", 415, SDP, None),
    _body("text", 415, b"hello", "text/plain"),
    _body("no slash", 415, SDP, "sdp"),
    _body("empty type", 415, SDP, " "),
    _body("multipart", 415, _PART, 'multipart/mixed; boundary="edge"'),
    _body("multipart without boundary", 415, _PART, "multipart/mixed"),
    _body("multipart that never ends", 415, _PART[:-10], "multipart/mixed;boundary=edge"),
    _body(
        "multipart in multipart",
        415,
        b"--a\r\nContent-Type: multipart/mixed\r\n\r\n" + _PART,
        "multipart/mixed;boundary=a",
    ),
    _body("multipart of 1,000 parts", 415, b"--edge\r\n\r\nx\r\n" * 1_000, "multipart/mixed;boundary=edge"),
    _body(
        "multipart that is optional",
        OK,
        _PART,
        "multipart/mixed;boundary=edge",
        "",
        "Content-Disposition: x;handling=optional",
    ),
    _body("optional text", OK, b"hello", "text/plain", "", "Content-Disposition: render; handling = optional"),
    _body("required text", 415, b"hello", "text/plain", "", "Content-Disposition: render;handling=required"),
    _body("gzip", 415, SDP, "application/sdp", "", "Content-Encoding: gzip"),
    _body("identity", OK, SDP, "application/sdp", "", "Content-Encoding: identity"),
    _body("short type", OK, SDP, None, "", "c: application/sdp"),
    _body("no length", OK, SDP, "application/sdp", None),
    _body("no length, no body", OK, b"", None, None),
    _body("length 0 before a body", OK, SDP, "application/sdp", "0"),
    _body("length too small", OK, SDP, "application/sdp", "10"),
    _body("length one too large", 400, SDP, "application/sdp", str(len(SDP) + 1)),
    _body("length of 2^31", 400, SDP, "application/sdp", "2147483648"),
    _body("length of 2^32 and a little", 400, SDP, "application/sdp", "4294967297"),
    _body("length of 2^64", 400, SDP, "application/sdp", "18446744073709551616"),
    _body("length of 400 digits", 400, SDP, "application/sdp", "9" * 400),
    _body("negative length", 400, SDP, "application/sdp", "-1"),
    _body("length with a sign", 400, SDP, "application/sdp", f"+{len(SDP)}"),
    _body("length in hexadecimal", 400, SDP, "application/sdp", "0x10"),
    _body("length with a comma", 400, SDP, "application/sdp", "1,2"),
    _body("length of words", 400, SDP, "application/sdp", "many"),
    _body("length of space", 400, SDP, "application/sdp", " "),
    _body("length twice", 400, SDP, "application/sdp", "", f"Content-Length: {len(SDP)}"),
    _body("length twice, once short", 400, SDP, "application/sdp", "", "l: 0"),
    _body("NUL in the body", OK, b"v=0\0\0", "application/sdp"),
    _body("all bytes", 415, bytes(range(256)), "application/octet-stream"),
    _body("a message in the body", 415, message(), "message/sip"),
]
RAW: Final[list[Case]] = [
    ("raw empty", b"", DROPPED),
    ("raw NUL", b"\0" * 64, DROPPED),
    ("raw zero byte first", b"\0" + message(), DROPPED),
    ("raw line ends first", b"\r\n\r\n" + message(), OK),
    ("raw bare LF", message().replace(b"\r\n", b"\n"), DROPPED),
    ("raw bare CR", message().replace(b"\r\n", b"\r"), DROPPED),
    ("raw one bare LF", message().replace(b"\r\nTo", b"\nTo", 1), DROPPED),
    ("raw UTF-16", message().decode("latin-1").encode("utf-16"), DROPPED),
    ("raw byte order mark", b"\xef\xbb\xbf" + message(), DROPPED),
    ("raw EBCDIC", message().decode("latin-1").encode("cp500", "replace"), DROPPED),
    ("raw TLS hello", bytes.fromhex("16030100a5010000a10303") + bytes(200), DROPPED),
    ("raw STUN", bytes.fromhex("000100002112a442") + bytes(12), DROPPED),
    ("raw RTP", bytes.fromhex("80000001000000a0deadbeef") + bytes(160), DROPPED),
    ("raw HTTP", b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", DROPPED),
    ("raw start line only", b"INVITE sip:b@example.com SIP/2.0\r\n\r\n", DROPPED),
    ("raw no end", message(body=b"", length=None)[:-2], 400),
    ("raw cut in a header", message(body=b"", length=None)[:-30], 400),
    ("raw no colon", message("Broken line"), 400),
    ("raw a colon first", message(": x"), 400),
    ("raw a space in a name", message("Bro ken: x"), 400),
    ("raw a control character in a name", message("Bro\x02ken: x"), 400),
    ("raw folded", message("Subject: a\r\n b\r\n\tc"), OK),
    ("raw folded into nothing", message("Subject:\r\n "), OK),
    ("raw folded start", b"INVITE\r\n sip:b@example.com SIP/2.0\r\n" + message().partition(b"\r\n")[2], OK),
    ("raw first header folded", message().replace(b"\r\n", b"\r\n ", 1), DROPPED),
    ("raw bad UTF-8 in a display name", message('From: "\udcff\udcfe" <sip:a@example.com>;tag=1'), OK),
    ("raw overlong UTF-8", message("Subject: \udcc0\udc80"), OK),
    ("raw NUL in a header", message("Subject: a\0b"), OK),
    ("raw NUL in From", message('From: "a\0b" <sip:a@example.com>;tag=1'), OK),
    ("raw NUL in a tag", message("From: <sip:a@example.com>;tag=a\0b"), 400),
    ("raw NUL in Call-ID", message("Call-ID: a\0b"), 400),
    ("raw NUL in a host", message("To: <sip:b@exam\0ple.com>"), 400),
    ("raw DEL in a tag", message("From: <sip:a@example.com>;tag=a\x7f"), 400),
]
LONG: Final[list[Case]] = [
    ("long subject that fits", message("Subject: " + "x" * 8_000), OK),
    ("long subject", message("Subject: " + "x" * 9_000), DROPPED),
    ("long folded subject", message("Subject: " + "x\r\n " * 5_000), DROPPED),
    ("long URI that fits", message(start=f"INVITE sip:{'b' * 4_000}@example.com SIP/2.0"), OK),
    ("long URI", message(start=f"INVITE sip:{'b' * 9_000}@example.com SIP/2.0"), DROPPED),
    ("long method", message(start=f"{'M' * 9_000} sip:b@example.com SIP/2.0"), DROPPED),
    ("long host", message(f"Via: SIP/2.0/UDP {'a' * 300}.example.com;branch=z9hG4bKx"), 400),
    ("long tag that fits", message(f"From: <sip:a@example.com>;tag={'t' * 1_000}"), OK),
    ("long Call-ID", message(f"Call-ID: {'c' * 4_000}"), OK),
    ("long branch", message(f"Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK{'b' * 4_000}"), OK),
    ("many headers that fit", message(*(f"X-{number}: y" for number in range(200))), OK),
    ("many headers", message(*(f"X-{number}: y" for number in range(300))), DROPPED),
    ("many Vias", message("Via: " + ", ".join(["SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx"] * 100)), OK),
    ("many Via lines", message(*["Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKx"] * 300), DROPPED),
    ("many routes", message("Route: " + ", ".join(["<sip:192.0.2.9;lr>"] * 200)), OK),
    ("many parameters", message("From: <sip:a@example.com>" + ";p" * 1_000), 400),
    ("many quotes", message("From: " + '"' * 1_001 + " <sip:a@example.com>;tag=1"), 400),
    ("many brackets", message("To: " + "<" * 2_000 + "sip:b@example.com" + ">" * 2_000), 400),
    ("many escapes", message(f"From: <sip:{'%41' * 2_000}@example.com>;tag=1"), OK),
    ("many backslashes", message('From: "' + "\\\\" * 2_000 + '" <sip:a@example.com>;tag=1'), OK),
    ("large body that fits", message(body=b"x" * 60_000, content_type="text/plain"), 415),
    ("large body", message(body=b"x" * 70_000, content_type="text/plain"), DROPPED),
]


def response(status: str, *lines: str, without: tuple[str, ...] = ()) -> bytes:
    """A response with the headers of `message`."""
    return message(*lines, start=f"SIP/2.0 {status}", without=without, body=b"")


RESPONSES: Final[list[Case]] = [
    ("response usual", response("200 OK"), OK),
    ("response without reason", response("200 "), OK),
    ("response without reason or space", response("200"), OK),
    ("response of 1xx", response("199 Early Dialog Terminated"), OK),
    ("response unknown", response("699 What"), OK),
    ("response UTF-8", response("486 \u5fd9"), OK),
    *(
        (f"response {status!r}", response(status), DROPPED)
        for status in ("099 x", "700 x", "1000 x", "-200 x", "2 x", "0200", "two")
    ),
    ("response two Vias", response("200 OK", "Via: SIP/2.0/UDP 192.0.2.5, SIP/2.0/UDP 192.0.2.6"), DROPPED),
    *(
        (f"response without {name}", response("200 OK", without=(name,)), DROPPED)
        for name in ("Via", "From", "To", "Call-ID", "CSeq")
    ),
    ("response broken To", response("200 OK", "To: <sip:b@example.com"), DROPPED),
    ("response broken CSeq", response("200 OK", "CSeq: x INVITE"), DROPPED),
    ("response broken Contact", response("200 OK", "Contact: <<>>"), DROPPED),
    ("response broken Record-Route", response("200 OK", "Record-Route: sip:x"), DROPPED),
    ("response of SIP/3.0", message(start="SIP/3.0 200 OK", body=b""), DROPPED),
    ("response long reason", response("200 " + "x" * 9_000), DROPPED),
    ("response length too large", message(start="SIP/2.0 200 OK", length="99999"), DROPPED),
]
CASES: Final[list[Case]] = [*VIA, *ADDRESSES, *ONCE, *MISSING, *STARTS, *BODIES, *RAW, *LONG, *RESPONSES]
