"""RTCP of one call: our reports, theirs, and what follows from them (RFC 3550 §6)."""

from callwright.rtp import rtcp
from callwright.rtp.statistics import ReceiverStatistics

INTERVAL_SECONDS = 5.0
"""Tmin of §6.2; two parties never need more for bandwidth's sake."""
_COMPENSATION = 1.21828
"""e - 3/2: timer reconsideration makes intervals converge below their target (§6.3.1)."""
_HALF = 1 << 31


def interval_seconds(uniform: float, *, first: bool) -> float:
    """Until the next report; `uniform` is random in 0 to 1. The first comes after half the time (§6.2, §6.3.1)."""
    target = INTERVAL_SECONDS / 2 if first else INTERVAL_SECONDS
    return target * (0.5 + uniform) / _COMPENSATION


class Reports:
    """Hand in platform time as `at`: it is what our NTP timestamps say."""

    __slots__ = (
        "_cname",
        "_last_sr_at",
        "_last_sr_middle",
        "_packets_reported",
        "_ssrc",
        "remote_jitter",
        "remote_lost",
        "round_trip_seconds",
    )

    def __init__(self, ssrc: int, cname: bytes) -> None:
        self._ssrc = ssrc
        self._cname = cname
        self._packets_reported = 0
        self._last_sr_middle = 0
        self._last_sr_at = 0.0
        self.round_trip_seconds: float | None = None
        self.remote_lost: int | None = None
        "packets of ours that the peer says it never got"
        self.remote_jitter: int | None = None
        "in ticks of our RTP clock, as the peer saw it"

    def compound(
        self, at: float, rtp_time: int, packets: int, octets: int, heard: ReceiverStatistics, source: int | None
    ) -> list[rtcp.RtcpPacket]:
        """SR when we sent since the last report, else RR; with what we heard of `source`, and our name."""
        blocks: tuple[rtcp.ReportBlock, ...] = ()
        if source is not None and heard.packets:
            delay = round((at - self._last_sr_at) * 65536) & 0xFFFF_FFFF if self._last_sr_middle else 0
            blocks = (heard.report_block(source, self._last_sr_middle, delay),)
        report: rtcp.RtcpPacket = rtcp.ReceiverReport(self._ssrc, blocks)
        if packets > self._packets_reported:
            counts = (packets & 0xFFFF_FFFF, octets & 0xFFFF_FFFF)
            report = rtcp.SenderReport(self._ssrc, rtcp.ntp_time(at), rtp_time, *counts, blocks)
        self._packets_reported = packets
        return [report, rtcp.SourceDescription(((self._ssrc, ((rtcp.CNAME, self._cname),)),))]

    def goodbye(self) -> rtcp.RtcpPacket:
        """To be put behind the last compound."""
        return rtcp.Goodbye((self._ssrc,))

    def receive(self, packets: tuple[rtcp.RtcpPacket, ...], source: int | None, at: float) -> bool:
        """Take a compound from the peer; True when it says goodbye for `source`. Reports of other sources are left."""
        left = False
        for packet in packets:
            match packet:
                case rtcp.SenderReport() | rtcp.ReceiverReport():
                    if isinstance(packet, rtcp.SenderReport) and packet.ssrc == source:
                        self._last_sr_middle = rtcp.ntp_middle(packet.ntp_time)
                        self._last_sr_at = at
                    for block in packet.reports:
                        if block.ssrc == self._ssrc:
                            self._learn(block, at)
                case rtcp.Goodbye():
                    left = left or (source is not None and source in packet.ssrcs)
                case rtcp.SourceDescription():
                    pass
        return left

    def _learn(self, block: rtcp.ReportBlock, at: float) -> None:
        self.remote_lost = block.packets_lost
        self.remote_jitter = block.jitter
        if block.last_sender_report:
            middle = rtcp.ntp_middle(rtcp.ntp_time(at))
            trip = (middle - block.last_sender_report - block.delay_since_last) & 0xFFFF_FFFF
            if trip < _HALF:  # "negative" when the peer's clock or arithmetic is off
                self.round_trip_seconds = trip / 65536

    def forget_peer(self) -> None:
        """The source changed: its last SR is no longer what our blocks answer."""
        self._last_sr_middle = 0
