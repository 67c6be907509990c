"""What the media plane posts. `at` is platform time.

Structs rather than dataclasses because they cross from the media process to its parent as they are.
"""

import msgspec


class PlaybackStarted(msgspec.Struct, frozen=True, tag=True):
    """The first packet of a playback left (or would have left, had the peer not put us on hold)."""

    at: float
    stream_id: str
    playback_id: str


class PlaybackFinished(msgspec.Struct, frozen=True, tag=True):
    """A playback ended: the 20 ms of its last packet are over, or it was stopped, or it could not be played."""

    at: float
    stream_id: str
    playback_id: str
    completed: bool
    "False when not all of it was played"
    reason: str = ""
    "words for the trace when it was not: stopped, stream closed, or what is wrong with the prompt"


class DigitPressed(msgspec.Struct, frozen=True, tag=True):
    """A key was pressed; once per press and way."""

    at: float
    "when the first packet of the telephone-event came (RFC 4733), or when the tone began as far as can be told"
    stream_id: str
    digit: str
    "one of 0-9 * # A-D"
    in_band: bool = False
    "found among the sounds of a stream that is listened to; the same press may come as a telephone-event too"


class RecordingFinished(msgspec.Struct, frozen=True, tag=True):
    """A recording's file is closed."""

    at: float
    stream_id: str
    path: str
    duration_seconds: float
    "of sound in the file; 0 when there is none"
    reason: str = ""
    "why it is not whole; empty when it is"


class StreamSilent(msgspec.Struct, frozen=True, tag=True):
    """Nothing came from the peer for a while, neither RTP nor RTCP, though it should send. Once per silence."""

    at: float
    stream_id: str
    silent_seconds: float


class StreamMoved(msgspec.Struct, frozen=True, tag=True):
    """The stream sends from another port: a call that it shared the former one with has its peer at the same place.

    The peer is to be told (a re-INVITE); until it knows, it is not heard.
    """

    at: float
    stream_id: str
    port: int


class MediaGone(msgspec.Struct, frozen=True, tag=True):
    """A media process died, and its streams with it; no PlaybackFinished or RecordingFinished of theirs follows.

    `MediaPlane.start` begins anew.
    """

    at: float
    reason: str
    stream_ids: frozenset[str] = frozenset()
    "those that were its, as `MediaPlanes` knows them"


StreamEvent = PlaybackStarted | PlaybackFinished | DigitPressed | StreamSilent | StreamMoved | RecordingFinished
MediaEvent = StreamEvent | MediaGone
