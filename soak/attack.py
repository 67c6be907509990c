"""The messages of a flood: seven methods, well-formed and bent, each with names of its own.

All are made before the flood begins. A message holds a mark wherever it has to differ from the one before (branch,
Call-ID, tag); who sends it replaces that by a number.
"""

from collections.abc import Callable
from dataclasses import dataclass

MARK = b"0mark000mark0000"
METHODS = ("REGISTER", "INVITE", "OPTIONS", "BYE", "CANCEL", "SUBSCRIBE", "MESSAGE")
MANY_HEADERS = 400
OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


@dataclass(frozen=True, slots=True)
class Shot:
    """One kind of message."""

    method: str
    bend: str
    "what is wrong with it; `good` when nothing is"
    data: bytes

    def numbered(self, number: int) -> bytes:
        """The message that differs from all others of other numbers."""
        return self.data.replace(MARK, b"%016x" % number)


def well_formed(method: str, host: str, port: int) -> bytes:
    """A request as a phone would send it to the SIP port at that address."""
    mark = MARK.decode()
    tag = ";tag=" + mark if method == "BYE" else ""
    lines = [
        f"{method} sip:+6531580000@{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:59999;branch=z9hG4bK{mark};rport",
        "Max-Forwards: 70",
        f"From: <sip:+6590000000@{host}>;tag={mark}",
        f"To: <sip:+6531580000@{host}>{tag}",
        f"Call-ID: {mark}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:+6590000000@{host}:59999>",
        "User-Agent: anybody",
    ]
    if method == "SUBSCRIBE":
        lines += ["Event: presence", "Expires: 3600"]
    body = {"INVITE": OFFER, "MESSAGE": "Hello."}.get(method, "")
    if body:
        lines.append(f"Content-Type: {'application/sdp' if method == 'INVITE' else 'text/plain'}")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _long(data: bytes) -> bytes:
    return data.replace(b"Content-Length: ", b"Content-Length: 99999999999999999999")


def _crowded(data: bytes) -> bytes:
    return data.replace(
        b"User-Agent", b"".join(b"X-%d: y\r\n" % number for number in range(MANY_HEADERS)) + b"User-Agent"
    )


def _challenging(data: bytes) -> bytes:
    deep = b", ".join(b'p%d="\\\\\\"x"' % number for number in range(MANY_HEADERS))
    return data.replace(b"User-Agent: anybody", b"Authorization: Digest " + deep)


def _unnumbered(data: bytes) -> bytes:
    return data.replace(b"CSeq: 1 ", b"CSeq: -99999999999 ")


def _nul(data: bytes) -> bytes:
    return data.replace(b"From: <", b'From: "\x00\xff" <')


def _noise(data: bytes) -> bytes:
    return MARK + bytes(reversed(data))


BENDS: dict[str, Callable[[bytes], bytes]] = {
    "cut": _cut,
    "length": _long,
    "crowded": _crowded,
    "digest": _challenging,
    "sequence": _unnumbered,
    "nul": _nul,
    "noise": _noise,
}


def shots(host: str, port: int) -> list[Shot]:
    """Every method well-formed as often as bent."""
    found = []
    for method in METHODS:
        good = well_formed(method, host, port)
        for bend, bent in BENDS.items():
            found += [Shot(method, "good", good), Shot(method, bend, bent(good))]
    return found
