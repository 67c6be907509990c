"""Bridges, recordings and keys among sounds, on real sockets with the real media process."""

import asyncio
import itertools
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import g711, levels, tones, wav
from callwright.audio.compare import find_tones
from callwright.errors import TelephonyError
from callwright.rtp.packet import RtpPacket
from callwright.rtp.telephone_event import press
from callwright.rtp.wrap import sequence_distance, timestamp_distance
from callwright.telemetry.clock import platform_clock
from callwright.telephony.media.events import DigitPressed, MediaGone, PlaybackFinished, RecordingFinished
from callwright.telephony.media.stream import Direction, LocalMedia, RemoteMedia

Bench = Any  # conftest's classes cannot be imported from here
pytestmark = pytest.mark.asyncio(loop_scope="session")
KINDS = {"PCMU": 0, "PCMA": 8}
SILENT = {codec: bytes([code]) * 160 for codec, code in g711.SILENCE.items()}


class Talker:
    """A phone that says what it is told, frame by frame every 20 ms."""

    def __init__(self, phone: Any, codec: str, ssrc: int) -> None:
        self.phone = phone
        self.codec = codec
        self.ssrc = ssrc
        self.said = 0
        self._ticks = 1_000_000 * ssrc

    def remote(self, direction: Direction = Direction.SENDRECV, keys: int | None = 101) -> RemoteMedia:
        return RemoteMedia(
            self.phone.host,
            self.phone.port,
            self.codec,
            KINDS[self.codec],
            keys,
            direction,
            sent_event_payload_type=keys,
        )

    def frame(self, local: LocalMedia, codes: bytes) -> None:
        """One packet of sound."""
        self.packet(local, KINDS[self.codec], codes)
        self._ticks += 160

    def packet(self, local: LocalMedia, kind: int, payload: bytes, *, marker: bool = False, ticks: int = 0) -> None:
        """One packet; time does not go on."""
        timestamp = self._ticks + ticks & 0xFFFF_FFFF
        self.phone.send(local, RtpPacket(kind, self.said & 0xFFFF, timestamp, self.ssrc, payload, marker))
        self.said += 1

    async def say(self, local: LocalMedia, samples: NDArray[np.int16]) -> None:
        """Sound, at the pace of sound."""
        codes = g711.encode(self.codec, samples)
        begins = asyncio.get_running_loop().time()
        for at in range(0, len(codes), 160):
            self.frame(local, codes[at : at + 160])
            await asyncio.sleep(max(0.0, begins + (at / 160 + 1) * 0.02 - asyncio.get_running_loop().time()))

    def blurt(self, local: LocalMedia, samples: NDArray[np.int16]) -> None:
        """Sound, all of it at once: however slow this machine is, there is no pause in it."""
        codes = g711.encode(self.codec, samples)
        for at in range(0, len(codes), 160):
            self.frame(local, codes[at : at + 160])

    def heard(self, codec: str | None = None) -> NDArray[np.int16]:
        """Everything heard, in the order of arrival."""
        kind = KINDS[codec or self.codec]
        return g711.decode(codec or self.codec, b"".join(p.payload for p in self.phone.heard if p.payload_type == kind))


async def pair(bench: Bench, one: str = "PCMU", other: str = "PCMU") -> tuple[Talker, LocalMedia, Talker, LocalMedia]:
    """Two connected streams, `a` and `b`, not bridged yet."""
    a, b = Talker(bench.phone(), one, 1), Talker(bench.phone(), other, 2)
    local_a, local_b = await bench.plane.open("a"), await bench.plane.open("b")
    bench.plane.connect("a", a.remote())
    bench.plane.connect("b", b.remote())
    await bench.until(lambda: a.phone.heard and b.phone.heard)
    return a, local_a, b, local_b


def contiguous(packets: list[RtpPacket]) -> bool:
    """No number missing, none twice, time never back; but frames of our own that a loaded machine was late for."""
    steps = [
        (sequence_distance(one.sequence, two.sequence), timestamp_distance(one.timestamp, two.timestamp))
        for one, two in itertools.pairwise(packets)
    ]
    is_whole = all(ticks > 0 and (sequence == 1 or ticks == 160 * sequence) for sequence, ticks in steps)
    return is_whole and len({packet.ssrc for packet in packets}) == 1


