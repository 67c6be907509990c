"""Sound inputs of every kind, to be bent."""

import base64
import itertools
from pathlib import Path
from typing import Final

from callwright.rtp import packet, rtcp, telephone_event
from callwright.rtp.packet import HeaderExtension, RtpPacket
from callwright.sip import sdp, stun
from callwright.sip.negotiation import make_offer

TESTS: Final = Path(__file__).parent.parent / "tests" / "sip"
MESSAGES: Final = [path.read_bytes() for name in ("rfc4475", "seeds") for path in sorted((TESTS / name).glob("*.dat"))]
"""RFC 4475's, and ours with what those have not: IPv6, digest on both sides, telephone-event."""

DESCRIPTIONS: Final = [
    sdp.serialize(make_offer("192.0.2.7", 4000, session_id=1, version=1)),
    sdp.serialize(make_offer("2001:db8::7", 4000, session_id=1, version=1)),
    (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendonly\r\n"
        b"m=audio 49170 RTP/AVP 9 0 8 18 101 13\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:30\r\n"
        b"a=maxptime:60\r\na=rtcp:53020 IN IP4 192.0.2.9\r\na=rtcp-mux\r\n"
        b"m=video 51372 RTP/AVP 31\r\na=inactive\r\nm=image 0 udptl t38\r\n"
    ),
    (
        b"v=0\r\no=- 2 2 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n"
        b"m=audio 40000 RTP/SAVP 111 96\r\n"
        b"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1; maxptime=60\r\na=rtpmap:96 telephone-event/48000\r\n"
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32\r\n"
        b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj\r\n"
    ),
]

_KEY_LINES: Final = (
    b"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20",
    b"2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^31",
    b"7 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|1048576 WSH=64 -X=1",
    b"999999999 AES_256_CM_HMAC_SHA1_80 inline:" + base64.b64encode(bytes(range(46))),
    b"3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP",
)
KEYS: Final = [b"\n".join(pair) for pair in itertools.combinations(_KEY_LINES, 2)]
"""Two `a=crypto` lines each; the last of them is nothing that we can do."""

CHALLENGES: Final = [
    (
        b'Digest realm="sip.example.com", qop="auth,auth-int", nonce="84a4cc6f3082121f32b42a2187831a9e", '
        b'opaque="5ccc069c403ebaf9f0171e9517f40e41", algorithm=SHA-256, stale=FALSE'
    ),
    b'Basic realm="x", Digest realm="a \\"quoted\\" realm", nonce="n", algorithm=MD5-sess, qop=auth, domain="sip:a"',
    (
        b'Digest username="bob", realm="biloxi.example.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        b'uri="sip:bob@biloxi.example.com", qop=auth, nc=00000001, cnonce="0a4f113b", '
        b'response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    ),
]

PACKETS: Final = [
    packet.serialize(RtpPacket(0, 65535, 0xFFFF_FFFF, 0xDEADBEEF, bytes(range(160)))),
    packet.serialize(RtpPacket(101, 7, 160, 1, bytes((5, 0x8A, 3, 32)), marker=True)),
    packet.serialize(
        RtpPacket(8, 1, 2, 3, b"abcd", csrcs=(1, 2), extension=HeaderExtension(0xBEDE, bytes(8)), padding_bytes=4)
    ),
]


def _arrivals(*steps: tuple[int, int, int, int], often: int) -> bytes:
    """Milliseconds after the one before, numbers and frames further on, frames of sound; all of one source."""
    one = b"".join(
        bytes((ms,)) + number.to_bytes(2, "big", signed=True) + frames.to_bytes(2, "big", signed=True)
        + bytes((sound, 1, 1)) for ms, number, frames, sound in steps
    )  # fmt: skip
    return one * often


ARRIVALS: Final = [
    _arrivals((20, 1, 1, 1), often=12),
    _arrivals((20, 1, 1, 1), (40, 2, 2, 1), (0, -1, -1, 1), (20, 2, 2, 1), often=4),
    _arrivals((20, 1, 1, 1), (20, 1, 0, 0), (60, 1, 5, 1), often=6),
    _arrivals((60, 1, 3, 3), (0, 30, 90, 3), (200, 1, 3, 3), often=3),
]
"""As a network brings packets: in step, crossed, with events and pauses, with losses and bursts."""

UNSEALED: Final = [
    *PACKETS,
    packet.serialize(RtpPacket(9, 65_535, 1, 2, bytes(320), marker=True)),
    rtcp.serialize((rtcp.ReceiverReport(7, ()), rtcp.SourceDescription(((7, ((1, b"callwright"),)),)))),
]
"""What peers seal."""

REPORTS: Final = [
    rtcp.serialize(
        (
            rtcp.SenderReport(1, rtcp.ntp_time(1.5e9), 160, 50, 8000, (rtcp.ReportBlock(2, 128, 3, 70_000, 9, 1, 2),)),
            rtcp.SourceDescription(((1, ((1, b"callwright"),)),)),
        )
    ),
    rtcp.serialize((rtcp.ReceiverReport(7, ()), rtcp.Goodbye((7,), b"bye"))),
]

EVENTS: Final = [
    b"".join(bytes((4,)) + frame.payload for digit in "0#D" for frame in telephone_event.press(digit, milliseconds))
    for milliseconds in (40, 200, 9_000)
]
"""Five bytes for each packet: how far the timestamp goes on, and the payload."""


def _unsealed(message: bytes) -> bytes:
    """Without the fingerprint at its end, which would betray every wound."""
    return message[:2] + (len(message) - 28).to_bytes(2, "big") + message[4:-8]


STUN_ANSWERS: Final = [
    _unsealed(stun.serialize_success(bytes(range(12)), stun.Mapped("192.0.2.9", 5060))),
    _unsealed(stun.serialize_success(bytes(range(12)), stun.Mapped("2001:db8::9", 5060))),
    _unsealed(stun.serialize_error(bytes(range(12)), 420, "Unknown Attribute")),
]


STREAMS: Final = [b"\r\n\r\n".join(pair) for pair in itertools.pairwise(MESSAGES)]
"""Two messages and a keep-alive on one connection."""
