"""What a receiver knows of a stream: sequence, loss, jitter (RFC 3550 §6.4.1, A.1, A.3, A.8) and the MOS it deserves.

A.1's probation is left out: only packets from the signalled address with the locked SSRC get this far, so the first
packet is a real one. A restart of the sender (a large jump confirmed by a second packet) begins a new run; what was
counted before it stays counted.

A stream need not be read whole (sampling.py): packets that came and were not read are counted all the same, so loss is
exact up to the last packet read. Jitter is estimated from the packets that were read. Where each packet's delay is its
own, any sample has the same mean; but the figure follows a change by 1/16 per packet read, so one packet in 16 takes it
5 s instead of 0.3. Delays that wander slowly differ more over 320 ms than over 20: the figure is then higher than
that of all packets, and a sender's clock that is wrong by 100 ppm adds 0.03 ms.
"""

from callwright.rtp.rtcp import ReportBlock
from callwright.rtp.wrap import timestamp_distance

MAX_DROPOUT = 3_000
"""A forward jump of this many packets or more is a restart, not loss (A.1)."""
MAX_MISORDER = 100
"""A packet at most this far behind is late, not a restart (A.1)."""


class ReceiverStatistics:
    """Counts one source's packets. Hand in each one with its arrival in seconds (any clock that runs evenly)."""

    __slots__ = (
        "_bad_sequence",
        "_base",
        "_cycles",
        "_expected_before",
        "_expected_prior",
        "_highest",
        "_jitter",
        "_last_arrival",
        "_last_timestamp",
        "_received_prior",
        "_unread",
        "clock_rate",
        "packets",
    )

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.packets = 0
        "received, late and repeated ones included, read or not"
        self._base = -1
        self._highest = 0
        self._cycles = 0
        self._bad_sequence = -1
        self._expected_before = 0
        self._expected_prior = 0
        self._received_prior = 0
        self._jitter = 0.0
        self._last_arrival = 0.0
        self._last_timestamp = -1
        self._unread = 0

    def receive(
        self, sequence: int, timestamp: int, arrival_seconds: float, *, paces: bool = True, unread: int = 0
    ) -> bool:
        """Count one packet; False when A.1 sets it aside as out of any order.

        `paces` is False for packets whose timestamp does not follow their sending (telephone-event repeats that of the
        key press): they count for loss, not for jitter. `unread` packets of this source came before this one and were
        not handed in.
        """
        self._unread += unread
        if not self._follow(sequence):
            return False
        self.packets += 1 + self._unread
        self._unread = 0
        if paces:
            self._pace(timestamp, arrival_seconds)
        return True

    def pass_over(self, unread: int) -> None:
        """So many packets came that were not handed in; they count once another of their source is."""
        self._unread += unread

    def _follow(self, sequence: int) -> bool:
        """update_seq() of A.1."""
        if self._base < 0:
            self._base = self._highest = sequence
            return True
        delta = (sequence - self._highest) & 0xFFFF
        if delta < MAX_DROPOUT:
            if sequence < self._highest:
                self._cycles += 1 << 16
            self._highest = sequence
        elif delta <= 0x10000 - MAX_MISORDER:
            if sequence != self._bad_sequence:
                self._bad_sequence = (sequence + 1) & 0xFFFF
                return False
            self._restart(sequence)
        self._bad_sequence = -1
        return True

    def _restart(self, sequence: int) -> None:
        self._expected_before += self._cycles + self._highest - self._base + 1
        self._base = self._highest = sequence
        self._cycles = 0
        self._last_timestamp = -1
        self._unread = 0  # of the old run's end and the new one's beginning, which are not expected either

    def restart(self) -> None:
        """A new source took over (new SSRC): whatever number comes next is a beginning; the counts go on."""
        if self._base >= 0:
            self._restart(0)
            self._base = -1

    def _pace(self, timestamp: int, arrival_seconds: float) -> None:
        """J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16 (§6.4.1)."""
        if self._last_timestamp >= 0:
            ticks = timestamp_distance(self._last_timestamp, timestamp)
            difference = abs((arrival_seconds - self._last_arrival) * self.clock_rate - ticks)
            # A jump of the sender's clock is no jitter: it would spoil the figure for a minute.
            if difference < self.clock_rate:
                self._jitter += (difference - self._jitter) / 16
        self._last_timestamp = timestamp
        self._last_arrival = arrival_seconds

    @property
    def expected(self) -> int:
        """How many packets the sequence numbers say were sent to us."""
        run = self._cycles + self._highest - self._base + 1 if self._base >= 0 else 0
        return self._expected_before + run

    @property
    def lost(self) -> int:
        """Expected minus received; negative when packets were doubled (A.3)."""
        return self.expected - self.packets

    @property
    def loss_rate(self) -> float:
        """0.0 to 1.0; 0.0 while nothing came."""
        expected = self.expected
        return max(0.0, self.lost / expected) if expected else 0.0

    @property
    def jitter(self) -> float:
        """Interarrival jitter in ticks of the RTP clock."""
        return self._jitter

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return self._jitter / self.clock_rate * 1000

    def report_block(self, ssrc: int, last_sender_report: int = 0, delay_since_last: int = 0) -> ReportBlock:
        """The report on `ssrc` since the last call of this method (A.3)."""
        expected, received = self.expected, self.packets
        expected_since = expected - self._expected_prior
        lost_since = expected_since - (received - self._received_prior)
        self._expected_prior, self._received_prior = expected, received
        fraction = min(255, (lost_since << 8) // expected_since) if expected_since > 0 and lost_since > 0 else 0
        return ReportBlock(
            ssrc,
            fraction,
            self.lost,
            (self._cycles + self._highest) & 0xFFFF_FFFF,
            int(self._jitter),
            last_sender_report,
            delay_since_last,
        )


DEFAULT_R = 93.2
"""R with every parameter of G.107 at its default and no packet loss or delay."""
G711_EQUIPMENT_IMPAIRMENT = 0.0
"""Ie of G.711 (G.113 appendix I)."""
G711_LOSS_ROBUSTNESS = 25.1
"""Bpl of G.711 whose receiver conceals losses, random loss (G.113 appendix I)."""
DELAY_KNEE_MS = 177.3
"""One-way delay from which a conversation suffers markedly."""


def r_factor(loss_rate: float, one_way_delay_ms: float) -> float:
    """R of the E-model, simplified (G.107 §7.2-7.4): R = 93.2 - Id - Ie,eff; 0 to 93.2.

    Ie,eff = Ie + (95 - Ie) · Ppl / (Ppl + Bpl) with Ppl in percent and random loss. Id is the two-slope approximation
    of the delay impairment: 0.024 per ms, and 0.11 more per ms beyond 177.3 ms.
    """
    percent = 100 * min(1.0, max(0.0, loss_rate))
    equipment = G711_EQUIPMENT_IMPAIRMENT
    equipment += (95 - G711_EQUIPMENT_IMPAIRMENT) * percent / (percent + G711_LOSS_ROBUSTNESS)
    delay = 0.024 * one_way_delay_ms + 0.11 * max(0.0, one_way_delay_ms - DELAY_KNEE_MS)
    return max(0.0, DEFAULT_R - delay - equipment)


def mos_of(r: float) -> float:
    """Mean opinion score of an R factor, 1.0 to 4.5 (G.107 annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    # The cubic dips below 1 for R under 6.5; the scale begins at 1.
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


FRAME_DELAY_MS = 20.0
"""What packetization alone adds."""


def mos(loss_rate: float, jitter_ms: float, round_trip_ms: float = 0.0) -> float:
    """The score of a G.711 stream: network delay one way, one frame, and a jitter buffer of twice the jitter."""
    return mos_of(r_factor(loss_rate, round_trip_ms / 2 + FRAME_DELAY_MS + 2 * jitter_ms))
