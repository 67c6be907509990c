"""Key presses as RTP events (RFC 4733)."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import RtpError
from callwright.rtp.telephone_event import (
    DIGITS,
    DigitReceiver,
    EventFrame,
    TelephoneEvent,
    parse,
    press,
    serialize,
)


def keys(frames: Iterable[tuple[int, EventFrame]], receiver: DigitReceiver | None = None) -> str:
    """What a receiver makes of frames, each with the timestamp at which its press began."""
    receiver = receiver or DigitReceiver()
    heard = [
        receiver.receive((begin + frame.timestamp_ticks) & 0xFFFFFFFF, frame.payload, marker=frame.marker)
        for begin, frame in frames
    ]
    return "".join(key for key in heard if key)


def presses(digits: str, duration_ms: int = 100) -> list[tuple[int, EventFrame]]:
    return [(2400 * n, frame) for n, digit in enumerate(digits) for frame in press(digit, duration_ms)]


def test_the_payload_is_read_and_written_as_the_rfc_draws_it() -> None:
    event = TelephoneEvent(11, 800, end=True, volume=10)
    assert serialize(event) == bytes.fromhex("0b8a0320")
    assert parse(bytes.fromhex("0b8a0320")) == event
    assert parse(bytes.fromhex("0bca0320") + b"more") == event  # the reserved bit and what follows are ignored


def test_short_payloads_and_impossible_fields_are_refused() -> None:
    with pytest.raises(RtpError):
        parse(b"\x01\x02\x03")
    for event in (TelephoneEvent(256, 0), TelephoneEvent(1, 0x10000), TelephoneEvent(1, 0, volume=64)):
        with pytest.raises(RtpError):
            serialize(event)


def test_every_key_is_heard_once() -> None:
    assert keys(presses(DIGITS)) == DIGITS


def test_the_same_key_twice_is_two_presses() -> None:
    assert keys(presses("11")) == "11"


def test_doubled_packets_are_no_second_press() -> None:
    assert keys(pair for frame in presses("42") for pair in (frame, frame)) == "42"


def test_a_press_whose_end_is_lost_is_heard_and_so_is_the_next() -> None:
    frames = [(begin, frame) for begin, frame in presses("77") if not parse(frame.payload).end]
    assert keys(frames) == "77"


def test_a_press_of_which_only_one_end_packet_arrives_is_heard() -> None:
    assert keys(presses("5")[-1:]) == "5"


def test_stragglers_of_an_earlier_press_are_ignored() -> None:
    first, second = presses("1"), [(2400, frame) for frame in press("2", 100)]
    assert keys([*first[:-1], *second, first[-1]]) == "12"


@given(st.data())
def test_each_press_is_heard_once_when_at_least_one_of_its_packets_arrives(data: st.DataObject) -> None:
    digits = data.draw(st.text(DIGITS, min_size=1, max_size=8))
    arriving = []
    for n, digit in enumerate(digits):
        frames = [(2400 * n, frame) for frame in press(digit, 120)]
        kept = data.draw(st.lists(st.booleans(), min_size=len(frames), max_size=len(frames)).filter(any))
        arriving += [frame for frame, keep in zip(frames, kept, strict=True) if keep]
    assert keys(arriving) == digits


def test_a_press_of_20_seconds_is_one_press_in_segments() -> None:
    frames = [(0, frame) for frame in press("9", 20_000)]
    assert len({frame.timestamp_ticks for _, frame in frames}) == 3
    assert max(parse(frame.payload).duration for _, frame in frames) <= 0xFFFF
    assert keys(frames) == "9"
    assert keys(frames[::7]) == "9"


def test_timestamps_may_wrap_around_between_presses() -> None:
    frames = [(2**32 - 800, frame) for frame in press("3", 60)] + [(800, frame) for frame in press("4", 60)]
    assert keys(frames) == "34"


def test_events_that_are_no_keys_are_not_reported() -> None:
    assert DigitReceiver().receive(0, serialize(TelephoneEvent(16, 160))) is None  # flash


def test_a_press_is_sent_once_per_20_ms_and_its_end_three_times() -> None:
    frames = list(press("#", 100))
    assert [frame.offset_ticks for frame in frames] == [160, 320, 480, 640, 800, 960, 1120]
    assert [frame.marker for frame in frames] == [True] + 6 * [False]
    events = [parse(frame.payload) for frame in frames]
    assert [event.duration for event in events] == [160, 320, 480, 640, 800, 800, 800]
    assert [event.end for event in events] == 4 * [False] + 3 * [True]
    assert {event.code for event in events} == {11}


@pytest.mark.parametrize("digit", ["", "x", "12", "a"])
def test_what_is_no_key_cannot_be_pressed(digit: str) -> None:
    with pytest.raises(RtpError):
        list(press(digit, 100))


def interleaved(*frames: list[tuple[int, EventFrame]]) -> list[tuple[int, EventFrame]]:
    """In the order in which they leave."""
    return sorted((frame for one in frames for frame in one), key=lambda pair: pair[0] + pair[1].offset_ticks)


def test_keys_that_are_held_at_the_same_time_are_one_press_each() -> None:
    held = [(0, frame) for frame in press("1", 2_000)]
    others = [[(800 + 2000 * n, frame) for frame in press(digit, 300)] for n, digit in enumerate("23")]
    assert keys(interleaved(held, *others)) == "123"


def test_two_keys_of_one_timestamp_are_two_presses_and_no_more() -> None:
    both = interleaved([(0, frame) for frame in press("4", 200)], [(0, frame) for frame in press("5", 200)])
    assert sorted(keys(both)) == ["4", "5"]


def test_a_press_in_segments_stays_one_while_others_come_and_go() -> None:
    held = [(0, frame) for frame in press("9", 20_000)]
    others = [[(8000 * n, frame) for frame in press(digit, 200)] for n, digit in enumerate("123454321", 1)]
    assert keys(interleaved(held, *others)) == "9123454321"


def test_a_sender_whose_timestamps_move_on_within_a_press_presses_once() -> None:
    receiver = DigitReceiver()
    heard = [receiver.receive(160 * n, frame.payload, marker=frame.marker) for n, frame in enumerate(press("6", 200))]
    assert heard == ["6"] + (len(heard) - 1) * [None]


@pytest.mark.parametrize("clock_rate", [8_000, 16_000, 48_000])
def test_every_clock_tells_presses_and_segments_apart(clock_rate: int) -> None:
    frames = [
        (clock_rate * 4 * n, frame)
        for n, (digit, duration_ms) in enumerate([("1", 100), ("1", 100), ("1", 3_000), ("2", 60), ("2", 3_500)])
        for frame in press(digit, duration_ms, clock_rate=clock_rate)
    ]
    assert keys(frames, DigitReceiver(clock_rate)) == "11122"


def test_a_key_is_heard_again_however_long_ago_it_was_pressed_before() -> None:
    receiver = DigitReceiver()
    for hours in (0, 1, 40, 80, 120):
        begin = hours * 3600 * 8000 % 2**32
        assert keys([(begin, frame) for frame in press("8", 100)], receiver) == "8"


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=6), st.booleans()), max_size=40))
def test_anything_is_a_key_or_nothing(packets: list[tuple[int, bytes, bool]]) -> None:
    receiver = DigitReceiver()
    for timestamp, payload, marker in packets:
        if len(payload) < 4:
            with pytest.raises(RtpError):
                receiver.receive(timestamp, payload, marker=marker)
        else:
            heard = receiver.receive(timestamp, payload, marker=marker)
            assert heard is None or heard == DIGITS[payload[0]]
