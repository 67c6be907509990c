import numpy as np
import pytest

from callwright.audio import tones
from callwright.errors import RtpError
from callwright.rtp.telephone_event import DigitReceiver
from callwright.simulator.keypad import Beat, Keypad
from callwright.telephony.keys import KeyWay

EVENT, TONE, INFO = KeyWay.EVENT, KeyWay.TONE, KeyWay.INFO


def beats(keypad: Keypad, until: int) -> dict[int, Beat]:
    """What each beat asks for."""
    return {number: beat for now in range(until) for number, beat in keypad.take(now)}


def test_a_telephone_event_hushes_the_handset_and_ends_thrice() -> None:
    keypad = Keypad()
    keypad.press("5", [EVENT], 10, hold_ms=100)
    asked = beats(keypad, 40)
    assert list(asked) == list(range(10, 17))
    assert [beat.hushed for beat in asked.values()] == [True] * 5 + [False] * 2
    receiver = DigitReceiver()
    keys = [
        receiver.receive(160 * begins + frame.timestamp_ticks, frame.payload, marker=frame.marker)
        for beat in asked.values()
        for begins, frame in beat.events
    ]
    assert keys == ["5"] + [None] * 6


def test_a_tone_is_as_long_as_the_key_is_down() -> None:
    keypad = Keypad()
    keypad.press("7", [TONE], 0, hold_ms=80)
    parts = [beat.tone for beat in beats(keypad, 20).values()]
    assert np.array_equal(np.concatenate([part for part in parts if part is not None]), tones.dtmf("7", 0.08))
    assert len(parts) == 4


def test_info_tells_of_a_key_when_it_comes_up() -> None:
    keypad = Keypad()
    keypad.press("1", [INFO], 3, hold_ms=160)
    assert {number: beat.told for number, beat in beats(keypad, 20).items()} == {11: [("1", 160)]}


def test_keys_follow_each_other_and_what_is_pressed_already() -> None:
    keypad = Keypad()
    keypad.press("12", [INFO], 0, hold_ms=100, pause_ms=100)
    keypad.press("3", [INFO], 1)
    assert [(number, beat.told[0][0]) for number, beat in beats(keypad, 60).items()] == [(5, "1"), (15, "2"), (25, "3")]


def test_all_ways_at_once_leave_the_tone_to_be_heard() -> None:
    keypad = Keypad()
    keypad.press("0", [EVENT, TONE, INFO], 0, hold_ms=40)
    [(_, first)] = keypad.take(0)
    assert first.tone is not None
    assert (len(first.events), first.hushed) == (1, False)


def test_missed_beats_are_made_up_for_at_once_and_in_order() -> None:
    keypad = Keypad()
    keypad.press("9", [EVENT], 2, hold_ms=40)
    made_up = keypad.take(4)
    assert [number for number, _ in made_up] == [2, 3, 4]
    assert [number for number, _ in keypad.take(6)] == [5]
    assert keypad.take(7) == []
    found = [frame.payload for _, beat in made_up for _, frame in beat.events]
    assert found == sorted(found, key=lambda payload: payload[2:4])


def test_what_is_no_key_cannot_be_pressed() -> None:
    with pytest.raises(RtpError, match="no telephone key"):
        Keypad().press("x", [EVENT], 0)
