"""Story: the customer's own mp3 and wav files are fetched, heard, and heard as often as was asked."""

import io
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.hearing import place_ms

from callwright.audio import tones, wav
from callwright.audio.compare import find_tones, likeness

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer, Page
    from tests.programs import Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOW_HZ, HIGH_HZ = 620.0, 1_430.0


def melody(rate: int) -> NDArray[np.int16]:
    """A low tone, silence, a high tone: half a second that tells its beginning from its end."""
    pieces = [tones.sine(LOW_HZ, 0.24, rate=rate), tones.silence(0.06, rate), tones.sine(HIGH_HZ, 0.3, rate=rate)]
    return np.concatenate(pieces)


def mp3(samples: NDArray[np.int16], rate: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout="mono", bit_rate=64_000)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = rate
        for at in (frame, None):
            for packet in stream.encode(at):
                container.mux(packet)
    return buffer.getvalue()


async def play(customer: "Customer", number: str, name: str, page: "Page", **more: object) -> str:
    customer.web.pages[name] = page
    session_id = await customer.play(number, customer.web.url(name), **more)
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["details"]["callA"]["callStatus"]) == ("COMPLETED", "COMPLETED")
    return session_id


async def test_a_wav_file_is_heard_twice(site: "Site", customer: "Customer", page: "type[Page]") -> None:
    file = wav.serialize(melody(44_100), 44_100)
    session_id = await play(customer, site.phone(), "/message.wav", page(file), repetition=2)
    heard = await site.recording(session_id)
    once = melody(8_000)
    story = await customer.story(session_id)
    assert place_ms(heard, np.concatenate([once, once]), story.skipped_ms) >= -story.skipped_ms
    assert "44100 Hz" in story.only("speech.file")["form"]


async def test_an_mp3_file_is_heard_in_the_right_order(site: "Site", customer: "Customer", page: "type[Page]") -> None:
    file = mp3(melody(44_100), 44_100)
    session_id = await play(customer, site.phone(), "/message.mp3", page(file))
    heard = await site.recording(session_id)
    assert sorted(round(tone / 10) * 10 for tone in find_tones(heard, most=2)) == [LOW_HZ, HIGH_HZ]
    assert likeness(heard, tones.sine(LOW_HZ, 0.2)).delay_ms < likeness(heard, tones.sine(HIGH_HZ, 0.2)).delay_ms
    story = await customer.story(session_id)
    assert "mp3" in story.only("speech.file")["form"]
    assert place_ms(heard, site.prompt(story.only("speech.file")["key"]), story.skipped_ms) >= -story.skipped_ms


async def test_a_file_behind_redirects_is_found_and_fetched_once_in_an_hour(
    site: "Site", customer: "Customer", page: "type[Page]"
) -> None:
    file = wav.serialize(melody(16_000), 16_000)
    customer.web.pages["/here.wav"] = page(file)
    moved = page(status=302, headers={"Location": customer.web.url("/here.wav")})
    first = await play(customer, site.phone(), "/there.wav", moved)
    second = await play(customer, site.phone(), "/there.wav", moved)
    assert customer.web.fetched == ["/there.wav", "/here.wav"]
    assert not (await customer.story(first)).only("speech.file")["hit"]
    assert (await customer.story(second)).only("speech.file")["hit"]
    story = await customer.story(second)
    assert place_ms(await site.recording(second), melody(8_000), story.skipped_ms) >= -story.skipped_ms


async def test_a_file_and_a_text_follow_each_other(site: "Site", customer: "Customer", page: "type[Page]") -> None:
    customer.web.pages["/jingle.wav"] = page(wav.serialize(melody(8_000)))
    session_id = await customer.send(
        {"action": "makeCall", "params": {"source": "+6531350000", "destination": site.phone()}},
        {"action": "playFile", "params": {"fileUrl": customer.web.url("/jingle.wav")}},
        {"action": "say", "params": {"text": "One.", "voiceProfile": "en-IE-EmilyNeural"}},
    )
    summary = await customer.summary(session_id)
    assert (summary["sessionStatus"], summary["lastAction"]) == ("COMPLETED", "SAY")
    story = await customer.story(session_id)
    heard = await site.recording(session_id)
    text = site.prompt(story.only("speech.cache")["key"])
    assert place_ms(heard, melody(8_000), story.skipped_ms) < place_ms(heard, text, story.skipped_ms)


async def test_the_command_line_plays_a_local_file(site: "Site", shell: "Shell") -> None:
    (shell.folder / "message.mp3").write_bytes(mp3(melody(44_100), 44_100))
    number = site.phone()
    place = ["--http", str(site.node.http.address), "--data", str(site.data)]
    ended = await shell.ended("call", number, "--file", "message.mp3", "--repeat", "2", *place)
    assert ended.status == 0, ended.err
    assert "COMPLETED" in ended.out
    (session,) = (heard for heard in site.heard.values() if heard.number == number)
    heard = await site.recording(session.session_id)
    trace = await site.node.store.find_trace(session.session_id)
    assert trace is not None
    (report,) = (entry.fields for entry in trace.entries if entry.kind == "rtp.report")
    skipped_ms = 20 * int(str(report["late_frames"]))
    assert place_ms(heard, np.concatenate([melody(8_000)] * 2), skipped_ms) >= -skipped_ms
