"""The filter's program, run by an interpreter of its own, and what statistics know of a stream that was sampled."""

import random
from collections.abc import Callable, Sequence

import pytest

from callwright.rtp import packet, sampling
from callwright.rtp.packet import HeaderExtension, RtpPacket
from callwright.rtp.sampling import SAMPLED_ONE_IN, Instruction, sampling_program
from callwright.rtp.statistics import ReceiverStatistics, mos

SSRC = 0x8001_F00D
EVENTS = 101
UDP_HEADER = b"\x12\x34\x56\x78\0\0\0\0"
Loss = Callable[[random.Random, int], list[bool]]


def accepted_bytes(program: Sequence[Instruction], data: bytes) -> int:
    """What the program returns for a packet; a load beyond its end is 0, as in the kernel."""
    accumulator = at = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case sampling.LOAD_LENGTH:
                accumulator = len(data)
            case sampling.LOAD_WORD | sampling.LOAD_HALF | sampling.LOAD_BYTE:
                size = {sampling.LOAD_WORD: 4, sampling.LOAD_HALF: 2, sampling.LOAD_BYTE: 1}[code]
                if operand + size > len(data):
                    return 0
                accumulator = int.from_bytes(data[operand : operand + size], "big")
            case sampling.AND:
                accumulator &= operand
            case sampling.JUMP_IF_EQUAL:
                at += if_true if accumulator == operand else if_false
            case sampling.JUMP_IF_AT_LEAST:
                at += if_true if accumulator >= operand else if_false
            case sampling.JUMP_IF_ANY_BIT:
                at += if_true if accumulator & operand else if_false
            case sampling.RETURN:
                return operand
            case _:
                raise AssertionError(f"instruction {code:#x} is not known")


def passes(data: bytes, ssrc: int = SSRC, payload_type: int = 0) -> bool:
    verdict = accepted_bytes(sampling_program(ssrc, payload_type), UDP_HEADER + data)
    assert verdict in (0, sampling.EVERYTHING)
    return verdict > 0


def sound(sequence: int, ssrc: int = SSRC, kind: int = 0, *, marker: bool = False) -> bytes:
    return packet.serialize(RtpPacket(kind, sequence, 160 * sequence, ssrc, b"\x7e" * 160, marker))


@pytest.mark.parametrize("kind", [0, 8, 127])
def test_of_the_agreed_sound_every_16th_passes(kind: int) -> None:
    passed = [n for n in range(0x10000) if n % 997 < 40 and passes(sound(n, kind=kind), payload_type=kind)]
    assert passed == [n for n in range(0x10000) if n % 997 < 40 and n % SAMPLED_ONE_IN == 0]


def test_a_marker_changes_nothing() -> None:
    assert passes(sound(32, marker=True))
    assert not passes(sound(33, marker=True))


def test_headers_with_more_in_them_are_sound_too() -> None:
    long = RtpPacket(0, 17, 0, SSRC, b"\xff" * 160, csrcs=(1, 2), extension=HeaderExtension(0xBEDE, bytes(4)))
    assert not passes(packet.serialize(long))


