"""Texts and files become prompts: real engine, real decoder, real server."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import compare, g711, tones, wav
from callwright.audio.codecs import CODECS
from callwright.audio.coding import Decoder
from callwright.audio.prompt import Prompt
from callwright.egress import Egress
from callwright.errors import ErrorCode, FileFailed, SpeechFailed
from callwright.speech.prompts import MOST_FILE_BYTES, Prompts
from callwright.speech.synthesizer import EngineVoice, Spoken, VoiceLike
from callwright.speech.text import sanitise
from callwright.telemetry.trace import Trace

EMILY = "en-IE-EmilyNeural"
SENTENCE = "Hello, this is a test Voice Message."
SOUND = wav.serialize(tones.sine(1000, 0.5, rate=16_000), 16_000)


class Hands(Protocol):
    """The clock that moves when told to (conftest)."""

    now: float

    def __call__(self) -> float: ...


class CountingEngine:
    """A tone for every text; counts, waits and fails as told."""

    engine = "tone"
    version = "1"

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.failing = False
        self.widened = 0

    def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
        return EngineVoice(profile.code, exact=True) if profile.locale == "en-IE" else None

    def prepared(self, text: str) -> str:
        return sanitise(text)

    def widen(self) -> None:
        self.widened += 1

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def synthesize(self, text: str, voice: EngineVoice, speed: float) -> Spoken:
        self.texts.append(text)
        await self.go.wait()
        if self.failing:
            raise SpeechFailed("The tone is broken.")
        return Spoken(tones.sine(440, 0.2).tobytes(), simplified=False)


def heard(prompt: Prompt, encoding: str) -> NDArray[np.int16]:
    return g711.decode(encoding, Path(prompt.paths[encoding]).read_bytes())


def remove(prompt: Prompt) -> None:
    for path in prompt.paths.values():
        Path(path).unlink()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def entries(trace: Trace, kind: str) -> list[dict[str, object]]:
    return [dict(entry.fields) for entry in trace.entries if entry.kind == kind]


async def test_a_text_is_spoken_once_and_kept(prompts: Prompts, trace: Trace) -> None:
    first = await prompts.speech(SENTENCE, EMILY, 1.0, trace)
    again = await prompts.speech("  Hello,  this is a test Voice Message. ", EMILY, 1.0, trace)
    slower = await prompts.speech(SENTENCE, EMILY, 0.5, trace)
    assert first == again
    assert slower.key != first.key
    assert slower.duration_seconds > 1.5 * first.duration_seconds
    for encoding, path in first.paths.items():
        assert path.endswith(encoding.lower())
        sound = heard(first, encoding)
        assert len(sound) == round(first.duration_seconds * 8_000)
        assert len(sound) % 160 == 0
        assert float(np.abs(sound.astype(np.int32)).mean()) > 200
    assert [entry["hit"] for entry in entries(trace, "speech.cache")] == [False, True, False]
    assert entries(trace, "speech.voice")[0] == {
        "profile": EMILY,
        "engine": "espeak-ng",
        "voice": "gmw/en+f2",
        "fallback": True,
        "speed": 1.0,
        "key": first.key[:16],
    }


async def test_of_texts_made_side_by_side_the_record_tells_which_is_which(prompts: Prompts) -> None:
    await prompts.speech("Short.", EMILY, 1.0, Trace("before"))
    trace = Trace("both")
    long, short = await asyncio.gather(
        prompts.speech(SENTENCE * 3, EMILY, 1.0, trace),  # asked for first, ready last
        prompts.speech("Short.", EMILY, 1.0, trace),
    )
    assert [entry["key"] for entry in entries(trace, "speech.voice")] == [long.key[:16], short.key[:16]]
    assert [entry["key"] for entry in entries(trace, "speech.cache")] == [short.key[:16], long.key[:16]]


async def test_a_restart_finds_the_spoken_text_again(
    prompts: Prompts, tmp_path: Path, egress: Egress, clock: Hands, trace: Trace
) -> None:
    engine = CountingEngine()
    before = Prompts(tmp_path / "prompts", egress, clock, synthesizers=[engine])
    first = await before.speech(SENTENCE, EMILY, 1.0, trace)
    after = Prompts(tmp_path / "prompts", egress, clock, synthesizers=[engine])
    assert await after.speech(SENTENCE, EMILY, 1.0, trace) == first
    assert engine.texts == [SENTENCE]
    assert prompts is not after


@pytest.fixture
async def toned(tmp_path: Path, egress: Egress, clock: Hands) -> AsyncIterator[tuple[Prompts, CountingEngine]]:
    engine = CountingEngine()
    made = Prompts(tmp_path, egress, clock, synthesizers=[engine])
    yield made, engine
    await made.stop()


async def test_callers_that_want_the_same_at_once_share_one_job(
    toned: tuple[Prompts, CountingEngine], trace: Trace
) -> None:
    prompts, engine = toned
    engine.go.clear()
    callers = [asyncio.create_task(prompts.speech(SENTENCE, EMILY, 1.0, trace)) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    callers[0].cancel()
    engine.go.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert len({id(result) for result in results[1:]}) == 1
    assert engine.texts == [SENTENCE]


async def test_a_failure_reaches_every_caller_and_is_not_kept(
    toned: tuple[Prompts, CountingEngine], trace: Trace
) -> None:
    prompts, engine = toned
    engine.failing = True
    results = await asyncio.gather(
        *(prompts.speech(SENTENCE, EMILY, 1.0, trace) for _ in range(3)), return_exceptions=True
    )
    assert [str(result) for result in results] == ["The tone is broken."] * 3
    assert len({id(result) for result in results}) == 3
    engine.failing = False
    assert (await prompts.speech(SENTENCE, EMILY, 1.0, trace)).duration_seconds == 0.2
    assert len(engine.texts) == 2


async def test_prompts_are_made_anew_in_a_codec_that_comes_to_be_needed(
    tmp_path: Path, egress: Egress, clock: Hands, trace: Trace
) -> None:
    engine = CountingEngine()
    prompts = Prompts(tmp_path, egress, clock, synthesizers=[engine], workers=1)
    await prompts.start()
    try:
        before = await prompts.speech(SENTENCE, EMILY, 1.0, trace)
        prompts.widen(())
        assert (await prompts.speech(SENTENCE, EMILY, 1.0, trace), len(engine.texts), engine.widened) == (before, 1, 0)
        prompts.widen(("PCMU", "OPUS"))
        after = await prompts.speech(SENTENCE, EMILY, 1.0, trace)
        assert (list(after.paths), len(engine.texts), engine.widened) == (["PCMU", "PCMA", "OPUS"], 2, 1)
        prompts.widen(("G722",))  # what is needed once stays needed: calls outlive their trunks
        both = await prompts.speech(SENTENCE, EMILY, 1.0, trace)
        assert set(both.paths) == {*CODECS}
        assert (await prompts.speech(SENTENCE, EMILY, 1.0, trace), len(engine.texts)) == (both, 3)
    finally:
        await prompts.stop()


async def test_whoever_waits_for_a_prompt_while_a_codec_comes_gets_it_in_that_codec_too(
    tmp_path: Path, egress: Egress, clock: Hands, trace: Trace
) -> None:
    engine = CountingEngine()
    prompts = Prompts(tmp_path, egress, clock, synthesizers=[engine], workers=1)
    await prompts.start()
    try:
        engine.go.clear()
        early = asyncio.create_task(prompts.speech(SENTENCE, EMILY, 1.0, trace))
        while not engine.texts:  # noqa: ASYNC110  the engine tells nobody that it was asked
            await asyncio.sleep(0)
        prompts.widen(("G722",))
        late = asyncio.create_task(prompts.speech(SENTENCE, EMILY, 1.0, trace))
        await asyncio.sleep(0)
        engine.go.set()
        assert [set(prompt.paths) for prompt in await asyncio.gather(early, late)] == [{"PCMU", "PCMA", "G722"}] * 2
    finally:
        await prompts.stop()


async def test_the_first_engine_that_speaks_the_language_is_taken(
    tmp_path: Path, egress: Egress, clock: Hands, trace: Trace
) -> None:
    class Irishless(CountingEngine):
        engine = "other"

        def voice_for(self, profile: VoiceLike) -> EngineVoice | None:
            return None

    engines = [Irishless(), CountingEngine()]
    prompts = Prompts(tmp_path, egress, clock, synthesizers=engines)
    await prompts.speech(SENTENCE, EMILY, 1.0, trace)
    assert [engine.texts for engine in engines] == [[], [SENTENCE]]
    assert (entries(trace, "speech.voice")[0]["engine"], entries(trace, "speech.voice")[0]["fallback"]) == (
        "tone",
        False,
    )
    with pytest.raises(SpeechFailed, match="No speech engine here speaks da-DK"):
        await prompts.speech(SENTENCE, "da-DK-Naja", 1.0, trace)


@pytest.mark.parametrize(
    ("text", "voice", "speed", "reason"),
    [
        ("hello", "xx-XX-NobodyNeural", 1.0, "voice xx-XX-NobodyNeural is not known"),
        ("", EMILY, 1.0, "no letter and no digit"),
        ("?!… 👍", EMILY, 1.0, "no letter and no digit"),
        ("x" * 3_001, EMILY, 1.0, "longer than 3000"),
        ("hello", EMILY, 0.4, "speed 0.4"),
        ("hello", EMILY, float("nan"), "speed nan"),
    ],
)
async def test_what_cannot_be_spoken_fails_with_a_sentence(
    toned: tuple[Prompts, CountingEngine], trace: Trace, text: str, voice: str, speed: float, reason: str
) -> None:
    prompts, engine = toned
    with pytest.raises(SpeechFailed, match=reason) as failed:
        await prompts.speech(text, voice, speed, trace)
    assert failed.value.code is ErrorCode.SPEECH_FAILED
    assert engine.texts == []


async def test_a_full_disk_fails_with_a_sentence(tmp_path: Path, egress: Egress, clock: Hands, trace: Trace) -> None:
    prompts = Prompts(tmp_path / "absent", egress, clock, synthesizers=[CountingEngine()])
    with pytest.raises(SpeechFailed, match="could not be kept: No such file"):
        await prompts.speech(SENTENCE, EMILY, 1.0, trace)


async def test_a_speaker_killed_while_idle_costs_the_caller_nothing(prompts: Prompts, trace: Trace) -> None:
    await prompts.start()
    espeak = prompts._synthesizers[0]
    for pid in espeak.pool.pids():  # type: ignore[attr-defined]  # the port does not tell of processes
        os.kill(pid, signal.SIGKILL)
    assert (await prompts.speech("Still here.", EMILY, 1.0, trace)).duration_seconds > 0.3


class FileServer:
    """Answers every GET with what a path maps to; counts."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/sound.wav": SOUND}
        self.gets: list[str] = []
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.gets.append(path)
        body = self.files.get(path)
        status = "200 OK" if body is not None else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b""))
        await writer.drain()
        writer.close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
