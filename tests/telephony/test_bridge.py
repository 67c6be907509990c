"""Two phones that hear each other through us: what each says is found again at the other's ear and in the recording."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from tests.customers import PATIENCE_SECONDS

from callwright.audio import levels, tones, wav
from callwright.callflow.events import (
    Answered,
    DigitPressed,
    HungUp,
    NotAnswered,
    PlaybackFinished,
    PlaybackStarted,
)
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.simulator.behaviour import Behaviour, Press
from callwright.simulator.carrier import Carrier, Heard
from callwright.simulator.loopback import LoopbackLine, own_host, prompt_of, unused_ports
from callwright.simulator.placed import PlacedCall
from callwright.telemetry.clock import platform_clock
from callwright.telemetry.trace import TraceEntry
from callwright.telephony.keys import SLACK_SECONDS, KeyWay
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOST = own_host()

CALLER_HZ, CALLEE_HZ = 700.0, 1_100.0


@dataclass
class Exchange:
    """One line, the carrier around it, and what its phones heard."""

    line: LoopbackLine
    carrier: Carrier
    folder: Path
    _heard: "asyncio.Queue[Heard]"
    _kept: dict[str, Heard]

    async def caller(self, behaviour: Behaviour) -> tuple[str, PlacedCall]:
        """Somebody calls and is picked up: the leg, and the call as the caller has it."""
        placed = self.carrier.call(self.line.telephony.address, "+6590001111", "+6531350000", behaviour)
        leg = (await self.line.take()).leg_id
        self.line.telephony.pick_up(leg)
        await self.line.until(leg, Answered)
        return leg, placed

    def dial(self, behaviour: Behaviour) -> tuple[str, str]:
        """Call somebody: the leg, and the name of what will be heard there."""
        number = f"+6591{random.randrange(10**6):06}"
        self.carrier.behave(number, behaviour)
        name = f"callee-{number.removeprefix('+')}"
        return self.line.dial(number, name), name

    async def heard(self, name: str) -> Heard:
        """What a phone heard, when its call is over."""
        while name not in self._kept:
            heard = await self._heard.get()
            self._kept[heard.session_id] = heard
        return self._kept[name]

    async def until_heard(self, *tones_hz: float, frames: int) -> None:
        """Wait until phones on the line have heard that much of each of these tones."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not all(self._most_heard(hz) >= frames for hz in tones_hz):  # noqa: ASYNC110  phones tell nobody
                await asyncio.sleep(0.05)

    def _most_heard(self, hz: float) -> int:
        recordings = [phone.handset.recording.samples() for phone in self.carrier._phones.values()]
        return max((frames_of(np.frombuffer(heard, dtype=np.int16), hz) for heard in recordings), default=0)

    async def hang_up(self, *legs: str) -> None:
        for leg in legs:
            self.line.telephony.hang_up(leg)
            await self.line.until(leg, HungUp)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    folder, clock = tmp_path_factory.mktemp("heard"), platform_clock()
    heard: asyncio.Queue[Heard] = asyncio.Queue()
    carrier = Carrier(HOST, 0, clock, heard_folder=folder, heard=heard.put_nowait)
    async with AsyncExitStack() as cleanup:
        await carrier.start()
        cleanup.push_async_callback(carrier.stop)
        trunk = Trunk("loop", *carrier.address, built_in=True)
        line = LoopbackLine(TelephonySettings(HOST, 0, unused_ports(64, HOST), (trunk,)), clock)
        await line.telephony.start()
        cleanup.push_async_callback(line.telephony.stop)
        yield Exchange(line, carrier, folder, heard, {})


def sound_of(heard: Heard) -> NDArray[np.int16]:
    assert heard.path is not None
    return wav.parse(heard.path.read_bytes()).samples


