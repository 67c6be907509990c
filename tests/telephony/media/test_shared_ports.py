"""Calls whose peers are at different places share a port, and nobody can tell; those that cannot do not."""

import asyncio
from typing import Any

import pytest

from callwright.audio import tones
from callwright.rtp import packet as rtp
from callwright.rtp import rtcp
from callwright.rtp.packet import RtpPacket
from callwright.rtp.telephone_event import press
from callwright.simulator.loopback import own_host, unused_ports
from callwright.telephony.media.events import DigitPressed, PlaybackFinished, RecordingFinished, StreamMoved
from callwright.telephony.media.inbound import Inbound
from callwright.telephony.media.local_port import LocalPort
from callwright.telephony.media.ports import REST_SECONDS, SURE_AFTER_CALLS, Peers

Bench = Any  # conftest's classes cannot be imported from here
HOST = own_host()
plane_test = pytest.mark.asyncio(loop_scope="session")


def audio(sequence: int, ssrc: int, kind: int = 0) -> RtpPacket:
    return RtpPacket(kind, sequence & 0xFFFF, 160 * sequence & 0xFFFFFFFF, ssrc, bytes([ssrc & 0x7F]) * 160)


def key(digit: str, ssrc: int) -> list[RtpPacket]:
    return [
        RtpPacket(101, 500 + n, 90_000 + frame.timestamp_ticks, ssrc, frame.payload, frame.marker)
        for n, frame in enumerate(press(digit, 60))
    ]


def numbers_missing(phone: Any) -> int:
    """Sequence numbers between the first and the last packet that were not heard."""
    first = phone.heard[0].sequence
    numbers = {packet.sequence - first & 0xFFFF for packet in phone.heard}
    return int(max(numbers) + 1 - len(numbers))


async def sure(bench: Bench, calls: int = SURE_AFTER_CALLS) -> None:
    """So many calls over one trunk, each at a place of its own."""
    for n in range(calls):
        await bench.plane.open(f"own{n}", "trunk")
        bench.plane.connect(f"own{n}", bench.phone().remote())


async def shared(bench: Bench, count: int) -> tuple[list[Any], Any]:
    """Calls that share a port: their phones, and where they are all reached."""
    await sure(bench)
    locals_ = {await bench.plane.open(f"s{n}", "trunk") for n in range(count)}
    phones = [bench.phone() for _ in range(count)]
    for n, phone in enumerate(phones):
        bench.plane.connect(f"s{n}", phone.remote())
    await bench.until(lambda: all(phone.heard for phone in phones))
    assert len(locals_) == 1
    return phones, locals_.pop()


@plane_test
async def test_each_of_the_calls_at_one_port_hears_its_own_prompt_without_a_hole(make_bench: Any) -> None:
    bench = await make_bench()
    phones, local = await shared(bench, 7)
    prompts = [bench.prompt(f"p{n}", tones.sine(300.0 + 50 * n, 0.2)) for n in range(7)]
    for n in range(7):
        bench.plane.play(f"s{n}", "p", prompts[n], 2)
    await bench.until(lambda: len(bench.posted(PlaybackFinished)) == 7)
    for n, phone in enumerate(phones):
        sound = (bench._folder / f"p{n}.PCMU").read_bytes() * 2
        report = await bench.plane.close(f"s{n}")
        voiced = [packet for packet in phone.heard if packet.payload != b"\xff" * 160]
        for packet in voiced:  # where its timestamp says, though frames before it may have been late
            begin = packet.timestamp - voiced[0].timestamp & 0xFFFFFFFF
            assert packet.payload == sound[begin : begin + 160]
        assert 0 <= len(sound) // 160 - len(voiced) <= report.gaps
        assert numbers_missing(phone) <= report.gaps
        assert len({packet.ssrc for packet in phone.heard}) == 1
        assert (report.send_errors, report.refused) == (0, 0)
    assert len({phone.heard[0].ssrc for phone in phones}) == 7
    assert local.port % 2 == 0


