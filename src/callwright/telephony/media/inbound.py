"""What one call receives: whose packets are believed, how well they come, which keys are in them.

The kernel lets only datagrams from the signalled address and port through (the sockets are connected). Of those the
first SSRC that brings an agreed payload type is locked; another one is believed only when the locked one has been
quiet for a while or said goodbye, as when a network's announcement gives way to the callee (RFC 3550 §8.2, RFC 7201 on
injection).
"""

from collections.abc import Callable

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


class Inbound:
    """The receiving half of a call; `now` and `arrival` are seconds of clocks that need not agree with each other."""

    __slots__ = (
        "_accepted",
        "_began_at",
        "_beginning",
        "_digits",
        "_event_type",
        "_last_locked",
        "expecting",
        "heard_at",
        "listener",
        "malformed",
        "refused",
        "silence_posted",
        "ssrc",
        "statistics",
    )

    def __init__(self) -> None:
        self.statistics = ReceiverStatistics(CLOCK_RATE)
        self.ssrc: int | None = None
        self.heard_at = 0.0
        "when the peer last gave a sign of life"
        self.expecting = False
        self.silence_posted = False
        self.malformed = 0
        self.refused = 0
        self.listener: Callable[[RtpPacket, float], None] | None = None
        "is handed every packet that is believed, and the time"
        self._beginning: list[RtpPacket] | None = []
        "None once it is too late to want it"
        self._began_at = 0.0
        self._accepted: frozenset[int] = frozenset()
        self._event_type: int | None = None
        self._digits = DigitReceiver()
        self._last_locked = 0.0

    def agree(self, payload_type: int, event_payload_type: int | None, expecting: bool, now: float) -> None:
        """What was negotiated, for the first time or anew. Silence is counted from here."""
        accepted = {payload_type, COMFORT_NOISE}
        if event_payload_type is not None:
            accepted.add(event_payload_type)
        self._accepted = frozenset(accepted)
        self._event_type = event_payload_type
        self.expecting = expecting
        self.alive(now)

    def unlock(self) -> None:
        """The next source is another one: a new address, or the old one said goodbye."""
        if self.ssrc is not None:
            self.ssrc = None
            self.statistics.restart()
            self._digits = DigitReceiver()

    def alive(self, now: float) -> None:
        """A sign of life came (RTP that is believed, or RTCP)."""
        self.heard_at = now
        self.silence_posted = False

    def receive(self, data: bytes, arrival: float, now: float) -> str | None:
        """Take one datagram; returns the key when it begins a press."""
        try:
            packet = rtp_packet.parse(data)
        except RtpError:
            self.malformed += 1
            return None
        kind = packet.payload_type
        agreed = kind in self._accepted
        if packet.ssrc != self.ssrc and not self._lock(packet.ssrc, agreed, now):
            self.refused += 1
            return None
        self._last_locked = now
        followed = self.statistics.receive(packet.sequence, packet.timestamp, arrival, paces=kind != self._event_type)
        if not followed or not agreed:
            self.refused += 1
            return None
        self.alive(now)
        if self.listener is not None:
            self.listener(packet, now)
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
        if not agreed or (self.ssrc is not None and now - self._last_locked < RELOCK_SECONDS):
            return False
        self.unlock()
        self.ssrc = ssrc
        return True

    def silent_for(self, now: float) -> float:
        """Seconds without a sign of life; 0 while none is expected."""
        return now - self.heard_at if self.expecting else 0.0
