"""One stream in the media process: its place at a local port, and what goes out and comes in there."""

import contextlib
import secrets
import socket
import time
from ipaddress import ip_address
from typing import Protocol

from callwright.errors import RtpError, TelephonyError
from callwright.rtp import rtcp
from callwright.rtp.statistics import mos
from callwright.telephony.media.framing import framing
from callwright.telephony.media.hearing import Hearing
from callwright.telephony.media.inbound import CLOCK_RATE, Inbound
from callwright.telephony.media.lane import Lane
from callwright.telephony.media.local_port import LocalPort
from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.pacer import Pacer
from callwright.telephony.media.ports import Peers, Place
from callwright.telephony.media.prompts import Playback, PromptFiles
from callwright.telephony.media.recorder import Recorder
from callwright.telephony.media.recordings import Writing
from callwright.telephony.media.reports import Reports
from callwright.telephony.media.sieve import Sieve
from callwright.telephony.media.sockets import ANCILLARY_SPACE, LARGEST_DATAGRAM, Datagram, arrival
from callwright.telephony.media.stream import RemoteMedia, StreamReport
from callwright.telephony.media.wire import socket_name

LAST_DATAGRAMS = 64
"""Taken at most from the socket when the stream closes: a second of audio that we were late for."""
RECENT_SECONDS = 0.3
"""A packet that came so shortly before its sender was signalled is the beginning of what a phone says that was just
picked up; the session description takes its time."""
_TRUNCATED = int(socket.MSG_TRUNC)
"""As a number: enumerations are slow at arithmetic."""
_RTCP_TYPES = range(192, 224)
"""Second bytes of packets that are RTCP among RTP (RFC 5761 §4)."""


class Owner(Protocol):
    """Who is told of what happens to a call, under its stream id."""

    anchor: float
    "platform time minus CLOCK_MONOTONIC"

    def playback_started(self, stream_id: str, playback_id: str, now: float) -> None:
        """The first packet of a playback leaves."""

    def playback_finished(self, stream_id: str, playback_id: str, now: float, reason: str) -> None:
        """A playback is over; `reason` says why it was not completed."""

    def key_pressed(self, stream_id: str, digit: str, now: float, *, in_band: bool) -> None:
        """A key was pressed, once for each way it is told."""

    def reads(self, call: "Call", rtp: socket.socket) -> None:
        """The call is to be told when `rtp` has something."""

    def reads_no_more(self, rtp: socket.socket) -> None:
        """The socket is about to be closed."""


def rtp_place(remote: RemoteMedia) -> Place:
    """Where the peer's sound comes from, as sources are written."""
    return str(ip_address(remote.address)), remote.port


def rtcp_place(remote: RemoteMedia) -> Place:
    """Where its RTCP comes from; the same place when the two share a port (RFC 5761)."""
    if remote.rtcp_mux:
        return rtp_place(remote)
    return str(ip_address(remote.rtcp_address or remote.address)), remote.rtcp_port or remote.port + 1


