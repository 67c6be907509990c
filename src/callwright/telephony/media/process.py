"""The media process, `python -m callwright.telephony.media.process --channel FD`, which `plane.py` starts.

One loop: wait for the next tick or a message; at the tick send what is due, then take what arrived, then reports;
between ticks carry out commands, a few at a time, so that a thousand new streams do not delay a frame. It ends when
the channel does. A bug ends it with a traceback on stderr; the parent sees that, and starts it again.
"""

import argparse
import contextlib
import gc
import heapq
import importlib
import logging
import os
import resource
import secrets
import select
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import assert_never

from callwright.audio import coding
from callwright.errors import TelephonyError
from callwright.telemetry import log
from callwright.telephony.media import protocol
from callwright.telephony.media.call import Call
from callwright.telephony.media.events import (
    DigitPressed,
    PlaybackFinished,
    PlaybackStarted,
    RecordingFinished,
    StreamMoved,
    StreamSilent,
)
from callwright.telephony.media.local_port import LocalPort, LocalPorts
from callwright.telephony.media.pacer import TICK_SECONDS, Pacer
from callwright.telephony.media.prompts import Playback, PromptFiles
from callwright.telephony.media.recordings import Recordings
from callwright.telephony.media.reports import interval_seconds
from callwright.telephony.media.sieve import why_not_to_be_used
from callwright.telephony.media.stream import RemoteMedia

_log = logging.getLogger("callwright.telephony.media")

READ_BYTES = 1 << 18
ROUNDS_PER_TICK = 4
"""Datagrams taken from one socket in one tick: 20 times what a call sends, and no more for whoever floods."""
COMMANDS_SECONDS = 0.001
"""What commands may take even when frames are late, so that an overloaded process still obeys."""
SILENCE_CHECK_SECONDS = 1.0
MOST_UNSENT_BYTES = 1 << 26
"""The parent has not read for minutes: give up loudly rather than fill the memory."""
PRIORITY = -10
LAST_WRITES_SECONDS = 2.0
"""What recordings may take to be finished at the end; the parent waits for three."""


