"""What arrives: keys, statistics, and packets that nobody asked for, on real sockets."""

import asyncio
from typing import Any

import pytest

from callwright.rtp import rtcp
from callwright.rtp.packet import RtpPacket
from callwright.rtp.telephone_event import press
from callwright.telephony.media.events import DigitPressed, StreamSilent

Bench = Any  # conftest's classes cannot be imported from here
pytestmark = pytest.mark.asyncio(loop_scope="session")
SSRC = 0x1234


def audio(sequence: int, ssrc: int = SSRC, kind: int = 0) -> RtpPacket:
    return RtpPacket(kind, sequence & 0xFFFF, 160 * sequence & 0xFFFFFFFF, ssrc, b"\xff" * 160)


def key_packets(digit: str, sequence: int, timestamp: int, ssrc: int = SSRC) -> list[RtpPacket]:
    return [
        RtpPacket(101, sequence + n, timestamp + frame.timestamp_ticks, ssrc, frame.payload, frame.marker)
        for n, frame in enumerate(press(digit, 100))
    ]


async def connected(bench: Bench) -> tuple[Any, Any]:
    phone = bench.phone()
    local = await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    await bench.until(lambda: phone.heard)  # from here on the plane listens
    return phone, local


async def test_keys_are_reported_once_each_though_packets_are_lost_and_doubled(bench: Bench) -> None:
    phone, local = await connected(bench)
    phone.send(local, audio(0))
    digits = "1590*#77D"
    for n, digit in enumerate(digits):
        packets = key_packets(digit, 10 + 20 * n, 10_000 + 2_400 * n)
        if n % 3 == 1:
            packets = packets[2:3]  # all but one lost, the end too
        elif n % 3 == 2:
            packets = [packet for packet in packets for _ in range(2)][1:]
        for packet in packets:
            phone.send(local, packet)
    await bench.until(lambda: len(bench.posted(DigitPressed)) >= len(digits))
    await bench.has_read(phone)
    await bench.plane.close("s")
    assert "".join(event.digit for event in bench.posted(DigitPressed)) == digits
    ats = [event.at for event in bench.posted(DigitPressed)]
    assert ats == sorted(ats)


async def test_the_report_counts_what_was_lost(bench: Bench) -> None:
    phone, local = await connected(bench)
    for sequence in range(65_500, 65_600):  # across the wrap-around
        if sequence % 10 != 5:
            phone.send(local, audio(sequence))
    for sequence in (65_600, 65_601):
        phone.send(local, audio(sequence))

    def reported() -> bool:
        return any(
            block.highest_sequence & 0xFFFF == 65_601 & 0xFFFF
            for compound in phone.reports
            for packet in compound
            if isinstance(packet, rtcp.SenderReport)
            for block in packet.reports
        )

    await bench.until(reported)
    report = await bench.plane.close("s")
    assert (report.packets_received, report.packets_lost) == (92, 10)
    assert report.loss_rate == pytest.approx(10 / 102)
    assert report.mos is not None
    assert 1.0 <= report.mos < 4.0
    assert (report.malformed, report.refused) == (0, 0)
    blocks = [block for compound in phone.reports for block in compound[0].reports]
    assert blocks[-1].ssrc == SSRC
    assert blocks[-1].packets_lost == 10


async def test_a_clean_stream_scores_well_and_reports_carry_our_numbers(bench: Bench) -> None:
    phone, local = await connected(bench)
    await bench.until(lambda: phone.reports)
    (sender, description) = phone.reports[0]
    assert isinstance(sender, rtcp.SenderReport)
    assert isinstance(description, rtcp.SourceDescription)
    assert sender.ssrc == phone.heard[0].ssrc
    assert sender.octets == 160 * sender.packets > 0
    for sequence in range(5):
        phone.send(local, audio(sequence))
    # The peer's report: it lost 3 of ours, with a jitter of 80 ticks, and got our report 1/4 s before.
    block = rtcp.ReportBlock(sender.ssrc, 10, 3, 0, 80, rtcp.ntp_middle(sender.ntp_time), 0)
    phone.rtcp.sendto(rtcp.serialize([rtcp.ReceiverReport(SSRC, (block,))]), (local.host, local.port + 1))
    phone.rtcp.sendto(b"\x81\xc9\x00", (local.host, local.port + 1))
    phone.send(local, audio(5))
    await bench.has_read(phone)
    report = await bench.plane.close("s")
    assert (report.packets_received, report.packets_lost, report.malformed) == (6, 0, 1)
    assert report.remote_loss_rate == pytest.approx(3 / report.packets_sent)
    assert report.remote_jitter_ms == 10.0
    assert report.round_trip_ms is not None
    assert report.round_trip_ms >= 0
    assert report.mos is not None


async def test_packets_from_elsewhere_are_not_heard(bench: Bench) -> None:
    phone, local = await connected(bench)
    stranger = bench.phone()
    for packet in key_packets("6", 1, 10_000):
        stranger.send(local, packet)
    for packet in key_packets("1", 1, 10_000):
        phone.send(local, packet)
    await bench.until(lambda: bench.posted(DigitPressed))
    await bench.has_read(phone)
    report = await bench.plane.close("s")
    assert [event.digit for event in bench.posted(DigitPressed)] == ["1"]
    assert report.packets_received == 7


