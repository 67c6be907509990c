"""Streams of every codec and packet time, in the clear and through SRTP, with the real media process."""

import asyncio
import itertools
import wave
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from tests.telephony.media.voices import EVENTS, PAYLOAD_TYPES, Voice, prompt_of, until

from callwright.audio import compare, tones
from callwright.audio.codecs import CODECS
from callwright.audio.levels import rms_dbfs
from callwright.audio.prompt import Prompt
from callwright.rtp import rtcp, telephone_event
from callwright.rtp.packet import RtpPacket
from callwright.rtp.srtp import MASTER_BYTES
from callwright.simulator.loopback import own_host, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.media.events import DigitPressed, MediaEvent, PlaybackFinished, RecordingFinished
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.stream import Srtp

if TYPE_CHECKING:
    from tests.telephony.media.conftest import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST = own_host()
ALL = ("PCMU", "PCMA", "G722", "OPUS")
MakeVoice = Callable[..., Voice]


def keys(suite: str, seed: int = 1) -> Srtp:
    size = MASTER_BYTES[suite]
    return Srtp(suite, bytes([seed]) * size, bytes([seed + 100]) * size)


@pytest_asyncio.fixture(loop_scope="session")
async def voice() -> AsyncIterator[MakeVoice]:
    """Makes peers, and hangs them up."""
    made: list[Voice] = []

    def make(codec: str, *, host: str = HOST, ptime_ms: int = 20, srtp: Srtp | None = None) -> Voice:
        made.append(Voice(host, codec, ptime_ms=ptime_ms, srtp=srtp))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], str]:
    def write(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


@pytest.fixture
def tone(write: Callable[[str, bytes], str]) -> Prompt:
    """700 Hz for 0.6 s."""
    return prompt_of(write, "tone", tones.sine(700, 0.6))


async def played(bench: "Bench", peer: Voice, prompt: Prompt, stream: str = "s", **changes: object) -> None:
    await bench.plane.open(stream)
    bench.plane.connect(stream, peer.remote(**changes))
    bench.plane.play(stream, "p", prompt, 1)
    await bench.until(lambda: bench.posted(PlaybackFinished, stream))


def pitch(sound: NDArray[np.int16]) -> float:
    (found,) = compare.find_tones(sound, most=1)
    return found


def has_grown(heard: list[RtpPacket], size: int) -> bool:
    return len(heard) >= size


# --- what is sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
async def test_a_prompt_is_heard_in_packets_of_the_size_that_was_asked_for(
    bench: "Bench", voice: MakeVoice, tone: Prompt, codec: str, ptime_ms: int
) -> None:
    peer = voice(codec, ptime_ms=ptime_ms)
    await played(bench, peer, tone)
    report = await bench.plane.close("s")
    shape = CODECS[codec]
    packet_ms = shape.packet_ms(ptime_ms)
    assert {len(one.payload) for one in peer.heard} == {shape.frame_bytes * packet_ms // 20}
    steps = {(b.timestamp - a.timestamp) & 0xFFFF_FFFF for a, b in itertools.pairwise(peer.heard)}
    lost = report.gaps > 0
    assert steps == {shape.frame_ticks * packet_ms // 20} or lost
    sound = peer.sound()
    assert pitch(sound[800:4000]) == pytest.approx(700, abs=12)
    assert rms_dbfs(sound[800:4000]) == pytest.approx(rms_dbfs(tones.sine(700, 0.4)), abs=1.5)


@pytest.mark.parametrize("codec", ["PCMU", "OPUS"])
@pytest.mark.parametrize("suite", sorted(MASTER_BYTES))
async def test_a_prompt_goes_through_srtp(
    bench: "Bench", voice: MakeVoice, tone: Prompt, codec: str, suite: str
) -> None:
    peer = voice(codec, srtp=keys(suite))
    await played(bench, peer, tone)
    report = await bench.plane.close("s")
    assert peer.unopened == 0
    assert pitch(peer.sound()[800:4000]) == pytest.approx(700, abs=12)
    (goodbye,) = [one for compound in peer.reports for one in compound if isinstance(one, rtcp.Goodbye)]
    assert goodbye.ssrcs == (peer.heard[0].ssrc,)
    assert report.packets_sent == len(peer.heard)


async def test_a_prompt_goes_on_in_the_codec_and_packet_time_of_a_new_agreement(
    bench: "Bench", voice: MakeVoice, write: Callable[[str, bytes], str]
) -> None:
    prompt = prompt_of(write, "long", np.concatenate([tones.sine(hertz, 0.4) for hertz in (500, 800, 1100, 1400)]))
    peer = voice("PCMU")
    await bench.plane.open("s")
    bench.plane.connect("s", peer.remote())
    bench.plane.play("s", "p", prompt, 1)
    for codec, ptime_ms in (("OPUS", 20), ("G722", 30), ("PCMA", 60)):
        heard = len(peer.heard)
        await until(partial(has_grown, peer.heard, heard + 12))
        bench.plane.connect("s", peer.remote(codec=codec, payload_type=PAYLOAD_TYPES[codec], ptime_ms=ptime_ms))
    await bench.until(lambda: bench.posted(PlaybackFinished, "s"))
    (finished,) = bench.posted(PlaybackFinished, "s")
    assert isinstance(finished, PlaybackFinished)
    assert finished.completed
    kinds = [one.payload_type for one in peer.heard]
    assert list(dict.fromkeys(kinds)) == [0, 107, 9, 8]
    numbers = [one.sequence for one in peer.heard]
    assert all(0 < (b - a) & 0xFFFF < 100 for a, b in itertools.pairwise(numbers))


# --- what is received through SRTP ---------------------------------------------------------------------------------


async def test_only_what_the_peer_sealed_is_believed(bench: "Bench", voice: MakeVoice) -> None:
    suite = "AES_CM_128_HMAC_SHA1_80"
    peer, stranger = voice("PCMU", srtp=keys(suite)), voice("PCMU", srtp=keys(suite, seed=9))
    local = await bench.plane.open("s")
    bench.plane.connect("s", peer.remote())
    sound = peer.packets(tones.sine(700, 0.2))
    sealed = [peer.sealed(one) for one in sound]
    tampered = bytearray(peer.sealed(peer.packets(tones.sine(700, 0.02))[0]))
    stranger.sequence = peer.sequence + 5
    tampered[20] ^= 1
    for data in (
        *sealed,
        *sealed[-3:],
        bytes(tampered),
        stranger.sealed(stranger.packets(tones.sine(700, 0.02))[0]),
        b"\x80" * 11,
    ):
        peer.rtp.sendto(data, (local.host, local.port))
    await peer.press(local, "7")
    await bench.until(lambda: bench.posted(DigitPressed, "s"))
    peer.send_report(local)
    await peer.is_read()
    report = await bench.plane.close("s")
    (pressed,) = bench.posted(DigitPressed, "s")
    assert isinstance(pressed, DigitPressed)
    assert pressed.digit == "7"
    keys_sent = len(list(telephone_event.press("7", 100)))
    assert report.packets_received == len(sound) + keys_sent
    assert (report.replayed, report.unauthentic, report.malformed, report.refused) == (3, 2, 1, 0)


async def test_keys_that_stay_the_same_go_on_and_new_ones_are_used(
    bench: "Bench", voice: MakeVoice, tone: Prompt
) -> None:
    suite = "AES_256_CM_HMAC_SHA1_80"
    one, two = keys(suite), keys("AES_CM_128_HMAC_SHA1_32", seed=5)
    peer = voice("PCMU", srtp=one)
    await bench.plane.open("s")
    bench.plane.connect("s", peer.remote())
    await bench.until(lambda: len(peer.heard) > 3)
    bench.plane.connect("s", peer.remote(event_payload_type=None))
    heard = len(peer.heard)
    await bench.until(lambda: len(peer.heard) > heard + 3)
    assert peer.unopened == 0
    bench.plane.connect("s", peer.remote(srtp=two))
    await bench.until(lambda: peer.unopened > 3)
    bench.plane.connect("s", peer.remote(srtp=None))
    await bench.plane.close("s")


# --- bridges whose sides differ ------------------------------------------------------------------------------------

SIDES = [
    ("PCMU", 20, "OPUS", 20),
    ("OPUS", 20, "G722", 30),
    ("G722", 20, "PCMA", 20),
    ("PCMU", 20, "PCMU", 60),
    ("PCMA", 30, "PCMU", 10),
]


@pytest.mark.parametrize(("codec", "ptime_ms", "other_codec", "other_ptime_ms"), SIDES)
@pytest.mark.parametrize("encrypted", [False, True])
async def test_two_that_speak_differently_hear_each_other(
    bench: "Bench",
    voice: MakeVoice,
    codec: str,
    ptime_ms: int,
    other_codec: str,
    other_ptime_ms: int,
    encrypted: bool,
) -> None:
    one = voice(codec, ptime_ms=ptime_ms, srtp=keys("AES_CM_128_HMAC_SHA1_80") if encrypted else None)
    two = voice(other_codec, ptime_ms=other_ptime_ms)
    locals_ = [await bench.plane.open(stream) for stream in ("one", "two")]
    bench.plane.connect("one", one.remote())
    bench.plane.connect("two", two.remote())
    bench.plane.bridge("one", "two")
    sounds = tones.sine(600, 1.0), tones.sine(1500, 1.0)
    await asyncio.gather(one.is_spoken_to(), two.is_spoken_to())
    await asyncio.gather(one.say(locals_[0], sounds[0]), two.say(locals_[1], sounds[1]))
    await asyncio.gather(one.is_read(), two.is_read())
    late_frames = [(await bench.plane.close(stream)).gaps for stream in ("one", "two")]
    late_seconds = one.late_seconds + two.late_seconds + 0.02 * max(late_frames)
    for peer, hertz in ((one, 1500), (two, 600)):
        is_heard(peer.sound(), hertz, rms_dbfs(sounds[0]), late_seconds)
        shape = CODECS[peer.codec]
        assert {len(packet.payload) for packet in peer.heard} == {
            shape.frame_bytes * shape.packet_ms(peer.ptime_ms) // 20
        }
        numbers = [packet.sequence for packet in peer.heard]
        assert all(0 < (later - earlier) & 0xFFFF < 100 for earlier, later in itertools.pairwise(numbers))


def loud_part(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """What is not silent, without what a late machine left out."""
    loud = [at for at in range(0, len(sound) - 160, 160) if rms_dbfs(sound[at : at + 160]) > -35]
    return np.concatenate([sound[:0], *(sound[at : at + 160] for at in loud)])


def is_heard(sound: NDArray[np.int16], hertz: float, level_dbfs: float, late_seconds: float) -> None:
    """Most of 0.8 s or more of a tone is there, but for what a late machine left out."""
    loud = loud_part(sound)
    assert len(loud) >= (0.4 - late_seconds) * 8000
    if len(loud) >= 0.3 * 8000:
        assert pitch(loud[800:-800]) == pytest.approx(hertz, abs=15)
        assert rms_dbfs(loud[800:-800]) == pytest.approx(level_dbfs, abs=2)


@pytest.mark.parametrize(("codec", "other_codec"), [("PCMU", "OPUS"), ("OPUS", "PCMA"), ("G722", "PCMU")])
async def test_keys_pass_a_transcoded_bridge_at_the_far_sides_clock(
    bench: "Bench", voice: MakeVoice, codec: str, other_codec: str
) -> None:
    one, two = voice(codec), voice(other_codec)
    local = await bench.plane.open("one")
    await bench.plane.open("two")
    clocks = {name: 48_000 if name == "OPUS" else 8_000 for name in (codec, other_codec)}
    bench.plane.connect("one", one.remote(heard_event_clock_rate=clocks[codec], event_clock_rate=clocks[codec]))
    other = two.remote(
        sent_event_payload_type=110,
        heard_event_clock_rate=clocks[other_codec],
        event_clock_rate=clocks[other_codec],
    )
    bench.plane.connect("two", other)
    bench.plane.bridge("one", "two")
    await two.is_spoken_to()
    await one.say(local, tones.sine(600, 0.3))
    for digit in "42":
        await one.press(local, digit, clocks[codec])
        await one.say(local, tones.sine(600, 0.1))
    await bench.until(lambda: len(bench.posted(DigitPressed, "one")) == 2)
    sent = 2 * len(list(telephone_event.press("4", 100)))
    await until(lambda: sum(packet.payload_type == 110 for packet in two.heard) == sent)
    events = [packet for packet in two.heard if packet.payload_type == 110]
    receiver = telephone_event.DigitReceiver(clocks[other_codec])
    heard = [receiver.receive(one.timestamp, one.payload, marker=one.marker) for one in events]
    assert "".join(digit for digit in heard if digit) == "42"
    durations = {telephone_event.parse(packet.payload).duration for packet in events}
    assert max(durations) == clocks[other_codec] // 10
    await bench.plane.close("one")
    await bench.plane.close("two")


# --- recordings and keys among the sounds --------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_recording_has_both_sides_of_a_call(
    bench: "Bench", voice: MakeVoice, tmp_path: Path, write: Callable[[str, bytes], str], codec: str, encrypted: bool
) -> None:
    peer = voice(codec, srtp=keys("AES_CM_128_HMAC_SHA1_80") if encrypted else None)
    prompt = prompt_of(write, "said", tones.sine(500, 0.8))
    local = await bench.plane.open("s")
    bench.plane.connect("s", peer.remote())
    path = tmp_path / "call.wav"
    bench.plane.record("s", str(path))
    bench.plane.play("s", "p", prompt, 1)
    await peer.is_spoken_to()
    await peer.say(local, tones.sine(1200, 0.8))
    await bench.until(lambda: bench.posted(PlaybackFinished, "s"))
    await peer.is_read()
    late_seconds = peer.late_seconds + 0.02 * (await bench.plane.close("s")).gaps
    await bench.until(lambda: bench.posted(RecordingFinished, "s"))
    left, right = channels(path)
    for sound, hertz in ((left, 1200), (right, 500)):
        is_heard(sound, hertz, rms_dbfs(tones.sine(500, 0.5)), late_seconds)


def channels(path: Path) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return samples[:, 0].copy(), samples[:, 1].copy()


@pytest.mark.parametrize("codec", ALL)
async def test_keys_are_found_among_the_sounds_of_every_codec(bench: "Bench", voice: MakeVoice, codec: str) -> None:
    peer = voice(codec)
    local = await bench.plane.open("s")
    bench.plane.connect("s", peer.remote())
    bench.plane.listen("s", wanted=True)
    await peer.is_spoken_to()
    pause = np.zeros(800, dtype=np.int16)
    pressed = np.concatenate([part for digit in "159#" for part in (tones.dtmf(digit, 0.1), pause)])
    await peer.say(local, pressed)
    await bench.until(lambda: len(bench.posted(DigitPressed, "s")) >= 4)
    await bench.plane.close("s")
    found = [event for event in bench.posted(DigitPressed, "s") if isinstance(event, DigitPressed)]
    assert "".join(event.digit for event in found) == "159#"
    assert all(event.in_band for event in found)


# --- where it goes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_symmetric_peer_is_found_where_it_speaks_and_nobody_else_after_it(
    bench: "Bench", voice: MakeVoice, tone: Prompt, encrypted: bool
) -> None:
    srtp = keys("AES_CM_128_HMAC_SHA1_80") if encrypted else None
    signalled, real, late = voice("PCMU", srtp=srtp), voice("PCMU", srtp=srtp), voice("PCMU", srtp=srtp)
    local = await bench.plane.open("s")
    bench.plane.connect("s", signalled.remote(symmetric=True))
    await bench.until(lambda: signalled.heard)  # until it shows where it is, it is where it said
    late.rtp.sendto(b"nonsense", (local.host, local.port))
    other = voice("PCMU")
    other.send(local, other.packets(tones.sine(700, 0.02))[0]) if encrypted else None
    await real.say(local, tones.sine(900, 0.1))
    await bench.until(lambda: real.heard)
    before = len(signalled.heard)
    late.sequence = 200
    await late.say(local, tones.sine(900, 0.1))
    await real.is_read()
    bench.plane.connect("s", signalled.remote(symmetric=True, event_payload_type=None))  # the same place again
    bench.plane.play("s", "p", tone, 1)
    await bench.until(lambda: bench.posted(PlaybackFinished, "s"))
    report = await bench.plane.close("s")
    assert len(signalled.heard) <= before + 1
    assert late.heard == []
    assert pitch(loud_part(real.sound())) == pytest.approx(700, abs=12)
    assert report.packets_received == 5
    assert report.refused == 6 + (1 if encrypted else 0)


async def test_without_it_only_the_place_that_was_signalled_is_heard(bench: "Bench", voice: MakeVoice) -> None:
    signalled, real = voice("PCMU"), voice("PCMU")
    local = await bench.plane.open("s")
    bench.plane.connect("s", signalled.remote())
    await real.say(local, tones.sine(900, 0.1))
    await signalled.is_read()
    report = await bench.plane.close("s")
    assert report.packets_received == 0
    assert real.heard == []


@pytest.mark.parametrize("encrypted", [False, True])
async def test_rtcp_shares_the_port_when_that_was_agreed_upon(
    bench: "Bench", voice: MakeVoice, encrypted: bool
) -> None:
    peer = voice("PCMU", srtp=keys("AES_CM_128_HMAC_SHA1_32") if encrypted else None)
    local = await bench.plane.open("s")
    bench.plane.connect("s", peer.remote(rtcp_mux=True))
    await bench.until(lambda: len(peer.heard) > 2)
    await peer.say(local, tones.sine(900, 0.06))
    peer.send_report(local, port=local.port)
    await peer.is_read()
    report = await bench.plane.close("s")
    await bench.until(lambda: peer.reports)
    assert (report.packets_received, report.malformed, report.unauthentic, report.refused) == (3, 0, 0, 0)


@pytest_asyncio.fixture(loop_scope="session")
async def plane6() -> AsyncIterator[tuple[MediaPlane, list[MediaEvent]]]:
    """A media plane at ::1, with its coders loaded before the first call."""
    events: list[MediaEvent] = []
    plane = MediaPlane("::1", unused_ports(20, HOST), platform_clock(), events.append)
    plane.wide = plane.srtp = True
    await plane.start()
    yield plane, events
    await plane.stop()


async def test_two_phones_speak_over_ipv6(
    plane6: tuple[MediaPlane, list[MediaEvent]], voice: MakeVoice, tone: Prompt
) -> None:
    plane, events = plane6
    one, two = voice("PCMU", host="::1"), voice("G722", host="::1", srtp=keys("AES_CM_128_HMAC_SHA1_80"))
    three = voice("PCMA", host="::1")
    local = await plane.open("one", "peers")
    for stream, peer in (("two", two), ("three", three)):
        await plane.open(stream, "peers")
        plane.connect(stream, peer.remote())
    plane.connect("one", one.remote())
    plane.play("one", "p", tone, 1)
    await one.press(local, "5")
    await until(lambda: any(isinstance(event, PlaybackFinished) for event in events))
    assert pitch(loud_part(one.sound())) == pytest.approx(700, abs=12)
    assert [event.digit for event in events if isinstance(event, DigitPressed)] == ["5"]
    plane.bridge("one", "two")
    await two.is_spoken_to()
    await one.say(local, tones.sine(1300, 0.6))
    await two.is_read()
    reports = [await plane.close(stream) for stream in ("one", "two", "three")]
    assert pitch(loud_part(two.sound())[800:]) == pytest.approx(1300, abs=15)
    assert all(peer.reports for peer in (one, two, three))
    assert all(report.send_errors == report.malformed == report.refused == 0 for report in reports)
    assert EVENTS not in {packet.payload_type for packet in three.heard}
