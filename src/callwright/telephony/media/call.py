"""One stream in the media process: its place at a local port, and what goes out and comes in there."""

import contextlib
import secrets
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from callwright.audio.codecs import CODECS
from callwright.errors import RtpError, TelephonyError
from callwright.rtp import rtcp
from callwright.rtp.statistics import mos
from callwright.telephony.media.addresses import canonical
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

if TYPE_CHECKING:
    from callwright.telephony.media.secure import Secure

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
    return canonical(remote.address), remote.port


def rtcp_place(remote: RemoteMedia) -> Place:
    """Where its RTCP comes from; the same place when the two share a port (RFC 5761)."""
    if remote.rtcp_mux:
        return rtp_place(remote)
    return canonical(remote.rtcp_address or remote.address), remote.rtcp_port or remote.port + 1


def _seen_at(remote: RemoteMedia, place: Place) -> RemoteMedia:
    """The agreement with a symmetric peer that is at another place than it said."""
    if rtp_place(remote) == place:
        return remote
    return replace(remote, address=place[0], port=place[1], rtcp_address=None, rtcp_port=None)


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
        "_secure",
        "_sieves",
        "_signalled",
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
        self.hearing = Hearing(self.inbound, self.outbound, pacer, self._our_time, self._tone_found)
        self._peers = peers
        self._owner = owner
        self._sieves = sieves
        self._lane = Lane(self.outbound, pacer)
        self._by_itself = False
        self._reports = Reports(ssrc, secrets.token_hex(12).encode())
        self._rtp: socket.socket | None = None
        self._source: object = None
        "whom it hears; None while a symmetric peer has not shown where it is"
        self._signalled: RemoteMedia | None = None
        "as agreed; `remote` is where a symmetric peer really is"
        self._secure: Secure | None = None
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
        before = self._signalled
        said: list[Datagram] = []
        secure = self._secured(remote)
        if self._rtp is None or before is None or (before.address, before.port) != (remote.address, remote.port):
            said = self._reach(remote)
        self._signalled, self._secure = remote, secure
        if remote.symmetric and self._source is not None and self.remote is not None:
            remote = _seen_at(remote, (self.remote.address, self.remote.port))
        self._lane.pause()
        if self.remote != remote:
            self._leave_place(now)
            self._take_place(remote, now)
        cut = framing(remote.codec, remote.ptime_ms)
        self.outbound.agree(remote.codec, cut, remote.payload_type, remote.direction.sends, files, now)
        sounds = remote.sounds
        self.inbound.agree(
            next((number for number, codec in sounds.items() if codec == remote.codec), remote.payload_type),
            remote.event_payload_type,
            remote.direction.receives,
            now,
            others=sounds,
            clock_rate=CODECS[remote.codec].clock_rate,
            event_clock_rate=remote.heard_event_clock_rate,
        )
        self.hearing.agree(remote, now)
        self._enter(now)
        for datagram in said:
            self._take(datagram.data, datagram.arrival, now)

    def _secured(self, remote: RemoteMedia) -> "Secure | None":
        """What seals and opens; the same as before as far as the keys are."""
        if remote.srtp is None:
            return None
        from callwright.telephony.media.secure import Secure  # libsrtp is loaded for those who need it

        try:
            if self._secure is None:
                return Secure(remote.srtp)
            self._secure.agree(remote.srtp)
        except RtpError as error:
            raise TelephonyError(str(error)) from error
        return self._secure

    def _reach(self, remote: RemoteMedia) -> list[Datagram]:
        if remote.symmetric:
            return self._await(self.port.rtp)
        since = time.time() - RECENT_SECONDS
        try:
            rtp, said = self.port.connected(self._rtp, (remote.address, remote.port), since)
        except (OSError, OverflowError) as error:
            raise TelephonyError(f"cannot send to {remote.address}:{remote.port}: {error}") from error
        self._listen_at(rtp, rtp.getpeername())
        return said

    def _await(self, rtp: socket.socket) -> list[Datagram]:
        """Let anybody through until somebody sends what was agreed upon. The socket is not connected."""
        self._listen_at(rtp, None)
        return []

    def _listen_at(self, rtp: socket.socket, source: object) -> None:
        if rtp is not self._rtp:
            self._rtp = rtp
            self.inbound.sieve = Sieve(rtp) if self._sieves else None
            self._owner.reads(self, rtp)
        self._source = source
        self.inbound.unlock()
        self._reports.forget_peer()

    def _latch(self, source: tuple[str, int], now: float) -> None:
        """A symmetric peer is there: hear nobody else, and send there."""
        self._source = source
        remote = self.remote
        if remote is None or rtp_place(remote) == source[:2]:
            return
        self._lane.pause()
        self._leave_place(now)
        self._take_place(_seen_at(remote, source[:2]), now)
        self._enter(now)

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
        self.remote = self._signalled = None
        rtp, self._rtp = self._rtp, None
        if rtp is not None:
            self._owner.reads_no_more(rtp)
            rtp.close()

    # What it sends

    def _send(self, data: bytes) -> None:
        self._put(data if self._secure is None else self._secure.seal(data))

    def _put(self, data: bytes) -> None:
        remote = self.remote
        if self._rtp is None or remote is None:
            return
        if remote.symmetric:
            self._rtp.sendto(data, (remote.address, remote.port))
        else:
            self._rtp.send(data)

    @property
    def _has_own_packets(self) -> bool:
        """Has each packet to be made by itself?"""
        return self.bridged is not None or self._recorder is not None or self._secure is not None

    def _enter(self, now: float) -> None:
        """Send, with others unless each packet has to be made by itself."""
        remote, port = self.remote, self.port
        if remote is None:
            return
        self._by_itself = self._has_own_packets
        is_connected = not port.is_shared and not remote.symmetric
        name = b"" if is_connected else socket_name(remote.address, remote.port)
        self._lane.enter(port.rtp.fileno(), name, by_itself=self._by_itself, now=now)

    def settle(self, now: float) -> None:
        """Go where packets leave as they must now."""
        if self._by_itself != self._has_own_packets:
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
            self.hearing.unbridge(now)
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
            self._meet(data, source, arrival(ancillary, now), now)
            return True
        if flags & _TRUNCATED:
            inbound.malformed += 1
            return True
        # Only a sieve that was closed once makes for more than the time of arrival.
        sieve = inbound.sieve
        unread = sieve.dropped_before(ancillary) if sieve is not None and len(ancillary) > 1 else 0
        self._take(data, arrival(ancillary, now), now, unread)
        return True

    def _meet(self, data: bytes, source: tuple[str, int], arrived: float, now: float) -> None:
        """Somebody else sent something: refuse it, unless we wait for a symmetric peer to show where it is."""
        if self._source is None:
            opened = data if self._secure is None else self._secure.open(data)
            if opened is not None and self.inbound.is_agreed(opened):
                self._latch(source, now)
                self._take_opened(opened, arrived, now)
                return
        self.inbound.refused += 1

    def _take(self, data: bytes, arrived: float, now: float, unread: int = 0) -> None:
        if len(data) > 1 and data[1] in _RTCP_TYPES:
            self.receive_rtcp(data, now)
            self.inbound.statistics.pass_over(unread)
            return
        opened = data if self._secure is None else self._secure.open(data)
        if opened is None:
            self.inbound.statistics.pass_over(unread)
        else:
            self._take_opened(opened, arrived, now, unread)

    def _take_opened(self, data: bytes, arrived: float, now: float, unread: int = 0) -> None:
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
        self._recorder = Recorder(self._our_time(now), writing.push, self._clock_rate)
        self.settle(now)
        self.hearing.record(self._recorder, now)

    def end_recording(self, now: float) -> None:
        """The recording ends here, if there is one."""
        recorder, writing = self._recorder, self._writing
        if recorder is None or writing is None:
            return
        self._recorder = self._writing = None
        self.hearing.record(None, now)
        recorder.end(self._our_time(now))
        writing.end()
        self.settle(now)

    # RTCP

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """The peer sent a compound packet."""
        opened = data if self._secure is None else self._secure.open_report(data)
        if opened is None:
            return
        try:
            packets = rtcp.parse(opened)
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
        data = rtcp.serialize(packets)
        with contextlib.suppress(OSError):  # the peer need not listen for RTCP
            if self._secure is not None:
                data = self._secure.seal_report(data)
            if self._rtcp_place == self._rtp_place:
                self._put(data)
            else:
                self.port.rtcp.sendto(data, self._rtcp_place)

    # The end

    def close(self, now: float) -> StreamReport:
        """Take what has arrived until now, say goodbye, free everything but the port, and sum up."""
        for _ in range(LAST_DATAGRAMS):
            if not self.receive_rtp(now):
                break
        self.end_recording(now)
        self.unbridge(now)
        self.hearing.close()
        self._lane.pause()
        self.outbound.end(now)
        self.send_report(now, goodbye=True)
        self._lane.leave()
        self._disconnect(now)
        return self._summed_up()

    def _summed_up(self) -> StreamReport:
        outbound, inbound, reports = self.outbound, self.inbound, self._reports
        heard = inbound.statistics
        refused = {"unauthentic": 0, "replayed": 0, "malformed": 0}
        if self._secure is not None:
            refused = {why.value: count for why, count in self._secure.refused.items()}
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
            malformed=inbound.malformed + self._malformed_rtcp + refused["malformed"],
            refused=inbound.refused,
            round_trip_ms=trip_ms,
            remote_loss_rate=remote_loss,
            remote_jitter_ms=None if reports.remote_jitter is None else reports.remote_jitter / self._clock_rate * 1000,
            unauthentic=refused["unauthentic"],
            replayed=refused["replayed"],
        )

    @property
    def _clock_rate(self) -> int:
        """Of what we send."""
        codec = self.outbound.codec
        return CODECS[codec].clock_rate if codec else CLOCK_RATE
