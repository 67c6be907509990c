"""What leaves: prompts on real sockets, from the real media process."""

from itertools import pairwise
from typing import Any

import pytest

from callwright.audio import g711, tones
from callwright.audio.compare import find_tones
from callwright.audio.prompt import Prompt
from callwright.errors import TelephonyError
from callwright.rtp import rtcp
from callwright.rtp.wrap import sequence_distance, timestamp_distance
from callwright.telephony.media.events import PlaybackFinished, PlaybackStarted
from callwright.telephony.media.stream import Direction

Bench = Any  # conftest's classes cannot be imported from here
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(("codec", "kind"), [("PCMU", 0), ("PCMA", 8)])
async def test_the_prompt_arrives_as_it_is_in_its_file(bench: Bench, codec: str, kind: int) -> None:
    phone = bench.phone()
    prompt = bench.prompt("tone", tones.sine(440, 0.4))
    local = await bench.plane.open("s")
    assert local.port % 2 == 0
    bench.plane.connect("s", phone.remote(codec))
    bench.plane.play("s", "p", prompt, 1)
    await bench.until(lambda: bench.posted(PlaybackFinished))
    await bench.until(lambda: len(phone.heard) > 22)
    report = await bench.plane.close("s")

    heard = phone.heard
    assert {packet.payload_type for packet in heard} == {kind}
    assert len({packet.ssrc for packet in heard}) == 1
    assert [packet.marker for packet in heard] == [True] + [False] * (len(heard) - 1)
    # Every gap that a loaded machine may cause has the same length in sequence numbers and in timestamps.
    for before, after in pairwise(heard):
        steps = sequence_distance(before.sequence, after.sequence)
        assert steps >= 1
        assert timestamp_distance(before.timestamp, after.timestamp) == 160 * steps
    if report.gaps == 0:
        with open(prompt.paths[codec], "rb") as file:  # noqa: ASYNC230, PTH123 a few kilobytes of a test's own
            played = file.read()
        assert played in phone.payload()
    samples = g711.decode(codec, phone.payload())
    assert find_tones(samples)[0] == pytest.approx(440, abs=3)
    assert heard[-1].payload == bytes([g711.SILENCE[codec]]) * 160

    started, finished = bench.events
    assert (type(started), started.stream_id, started.playback_id) == (PlaybackStarted, "s", "p")
    assert (type(finished), finished.playback_id, finished.completed) == (PlaybackFinished, "p", True)
    assert finished.at > started.at
    assert report.packets_sent >= len(heard)
    assert (report.packets_received, report.mos) == (0, None)


async def test_a_stream_that_plays_nothing_sends_silence(bench: Bench) -> None:
    phone = bench.phone()
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote("PCMA"))
    await bench.until(lambda: len(phone.heard) >= 5)
    assert {packet.payload for packet in phone.heard} == {b"\xd5" * 160}


async def test_repetitions_follow_each_other_without_a_gap(bench: Bench) -> None:
    phone = bench.phone()
    prompt = bench.prompt("one", tones.sine(500, 0.1))
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    bench.plane.play("s", "p", prompt, 3)
    await bench.until(lambda: bench.posted(PlaybackFinished))
    await bench.until(lambda: len(phone.heard) > 16)
    report = await bench.plane.close("s")
    once = g711.encode("PCMU", tones.sine(500, 0.1))
    assert report.gaps or 3 * once in phone.payload()
    assert 4 * once not in phone.payload()
    assert [event.completed for event in bench.posted(PlaybackFinished)] == [True]


async def test_a_playback_without_end_goes_on_until_it_is_stopped(bench: Bench) -> None:
    phone = bench.phone()
    prompt = bench.prompt("one", tones.sine(500, 0.04))
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    bench.plane.play("s", "p", prompt, 0)
    await bench.until(lambda: len(phone.heard) > 30)
    assert not bench.posted(PlaybackFinished)
    bench.plane.stop_playback("s", "p")
    await bench.until(lambda: bench.posted(PlaybackFinished))
    assert [(event.completed, event.reason) for event in bench.posted(PlaybackFinished)] == [(False, "stopped")]
    assert find_tones(g711.decode("PCMU", phone.payload()))[0] == pytest.approx(500, abs=3)


