"""Session descriptions: text ↔ the parts that a call needs (RFC 8866, and RFC 4566, which phones speak).

Reads what real phones send: bare LF, lines out of order, codecs without rtpmap, addresses per media or per session.
Every line that is not understood is kept as an attribute or dropped where it cannot matter (`i=`, `u=`, `r=`, `k=`).
Sizes and counts are limited before anything is read.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from callwright.errors import SdpError
from callwright.sip.lexis import decimal

MOST_BYTES = 32_768
MOST_LINES = 1_000
MOST_MEDIA = 16
MOST_FORMATS = 64
"""Formats in one m= line."""
MOST_PORT = 65_535
MOST_PAYLOAD_TYPE = 127
CODECS_REMEMBERED = 1_024
"""rtpmap values: all the world has a few dozen of them."""
ADDRESSES_REMEMBERED = 1_024
MOST_REMEMBERED_CHARS = 256
"""Of an rtpmap; a longer one is none."""

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")

_ADDRESS_CHARS = re.compile(r"[A-Za-z0-9.:\-_]{1,255}")
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Za-z^_`{|}~]+")
_PROTOCOL = re.compile(r"[!#$%&'*+\-.0-9A-Za-z^_`{|}~]+(?:/[!#$%&'*+\-.0-9A-Za-z^_`{|}~]+)*")
_MOST_64_BIT = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Codec:
    """What a payload type stands for: an rtpmap, or the static table of RFC 3551 §6. Names compare without case."""

    name: str
    clock_rate: int
    channels: int = 1

    def same_as(self, other: "Codec") -> bool:
        """Whether both name the same encoding. Opus is told apart by its name: the rest is decreed (RFC 7587 §7)."""
        if self.name.upper() == other.name.upper() == "OPUS":
            return True
        return (self.name.upper(), self.clock_rate, self.channels) == (
            other.name.upper(),
            other.clock_rate,
            other.channels,
        )

    def __str__(self) -> str:
        return f"{self.name}/{self.clock_rate}" + (f"/{self.channels}" if self.channels != 1 else "")


STATIC_CODECS = {
    0: Codec("PCMU", 8000),
    3: Codec("GSM", 8000),
    4: Codec("G723", 8000),
    8: Codec("PCMA", 8000),
    9: Codec("G722", 8000),  # 8000 by decree, though it samples at 16 kHz (RFC 3551 §4.5.2)
    13: Codec("CN", 8000),
    18: Codec("G729", 8000),
}
"""Payload types that need no rtpmap (RFC 3551 §6), those that telephony uses."""


@dataclass(frozen=True, slots=True)
class Connection:
    """`c=IN IP4 192.0.2.1`: where media is received."""

    host: str
    "an address or a name; no brackets around IPv6"

    @property
    def is_unspecified(self) -> bool:
        """Whether it is 0.0.0.0 or ::, which RFC 2543 phones send for hold."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104  compared, not bound

    def __str__(self) -> str:
        return f"IN {'IP6' if ':' in self.host else 'IP4'} {self.host}"


@dataclass(frozen=True, slots=True)
class Origin:
    """`o=`: who made the session, and which version of it this is (RFC 8866 §5.2)."""

    host: str
    session_id: int
    version: int
    username: str = "-"

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {Connection(self.host)}"


