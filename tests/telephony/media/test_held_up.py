"""A process that the system kept waiting: what came meanwhile is heard, not given up for lost. In a time of its own."""

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from callwright.audio import g711, tones
from callwright.rtp import packet as rtp
from callwright.rtp.packet import RtpPacket
from callwright.simulator.loopback import own_host, unused_ports
from callwright.telephony.media import protocol
from callwright.telephony.media.pacer import TICK_SECONDS
from callwright.telephony.media.process import MediaProcess
from callwright.telephony.media.stream import RemoteMedia

HOST = own_host()
FRAME_SAMPLES = 160


class Held:
    """A media process without a process: streams, and phones on real sockets; time moves when a test says so."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._parent, channel = (stack.enter_context(one) for one in socket.socketpair())
        channel.setblocking(False)  # noqa: FBT003  the socket's own signature
        ports = unused_ports(8, HOST)
        configuration = protocol.Configure(HOST, ports.start, ports.stop - 1, 0.0, 60.0, "info", "text")
        self.process = MediaProcess(channel, configuration)
        self.now = self.process._pacer.due_at

    def stream(self, name: str, ptime_ms: int) -> tuple[socket.socket, int]:
        """A stream, its phone, and our port."""
        phone = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        phone.bind((HOST, 0))
        phone.setblocking(False)  # noqa: FBT003  likewise
        remote = RemoteMedia(HOST, phone.getsockname()[1], "PCMU", 0, ptime_ms=ptime_ms)
        self.process._carry_out(protocol.OpenStream(name), self.now)
        self.process._carry_out(protocol.ConnectStream(name, remote), self.now)
        return phone, self.process._calls[name].port.number

    def bridge(self, one: str, other: str) -> None:
        self.process._carry_out(protocol.BridgeStreams(one, other), self.now)

    def pass_time(self, seconds: float) -> None:
        """On time, tick by tick."""
        until = self.now + seconds
        while self.now + TICK_SECONDS <= until:
            self.now += TICK_SECONDS
            self.process._tick(self.now)

    def be_held_up(self, seconds: float) -> None:
        """Nothing runs for so long."""
        self.now += seconds
        self.process._tick(self.now)


@pytest.fixture
def held() -> Iterator[Held]:
    with ExitStack() as stack:
        made = Held(stack)
        yield made
        for name in list(made.process._calls):
            made.process._carry_out(protocol.CloseStream(name), made.now)


def heard(phone: socket.socket) -> list[RtpPacket]:
    """All that came."""
    packets = []
    while True:
        try:
            packets.append(rtp.parse(phone.recv(2048)))
        except BlockingIOError:
            return packets


@pytest.mark.parametrize("ptime_ms", [20, 60], ids=["forwarded", "made anew"])
def test_sound_of_a_bridge_is_whole_though_it_comes_late(held: Held, ptime_ms: int) -> None:
    speaker, port = held.stream("one", 20)
    listener, _ = held.stream("two", ptime_ms)
    held.bridge("one", "two")
    sound = g711.encode("PCMU", tones.sine(600.0, 2.0))
    frames = (sound[at : at + FRAME_SAMPLES] for at in range(0, len(sound), FRAME_SAMPLES))
    numbers = itertools.count()

    def say(count: int, meanwhile: Callable[[float], None]) -> None:
        for number, frame in zip(itertools.islice(numbers, count), frames, strict=False):
            speaker.sendto(rtp.serialize(RtpPacket(0, number, FRAME_SAMPLES * number, 7, frame)), (HOST, port))
            meanwhile(0.02)

    say(30, held.pass_time)
    say(20, lambda _: None)
    held.be_held_up(0.4)
    say(50, held.pass_time)
    held.pass_time(0.5)
    voiced = [one for one in heard(listener) if np.any(np.abs(g711.decode("PCMU", one.payload)) > 500)]
    assert sum(len(one.payload) for one in voiced) >= len(sound) - 2 * FRAME_SAMPLES
    steps = [(later.timestamp - one.timestamp) & 0xFFFF_FFFF for one, later in itertools.pairwise(voiced)]
    assert set(steps) == {8 * ptime_ms}
