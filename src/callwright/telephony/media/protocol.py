"""Messages between the media plane's door and its process: 4 bytes of length, then msgpack of a tagged struct.

Both ends are always of one version (the child is started from the same package), so there is no negotiation; a message
that cannot be read is a bug, and the reader gives up loudly.
"""

from typing import Generic, TypeVar

import msgspec

from callwright.telephony.media.events import StreamEvent
from callwright.telephony.media.stream import RemoteMedia, StreamReport

LENGTH_BYTES = 4


class Configure(msgspec.Struct, frozen=True, tag=True):
    """Always the first message: how the process is to work. Answered by Ready or Unfit."""

    host: str
    first_port: int
    last_port: int
    anchor: float
    "platform time minus CLOCK_MONOTONIC, which is the same in both processes"
    silence_seconds: float
    log_level: str
    log_format: str
    wide: bool = False
    "G.722 and Opus are spoken: what codes them is loaded now, not in the middle of calls"
    srtp: bool = False
    "likewise for what seals packets"


class Load(msgspec.Struct, frozen=True, tag=True):
    """From now on this is needed, too; it is loaded beside the calls that are up."""

    wide: bool
    srtp: bool


class OpenStream(msgspec.Struct, frozen=True, tag=True):
    """Answered by StreamOpened or OpenFailed."""

    stream_id: str
    peers: str = ""
    "who is at the other end, such as a trunk's name: calls of one name may share ports; empty: a port of its own"


class ConnectStream(msgspec.Struct, frozen=True, tag=True):
    """Where the stream goes from now on."""

    stream_id: str
    remote: RemoteMedia


class PlayPrompt(msgspec.Struct, frozen=True, tag=True):
    """Answered by PlaybackStarted and PlaybackFinished, or by the latter alone."""

    stream_id: str
    playback_id: str
    paths: dict[str, str]
    repetition: int
    "0: until it is cut"


class CutPlayback(msgspec.Struct, frozen=True, tag=True):
    """Stop a playback, whether it has begun or waits."""

    stream_id: str
    playback_id: str


class BridgeStreams(msgspec.Struct, frozen=True, tag=True):
    """Each hears the other from now on, until either is closed or bridged with a third."""

    stream_id: str
    other_id: str


class ListenStream(msgspec.Struct, frozen=True, tag=True):
    """Look for keys among the sounds, or no longer."""

    stream_id: str
    wanted: bool


class RecordStream(msgspec.Struct, frozen=True, tag=True):
    """Answered by RecordingFinished, in the end."""

    stream_id: str
    path: str


class EndRecording(msgspec.Struct, frozen=True, tag=True):
    """Finish the stream's recording."""

    stream_id: str


class CloseStream(msgspec.Struct, frozen=True, tag=True):
    """Answered by StreamClosed."""

    stream_id: str


StreamCommand = (
    OpenStream
    | ConnectStream
    | PlayPrompt
    | CutPlayback
    | BridgeStreams
    | ListenStream
    | RecordStream
    | EndRecording
    | CloseStream
)
Command = Configure | Load | StreamCommand


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process is configured and its clock runs."""


class Unfit(msgspec.Struct, frozen=True, tag=True):
    """The process cannot work as configured, and ends."""

    reason: str


class StreamOpened(msgspec.Struct, frozen=True, tag=True):
    """The stream has its ports."""

    stream_id: str
    port: int


class OpenFailed(msgspec.Struct, frozen=True, tag=True):
    """No ports for the stream."""

    stream_id: str
    reason: str


class StreamClosed(msgspec.Struct, frozen=True, tag=True):
    """The stream is gone and its ports are free."""

    stream_id: str
    report: StreamReport


Answer = Ready | Unfit | StreamOpened | OpenFailed | StreamClosed | StreamEvent

command_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
answer_decoder: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_encoder = msgspec.msgpack.Encoder()


def append(buffer: bytearray, message: Command | Answer) -> None:
    """The message behind others, with its length in front."""
    start = len(buffer)
    buffer += bytes(LENGTH_BYTES)
    _encoder.encode_into(message, buffer, start + LENGTH_BYTES)
    buffer[start : start + LENGTH_BYTES] = (len(buffer) - start - LENGTH_BYTES).to_bytes(LENGTH_BYTES, "big")


def serialize(message: Command | Answer) -> bytes:
    """The message alone, with its length in front."""
    buffer = bytearray()
    append(buffer, message)
    return bytes(buffer)


T = TypeVar("T")


class MessageReader(Generic[T]):
    """Cuts the byte stream into messages."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._decoder = decoder
        self._pending = bytearray()

    def receive(self, data: bytes) -> list[T]:
        """The messages that are complete with these bytes; `msgspec.DecodeError` for bytes that are none."""
        pending = self._pending
        pending += data
        messages = []
        start = 0
        while start + LENGTH_BYTES <= len(pending):
            end = start + LENGTH_BYTES + int.from_bytes(pending[start : start + LENGTH_BYTES], "big")
            if end > len(pending):
                break
            messages.append(self._decoder.decode(pending[start + LENGTH_BYTES : end]))
            start = end
        del pending[:start]
        return messages
