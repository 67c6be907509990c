"""What the jitter buffer hands out: everything once, in order, in time, whatever the network does."""

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.rtp.jitter import LEAST_SECONDS, MOST_SECONDS, MOST_WAITING, Due, JitterBuffer
from callwright.rtp.packet import RtpPacket

RATE = 8000
TICKS = 160
FRAME = TICKS / RATE
LOOK = 0.004
"""How often somebody looks whether anything is due."""


def sound(number: int, ssrc: int = 1, start: int = 0, first: int = 0) -> RtpPacket:
    return RtpPacket(0, (first + number) & 0xFFFF, (start + TICKS * number) & 0xFFFF_FFFF, ssrc, b"%d" % number)


def played(arrivals: Iterable[tuple[float, RtpPacket]], until: float, buffer: JitterBuffer) -> list[tuple[float, Due]]:
    """What comes out, with its time, of packets that come in order of their arrival."""
    out: list[tuple[float, Due]] = []
    waiting = sorted(arrivals, key=lambda one: one[0])
    at = 0.0
    for step in range(int(until / LOOK) + 1):
        at = step * LOOK
        while waiting and waiting[0][0] <= at:
            arrival, packet = waiting.pop(0)
            ticks = TICKS if packet.payload_type != 101 else 0
            out += [(at, due) for due in buffer.receive(packet, ticks, arrival)]
        out += [(at, due) for due in buffer.take(at)]
    assert not waiting
    assert len(buffer) == 0
    return out


def numbers(out: list[tuple[float, Due]]) -> list[int | None]:
    return [None if due.packet is None else int(due.packet.payload) for _, due in out]


def test_a_steady_stream_comes_out_a_little_later() -> None:
    out = played([(1 + number * FRAME, sound(number)) for number in range(100)], 4, JitterBuffer(RATE))
    assert numbers(out) == list(range(100))
    delays = [at - (1 + number * FRAME) for number, (at, _) in enumerate(out)]
    assert all(LEAST_SECONDS - 1e-6 <= delay <= LEAST_SECONDS + LOOK + 1e-6 for delay in delays)
    assert [due.anew for _, due in out] == [True] + 99 * [False]
    assert all(due.ticks == TICKS and not due.pause_ticks for _, due in out)


def test_packets_that_overtook_each_other_are_put_in_order() -> None:
    arrivals = [(1 + (number ^ 1 if number > 10 else number) * FRAME, sound(number)) for number in range(100)]
    out = played(arrivals, 4, JitterBuffer(RATE))
    assert numbers(out)[30:] == list(range(30, 100))  # after it learned how late they come
    assert [number for number in numbers(out) if number is not None] == sorted(
        number for number in numbers(out) if number is not None
    )


def test_a_lost_packet_is_said_to_be_when_its_time_has_come() -> None:
    buffer = JitterBuffer(RATE)
    out = played([(1 + number * FRAME, sound(number)) for number in range(50) if number not in (20, 21)], 3, buffer)
    assert numbers(out) == [None if number in (20, 21) else number for number in range(50)]
    assert buffer.lost == 2
    steps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(out)]
    # 20 is found missing when 22 comes, which is 40 ms after it was due to come: no sooner can anybody know.
    assert max(steps) <= 3 * FRAME
    assert sum(due.ticks for _, due in out) == 50 * TICKS


def test_a_pause_is_no_loss() -> None:
    buffer = JitterBuffer(RATE)
    before = [(1 + number * FRAME, sound(number)) for number in range(10)]
    after = [
        (3 + number * FRAME, RtpPacket(0, 10 + number, 16_000 + number * TICKS, 1, b"%d" % (10 + number)))
        for number in range(10)
    ]
    out = played(before + after, 4, buffer)
    assert numbers(out) == list(range(20))
    assert [due.pause_ticks for _, due in out if due.pause_ticks] == [16_000 - 10 * TICKS]
    assert buffer.lost == 0


def test_a_packet_that_comes_twice_or_too_late_is_left_out() -> None:
    buffer = JitterBuffer(RATE)
    arrivals = [(1 + number * FRAME, sound(number)) for number in range(50) if number != 7]
    arrivals += [(1.5, sound(3)), (1.101, sound(5)), (1.9, sound(7))]
    out = played(arrivals, 4, buffer)
    assert numbers(out) == [None if number == 7 else number for number in range(50)]
    assert (buffer.late, buffer.lost) == (3, 1)


def test_events_take_their_turn_and_no_time() -> None:
    """A key of 200 ms: its packets repeat one timestamp, and sound goes on after it."""
    arrivals = [(1 + number * FRAME, sound(number)) for number in range(10)]
    arrivals += [
        (1.2 + number * FRAME, RtpPacket(101, 10 + number, 10 * TICKS, 1, b"%d" % (10 + number)))
        for number in range(10)
    ]
    arrivals += [(1 + number * FRAME, sound(number)) for number in range(20, 30)]
    buffer = JitterBuffer(RATE)
    out = played(arrivals, 4, buffer)
    assert numbers(out) == list(range(30))
    assert buffer.lost == 0
    assert [due.pause_ticks for _, due in out if due.pause_ticks] == [10 * TICKS]


