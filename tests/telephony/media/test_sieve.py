"""Sound that nobody wants is left to the kernel, and nobody can tell by keys, figures or bridges."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from callwright.rtp import packet
from callwright.rtp.packet import RtpPacket
from callwright.rtp.telephone_event import press
from callwright.telephony.media.events import DigitPressed
from callwright.telephony.media.inbound import RELOCK_SECONDS, SETTLED_SECONDS, Inbound
from callwright.telephony.media.sieve import COUNT_BYTES, Sieve, why_not_to_be_used

Bench = Any  # conftest's classes cannot be imported from here
SSRC = 0x1234


def sound(sequence: int, ssrc: int = SSRC, kind: int = 0) -> bytes:
    return packet.serialize(RtpPacket(kind, sequence & 0xFFFF, 160 * sequence & 0xFFFF_FFFF, ssrc, b"\xff" * 160))


class Ear:
    """A socket with a sieve, and somebody who speaks to it."""

    def __init__(self) -> None:
        self.heard, self.speaker = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.heard.bind(("127.0.0.1", 0))
        self.heard.settimeout(0)
        self.speaker.connect(self.heard.getsockname())
        self.sieve = Sieve(self.heard)

    def say(self, *data: bytes) -> None:
        for one in data:
            self.speaker.send(one)

    def read(self) -> tuple[list[int], int]:
        """Sequence numbers of what waits, and how many were dropped before the last of them."""
        read, dropped = [], 0
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, _ = self.heard.recvmsg(2048, socket.CMSG_SPACE(COUNT_BYTES))
                read.append(packet.parse(data).sequence)
                dropped += self.sieve.dropped_before(ancillary)
        return read, dropped


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    yield made
    made.heard.close()
    made.speaker.close()


def test_this_system_filters_and_counts() -> None:
    assert why_not_to_be_used("127.0.0.1") == ""


def test_a_host_that_is_not_ours_is_an_objection_not_an_error() -> None:
    assert "assign" in why_not_to_be_used("192.0.2.1")


def test_the_kernel_drops_all_but_samples_and_says_how_many(ear: Ear) -> None:
    ear.say(*(sound(n) for n in range(1, 5)))
    assert ear.read() == ([1, 2, 3, 4], 0)
    ear.sieve.close(SSRC, 0)
    ear.say(*(sound(n) for n in range(5, 40)), sound(40, kind=101), sound(41, ssrc=9))
    assert ear.read() == ([16, 32, 40, 41], 33)
    ear.say(*(sound(n) for n in range(42, 49)))
    assert ear.read() == ([48], 6)


def test_an_open_sieve_drops_nothing_and_tells_of_what_it_had_dropped(ear: Ear) -> None:
    ear.sieve.close(SSRC, 0)
    ear.say(*(sound(n) for n in range(16, 20)))
    ear.sieve.open()
    ear.say(*(sound(n) for n in range(20, 30)))
    assert ear.read() == ([16, *range(20, 30)], 3)


def test_it_can_be_closed_again_for_another_source(ear: Ear) -> None:
    for ssrc in (SSRC, 77):
        ear.sieve.close(ssrc, 8)
        ear.say(*(sound(n, ssrc=ssrc, kind=8) for n in range(1, 33)))
        assert ear.read() == ([16, 32], 30)
        ear.sieve.open()


def test_what_a_full_buffer_costs_is_lost_and_not_left_unread(ear: Ear) -> None:
    ear.heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ear.sieve.close(SSRC, 0)
    ear.say(*(sound(n) for n in range(1, 8)))
    ear.sieve.open()
    ear.say(*(sound(n) for n in range(8, 108)))
    read, dropped = ear.read()
    assert read[0] == 8
    assert len(read) < 100
    ear.say(sound(108))
    assert (dropped, ear.read()) == (7, ([108], 0))


class Kept:
    """A sieve that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int] | None] = []
        self.refuses = False

    def close(self, ssrc: int, payload_type: int) -> None:
        if self.refuses:
            raise OSError("no memory")
        self.told.append((ssrc, payload_type))

    def dropped_before(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        return len(ancillary)

    def open(self) -> None:
        self.told.append(None)


def settled(sieve: Kept) -> Inbound:
    """A source that was heard until its sound is left unread; the last packet was 60, at 1.2 s."""
    inbound = Inbound(sieve)
    inbound.agree(0, 101, expecting=True, now=0.0)
    for n in range(61):
        inbound.receive(sound(n), 0.02 * n, 0.02 * n)
    return inbound


def test_a_source_is_sieved_once_it_is_settled() -> None:
    sieve = Kept()
    inbound = Inbound(sieve)
    inbound.agree(0, 101, expecting=True, now=0.0)
    inbound.receive(sound(0), 0.0, 0.5)
    inbound.receive(sound(1), 0.0, 0.49 + SETTLED_SECONDS)
    assert sieve.told == []
    inbound.receive(sound(2), 0.0, 0.51 + SETTLED_SECONDS)
    inbound.receive(sound(3), 0.0, 0.53 + SETTLED_SECONDS)
    assert sieve.told == [(SSRC, 0)]


def test_whoever_listens_hears_everything() -> None:
    sieve = Kept()
    inbound = settled(sieve)
    inbound.listen(lambda _packet, _now: None)
    assert sieve.told == [(SSRC, 0), None]
    for n in range(61, 200):
        inbound.receive(sound(n), 0.02 * n, 0.02 * n)
    assert len(sieve.told) == 2
    inbound.listen(None)
    inbound.receive(sound(200), 4.0, 4.0)
    assert sieve.told == [(SSRC, 0), None, (SSRC, 0)]


def test_a_stranger_between_two_samples_is_not_believed_though_the_source_seems_quiet() -> None:
    sieve = Kept()
    inbound = settled(sieve)
    inbound.receive(sound(700, ssrc=9), 1.5, 1.2 + RELOCK_SECONDS + 0.05, unread=14)
    assert (inbound.ssrc, inbound.refused, sieve.told) == (SSRC, 1, [(SSRC, 0), None])
    inbound.receive(sound(76), 1.52, 1.52)
    inbound.receive(sound(701, ssrc=9), 1.54, 1.54)
    assert (inbound.ssrc, inbound.refused) == (SSRC, 2)
    assert (inbound.statistics.packets, inbound.statistics.lost) == (76, 1)


def test_a_new_source_is_believed_when_the_old_one_is_quiet_indeed() -> None:
    sieve = Kept()
    inbound = settled(sieve)
    at = 1.5
    for n in range(20):
        inbound.receive(sound(700 + n, ssrc=9), at + 0.02 * n, at + 0.02 * n)
    assert inbound.ssrc == 9
    assert sieve.told == [(SSRC, 0), None]
    assert inbound.statistics.lost == 0


def test_a_sender_that_starts_again_is_followed_at_once() -> None:
    sieve = Kept()
    inbound = settled(sieve)
    inbound.receive(sound(40_000), 1.5, 1.5, unread=12)
    assert sieve.told == [(SSRC, 0), None]
    for n in range(1, 5):
        inbound.receive(sound(40_000 + n), 1.5 + 0.02 * n, 1.5 + 0.02 * n)
    assert (inbound.statistics.packets, inbound.statistics.lost) == (65, 0)


def test_another_agreement_and_a_goodbye_open_it() -> None:
    for change in (lambda inbound: inbound.agree(8, 101, expecting=True, now=1.2), Inbound.unlock):
        sieve = Kept()
        change(settled(sieve))
        assert sieve.told == [(SSRC, 0), None]


def test_a_system_that_refuses_the_filter_is_not_asked_for_every_packet() -> None:
    sieve = Kept()
    sieve.refuses = True
    inbound = settled(sieve)
    sieve.refuses = False
    inbound.receive(sound(61), 1.22, 1.22)
    assert (sieve.told, inbound.sieved, inbound.statistics.packets) == ([], False, 62)


@pytest.mark.asyncio(loop_scope="session")
async def test_figures_keys_and_recordings_of_a_sieved_stream_are_right(bench: Bench, tmp_path: Any) -> None:
    phone = bench.phone()
    local = await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    sent = 0
    for n in range(96):  # 1.9 s; every 12th is lost
        if n % 12 != 5:
            phone.rtp.sendto(sound(n), (local.host, local.port))
            sent += 1
        await asyncio.sleep(0.02)
    for n, frame in enumerate(press("5", 100)):
        event = RtpPacket(101, 96 + n, 20_000 + frame.timestamp_ticks, SSRC, frame.payload, frame.marker)
        phone.send(local, event)
        sent += 1
    await bench.until(lambda: bench.posted(DigitPressed))
    assert [event.digit for event in bench.posted(DigitPressed)] == ["5"]
    await bench.has_read(phone)
    report = await bench.plane.close("s")
    assert (report.packets_received, report.packets_lost, report.refused) == (sent, 8, 0)
    assert report.mos is not None