async def files() -> AsyncIterator[FileServer]:
    serving = FileServer()
    server = await asyncio.start_server(serving.accept, "127.0.0.1", 0)
    serving.port = server.sockets[0].getsockname()[1]
    yield serving
    server.close()
    await server.wait_closed()


async def test_a_file_is_fetched_decoded_and_kept_for_an_hour(
    prompts: Prompts, files: FileServer, clock: Hands, trace: Trace
) -> None:
    url = files.url("/sound.wav")
    first = await prompts.file("riders_hq", url, trace)
    assert first.duration_seconds == 0.5
    assert compare.find_tones(heard(first, "PCMA")[800:3200], most=1) == [pytest.approx(1000, abs=10)]
    clock.now += 3_599
    assert await prompts.file("riders_hq", url, trace) == first
    assert files.gets == ["/sound.wav"]
    clock.now += 2
    assert await prompts.file("riders_hq", url, trace) == first
    assert files.gets == ["/sound.wav"] * 2
    assert [entry["hit"] for entry in entries(trace, "speech.file")] == [False, True, False]
    assert entries(trace, "speech.file")[0]["form"] == f"pcm_s16le 16000 Hz 1 ch, {len(SOUND)} bytes"


async def test_a_file_is_cached_for_its_sub_account_only(prompts: Prompts, files: FileServer, trace: Trace) -> None:
    await prompts.file("one", files.url("/sound.wav"), trace)
    await prompts.file("two", files.url("/sound.wav"), trace)
    assert len(files.gets) == 2


