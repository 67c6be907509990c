"""Reading and writing one INVITE with a session description."""

import secrets
import timeit

from bench.rig.result import Figure, Result
from bench.rig.rig import Rig
from callwright.sip import sdp
from callwright.sip.envelope import read_envelope
from callwright.sip.message import Request
from callwright.sip.negotiation import make_offer
from callwright.sip.parse import parse, serialize
from callwright.sip.validation import validate_request

TARGET_US = 60.0
SOURCE = ("198.51.100.7", 5060)


async def measure(rig: Rig) -> Result:
    """Microseconds for parse, and for serialise of what was parsed; the fastest of several rounds."""
    data = _invite()
    loops, rounds = rig.sized(20, 300, 300), rig.sized(2, 20, 100)
    message = parse(data)
    if not isinstance(message, Request):
        raise TypeError("the INVITE was read as a response")
    parse_us = min(timeit.repeat(lambda: parse(data), number=loops, repeat=rounds)) / loops * 1e6
    serialize_us = min(timeit.repeat(lambda: serialize(message), number=loops, repeat=rounds)) / loops * 1e6
    judge_us = min(timeit.repeat(lambda: _judge(message), number=loops, repeat=rounds)) / loops * 1e6
    note = "an INVITE with SDP, the fastest round"
    figures = (
        Figure("SIP parse + serialise", parse_us + serialize_us, "µs", TARGET_US, note=note),
        Figure("SIP validate + route", judge_us, "µs", note="what the user agent reads of it besides"),
    )
    return Result("sip_message", figures, {"parse_us": parse_us, "serialize_us": serialize_us, "bytes": len(data)})


def _judge(message: Request) -> None:
    validate_request(message)
    read_envelope(message, SOURCE)


def _invite() -> bytes:
    """As one of callwright's own leaves, with the headers that a trunk adds on the way."""
    body = sdp.serialize(make_offer("192.0.2.10", 20000, session_id=secrets.randbits(62), version=1))
    lines = [
        "INVITE sip:+6512345678@198.51.100.7 SIP/2.0",
        f"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{secrets.token_hex(12)}",
        f"Via: SIP/2.0/UDP 192.0.2.10:5060;rport=5060;received=192.0.2.10;branch=z9hG4bK{secrets.token_hex(12)}",
        "Record-Route: <sip:198.51.100.7;lr>",
        "Max-Forwards: 69",
        f"From: <sip:+6512341234@192.0.2.10>;tag={secrets.token_hex(12)}",
        "To: <sip:+6512345678@198.51.100.7>",
        f"Call-ID: {secrets.token_hex(12)}",
        "CSeq: 1 INVITE",
        "Contact: <sip:callwright@192.0.2.10:5060>",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE",
        "User-Agent: callwright",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
