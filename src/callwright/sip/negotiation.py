"""Offer and answer: which codec, which address, which keys, who may speak (RFC 3264, 3605, 4568, 4733 §2.4, 5761).

One audio stream over RTP/AVP or RTP/SAVP with one codec and telephone-events. Whatever else is offered is refused with
port 0, as RFC 3264 §6 asks. Pure: session ids, ports and keys come from whoever owns them.

SRTP that is merely wished for is offered as phones and PBXs do it among themselves: RTP/AVP with `a=crypto`. RFC 4568
wants RTP/SAVP there, but a peer without SRTP must refuse that, and two m= lines for one stream confuse more peers than
lines that they may pass over. Whoever requires SRTP offers RTP/SAVP.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from callwright.errors import SdpError
from callwright.sip import crypto
from callwright.sip.crypto import Crypto
from callwright.sip.lexis import decimal
from callwright.sip.sdp import (
    MOST_PORT,
    Codec,
    Connection,
    Direction,
    MediaDescription,
    Origin,
    SessionDescription,
    parse_connection,
)

AUDIO_CODECS: dict[str, tuple[int, Codec]] = {
    "PCMU": (0, Codec("PCMU", 8000)),
    "PCMA": (8, Codec("PCMA", 8000)),
    "G722": (9, Codec("G722", 8000)),
    "OPUS": (107, Codec("opus", 48_000, 2)),
}
"""What we can offer: name → payload type in our offers, codec. A further codec is a further row."""
DEFAULT_CODECS = ("PCMU", "PCMA")
TELEPHONE_EVENT = "telephone-event"
EVENT_PAYLOAD_TYPES = {8000: 101, 48_000: 110}
"""Clock rate → telephone-event in our offers; 101 is where nearly everybody puts it."""
OUR_EVENTS = "0-16"
"""Digits, *, #, A-D and flash (RFC 4733 §3.2)."""
_PARAMETERS = {
    TELEPHONE_EVENT.upper(): OUR_EVENTS,
    "OPUS": "maxplaybackrate=16000;sprop-maxcapturerate=16000",  # what we make of it and have (RFC 7587 §6.1)
}
"""fmtp of what we describe."""
DEFAULT_PTIME_MS = 20
_LEAST_PTIME_MS, _MOST_PTIME_MS = 10, 60
_PLAIN, _SECURE = "RTP/AVP", "RTP/SAVP"

_SENDS = ("sendrecv", "sendonly")
_RECEIVES = ("sendrecv", "recvonly")


Srtp = Literal["off", "optional", "required"]


@dataclass(frozen=True, slots=True)
class Protection:
    """What we want of SRTP, and what we would send with."""

    srtp: Srtp = "off"
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    "suite → master key and salt, for every suite of `crypto.SUITES` unless off; fresh for each call"


