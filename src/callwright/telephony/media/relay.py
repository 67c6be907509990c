"""One direction of a bridge: packets that one call receives become packets that another sends.

Sequence numbers keep their gaps and their order, timestamps their distances, so that the far end's jitter buffer sees
the network as it is; only the beginning is moved to where our own stream stands (RFC 3550 §7.2 calls this a translator,
with the SSRC of our side because each side's session is its own). Codes are translated one by one between µ-law and
A-law. Telephone-events go along under the number that the other side wants them under.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from callwright.audio.codecs import CODECS
from callwright.errors import RtpError
from callwright.rtp import telephone_event
from callwright.rtp.packet import RtpPacket
from callwright.rtp.wrap import sequence_distance, timestamp_distance
from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.slot import MARKER

MOST_LEAP_TICKS = 240_000
"""A timestamp half a minute away belongs to a sender that started over."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What becomes of packets with one payload type."""

    payload_type: int
    "of what is sent"
    table: bytes | None = None
    "from code to code; None: as it came"
    codec: str = ""
    "encoding name of what is sent; empty for telephone-events"
    event_clocks: tuple[int, int] = (8000, 8000)
    "of telephone-events: as they come, as they are sent"


def _translated(payload: bytes, kind: Kind) -> bytes:
    if not kind.codec:
        return telephone_event.at_clock(payload, *kind.event_clocks)
    return payload if kind.table is None else payload.translate(kind.table)


class Relay:
    """`kinds` says what goes along: payload type received → what it becomes."""

    __slots__ = (
        "_highest_sequence",
        "_highest_timestamp",
        "_sequence_offset",
        "_since",
        "_ssrc",
        "_target",
        "_timestamp_offset",
        "kinds",
    )

    def __init__(self, target: Outbound) -> None:
        self.kinds: Mapping[int, Kind] = {}
        self._target = target
        self._ssrc: int | None = None
        self._highest_sequence = 0
        self._highest_timestamp = 0
        self._sequence_offset = 0
        self._timestamp_offset = 0
        self._since = 0
        "packets between the first one relayed and the highest"

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Send a packet that was just accepted on, if it is for the other side."""
        kind = self.kinds.get(packet.payload_type)
        target = self._target
        if kind is None or not target.takes_relayed:
            return
        marker = packet.marker
        ahead = sequence_distance(self._highest_sequence, packet.sequence)
        if not target.is_relaying or packet.ssrc != self._ssrc or self._leaps(packet.timestamp):
            self._begin(packet)
            marker = kind.codec != "" or marker
        elif ahead > 0:
            self._highest_sequence, self._highest_timestamp = packet.sequence, packet.timestamp
            self._since += ahead
        elif -ahead > self._since:
            return  # from before the bridge: its number is taken
        try:
            payload = _translated(packet.payload, kind)
        except RtpError:
            return  # no event
        timestamp = (packet.timestamp + self._timestamp_offset) & 0xFFFF_FFFF
        target.relay(
            kind.payload_type | (MARKER if marker else 0),
            (packet.sequence + self._sequence_offset) & 0xFFFF,
            timestamp,
            payload,
            CODECS[kind.codec].ticks(payload) if kind.codec else 0,
            now,
        )
        if kind.codec and target.recorder is not None:
            target.recorder.sent(timestamp, kind.codec, payload)

    def _leaps(self, timestamp: int) -> bool:
        return abs(timestamp_distance(self._highest_timestamp, timestamp)) > MOST_LEAP_TICKS

    def _begin(self, packet: RtpPacket) -> None:
        sequence, timestamp = self._target.next_place()
        self._ssrc = packet.ssrc
        self._sequence_offset = sequence - packet.sequence
        self._timestamp_offset = timestamp - packet.timestamp
        self._highest_sequence, self._highest_timestamp = packet.sequence, packet.timestamp
        self._since = 0