async def test_a_changed_file_is_heard_after_the_hour(
    prompts: Prompts, files: FileServer, clock: Hands, trace: Trace
) -> None:
    first = await prompts.file("a", files.url("/sound.wav"), trace)
    files.files["/sound.wav"] = wav.serialize(tones.sine(700, 1.0))
    clock.now += 3_600
    assert (await prompts.file("a", files.url("/sound.wav"), trace)).key != first.key


async def test_callers_of_one_file_share_one_fetch(prompts: Prompts, files: FileServer, trace: Trace) -> None:
    await asyncio.gather(*(prompts.file("a", files.url("/sound.wav"), trace) for _ in range(10)))
    assert len(files.gets) == 1


async def test_a_cached_file_whose_prompt_is_gone_is_fetched_again(
    prompts: Prompts, files: FileServer, trace: Trace
) -> None:
    first = await prompts.file("a", files.url("/sound.wav"), trace)
    remove(first)
    assert await prompts.file("a", files.url("/sound.wav"), trace) == first
    assert len(heard(first, "PCMU")) == 4_000


async def test_a_file_that_cannot_be_played_fails_with_a_sentence(
    prompts: Prompts, files: FileServer, trace: Trace
) -> None:
    files.files |= {
        "/page": b"<html>hello</html>",
        "/huge": bytes(MOST_FILE_BYTES + 1),
        "/exact": SOUND + bytes(MOST_FILE_BYTES - len(SOUND)),
        "/slow.wav": SOUND[:24] + (1).to_bytes(4, "little") + SOUND[28:],
        "/empty": b"",
    }
    reasons = {
        files.url("/absent.mp3"): "could not be fetched. The server answered with status 404",
        files.url("/page"): "neither an mp3 nor a wav file: it looks like a web page",
        files.url("/huge"): "larger than 5,242,880 bytes",
        files.url("/slow.wav"): "sample rate of 1 Hz",
        files.url("/empty"): "it is empty",
        "http://10.0.0.1/a.mp3": "a private address",
        "http://169.254.169.254/latest": "a link-local address",
        "ftp://files.example.com/a.mp3": "Only complete http and https URLs",
        "http://127.0.0.1:1/a.mp3": "port 1 is a port that belongs to another protocol",
        "": "Only complete http and https URLs",
    }
    for url, reason in reasons.items():
        with pytest.raises(FileFailed) as failed:
            await prompts.file("a", url, trace)
        assert reason in str(failed.value)
        assert failed.value.code is ErrorCode.FILE_FAILED
    assert (await prompts.file("a", files.url("/exact"), trace)).duration_seconds >= 0.5
    gets = len(files.gets)
    with pytest.raises(FileFailed):  # a failure is not cached
        await prompts.file("a", files.url("/absent.mp3"), trace)
    assert len(files.gets) == gets + 1


