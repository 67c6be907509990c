"""Offer and answer: which codec, which address, who may speak (RFC 3264, RFC 4733 §2.4, RFC 3605).

One audio stream over RTP/AVP with one codec and telephone-events. Whatever else is offered is refused with port 0, as
RFC 3264 §6 asks. Pure: session ids and ports come from whoever owns them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from callwright.errors import SdpError
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
}
"""What we can offer: name → payload type in our offers, codec. A further codec is a further row."""
DEFAULT_CODECS = ("PCMU", "PCMA")
TELEPHONE_EVENT = "telephone-event"
EVENT_PAYLOAD_TYPE = 101
"""Where nearly everybody puts telephone-event."""
OUR_EVENTS = "0-16"
"""Digits, *, #, A-D and flash (RFC 4733 §3.2)."""
DEFAULT_PTIME_MS = 20
_LEAST_PTIME_MS, _MOST_PTIME_MS = 10, 60
_PROTOCOL = "RTP/AVP"

_SENDS = ("sendrecv", "sendonly")
_RECEIVES = ("sendrecv", "recvonly")


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
    "payload type → encoding name (or `telephone-event`) of everything the peer may send us"
    rtcp_host: str = ""
    "where RTCP goes; the same as `host` unless the peer says otherwise (RFC 3605)"

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
    media = _audio(port, offered, EVENT_PAYLOAD_TYPE, ptime_ms, direction)
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
    if theirs.protocol.upper() != ours.protocol.upper():
        raise SdpError(f"offered {ours.protocol}, answered {theirs.protocol[:40]}")
    our_codecs = list(ours.codecs().values())
    their_codecs = theirs.codecs()
    chosen = next((pair for pair in their_codecs.items() if _is_audio(pair[1]) and _holds(our_codecs, pair[1])), None)
    if chosen is None:
        raise SdpError(f"none of our codecs in the answer: {' '.join(theirs.formats)[:80]}")
    # We receive with the numbers of our offer, and the peer may use any codec that its answer kept.
    received = {number: codec for number, codec in ours.codecs().items() if _holds(their_codecs.values(), codec)}
    direction = _intersection(offer.direction_of(ours), _mirrored(answer.direction_of(theirs)))
    return _negotiated(answer, theirs, chosen, direction, received)


def make_answer(
    offer: SessionDescription,
    host: str,
    port: int,
    *,
    session_id: int,
    version: int,
    codecs: Sequence[str] = DEFAULT_CODECS,
    ptime_ms: int = DEFAULT_PTIME_MS,
    direction: Direction = "sendrecv",
) -> tuple[SessionDescription, Negotiated]:
    """Answer an offer with media received at `host`:`port`, and say what was agreed (RFC 3264 §6).

    The first audio stream with a codec of `codecs` is taken, in the offerer's order of preference; everything else is
    refused with port 0. `direction` is what we want; a peer on hold gets less. SdpError (answer 488) when no stream
    can be taken.
    """
    if not 0 < port < MOST_PORT:
        raise SdpError(f"port {port}")
    acceptable = [AUDIO_CODECS[name][1] for name in codecs if name in AUDIO_CODECS]
    answer = SessionDescription(Origin(host, session_id, version), connection=Connection(host), timing=offer.timing)
    agreed: Negotiated | None = None
    for media in offer.media:
        chosen = _choice(media, acceptable) if agreed is None else None
        if chosen is None:
            answer.media.append(MediaDescription(media.kind, 0, media.protocol, list(media.formats)))
            continue
        events = _event_payload_type(media, chosen[1])
        ours = _intersection(direction, _mirrored(offer.direction_of(media)))
        connection = offer.connection_of(media)
        if connection and connection.is_unspecified:
            ours = _intersection(ours, "recvonly")
        answer.media.append(_audio(port, dict([chosen]), events, ptime_ms, ours))
        received = dict([chosen]) | ({} if events is None else {events: Codec(TELEPHONE_EVENT, chosen[1].clock_rate)})
        agreed = _negotiated(offer, media, chosen, ours, received)
    if agreed is None:
        offered = "; ".join(f"{media.kind} {media.protocol} {' '.join(media.formats)}" for media in offer.media)
        raise SdpError(f"nothing in common with the offer ({offered[:120] or 'no media'})")
    return answer, agreed


def _audio(
    port: int, codecs: dict[int, Codec], events: int | None, ptime_ms: int, direction: Direction
) -> MediaDescription:
    attributes: list[tuple[str, str | None]] = [("rtpmap", f"{number} {codec}") for number, codec in codecs.items()]
    formats = [str(number) for number in codecs]
    if events is not None:
        formats.append(str(events))
        attributes += [("rtpmap", f"{events} {TELEPHONE_EVENT}/8000"), ("fmtp", f"{events} {OUR_EVENTS}")]
    attributes += [("ptime", str(ptime_ms)), (direction, None)]
    return MediaDescription("audio", port, _PROTOCOL, formats, attributes=attributes)


def _choice(media: MediaDescription, acceptable: Sequence[Codec]) -> tuple[int, Codec] | None:
    """The first payload type of an offered stream that we can take."""
    if media.kind != "audio" or media.port == 0 or media.protocol.upper() != _PROTOCOL:
        return None
    return next((pair for pair in media.codecs().items() if _holds(acceptable, pair[1])), None)


def _negotiated(
    description: SessionDescription,
    theirs: MediaDescription,
    chosen: tuple[int, Codec],
    direction: Direction,
    received: dict[int, Codec],
) -> Negotiated:
    """What the peer's description of the stream says about sending to it."""
    connection = description.connection_of(theirs)
    if connection is None:
        raise SdpError("no c= line for audio")
    if connection.is_unspecified:
        direction = _intersection(direction, "recvonly")
    rtcp_host, rtcp_port = _rtcp(theirs, connection.host)
    payload_type, codec = chosen
    return Negotiated(
        host=connection.host,
        port=theirs.port,
        rtcp_port=rtcp_port,
        codec=codec.name.upper(),
        payload_type=payload_type,
        event_payload_type=_event_payload_type(theirs, codec),
        direction=direction,
        ptime_ms=_ptime_ms(description, theirs),
        received={number: _encoding_name(one) for number, one in received.items()},
        rtcp_host=rtcp_host,
    )


def _encoding_name(codec: Codec) -> str:
    return TELEPHONE_EVENT if codec.name.lower() == TELEPHONE_EVENT else codec.name.upper()


def _is_audio(codec: Codec) -> bool:
    """Whether it carries the voice itself."""
    return codec.name.upper() in AUDIO_CODECS


def _holds(codecs: Iterable[Codec], codec: Codec) -> bool:
    return any(codec.same_as(other) for other in codecs)


def _event_payload_type(media: MediaDescription, codec: Codec) -> int | None:
    """The peer's number for telephone-event at the clock rate of the codec (RFC 4733 §2.1)."""
    events = Codec(TELEPHONE_EVENT, codec.clock_rate)
    return next((number for number, other in media.codecs().items() if other.same_as(events)), None)


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
