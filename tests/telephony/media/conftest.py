"""A media plane with its real process, and phones that listen on real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from callwright.audio import g711
from callwright.audio.prompt import Prompt
from callwright.rtp import packet, rtcp
from callwright.rtp.packet import RtpPacket
from callwright.simulator.loopback import own_host, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.media.events import MediaEvent
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.stream import Direction, LocalMedia, RemoteMedia

HOST = own_host()
PATIENCE_SECONDS = 60.0


class Phone:
    """A peer: an RTP socket with RTCP above it. `heard` grows in the order of arrival."""

    def __init__(self) -> None:
        self.rtp, self.rtcp = self._pair()
        self.host, self.port = HOST, int(self.rtp.getsockname()[1])
        self.heard: list[RtpPacket] = []
        self.reports: list[tuple[rtcp.RtcpPacket, ...]] = []
        loop = asyncio.get_running_loop()
        loop.add_reader(self.rtp, self._hear)
        loop.add_reader(self.rtcp, self._read_report)

    @staticmethod
    def _pair() -> tuple[socket.socket, socket.socket]:
        while True:
            low, high = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2))
            low.bind((HOST, 0))
            with contextlib.suppress(OSError, OverflowError):
                high.bind((HOST, low.getsockname()[1] + 1))
                return low, high
            low.close()
            high.close()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(packet.parse(self.rtp.recv(2048)))

    def _read_report(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.reports.append(rtcp.parse(self.rtcp.recv(2048)))

    def remote(
        self,
        codec: str = "PCMU",
        direction: Direction = Direction.SENDRECV,
        event_payload_type: int | None = 101,
    ) -> RemoteMedia:
        """How the plane is to reach this phone."""
        kind = {"PCMU": 0, "PCMA": 8}[codec]
        return RemoteMedia(HOST, self.port, codec, kind, event_payload_type, direction)

    def send(self, local: LocalMedia, sent: RtpPacket) -> None:
        """One RTP packet to the plane."""
        self.rtp.sendto(packet.serialize(sent), (local.host, local.port))

    def payload(self) -> bytes:
        """All that was heard, in the order of arrival."""
        return b"".join(heard.payload for heard in self.heard)

    def close(self) -> None:
        """Hang up for good."""
        for one in (self.rtp, self.rtcp):
            asyncio.get_running_loop().remove_reader(one)
            one.close()


class Bench:
    """A plane, what it posted, and phones to play to."""

    def __init__(self, plane: MediaPlane, events: list[MediaEvent], folder: Path) -> None:
        self.plane = plane
        self.events = events
        self.phones: list[Phone] = []
        self._folder = folder

    def phone(self) -> Phone:
        """A new peer."""
        self.phones.append(Phone())
        return self.phones[-1]

    def prompt(self, name: str, samples: NDArray[np.int16]) -> Prompt:
        """The sound as files, one per codec."""
        paths = {}
        for codec in g711.ENCODINGS:
            path = self._folder / f"{name}.{codec}"
            path.write_bytes(g711.whole_frames(codec, g711.encode(codec, samples)))
            paths[codec] = str(path)
        return Prompt(name, len(samples) / 8000, paths)

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait for a condition; a test that waits in vain fails here."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not reached():
            assert asyncio.get_running_loop().time() < deadline, "waited in vain"
            await asyncio.sleep(0.005)

    async def obeyed(self) -> None:
        """Wait until the process has carried out all that it was told."""
        await self.plane.open("the last")  # commands are carried out in their order
        await self.plane.close("the last")

    async def has_read(self, phone: Phone) -> None:
        """Wait until the process has read what was just sent to a stream that speaks to `phone`."""
        heard = len(phone.heard)
        await self.until(lambda: len(phone.heard) > heard + 12)  # it reads after sending, four of a stream at a time

    def posted(self, kind: type[MediaEvent], stream_id: str | None = None) -> list[MediaEvent]:
        """The events of one kind, of one stream if it is named."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and stream_id in (None, getattr(event, "stream_id", None))
        ]

    def descriptors(self) -> int:
        """How many files the media process has open."""
        return len(list(Path(f"/proc/{self.plane.pid}/fd").iterdir()))

    def close(self) -> None:
        """Hang every phone up."""
        for phone in self.phones:
            phone.close()


MakeBench = Callable[..., Awaitable[Bench]]


@pytest_asyncio.fixture(loop_scope="session")
async def make_bench(tmp_path: Path) -> AsyncIterator[MakeBench]:
    """Makes benches with a plane of their own, for tests that end it or need another one; ends them all."""
    benches: list[Bench] = []

    async def make(pairs: int = 200, silence_seconds: float = 60.0) -> Bench:
        events: list[MediaEvent] = []
        plane = MediaPlane(HOST, unused_ports(pairs, HOST), platform_clock(), events.append, silence_seconds)
        benches.append(Bench(plane, events, tmp_path))
        await plane.start()
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()
        await bench.plane.stop()


class SharedPlane:
    """One media process for all tests; each has the events of its own streams."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.plane = MediaPlane(HOST, unused_ports(200, HOST), platform_clock(), self._post)

    def _post(self, event: MediaEvent) -> None:
        self.events.append(event)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_plane() -> AsyncIterator[SharedPlane]:
    """Started once in a worker; it is never restarted: a test that ends it fails those after it."""
    shared = SharedPlane()
    await shared.plane.start()
    yield shared
    await shared.plane.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def bench(shared_plane: SharedPlane, tmp_path: Path) -> AsyncIterator[Bench]:
    """The shared plane without a stream."""
    shared_plane.events = []
    bench = Bench(shared_plane.plane, shared_plane.events, tmp_path)
    yield bench
    for stream_id in tuple(bench.plane._codecs):  # those that the test left open
        await bench.plane.close(stream_id)
    bench.close()


@pytest.fixture
def holder() -> Iterator[Callable[[int], None]]:
    """Takes ports away, as another program would."""
    held = []

    def hold(port: int) -> None:
        held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        held[-1].bind((HOST, port))

    yield hold
    for one in held:
        one.close()
