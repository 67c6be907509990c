"""Keys as RTP events (RFC 4733): receiving each press once, and the packets that send one.

A press is many packets: the same timestamp, a growing duration, and an end packet sent three times. Any of them may be
lost or doubled, so a press is known by its key and timestamp, and reported at its first packet seen. A press longer
than 0xFFFF ticks continues in segments with timestamps of their own (§2.5.1.3); they are recognised and stay one press,
also while other keys are pressed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from callwright.errors import RtpError
from callwright.rtp.wrap import timestamp_distance

DIGITS = "0123456789*#ABCD"
"""Event code → key (§3.2, table 3)."""
CLOCK_RATE = 8000
LONGEST_SEGMENT = 0xFFFF
SEGMENT_TOLERANCE = 1600
"""Ticks by which a sender may cut a segment short of 0xFFFF (it counts in whole packets)."""
SAME_PRESS_SECONDS = 0.05
"""Nobody presses a key twice within it; there are senders whose timestamps move on with each packet of one press."""
FORGOTTEN_SECONDS = 60.0
"""No packet of a press comes that much later, and no press without an end lasts so long beside others."""
END_REPEATS = 3
_PAYLOAD = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload (§2.3)."""

    code: int
    "0-15 are the DTMF keys"
    duration: int
    "ticks from the packet's timestamp on; 16 bits"
    end: bool = False
    volume: int = 10
    "0 to 63, in -dBm0"


def parse(payload: bytes) -> TelephoneEvent:
    """Read a payload; `RtpError` when it is too short. Reserved bit and octets behind the event are ignored (§2.3)."""
    if len(payload) < _PAYLOAD.size:
        raise RtpError(f"a telephone-event of {len(payload)} bytes")
    code, flags, duration = _PAYLOAD.unpack_from(payload)
    return TelephoneEvent(code, duration, end=flags > 0x7F, volume=flags & 0x3F)


def serialize(event: TelephoneEvent) -> bytes:
    """The four bytes; `RtpError` when a field does not fit."""
    if not 0 <= event.volume <= 63:
        raise RtpError(f"volume {event.volume} does not fit 6 bits")
    try:
        return _PAYLOAD.pack(event.code, event.end << 7 | event.volume, event.duration)
    except struct.error as error:
        raise RtpError(f"a telephone-event field does not fit: {error}") from error


def at_clock(payload: bytes, from_rate: int, to_rate: int) -> bytes:
    """The payload with its duration told by another clock; `RtpError` when it is no event.

    A duration beyond 16 bits stays at the most there is: the end is told by its own bit.
    """
    if from_rate == to_rate:
        parse(payload)
        return payload
    event = parse(payload)
    return serialize(replace(event, duration=min(LONGEST_SEGMENT, event.duration * to_rate // from_rate)))


class DigitReceiver:
    """Turns event packets of one source into keys, one per press. `clock_rate` is that of their timestamps."""

    __slots__ = ("_clock_rate", "_presses")

    def __init__(self, clock_rate: int = CLOCK_RATE) -> None:
        self._clock_rate = clock_rate
        self._presses: dict[int, tuple[int, bool]] = {}
        "event code → timestamp of the last press's latest segment, and whether its end was seen"

    def receive(self, timestamp: int, payload: bytes, *, marker: bool = False) -> str | None:
        """The key, when this packet is the first seen of a press; None for the rest, for old packets and non-keys.

        `RtpError` when the payload is no event.
        """
        event = parse(payload)
        known = self._presses.get(event.code)
        if known is not None:
            before, ended = known
            ahead = timestamp_distance(before, timestamp)
            if -FORGOTTEN_SECONDS * self._clock_rate < ahead < 0:
                return None  # a straggler of an earlier press
            if ahead == 0 or (ahead > 0 and not marker and self._is_same(ahead, ended=ended)):
                self._presses[event.code] = (timestamp, ended or event.end)
                return None
        self._presses[event.code] = (timestamp, event.end)
        return DIGITS[event.code] if event.code < len(DIGITS) else None

    def _is_same(self, ahead: int, *, ended: bool) -> bool:
        """Is this the next segment of the same long press? Only the first packet of a press carries the marker."""
        if ahead < SAME_PRESS_SECONDS * self._clock_rate:
            return True
        return not ended and 0 <= LONGEST_SEGMENT - ahead <= SEGMENT_TOLERANCE * self._clock_rate // CLOCK_RATE


@dataclass(frozen=True, slots=True)
class EventFrame:
    """One packet of a press, still without sequence number."""

    offset_ticks: int
    "when it leaves, from the beginning of the press"
    timestamp_ticks: int
    "what to add to the timestamp of the beginning: 0 but for later segments"
    marker: bool
    payload: bytes


def press(
    digit: str, duration_ms: int, packet_ms: int = 20, volume: int = 10, clock_rate: int = CLOCK_RATE
) -> Iterator[EventFrame]:
    """The packets of one key press: one per `packet_ms`, and the end thrice (§2.5.1.4). `RtpError` for no key."""
    code = DIGITS.find(digit)
    if len(digit) != 1 or code < 0:
        raise RtpError(f"{digit!r} is no telephone key")
    step = packet_ms * clock_rate // 1000
    total = max(step, duration_ms * clock_rate // 1000)
    segment = 0
    for elapsed in range(step, total, step):
        if elapsed - segment > LONGEST_SEGMENT:
            segment += LONGEST_SEGMENT
        payload = serialize(TelephoneEvent(code, elapsed - segment, volume=volume))
        yield EventFrame(elapsed, segment, marker=elapsed == step, payload=payload)
    if total - segment > LONGEST_SEGMENT:
        segment += LONGEST_SEGMENT
    payload = serialize(TelephoneEvent(code, total - segment, end=True, volume=volume))
    for repeat in range(END_REPEATS):
        yield EventFrame(total + repeat * step, segment, marker=total == step and repeat == 0, payload=payload)