def test_another_source_begins_anew_after_the_rest_of_the_one_before() -> None:
    buffer = JitterBuffer(RATE)
    arrivals = [(1 + number * FRAME, sound(number)) for number in range(10)]
    arrivals += [(1.195 + number * FRAME, sound(100 + number, ssrc=2, start=999_999)) for number in range(10)]
    out = played(arrivals, 3, buffer)
    assert numbers(out) == [*range(10), *range(100, 110)]
    assert [int(due.packet.payload) for _, due in out if due.anew and due.packet] == [0, 100]


@pytest.mark.parametrize(("start", "first"), [(2**32 - 3 * TICKS, 0), (0, 65_530), (2**32 - 1, 65_535)])
def test_numbers_and_timestamps_wrap(start: int, first: int) -> None:
    out = played([(1 + n * FRAME, sound(n, start=start, first=first)) for n in range(50)], 3, JitterBuffer(RATE))
    assert numbers(out) == list(range(50))
    assert not any(due.pause_ticks for _, due in out)


def test_a_sender_that_starts_over_is_followed() -> None:
    arrivals = [(1 + n * FRAME, sound(n)) for n in range(10)]
    arrivals += [(1.2 + n * FRAME, sound(n, start=3_000_000, first=30_000)) for n in range(10)]
    assert numbers(played(arrivals, 3, JitterBuffer(RATE))) == [*range(10), *range(10)]


@pytest.mark.parametrize("drift", [-0.0005, 0.0005])
def test_a_clock_that_is_off_changes_nothing_for_twenty_minutes(drift: float) -> None:
    """500 ppm is five times what RTP allows: 0.6 s in that time."""
    buffer = JitterBuffer(RATE)
    worst = 0.0
    count = 1200 * 50
    due_numbers = 0
    for number in range(count):
        at = number * FRAME * (1 + drift)
        for due in (*buffer.take(at), *buffer.receive(sound(number), TICKS, at)):
            assert due.packet is not None
            due_numbers += 1
        worst = max(worst, buffer.delay_seconds)
    assert (buffer.lost, buffer.late) == (0, 0)
    assert worst <= LEAST_SECONDS + 0.003
    assert due_numbers >= count - 3


def test_what_waits_is_handed_out_when_nothing_more_is_waited_for() -> None:
    buffer = JitterBuffer(RATE)
    for number in (0, 1, 2, 4):
        buffer.receive(sound(number), TICKS, 1.0)
    assert [due.packet and due.packet.payload for due in buffer.flush()] == [b"0", b"1", b"2", None, b"4"]
    assert len(buffer) == 0


def test_a_flood_does_not_pile_up() -> None:
    buffer = JitterBuffer(RATE)
    for number in range(1000):
        buffer.receive(sound(number), TICKS, 1.0)
        assert len(buffer) <= MOST_WAITING


JITTERS = st.sampled_from([0.0, 0.005, 0.03, 0.08])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), JITTERS, st.sampled_from([0.0, 0.02, 0.2]), st.sampled_from([0.0, 0.05]))
def test_any_network_leaves_order_and_bounds_intact(seed: int, jitter: float, loss: float, doubled: float) -> None:
    chance = random.Random(seed)
    arrivals: list[tuple[float, RtpPacket]] = []
    for number in range(150):
        for _ in range(2 if chance.random() < doubled else 1):
            arrivals += [(1 + number * FRAME + chance.random() * jitter, sound(number, first=65_500))]
    arrivals = [arrival for arrival in arrivals if chance.random() >= loss]
    buffer = JitterBuffer(RATE)
    out = played(arrivals, 6, buffer)
    heard = [number for number in numbers(out) if number is not None]
    assert heard == sorted(set(heard))
    came = {int(packet.payload) for _, packet in arrivals}
    assert set(heard) <= came
    assert len(heard) + buffer.late == len(arrivals)
    first, last = min(heard), max(heard)
    assert sum(due.ticks + due.pause_ticks for _, due in out) == (last - first + 1) * TICKS
    assert buffer.delay_seconds <= MOST_SECONDS
    for at, due in out:
        if due.packet is not None:
            assert at - (1 + int(due.packet.payload) * FRAME) <= MOST_SECONDS + jitter + LOOK + 1e-6
    if jitter == 0:
        assert len(heard) == len(came)


NONSENSE = st.tuples(
    st.integers(0, 65_535),
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.sampled_from([0, 80, 960]),
    st.floats(0, 0.3),
)


@settings(max_examples=100)
@given(st.lists(NONSENSE, max_size=60))
def test_nonsense_is_survived_and_leaves_in_the_end(packets: list[tuple[int, int, int, int, float]]) -> None:
    buffer = JitterBuffer(RATE)
    now, came, left = 0.0, 0, 0
    for sequence, timestamp, ssrc, ticks, pause in packets:
        now += pause
        came += 1
        left += sum(
            due.packet is not None for due in buffer.receive(RtpPacket(0, sequence, timestamp, ssrc, b""), ticks, now)
        )
        left += sum(due.packet is not None for due in buffer.take(now))
    left += sum(due.packet is not None for due in buffer.take(now + 60))
    assert left + buffer.late == came