async def test_of_what_came_before_the_connection_only_the_peers_is_heard(bench: Bench) -> None:
    phone = bench.phone()
    local = await bench.plane.open("s")
    for packet in key_packets("6", 1, 10_000, ssrc=9):
        bench.phone().send(local, packet)
    for packet in key_packets("1", 1, 10_000):
        phone.send(local, packet)
    bench.plane.connect("s", phone.remote())
    await bench.until(lambda: bench.posted(DigitPressed))
    await bench.has_read(phone)
    assert [event.digit for event in bench.posted(DigitPressed)] == ["1"]
    assert (await bench.plane.close("s")).packets_received == 7


async def test_what_the_peer_said_long_before_the_connection_is_over(bench: Bench) -> None:
    phone = bench.phone()
    local = await bench.plane.open("s")
    for packet in key_packets("6", 1, 10_000, ssrc=9):
        phone.send(local, packet)
    await asyncio.sleep(0.35)
    bench.plane.connect("s", phone.remote())
    await bench.until(lambda: phone.heard)
    for packet in key_packets("1", 1, 10_000):
        phone.send(local, packet)
    await bench.until(lambda: bench.posted(DigitPressed))
    await bench.has_read(phone)
    assert [event.digit for event in bench.posted(DigitPressed)] == ["1"]
    assert (await bench.plane.close("s")).packets_received == 7


async def test_a_second_source_beside_a_living_one_is_refused(bench: Bench) -> None:
    phone, local = await connected(bench)
    for n in range(10):
        phone.send(local, audio(n))
        phone.send(local, audio(500 + n, ssrc=0xBAD))
    for packet in key_packets("6", 600, 10_000, ssrc=0xBAD):
        phone.send(local, packet)
    for packet in key_packets("1", 10, 10_000):
        phone.send(local, packet)
    await bench.until(lambda: bench.posted(DigitPressed))
    await bench.has_read(phone)
    report = await bench.plane.close("s")
    assert [event.digit for event in bench.posted(DigitPressed)] == ["1"]
    assert (report.packets_received, report.packets_lost, report.refused) == (17, 0, 17)


async def test_after_a_goodbye_the_next_source_is_believed_at_once(bench: Bench) -> None:
    phone, local = await connected(bench)
    phone.send(local, audio(1))
    goodbye = rtcp.serialize([rtcp.ReceiverReport(SSRC), rtcp.Goodbye((SSRC,))])
    await bench.has_read(phone)
    phone.rtcp.sendto(goodbye, (local.host, local.port + 1))
    await bench.has_read(phone)
    for packet in key_packets("8", 700, 5_000, ssrc=0x5678):
        phone.send(local, packet)
    await bench.until(lambda: bench.posted(DigitPressed))
    await bench.has_read(phone)
    report = await bench.plane.close("s")
    assert (report.packets_received, report.packets_lost) == (8, 0)


async def test_garbage_and_payloads_not_agreed_upon_are_counted_and_harm_nothing(bench: Bench) -> None:
    phone, local = await connected(bench)
    for junk in (b"", b"\x80", b"GET / HTTP/1.1\r\n\r\n", b"\x90" + bytes(11), b"\xff" * 3000):
        phone.rtp.sendto(junk, (local.host, local.port))
    phone.send(local, audio(1, kind=18))
    phone.send(local, audio(2))
    phone.send(local, audio(3, kind=13))  # comfort noise
    short = RtpPacket(101, 4, 0, SSRC, b"\x01")
    phone.send(local, short)
    for packet in key_packets("4", 5, 10_000):
        phone.send(local, packet)
    await bench.until(lambda: bench.posted(DigitPressed))
    await bench.has_read(phone)
    report = await bench.plane.close("s")
    assert (report.malformed, report.refused) == (6, 1)
    assert (report.packets_received, report.packets_lost) == (10, 0)


async def test_a_peer_without_telephone_events_sends_none(bench: Bench) -> None:
    phone = bench.phone()
    local = await bench.plane.open("s")
    bench.plane.connect("s", phone.remote(event_payload_type=None))
    await bench.until(lambda: phone.heard)
    phone.send(local, audio(0))
    for packet in key_packets("4", 1, 10_000):
        phone.send(local, packet)
    await bench.has_read(phone)
    report = await bench.plane.close("s")
    assert report.refused == 7
    assert not bench.posted(DigitPressed)


async def test_a_peer_that_stays_silent_is_reported_again_and_again(make_bench: Any) -> None:
    bench = await make_bench(silence_seconds=0.1)
    await connected(bench)
    await bench.until(lambda: len(bench.posted(StreamSilent)) >= 3)
    first, second, third = bench.posted(StreamSilent)[:3]
    assert first.silent_seconds + 0.1 <= second.silent_seconds
    assert second.silent_seconds + 0.1 <= third.silent_seconds


async def test_a_silent_peer_is_reported_and_once_more_after_it_was_heard(make_bench: Any) -> None:
    bench = await make_bench(silence_seconds=0.1)
    phone, local = await connected(bench)
    await bench.until(lambda: bench.posted(StreamSilent))
    phone.send(local, audio(1))
    await bench.until(lambda: len(bench.posted(StreamSilent)) >= 2)
    assert {event.stream_id for event in bench.posted(StreamSilent)} == {"s"}
    assert all(event.silent_seconds >= 0.1 for event in bench.posted(StreamSilent))