def frames_of(samples: NDArray[np.int16], hz: float) -> int:
    """How many 20 ms frames hold this tone and little else."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    wave = np.exp(-2j * np.pi * hz / 8_000 * np.arange(160))
    power = np.abs(frames @ wave) ** 2 * 2 / 160
    energy = np.sum(frames**2, axis=1)
    return int(np.count_nonzero((power > 0.8 * energy) & (energy > 160 * 500.0**2)))


@pytest.mark.parametrize(
    ("caller_codec", "callee_codec"), [("PCMU", "PCMU"), ("PCMA", "PCMA"), ("PCMU", "PCMA"), ("PCMA", "PCMU")]
)
async def test_each_side_hears_the_other_from_the_first_frame_on(
    exchange: Exchange, caller_codec: str, callee_codec: str
) -> None:
    line = exchange.line
    first, placed = await exchange.caller(Behaviour(says_hz=(CALLER_HZ,), codecs=(caller_codec,)))
    line.telephony.ring_back(first, "ringback")
    await line.until(first, PlaybackStarted)
    await exchange.until_heard(425.0, frames=6)
    callee = Behaviour(answer_after_seconds=0.3, says_hz=(CALLEE_HZ,), codecs=(callee_codec,))
    second, name = exchange.dial(callee)
    await line.until(second, Answered)
    line.telephony.stop_playback(first, "ringback")
    line.telephony.bridge(first, second)
    path = exchange.folder / f"{first}.wav"
    line.telephony.record(first, f"recording of {first}", path)
    assert not (await line.until(first, PlaybackFinished)).completed
    await exchange.until_heard(CALLER_HZ, CALLEE_HZ, frames=40)
    await exchange.hang_up(second, first)

    at_callee, at_caller = await exchange.heard(name), await exchange.heard(placed.call_id)
    # Not one frame of the callee's was lost: not before the bridge, not while the codes were translated.
    assert frames_of(sound_of(at_caller), CALLEE_HZ) >= line.report(second)["received"] - 1
    assert frames_of(sound_of(at_caller), 425.0) > 5
    assert frames_of(sound_of(at_caller), CALLER_HZ) == 0
    assert frames_of(sound_of(at_callee), CALLER_HZ) > 25
    assert frames_of(sound_of(at_callee), CALLEE_HZ) == 0
    assert line.report(first)["lost"] == line.report(second)["lost"] == 0
    [bridged] = line.entries(first, "telephony.bridge")
    assert bridged.fields["codecs"] == f"{caller_codec} {callee_codec}"

    done = await line.recordings.get()
    assert (done.recording_id, done.leg_id, done.path, done.failure) == (f"recording of {first}", first, path, "")
    data = path.read_bytes()[44:]
    both = np.frombuffer(data, dtype="<i2").reshape(-1, 2)
    assert done.duration_seconds == len(both) / 8_000
    # Fewer than were heard: a frame that a busy machine sends after a pause need not fill one of these.
    assert frames_of(both[:, 0], CALLER_HZ) > 5
    assert frames_of(both[:, 1], CALLEE_HZ) > 5
    assert frames_of(both[:, 1], CALLER_HZ) == 0


async def test_when_the_callee_hangs_up_the_caller_goes_on(exchange: Exchange) -> None:
    line = exchange.line
    first, placed = await exchange.caller(Behaviour(says_hz=(CALLER_HZ,)))
    second, _ = exchange.dial(
        Behaviour(answer_after_seconds=0.0, hang_up_after_answer_seconds=0.3, says_hz=(CALLEE_HZ,))
    )
    await line.until(second, Answered)
    line.telephony.bridge(first, second)
    assert (await line.until(second, HungUp)).by is HungUpBy.THEM
    line.telephony.play(first, "after", prompt_of(tones.sine(500.0, 0.4), "after", exchange.folder), 1)
    assert (await line.until(first, PlaybackFinished)).completed
    line.telephony.bridge(first, second)
    await exchange.hang_up(first)
    heard = sound_of(await exchange.heard(placed.call_id))
    assert frames_of(heard, CALLEE_HZ) >= line.report(second)["received"] - 1 > 0
    assert 20 - line.report(first)["late_frames"] <= frames_of(heard, 500.0) <= 20


async def test_a_key_pressed_on_one_side_reaches_the_other_and_is_told(exchange: Exchange) -> None:
    line = exchange.line
    first, _ = await exchange.caller(Behaviour())
    script = Behaviour(answer_after_seconds=0.0, press=(Press(0.3, "4"),))
    second, _ = exchange.dial(script)
    await line.until(second, Answered)
    line.telephony.bridge(first, second)
    assert [event.digit for event in await line.several(second, DigitPressed, 1)] == ["4"]
    await asyncio.sleep(0.2)
    assert not [event for event in line.events[first] if isinstance(event, DigitPressed)]
    await exchange.hang_up(second, first)


ALL_WAYS = [
    (KeyWay.EVENT,),
    (KeyWay.TONE,),
    (KeyWay.INFO,),
    (KeyWay.EVENT, KeyWay.TONE),
    (KeyWay.EVENT, KeyWay.INFO),
    (KeyWay.TONE, KeyWay.INFO),
    (KeyWay.EVENT, KeyWay.TONE, KeyWay.INFO),
]


@pytest.mark.parametrize("ways", ALL_WAYS, ids=lambda ways: "+".join(way.name for way in ways))
async def test_every_press_counts_once_however_it_is_told(exchange: Exchange, ways: tuple[KeyWay, ...]) -> None:
    line = exchange.line
    script = Behaviour(
        answer_after_seconds=0.0, press=(Press(0.3, "1559*#", ways, hold_seconds=0.08, pause_seconds=0.08),)
    )
    leg, _ = exchange.dial(script)
    await line.until(leg, Answered)
    line.telephony.listen(leg, wanted=True)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(told := line.entries(leg, "telephony.key")) < 6 * len(ways):  # noqa: ASYNC110  traces have no event
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)  # what is told twice comes soon
    await exchange.hang_up(leg)
    told = line.entries(leg, "telephony.key")
    assert len(told) == 6 * len(ways)
    for way in ways:
        assert "".join(str(entry.fields["digit"]) for entry in told if entry.fields["way"] == way.value) == "1559*#"
    pressed = "".join(event.digit for event in line.events[leg] if isinstance(event, DigitPressed))
    held_back = held_back_by_the_machine(told, ways)
    assert pressed == "1559*#" or (held_back and 6 < len(pressed) <= 6 + held_back)


def held_back_by_the_machine(told: list[TraceEntry], ways: tuple[KeyWay, ...]) -> int:
    """How many reports were so far from another one of their press that they may count as presses of their own."""
    times = [[entry.at for entry in told if entry.fields["way"] == way.value] for way in ways]
    slack_seconds = max(SLACK_SECONDS[way] for way in ways)
    return sum((len(ways) - 1) * (max(press) - min(press) > slack_seconds) for press in zip(*times, strict=True))


async def test_nobody_listens_for_tones_unless_asked(exchange: Exchange) -> None:
    line = exchange.line
    leg, _ = exchange.dial(
        Behaviour(answer_after_seconds=0.0, press=(Press(0.1, "12", (KeyWay.TONE,)), Press(0.7, "3")))
    )
    await line.until(leg, Answered)
    line.telephony.listen(leg, wanted=True)
    line.telephony.listen(leg, wanted=False)
    assert [event.digit for event in await line.several(leg, DigitPressed, 1)] == ["3"]
    await exchange.hang_up(leg)


async def test_a_phone_answers_prompts_with_keys(exchange: Exchange) -> None:
    line = exchange.line
    script = Behaviour(
        answer_after_seconds=0.0,
        press_after_silence=(Press(0.0, "1"), Press(0.1, "23", (KeyWay.TONE,))),
        silence_seconds=0.3,
    )
    leg, _ = exchange.dial(script)
    await line.until(leg, Answered)
    line.telephony.listen(leg, wanted=True)
    prompt = prompt_of(tones.sine(440.0, 0.4), "question", exchange.folder)
    line.telephony.play(leg, "q1", prompt, 1)
    await line.several(leg, DigitPressed, 1)
    line.telephony.play(leg, "q2", prompt, 1)
    pressed = await line.several(leg, DigitPressed, 3)
    assert "".join(event.digit for event in pressed) == "123"
    await exchange.hang_up(leg)


# --- recordings ------------------------------------------------------------------------------------------------------


async def begun(path: Path) -> None:
    """Wait until the media process records to this file."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not path.exists():  # noqa: ASYNC110, ASYNC240  nobody tells of a beginning
            await asyncio.sleep(0.01)


