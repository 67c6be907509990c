"""A handset's ear and mouth: RTP and RTCP (RFC 3550) of one simulated phone on sockets of its own.

It hears only the address that was signalled, loses packets when its script says so, sends room tone or tones (or a
ringing tone before the answer) on the common pace, presses keys, notices when a prompt has fallen silent, and reports
every five seconds by RTCP as a phone would.
"""

import random
import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from callwright.audio import g711, levels, tones
from callwright.errors import RtpError, TelephonyError
from callwright.rtp import packet as rtp
from callwright.rtp import rtcp
from callwright.rtp.statistics import ReceiverStatistics
from callwright.simulator.behaviour import Behaviour, Press
from callwright.simulator.keypad import Beat, Keypad
from callwright.simulator.pace import Pace
from callwright.simulator.recording import Recording
from callwright.telemetry.clock import Clock
from callwright.telephony.datagrams import Address, Datagrams, open_udp_socket

FRAME_SAMPLES = g711.FRAME_SAMPLES
REPORT_BEATS = 250
"""Five seconds between RTCP reports (RFC 3550 §6.2)."""
FIRST_REPORT_BEATS = 25
ROOM_TONE_DBFS = -58.0
SOUND_DBFS = -45.0
"""Louder than this is a prompt or a voice."""
LEAST_SOUND_FRAMES = 5
"""A shorter sound is no prompt: a click, or what is left of a tone."""
PORT_ATTEMPTS = 100
UNSPECIFIED = {"0.0.0.0", "::"}  # noqa: S104  compared, not bound
ALL_BITS = 0xFFFF_FFFF
_HEADER = struct.Struct("!BBHII")


@cache
def room_tone(encoding: str) -> tuple[bytes, ...]:
    """One second of a quiet room in 20 ms frames: the same faint noise for everybody."""
    level = 32_768 * 10 ** (ROOM_TONE_DBFS / 20)
    noise = np.random.default_rng(0).normal(0.0, level, g711.SAMPLE_RATE)
    return _frames(encoding, np.clip(np.round(noise), -32_768, 32_767).astype(np.int16))


@cache
def ringing_tone(encoding: str) -> tuple[bytes, ...]:
    """Five seconds of ringing tone in 20 ms frames."""
    return _frames(encoding, tones.ringback(5.0))


@cache
def steady_tone(encoding: str, frequencies_hz: tuple[float, ...]) -> tuple[bytes, ...]:
    """One second of tones in 20 ms frames; whole numbers of Hz go on without a click."""
    return _frames(encoding, tones.mixed(frequencies_hz, 1.0, -19.0))


def _frames(encoding: str, samples: g711.Samples) -> tuple[bytes, ...]:
    codes = g711.whole_frames(encoding, g711.encode(encoding, samples))
    return tuple(codes[at : at + FRAME_SAMPLES] for at in range(0, len(codes), FRAME_SAMPLES))


def open_port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Sockets on an even port and the next (RFC 3550 §11). TelephonyError when there is no room."""
    for _ in range(PORT_ATTEMPTS):
        try:
            first = open_udp_socket(host, 0)
        except OSError as error:
            raise TelephonyError(f"a handset has no port for its sound: {error.strerror or error}") from error
        port = first.getsockname()[1]
        try:
            second = open_udp_socket(host, port ^ 1)
        except OSError:
            first.close()
            continue
        return (first, second) if port % 2 == 0 else (second, first)
    raise TelephonyError(f"a handset found no two neighbouring ports on {host}")


@dataclass(frozen=True, slots=True)
class Peer:
    """Where the caller's sound comes from and goes to, as negotiated."""

    host: str
    port: int
    encodings: Mapping[int, str]
    "RTP payload type → G.711 encoding name, the one to send first"
    receives: bool = True
    "False: the caller put us on hold (sendonly, inactive)"
    event_payload_type: int | None = None
    "the number under which it takes telephone-events; None when it takes none"