class Call:
    """A stream from open to close. Times are CLOCK_MONOTONIC."""

    __slots__ = (
        "_by_itself",
        "_lane",
        "_malformed_rtcp",
        "_owner",
        "_peers",
        "_recorder",
        "_reports",
        "_rtcp_place",
        "_rtp",
        "_rtp_place",
        "_sieves",
        "_source",
        "_writing",
        "bridged",
        "hearing",
        "inbound",
        "outbound",
        "port",
        "remote",
        "stream_id",
    )

    def __init__(
        self, stream_id: str, port: LocalPort, peers: Peers, pacer: Pacer, owner: Owner, *, sieves: bool = True
    ) -> None:
        """`peers` are those of the call's trunk. `sieves`: leave sound that nobody wants to the kernel."""
        self.stream_id = stream_id
        self.port = port
        self.remote: RemoteMedia | None = None
        self.bridged: Call | None = None
        ssrc = secrets.randbits(32)
        self.outbound = Outbound(ssrc, secrets.randbits(16), secrets.randbits(32), self._send, self)
        self.inbound = Inbound()
        self.hearing = Hearing(self.inbound, self.outbound, self._our_time, self._tone_found)
        self._peers = peers
        self._owner = owner
        self._sieves = sieves
        self._lane = Lane(self.outbound, pacer)
        self._by_itself = False
        self._reports = Reports(ssrc, secrets.token_hex(12).encode())
        self._rtp: socket.socket | None = None
        self._source: object = None
        self._rtp_place = self._rtcp_place = ("", 0)
        self._malformed_rtcp = 0
        self._recorder: Recorder | None = None
        self._writing: Writing | None = None

    # Where it goes

    def collides(self, remote: RemoteMedia) -> bool:
        """Does it need a port of its own: because another call of this one is where it is to go, or goes anywhere?"""
        if remote.symmetric:
            return self.port.is_shared
        return self.port.holds(rtp_place(remote), rtcp_place(remote), self)

    def move(self, port: LocalPort, now: float) -> LocalPort:
        """Go to another local port, to be connected at once; returns the port that was left."""
        self._lane.pause()
        self._disconnect(now)
        left, self.port = self.port, port
        return left

    def connect(self, remote: RemoteMedia, files: PromptFiles, now: float) -> None:
        """Go to `remote` from now on.

        `TelephonyError` when the system cannot send there; the stream is then as it was.
        """
        before = self.remote
        said: list[Datagram] = []
        if self._rtp is None or before is None or (before.address, before.port) != (remote.address, remote.port):
            said = self._reach(remote)
        self._lane.pause()
        if before != remote or self.remote is None:
            self._leave_place(now)
            self._take_place(remote, now)
        cut = framing(remote.ptime_ms)
        self.outbound.agree(remote.codec, cut, remote.payload_type, remote.direction.sends, files, now)
        self.inbound.agree(remote.payload_type, remote.event_payload_type, remote.direction.receives, now)
        self.hearing.agree(remote)
        self._enter(now)
        for datagram in said:
            self._take(datagram.data, datagram.arrival, now)

    def _reach(self, remote: RemoteMedia) -> list[Datagram]:
        since = time.time() - RECENT_SECONDS
        try:
            rtp, said = self.port.connected(self._rtp, (remote.address, remote.port), since)
        except (OSError, OverflowError) as error:
            raise TelephonyError(f"cannot send to {remote.address}:{remote.port}: {error}") from error
        if rtp is not self._rtp:
            self._rtp = rtp
            self.inbound.sieve = Sieve(rtp) if self._sieves else None
            self._owner.reads(self, rtp)
        self._source = rtp.getpeername()
        self.inbound.unlock()
        self._reports.forget_peer()
        return said

    def _take_place(self, remote: RemoteMedia, now: float) -> None:
        self._rtp_place, self._rtcp_place = rtp_place(remote), rtcp_place(remote)
        self.inbound.shunned = self.port.join(self._rtp_place, self._rtcp_place, self, now)
        self._peers.join(self._rtp_place)
        self.remote = remote

    def _leave_place(self, now: float) -> None:
        if self.remote is not None:
            self.port.leave(self._rtp_place, self._rtcp_place, self.inbound.ssrc, now)
            self._peers.leave(self._rtp_place)

    def _disconnect(self, now: float) -> None:
        self._leave_place(now)
        self.remote = None
        rtp, self._rtp = self._rtp, None
        if rtp is not None:
            self._owner.reads_no_more(rtp)
            rtp.close()

    # What it sends

    def _send(self, data: bytes) -> None:
        if self._rtp is not None:
            self._rtp.send(data)

    def _enter(self, now: float) -> None:
        """Send, with others unless each packet has to be made by itself."""
        remote, port = self.remote, self.port
        if remote is None:
            return
        self._by_itself = self.bridged is not None or self._recorder is not None
        name = socket_name(remote.address, remote.port) if port.is_shared else b""
        self._lane.enter(port.rtp.fileno(), name, by_itself=self._by_itself, now=now)

    def settle(self, now: float) -> None:
        """Go where packets leave as they must now."""
        if self._by_itself != (self.bridged is not None or self._recorder is not None):
            self._lane.pause()
            self._enter(now)

    def play(self, playback: Playback, files: PromptFiles, now: float) -> None:
        """Play it, behind what plays and waits already; the first sound of a stream that was just connected at once."""
        self.outbound.play(playback, files, now)
        self._lane.begin(now)

    def playback_started(self, playback_id: str, now: float) -> None:
        """As Outbound tells."""
        self._owner.playback_started(self.stream_id, playback_id, now)

    def playback_finished(self, playback_id: str, now: float, reason: str) -> None:
        """As Outbound tells."""
        self._owner.playback_finished(self.stream_id, playback_id, now, reason)

    def _our_time(self, now: float) -> int:
        """Our RTP clock; it begins with the first connect."""
        return self._lane.rtp_time(now)

    # Whom it hears

    def bridge(self, other: "Call", now: float) -> None:
        """Hear each other from now on, and whom either heard before no more."""
        self.unbridge(now)
        other.unbridge(now)
        self.bridged, other.bridged = other, self
        self.settle(now)
        other.settle(now)
        self.hearing.bridge(other.hearing, now)

    def unbridge(self, now: float) -> None:
        """Each for itself again."""
        other = self.bridged
        if other is not None:
            self.hearing.unbridge()
            self.bridged = other.bridged = None
            self.settle(now)
            other.settle(now)

    def receive_rtp(self, now: float) -> bool:
        """Take one datagram from the socket; False when there was none."""
        inbound, rtp = self.inbound, self._rtp
        if rtp is None:
            return False
        try:
            data, ancillary, flags, source = rtp.recvmsg(LARGEST_DATAGRAM, ANCILLARY_SPACE)
        except BlockingIOError:
            return False
        except OSError:  # what ICMP said of a packet we sent
            self.outbound.refused()
            return True
        if source != self._source:
            inbound.refused += 1
            return True
        if flags & _TRUNCATED:
            inbound.malformed += 1
            return True
        # Only a sieve that was closed once makes for more than the time of arrival.
        sieve = inbound.sieve
        unread = sieve.dropped_before(ancillary) if sieve is not None and len(ancillary) > 1 else 0
        self._take(data, arrival(ancillary, now), now, unread)
        return True

    def _take(self, data: bytes, arrived: float, now: float, unread: int = 0) -> None:
        if len(data) > 1 and data[1] in _RTCP_TYPES:
            self.receive_rtcp(data, now)
            self.inbound.statistics.pass_over(unread)
            return
        digit = self.inbound.receive(data, arrived, now, unread)
        if digit is not None:
            self._owner.key_pressed(self.stream_id, digit, now, in_band=False)

    def _tone_found(self, key: str, at: float) -> None:
        self._owner.key_pressed(self.stream_id, key, at, in_band=True)

    def record(self, writing: Writing, now: float) -> None:
        """Write what is received and sent from now on."""
        if self._lane.slot is None or self._writing is not None:
            writing.end("the stream is not connected" if self._lane.slot is None else "the stream is recorded already")
            return
        self._writing = writing
        self._recorder = Recorder(self._our_time(now), writing.push)
        self.settle(now)
        self.hearing.record(self._recorder)

    def end_recording(self, now: float) -> None:
        """The recording ends here, if there is one."""
        recorder, writing = self._recorder, self._writing
        if recorder is None or writing is None:
            return
        self._recorder = self._writing = None
        self.hearing.record(None)
        recorder.end(self._our_time(now))
        writing.end()
        self.settle(now)

    # RTCP

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """The peer sent a compound packet."""
        try:
            packets = rtcp.parse(data)
        except RtpError:
            self._malformed_rtcp += 1
            return
        self.inbound.alive(now)
        if self._reports.receive(packets, self.inbound.ssrc, self._owner.anchor + now):
            self.inbound.unlock()
            self._reports.forget_peer()

    def send_report(self, now: float, *, goodbye: bool = False) -> None:
        """Tell the peer how it goes; nothing happens before the first connect."""
        remote = self.remote
        if remote is None:
            return
        outbound, inbound = self.outbound, self.inbound
        packets = self._reports.compound(
            self._owner.anchor + now,
            self._our_time(now),
            outbound.packets_sent,
            outbound.octets_sent,
            inbound.statistics,
            inbound.ssrc,
        )
        if goodbye:
            packets.append(self._reports.goodbye())
        with contextlib.suppress(OSError):  # the peer need not listen for RTCP
            if self._rtcp_place == self._rtp_place:
                self._send(rtcp.serialize(packets))
            else:
                self.port.rtcp.sendto(rtcp.serialize(packets), self._rtcp_place)

    # The end

    def close(self, now: float) -> StreamReport:
        """Take what has arrived until now, say goodbye, free everything but the port, and sum up."""
        for _ in range(LAST_DATAGRAMS):
            if not self.receive_rtp(now):
                break
        self.end_recording(now)
        self.unbridge(now)
        self._lane.pause()
        self.outbound.end(now)
        self.send_report(now, goodbye=True)
        self._lane.leave()
        self._disconnect(now)
        return self._summed_up()

    def _summed_up(self) -> StreamReport:
        outbound, inbound, reports = self.outbound, self.inbound, self._reports
        heard = inbound.statistics
        trip_ms = None if reports.round_trip_seconds is None else reports.round_trip_seconds * 1000
        remote_loss = None
        if reports.remote_lost is not None and outbound.packets_sent:
            remote_loss = min(1.0, max(0.0, reports.remote_lost / outbound.packets_sent))
        return StreamReport(
            packets_sent=outbound.packets_sent,
            packets_received=heard.packets,
            packets_lost=heard.lost,
            loss_rate=heard.loss_rate,
            jitter_ms=heard.jitter_ms,
            mos=mos(heard.loss_rate, heard.jitter_ms, trip_ms or 0.0) if heard.packets else None,
            gaps=outbound.gaps,
            send_errors=outbound.send_errors,
            malformed=inbound.malformed + self._malformed_rtcp,
            refused=inbound.refused,
            round_trip_ms=trip_ms,
            remote_loss_rate=remote_loss,
            remote_jitter_ms=None if reports.remote_jitter is None else reports.remote_jitter / CLOCK_RATE * 1000,
        )