@dataclass(slots=True)
class MediaDescription:
    """One m= line with what follows it."""

    kind: str
    "`audio`, `video`, `image`, ..."
    port: int
    "0: this stream is refused or gone"
    protocol: str
    "`RTP/AVP`, `RTP/SAVP`, ..."
    formats: list[str]
    "payload types as text for RTP, anything for others; most wanted first"
    connection: Connection | None = None
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    "every a= line in order; None for `a=name` without a value"

    def attribute(self, name: str) -> str | None:
        """The value of the first a= line of that name; "" when it has none, None when there is no such line."""
        return _attribute(self.attributes, name)

    @property
    def is_rtp(self) -> bool:
        """Whether the formats are RTP payload types."""
        return "RTP/" in self.protocol.upper()

    def payload_types(self) -> list[int]:
        """The payload types offered, most wanted first; SdpError when one is no number up to 127."""
        read = [decimal(text, MOST_PAYLOAD_TYPE) for text in self.formats]
        if None in read:
            raise SdpError(f"payload types {' '.join(self.formats)[:80]!r}")
        return [number for number in read if number is not None]

    def codecs(self) -> dict[int, Codec]:
        """Payload type → codec, in the order of the m= line.

        Types that nothing explains are left out: no rtpmap and not static, or an rtpmap that cannot be read.
        """
        mapped: dict[int, Codec] = {}
        for name, value in self.attributes:
            read = _rtpmap(value or "") if name == "rtpmap" else None
            if read:
                mapped.setdefault(*read)
        explained = {}
        for payload_type in self.payload_types():
            codec = mapped.get(payload_type) or STATIC_CODECS.get(payload_type)
            if codec:
                explained[payload_type] = codec
        return explained

    def fmtp(self, payload_type: int) -> str | None:
        """The parameters of a payload type (`0-16`, `useinbandfec=1`); None when none are given."""
        for name, value in self.attributes:
            if name == "fmtp":
                number, _, parameters = (value or "").partition(" ")
                if decimal(number, MOST_PAYLOAD_TYPE) == payload_type:
                    return parameters.strip()
        return None


@dataclass(slots=True)
class SessionDescription:
    """A whole description. `str()` of the parts and `serialize` make text of it."""

    origin: Origin
    media: list[MediaDescription] = field(default_factory=list)
    name: str = "-"
    connection: Connection | None = None
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    timing: str = "0 0"
    "of t=; an answer repeats the offer's (RFC 3264 §6)"

    def attribute(self, name: str) -> str | None:
        """The value of the first session-level a= line of that name; "" when it has none, None without such a line."""
        return _attribute(self.attributes, name)

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """Where this media is received: its own c= line, else the session's (RFC 8866 §5.7)."""
        return media.connection or self.connection

    def direction_of(self, media: MediaDescription) -> Direction:
        """The media's own direction, else the session's, else sendrecv (RFC 8866 §6.7)."""
        for attributes in (media.attributes, self.attributes):
            for direction in DIRECTIONS:
                if (direction, None) in attributes:
                    return direction
        return "sendrecv"


def parse(body: bytes) -> SessionDescription:
    """Read a session description; SdpError says which line is wrong."""
    lines = _lines(body)
    session = SessionDescription(_origin(next((line[2:] for line in lines if line.startswith("o=")), "")))
    here: MediaDescription | SessionDescription = session
    for line in lines[1:]:
        if line[1:2] != "=":
            raise SdpError(f"not a line of SDP: {line[:40]!r}")
        kind, value = line[0], line[2:]
        if kind == "m":
            here = _media(value)
            session.media.append(here)
            if len(session.media) > MOST_MEDIA:
                raise SdpError(f"more than {MOST_MEDIA} media")
        elif kind == "c":
            # A second c= line is another address for layered coding (RFC 8866 §5.7); telephony uses the first.
            here.connection = here.connection or parse_connection(value)
        elif kind == "a":
            name, colon, rest = value.partition(":")
            here.attributes.append((name.strip(), rest.strip() if colon else None))
        elif kind == "s":
            session.name = value
        elif kind == "t":
            session.timing = _timing(value)
    for media in session.media:
        if media.port and session.connection_of(media) is None:
            raise SdpError("no c= line for a medium")
    return session


def _lines(body: bytes) -> list[str]:
    if len(body) > MOST_BYTES:
        raise SdpError(f"a session description of {len(body)} bytes")
    text = body.decode("utf-8", "replace").replace("\r\n", "\n")
    if "\r" in text or "\0" in text:
        raise SdpError("a bare CR or a NUL")
    lines = [line for line in (raw.rstrip(" \t") for raw in text.split("\n")) if line]
    if len(lines) > MOST_LINES:
        raise SdpError(f"{len(lines)} lines")
    if not lines or lines[0] != "v=0":
        raise SdpError("does not begin with v=0")
    return lines