class Handset:
    """Sound of one call, from the INVITE to its end."""

    def __init__(
        self,
        host: str,
        behaviour: Behaviour,
        pace: Pace,
        clock: Clock,
        tell_key: Callable[[str, int], None] = lambda _key, _ms: None,
        fell_silent: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes two ports on `host`. TelephonyError when there are none.

        `tell_key(key, ms)` is called for presses that go by INFO; `fell_silent` when a prompt was heard to its end.
        """
        rtp_socket, rtcp_socket = open_port_pair(host)
        self.host = host
        self.port: int = rtp_socket.getsockname()[1]
        self.recording = Recording()
        self.packets_sent = 0
        self.packets_dropped = 0
        "heard by the network, not by the callee: its script's losses"
        self.packets_from_strangers = 0
        "not from the signalled address: never heard"
        self.beats_missed = 0
        "20 ms in which it said nothing because this machine was late"
        self.keys_unsent = 0
        "presses as telephone-events that the peer never agreed to take"
        self._clock = clock
        self._pace = pace
        self._rtp = Datagrams(rtp_socket, self._hear, self._unreachable)
        self._rtcp = Datagrams(rtcp_socket, self._take_report, self._unreachable)
        self._drop_rate = behaviour.drop_rate
        self._chance = random.Random(behaviour.seed)  # noqa: S311  losses must be the same each time
        self._talks = behaviour.talks
        self._says_hz = behaviour.says_hz
        self._silence_seconds = behaviour.silence_seconds
        self._keypad = Keypad()
        self._tell_key = tell_key
        self._fell_silent = fell_silent
        self._sound_frames = 0
        self._sound_at = 0.0
        self._peer: Peer | None = None
        self._statistics = ReceiverStatistics(g711.SAMPLE_RATE)
        self._heard_ssrc: int | None = None
        self._last_sender_report = (0, 0.0)
        "middle of the NTP time of the caller's last SR, and when it came"
        self._ssrc = secrets.randbits(32)
        self._first_sequence = secrets.randbits(15)
        self._first_timestamp = secrets.randbits(32)
        self._first_beat: int | None = None
        self._last_beat = 0
        self._next_report = FIRST_REPORT_BEATS
        self._frames: tuple[bytes, ...] = ()
        self._payload_type = 0
        self._is_ringing = False

    @property
    def packets_heard(self) -> int:
        """RTP packets that the callee received."""
        return self._statistics.packets

    def connect(self, peer: Peer) -> None:
        """Listen to this peer from now on, and send to it; again after a re-INVITE.

        A hold by the address 0.0.0.0 (RFC 3264 §8.4) leaves the peer where it was.
        """
        if peer.host in UNSPECIFIED and self._peer is not None:
            peer = replace(peer, host=self._peer.host, port=self._peer.port)
        self._peer = peer
        self._choose_sound()

    def ring(self) -> None:
        """Send the ringing tone as early media."""
        self._is_ringing = True
        self._choose_sound()
        self._pace.join(self, self._beat)

    def talk(self) -> None:
        """The callee picked up: room tone from now on, or nothing when it does not talk."""
        self._is_ringing = False
        self._choose_sound()
        self._pace.join(self, self._beat)

    def press(self, wish: Press) -> None:
        """Press keys from the next beat on; RtpError for what is no key."""
        hold_ms, pause_ms = round(wish.hold_seconds * 1000), round(wish.pause_seconds * 1000)
        self._keypad.press(wish.keys, wish.ways, self._pace.beat + 1, hold_ms, pause_ms)

    def close(self) -> Recording:
        """Say goodbye by RTCP and free the ports; gives what was heard. May be called twice."""
        self._pace.leave(self)
        if self._peer is not None:
            self._report(goodbye=True)
        self._peer = None
        self._rtp.close()
        self._rtcp.close()
        return self.recording

    def _choose_sound(self) -> None:
        if self._peer is None:
            return
        self._payload_type, encoding = next(iter(self._peer.encodings.items()))
        if self._is_ringing:
            self._frames = ringing_tone(encoding)
        elif self._says_hz:
            self._frames = steady_tone(encoding, self._says_hz)
        else:
            self._frames = room_tone(encoding)

    def _hear(self, data: bytes, source: Address) -> None:
        peer = self._peer
        if peer is None or source[0] != peer.host:
            self.packets_from_strangers += 1
            return
        if self._drop_rate and self._chance.random() < self._drop_rate:
            self.packets_dropped += 1
            return
        try:
            packet = rtp.parse(data)
        except RtpError:
            return
        now = self._clock()
        if packet.ssrc != self._heard_ssrc:
            self._heard_ssrc = packet.ssrc
            self._statistics.restart()
        encoding = peer.encodings.get(packet.payload_type)
        self._statistics.receive(packet.sequence, packet.timestamp, now, paces=encoding is not None)
        if encoding is not None:
            samples = g711.decode(encoding, packet.payload)
            self.recording.hear(packet.ssrc, packet.timestamp, samples.tobytes(), now)
            if levels.rms_dbfs(samples) > SOUND_DBFS:
                self._sound_frames += 1
                self._sound_at = now

    def _take_report(self, data: bytes, source: Address) -> None:
        if self._peer is None or source[0] != self._peer.host:
            return
        try:
            packets = rtcp.parse(data)
        except RtpError:
            return
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport):
                self._last_sender_report = (rtcp.ntp_middle(packet.ntp_time), self._clock())

    def _beat(self, beat: int) -> None:
        if self._first_beat is None:
            self._first_beat = beat
        else:
            self.beats_missed += beat - self._last_beat - 1
        self._last_beat = beat
        elapsed = beat - self._first_beat
        pressed = self._keypad.take(beat)
        if not pressed or pressed[-1][0] != beat:
            pressed.append((beat, Beat()))
        for number, keys in pressed:
            if self._peer is not None and self._peer.receives:
                self._send_beat(self._peer, number - self._first_beat, keys)
            for key, ms in keys.told:
                self._tell_key(key, ms)
        if self._sound_frames and self._clock() - self._sound_at >= self._silence_seconds:
            was_prompt, self._sound_frames = self._sound_frames >= LEAST_SOUND_FRAMES, 0
            if was_prompt:
                self._fell_silent()
        if elapsed >= self._next_report:
            self._next_report = elapsed + REPORT_BEATS
            self._report()

    def _send_beat(self, peer: Peer, elapsed: int, keys: Beat) -> None:
        """What is said in this beat, and what is pressed."""
        if keys.tone is not None:
            self._send(peer, self._payload_type, elapsed, g711.encode(peer.encodings[self._payload_type], keys.tone))
        elif (self._talks or self._is_ringing) and not keys.hushed:
            self._send(peer, self._payload_type, elapsed, self._frames[elapsed % len(self._frames)])
        for begins, frame in keys.events:
            if peer.event_payload_type is None:
                self.keys_unsent += frame.marker
                continue
            since = begins - (self._first_beat or 0)
            ticks = since * FRAME_SAMPLES + frame.timestamp_ticks
            self._send_packet(peer, frame.marker << 7 | peer.event_payload_type, ticks, frame.payload)

    def _send(self, peer: Peer, payload_type: int, elapsed: int, payload: bytes) -> None:
        first = 0 if self.packets_sent else 0x80  # the marker begins a talkspurt (RFC 3551 §4.1)
        self._send_packet(peer, first | payload_type, elapsed * FRAME_SAMPLES, payload)

    def _send_packet(self, peer: Peer, kind: int, ticks: int, payload: bytes) -> None:
        timestamp = (self._first_timestamp + ticks) & ALL_BITS
        sequence = (self._first_sequence + self.packets_sent) & 0xFFFF
        header = _HEADER.pack(0x80, kind, sequence, timestamp, self._ssrc)
        self._rtp.send(header + payload, (peer.host, peer.port))
        self.packets_sent += 1

    def _report(self, *, goodbye: bool = False) -> None:
        peer = self._peer
        if peer is None:
            return
        now = self._clock()
        blocks: tuple[rtcp.ReportBlock, ...] = ()
        if self._heard_ssrc is not None:
            middle, at = self._last_sender_report
            delay = min(ALL_BITS, round((now - at) * 65_536)) if middle else 0
            blocks = (self._statistics.report_block(self._heard_ssrc, middle, delay),)
        report: rtcp.SenderReport | rtcp.ReceiverReport = rtcp.ReceiverReport(self._ssrc, blocks)
        if self.packets_sent:
            octets = self.packets_sent * FRAME_SAMPLES
            timestamp = (self._first_timestamp + self._elapsed_ticks()) & ALL_BITS
            report = rtcp.SenderReport(
                self._ssrc, rtcp.ntp_time(now), timestamp, self.packets_sent, octets & ALL_BITS, blocks
            )
        name = rtcp.SourceDescription(((self._ssrc, ((rtcp.CNAME, f"handset-{self.port}".encode()),)),))
        compound: list[rtcp.RtcpPacket] = [report, name]
        if goodbye:
            compound.append(rtcp.Goodbye((self._ssrc,)))
        self._rtcp.send(rtcp.serialize(compound), (peer.host, peer.port + 1))

    def _elapsed_ticks(self) -> int:
        return 0 if self._first_beat is None else (self._pace.beat - self._first_beat) * FRAME_SAMPLES

    def _unreachable(self, _address: Address, _reason: str) -> None:
        """The caller has hung up and its ports are gone: the BYE says the rest."""