UNPROTECTED = Protection()


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """A suite and a key for each direction."""

    suite: str
    sending: bytes = field(repr=False)
    receiving: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on, seen from ours."""

    host: str
    "where our media goes; an address or a name"
    port: int
    rtcp_port: int
    codec: str
    "encoding name as in AUDIO_CODECS"
    payload_type: int
    "of the codec, on what we send"
    event_payload_type: int | None
    "of telephone-event, on what we send; None when the peer takes none"
    direction: Direction
    "ours: `sendonly` means that we speak and the peer listens"
    ptime_ms: int
    "how much sound the peer wants in a packet: 10 to 60"
    received: dict[int, str] = field(default_factory=dict)
    "payload type → encoding name of everything the peer may send us; telephone-event names a clock that is not 8000"
    rtcp_host: str = ""
    "where RTCP goes; the same as `host` unless the peer says otherwise (RFC 3605)"
    rtcp_mux: bool = False
    "RTCP comes and goes over the RTP port (RFC 5761)"
    srtp: SrtpKeys | None = None
    "None: in the clear"
    event_clock_rate: int = 8000
    "of telephone-event on what we send"

    @property
    def sends(self) -> bool:
        """Whether we may send media."""
        return self.direction in _SENDS

    @property
    def receives(self) -> bool:
        """Whether media may come."""
        return self.direction in _RECEIVES


def make_offer(
    host: str,
    port: int,
    *,
    session_id: int,
    version: int,
    codecs: Sequence[str] = DEFAULT_CODECS,
    ptime_ms: int = DEFAULT_PTIME_MS,
    direction: Direction = "sendrecv",
    protection: Protection = UNPROTECTED,
) -> SessionDescription:
    """An offer of one audio stream that is received at `host`:`port` (RTCP at `port` + 1).

    `session_id` and `version` are those of o=: a later offer in the same call keeps the one and adds one to the other.
    SdpError for a codec that we do not have.
    """
    if not codecs:
        raise SdpError("no codec to offer")
    if not 0 < port < MOST_PORT:
        raise SdpError(f"port {port}")
    offered = {}
    for name in codecs:
        if name not in AUDIO_CODECS:
            raise SdpError(f"codec {name!r} is unknown; known are {', '.join(AUDIO_CODECS)}")
        payload_type, codec = AUDIO_CODECS[name]
        offered[payload_type] = codec
    clocks = dict.fromkeys(codec.clock_rate for codec in offered.values())
    events = {EVENT_PAYLOAD_TYPES[clock]: Codec(TELEPHONE_EVENT, clock) for clock in clocks}
    media = _audio(port, offered | events, ptime_ms, direction)
    media.protocol = _SECURE if protection.srtp == "required" else _PLAIN
    if protection.srtp != "off":
        lines = [Crypto(tag, suite, protection.keys[suite]) for tag, suite in enumerate(crypto.SUITES, 1)]
        media.attributes += [("crypto", str(line)) for line in lines]
    return SessionDescription(Origin(host, session_id, version), [media], connection=Connection(host))


def read_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What the answer to our offer makes of it (RFC 3264 §7).

    SdpError when it refuses the audio or answers something that was not offered.
    """
    index = next((i for i, media in enumerate(offer.media) if media.kind == "audio" and media.port), None)
    if index is None:
        raise SdpError("the offer has no audio")
    if index >= len(answer.media) or answer.media[index].kind != "audio":
        raise SdpError("the answer has no audio where the offer has it")
    ours, theirs = offer.media[index], answer.media[index]
    if theirs.port == 0:
        raise SdpError("audio is refused")
    srtp = _answered_srtp(ours, theirs)
    our_codecs = list(ours.codecs().values())
    their_codecs = theirs.codecs()
    chosen = next((pair for pair in their_codecs.items() if _is_audio(pair[1]) and _holds(our_codecs, pair[1])), None)
    if chosen is None:
        raise SdpError(f"none of our codecs in the answer: {' '.join(theirs.formats)[:80]}")
    # We receive with the numbers of our offer, and the peer may use any codec that its answer kept.
    received = {number: codec for number, codec in ours.codecs().items() if _holds(their_codecs.values(), codec)}
    direction = _intersection(offer.direction_of(ours), _mirrored(answer.direction_of(theirs)))
    # We do not offer to share the port (RFC 5761 §5.1.1), so nobody can accept it.
    return _negotiated(answer, theirs, chosen, direction, received, srtp, rtcp_mux=False)


def _answered_srtp(ours: MediaDescription, theirs: MediaDescription) -> SrtpKeys | None:
    """The keys that an answer settles on; None for RTP in the clear, SdpError when that is not what we offered."""
    offered = {line.tag: line for line in crypto.lines(ours.attributes)}
    protocol = theirs.protocol.upper()
    if protocol != ours.protocol.upper() and not (protocol == _SECURE and offered):
        raise SdpError(f"offered {ours.protocol}, answered {theirs.protocol[:40]}")
    for line in crypto.lines(theirs.attributes):
        mine = offered.get(line.tag)
        if mine is not None and mine.suite == line.suite:
            return SrtpKeys(line.suite, mine.key, line.key)
    if protocol == _SECURE:
        raise SdpError("the answer has no usable key for SRTP")
    return None