class MediaProcess:
    """Everything the process holds. `channel` is the stream socket to the parent."""

    def __init__(self, channel: socket.socket, configuration: protocol.Configure) -> None:
        self._channel = channel
        self._configuration = configuration
        self._reader = protocol.MessageReader(protocol.command_decoder)
        self._commands: deque[protocol.Command] = deque()
        self._unsent = bytearray()
        self.anchor = configuration.anchor
        "platform time minus CLOCK_MONOTONIC"
        ports = range(configuration.first_port, configuration.last_port + 1)
        self._ports = LocalPorts(configuration.host, ports, self._port_opened, self._port_closed)
        self._calls: dict[str, Call] = {}
        self._readers: dict[int, Callable[[float], object]] = {}
        self._files = PromptFiles()
        objection = why_not_to_be_used(configuration.host)
        if objection:
            _log.warning("every packet of every call is read, which costs twice the processor time: %s", objection)
        self._sieves = not objection
        self._control = select.epoll()
        self._control.register(channel.fileno(), select.EPOLLIN)
        self._recordings = Recordings()
        self._control.register(self._recordings.wakes, select.EPOLLIN)
        self._arrivals = select.epoll()
        self._reports: list[tuple[float, int, Call]] = []
        self._reports_made = 0
        self._pacer = Pacer(monotonic())
        self._silence_check_at = monotonic() + SILENCE_CHECK_SECONDS
        self._parent_is_there = True

    def run(self) -> None:
        """Until the parent goes."""
        self._tell(protocol.Ready())
        self._flush()
        while self._parent_is_there:
            for fd, _mask in self._control.poll(self._wait_seconds()):
                if fd == self._recordings.wakes:
                    self._tell_of_recordings()
                else:
                    self._read()
            now = monotonic()
            if not self._readers:
                self._pacer.resume(now)
            elif now >= self._pacer.due_at:
                self._tick(now)
            self._obey(now)
            self._flush()
        for call in self._calls.values():
            call.close(monotonic())
        self._recordings.stop(LAST_WRITES_SECONDS)

    def _tick(self, now: float) -> None:
        """Send what is due, then take what arrived."""
        self._pacer.tick(now)
        self._receive(now)
        self._send_reports(now)
        self._note_silence(now)

    def _wait_seconds(self) -> float | None:
        """How long nothing is to be done unless the parent speaks; None is for ever, with nobody to send to."""
        if self._commands:
            return 0.0
        if not self._readers:
            return TICK_SECONDS if self._unsent else None
        return max(0.0, self._pacer.due_at - monotonic())

    # What comes from the parent

    def _read(self) -> None:
        try:
            data = self._channel.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._parent_is_there = False
        self._commands.extend(self._reader.receive(data))

    def _obey(self, now: float) -> None:
        """Carry out commands in their order until the next frame is due."""
        until = max(self._pacer.due_at, now + COMMANDS_SECONDS)
        while self._commands:
            self._carry_out(self._commands.popleft(), monotonic())
            if monotonic() >= until:
                return

    def _carry_out(self, command: protocol.Command, now: float) -> None:
        if isinstance(command, protocol.OpenStream):
            self._open(command, now)
            return
        if isinstance(command, protocol.Load):
            # On a thread, frames wait for 20 ms at most; otherwise for all of it, a fifth of a second.
            threading.Thread(target=_load, args=(command.wide, command.srtp), daemon=True).start()
            return
        if isinstance(command, protocol.Configure):
            raise TypeError("the media process is configured once")
        # The parent knows which streams are open: an unknown one is a bug, and KeyError says so.
        call = self._calls[command.stream_id]
        match command:
            case protocol.ConnectStream():
                self._connect(call, command.remote, now)
            case protocol.PlayPrompt():
                call.play(Playback(command.playback_id, command.paths, command.repetition), self._files, now)
            case protocol.CutPlayback():
                call.outbound.cut(command.playback_id, now)
            case protocol.BridgeStreams():
                call.bridge(self._calls[command.other_id], now)
            case protocol.ListenStream():
                call.hearing.find_keys(wanted=command.wanted, now=now)
            case protocol.RecordStream():
                call.record(self._recordings.begin(command.stream_id, command.path), now)
            case protocol.EndRecording():
                call.end_recording(now)
            case protocol.CloseStream():
                self._close(call, now)
            case _:
                assert_never(command)

    def _open(self, command: protocol.OpenStream, now: float) -> None:
        try:
            port = self._ports.take(command.peers, now)
        except TelephonyError as error:
            self._tell(protocol.OpenFailed(command.stream_id, str(error)))
            return
        peers = self._ports.peers(command.peers)
        self._calls[command.stream_id] = Call(command.stream_id, port, peers, self._pacer, self, sieves=self._sieves)
        self._tell(protocol.StreamOpened(command.stream_id, port.number))

    def _connect(self, call: Call, remote: RemoteMedia, now: float) -> None:
        first = call.remote is None
        try:
            if call.collides(remote):
                self._move(call, now)
            call.connect(remote, self._files, now)
        except TelephonyError as error:
            # No event of its own: the stream stays silent, and StreamSilent or the callee will tell.
            _log.warning("stream %s: %s", call.stream_id, error)
            return
        if first:
            self._plan_report(call, now, first=True)

    def _move(self, call: Call, now: float) -> None:
        """Another call of its port has a peer at the same place: give it a port of its own."""
        port = self._ports.take_own(now)
        self._ports.give_back(call.move(port, now), now)
        self._tell(StreamMoved(self._platform(now), call.stream_id, port.number))

    def _close(self, call: Call, now: float) -> None:
        report = call.close(now)
        del self._calls[call.stream_id]
        self._ports.give_back(call.port, now)
        self._tell(protocol.StreamClosed(call.stream_id, report))

    # What is read

    def _port_opened(self, port: LocalPort) -> None:
        self._read_from(port.rtcp, port.receive_rtcp)

    def _port_closed(self, port: LocalPort) -> None:
        self.reads_no_more(port.rtcp)

    def reads(self, call: Call, rtp: socket.socket) -> None:
        """As calls say."""
        self._read_from(rtp, call.receive_rtp)

    def reads_no_more(self, rtp: socket.socket) -> None:
        """As calls say."""
        del self._readers[rtp.fileno()]
        self._arrivals.unregister(rtp.fileno())

    def _read_from(self, source: socket.socket, take: Callable[[float], object]) -> None:
        self._readers[source.fileno()] = take
        self._arrivals.register(source.fileno(), select.EPOLLIN)

    # What comes from the peers, and what time brings

    def _receive(self, now: float) -> None:
        """Take what has arrived: one datagram per socket and round, so that no call waits for another's flood."""
        readers = self._readers
        most = max(1, len(readers))
        for _ in range(ROUNDS_PER_TICK):
            ready = self._arrivals.poll(0, most)
            if not ready:
                return
            for fd, _mask in ready:
                readers[fd](now)

    def _plan_report(self, call: Call, now: float, *, first: bool = False) -> None:
        uniform = secrets.randbelow(1 << 16) / (1 << 16)
        self._reports_made += 1  # breaks ties: calls have no order
        heapq.heappush(self._reports, (now + interval_seconds(uniform, first=first), self._reports_made, call))

    def _send_reports(self, now: float) -> None:
        while self._reports and self._reports[0][0] <= now:
            call = heapq.heappop(self._reports)[2]
            if self._calls.get(call.stream_id) is call:
                call.send_report(now)
                self._plan_report(call, now)

    def _note_silence(self, now: float) -> None:
        if now < self._silence_check_at:
            return
        self._silence_check_at = now + SILENCE_CHECK_SECONDS
        for call in self._calls.values():
            inbound = call.inbound
            silent_seconds = inbound.silent_for(now)
            # Again after as long: a peer that was asked and was there may be gone the next time.
            if silent_seconds - inbound.silence_posted_seconds >= self._configuration.silence_seconds:
                inbound.silence_posted_seconds = silent_seconds
                self._tell(StreamSilent(self._platform(now), call.stream_id, silent_seconds))

    # What goes to the parent

    def _platform(self, now: float) -> float:
        return self.anchor + now

    def playback_started(self, stream_id: str, playback_id: str, now: float) -> None:
        """As calls say."""
        self._tell(PlaybackStarted(self._platform(now), stream_id, playback_id))

    def playback_finished(self, stream_id: str, playback_id: str, now: float, reason: str) -> None:
        """As calls say."""
        self._tell(PlaybackFinished(self._platform(now), stream_id, playback_id, completed=not reason, reason=reason))

    def key_pressed(self, stream_id: str, digit: str, now: float, *, in_band: bool) -> None:
        """As calls say."""
        self._tell(DigitPressed(self._platform(now), stream_id, digit, in_band))

    def _tell_of_recordings(self) -> None:
        at = self._platform(monotonic())
        for done in self._recordings.finished():
            self._tell(RecordingFinished(at, done.stream_id, done.path, done.duration_seconds, done.reason))

    def _tell(self, answer: protocol.Answer) -> None:
        protocol.append(self._unsent, answer)

    def _flush(self) -> None:
        if not self._unsent:
            return
        try:
            sent = self._channel.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            self._parent_is_there = False
            return
        del self._unsent[:sent]
        if len(self._unsent) > MOST_UNSENT_BYTES:
            raise BufferError("the parent does not read its media events")