async def test_playbacks_wait_for_the_connection_and_for_each_other(bench: Bench) -> None:
    phone = bench.phone()
    await bench.plane.open("s")
    bench.plane.play("s", "first", bench.prompt("low", tones.sine(500, 0.1)), 1)
    bench.plane.play("s", "second", bench.prompt("high", tones.sine(900, 0.1)), 1)
    bench.plane.connect("s", phone.remote("PCMA"))
    await bench.until(lambda: len(bench.posted(PlaybackFinished)) == 2)
    assert [(type(event), event.playback_id) for event in bench.events] == [
        (PlaybackStarted, "first"),
        (PlaybackFinished, "first"),
        (PlaybackStarted, "second"),
        (PlaybackFinished, "second"),
    ]
    both = g711.encode("PCMA", tones.sine(500, 0.1)) + g711.encode("PCMA", tones.sine(900, 0.1))
    report = await bench.plane.close("s")
    assert report.gaps or both in phone.payload()


async def test_a_stopped_playback_gives_way_to_silence_and_to_the_next(bench: Bench) -> None:
    phone = bench.phone()
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    bench.plane.play("s", "long", bench.prompt("long", tones.sine(500, 60)), 1)
    bench.plane.play("s", "waiting", bench.prompt("waiting", tones.sine(700, 60)), 1)
    await bench.until(lambda: bench.posted(PlaybackStarted))
    bench.plane.stop_playback("s", "waiting")
    bench.plane.stop_playback("s", "long")
    bench.plane.stop_playback("s", "long")
    bench.plane.stop_playback("s", "nobody's")
    bench.plane.stop_playback("nobody's", "long")
    await bench.until(lambda: len(bench.posted(PlaybackFinished)) == 2)
    phone.heard.clear()
    await bench.until(lambda: phone.heard and phone.heard[-1].payload == b"\xff" * 160)
    assert [(event.playback_id, event.completed, event.reason) for event in bench.posted(PlaybackFinished)] == [
        ("waiting", False, "stopped"),
        ("long", False, "stopped"),
    ]
    assert len(bench.posted(PlaybackStarted)) == 1


async def test_two_calls_at_once_hear_each_their_own(bench: Bench) -> None:
    phones = {"a": bench.phone(), "b": bench.phone()}
    for frequency, (stream_id, phone) in zip((600, 1100), phones.items(), strict=True):
        await bench.plane.open(stream_id)
        bench.plane.connect(stream_id, phone.remote())
        bench.plane.play(stream_id, "p", bench.prompt(stream_id, tones.sine(frequency, 0.3)), 1)
    await bench.until(lambda: len(bench.posted(PlaybackFinished)) == 2)
    for frequency, phone in zip((600, 1100), phones.values(), strict=True):
        assert find_tones(g711.decode("PCMU", phone.payload())) == [pytest.approx(frequency, abs=3)]
    assert phones["a"].heard[0].ssrc != phones["b"].heard[0].ssrc


async def test_many_calls_share_one_prompt(bench: Bench) -> None:
    prompt = bench.prompt("shared", tones.sine(800, 0.2))
    for n in range(150):
        phone = bench.phone()
        await bench.plane.open(f"s{n}")
        bench.plane.connect(f"s{n}", phone.remote())
        bench.plane.play(f"s{n}", "p", prompt, 1)
    await bench.until(lambda: len(bench.posted(PlaybackFinished)) == 150)
    assert all(event.completed for event in bench.posted(PlaybackFinished))
    for phone in bench.phones:
        assert find_tones(g711.decode("PCMU", phone.payload()))[0] == pytest.approx(800, abs=3)
        before, after = phone.heard[0], phone.heard[-1]
        steps = sequence_distance(before.sequence, after.sequence)
        assert timestamp_distance(before.timestamp, after.timestamp) == 160 * steps


async def test_a_hold_stops_sending_but_not_time(bench: Bench) -> None:
    phone = bench.phone()
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    await bench.until(lambda: phone.heard)
    bench.plane.connect("s", phone.remote(direction=Direction.RECVONLY))
    bench.plane.play("s", "unheard", bench.prompt("p", tones.sine(500, 0.2)), 1)
    await bench.until(lambda: bench.posted(PlaybackFinished))
    last = phone.heard[-1]
    assert b"".join(packet.payload for packet in phone.heard).count(b"\xff") == 160 * len(phone.heard)
    heard = len(phone.heard)
    bench.plane.connect("s", phone.remote())
    await bench.until(lambda: len(phone.heard) > heard)
    again = phone.heard[heard]
    assert again.marker
    assert sequence_distance(last.sequence, again.sequence) == 1
    assert timestamp_distance(last.timestamp, again.timestamp) > 160 * 10
    assert bench.posted(PlaybackFinished)[0].completed


