"""Messages, session descriptions and challenges that RFC 4475 has not, each with the verdict the RFCs ask for."""

import pytest
from tests.sip.cases import CASES, Verdict
from tests.sip.test_torture import verdict

from callwright.errors import DigestError, SdpError
from callwright.sip import sdp
from callwright.sip.digest import parse_authorization, parse_challenges, strongest
from callwright.sip.negotiation import make_answer

REFUSED, BROKEN = "refused", "broken"
AUDIO = "m=audio 4000 RTP/AVP 0 8 101"
HEAD = ("v=0", "o=- 1 1 IN IP4 192.0.2.5", "s=-", "c=IN IP4 192.0.2.5", "t=0 0")
FULL = (*HEAD, AUDIO)


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_verdict_on_a_message(data: bytes, expected: Verdict) -> None:
    assert verdict(data) == expected


def answered(lines: tuple[str, ...]) -> str:
    """`CODEC host port` of what is taken of an offer, or why nothing is."""
    try:
        offer = sdp.parse("\r\n".join((*lines, "")).encode("utf-8", "surrogateescape"))
    except SdpError:
        return BROKEN
    try:
        _, agreed = make_answer(offer, "192.0.2.7", 4000, session_id=1, version=1)
    except SdpError:
        return REFUSED
    return f"{agreed.codec} {agreed.host} {agreed.port}"


def with_line(index: int, line: str) -> tuple[str, ...]:
    """FULL with another line there."""
    return (*FULL[:index], line, *FULL[index + 1 :])


