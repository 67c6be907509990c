"""A jitter buffer: packets handed in as they come, handed out in order, each once, when it is time for it.

A packet is due at the place of its timestamp on the sender's clock, plus the shortest time that any packet took lately,
plus a delay as long as the slowest of them needed and a little; that is at least `LEAST_SECONDS` and at most
`MOST_SECONDS`. "Lately" is two to four seconds, so the schedule follows a sender's clock that is off, and a network
that changes, within bounds; nothing is stretched or cut for it, because what comes out is sent on with its timestamps.

A number that is missing when its time has come is reported lost, if a later packet is there; without one the sender may
just be silent (its timestamps then go on and its numbers do not, and that is a pause). Pure: `now` is any clock.
"""

from dataclasses import dataclass
from typing import Final

from callwright.rtp.packet import RtpPacket
from callwright.rtp.wrap import sequence_distance, timestamp_distance

LEAST_SECONDS: Final = 0.02
MOST_SECONDS: Final = 0.2
MARGIN_SECONDS: Final = 0.005
"""What the next packet may be later than the slowest one yet; receivers look every 4 ms."""
WINDOW_SECONDS: Final = 2.0
MOST_WAITING: Final = 64
"""Packets; a flood beyond it makes the oldest leave before their time."""
MOST_LOST_PACKETS: Final = 50
MOST_LEAP_SECONDS: Final = 5.0
"""A longer jump of numbers or timestamps is a sender that started over."""


@dataclass(frozen=True, slots=True)
class Due:
    """What the receiver is to hear next."""

    packet: RtpPacket | None
    "None: it is lost"
    ticks: int
    "of sound in it, or missing"
    pause_ticks: int = 0
    "of silence that the sender did not send, before it"
    anew: bool = False
    "the first one of a source, or after a restart: timestamps have nothing to do with those before"


class JitterBuffer:
    """One stream's. `clock_rate` is that of its timestamps."""

    __slots__ = (
        "_before",
        "_clock_rate",
        "_expected_sequence",
        "_expected_timestamp",
        "_last_ticks",
        "_latest",
        "_ssrc",
        "_waiting",
        "_window",
        "_window_ends",
        "late",
        "lost",
    )

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._ssrc: int | None = None
        self._waiting: dict[int, tuple[int, RtpPacket, int]] = {}
        "sequence number → timestamp, unwrapped; packet; ticks"
        self._expected_sequence = 0
        self._expected_timestamp = 0
        self._latest = 0
        "timestamp, unwrapped, of the newest packet; `_expected_timestamp` is unwrapped, too"
        self._last_ticks = 0
        self._window: tuple[float, float] | None = None
        "shortest and longest transit since the window began"
        self._before: tuple[float, float] | None = None
        "those of the window before"
        self._window_ends = 0.0
        self.late = 0
        "packets that came after their turn, or twice"
        self.lost = 0
        "packets that had not come when it was their turn"

    def receive(self, packet: RtpPacket, ticks: int, now: float) -> list[Due]:
        """Take a packet with `ticks` of sound (0: an event, comfort noise).

        Returns what has to leave early: everything that still waits when the source starts over, what is too much.
        """
        early: list[Due] = []
        if packet.ssrc != self._ssrc or self._leaps(packet, ticks):
            early = self.flush()
            self._begin(packet, now)
        timestamp = self._latest + timestamp_distance(self._latest & 0xFFFF_FFFF, packet.timestamp)
        if ticks:  # the timestamp of an event is that of its beginning
            self._latest = max(self._latest, timestamp)
            self._measure(now - timestamp / self._clock_rate, now)
        if sequence_distance(self._expected_sequence, packet.sequence) < 0 or packet.sequence in self._waiting:
            self.late += 1
            return early
        self._waiting[packet.sequence] = (timestamp, packet, ticks)
        while len(self._waiting) > MOST_WAITING:
            early += self._next()
        return early

    def take(self, now: float) -> list[Due]:
        """Everything whose time has come."""
        taken: list[Due] = []
        while self._waiting and self._due_at() <= now:
            taken += self._next()
        return taken

    @property
    def delay_seconds(self) -> float:
        """What the buffer adds to the shortest way through the network now."""
        known = [window for window in (self._window, self._before) if window is not None]
        if not known:
            return LEAST_SECONDS
        spread = max(longest for _, longest in known) - min(shortest for shortest, _ in known)
        return min(MOST_SECONDS, max(LEAST_SECONDS, spread + MARGIN_SECONDS))

    def __len__(self) -> int:
        return len(self._waiting)

    def _leaps(self, packet: RtpPacket, ticks: int) -> bool:
        if abs(sequence_distance(self._expected_sequence, packet.sequence)) > MOST_LOST_PACKETS + len(self._waiting):
            return True
        leap = timestamp_distance(self._latest & 0xFFFF_FFFF, packet.timestamp) if ticks else 0
        return abs(leap) > MOST_LEAP_SECONDS * self._clock_rate

    def _begin(self, packet: RtpPacket, now: float) -> None:
        self._ssrc = packet.ssrc
        self._expected_sequence = packet.sequence
        self._expected_timestamp = self._latest = packet.timestamp
        self._last_ticks = -1  # nothing came before
        self._window = self._before = None
        self._window_ends = now + WINDOW_SECONDS

    def _measure(self, transit: float, now: float) -> None:
        if now >= self._window_ends:
            self._before, self._window = self._window, None
            self._window_ends = now + WINDOW_SECONDS
        shortest, longest = self._window or (transit, transit)
        if transit - shortest > MOST_SECONDS:
            return  # no delay that is allowed would have waited for it
        self._window = (min(shortest, transit), max(longest, transit))

    def _first(self) -> tuple[int, int, RtpPacket, int]:
        """Of what waits: how many numbers are missing before it, its timestamp, it, its ticks."""
        expected = self._expected_sequence
        sequence = min(self._waiting, key=lambda one: (one - expected) & 0xFFFF)
        return ((sequence - expected) & 0xFFFF, *self._waiting[sequence])

    def _due_at(self) -> float:
        missing, timestamp, _, _ = self._first()
        if missing:
            timestamp = min(timestamp, self._expected_timestamp)
        known = [window for window in (self._window, self._before) if window is not None]
        shortest = min((shortest for shortest, _ in known), default=float("-inf"))
        return timestamp / self._clock_rate + shortest + self.delay_seconds

    def _next(self) -> list[Due]:
        """The next packet in order, or what is said in place of one that is missing."""
        missing, timestamp, packet, ticks = self._first()
        gap = timestamp - self._expected_timestamp
        if missing and self._last_ticks >= 0:
            self.lost += 1
            self._expected_sequence = (self._expected_sequence + 1) & 0xFFFF
            sound = max(0, min(gap, self._last_ticks))
            self._expected_timestamp += sound
            return [Due(None, sound)] if sound else []
        del self._waiting[packet.sequence]
        anew = self._last_ticks < 0
        self._expected_sequence = (packet.sequence + 1) & 0xFFFF
        if ticks:
            self._expected_timestamp = timestamp + ticks
            self._last_ticks = ticks
        elif anew:
            self._last_ticks = 0
        return [Due(packet, ticks, max(0, gap) if ticks and not anew else 0, anew)]

    def flush(self) -> list[Due]:
        """Everything that still waits, whether its time has come or not."""
        rest: list[Due] = []
        while self._waiting:
            rest += self._next()
        return rest