async def test_a_decoder_is_started_by_the_first_file(prompts: Prompts, files: FileServer, trace: Trace) -> None:
    await prompts.start()
    assert prompts._decoders.pids() == []
    assert (await prompts.file("a", files.url("/sound.wav"), trace)).duration_seconds >= 0.5
    assert len(prompts._decoders.pids()) == 1


async def test_a_decoder_killed_while_idle_costs_the_caller_nothing(
    prompts: Prompts, files: FileServer, trace: Trace
) -> None:
    await prompts._decoders.start()
    for pid in prompts._decoders.pids():
        os.kill(pid, signal.SIGKILL)
    assert (await prompts.file("a", files.url("/sound.wav"), trace)).duration_seconds >= 0.5


async def test_stopping_ends_the_workers_and_what_is_under_way(prompts: Prompts, trace: Trace) -> None:
    await prompts.start()
    await prompts._decoders.start()
    espeak = prompts._synthesizers[0]
    pids = [*prompts._decoders.pids(), *espeak.pool.pids()]  # type: ignore[attr-defined]  # see above
    assert len(pids) == 2
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    waiting = asyncio.create_task(prompts.speech("Never spoken.", EMILY, 1.0, trace))
    await asyncio.sleep(0.02)
    await prompts.stop()
    with pytest.raises(SpeechFailed, match="is stopping"):
        await waiting
    assert not any(alive(pid) for pid in pids)


async def test_prompts_for_wide_band_trunks_have_what_their_source_has(
    tmp_path: Path, egress: Egress, clock: Hands, trace: Trace, files: FileServer
) -> None:
    """A tone at 5 kHz is in the forms for G.722 and Opus, and in no form for G.711."""
    (tmp_path / "prompts").mkdir()
    wide = Prompts(tmp_path / "prompts", egress, clock, workers=1, wide_codecs=("G722", "OPUS"))
    files.files["/high.wav"] = wav.serialize(tones.sine(5_000, 0.6, rate=16_000), 16_000)
    try:
        played = await wide.file("sub", files.url("/high.wav"), trace)
        spoken = await wide.speech(SENTENCE, EMILY, 1.0, trace)
    finally:
        await wide.stop()
    for prompt in (played, spoken):
        forms = read(prompt)
        assert set(forms) == set(CODECS)
        for codec, form in forms.items():
            assert len(form) == CODECS[codec].frame_bytes * round(prompt.duration_seconds * 50)
            above = above_4_khz(decoded(codec, form), CODECS[codec].sample_rate)
            assert (above > 0.01) is (codec in ("G722", "OPUS")), (codec, above)


def read(prompt: Prompt) -> dict[str, bytes]:
    return {codec: Path(path).read_bytes() for codec, path in prompt.paths.items()}


def decoded(codec: str, form: bytes) -> NDArray[np.int16]:
    size, decoder = CODECS[codec].frame_bytes, Decoder(codec)
    return np.concatenate([decoder.decode(form[at : at + size]) for at in range(0, len(form), size)])


def above_4_khz(sound: NDArray[np.int16], rate: int) -> float:
    """As a share of all its energy."""
    energy = np.abs(np.fft.rfft(sound)) ** 2
    return float(energy[np.fft.rfftfreq(len(sound), 1 / rate) > 4_100].sum() / energy.sum())