def voiced(packets: list[RtpPacket]) -> list[bytes]:
    """What was said in them, frame by frame, without silence."""
    return [packet.payload for packet in packets if packet.payload not in SILENT.values()]


@pytest.mark.parametrize(("one", "other"), [("PCMU", "PCMU"), ("PCMA", "PCMA"), ("PCMU", "PCMA"), ("PCMA", "PCMU")])
async def test_each_hears_the_other_and_loses_nothing(bench: Bench, one: str, other: str) -> None:
    a, local_a, b, local_b = await pair(bench, one, other)
    bench.plane.bridge("a", "b")
    sound_a, sound_b = tones.sine(440.0, 0.8), tones.sine(950.0, 0.8)
    await asyncio.gather(a.say(local_a, sound_a), b.say(local_b, sound_b))
    await bench.until(lambda: len(voiced(a.phone.heard)) >= 40 and len(voiced(b.phone.heard)) >= 40)
    for listener, sound, codec in ((a, sound_b, other), (b, sound_a, one)):
        said = g711.decode(codec, g711.encode(codec, sound))
        expected = g711.encode(listener.codec, said)
        assert b"".join(voiced(listener.phone.heard)) == expected
        assert {packet.payload_type for packet in listener.phone.heard} == {KINDS[listener.codec]}
        assert contiguous(listener.phone.heard)
    assert find_tones(a.heard())[0] == pytest.approx(950, abs=3)
    assert find_tones(b.heard())[0] == pytest.approx(440, abs=3)
    report = await bench.plane.close("a")
    assert (report.packets_received, report.packets_lost) == (40, 0)


async def test_the_first_words_of_whoever_was_just_picked_up_are_not_lost(bench: Bench) -> None:
    a, b = Talker(bench.phone(), "PCMU", 1), Talker(bench.phone(), "PCMU", 2)
    await bench.plane.open("a")
    bench.plane.connect("a", a.remote())
    local_b = await bench.plane.open("b")
    word = g711.encode("PCMU", tones.sine(440.0, 0.1))
    for at in range(0, len(word), 160):
        b.frame(local_b, word[at : at + 160])  # before anybody has been told where b is
    bench.plane.connect("b", b.remote())
    await bench.until(lambda: b.phone.heard)
    bench.plane.bridge("a", "b")
    await bench.until(lambda: b"".join(voiced(a.phone.heard)) == word)
    assert contiguous(a.phone.heard)


async def test_what_was_said_long_before_the_bridge_is_over(bench: Bench) -> None:
    a, local_a, b, _ = await pair(bench)
    a.blurt(local_a, tones.sine(440.0, 0.5))
    await bench.has_read(a.phone)
    bench.plane.bridge("a", "b")
    while not any(packet.payload == b"\x11" * 160 for packet in b.phone.heard):  # the bridge takes its time
        a.frame(local_a, b"\x11" * 160)
        await asyncio.sleep(0.02)
    assert {packet.payload for packet in b.phone.heard} == {SILENT["PCMU"], b"\x11" * 160}


async def test_silence_of_our_own_takes_the_place_of_a_peer_that_says_nothing(bench: Bench) -> None:
    a, local_a, b, _ = await pair(bench)
    bench.plane.bridge("a", "b")
    a.blurt(local_a, tones.sine(440.0, 0.3))
    await bench.until(lambda: len(voiced(b.phone.heard)) == 15)
    said = len(b.phone.heard)
    await bench.until(lambda: len(b.phone.heard) > said + 10)
    assert {packet.payload for packet in b.phone.heard[-8:]} == {SILENT["PCMU"]}
    a.blurt(local_a, tones.sine(440.0, 0.3))
    await bench.until(lambda: len(voiced(b.phone.heard)) == 30)
    assert contiguous(b.phone.heard)
    voices = [packet.payload != SILENT["PCMU"] for packet in b.phone.heard]
    begins = [index for index, (was, is_) in enumerate(itertools.pairwise(voices), 1) if is_ and not was]
    assert len(begins) == 2
    assert all(b.phone.heard[index].marker for index in begins)


