import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import tones
from callwright.rtp.packet import RtpPacket
from callwright.telephony.media.tone_keys import ToneKeys

FRAME = 160


def heard(samples: NDArray[np.int16], missing: set[int] | None = None, *, unsent: bool = False, ssrc: int = 1) -> str:
    """The keys found in a sound of which some packets are lost, or were never sent (`unsent`)."""
    keys, tone_keys, sequence = "", ToneKeys(), 65_530
    for index in range(len(samples) // FRAME):
        is_missing = index in (missing or set())
        if not is_missing or not unsent:
            sequence += 1
        if not is_missing:
            packet = RtpPacket(0, sequence & 0xFFFF, 0xFFFF_FF00 + index * FRAME & 0xFFFF_FFFF, ssrc, b"")
            keys += "".join(tone_keys.receive(packet, samples[index * FRAME : (index + 1) * FRAME]))
    return keys


def quiet(samples: NDArray[np.int16]) -> set[int]:
    return {at // FRAME for at in range(0, len(samples), FRAME) if not samples[at : at + FRAME].any()}


@pytest.mark.parametrize("keys", ["0123456789*#ABCD", "5555", "1"])
@pytest.mark.parametrize("milliseconds", [60, 100])
def test_every_key_is_heard_once(keys: str, milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert heard(tones.dial_string(keys, seconds, seconds)) == keys


def test_pauses_that_were_never_sent_part_presses_of_one_key() -> None:
    sound = tones.dial_string("5555")
    assert heard(sound, quiet(sound), unsent=True) == "5555"


@pytest.mark.parametrize("lost", [{4}, {4, 5}, {10, 11, 12}])
def test_a_tone_with_a_hole_is_one_press(lost: set[int]) -> None:
    assert heard(tones.dtmf("7", 0.4), lost) == "7"


def test_a_long_loss_parts_two_presses() -> None:
    sound = tones.dial_string("55")
    assert heard(sound, {5, 6, 7, 8, 9}) == "55"


def test_late_and_doubled_packets_say_nothing() -> None:
    tone_keys, sound = ToneKeys(), tones.dtmf("3", 0.1)
    keys = []
    for index in (0, 1, 1, 0, 2, 2, 1, 3, 4):
        packet = RtpPacket(0, index, index * FRAME, 1, b"")
        keys += tone_keys.receive(packet, sound[index * FRAME : (index + 1) * FRAME])
    assert keys == ["3"]


def test_a_source_that_starts_over_is_heard_at_once() -> None:
    tone_keys, sound = ToneKeys(), tones.dial_string("12")
    keys = []
    for index in range(len(sound) // FRAME):
        ssrc, sequence = (1, 60_000 + index) if index < 10 else (2, 5 + index)
        keys += tone_keys.receive(
            RtpPacket(0, sequence, index * FRAME, ssrc, b""), sound[index * FRAME : (index + 1) * FRAME]
        )
    assert keys == ["1", "2"]
