import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np
import pytest
from tests.hearing import tone_ms

from callwright.audio import g711, tones
from callwright.audio.compare import find_tones
from callwright.rtp import packet as rtp
from callwright.rtp import rtcp
from callwright.rtp.telephone_event import DigitReceiver
from callwright.simulator.behaviour import Behaviour, Press
from callwright.simulator.handset import ALL_BITS, Handset, Peer, open_port_pair
from callwright.simulator.pace import Pace
from callwright.telemetry.clock import platform_clock
from callwright.telephony.keys import KeyWay
from callwright.telephony.media.tone_keys import ToneKeys


@dataclass
class Caller:
    """The other end: plain sockets and what came in on them."""

    rtp_socket: socket.socket
    rtcp_socket: socket.socket

    @property
    def port(self) -> int:
        return int(self.rtp_socket.getsockname()[1])

    async def next_packet(self) -> rtp.RtpPacket:
        return rtp.parse(await asyncio.get_running_loop().sock_recv(self.rtp_socket, 2048))

    async def next_report(self) -> tuple[rtcp.RtcpPacket, ...]:
        return rtcp.parse(await asyncio.get_running_loop().sock_recv(self.rtcp_socket, 2048))

    def say(self, handset: Handset, frames: range, payload_type: int = 0, encoding: str = "PCMU") -> None:
        samples = tones.sine(440.0, 0.02 * frames.stop)
        for index in frames:
            codes = g711.encode(encoding, samples[160 * index : 160 * index + 160])
            packet = rtp.RtpPacket(payload_type, 1_000 + index, 160 * index, 77, codes)
            self.rtp_socket.sendto(rtp.serialize(packet), (handset.host, handset.port))


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    made = Caller(*open_port_pair("127.0.0.1"))
    yield made
    made.rtp_socket.close()
    made.rtcp_socket.close()


@pytest.fixture
async def handset_of() -> AsyncIterator[Callable[[Behaviour], Handset]]:
    handsets: list[Handset] = []
    pace = Pace()

    def make(behaviour: Behaviour) -> Handset:
        handsets.append(Handset("127.0.0.1", behaviour, pace, platform_clock()))
        return handsets[-1]

    yield make
    for handset in handsets:
        handset.close()


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  the handset has no event for each packet, and needs none
        await asyncio.sleep(0.005)


def test_ports_are_an_even_one_and_the_next() -> None:
    first, second = open_port_pair("127.0.0.1")
    with first, second:
        assert first.getsockname()[1] % 2 == 0
        assert second.getsockname()[1] == first.getsockname()[1] + 1


async def test_a_handset_records_the_tone_it_hears(caller: Caller, handset_of: Callable[[Behaviour], Handset]) -> None:
    handset = handset_of(Behaviour())
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU", 8: "PCMA"}))
    caller.say(handset, range(25))
    await until(lambda: handset.packets_heard == 25)
    heard = np.frombuffer(handset.close().samples(), dtype=np.int16)
    assert len(heard) == 25 * 160
    assert find_tones(heard, most=1) == [pytest.approx(440.0, abs=2.0)]


async def test_a_handset_understands_either_law(caller: Caller, handset_of: Callable[[Behaviour], Handset]) -> None:
    handset = handset_of(Behaviour())
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU", 8: "PCMA"}))
    caller.say(handset, range(25), payload_type=8, encoding="PCMA")
    await until(lambda: handset.packets_heard == 25)
    heard = np.frombuffer(handset.close().samples(), dtype=np.int16)
    assert find_tones(heard, most=1) == [pytest.approx(440.0, abs=2.0)]


async def test_a_handset_does_not_hear_strangers(caller: Caller, handset_of: Callable[[Behaviour], Handset]) -> None:
    handset = handset_of(Behaviour())
    handset.connect(Peer("127.0.0.2", caller.port, {0: "PCMU"}))
    caller.say(handset, range(5))  # comes from 127.0.0.1
    await until(lambda: handset.packets_from_strangers == 5)
    assert handset.packets_heard == 0
    assert handset.recording.seconds == 0.0


async def test_a_handset_loses_the_packets_its_script_says(
    caller: Caller, handset_of: Callable[[Behaviour], Handset]
) -> None:
    counts = []
    for seed in (1, 1, 2):
        handset = handset_of(Behaviour(drop_rate=0.5, seed=seed))
        handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU"}))
        caller.say(handset, range(40))
        await until(lambda handset=handset: handset.packets_heard + handset.packets_dropped == 40)  # type: ignore[misc]  # mypy infers no type for a lambda's default
        counts.append(handset.packets_dropped)
    assert counts[0] == counts[1]
    assert 5 < counts[0] < 35


