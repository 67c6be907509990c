"""What one call receives: whose packets are believed, how well they come, which keys are in them.

The kernel lets only datagrams from the signalled address and port through (the sockets are connected). Of those the
first SSRC that brings an agreed payload type is locked; another one is believed only when the locked one has been
quiet for a while or said goodbye, as when a network's announcement gives way to the callee (RFC 3550 §8.2, RFC 7201 on
injection).

While nobody listens most of the sound is left to the kernel (sieve.py), once the source is settled. Whatever is out of
the ordinary, another source or another order, has everything read again for a while, so it is judged as ever.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from callwright.errors import RtpError
from callwright.rtp import packet as rtp_packet
from callwright.rtp.packet import RtpPacket
from callwright.rtp.statistics import ReceiverStatistics
from callwright.rtp.telephone_event import DigitReceiver

CLOCK_RATE = 8000
COMFORT_NOISE = 13
"""Static payload type of CN (RFC 3389): taken for a sign of life."""
RELOCK_SECONDS = 0.25
BEGINNING_PACKETS = 12
BEGINNING_SECONDS = 0.3
"""What a peer says first is kept for so long, in case somebody is yet to be told to listen."""
SETTLED_SECONDS = 0.4
"""A source is read whole for so long; longer than its beginning may be wanted."""
_NEVER = float("inf")


class Sieve(Protocol):
    """What keeps sound from being read. `OSError` when the system will not."""

    def close(self, ssrc: int, payload_type: int) -> None:
        """Leave most packets of this source and type unread."""

    def open(self) -> None:
        """Leave nothing unread."""

    def dropped_before(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        """How many were left unread before the packet that came with `ancillary`, and were not told of before."""


class Inbound:
    """The receiving half of a call; `now` and `arrival` are seconds of clocks that need not agree with each other."""

    __slots__ = (
        "_accepted",
        "_began_at",
        "_beginning",
        "_digits",
        "_event_clock_rate",
        "_event_type",
        "_last_locked",
        "_payload_type",
        "_settled_at",
        "_sounds",
        "expecting",
        "heard_at",
        "listener",
        "malformed",
        "refused",
        "shunned",
        "sieve",
        "sieved",
        "silence_posted_seconds",
        "ssrc",
        "statistics",
    )

    def __init__(self, sieve: Sieve | None = None) -> None:
        """Everything is always read when there is no `sieve`."""
        self.statistics = ReceiverStatistics(CLOCK_RATE)
        self.ssrc: int | None = None
        self.heard_at = 0.0
        "when the peer last gave a sign of life"
        self.expecting = False
        self.silence_posted_seconds = 0.0
        self.malformed = 0
        self.refused = 0
        self.listener: Callable[[RtpPacket, float], None] | None = None
        "is handed every packet that is believed, and the time; `listen` sets it"
        self.sieved = False
        "most of the sound is not read"
        self.sieve = sieve
        self.shunned: int | None = None
        "SSRC of whoever spoke from the same place in a call before; never believed"
        self._settled_at = _NEVER
        self._payload_type = -1
        self._beginning: list[RtpPacket] | None = []
        "None once it is too late to want it"
        self._began_at = 0.0
        self._accepted: frozenset[int] = frozenset()
        self._sounds: frozenset[int] = frozenset()
        self._event_type: int | None = None
        self._event_clock_rate = CLOCK_RATE
        self._digits = DigitReceiver()
        self._last_locked = 0.0

    def agree(
        self,
        payload_type: int,
        event_payload_type: int | None,
        expecting: bool,
        now: float,
        *,
        others: Iterable[int] = (),
        clock_rate: int = CLOCK_RATE,
        event_clock_rate: int = CLOCK_RATE,
    ) -> None:
        """What was negotiated, for the first time or anew. Silence is counted from here.

        `others` are payload types of sound besides `payload_type` that the peer may send.
        """
        self._read_all(now)
        self._payload_type = payload_type
        self._sounds = frozenset((payload_type, *others))
        accepted = {COMFORT_NOISE, *self._sounds}
        if event_payload_type is not None:
            accepted.add(event_payload_type)
        self._accepted = frozenset(accepted)
        self._event_type = event_payload_type
        if self.statistics.clock_rate != clock_rate:
            self.statistics.clock_rate = clock_rate
            self.statistics.restart()
        if self._event_clock_rate != event_clock_rate:
            self._event_clock_rate = event_clock_rate
            self._digits = DigitReceiver(event_clock_rate)
        self.expecting = expecting
        self.alive(now)

    def unlock(self) -> None:
        """The next source is another one: a new address, or the old one said goodbye."""
        if self.ssrc is not None:
            self._read_all(_NEVER)
            self.ssrc = None
            self.statistics.restart()
            self._digits = DigitReceiver(self._event_clock_rate)

    def is_agreed(self, data: bytes) -> bool:
        """Whether a datagram is RTP with a payload type that was agreed upon; comfort noise alone does not count."""
        try:
            kind = rtp_packet.parse(data).payload_type
        except RtpError:
            return False
        return kind in self._accepted and kind != COMFORT_NOISE

    def alive(self, now: float) -> None:
        """A sign of life came (RTP that is believed, or RTCP)."""
        self.heard_at = now
        self.silence_posted_seconds = 0.0

    def listen(self, listener: Callable[[RtpPacket, float], None] | None) -> None:
        """Hand every packet that is believed to `listener` from now on, or to nobody."""
        self.listener = listener
        if listener is not None:
            self._read_all(self._last_locked)

    def receive(self, data: bytes, arrival: float, now: float, unread: int = 0) -> str | None:
        """Take one datagram; returns the key when it begins a press. `unread` ones the sieve held back before it."""
        try:
            packet = rtp_packet.parse(data)
        except RtpError:
            self.malformed += 1
            return None
        kind = packet.payload_type
        agreed = kind in self._accepted
        if packet.ssrc != self.ssrc:
            if not self._lock(packet.ssrc, agreed, now):
                self.refused += 1
                self.statistics.pass_over(unread)
                return None
            unread = 0  # they were another's
        self._last_locked = now
        paces = kind != self._event_type
        followed = self.statistics.receive(packet.sequence, packet.timestamp, arrival, paces=paces, unread=unread)
        if not followed:
            self._read_all(now)  # a restart is confirmed by the very next packet
        if not followed or not agreed:
            self.refused += 1
            return None
        self.alive(now)
        if kind in self._sounds:
            self._payload_type = kind
        if self.listener is not None:
            self.listener(packet, now)
        elif now >= self._settled_at and not self.sieved:
            self._leave_unread()
        if self._beginning is not None:
            self._keep(packet, now)
        if kind != self._event_type:
            return None
        try:
            return self._digits.receive(packet.timestamp, packet.payload, marker=packet.marker)
        except RtpError:
            self.malformed += 1
            return None

    def _keep(self, packet: RtpPacket, now: float) -> None:
        kept = self._beginning
        if kept is None:
            return
        if not kept:
            self._began_at = now
        kept.append(packet)
        if len(kept) > BEGINNING_PACKETS:
            self._beginning = None

    def take_beginning(self, now: float) -> list[RtpPacket]:
        """Everything the peer has said, if it began a moment ago; nothing the second time."""
        kept, self._beginning = self._beginning, None
        return kept if kept and now - self._began_at <= BEGINNING_SECONDS else []

    def _lock(self, ssrc: int, agreed: bool, now: float) -> bool:
        if self.sieved:  # the locked one may be as alive as ever: read it before judging
            self._last_locked = now
            self._read_all(now)
            return False
        if not agreed or ssrc == self.shunned or (self.ssrc is not None and now - self._last_locked < RELOCK_SECONDS):
            return False
        self.unlock()
        self.ssrc = ssrc
        self._settled_at = now + SETTLED_SECONDS
        return True

    def _leave_unread(self) -> None:
        if self.sieve is None or self.ssrc is None:
            self._settled_at = _NEVER
            return
        try:
            self.sieve.close(self.ssrc, self._payload_type)
        except OSError:  # such as no memory for the filter: reading it all costs time, and nothing else
            self._settled_at = _NEVER
            return
        self.sieved = True

    def _read_all(self, now: float) -> None:
        """Everything, until the source is settled again."""
        self._settled_at = now + SETTLED_SECONDS
        if self.sieved and self.sieve is not None:
            self.sieve.open()
            self.sieved = False

    def silent_for(self, now: float) -> float:
        """Seconds without a sign of life; 0 while none is expected."""
        return now - self.heard_at if self.expecting else 0.0