async def test_when_one_side_is_closed_the_other_hears_silence_again(bench: Bench) -> None:
    a, local_a, b, local_b = await pair(bench)
    bench.plane.bridge("a", "b")
    await asyncio.gather(a.say(local_a, tones.sine(440.0, 0.2)), b.say(local_b, tones.sine(950.0, 0.2)))
    await bench.plane.close("a")
    said = len(b.phone.heard)
    await b.say(local_b, tones.sine(950.0, 0.2))  # to nobody
    await bench.until(lambda: len(b.phone.heard) > said + 15)
    assert {packet.payload for packet in b.phone.heard[-5:]} == {SILENT["PCMU"]}
    assert contiguous(b.phone.heard)
    bench.plane.play("b", "p", bench.prompt("after", tones.sine(500, 0.1)), 1)
    await bench.until(lambda: bench.posted(PlaybackFinished))


async def test_a_third_stream_takes_the_place_of_the_second(bench: Bench) -> None:
    a, local_a, b, _ = await pair(bench)
    c = Talker(bench.phone(), "PCMU", 3)
    await bench.plane.open("c")
    bench.plane.connect("c", c.remote())
    bench.plane.bridge("a", "b")
    a.blurt(local_a, tones.sine(440.0, 0.2))
    await bench.until(lambda: len(voiced(b.phone.heard)) == 10)
    bench.plane.bridge("a", "c")
    await bench.obeyed()
    said = len(b.phone.heard)
    a.blurt(local_a, tones.sine(950.0, 0.4))
    await bench.until(lambda: len(voiced(c.phone.heard)) == 20 and len(b.phone.heard) > said + 15)
    assert find_tones(c.heard())[0] == pytest.approx(950, abs=5)
    assert find_tones(b.heard())[0] == pytest.approx(440, abs=5)
    assert {packet.payload for packet in b.phone.heard[-5:]} == {SILENT["PCMU"]}


async def test_a_codec_that_changes_in_the_middle_is_followed(bench: Bench) -> None:
    a, local_a, b, _ = await pair(bench)
    bench.plane.bridge("a", "b")
    await a.say(local_a, tones.sine(440.0, 0.2))
    b.codec = "PCMA"
    bench.plane.connect("b", b.remote())
    await bench.obeyed()
    await a.say(local_a, tones.sine(440.0, 0.4))
    await bench.until(lambda: sum(packet.payload_type == 8 for packet in b.phone.heard) > 15)
    assert find_tones(b.heard("PCMA"))[0] == pytest.approx(440, abs=5)
    assert contiguous(b.phone.heard)


async def test_keys_go_through_a_bridge_and_are_told_as_well(bench: Bench) -> None:
    a, local_a, b, _ = await pair(bench)
    bench.plane.connect("b", b.remote(keys=96))
    bench.plane.bridge("a", "b")
    await a.say(local_a, tones.sine(440.0, 0.1))
    for frame in press("7", 100):
        a.packet(local_a, 101, frame.payload, marker=frame.marker, ticks=frame.timestamp_ticks)
    await bench.until(lambda: sum(packet.payload_type == 96 for packet in b.phone.heard) == 7)
    keys = [packet for packet in b.phone.heard if packet.payload_type == 96]
    assert [packet.payload for packet in keys] == [frame.payload for frame in press("7", 100)]
    assert len({packet.timestamp for packet in keys}) == 1
    assert [(event.stream_id, event.digit) for event in bench.posted(DigitPressed)] == [("a", "7")]


async def test_a_peer_on_hold_is_sent_nothing(bench: Bench) -> None:
    a, local_a, b, _ = await pair(bench)
    bench.plane.bridge("a", "b")
    bench.plane.connect("b", b.remote(Direction.RECVONLY))
    await bench.obeyed()
    held = len(b.phone.heard)
    await a.say(local_a, tones.sine(440.0, 0.2))
    assert len(b.phone.heard) == held
    bench.plane.connect("b", b.remote())
    await bench.obeyed()
    await a.say(local_a, tones.sine(440.0, 0.2))
    await bench.until(lambda: len(b.phone.heard) > held + 5)
    assert contiguous(b.phone.heard)


