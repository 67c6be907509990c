"""G.711 against a reference that reads the decision values of the recommendation one by one."""

from bisect import bisect_right

import numpy as np
import pytest

from callwright.audio import g711


def ulaw_reference() -> tuple[list[int], list[int]]:
    """Decision values x(1)..x(128) and output values y(0)..y(127) of table 2: 14-bit magnitudes."""
    decisions, outputs, value = [], [0], 1
    for segment in range(8):
        step = 2 << segment
        for _ in range(15 if segment == 0 else 16):
            decisions.append(value)
            outputs.append(value + step // 2)
            value += step
    return decisions, outputs


def alaw_reference() -> tuple[list[int], list[int]]:
    """The same of table 1: 13-bit magnitudes, output values doubled to stay whole."""
    decisions, outputs, value = [], [1], 1
    for segment in range(8):
        step = 1 << max(0, segment - 1)
        for _ in range(15 if segment == 0 else 16):
            decisions.append(value)
            outputs.append(2 * value + step)
            value += step
    return decisions, outputs


@pytest.mark.parametrize("encoding", g711.ENCODINGS)
def test_every_sample_gets_the_code_of_its_interval(encoding: str) -> None:
    decisions, shift = (ulaw_reference()[0], 2) if encoding == "PCMU" else (alaw_reference()[0], 4)
    expected = bytearray()
    for sample in range(-32768, 32768):
        level = bisect_right(decisions, (~sample if sample < 0 else sample) >> shift)
        if encoding == "PCMU":
            level = min(127, level)  # beyond the virtual decision value
            expected.append(0x7F - level if sample < 0 else 0xFF - level)
        else:
            expected.append((level if sample < 0 else level | 0x80) ^ 0b01010101)  # even bits are inverted on the line
    assert g711.encode(encoding, np.arange(-32768, 32768).astype(np.int16)) == bytes(expected)


def test_every_code_gets_the_middle_of_its_interval() -> None:
    codes = bytes(range(256))
    ulaw, alaw = ulaw_reference()[1], alaw_reference()[1]
    expected_ulaw = [4 * ulaw[0xFF - code] if code & 0x80 else -4 * ulaw[0x7F - code] for code in codes]
    assert g711.decode("PCMU", codes).tolist() == expected_ulaw
    plain = [code ^ 0x55 for code in codes]
    expected_alaw = [8 * alaw[code & 0x7F] if code & 0x80 else -8 * alaw[code] for code in plain]
    assert g711.decode("PCMA", codes).tolist() == expected_alaw


@pytest.mark.parametrize("encoding", g711.ENCODINGS)
def test_codes_survive_decoding_and_encoding(encoding: str) -> None:
    codes = bytes(range(256))
    again = g711.encode(encoding, g711.decode(encoding, codes))
    # µ-law's negative zero decodes to zero, whose code is the positive one.
    assert again == (codes.replace(b"\x7f", b"\xff") if encoding == "PCMU" else codes)


@pytest.mark.parametrize(("heard", "sent"), [("PCMU", "PCMA"), ("PCMA", "PCMU")])
def test_codes_are_translated_as_their_samples_are(heard: str, sent: str) -> None:
    every = bytes(range(256))
    assert every.translate(g711.TRANSCODE[heard, sent]) == g711.encode(sent, g711.decode(heard, every))
    silence = bytes([g711.SILENCE[heard]]).translate(g711.TRANSCODE[heard, sent])
    assert abs(int(g711.decode(sent, silence)[0])) <= 8  # A-law has no zero
    # There and back again is off by what the coarser law costs, and never louder.
    back = g711.decode(heard, every.translate(g711.TRANSCODE[heard, sent]).translate(g711.TRANSCODE[sent, heard]))
    there = g711.decode(heard, every)
    difference = np.abs(back.astype(np.int32) - there)
    assert np.all(difference <= np.maximum(16, np.abs(there.astype(np.int32)) // 16))


def test_well_known_codes() -> None:
    samples = np.array([0, 32767, -32768], dtype=np.int16)
    assert g711.encode("PCMU", samples) == b"\xff\x80\x00"
    assert g711.encode("PCMA", samples) == b"\xd5\xaa\x2a"
    assert g711.SILENCE == {"PCMU": 0xFF, "PCMA": 0xD5}


def test_sound_is_filled_up_to_whole_frames_with_silence() -> None:
    assert g711.whole_frames("PCMA", b"x") == b"x" + 159 * b"\xd5"
    assert g711.whole_frames("PCMU", 320 * b"x") == 320 * b"x"
    assert g711.whole_frames("PCMU", b"") == b""


def test_other_encodings_are_unknown() -> None:
    with pytest.raises(KeyError):
        g711.encode("G722", np.zeros(1, dtype=np.int16))
