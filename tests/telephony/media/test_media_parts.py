"""Ports, messages, source locking and report timing: the small parts of the media plane."""

import msgspec
import pytest

from callwright.rtp import packet, rtcp
from callwright.rtp.packet import RtpPacket
from callwright.rtp.statistics import ReceiverStatistics
from callwright.telephony.media import protocol
from callwright.telephony.media.events import DigitPressed
from callwright.telephony.media.inbound import RELOCK_SECONDS, Inbound
from callwright.telephony.media.ports import REST_SECONDS, PortPairs, pairs_in
from callwright.telephony.media.reports import Reports, interval_seconds
from callwright.telephony.media.stream import RemoteMedia


def test_pairs_are_even_with_their_odd_neighbour() -> None:
    assert pairs_in(range(9, 16)) == [10, 12, 14]
    assert pairs_in(range(10, 15)) == [10, 12]
    assert pairs_in(range(11, 13)) == []


def test_every_pair_is_given_once_in_random_order() -> None:
    order = iter([3, 0, 1, 0])
    ports = PortPairs(range(10, 18), lambda below: next(order) % below)
    taken = [ports.take(0.0) for _ in range(4)]
    assert taken[0] == 16
    assert sorted(port for port in taken if port is not None) == [10, 12, 14, 16]
    assert ports.take(0.0) is None


def test_ports_rest_after_use_unless_none_else_is_left() -> None:
    ports = PortPairs(range(10, 16), lambda _: 0)
    first, second, third = (ports.take(0.0) for _ in range(3))
    assert None not in (first, second, third)
    ports.give_back(first or 0, 0.0)
    ports.give_back(second or 0, REST_SECONDS / 2)
    assert ports.take(REST_SECONDS) == first  # rested
    assert ports.take(REST_SECONDS) == second  # early, because nothing else is left
    assert ports.take(REST_SECONDS) is None


def test_messages_are_read_however_the_bytes_are_cut() -> None:
    said: list[protocol.Answer] = [protocol.Ready(), DigitPressed(1.5, "s", "#"), protocol.StreamOpened("s", 4000)]
    stream = b"".join(protocol.serialize(message) for message in said)
    for size in (1, 3, 7, len(stream)):
        reader = protocol.MessageReader(protocol.answer_decoder)
        got = [message for at in range(0, len(stream), size) for message in reader.receive(stream[at : at + size])]
        assert got == said


def test_a_command_survives_the_channel() -> None:
    command = protocol.ConnectStream("s", RemoteMedia("192.0.2.1", 4000, "PCMA", 8, 101))
    assert protocol.MessageReader(protocol.command_decoder).receive(protocol.serialize(command)) == [command]


def test_what_is_no_message_is_a_bug() -> None:
    with pytest.raises(msgspec.DecodeError):
        protocol.MessageReader(protocol.command_decoder).receive(b"\0\0\0\1\xc1")


def datagram(sequence: int, ssrc: int, kind: int = 0) -> bytes:
    return packet.serialize(RtpPacket(kind, sequence, 160 * sequence, ssrc, b"\xff" * 160))


def test_another_source_is_believed_when_the_first_has_been_quiet() -> None:
    inbound = Inbound()
    inbound.agree(0, None, expecting=True, now=0.0)
    inbound.receive(datagram(1, 1), 0.0, 0.0)
    inbound.receive(datagram(900, 2), 0.1, RELOCK_SECONDS - 0.01)
    assert (inbound.ssrc, inbound.refused) == (1, 1)
    inbound.receive(datagram(901, 2), 0.3, RELOCK_SECONDS + 0.01)
    assert (inbound.ssrc, inbound.refused) == (2, 1)
    assert (inbound.statistics.packets, inbound.statistics.lost) == (2, 0)


def test_a_payload_not_agreed_upon_locks_nothing() -> None:
    inbound = Inbound()
    inbound.agree(0, 101, expecting=True, now=0.0)
    inbound.receive(datagram(1, 1, kind=8), 0.0, 0.0)
    assert (inbound.ssrc, inbound.refused) == (None, 1)


def test_silence_is_counted_from_the_agreement_and_from_each_sign_of_life() -> None:
    inbound = Inbound()
    assert inbound.silent_for(100.0) == 0.0
    inbound.agree(0, None, expecting=True, now=100.0)
    assert inbound.silent_for(107.0) == 7.0
    inbound.receive(datagram(1, 1), 0.0, 108.0)
    assert inbound.silent_for(109.0) == 1.0
    inbound.agree(0, None, expecting=False, now=110.0)
    assert inbound.silent_for(200.0) == 0.0


def test_reports_come_about_every_5_seconds_and_the_first_sooner() -> None:
    assert interval_seconds(0.5, first=False) == pytest.approx(5 / 1.21828)
    assert interval_seconds(0.0, first=True) == pytest.approx(1.25 / 1.21828)
    assert interval_seconds(1.0, first=False) < 6.2


def test_a_report_is_a_senders_only_when_something_was_sent_since_the_last() -> None:
    reports = Reports(1, b"name")
    heard = ReceiverStatistics(8000)
    kinds = [type(reports.compound(0.0, 0, packets, 0, heard, None)[0]) for packets in (0, 5, 5, 6)]
    assert kinds == [rtcp.ReceiverReport, rtcp.SenderReport, rtcp.ReceiverReport, rtcp.SenderReport]


def test_round_trip_time_is_what_the_peer_did_not_spend() -> None:
    reports = Reports(1, b"name")
    lsr = rtcp.ntp_middle(rtcp.ntp_time(1000.0))
    block = rtcp.ReportBlock(1, 0, 2, 0, 16, lsr, round(0.25 * 65536))
    reports.receive((rtcp.ReceiverReport(9, (block,)),), 9, 1000.35)
    assert reports.round_trip_seconds == pytest.approx(0.1, abs=0.001)
    assert (reports.remote_lost, reports.remote_jitter) == (2, 16)


def test_impossible_round_trips_and_reports_of_others_are_left() -> None:
    reports = Reports(1, b"name")
    future = rtcp.ntp_middle(rtcp.ntp_time(2000.0))
    reports.receive((rtcp.ReceiverReport(9, (rtcp.ReportBlock(1, 0, 2, 0, 16, future, 0),)),), 9, 1000.0)
    assert reports.round_trip_seconds is None
    other = Reports(1, b"name")
    other.receive((rtcp.ReceiverReport(9, (rtcp.ReportBlock(5, 0, 2, 0, 16, future, 0),)),), 9, 1000.0)
    assert other.remote_lost is None


def test_our_blocks_answer_the_peers_sender_reports() -> None:
    reports = Reports(1, b"name")
    heard = ReceiverStatistics(8000)
    heard.receive(1, 160, 0.0)
    sr = rtcp.SenderReport(9, rtcp.ntp_time(500.0), 0, 1, 160)
    assert not reports.receive((sr,), 9, 1000.0)
    (first, _) = reports.compound(1000.5, 0, 0, 0, heard, 9)
    assert isinstance(first, rtcp.ReceiverReport)
    assert first.reports[0].last_sender_report == rtcp.ntp_middle(sr.ntp_time)
    assert first.reports[0].delay_since_last == 32768
    assert reports.receive((rtcp.ReceiverReport(9), rtcp.Goodbye((9,))), 9, 1001.0)
