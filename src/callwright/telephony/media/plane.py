"""The door of the media plane: starts the media process, hands it commands, posts what it tells.

Commands are carried out in the order in which they are given. Whoever holds a stream may play before it is connected:
the playback waits for the first `connect`. Playbacks of one stream follow each other without a gap.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

from callwright.audio.codecs import CODECS
from callwright.audio.prompt import Prompt
from callwright.errors import TelephonyError
from callwright.telemetry.clock import Clock
from callwright.telephony.media import protocol
from callwright.telephony.media.addresses import ip_address
from callwright.telephony.media.events import MediaEvent, MediaGone, RecordingFinished
from callwright.telephony.media.ports import pairs_in
from callwright.telephony.media.stream import LocalMedia, RemoteMedia, StreamReport

START_SECONDS = 20.0
"""A loaded machine may take seconds to import numpy."""
STOP_SECONDS = 3.0
READ_BYTES = 1 << 18


class MediaPlane:
    """RTP for every call of this machine, in one child process.

    `host` is the address that RTP is bound to and that `open` hands out; `post` is called in the event loop with
    whatever happens. `silence_seconds` without RTP or RTCP from a peer that should send make a `StreamSilent`.
    """

    def __init__(
        self,
        host: str,
        rtp_ports: range,
        clock: Clock,
        post: Callable[[MediaEvent], None],
        silence_seconds: float = 30.0,
        log_level: str = "info",
        log_format: str = "text",
    ) -> None:
        if not pairs_in(rtp_ports):
            raise TelephonyError(
                f"--rtp-ports {rtp_ports.start}-{rtp_ports.stop - 1} holds no even port with its odd one"
            )
        self.wide = False
        "set before `start` when calls may speak G.722 or Opus: what codes them is loaded before the first call"
        self.srtp = False
        "likewise for SRTP"
        self._host = host
        self._rtp_ports = rtp_ports
        self._clock = clock
        self._post = post
        self._silence_seconds = silence_seconds
        self._log_level = log_level
        self._log_format = log_format
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._stopping = False
        self._unsent = bytearray()
        self._codecs: dict[str, str] = {}
        "codec of each open stream, empty before its first connect"
        self._recorded_paths: set[str] = set()
        self._opening: dict[str, asyncio.Future[int]] = {}
        self._closing: dict[str, asyncio.Future[StreamReport]] = {}

    @property
    def ready(self) -> bool:
        """Is the media process up?"""
        return self._writer is not None

    @property
    def pid(self) -> int | None:
        """The media process, while it is up."""
        return self._process.pid if self._process is not None and self.ready else None

    async def start(self) -> None:
        """Start the media process, also again after `MediaGone`; `TelephonyError` says why it does not come up."""
        async with self._starting:
            if self._process is not None:
                raise TelephonyError("the media process runs already")
            process, channel = await _spawn()
            reader, writer = await asyncio.open_unix_connection(sock=channel)
            messages = protocol.MessageReader(protocol.answer_decoder)
            writer.write(protocol.serialize(self._configuration()))
            try:
                async with asyncio.timeout(START_SECONDS):
                    await _wait_until_ready(reader, messages)
            except BaseException as error:  # cancelled included: the process must not stay behind
                await _close(writer)
                await _reap(process)
                if isinstance(error, TimeoutError):
                    raise TelephonyError(f"the media process was not ready within {START_SECONDS:.0f} s") from error
                raise
            self._process, self._writer, self._stopping = process, writer, False
            self._reading = asyncio.create_task(self._read(process, reader, messages))

    def _configuration(self) -> protocol.Configure:
        return protocol.Configure(
            host=self._host,
            first_port=self._rtp_ports.start,
            last_port=self._rtp_ports.stop - 1,
            anchor=self._clock() - time.monotonic(),
            silence_seconds=self._silence_seconds,
            log_level=self._log_level,
            log_format=self._log_format,
            wide=self.wide,
            srtp=self.srtp,
        )

    def load(self, *, wide: bool, srtp: bool) -> None:
        """From now on calls may speak G.722 or Opus, or through SRTP: load what that takes beside those that are up."""
        is_more = wide > self.wide or srtp > self.srtp
        self.wide, self.srtp = self.wide or wide, self.srtp or srtp
        if is_more and self._writer is not None:  # else the next start does it
            self._send(protocol.Load(self.wide, self.srtp))

    async def stop(self) -> None:
        """End the media process: open streams say goodbye (RTCP BYE), whoever waits in `open` or `close` is failed."""
        async with self._starting:
            if self._writer is None or self._reading is None:
                return
            self._stopping = True
            self._flush()
            self._writer.close()
            await self._reading

    async def open(self, stream_id: str, peers: str = "") -> LocalMedia:
        """Ports for a stream; `TelephonyError` when none is free or the media process is gone.

        `peers` says who is at the other end, such as a trunk's name: streams of one name share ports once their peers
        were seen to be at different addresses or ports. Without it a stream has its ports to itself.
        """
        if stream_id in self._codecs or stream_id in self._opening:
            raise TelephonyError(f"stream {stream_id} is open already")
        self._send(protocol.OpenStream(stream_id, peers))
        opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._opening[stream_id] = opened
        try:
            port = await opened
        except asyncio.CancelledError:
            # Cancelled in the very turn in which it opened; earlier, `_opened` finds the future cancelled.
            if not opened.cancelled() and opened.exception() is None:
                del self._codecs[stream_id]
                self._send(protocol.CloseStream(stream_id))
            raise
        return LocalMedia(self._host, port)

    def connect(self, stream_id: str, remote: RemoteMedia) -> None:
        """Send there and take packets from there only; again whenever the session description changes.

        `TelephonyError` when the stream is not open, or nothing can be sent there: codec, address, port. A hold that is
        signalled by the address 0.0.0.0 (RFC 3264 §8.4) is the former address with another direction.
        """
        self._known(stream_id)
        if remote.codec not in CODECS:
            raise TelephonyError(f"no stream can be sent as {remote.codec}")
        self._check_target(remote.address, remote.port)
        self._check_target(remote.rtcp_address or remote.address, remote.rtcp_port or remote.port + 1)
        self._codecs[stream_id] = remote.codec
        self._send(protocol.ConnectStream(stream_id, remote))

    def _check_target(self, address: str, port: int) -> None:
        try:
            target = ip_address(address)
        except ValueError as error:
            raise TelephonyError(f"media for {address!r}, which is no IP address") from error
        if target.version != ip_address(self._host).version:
            raise TelephonyError(f"media for {address} cannot leave from {self._host}")
        if target.is_unspecified or target.is_multicast or not 1 <= port <= 65_535:
            raise TelephonyError(f"media cannot be sent to {address} port {port}")

    def play(self, stream_id: str, playback_id: str, prompt: Prompt, repetition: int) -> None:
        """Play the prompt `repetition` times, behind what plays already; 0 is until it is stopped.

        Events tell of its beginning and end.

        `TelephonyError` when the stream is not open or the prompt has no form in the stream's codec. A file that
        cannot be read makes a PlaybackFinished that says so.
        """
        codec = self._known(stream_id)
        if repetition < 0:
            raise TelephonyError(f"a prompt cannot be played {repetition} times")
        if codec and codec not in prompt.paths:
            raise TelephonyError(f"prompt {prompt.key} has no {codec} form")
        self._send(protocol.PlayPrompt(stream_id, playback_id, dict(prompt.paths), repetition))

    def stop_playback(self, stream_id: str, playback_id: str) -> None:
        """Cut a playback short; its PlaybackFinished says so. What is over or unknown is ignored."""
        if stream_id in self._codecs:
            self._send(protocol.CutPlayback(stream_id, playback_id))

    def bridge(self, stream_id: str, other_id: str) -> None:
        """Let two streams hear each other from now on, and end what either was bridged with before.

        Packets are forwarded in the media process as they come, transcoded when the codecs differ, keys included. A
        prompt that plays on one of them goes before what the other says. When a peer says nothing, silence is sent;
        when one stream closes, the other goes back to that. TelephonyError when either is not open.
        """
        self._known(stream_id)
        self._known(other_id)
        if stream_id == other_id:
            raise TelephonyError(f"stream {stream_id} cannot be bridged with itself")
        self._send(protocol.BridgeStreams(stream_id, other_id))

    def listen(self, stream_id: str, wanted: bool) -> None:
        """Look for keys among the sounds that the peer sends, too; each makes a DigitPressed with `in_band`.

        Telephone-events are always told of; pairing the two is the caller's affair (`telephony/keys.py`).
        TelephonyError when the stream is not open.
        """
        self._known(stream_id)
        self._send(protocol.ListenStream(stream_id, wanted))

    def record(self, stream_id: str, path: str) -> None:
        """Record what is received (left) and sent (right) into a new WAV file until the stream closes.

        16-bit stereo at 8 kHz. RecordingFinished follows once, also when the file cannot be written; the call goes on
        then. TelephonyError when the stream is not connected, or something is recorded to that path already.
        """
        if not self._known(stream_id):
            raise TelephonyError(f"stream {stream_id} is not connected")
        if path in self._recorded_paths:
            raise TelephonyError(f"{path} is being recorded already")
        self._send(protocol.RecordStream(stream_id, path))
        self._recorded_paths.add(path)

    def stop_recording(self, stream_id: str) -> None:
        """Finish the stream's recording; without one, or without the stream, nothing happens."""
        if stream_id in self._codecs:
            self._send(protocol.EndRecording(stream_id))

    async def close(self, stream_id: str) -> StreamReport:
        """End the stream, its playbacks first; free its ports; sum it up. `TelephonyError` when it is not open."""
        self._known(stream_id)
        self._send(protocol.CloseStream(stream_id))
        del self._codecs[stream_id]
        closed: asyncio.Future[StreamReport] = asyncio.get_running_loop().create_future()
        self._closing[stream_id] = closed
        return await closed

    def _known(self, stream_id: str) -> str:
        """The stream's codec, empty before the first connect."""
        codec = self._codecs.get(stream_id)
        if codec is None:
            raise TelephonyError(f"stream {stream_id} is not open")
        return codec

    def _send(self, command: protocol.StreamCommand | protocol.Load) -> None:
        if self._writer is None:
            raise TelephonyError("the media process is gone")
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        protocol.append(self._unsent, command)

    def _flush(self) -> None:
        """What was commanded in one turn of the loop leaves together."""
        unsent, self._unsent = self._unsent, bytearray()
        if self._writer is not None and unsent:
            self._writer.write(unsent)

    async def _read(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        messages: protocol.MessageReader[protocol.Answer],
    ) -> None:
        """Take what the process tells, until it goes."""
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(READ_BYTES):
                    for answer in messages.receive(data):
                        self._take(answer)
        finally:
            await self._bury(process)

    def _take(self, answer: protocol.Answer) -> None:
        match answer:
            case protocol.StreamOpened():
                opened = self._opening.pop(answer.stream_id)
                if opened.cancelled():
                    self._send(protocol.CloseStream(answer.stream_id))
                else:
                    self._codecs[answer.stream_id] = ""
                    opened.set_result(answer.port)
            case protocol.OpenFailed():
                opened = self._opening.pop(answer.stream_id)
                if not opened.cancelled():
                    opened.set_exception(TelephonyError(answer.reason))
            case protocol.StreamClosed():
                closed = self._closing.pop(answer.stream_id, None)
                if closed is not None and not closed.cancelled():
                    closed.set_result(answer.report)
            case protocol.Ready() | protocol.Unfit():
                raise TypeError(f"{answer} from a media process that runs already")
            case _:
                if isinstance(answer, RecordingFinished):
                    self._recorded_paths.discard(answer.path)
                self._post(answer)

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """The process went or must go: free what is ours, fail whoever waits, tell of it."""
        writer, self._writer = self._writer, None
        self._unsent.clear()
        if writer is not None:
            await _close(writer)
        reason = await _reap(process)
        opening, closing = list(self._opening.values()), list(self._closing.values())
        self._codecs.clear()
        self._recorded_paths.clear()
        self._opening.clear()
        self._closing.clear()
        self._process = self._reading = None
        gone = f"the media process is gone: {reason}"
        for opened in opening:
            if not opened.done():
                opened.set_exception(TelephonyError(gone))
        for closed in closing:
            if not closed.done():
                closed.set_exception(TelephonyError(gone))
        if not self._stopping:
            self._post(MediaGone(self._clock(), reason))


async def _spawn() -> tuple[asyncio.subprocess.Process, socket.socket]:
    """The process, and our end of the channel to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        # Its numpy adds up headers, not matrices: no thread pool for that.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = (sys.executable, "-m", "callwright.telephony.media.process", "--channel", str(theirs.fileno()))
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),), env=environment
            )
        except BaseException as error:  # cancelled included: a process that began ends with its channel
            ours.close()
            if isinstance(error, OSError):
                raise TelephonyError(f"the media process cannot be started: {error}") from error
            raise
    return process, ours


async def _wait_until_ready(reader: asyncio.StreamReader, messages: protocol.MessageReader[protocol.Answer]) -> None:
    """Ready is the only answer to Configure; nothing else comes before the first command."""
    while True:
        data = await reader.read(READ_BYTES)
        if not data:
            raise TelephonyError("the media process ended before it was ready")
        for answer in messages.receive(data):
            if isinstance(answer, protocol.Unfit):
                raise TelephonyError(answer.reason)
            return


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _reap(process: asyncio.subprocess.Process) -> str:
    """Wait for the end of a process whose channel is closed, not for ever; says how it ended."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            status = await process.wait()
    except TimeoutError:
        process.kill()
        status = await process.wait()
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