async def test_a_recording_that_cannot_be_made_is_told_once(exchange: Exchange) -> None:
    line = exchange.line
    leg, _ = exchange.dial(Behaviour(answer_after_seconds=0.0))
    path = exchange.folder / "nowhere" / "r.wav"
    line.telephony.record(leg, "too early", path)
    done = await line.recordings.get()
    assert (done.recording_id, done.failure) == ("too early", "the leg is not up")
    await line.until(leg, Answered)
    line.telephony.record(leg, "no folder", path)
    line.telephony.record(leg, "twice", path)
    done = await line.recordings.get()
    assert (done.recording_id, done.failure) == ("twice", f"{path} is being recorded already")
    await exchange.hang_up(leg)
    done = await line.recordings.get()
    assert (done.recording_id, done.leg_id, done.duration_seconds) == ("no folder", leg, 0.0)
    assert "No such file" in done.failure
    line.telephony.record(leg, "too late", path)
    assert (await line.recordings.get()).failure == "the leg is not up"
    assert line.recordings.empty()


async def test_a_recording_can_be_stopped_before_the_call_is_over(exchange: Exchange) -> None:
    line = exchange.line
    leg, _ = exchange.dial(Behaviour(answer_after_seconds=0.0, says_hz=(CALLEE_HZ,)))
    await line.until(leg, Answered)
    path = exchange.folder / f"{leg}.wav"
    began_at = asyncio.get_running_loop().time()
    line.telephony.record(leg, "short", path)
    await begun(path)
    await asyncio.sleep(0.4)
    line.telephony.stop_recording(leg)
    done = await line.recordings.get()
    assert done.failure == ""
    assert 0.3 < done.duration_seconds <= asyncio.get_running_loop().time() - began_at
    assert levels.rms_dbfs(wav.parse(path.read_bytes()).samples) > -40
    await exchange.hang_up(leg)
    line.telephony.stop_recording(leg)
    assert line.recordings.empty()


