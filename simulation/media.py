"""The media plane on a virtual machine: the real door (`telephony.media.plane`), with a media process of no substance.

It plays in virtual time, hears the keys that phones press, and notices when a phone has gone. Nothing sounds.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from callwright.audio.prompt import Prompt
from callwright.telemetry.clock import Clock
from callwright.telephony.media import protocol
from callwright.telephony.media.events import (
    DigitPressed,
    MediaEvent,
    PlaybackFinished,
    PlaybackStarted,
    RecordingFinished,
    StreamSilent,
)
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.stream import StreamReport
from simulation.loop import ProcessLoop
from simulation.world import Entry, World

PREFIX = "virtual:"
CODECS = ("PCMU", "PCMA")
Place = tuple[str, int]


def virtual_prompt(key: str, seconds: float) -> Prompt:
    """A prompt whose files tell nothing but how long they last."""
    return Prompt(key, seconds, dict.fromkeys(CODECS, f"{PREFIX}{seconds!r}"))


class SilentTone:
    """The ringing tone, without a tone."""

    prompt = virtual_prompt("ringback", 5.0)

    def close(self) -> None:
        """Nothing was opened."""


@dataclass(slots=True)
class Stream:
    """One stream of the virtual media process."""

    stream_id: str
    port: int
    remote: Place | None = None
    playbacks: list[protocol.PlayPrompt] = field(default_factory=list)
    "the first of them plays as soon as the stream is connected"
    plays: Entry | None = None
    "the end of what plays"
    path: str = ""
    "what is recorded to"


class VirtualMedia(MediaPlane):
    """The door of a media process that is a few callbacks of the world. It dies with its parent."""

    def __init__(  # the real door's parameters, and where it stands
        self,
        host: str,
        rtp_ports: range,
        clock: Clock,
        post: Callable[[MediaEvent], None],
        silence_seconds: float,
        log_level: str,
        log_format: str,
        *,
        world: World,
        loop: ProcessLoop,
        airwaves: "Airwaves",
        chance: random.Random,
    ) -> None:
        super().__init__(host, rtp_ports, clock, post, silence_seconds, log_level, log_format)
        self._world = world
        self._loop = loop
        self._airwaves = airwaves
        self._chance = chance
        self._next_port = rtp_ports.start
        self._streams: dict[str, Stream] = {}
        self._up = False

    @property
    def ready(self) -> bool:
        """Is it up?"""
        return self._up

    async def start(self) -> None:
        """At once."""
        self._up = True
        self._airwaves.planes.append(self)

    async def stop(self) -> None:
        """Likewise."""
        self.cut()

    def cut(self) -> None:
        """The process ended, in whatever way."""
        self._up = False
        if self in self._airwaves.planes:
            self._airwaves.planes.remove(self)

    def _send(self, command: protocol.StreamCommand | protocol.Load) -> None:
        self._world.after(self._chance.uniform(0.0001, 0.002), self._obey, command)

    def _answer(self, answer: protocol.Answer) -> None:
        later = self._world.now + self._chance.uniform(0.0001, 0.002)
        self._loop.arrive(later, "media", self._take, answer)

    # --- the process -------------------------------------------------------------------------------------------------

    def _obey(self, command: protocol.StreamCommand | protocol.Load) -> None:
        if not self._up or isinstance(command, protocol.Load):
            return
        if isinstance(command, protocol.OpenStream):
            port, self._next_port = self._next_port, self._next_port + 2
            self._streams[command.stream_id] = Stream(command.stream_id, port)
            self._answer(protocol.StreamOpened(command.stream_id, port))
            return
        stream = self._streams.get(command.stream_id)
        if stream is None:
            return
        match command:
            case protocol.ConnectStream(remote=remote):
                stream.remote = (remote.address, remote.port)
                self._play_next(stream)
            case protocol.PlayPrompt():
                stream.playbacks.append(command)
                self._play_next(stream)
            case protocol.CutPlayback(playback_id=playback_id):
                self._cut_playback(stream, playback_id)
            case protocol.RecordStream(path=path):
                stream.path = path
            case protocol.EndRecording():
                self._end_recording(stream)
            case protocol.CloseStream():
                self._close(stream)
            case _:  # bridges and listening change nothing that could be noticed here
                pass

    def _play_next(self, stream: Stream) -> None:
        if stream.remote is None or stream.plays is not None or not stream.playbacks:
            return
        prompt = stream.playbacks[0]
        self._answer(PlaybackStarted(self._world.now, stream.stream_id, prompt.playback_id))
        seconds = float(next(iter(prompt.paths.values())).removeprefix(PREFIX)) * prompt.repetition
        if prompt.repetition:
            stream.plays = self._world.after(seconds, self._played, stream)
        else:
            stream.plays = self._world.at(float("inf"), self._played, stream)

    def _played(self, stream: Stream) -> None:
        if self._up and stream.stream_id in self._streams:
            self._end_playback(stream, completed=True)
            self._play_next(stream)

    def _cut_playback(self, stream: Stream, playback_id: str) -> None:
        for position, prompt in enumerate(stream.playbacks):
            if prompt.playback_id == playback_id:
                if position == 0 and stream.plays is not None:
                    self._end_playback(stream, completed=False)
                    self._play_next(stream)
                else:
                    del stream.playbacks[position]
                    self._answer(self._finished(stream, playback_id, "stopped"))
                return

    def _end_playback(self, stream: Stream, *, completed: bool) -> None:
        if stream.plays is not None:
            stream.plays.cancelled = True
            stream.plays = None
        prompt = stream.playbacks.pop(0)
        self._answer(self._finished(stream, prompt.playback_id, "" if completed else "stopped"))

    def _finished(self, stream: Stream, playback_id: str, cut: str) -> PlaybackFinished:
        return PlaybackFinished(self._world.now, stream.stream_id, playback_id, completed=not cut, reason=cut)

    def _end_recording(self, stream: Stream) -> None:
        if stream.path:
            self._answer(RecordingFinished(self._world.now, stream.stream_id, stream.path, 1.0))
            stream.path = ""

    def _close(self, stream: Stream) -> None:
        while stream.playbacks:
            self._end_playback(stream, completed=False)
        self._end_recording(stream)
        del self._streams[stream.stream_id]
        report = StreamReport(100, 100, 0, 0.0, 1.0, 4.4, 0, 0, 0, 0)
        self._answer(protocol.StreamClosed(stream.stream_id, report))

    # --- what phones do ----------------------------------------------------------------------------------------------

    def hear(self, place: Place, digit: str) -> None:
        """A phone whose sound comes from `place` pressed a key."""
        for stream in self._streams.values():
            if stream.remote == place:
                self._answer(DigitPressed(self._world.now, stream.stream_id, digit))

    def miss(self, place: Place) -> None:
        """Nothing came from there for a while."""
        for stream in self._streams.values():
            if stream.remote == place:
                self._answer(StreamSilent(self._world.now, stream.stream_id, self._silence_seconds))


class Airwaves:
    """What phones send, for whoever listens."""

    def __init__(self, world: World) -> None:
        self.planes: list[VirtualMedia] = []
        self._world = world

    def press(self, place: Place, digit: str) -> None:
        """A phone pressed a key."""
        for plane in self.planes:
            plane.hear(place, digit)

    def fall_silent(self, place: Place, silence_seconds: float) -> None:
        """A phone sends nothing any more."""
        self._world.after(silence_seconds, self._missed, place)

    def _missed(self, place: Place) -> None:
        for plane in self.planes:
            plane.miss(place)