def make_answer(
    offer: SessionDescription,
    host: str,
    port: int,
    *,
    session_id: int,
    version: int,
    codecs: Sequence[str] = DEFAULT_CODECS,
    direction: Direction = "sendrecv",
    protection: Protection = UNPROTECTED,
) -> tuple[SessionDescription, Negotiated]:
    """Answer an offer with media received at `host`:`port`, and say what was agreed (RFC 3264 §6).

    The first audio stream with a codec of `codecs` is taken, in the offerer's order of preference, one with SRTP
    before others if we want that; everything else is refused with port 0. `direction` is what we want; a peer on hold
    gets less. SdpError (answer 488) when no stream can be taken.
    """
    if not 0 < port < MOST_PORT:
        raise SdpError(f"port {port}")
    acceptable = [AUDIO_CODECS[name][1] for name in codecs if name in AUDIO_CODECS]
    answer = SessionDescription(Origin(host, session_id, version), connection=Connection(host), timing=offer.timing)
    takable = [_can_be_taken(media, acceptable, protection) for media in offer.media]
    taken = next((media for media, can in zip(offer.media, takable, strict=True) if can and _is_secure(media)), None)
    if taken is None or protection.srtp == "off":
        taken = next((media for media, can in zip(offer.media, takable, strict=True) if can), None)
    if taken is None:
        raise SdpError(_why_nothing_is_taken(offer, acceptable, protection))
    ours = _intersection(direction, _mirrored(offer.direction_of(taken)))
    made, agreed = _taken(offer, taken, acceptable, ours, protection)
    made.port = port
    for media in offer.media:
        refused = MediaDescription(media.kind, 0, media.protocol, list(media.formats))
        answer.media.append(made if media is taken else refused)
    return answer, agreed


def _taken(
    offer: SessionDescription,
    media: MediaDescription,
    acceptable: Sequence[Codec],
    direction: Direction,
    protection: Protection,
) -> tuple[MediaDescription, Negotiated]:
    """Our description of the stream that we take, still without port, and what was agreed."""
    number, codec = next(pair for pair in media.codecs().items() if _holds(acceptable, pair[1]))
    connection = offer.connection_of(media)
    if connection and connection.is_unspecified:
        direction = _intersection(direction, "recvonly")
    received = {number: codec}
    event = _event_payload_type(media, codec)
    if event is not None:
        received[event] = media.codecs()[event]
    line = None if protection.srtp == "off" else next(iter(crypto.lines(media.attributes)), None)
    srtp = None if line is None else SrtpKeys(line.suite, protection.keys[line.suite], line.key)
    shares_port = media.attribute("rtcp-mux") is not None
    agreed = _negotiated(offer, media, (number, codec), direction, received, srtp, rtcp_mux=shares_port)
    # Many a device sends what it is asked for and expects the same, whatever RFC 3264 §6.1 says.
    made = _audio(0, received, agreed.ptime_ms, direction)
    made.protocol = media.protocol
    if agreed.rtcp_mux:
        made.attributes.append(("rtcp-mux", None))
    if line is not None and srtp is not None:
        made.attributes.append(("crypto", str(Crypto(line.tag, line.suite, srtp.sending))))
    return made, agreed


def _is_secure(media: MediaDescription) -> bool:
    return bool(crypto.lines(media.attributes))


def _can_be_taken(media: MediaDescription, acceptable: Sequence[Codec], protection: Protection) -> bool:
    """Whether an offered stream is audio that we can take with what we want of SRTP."""
    protocol = media.protocol.upper()
    if media.kind != "audio" or media.port == 0 or protocol not in (_PLAIN, _SECURE):
        return False
    if not any(_holds(acceptable, codec) for codec in media.codecs().values()):
        return False
    if protection.srtp == "off":
        return protocol == _PLAIN
    return _is_secure(media) or (protection.srtp == "optional" and protocol == _PLAIN)


def _why_nothing_is_taken(offer: SessionDescription, acceptable: Sequence[Codec], protection: Protection) -> str:
    plain = [replace(media, protocol=_PLAIN) for media in offer.media]
    if any(_can_be_taken(media, acceptable, UNPROTECTED) for media in plain):
        if protection.srtp == "off":
            return 'the offer wants SRTP, and srtp = "off"'
        if protection.srtp == "required" and not any(map(_is_secure, offer.media)):
            return 'the offer has no usable key for SRTP, and srtp = "required"'
    offered = "; ".join(f"{media.kind} {media.protocol} {' '.join(media.formats)}" for media in offer.media)
    return f"nothing in common with the offer ({offered[:120] or 'no media'})"


def _audio(port: int, codecs: Mapping[int, Codec], ptime_ms: int, direction: Direction) -> MediaDescription:
    attributes: list[tuple[str, str | None]] = []
    for number, codec in codecs.items():
        attributes.append(("rtpmap", f"{number} {codec}"))
        if codec.name.upper() in _PARAMETERS:
            attributes.append(("fmtp", f"{number} {_PARAMETERS[codec.name.upper()]}"))
    attributes += [("ptime", str(ptime_ms)), (direction, None)]
    return MediaDescription("audio", port, _PLAIN, [str(number) for number in codecs], attributes=attributes)


