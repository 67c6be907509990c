"""Sound in order and made anew for the other side of a bridge, in a time of its own."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import compare, tones
from callwright.audio.codecs import CODECS
from callwright.audio.coding import Decoder, Resampler, encoded
from callwright.audio.levels import rms_dbfs
from callwright.rtp import packet, telephone_event
from callwright.rtp.jitter import MOST_SECONDS
from callwright.rtp.packet import RtpPacket
from callwright.telephony.media.framing import framing
from callwright.telephony.media.hearing import forwarded
from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.playout import LOOK_SECONDS, Heard, Playout
from callwright.telephony.media.prompts import PromptFiles
from callwright.telephony.media.stream import RemoteMedia
from callwright.telephony.media.transcode import Transcoder

KINDS = {"PCMU": 0, "PCMA": 8, "G722": 9, "OPUS": 107}
EVENTS = 101
NUMBER, TIME = 65_530, 2**32 - 3_000


class Far:
    """The far side of a bridge: what it is sent, and whoever speaks to it through a playout."""

    def __init__(self, codec: str, ptime_ms: int, heard_codec: str, *, transcodes: bool = True) -> None:
        self.codec, self.now = codec, 0.0
        self.sent: list[RtpPacket] = []
        self.pieces: list[Heard] = []
        self.outbound = Outbound(5, NUMBER, TIME, lambda data: self.sent.append(packet.parse(data)), self)
        self.outbound.agree(codec, framing(codec, ptime_ms), KINDS[codec], sending=True, files=PromptFiles(), now=0.0)
        remote = RemoteMedia("192.0.2.1", 4000, codec, KINDS[codec], sent_event_payload_type=EVENTS)
        self.transcoder = Transcoder(self.outbound, remote, 8_000) if transcodes else None
        self.playout = Playout(self, self._hear)
        self.playout.agree({KINDS[heard_codec]: heard_codec}, EVENTS)
        self.playout.start(0.0)

    def playback_started(self, playback_id: str, now: float) -> None: ...

    def playback_finished(self, playback_id: str, now: float, reason: str) -> None: ...

    def pace(self, sender: Playout, due_at: float) -> None: ...

    def release(self, sender: Playout) -> None: ...

    def _hear(self, heard: Heard, now: float) -> None:
        self.pieces.append(heard)
        if self.transcoder is not None:
            self.transcoder.hear(heard, now)

    def run(self, arrivals: "Arrivals") -> None:
        """Time goes on until all is over."""
        waiting = sorted(arrivals, key=lambda one: one[0])
        until = waiting[-1][0] + 1.0
        while self.now < until:
            while waiting and waiting[0][0] <= self.now:
                arrival, one = waiting.pop(0)
                self.playout.receive(one, arrival, self.now)
            self.playout.frame(self.now)
            self.now += LOOK_SECONDS

    def sound(self) -> NDArray[np.int16]:
        decoder = Decoder(self.codec)
        resampler = Resampler(decoder.codec.sample_rate, 8_000)
        mine = [one for one in self.sent if one.payload_type == KINDS[self.codec]]
        return np.concatenate([resampler.in_step(decoder.decode(one.payload)) for one in mine])


Arrivals = list[tuple[float, RtpPacket]]


def spoken(codec: str, sound: NDArray[np.int16], begin: float = 0.0) -> Arrivals:
    """Packets of 20 ms, each with its time, whose numbers and timestamps wrap."""
    size, ticks = CODECS[codec].frame_bytes, CODECS[codec].frame_ticks
    form = encoded(codec, sound.tobytes(), 8_000)
    arrivals = []
    for number, at in enumerate(range(0, len(form), size)):
        timestamp = (number * ticks - 5_000) & 0xFFFF_FFFF
        one = RtpPacket(KINDS[codec], (65_520 + number) & 0xFFFF, timestamp, 9, form[at : at + size])
        arrivals.append((begin + 0.02 * number, one))
    return arrivals


def pressed(digit: str, after: tuple[float, RtpPacket]) -> Arrivals:
    """A key whose packets follow one of sound."""
    at, last = after
    timestamp = (last.timestamp + 160) & 0xFFFF_FFFF
    return [
        (at + 0.02 * n, RtpPacket(EVENTS, (last.sequence + n) & 0xFFFF, timestamp, 9, frame.payload, frame.marker))
        for n, frame in enumerate(telephone_event.press(digit, 100), 1)
    ]


@pytest.mark.parametrize(("codec", "ptime_ms"), [("PCMU", 10), ("PCMA", 60), ("G722", 30), ("OPUS", 20)])
@pytest.mark.parametrize("heard", ["PCMU", "G722", "OPUS"])
def test_sound_is_made_anew_in_packets_of_the_far_sides_size(codec: str, ptime_ms: int, heard: str) -> None:
    far = Far(codec, ptime_ms, heard)
    far.run(spoken(heard, tones.sine(700, 1.0)))
    shape = framing(codec, ptime_ms)
    assert {len(one.payload) for one in far.sent} == {shape.frame_bytes}
    assert (far.sent[0].sequence, far.sent[0].timestamp, far.sent[0].marker) == (NUMBER, TIME, True)
    for one, other in pairwise(far.sent):
        assert (other.sequence - one.sequence) & 0xFFFF == 1
        assert (other.timestamp - one.timestamp) & 0xFFFF_FFFF == shape.ticks
        assert not other.marker
    sound = far.sound()
    assert 0.9 * 8000 <= len(sound) <= 1.06 * 8000
    assert compare.find_tones(sound[800:7200], most=1) == [pytest.approx(700, abs=3)]
    assert rms_dbfs(sound[800:7200]) == pytest.approx(rms_dbfs(tones.sine(700, 0.5)), abs=1)


@pytest.mark.parametrize("heard", ["PCMU", "OPUS"])
def test_what_is_lost_is_filled_and_what_comes_late_or_in_disorder_is_put_right(heard: str) -> None:
    far = Far("PCMA", 20, heard)
    arrivals = spoken(heard, tones.sine(600, 1.2))
    arrivals = [
        (at + (0.03 if number % 7 == 3 else 0.0), one)
        for number, (at, one) in enumerate(arrivals)
        if number not in (25, 40, 41)
    ]
    far.run(arrivals)
    sound = far.sound()
    assert len(sound) >= 1.15 * 8000
    assert all(rms_dbfs(sound[at : at + 160]) > -30 for at in range(2_400, 8_800, 160))
    assert sum(one.sequence for one in far.sent) == sum((NUMBER + n) & 0xFFFF for n in range(len(far.sent)))


def test_many_lost_in_a_row_fade_to_silence() -> None:
    far = Far("PCMU", 20, "PCMU", transcodes=False)
    far.run([pair for number, pair in enumerate(spoken("PCMU", tones.sine(600, 1.0))) if not 20 <= number < 30])
    filled = far.pieces[20:30]
    loud = [rms_dbfs(piece.samples) for piece in filled]
    assert loud[0] > loud[1] > loud[2] > -60
    assert all(not piece.samples.any() for piece in filled[3:])
    assert len(far.pieces) == 50


def test_a_pause_of_the_speaker_is_a_pause_and_not_silence() -> None:
    far = Far("OPUS", 20, "PCMU")
    before, after = spoken("PCMU", tones.sine(600, 0.2)), spoken("PCMU", tones.sine(600, 0.2), begin=0.26)
    moved = [
        (at, RtpPacket(0, (one.sequence + 10) & 0xFFFF, (one.timestamp + 2_080) & 0xFFFF_FFFF, 9, one.payload))
        for at, one in after
    ]
    far.run(before + moved)
    steps = {(b.timestamp - a.timestamp) & 0xFFFF_FFFF for a, b in pairwise(far.sent)}
    assert steps == {960, 960 + 60 * 48}
    assert len(far.sent) == 20


def test_a_damaged_packet_is_filled_like_a_lost_one() -> None:
    far = Far("PCMU", 20, "OPUS")
    arrivals = spoken("OPUS", tones.sine(600, 0.6))
    arrivals[10] = (
        arrivals[10][0],
        RtpPacket(107, arrivals[10][1].sequence, arrivals[10][1].timestamp, 9, b"\x4b\xff\xff"),
    )
    far.run(arrivals)
    assert len(far.sound()) >= 0.55 * 8000


def test_keys_go_along_in_their_place_and_at_the_far_sides_clock() -> None:
    far = Far("PCMU", 20, "PCMU")
    before = spoken("PCMU", tones.sine(600, 0.2))
    far.run(before + pressed("8", before[-1]))
    events = [one for one in far.sent if one.payload_type == EVENTS]
    assert [one.payload for one in events] == [frame.payload for frame in telephone_event.press("8", 100)]
    assert {one.timestamp for one in events} == {(far.sent[9].timestamp + 160) & 0xFFFF_FFFF}
    assert [one.marker for one in events] == [True] + 6 * [False]
    assert all((b.sequence - a.sequence) & 0xFFFF == 1 for a, b in pairwise(far.sent))


@pytest.mark.parametrize("rates", [(8_000, 48_000), (48_000, 8_000), (8_000, 8_000)])
def test_an_events_duration_is_told_by_another_clock(rates: tuple[int, int]) -> None:
    payload = telephone_event.serialize(telephone_event.TelephoneEvent(5, rates[0] // 10, end=True))
    told = telephone_event.parse(telephone_event.at_clock(payload, *rates))
    assert (told.code, told.duration, told.end) == (5, rates[1] // 10, True)
    longest = telephone_event.serialize(telephone_event.TelephoneEvent(5, 0xFFFF))
    assert telephone_event.parse(telephone_event.at_clock(longest, 8_000, 48_000)).duration == 0xFFFF


def test_a_burst_after_a_standstill_is_not_held_for_ever() -> None:
    far = Far("PCMU", 20, "PCMU", transcodes=False)
    arrivals = spoken("PCMU", tones.sine(600, 2.0))
    far.run([(at if number < 20 else max(at, 0.9), one) for number, (at, one) in enumerate(arrivals)])
    assert len(far.pieces) == 100
    assert far.playout.delay_seconds <= MOST_SECONDS


@pytest.mark.parametrize(
    ("mine", "theirs", "is_forwarded"),
    [
        (("PCMU", 20), ("PCMU", 20), True),
        (("PCMU", 20), ("PCMA", 20), True),
        (("PCMU", 30), ("PCMA", 30), True),
        (("PCMU", 20), ("PCMU", 60), False),
        (("G722", 20), ("G722", 20), True),
        (("G722", 20), ("PCMU", 20), False),
        (("OPUS", 20), ("OPUS", 60), True),
        (("OPUS", 20), ("PCMU", 20), False),
    ],
)
def test_packets_are_forwarded_where_that_will_do(
    mine: tuple[str, int], theirs: tuple[str, int], is_forwarded: bool
) -> None:
    one, other = (
        RemoteMedia("192.0.2.1", 4000, codec, KINDS[codec], EVENTS, sent_event_payload_type=EVENTS, ptime_ms=ptime_ms)
        for codec, ptime_ms in (mine, theirs)
    )
    assert (forwarded(one, other) is not None) is is_forwarded


def test_the_media_process_loads_no_coders_before_a_call_needs_them() -> None:
    program = """
import sys
import callwright.telephony.media.process
sys.exit(sum(name in sys.modules for name in ("av", "pylibsrtp")))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
