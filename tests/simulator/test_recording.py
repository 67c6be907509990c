import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.simulator.recording import Recording

FRAME = 160


def sound(value: int) -> bytes:
    """20 ms of one sample value."""
    return value.to_bytes(2, "little", signed=True) * FRAME


def heard(recording: Recording) -> list[int]:
    """The first sample of each 20 ms."""
    data = recording.samples()
    return [int.from_bytes(data[i : i + 2], "little", signed=True) for i in range(0, len(data), 2 * FRAME)]


def test_packets_stand_where_their_timestamps_say() -> None:
    recording = Recording()
    for place in (0, 1, 2):
        recording.hear(7, 1_000 + place * FRAME, sound(place + 1), 0.02 * place)
    assert heard(recording) == [1, 2, 3]
    assert recording.seconds == pytest.approx(0.06)


def test_a_lost_packet_is_silence() -> None:
    recording = Recording()
    for place in (0, 3):
        recording.hear(7, place * FRAME, sound(5), 0.02 * place)
    assert heard(recording) == [5, 0, 0, 5]


def test_packets_that_overtake_each_other_are_put_in_order() -> None:
    recording = Recording()
    for arrival, place in enumerate((0, 2, 1, 3)):
        recording.hear(7, place * FRAME, sound(place + 1), 0.02 * arrival)
    assert heard(recording) == [1, 2, 3, 4]


def test_the_timestamp_wraps_around() -> None:
    recording = Recording()
    for place in range(4):
        recording.hear(7, (2**32 - 2 * FRAME + place * FRAME) % 2**32, sound(place + 1), 0.02 * place)
    assert heard(recording) == [1, 2, 3, 4]


def test_a_new_source_goes_on_where_the_clock_is() -> None:
    recording = Recording()
    recording.hear(7, 500, sound(1), 10.0)
    recording.hear(8, 4_000_000_000, sound(2), 10.06)
    recording.hear(8, 4_000_000_000 + FRAME, sound(3), 10.08)
    assert heard(recording) == [1, 0, 0, 2, 3]


def test_a_timestamp_from_nowhere_makes_no_hour_of_silence() -> None:
    recording = Recording()
    recording.hear(7, 0, sound(1), 0.0)
    recording.hear(7, 1_000_000_000, sound(2), 0.02)
    assert heard(recording) == [1, 2]


def test_a_packet_from_before_the_beginning_is_left_out() -> None:
    recording = Recording()
    recording.hear(7, 1_000, sound(1), 0.0)
    recording.hear(7, 1_000 - FRAME, sound(2), 0.001)
    assert heard(recording) == [1]


def test_a_recording_stops_growing_and_says_so() -> None:
    recording = Recording(most_seconds=0.04)
    for place in range(3):
        recording.hear(7, place * FRAME, sound(1), 0.02 * place)
    assert recording.seconds == pytest.approx(0.04)
    assert recording.is_full


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2**32 - 1), st.integers(0, 400), st.floats(0, 1e6)), max_size=40
    )
)
def test_nothing_a_sender_does_makes_it_larger_than_its_limit(packets: list[tuple[int, int, int, float]]) -> None:
    recording = Recording(most_seconds=1.0)
    for ssrc, timestamp, length, arrival in packets:
        recording.hear(ssrc, timestamp, bytes(2 * length), arrival)
    assert recording.seconds <= 1.0


def test_the_file_is_a_wav_of_what_was_heard(tmp_path: Path) -> None:
    recording = Recording()
    recording.hear(7, 0, sound(-1234), 0.0)
    path = tmp_path / "heard" / "session.wav"
    recording.save(path)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8_000, 1, 2)
        assert file.readframes(FRAME) == sound(-1234)
    assert [child.name for child in path.parent.iterdir()] == ["session.wav"]