async def test_streams_that_are_not_there_cannot_be_bridged_listened_to_or_recorded(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.plane.open("a")
    for refused in (("a", "x"), ("x", "a")):
        with pytest.raises(TelephonyError, match="x is not open"):
            bench.plane.bridge(*refused)
    with pytest.raises(TelephonyError, match="with itself"):
        bench.plane.bridge("a", "a")
    with pytest.raises(TelephonyError, match="not open"):
        bench.plane.listen("x", wanted=True)
    with pytest.raises(TelephonyError, match="not connected"):
        bench.plane.record("a", str(tmp_path / "r.wav"))
    bench.plane.stop_recording("x")


# --- keys among sounds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_keys_are_found_among_sounds_while_somebody_listens(bench: Bench, codec: str) -> None:
    a = Talker(bench.phone(), codec, 1)
    local = await bench.plane.open("a")
    bench.plane.connect("a", a.remote())
    await bench.until(lambda: a.phone.heard)
    await a.say(local, tones.dial_string("1", 0.08, 0.08))
    await bench.has_read(a.phone)
    bench.plane.listen("a", wanted=True)
    await bench.obeyed()
    began = platform_clock()()
    await a.say(local, tones.dial_string("55#", 0.08, 0.08))
    await bench.until(lambda: len(bench.posted(DigitPressed)) == 3)
    took_seconds = platform_clock()() - began
    bench.plane.listen("a", wanted=False)
    await bench.obeyed()
    await a.say(local, tones.dial_string("9", 0.08, 0.08))
    await bench.plane.close("a")
    assert [(event.digit, event.in_band) for event in bench.posted(DigitPressed)] == [(key, True) for key in "55#"]
    first, second, _ = (event.at for event in bench.posted(DigitPressed))
    assert began - 0.1 < first <= second < began + took_seconds


# --- recordings ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def recorded(bench: Bench, path: Path) -> AsyncIterator[None]:
    """Wait for the recording's end when the block is over."""
    bench.plane.record("a", str(path))
    await bench.obeyed()
    yield
    await bench.until(lambda: bench.posted(RecordingFinished))


def stereo(path: Path) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    data = path.read_bytes()
    assert data[:44] == wav.header(len(data) - 44, channels=2)
    both = np.frombuffer(data[44:], dtype="<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


async def test_a_recording_holds_both_sides_of_a_bridge(bench: Bench, tmp_path: Path) -> None:
    a, local_a, b, local_b = await pair(bench, "PCMU", "PCMA")
    path = tmp_path / "r.wav"
    begins_at = asyncio.get_running_loop().time()
    async with recorded(bench, path):
        bench.plane.bridge("a", "b")
        await asyncio.gather(a.say(local_a, tones.sine(440.0, 1.0)), b.say(local_b, tones.sine(950.0, 1.0)))
        await bench.plane.close("a")
    [done] = bench.posted(RecordingFinished)
    assert (done.stream_id, done.path, done.reason) == ("a", str(path), "")
    left, right = stereo(path)
    assert done.duration_seconds == len(left) / 8_000
    assert 0.9 <= done.duration_seconds <= asyncio.get_running_loop().time() - begins_at
    assert find_tones(left)[0] == pytest.approx(440, abs=2)
    assert find_tones(right)[0] == pytest.approx(950, abs=2)
    assert find_tones(left, above_db=-30.0) == find_tones(left, most=1)
    begin_left, begin_right = (int(np.argmax(np.abs(one) > 1_000)) for one in (left, right))
    assert abs(begin_left - begin_right) < 800  # both began to talk at the same time


async def test_a_recording_holds_prompts_and_silence_at_their_places(bench: Bench, tmp_path: Path) -> None:
    a, local_a, _, _ = await pair(bench)
    path = tmp_path / "r.wav"
    async with recorded(bench, path):
        bench.plane.play("a", "p", bench.prompt("p", tones.sine(500.0, 0.4)), 1)
        await bench.until(lambda: bench.posted(PlaybackFinished))
        await a.say(local_a, tones.sine(440.0, 0.4))
        bench.plane.stop_recording("a")
        bench.plane.stop_recording("a")
    left, right = stereo(path)
    heard_at = int(np.argmax(np.abs(left) > 1_000))
    assert find_tones(right)[0] == pytest.approx(500, abs=3)
    assert find_tones(left)[0] == pytest.approx(440, abs=3)
    assert levels.rms_dbfs(right[heard_at:]) < -60  # the prompt was over before the answer began
    assert levels.rms_dbfs(left[: heard_at - 1]) < -60
    spoken = np.flatnonzero(np.abs(right) > 100)
    late_frames = (await bench.plane.close("a")).gaps
    assert 3_100 - 160 * late_frames <= spoken[-1] - spoken[0] <= 3_300


async def test_a_full_disk_ends_the_recording_and_not_the_call(make_bench: Any, tmp_path: Path) -> None:
    bench = await make_bench()
    a, local_a, b, _ = await pair(bench)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(bench.plane.pid, resource.RLIMIT_FSIZE, (30_000, hard))
    bench.plane.bridge("a", "b")
    bench.plane.record("a", str(tmp_path / "r.wav"))
    await a.say(local_a, tones.sine(440.0, 1.4))
    await bench.until(lambda: len(voiced(b.phone.heard)) == 70)
    assert find_tones(g711.decode("PCMU", b"".join(voiced(b.phone.heard)[-12:])))[0] == pytest.approx(440, abs=8)
    await bench.plane.close("a")
    await bench.until(lambda: bench.posted(RecordingFinished))
    [done] = bench.posted(RecordingFinished)
    assert "File too large" in done.reason
    assert done.duration_seconds == (30_000 - 44) // 4 / 8_000
    left, _ = stereo(tmp_path / "r.wav")
    assert len(left) == (30_000 - 44) // 4


async def test_a_recording_that_cannot_be_made_says_why(bench: Bench, tmp_path: Path) -> None:
    await pair(bench)
    bench.plane.record("a", str(tmp_path / "nowhere" / "r.wav"))
    bench.plane.record("b", str(tmp_path / "b.wav"))
    with pytest.raises(TelephonyError, match="recorded already"):
        bench.plane.record("a", str(tmp_path / "b.wav"))
    bench.plane.record("b", str(tmp_path / "second.wav"))
    for stream in "ab":
        await bench.plane.close(stream)
    await bench.until(lambda: len(bench.posted(RecordingFinished)) == 3)
    reasons = {Path(event.path).name: event.reason for event in bench.posted(RecordingFinished)}
    assert reasons["b.wav"] == ""
    assert "No such file" in reasons["r.wav"]
    assert reasons["second.wav"] == "the stream is recorded already"


async def test_stopping_the_process_finishes_recordings(make_bench: Any, tmp_path: Path) -> None:
    bench = await make_bench()
    await pair(bench)
    path = tmp_path / "r.wav"
    bench.plane.record("a", str(path))
    await bench.obeyed()
    await asyncio.sleep(0.2)
    await bench.plane.stop()
    left, _ = stereo(path)
    assert len(left) > 800


async def test_a_killed_process_takes_its_bridges_along_and_begins_anew(make_bench: Any, tmp_path: Path) -> None:
    bench = await make_bench()
    await pair(bench)
    bench.plane.bridge("a", "b")
    bench.plane.record("a", str(tmp_path / "r.wav"))
    os.kill(bench.plane.pid, signal.SIGKILL)
    await bench.until(lambda: bench.posted(MediaGone))
    bench.events.clear()
    await bench.plane.start()
    a, local_a, b, _ = await pair(bench)
    bench.plane.bridge("a", "b")
    await a.say(local_a, tones.sine(440.0, 0.2))
    await bench.until(lambda: any(packet.payload != SILENT["PCMU"] for packet in b.phone.heard))