def serialize(session: SessionDescription) -> bytes:
    """The text to send; SdpError when a value holds a line end."""
    lines = ["v=0", f"o={session.origin}", f"s={session.name or '-'}"]
    if session.connection:
        lines.append(f"c={session.connection}")
    lines.append(f"t={session.timing}")
    lines += _attribute_lines(session.attributes)
    for media in session.media:
        lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
        if media.connection:
            lines.append(f"c={media.connection}")
        lines += _attribute_lines(media.attributes)
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise SdpError("a line end inside a value")
    return text.encode("utf-8", "replace") + b"\r\n"


def _attribute(attributes: list[tuple[str, str | None]], name: str) -> str | None:
    return next((value or "" for attribute, value in attributes if attribute == name), None)


def _attribute_lines(attributes: list[tuple[str, str | None]]) -> list[str]:
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]


def _timing(value: str) -> str:
    words = value.split()
    if len(words) != 2 or None in [decimal(word, _MOST_64_BIT) for word in words]:
        raise SdpError(f"t={value[:40]!r}")
    return " ".join(words)


def _origin(value: str) -> Origin:
    parts = value.split()
    if len(parts) != 6 or parts[3].upper() != "IN":
        raise SdpError(f"no usable o= line: {value[:80]!r}")
    numbers = [decimal(text, _MOST_64_BIT) for text in parts[1:3]]
    if numbers[0] is None or numbers[1] is None:
        raise SdpError(f"no usable o= line: {value[:80]!r}")
    return Origin(_host(parts[4], parts[5]), numbers[0], numbers[1], parts[0])


def parse_connection(value: str) -> Connection:
    """Read `IN IP4 192.0.2.1`, as c= and a=rtcp carry it."""
    parts = value.split()
    if len(parts) != 3 or parts[0].upper() != "IN":
        raise SdpError(f"c={value[:80]!r}")
    host, _, multicast = parts[2].partition("/")
    if multicast and decimal(multicast.partition("/")[0], 255) is None:
        raise SdpError(f"c={value[:80]!r}")
    return Connection(_host(parts[1], host))


def _host(family: str, text: str) -> str:
    """An address of the family it claims, or a name (RFC 8866 §9: FQDN)."""
    if family.upper() not in ("IP4", "IP6") or not _ADDRESS_CHARS.fullmatch(text):
        raise SdpError(f"address {family[:10]!r} {text[:80]!r}")
    if ":" in text:
        if family.upper() != "IP6" or not _is_address(text):
            raise SdpError(f"address {text[:80]!r}")
    elif text.rpartition(".")[2].isdigit() and (family.upper() != "IP4" or not _is_address(text)):
        raise SdpError(f"address {text[:80]!r}")
    return text


@lru_cache(maxsize=ADDRESSES_REMEMBERED)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _media(value: str) -> MediaDescription:
    parts = value.split()
    if len(parts) < 4:
        raise SdpError(f"m={value[:80]!r}")
    kind, port_text, protocol = parts[:3]
    formats = parts[3:]
    port = decimal(port_text.partition("/")[0], MOST_PORT)  # `49170/2`: layered streams; the first counts
    if port is None or not _TOKEN.fullmatch(kind) or not _PROTOCOL.fullmatch(protocol):
        raise SdpError(f"m={value[:80]!r}")
    if len(formats) > MOST_FORMATS:
        raise SdpError(f"{len(formats)} formats")
    return MediaDescription(kind.lower(), port, protocol, formats)


def _rtpmap(value: str) -> tuple[int, Codec] | None:
    """`96 opus/48000/2`; None when it is something else."""
    return _read_rtpmap(value) if len(value) <= MOST_REMEMBERED_CHARS else None


@lru_cache(maxsize=CODECS_REMEMBERED)
def _read_rtpmap(value: str) -> tuple[int, Codec] | None:
    number, _, encoding = value.partition(" ")
    payload_type = decimal(number, MOST_PAYLOAD_TYPE)
    name, *rates = encoding.strip().split("/")
    clock_rate = decimal(rates[0], 10_000_000) if rates else None
    channels = decimal(rates[1], 255) if len(rates) > 1 else 1
    if payload_type is None or not clock_rate or not channels or len(rates) > 2 or not _TOKEN.fullmatch(name):
        return None
    return payload_type, Codec(name, clock_rate, channels)
