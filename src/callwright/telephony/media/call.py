"""One stream in the media process: a pair of sockets, and what goes out and comes in through them."""

import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Callable

from callwright.errors import RtpError, TelephonyError
from callwright.rtp import rtcp
from callwright.rtp.statistics import mos
from callwright.telephony.media.hearing import Hearing
from callwright.telephony.media.inbound import CLOCK_RATE, Inbound
from callwright.telephony.media.outbound import Outbound, Playback
from callwright.telephony.media.pacer import Slot
from callwright.telephony.media.prompts import PromptFiles
from callwright.telephony.media.recorder import Recorder
from callwright.telephony.media.recordings import Writing
from callwright.telephony.media.reports import Reports
from callwright.telephony.media.sieve import COUNT_BYTES, Sieve
from callwright.telephony.media.stream import RemoteMedia, StreamReport

SO_TIMESTAMPNS = 35
"""From Linux's asm-generic/socket.h; Python has no name for it. Alpha, MIPS, PA-RISC and SPARC differ."""
LARGEST_DATAGRAM = 2048
RECEIVE_BUFFER_BYTES = 65_536
"""A second and more of audio; a flood beyond it is dropped by the kernel."""
MOST_WAITING_DATAGRAMS = 512
"""Read at most from a socket that is to be emptied; more than its buffer holds."""
LAST_DATAGRAMS = 64
"""Taken at most from the socket when the stream closes: a second of audio that we were late for."""
RECENT_SECONDS = 0.3
"""A packet that came so shortly before its sender was signalled is the beginning of what a phone says that was just
picked up; the session description takes its time."""
EXPEDITED_FORWARDING = 46 << 2
"""DSCP EF in the traffic class byte (RFC 4594 §4.1)."""
_ANCILLARY_SPACE = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(COUNT_BYTES)
_TIMESPEC = struct.Struct("@qq")