def _configuration(channel: socket.socket) -> protocol.Configure | None:
    """The first message; None when the parent went before it came."""
    reader = protocol.MessageReader(protocol.command_decoder)
    while True:
        data = channel.recv(READ_BYTES)
        if not data:
            return None
        messages = reader.receive(data)
        if messages:
            (configure,) = messages  # the parent waits for Ready before it says more
            if not isinstance(configure, protocol.Configure):
                raise TypeError(f"{type(configure).__name__} before Configure")
            return configure


def _load(wide: bool, srtp: bool) -> None:
    """What codes G.722 and Opus, and what seals packets. A call that needs it sooner waits for it."""
    if wide:
        coding.load()
    if srtp:
        importlib.import_module("callwright.telephony.media.secure")


def _unfit(configuration: protocol.Configure) -> str:
    """Why the process cannot work as configured, or nothing."""
    try:
        probe = socket.socket(socket.AF_INET6 if ":" in configuration.host else socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            probe.bind((configuration.host, 0))
    except OSError as error:
        return f"RTP cannot use {configuration.host}: {error.strerror or error}"
    return ""


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nothing caught ends the process; the parent hears of it by the channel, people by the log."""
    _log.critical("the media process ends on a bug", exc_info=(kind, error, trace))


def main() -> None:
    """Start, as the parent told us on the channel."""
    # Ctrl-C and a service manager's SIGTERM reach the whole group, but calls are to be drained: the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="callwright media process")
    parser.add_argument("--channel", type=int, required=True, help="inherited socket to the parent")
    channel = socket.socket(fileno=parser.parse_args().channel)
    configuration = _configuration(channel)
    if configuration is None:
        return
    log.configure(configuration.log_level, configuration.log_format)
    sys.excepthook = _report_bug
    reason = _unfit(configuration)
    if reason:
        channel.sendall(protocol.serialize(protocol.Unfit(reason)))
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two sockets per call
    with contextlib.suppress(
        PermissionError
    ):  # without it frames leave less evenly on a busy machine; gaps are counted
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    _load(configuration.wide, configuration.srtp)
    gc.freeze()  # what is imported by now never goes; the collector need not walk it between frames
    channel.setblocking(False)  # noqa: FBT003 the socket's own signature
    MediaProcess(channel, configuration).run()


if __name__ == "__main__":
    main()
