"""All media processes of this machine behind one door: each is a `MediaPlane`, and sessions are spread over them.

What belongs together stays together: the streams of one session are in one process, where they can be bridged.
"""

import asyncio
import zlib
from collections.abc import Callable
from functools import partial

from callwright.audio.prompt import Prompt
from callwright.errors import TelephonyError
from callwright.telephony.media.events import MediaEvent, MediaGone
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.ports import pairs_in
from callwright.telephony.media.stream import LocalMedia, RemoteMedia, StreamReport


class MediaPlanes:
    """As `MediaPlane`, whose methods these are; those of an unknown stream raise `TelephonyError` likewise."""

    def __init__(
        self,
        make: Callable[[range, Callable[[MediaEvent], None]], MediaPlane],
        rtp_ports: range,
        processes: int,
        post: Callable[[MediaEvent], None],
    ) -> None:
        """`make` makes one plane with its share of the ports; `post` is told what happens in any of them."""
        pairs = pairs_in(rtp_ports)
        if len(pairs) < processes:
            flag = f"--rtp-ports {rtp_ports.start}-{rtp_ports.stop - 1}"
            raise TelephonyError(f"{flag} holds fewer pairs of ports than there are --media-processes: {processes}")
        self._post = post
        bounds = [pairs[0] + 2 * (len(pairs) * number // processes) for number in range(processes + 1)]
        self._planes = [
            make(range(bounds[number], bounds[number + 1]), partial(self._take, number)) for number in range(processes)
        ]
        self._plane_of: dict[str, int] = {}

    @property
    def ready(self) -> bool:
        """Are all media processes up?"""
        return all(plane.ready for plane in self._planes)

    @property
    def pids(self) -> list[int]:
        """The media processes that are up."""
        return [plane.pid for plane in self._planes if plane.pid is not None]

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._plane_of)

    async def start(self) -> None:
        """Start those that are not up; `TelephonyError` says why one does not come up, and none of them does then."""
        missing = [plane for plane in self._planes if not plane.ready]
        outcomes = await asyncio.gather(*(plane.start() for plane in missing), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        if failures:
            await asyncio.gather(*(plane.stop() for plane in missing))
            raise failures[0]

    def load(self, *, wide: bool, srtp: bool) -> None:
        """From now on calls may speak G.722 or Opus, or through SRTP."""
        for plane in self._planes:
            plane.load(wide=wide, srtp=srtp)

    async def stop(self) -> None:
        """End them all: open streams say goodbye."""
        await asyncio.gather(*(plane.stop() for plane in self._planes))

    async def open(self, stream_id: str, peers: str, session: str) -> LocalMedia:
        """Ports for a stream, which can be bridged with others of the same `session`."""
        if stream_id in self._plane_of:
            raise TelephonyError(f"stream {stream_id} is open already")
        number = zlib.crc32(session.encode()) % len(self._planes)
        self._plane_of[stream_id] = number
        try:
            return await self._planes[number].open(stream_id, peers)
        except BaseException:  # cancelled included
            self._plane_of.pop(stream_id, None)
            raise

    def connect(self, stream_id: str, remote: RemoteMedia) -> None:
        """Send there and take packets from there only."""
        self._plane(stream_id).connect(stream_id, remote)

    def play(self, stream_id: str, playback_id: str, prompt: Prompt, repetition: int) -> None:
        """Play the prompt, behind what plays already."""
        self._plane(stream_id).play(stream_id, playback_id, prompt, repetition)

    def stop_playback(self, stream_id: str, playback_id: str) -> None:
        """Cut a playback short."""
        if stream_id in self._plane_of:
            self._plane(stream_id).stop_playback(stream_id, playback_id)

    def bridge(self, stream_id: str, other_id: str) -> None:
        """Let two streams of one session hear each other."""
        plane = self._plane(stream_id)
        if self._plane(other_id) is not plane:
            raise TelephonyError(f"streams {stream_id} and {other_id} are in different processes: not of one session")
        plane.bridge(stream_id, other_id)

    def listen(self, stream_id: str, wanted: bool) -> None:
        """Look for keys among the sounds that the peer sends, too."""
        self._plane(stream_id).listen(stream_id, wanted)

    def record(self, stream_id: str, path: str) -> None:
        """Record both directions into a new file."""
        self._plane(stream_id).record(stream_id, path)

    def stop_recording(self, stream_id: str) -> None:
        """Finish the stream's recording."""
        if stream_id in self._plane_of:
            self._plane(stream_id).stop_recording(stream_id)

    async def close(self, stream_id: str) -> StreamReport:
        """End the stream, free its ports, sum it up."""
        plane = self._plane(stream_id)
        del self._plane_of[stream_id]
        return await plane.close(stream_id)

    def _plane(self, stream_id: str) -> MediaPlane:
        number = self._plane_of.get(stream_id)
        if number is None:
            raise TelephonyError(f"stream {stream_id} is not open")
        return self._planes[number]

    def _take(self, number: int, event: MediaEvent) -> None:
        if isinstance(event, MediaGone):
            lost = frozenset(stream_id for stream_id, plane in self._plane_of.items() if plane == number)
            for stream_id in lost:
                del self._plane_of[stream_id]
            event = MediaGone(event.at, event.reason, lost)
        self._post(event)