TAKEN = "PCMU 192.0.2.5 4000"
DESCRIPTIONS = {
    "usual": (FULL, TAKEN),
    "no version": (FULL[1:], BROKEN),
    "version 1": (with_line(0, "v=1"), BROKEN),
    "version later": ((FULL[1], FULL[0], *FULL[2:]), BROKEN),
    "no origin": ((FULL[0], *FULL[2:]), BROKEN),
    "origin of IPX": (with_line(1, "o=- 1 1 IN IPX 1"), BROKEN),
    "origin without numbers": (with_line(1, "o=- a b IN IP4 192.0.2.5"), BROKEN),
    "origin of 2^64": (with_line(1, "o=- 18446744073709551616 1 IN IP4 192.0.2.5"), BROKEN),
    "origin of 2^64 - 1": (with_line(1, "o=- 18446744073709551615 1 IN IP4 192.0.2.5"), TAKEN),
    "origin named": (with_line(1, "o=user 1 1 IN IP4 pbx.example.com"), TAKEN),
    "no subject": ((*FULL[:2], *FULL[3:]), TAKEN),
    "no time": ((*FULL[:4], AUDIO), TAKEN),
    "time of one": (with_line(4, "t=0"), BROKEN),
    "time negative": (with_line(4, "t=-1 0"), BROKEN),
    "no connection": ((*FULL[:3], *FULL[4:]), BROKEN),
    "connection of the medium": ((*HEAD[:3], HEAD[4], AUDIO, "c=IN IP4 192.0.2.6"), "PCMU 192.0.2.6 4000"),
    "both connections": ((*FULL, "c=IN IP4 192.0.2.6"), "PCMU 192.0.2.6 4000"),
    "connection by name": (with_line(3, "c=IN IP4 media.example.com"), "PCMU media.example.com 4000"),
    "connection IPv6": (with_line(3, "c=IN IP6 2001:db8::5"), "PCMU 2001:db8::5 4000"),
    "connection IPv6 said to be IPv4": (with_line(3, "c=IN IP4 2001:db8::5"), BROKEN),
    "connection IPv4 said to be IPv6": (with_line(3, "c=IN IP6 192.0.2.5"), BROKEN),
    "connection IPv6 in brackets": (with_line(3, "c=IN IP6 [2001:db8::5]"), BROKEN),
    "connection of 256": (with_line(3, "c=IN IP4 192.0.2.256"), BROKEN),
    "connection with a space": (with_line(3, "c=IN IP4 192.0.2.5 x"), BROKEN),
    "connection empty": (with_line(3, "c="), BROKEN),
    "connection NUL": (with_line(3, "c=IN IP4 192.0.2.5\0"), BROKEN),
    "connection multicast": (with_line(3, "c=IN IP4 224.2.1.1/127/3"), "PCMU 224.2.1.1 4000"),
    "connection of letters after the slash": (with_line(3, "c=IN IP4 224.2.1.1/x"), BROKEN),
    "connection long": (with_line(3, "c=IN IP4 " + "a" * 300), BROKEN),
    "port 0": (with_line(5, "m=audio 0 RTP/AVP 0"), REFUSED),
    "port 65535": (with_line(5, "m=audio 65535 RTP/AVP 0"), REFUSED),  # there is no port for RTCP
    "port 65536": (with_line(5, "m=audio 65536 RTP/AVP 0"), BROKEN),
    "port of 2^32 and a little": (with_line(5, "m=audio 4294971296 RTP/AVP 0"), BROKEN),
    "port negative": (with_line(5, "m=audio -4000 RTP/AVP 0"), BROKEN),
    "port of two": (with_line(5, "m=audio 4000/2 RTP/AVP 0"), TAKEN),
    "payload type 128": (with_line(5, "m=audio 4000 RTP/AVP 128"), REFUSED),
    "payload type of 2^32": (with_line(5, "m=audio 4000 RTP/AVP 4294967296"), REFUSED),
    "payload type of letters": (with_line(5, "m=audio 4000 RTP/AVP PCMU"), REFUSED),
    "no payload type": (with_line(5, "m=audio 4000 RTP/AVP"), BROKEN),
    "100 payload types": (with_line(5, "m=audio 4000 RTP/AVP " + " ".join(map(str, range(100)))), BROKEN),
    "the same payload type twice": (with_line(5, "m=audio 4000 RTP/AVP 0 0"), TAKEN),
    "G.729 first": (with_line(5, "m=audio 4000 RTP/AVP 18 8"), "PCMA 192.0.2.5 4000"),
    "G.729 alone": (with_line(5, "m=audio 4000 RTP/AVP 18"), REFUSED),
    "events alone": ((*HEAD, "m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), REFUSED),
    "comfort noise alone": (with_line(5, "m=audio 4000 RTP/AVP 13"), REFUSED),
    "dynamic without a name": (with_line(5, "m=audio 4000 RTP/AVP 96"), REFUSED),
    "dynamic PCMU": ((*HEAD, "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 pcmu/8000"), TAKEN),
    "PCMU at 16,000": ((*HEAD, "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"), REFUSED),
    "PCMU in stereo": ((*HEAD, "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/8000/2"), REFUSED),
    "type 0 renamed": ((*HEAD, "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 speex/8000"), REFUSED),
    "rtpmap without a rate": ((*HEAD, "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU"), REFUSED),
    "rtpmap at rate 0": ((*HEAD, "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/0"), REFUSED),
    "rtpmap of letters": ((*FULL, "a=rtpmap:x y/z"), TAKEN),
    "rtpmap empty": ((*FULL, "a=rtpmap:"), TAKEN),
    "video": (with_line(5, "m=video 4000 RTP/AVP 31"), REFUSED),
    "video and audio": ((*HEAD, "m=video 4002 RTP/AVP 31", AUDIO), TAKEN),
    "17 media": ((*HEAD, *[AUDIO] * 17), BROKEN),
    "audio over TCP": (with_line(5, "m=audio 4000 TCP/RTP/AVP 0"), REFUSED),
    "audio with feedback": (with_line(5, "m=audio 4000 RTP/AVPF 0"), REFUSED),
    "audio with keys": (with_line(5, "m=audio 4000 RTP/SAVP 0"), REFUSED),
    "fax": (with_line(5, "m=image 4000 udptl t38"), REFUSED),
    "unknown line": ((*FULL, "q=?"), TAKEN),
    "no line at all": ((*FULL, "hello"), BROKEN),
    "a bare CR": ((*FULL, "a=x\ry"), BROKEN),
    "a NUL": ((*FULL, "a=x\0y"), BROKEN),
    "bad UTF-8": ((*FULL, "i=\udcff\udcfe"), TAKEN),
    "1,100 attributes": ((*FULL, *["a=x"] * 1_100), BROKEN),
    "an attribute of 40,000": ((*FULL, "a=" + "x" * 40_000), BROKEN),
    "spaces at the ends": (tuple(f"{line} " for line in FULL), TAKEN),
}


@pytest.mark.parametrize(("lines", "expected"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_the_verdict_on_a_session_description(lines: tuple[str, ...], expected: str) -> None:
    assert answered(lines) == expected


NONE = ""
"""Nothing there that we answer."""
CHALLENGES = {
    'Digest realm="r", nonce="n"': "MD5",
    'Digest realm="r", nonce="n", algorithm=MD5': "MD5",
    'Digest realm="r", nonce="n", algorithm="MD5"': "MD5",
    'digest REALM="r", NONCE="n"': "MD5",
    'Digest realm="r",nonce="n",qop="auth"': "MD5",
    'Digest realm="r", nonce="n", qop=auth': "MD5",
    'Digest realm="r", nonce="n", qop="auth-int"': "MD5",
    'Digest realm="r", nonce="n", qop="auth,auth-int"': "MD5",
    'Digest realm="r", nonce="n", qop="auth-conf"': NONE,
    'Digest realm="r", nonce="n", algorithm=SHA-256': "SHA-256",
    'Digest realm="r", nonce="n", algorithm=sha-256': "SHA-256",
    'Digest realm="r", nonce="n", algorithm=MD5-sess': NONE,  # needs a cnonce, which only qop allows
    'Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"': "MD5-sess",
    'Digest realm="r", nonce="n", algorithm=SHA-1': NONE,
    'Digest realm="r", nonce="n", algorithm=': NONE,
    'Digest realm="r", nonce=""': "MD5",
    'Digest nonce="n"': NONE,
    'Digest realm="r"': NONE,
    "Digest": NONE,
    "": NONE,
    'Basic realm="r"': NONE,
    'Basic realm="r", Digest realm="r", nonce="n"': "MD5",
    'Digest realm="r", nonce="n", Digest realm="r", nonce="m", algorithm=SHA-256': "SHA-256",
    'Digest realm="a \\" b", nonce="n"': "MD5",
    'Digest realm="a, b=c", nonce="n"': "MD5",
    'Digest realm="r, nonce="n"': NONE,
    'Digest realm="r" nonce="n"': NONE,
    "Digest realm=r, nonce=n": "MD5",
    'Digest realm="r", nonce="n", realm="s"': NONE,
    'Digest realm="r", nonce="n", nonce="m"': NONE,
    'Digest ,,realm="r",,nonce="n",': NONE,
    'Digest realm="r", nonce="n", unknown="x"': "MD5",
    'Digest realm="r", nonce="n", opaque="' + "x" * 2_000 + '"': "MD5",
}


@pytest.mark.parametrize(("value", "algorithm"), CHALLENGES.items())
def test_which_challenge_is_answered(value: str, algorithm: str) -> None:
    try:
        chosen = strongest(parse_challenges([value])).algorithm
    except DigestError:
        chosen = NONE
    assert chosen == algorithm


GOOD = (
    'Digest username="u", realm="r", nonce="n", uri="sip:x", response="6629fae49393a05397450978507c4ef1", qop=auth, '
    'nc=00000001, cnonce="c"'
)


@pytest.mark.parametrize(
    ("old", "new", "readable"),
    [
        ("", "", True),
        ("qop=auth", 'qop="auth"', True),
        ("nc=00000001", "nc=1", False),
        ("nc=00000001", "nc=zzzzzzzz", False),
        ("nc=00000001", "nc=-0000001", False),
        ("nc=00000001, ", "", False),
        (', cnonce="c"', "", False),
        ('username="u", ', "", False),
        ('realm="r", ', "", False),
        ('nonce="n", ', "", False),
        ('uri="sip:x", ', "", False),
        ('response="6629fae49393a05397450978507c4ef1", ', "", False),
        ("Digest ", "Basic ", False),
        ("Digest ", "", False),
        ('username="u"', 'username="u', False),
        ('username="u"', 'username="u", username="v"', False),
        ('username="u"', 'username="\\""', True),
        ("Digest ", "Digest Digest ", False),
    ],
)
def test_which_credentials_can_be_read(old: str, new: str, readable: bool) -> None:
    try:
        parse_authorization(GOOD.replace(old, new, 1) if old else GOOD)
    except DigestError:
        assert not readable
    else:
        assert readable