async def test_a_handset_sends_room_tone_and_a_report_about_what_it_hears(
    caller: Caller, handset_of: Callable[[Behaviour], Handset]
) -> None:
    handset = handset_of(Behaviour())
    handset.connect(Peer("127.0.0.1", caller.port, {8: "PCMA"}))
    handset.talk()
    first, second = await caller.next_packet(), await caller.next_packet()
    assert (first.payload_type, first.marker, second.marker) == (8, True, False)
    assert second.sequence == (first.sequence + 1) & 0xFFFF
    assert (second.timestamp - first.timestamp) % 160 == 0
    assert np.any(g711.decode("PCMA", first.payload))
    caller.say(handset, range(10), payload_type=8, encoding="PCMA")
    await until(lambda: handset.packets_heard == 10)
    report = (await caller.next_report())[0]
    assert isinstance(report, rtcp.SenderReport)
    assert (report.reports[0].ssrc, report.reports[0].packets_lost) == (77, 0)


async def test_a_handset_on_hold_is_quiet_and_says_goodbye(
    caller: Caller, handset_of: Callable[[Behaviour], Handset]
) -> None:
    handset = handset_of(Behaviour())
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU"}, receives=False))
    handset.talk()
    report = (await caller.next_report())[0]
    assert isinstance(report, rtcp.ReceiverReport)
    assert handset.packets_sent == 0
    handset.close()
    assert isinstance((await caller.next_report())[-1], rtcp.Goodbye)


async def test_before_the_answer_a_ringing_tone_is_heard(
    caller: Caller, handset_of: Callable[[Behaviour], Handset]
) -> None:
    handset = handset_of(Behaviour(early_media=True))
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU"}))
    handset.ring()
    codes = b"".join([(await caller.next_packet()).payload for _ in range(15)])
    assert tone_ms(g711.decode("PCMU", codes), 425.0) == 300  # frame by frame: a busy machine leaves some out


async def test_a_handset_says_its_tones_and_presses_keys(
    caller: Caller, handset_of: Callable[[Behaviour], Handset]
) -> None:
    handset = handset_of(Behaviour(says_hz=(700.0,)))
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU"}, event_payload_type=96))
    handset.talk()
    voice = b"".join([(await caller.next_packet()).payload for _ in range(15)])
    assert find_tones(g711.decode("PCMU", voice), most=1) == [pytest.approx(700.0, abs=4.0)]
    handset.press(Press(0.0, "5", hold_seconds=0.06))
    packets = [await caller.next_packet() for _ in range(12)]
    events = [packet for packet in packets if packet.payload_type == 96]
    assert [packet.payload[0] for packet in events] == [5] * 5
    assert len({packet.timestamp for packet in events}) == 1
    assert [packet.sequence - packets[0].sequence & 0xFFFF for packet in packets] == list(range(12))
    receiver = DigitReceiver()
    keys = [receiver.receive(packet.timestamp, packet.payload, marker=packet.marker) for packet in events]
    assert keys == ["5", None, None, None, None]


async def test_a_key_is_one_tone_however_late_its_parts_are_sent(
    caller: Caller, handset_of: Callable[[Behaviour], Handset]
) -> None:
    handset = handset_of(Behaviour(talks=False))
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU"}))
    handset.talk()
    handset.press(Press(0.0, "5", (KeyWay.TONE,), hold_seconds=0.2))
    packets = [await caller.next_packet() for _ in range(3)]
    time.sleep(0.1)  # noqa: ASYNC251  a busy machine: nothing runs here for five beats
    packets += [await caller.next_packet() for _ in range(7)]
    assert [packet.timestamp - packets[0].timestamp & ALL_BITS for packet in packets] == list(range(0, 1_600, 160))
    keys, detector = [], ToneKeys()
    for packet in packets:
        keys += detector.receive(packet, g711.decode("PCMU", packet.payload))
    assert keys == ["5"]
    assert handset.beats_missed >= 4


async def test_keys_that_the_peer_does_not_take_are_counted(
    caller: Caller, handset_of: Callable[[Behaviour], Handset]
) -> None:
    handset = handset_of(Behaviour(talks=False))
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU"}))
    handset.talk()
    handset.press(Press(0.0, "55", hold_seconds=0.04, pause_seconds=0.04))
    await until(lambda: handset.keys_unsent == 2)
    assert handset.packets_sent == 0


async def test_a_prompt_that_fell_silent_is_noticed_once(caller: Caller) -> None:
    silences: list[int] = []
    behaviour = Behaviour(silence_seconds=0.1)
    handset = Handset(
        "127.0.0.1", behaviour, Pace(), platform_clock(), fell_silent=lambda: silences.append(handset.packets_heard)
    )
    handset.connect(Peer("127.0.0.1", caller.port, {0: "PCMU"}))
    handset.talk()
    caller.say(handset, range(2))  # a click
    await asyncio.sleep(0.2)
    assert silences == []
    caller.say(handset, range(2, 20))
    await until(lambda: bool(silences))
    await asyncio.sleep(0.2)
    handset.close()
    assert silences == [20]


async def test_closing_twice_is_closing(handset_of: Callable[[Behaviour], Handset]) -> None:
    handset = handset_of(Behaviour())
    assert handset.close() is handset.close()