def _negotiated(
    description: SessionDescription,
    theirs: MediaDescription,
    chosen: tuple[int, Codec],
    direction: Direction,
    received: Mapping[int, Codec],
    srtp: SrtpKeys | None,
    *,
    rtcp_mux: bool,
) -> Negotiated:
    """What the peer's description of the stream says about sending to it."""
    connection = description.connection_of(theirs)
    if connection is None:
        raise SdpError("no c= line for audio")
    if connection.is_unspecified:
        direction = _intersection(direction, "recvonly")
    rtcp_host, rtcp_port = _rtcp(theirs, connection.host)
    payload_type, codec = chosen
    event = _event_payload_type(theirs, codec)
    return Negotiated(
        host=connection.host,
        port=theirs.port,
        rtcp_port=rtcp_port,
        codec=codec.name.upper(),
        payload_type=payload_type,
        event_payload_type=event,
        event_clock_rate=8000 if event is None else theirs.codecs()[event].clock_rate,
        direction=direction,
        ptime_ms=_ptime_ms(description, theirs),
        received={number: _encoding_name(one) for number, one in received.items()},
        rtcp_host=rtcp_host,
        rtcp_mux=rtcp_mux,
        srtp=srtp,
    )


def _encoding_name(codec: Codec) -> str:
    if codec.name.lower() != TELEPHONE_EVENT:
        return codec.name.upper()
    return TELEPHONE_EVENT if codec.clock_rate == 8000 else f"{TELEPHONE_EVENT}/{codec.clock_rate}"


def _is_audio(codec: Codec) -> bool:
    """Whether it carries the voice itself."""
    return codec.name.upper() in AUDIO_CODECS


def _holds(codecs: Iterable[Codec], codec: Codec) -> bool:
    return any(codec.same_as(other) for other in codecs)


def _event_payload_type(media: MediaDescription, codec: Codec) -> int | None:
    """The peer's number for telephone-event: at the clock rate of the codec (RFC 4733 §2.1), else at 8000 Hz.

    The latter is what most peers that know Opus have besides it.
    """
    for clock_rate in (codec.clock_rate, 8000):
        events = Codec(TELEPHONE_EVENT, clock_rate)
        for number, other in media.codecs().items():
            if other.same_as(events):
                return number
    return None


def _mirrored(direction: Direction) -> Direction:
    """The peer's direction seen from our side."""
    if direction == "sendonly":
        return "recvonly"
    return "sendonly" if direction == "recvonly" else direction


def _intersection(one: Direction, other: Direction) -> Direction:
    sends = one in _SENDS and other in _SENDS
    receives = one in _RECEIVES and other in _RECEIVES
    if sends:
        return "sendrecv" if receives else "sendonly"
    return "recvonly" if receives else "inactive"


def _rtcp(media: MediaDescription, host: str) -> tuple[str, int]:
    """Where RTCP goes: `a=rtcp:53020 IN IP4 192.0.2.1` (RFC 3605), else the next port."""
    words = (media.attribute("rtcp") or "").split()
    port = decimal(words[0], MOST_PORT) if words else None
    if port:
        return (parse_connection(" ".join(words[1:])).host if len(words) > 1 else host), port
    if media.port >= MOST_PORT:
        raise SdpError(f"port {media.port} leaves none for RTCP")
    return host, media.port + 1


def _ptime_ms(description: SessionDescription, media: MediaDescription) -> int:
    """What the peer wants per packet in whole 10 ms steps from 10 to 60; 20 when it says nothing usable."""
    wanted = _milliseconds(media.attribute("ptime") or description.attribute("ptime")) or DEFAULT_PTIME_MS
    most = _milliseconds(media.attribute("maxptime") or description.attribute("maxptime")) or _MOST_PTIME_MS
    ptime = min(wanted, most)
    return ptime if ptime % 10 == 0 and _LEAST_PTIME_MS <= ptime <= _MOST_PTIME_MS else DEFAULT_PTIME_MS


def _milliseconds(text: str | None) -> int | None:
    return decimal((text or "").partition(".")[0], 1_000)