async def test_a_killed_media_process_ends_calls_and_recordings(tmp_path: Path) -> None:
    clock = platform_clock()
    carrier = Carrier(HOST, 0, clock)
    async with AsyncExitStack() as cleanup:
        await carrier.start()
        cleanup.push_async_callback(carrier.stop)
        trunk = Trunk("loop", *carrier.address)
        line = LoopbackLine(TelephonySettings(HOST, 0, unused_ports(4, HOST), (trunk,)), clock)
        await line.telephony.start()
        cleanup.push_async_callback(line.telephony.stop)
        legs = []
        for _ in range(2):
            carrier.call(line.telephony.address, "+6590001111", "+6531350000", Behaviour())
            legs.append((await line.take()).leg_id)
        up, ringing = legs
        line.telephony.pick_up(up)
        await line.until(up, Answered)
        line.telephony.record(up, "r", tmp_path / "r.wav")
        pid = line.telephony._media.pids[0]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        done = await line.recordings.get()
        assert (done.recording_id, done.leg_id) == ("r", up)
        assert "SIGKILL" in done.failure
        assert (await line.until(up, HungUp)).by is HungUpBy.NETWORK
        end = await line.until(ringing, NotAnswered)
        assert end.status in (CallStatus.FAILED, CallStatus.ERROR)  # it had its ports already, or asked for them


async def test_stopping_waits_for_recordings(tmp_path: Path) -> None:
    clock = platform_clock()
    carrier = Carrier(HOST, 0, clock)
    async with AsyncExitStack() as cleanup:
        await carrier.start()
        cleanup.push_async_callback(carrier.stop)
        line = LoopbackLine(
            TelephonySettings(HOST, 0, unused_ports(4, HOST), (Trunk("loop", *carrier.address),)), clock
        )
        await line.telephony.start()
        leg = line.dial("+6512340200")
        await line.until(leg, Answered)
        line.telephony.record(leg, "r", tmp_path / "r.wav")
        await begun(tmp_path / "r.wav")
        await asyncio.sleep(0.1)
        await line.telephony.stop()
        assert (await line.recordings.get()).failure == ""
        assert wav.parse((tmp_path / "r.wav").read_bytes()).duration_seconds > 0.05