async def test_a_new_codec_and_a_new_address_are_followed_in_the_middle_of_a_prompt(bench: Bench) -> None:
    first, second = bench.phone(), bench.phone()
    await bench.plane.open("s")
    bench.plane.connect("s", first.remote("PCMU"))
    bench.plane.play("s", "p", bench.prompt("p", tones.sine(500, 0.6)), 1)
    await bench.until(lambda: len(first.heard) > 5)
    bench.plane.connect("s", second.remote("PCMA"))
    await bench.until(lambda: bench.posted(PlaybackFinished))
    assert bench.posted(PlaybackFinished)[0].completed
    assert len(bench.posted(PlaybackStarted)) == 1
    assert {packet.payload_type for packet in second.heard} == {8}
    assert second.heard[0].ssrc == first.heard[0].ssrc
    steps = sequence_distance(first.heard[-1].sequence, second.heard[0].sequence)
    assert timestamp_distance(first.heard[-1].timestamp, second.heard[0].timestamp) == 160 * steps
    assert find_tones(g711.decode("PCMA", second.payload()))[0] == pytest.approx(500, abs=5)


async def test_closing_finishes_playbacks_says_goodbye_and_frees_everything(bench: Bench) -> None:
    await bench.plane.open("warm")
    await bench.plane.close("warm")
    before = bench.descriptors()
    phone = bench.phone()
    prompts = [bench.prompt(f"p{n}", tones.sine(500, 30)) for n in range(3)]
    for n in range(10):
        await bench.plane.open(f"s{n}")
        bench.plane.connect(f"s{n}", phone.remote())
        bench.plane.play(f"s{n}", "p", prompts[n % 3], 1)
    await bench.until(lambda: len(bench.posted(PlaybackStarted)) == 10)
    assert bench.descriptors() >= before + 20
    for n in range(10):
        await bench.plane.close(f"s{n}")
    finished = bench.posted(PlaybackFinished)
    assert [(event.completed, event.reason) for event in finished] == [(False, "the stream was closed")] * 10
    assert bench.descriptors() == before
    await bench.until(lambda: len(phone.reports) == 10)
    assert all(isinstance(compound[-1], rtcp.Goodbye) for compound in phone.reports)
    assert {compound[-1].ssrcs[0] for compound in phone.reports} == {packet.ssrc for packet in phone.heard}


async def test_a_prompt_that_cannot_be_played_is_finished_at_once(bench: Bench) -> None:
    phone = bench.phone()
    odd = bench.prompt("odd", tones.sine(500, 0.1))
    with open(odd.paths["PCMU"], "ab") as file:  # noqa: ASYNC230, PTH123 a byte of a test's own
        file.write(b"x")
    await bench.plane.open("s")
    bench.plane.connect("s", phone.remote())
    bench.plane.play("s", "missing", Prompt("k", 1.0, {"PCMU": "/nonexistent/prompt"}), 1)
    bench.plane.play("s", "odd", odd, 1)
    await bench.until(lambda: len(bench.posted(PlaybackFinished)) == 2)
    missing, broken = bench.posted(PlaybackFinished)
    assert (missing.playback_id, missing.completed) == ("missing", False)
    assert "No such file" in missing.reason
    assert "no whole number" in broken.reason
    assert not bench.posted(PlaybackStarted)


async def test_what_cannot_be_played_or_reached_is_refused(bench: Bench) -> None:
    phone = bench.phone()
    prompt = Prompt("k", 1.0, {"PCMA": "/nonexistent"})
    with pytest.raises(TelephonyError, match="not open"):
        bench.plane.play("s", "p", prompt, 1)
    with pytest.raises(TelephonyError, match="not open"):
        bench.plane.connect("s", phone.remote())
    with pytest.raises(TelephonyError, match="not open"):
        await bench.plane.close("s")
    await bench.plane.open("s")
    with pytest.raises(TelephonyError, match="open already"):
        await bench.plane.open("s")
    bench.plane.connect("s", phone.remote("PCMU"))
    with pytest.raises(TelephonyError, match="no PCMU form"):
        bench.plane.play("s", "p", prompt, 1)
    with pytest.raises(TelephonyError, match="-1 times"):
        bench.plane.play("s", "p", prompt, -1)


@pytest.mark.parametrize(
    ("address", "port", "codec"),
    [
        ("0.0.0.0", 4000, "PCMU"),
        ("224.0.0.1", 4000, "PCMU"),
        ("2001:db8::1", 4000, "PCMU"),
        ("phone.example.com", 4000, "PCMU"),
        ("127.0.0.1", 0, "PCMU"),
        ("127.0.0.1", 65_536, "PCMU"),
        ("127.0.0.1", 4000, "G729"),
    ],
)
async def test_impossible_peers_are_refused(bench: Bench, address: str, port: int, codec: str) -> None:
    from callwright.telephony.media.stream import RemoteMedia

    await bench.plane.open("s")
    with pytest.raises(TelephonyError):
        bench.plane.connect("s", RemoteMedia(address, port, codec, 0))