@plane_test
async def test_what_peers_send_to_one_port_is_told_apart_and_strangers_are_not_heard(make_bench: Any) -> None:
    bench = await make_bench()
    phones, local = await shared(bench, 5)
    stranger = bench.phone()
    for n, phone in enumerate(phones):
        for sequence in range(n + 3):
            phone.send(local, audio(sequence, 100 + n))
            stranger.send(local, audio(sequence, 100 + n))
        for packet in key(str(n), 100 + n):
            phone.send(local, packet)
        for packet in key("9", 100 + n):
            stranger.send(local, packet)
        block = rtcp.ReportBlock(phone.heard[0].ssrc, 0, n, 0, 8 * n, 0, 0)
        phone.rtcp.sendto(rtcp.serialize([rtcp.ReceiverReport(100 + n, (block,))]), (local.host, local.port + 1))
        lie = rtcp.ReportBlock(phone.heard[0].ssrc, 0, 77, 0, 99, 0, 0)
        stranger.rtcp.sendto(rtcp.serialize([rtcp.ReceiverReport(100 + n, (lie,))]), (local.host, local.port + 1))
    await bench.until(lambda: len(bench.posted(DigitPressed)) == 5)
    for phone in phones:
        await bench.has_read(phone)
    assert {(event.stream_id, event.digit) for event in bench.posted(DigitPressed)} == {
        (f"s{n}", str(n)) for n in range(5)
    }
    for n in range(5):
        report = await bench.plane.close(f"s{n}")
        assert report.packets_received == n + 3 + len(key("1", 1))
        assert report.refused == 0
        assert report.remote_jitter_ms == n


@plane_test
async def test_what_a_peer_says_before_it_is_known_is_heard_at_a_shared_port_too(make_bench: Any) -> None:
    bench = await make_bench()
    phones, local = await shared(bench, 2)
    late = bench.phone()
    assert await bench.plane.open("late", "trunk") == local
    for packet in key("4", 7):
        late.send(local, packet)
        bench.phone().send(local, packet)
    bench.plane.connect("late", late.remote())
    await bench.until(lambda: bench.posted(DigitPressed))
    assert [(event.stream_id, event.digit) for event in bench.posted(DigitPressed)] == [("late", "4")]
    await bench.has_read(late)
    assert (await bench.plane.close("late")).packets_received == len(key("4", 7))
    for n in range(len(phones)):
        assert (await bench.plane.close(f"s{n}")).packets_received == 0


@plane_test
async def test_calls_of_one_port_are_bridged_and_recorded_like_others(make_bench: Any, tmp_path: Any) -> None:
    bench = await make_bench()
    phones, local = await shared(bench, 4)
    bench.plane.bridge("s0", "s3")
    path = str(tmp_path / "s1.wav")
    bench.plane.record("s1", path)
    for sequence in range(30):
        for n, phone in enumerate(phones):
            phone.send(local, audio(sequence, 40 + n))
        await asyncio.sleep(0.02)
    await bench.until(lambda: any(packet.payload == bytes([40]) * 160 for packet in phones[3].heard))
    await bench.until(lambda: any(packet.payload == bytes([43]) * 160 for packet in phones[0].heard))
    bench.plane.stop_recording("s1")
    await bench.until(lambda: bench.posted(RecordingFinished))
    assert bench.posted(RecordingFinished)[0].reason == ""
    before = len(phones[0].heard)
    await bench.plane.close("s3")
    await bench.until(lambda: len(phones[0].heard) > before + 20)  # and back it goes to silence with the others
    for n in range(3):
        report = await bench.plane.close(f"s{n}")
        assert numbers_missing(phones[n]) <= report.gaps


@plane_test
async def test_a_peer_that_is_gone_is_told_of_at_its_own_call_and_no_other(make_bench: Any) -> None:
    bench = await make_bench()
    phones, _ = await shared(bench, 3)
    asyncio.get_running_loop().remove_reader(phones[1].rtp)
    phones[1].rtp.close()
    await bench.until(lambda: len(phones[0].heard) > 60 and len(phones[2].heard) > 60)
    reports = [await bench.plane.close(f"s{n}") for n in range(3)]
    asyncio.get_running_loop().remove_reader(phones[1].rtcp)
    bench.phones.remove(phones[1])
    phones[1].rtcp.close()
    assert reports[1].send_errors > 5
    assert (reports[0].send_errors, reports[2].send_errors) == (0, 0)


@plane_test
async def test_a_second_call_to_one_place_gets_a_port_of_its_own_and_both_are_heard_right(make_bench: Any) -> None:
    bench = await make_bench()
    phones, local = await shared(bench, 2)
    twin = phones[0]
    assert await bench.plane.open("twin", "trunk") == local
    bench.plane.connect("twin", twin.remote())
    await bench.until(lambda: bench.posted(StreamMoved))
    (moved,) = bench.posted(StreamMoved)
    assert (moved.stream_id, moved.port % 2) == ("twin", 0)
    assert moved.port != local.port
    await bench.until(lambda: len({packet.ssrc for packet in twin.heard}) == 2)
    for packet in key("1", 11):
        twin.send(local, packet)
    for packet in key("2", 22):
        twin.rtp.sendto(rtp.serialize(packet), (local.host, moved.port))
    await bench.until(lambda: len(bench.posted(DigitPressed)) == 2)
    assert {(event.stream_id, event.digit) for event in bench.posted(DigitPressed)} == {("s0", "1"), ("twin", "2")}
    assert (await bench.plane.open("after", "trunk")).port != local.port  # this trunk's calls share no longer