def bound_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """RTP and RTCP sockets at `port` and `port` + 1, not connected yet; `OSError` when either is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    rtp = _bound(family, host, port)
    try:
        return rtp, _bound(family, host, port + 1)
    except OSError:
        rtp.close()
        raise


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED_FORWARDING)
        else:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED_FORWARDING)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def _emptied(emptying: socket.socket) -> list[tuple[bytes, float, object]]:
    """Whatever waits in a socket: data, arrival in unix seconds (0 when it is not known), source."""
    waiting: list[tuple[bytes, float, object]] = []
    for _ in range(MOST_WAITING_DATAGRAMS):
        try:
            data, ancillary, flags, source = emptying.recvmsg(LARGEST_DATAGRAM, _ANCILLARY_SPACE)
        except BlockingIOError:
            break
        except OSError:  # ICMP; the next one may be a datagram
            continue
        if not flags & socket.MSG_TRUNC:
            waiting.append((data, _arrival(ancillary, 0.0), source))
    return waiting


def _arrival(ancillary: list[tuple[int, int, bytes]], otherwise: float) -> float:
    """When the kernel took a datagram in: we look every few milliseconds, which would pass for jitter."""
    for level, kind, stamp in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(stamp)
            return float(seconds + nanoseconds * 1e-9)
    return otherwise


class Call:
    """A stream from open to close. Times are CLOCK_MONOTONIC; `anchor` turns them into platform time."""

    def __init__(
        self,
        stream_id: str,
        port: int,
        sockets: tuple[socket.socket, socket.socket],
        anchor: float,
        started: Callable[[str, str, float], None],
        finished: Callable[[str, str, float, str], None],
        pressed: Callable[[str, str, float, bool], None],
        *,
        sieves: bool = True,
    ) -> None:
        """`started` and `finished` hear (stream, playback, when; why not completed).

        `pressed` hears (stream, key, when, whether it was found among the sounds). `sieves`: leave sound that nobody
        wants to the kernel.
        """
        self.stream_id = stream_id
        self.port = port
        self.rtp, self.rtcp = sockets
        ssrc = secrets.randbits(32)
        self.outbound = Outbound(
            ssrc,
            self.rtp.send,
            lambda playback_id, now: started(stream_id, playback_id, now),
            lambda playback_id, now, reason: finished(stream_id, playback_id, now, reason),
        )
        self._sieve = Sieve(self.rtp)
        self.inbound = Inbound(self._sieve if sieves else None)
        self.reports = Reports(ssrc, secrets.token_hex(12).encode())
        self.remote: RemoteMedia | None = None
        self._anchor = anchor
        self._pressed = pressed
        self._slot: Slot | None = None
        self._row = 0
        self._source: object = None
        self._malformed_rtcp = 0
        self.hearing = Hearing(
            self.inbound,
            self.outbound,
            self._our_time,
            lambda key, at: pressed(stream_id, key, at, True),  # noqa: FBT003  as `pressed` is called
        )
        self._recorder: Recorder | None = None
        self._writing: Writing | None = None

    def connect(self, remote: RemoteMedia, slot: Slot, files: PromptFiles, now: float) -> None:
        """Go to `remote` from now on; `slot` is where a stream not connected before finds its place.

        `TelephonyError` when the system cannot send there; the stream is then as it was.
        """
        before = self.remote
        said: list[tuple[bytes, float, object]] = []
        try:
            if before is None or (before.address, before.port) != (remote.address, remote.port):
                self.rtp.connect((remote.address, remote.port))  # nothing from elsewhere arrives any more
                said = _emptied(self.rtp)
                self._source = self.rtp.getpeername()
                self.inbound.unlock()
                self.reports.forget_peer()
            self.rtcp.connect((remote.rtcp_address or remote.address, remote.rtcp_port or remote.port + 1))
            _emptied(self.rtcp)
        except (OSError, OverflowError) as error:
            raise TelephonyError(f"cannot send to {remote.address}:{remote.port}: {error}") from error
        self.remote = remote
        if self._slot is None:
            self._slot = slot
            self._row = slot.add(self.outbound, secrets.randbits)
        sends = remote.direction.sends
        self.outbound.agree(remote.codec, remote.payload_type, sends, files, now)
        self._slot.set_sending(self._row, sends)
        self.inbound.agree(remote.payload_type, remote.event_payload_type, remote.direction.receives, now)
        self.hearing.agree(remote)
        self._begin(now)
        recent = time.time() - RECENT_SECONDS
        for data, arrival, source in said:
            if source == self._source and arrival >= recent:
                self._take(data, arrival, now)

    def play(self, playback: Playback, files: PromptFiles, now: float) -> None:
        """Play it, behind what plays and waits already; the first sound of a stream that was just connected at once."""
        self.outbound.play(playback, files, now)
        self._begin(now)

    def _begin(self, now: float) -> None:
        if self._slot is not None and self.outbound.has_sound:
            self._slot.begin(self._row, now)

    def receive_rtp(self, now: float) -> bool:
        """Take one datagram from the socket; False when there was none."""
        inbound = self.inbound
        try:
            data, ancillary, flags, source = self.rtp.recvmsg(LARGEST_DATAGRAM, _ANCILLARY_SPACE)
        except BlockingIOError:
            return False
        except OSError:  # what ICMP said of a packet we sent; sending counts it too
            self.outbound.send_errors += 1
            return True
        if source != self._source:
            inbound.refused += 1
            return True
        if flags & socket.MSG_TRUNC:
            inbound.malformed += 1
            return True
        # Only a sieve that was closed once makes for more than the time of arrival.
        unread = self._sieve.dropped_before(ancillary) if len(ancillary) > 1 else 0
        self._take(data, _arrival(ancillary, now), now, unread)
        return True

    def _take(self, data: bytes, arrival: float, now: float, unread: int = 0) -> None:
        digit = self.inbound.receive(data, arrival, now, unread)
        if digit is not None:
            self._pressed(self.stream_id, digit, now, False)  # noqa: FBT003  as `pressed` is called

    def record(self, writing: Writing, now: float) -> None:
        """Write what is received and sent from now on."""
        if self._slot is None or self._writing is not None:
            writing.end("the stream is not connected" if self._slot is None else "the stream is recorded already")
            return
        self._writing = writing
        self._recorder = Recorder(self._our_time(now), writing.push)
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

    def _our_time(self, now: float) -> int:
        """Our RTP clock; it begins with the first connect."""
        return 0 if self._slot is None else self._slot.rtp_time(self._row, now)

    def receive_rtcp(self, now: float) -> None:
        """Take one datagram from the socket."""
        try:
            data = self.rtcp.recv(LARGEST_DATAGRAM)
        except OSError:  # nothing there after all, or ICMP: many peers have no RTCP port at all
            return
        try:
            packets = rtcp.parse(data)
        except RtpError:
            self._malformed_rtcp += 1
            return
        self.inbound.alive(now)
        if self.reports.receive(packets, self.inbound.ssrc, self._anchor + now):
            self.inbound.unlock()
            self.reports.forget_peer()

    def send_report(self, now: float, *, goodbye: bool = False) -> None:
        """Tell the peer how it goes; nothing happens before the first connect."""
        if self._slot is None:
            return
        packets = self.reports.compound(
            self._anchor + now,
            self._our_time(now),
            self.outbound.packets_sent,
            self.outbound.octets_sent,
            self.inbound.statistics,
            self.inbound.ssrc,
        )
        if goodbye:
            packets.append(self.reports.goodbye())
        with contextlib.suppress(OSError):  # the peer need not listen for RTCP
            self.rtcp.send(rtcp.serialize(packets))

    def close(self, now: float) -> StreamReport:
        """Take what has arrived until now, say goodbye, free everything, and sum up."""
        if self._slot is not None:
            for _ in range(LAST_DATAGRAMS):
                if not self.receive_rtp(now):
                    break
        self.end_recording(now)
        self.hearing.unbridge()
        self.outbound.end(now)
        self.send_report(now, goodbye=True)
        if self._slot is not None:
            self._slot.remove(self._row)
        self.rtp.close()
        self.rtcp.close()
        return self._summed_up()

    def _summed_up(self) -> StreamReport:
        outbound, inbound, reports = self.outbound, self.inbound, self.reports
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