@pytest.mark.parametrize(
    "data",
    [
        sound(17, kind=EVENTS),
        sound(17, kind=13),
        sound(17, kind=8),
        sound(17, ssrc=SSRC ^ 1),
        sound(17, ssrc=SSRC & 0x7FFF_FFFF),
        b"",
        b"\x80",
        sound(17)[:11],
        b"\x00" + sound(17)[1:],
        b"\xc0" + sound(17)[1:],
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_whatever_else_comes_passes(data: bytes) -> None:
    assert passes(data)


def test_a_header_alone_is_judged_like_a_whole_packet() -> None:
    assert not passes(sound(17)[:12])


def test_jumps_stay_inside_the_program() -> None:
    program = sampling_program(SSRC, 0)
    jumps = {sampling.JUMP_IF_EQUAL, sampling.JUMP_IF_AT_LEAST, sampling.JUMP_IF_ANY_BIT}
    for at, instruction in enumerate(program):
        if instruction.code in jumps:
            assert max(instruction.jump_if_true, instruction.jump_if_false) + at + 1 < len(program)
    assert program[-1].code == sampling.RETURN


def no_loss(_: random.Random, packets: int) -> list[bool]:
    return [False] * packets


def random_loss(rate: float) -> Loss:
    return lambda dice, packets: [dice.random() < rate for _ in range(packets)]


def burst_loss(rate: float, mean_length: float) -> Loss:
    """Gilbert's model: two states, all is lost in one of them."""

    def pattern(dice: random.Random, packets: int) -> list[bool]:
        lost, bad = [], False
        for _ in range(packets):
            bad = dice.random() > 1 / mean_length if bad else dice.random() < rate / (1 - rate) / mean_length
            lost.append(bad)
        return lost

    return pattern


def in_step_with_the_sample(_: random.Random, packets: int) -> list[bool]:
    """The worst case for whoever judges by the sample alone: 1 in 16 is lost, and none of it, or all, is sampled."""
    return [n % SAMPLED_ONE_IN == 3 for n in range(packets)]


@pytest.mark.parametrize(
    "loss",
    [
        no_loss,
        random_loss(0.05),
        random_loss(0.20),
        burst_loss(0.05, 5),
        burst_loss(0.20, 12),
        burst_loss(0.20, 60),
        in_step_with_the_sample,
    ],
)
@pytest.mark.parametrize("jitter_ms", [0.0, 6.0])
@pytest.mark.parametrize("begin", [0, 65_000])
def test_a_sampled_streams_figures_are_those_of_the_whole(loss: Loss, jitter_ms: float, begin: int) -> None:
    """Loss is that of the whole up to the last sample, the score within 0.03; jitter is as far off as noise has it."""
    dice = random.Random(f"{jitter_ms} {begin}")
    program = sampling_program(SSRC, 0)
    whole, sampled = ReceiverStatistics(8000), ReceiverStatistics(8000)
    dropped = 0
    for n, lost in enumerate(loss(dice, 3_000)):
        if lost:
            continue
        sequence = begin + n & 0xFFFF
        arrival = 0.02 * n + dice.expovariate(1000 / jitter_ms) if jitter_ms else 0.02 * n
        data = packet.serialize(RtpPacket(0, sequence, 160 * n, SSRC, b""))
        whole.receive(sequence, 160 * n, arrival)
        if n < 50 or accepted_bytes(program, UDP_HEADER + data):  # a stream is read whole at first
            assert sampled.receive(sequence, 160 * n, arrival, unread=dropped)
            dropped = 0
        else:
            dropped += 1
    unseen = whole.expected - sampled.expected
    # What is left behind the last sample: fewer packets than there are between two samples that came.
    assert 0 <= unseen < 30 * SAMPLED_ONE_IN
    assert whole.packets - sampled.packets == dropped
    assert whole.lost - sampled.lost == unseen - dropped
    assert sampled.loss_rate == pytest.approx(whole.loss_rate, abs=0.01)
    if jitter_ms:
        assert sampled.jitter_ms == pytest.approx(whole.jitter_ms, rel=0.7)
    else:
        assert sampled.jitter_ms == pytest.approx(0.0, abs=0.01)
    assert mos(sampled.loss_rate, sampled.jitter_ms) == pytest.approx(mos(whole.loss_rate, whole.jitter_ms), abs=0.03)


def test_the_mean_of_the_sampled_jitter_is_that_of_the_whole() -> None:
    dice = random.Random(4)
    whole, sampled = ReceiverStatistics(8000), ReceiverStatistics(8000)
    figures: list[tuple[float, float]] = []
    for n in range(40_000):
        arrival = 0.02 * n + dice.expovariate(1000 / 6.0)
        whole.receive(n & 0xFFFF, 160 * n, arrival)
        if n % SAMPLED_ONE_IN == 0:
            sampled.receive(n & 0xFFFF, 160 * n, arrival, unread=15 if n else 0)
            figures.append((whole.jitter_ms, sampled.jitter_ms))
    means = [sum(column) / len(figures[100:]) for column in zip(*figures[100:], strict=True)]
    assert means[1] == pytest.approx(means[0], rel=0.05)


def test_unread_packets_of_a_run_that_is_over_are_forgotten_with_it() -> None:
    statistics = ReceiverStatistics(8000)
    for sequence in range(32):
        statistics.receive(sequence, 0, 0.0)
    assert not statistics.receive(48_000, 0, 0.0, unread=20)
    assert statistics.receive(48_001, 0, 0.0, unread=2)
    assert (statistics.packets, statistics.expected, statistics.lost) == (33, 33, 0)


def test_unread_packets_before_a_stray_one_count_all_the_same() -> None:
    statistics = ReceiverStatistics(8000)
    statistics.receive(0, 0, 0.0)
    assert not statistics.receive(40_000, 0, 0.0, unread=7)
    assert statistics.packets == 1
    assert statistics.receive(16, 0, 0.0, unread=8)
    assert (statistics.packets, statistics.lost) == (17, 0)