@plane_test
async def test_a_call_that_moves_to_another_place_leaves_its_old_one(make_bench: Any) -> None:
    bench = await make_bench()
    phones, local = await shared(bench, 2)
    elsewhere = bench.phone()
    bench.plane.connect("s0", elsewhere.remote())
    await bench.until(lambda: len(elsewhere.heard) > 3)
    for packet in key("3", 5):
        elsewhere.send(local, packet)
        phones[0].send(local, packet)
    await bench.until(lambda: bench.posted(DigitPressed))
    assert await bench.plane.open("s2", "trunk") == local
    bench.plane.connect("s2", phones[0].remote())
    await bench.has_read(phones[0])
    await bench.has_read(elsewhere)
    assert not bench.posted(StreamMoved)
    assert (await bench.plane.close("s0")).packets_received == len(key("3", 5))


@plane_test
async def test_whose_peers_are_all_at_one_place_never_share(make_bench: Any) -> None:
    bench = await make_bench()
    phone = bench.phone()
    ports = set()
    for n in range(SURE_AFTER_CALLS + 3):
        ports.add((await bench.plane.open(f"s{n}", "trunk")).port)
        bench.plane.connect(f"s{n}", phone.remote() if n in (0, 20) else bench.phone().remote())
    assert len(ports) == SURE_AFTER_CALLS + 3


@plane_test
async def test_another_trunks_peers_are_another_matter_and_nobodys_never_share(make_bench: Any) -> None:
    bench = await make_bench()
    await sure(bench)
    others = {(await bench.plane.open(f"o{n}", "other")).port for n in range(3)}
    others |= {(await bench.plane.open(f"n{n}")).port for n in range(3)}
    assert len(others) == 6


@plane_test
async def test_everything_is_given_back_when_shared_ports_are_left(make_bench: Any) -> None:
    bench = await make_bench()
    before = bench.descriptors()
    await shared(bench, 12)
    streams = tuple(bench.plane._codecs)
    for stream_id in streams:
        await bench.plane.close(stream_id)
    assert bench.descriptors() == before


# --- without a process ---------------------------------------------------------------------------------------------


class Tenant:
    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Not the matter here."""


def test_whoever_spoke_from_a_place_a_moment_ago_is_not_the_next_call_from_there() -> None:
    port = LocalPort(HOST, unused_ports(1, HOST).start, shared=True)
    first, second = Tenant(), Tenant()
    place, control = ("192.0.2.1", 4000), ("192.0.2.1", 4001)
    assert port.join(place, control, first, 100.0) is None
    assert port.holds(place, ("192.0.2.1", 9), second)
    assert port.holds(("192.0.2.1", 9), control, second)
    assert not port.holds(place, control, first)
    port.leave(place, control, 0xABC, 110.0)
    assert not port.holds(place, control, second)
    assert port.join(place, control, second, 110.0 + REST_SECONDS - 0.1) == 0xABC
    port.leave(place, control, None, 150.0)
    assert port.join(place, control, first, 150.0 + REST_SECONDS + 0.1) is None
    port.close()


def test_late_packets_of_the_call_before_lock_nothing() -> None:
    inbound = Inbound()
    inbound.shunned = 5
    inbound.agree(0, None, expecting=True, now=0.0)
    inbound.receive(rtp.serialize(audio(1, 5)), 0.0, 0.0)
    inbound.receive(rtp.serialize(audio(1, 6)), 0.0, 0.01)
    inbound.receive(rtp.serialize(audio(2, 5)), 0.0, 9.0)
    assert (inbound.ssrc, inbound.refused, inbound.statistics.packets) == (6, 2, 1)


def test_peers_differ_once_enough_were_seen_and_until_two_are_at_one_place() -> None:
    peers = Peers()
    differed = []
    for ports in (range(SURE_AFTER_CALLS - 1), range(SURE_AFTER_CALLS), range(3), (5, 5), range(SURE_AFTER_CALLS)):
        for port in ports:
            peers.join(("192.0.2.1", port))
        differed.append(peers.differ)
        for port in ports:
            peers.leave(("192.0.2.1", port))
    assert differed == [False, True, True, False, False]


def test_a_shared_port_is_nobody_elses() -> None:
    number = unused_ports(1, HOST).start
    first = LocalPort(HOST, number, shared=True)
    with pytest.raises(OSError, match="in use"):
        LocalPort(HOST, number, shared=True)
    first.close()
