"""Who speaks when several could and some cannot: the order, the falling back, the resting, and what the trace says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from callwright.audio import compare, g711, tones
from callwright.audio.prompt import Prompt
from callwright.egress import Egress
from callwright.errors import SpeechFailed
from callwright.settings_speech import AzureSpeech, PollySpeech
from callwright.settings_table import Secret
from callwright.speech.chain import REST_SECONDS
from callwright.speech.cloud import Patience
from callwright.speech.prompts import Prompts
from callwright.speech.providers.azure import AzureSynthesizer
from callwright.speech.providers.espeak import EspeakSynthesizer
from callwright.speech.providers.polly import PollySynthesizer
from callwright.speech.synthesizer import Synthesizer
from callwright.telemetry.trace import Trace

if TYPE_CHECKING:
    from tests.speech.conftest import Hands, Says, SpeechService

EMILY, EMMA, NAJA = "en-IE-EmilyNeural", "en-GB-Emma", "da-DK-Naja"
TEXT = "Hello, this is a test."
KEY = "canary-key-0123456789"
PATIENCE = Patience(0.5, 0.0)


@dataclass
class Installation:
    """Azure before Polly before espeak-ng, each cloud a server of its own."""

    azure: "SpeechService"
    polly: "SpeechService"
    prompts: Prompts
    trace: Trace

    def entries(self, kind: str) -> list[dict[str, object]]:
        return [dict(entry.fields) for entry in self.trace.entries if entry.kind == kind]

    def voices(self) -> list[tuple[object, object]]:
        return [(entry["engine"], entry["fallback"]) for entry in self.entries("speech.voice")]


@pytest.fixture
async def installation(
    services: "Callable[[], SpeechService]",
    says: "type[Says]",
    tmp_path: Path,
    egress: Egress,
    clock: "Hands",
    trace: Trace,
) -> AsyncIterator[Installation]:
    azure, polly = services(), services()
    await azure.serve()
    await polly.serve()
    azure.answers = [says(body=tones.sine(600, 2.0, rate=16_000).astype("<i2").tobytes())]
    polly.answers = [says(body=tones.sine(900, 2.0).astype("<i2").tobytes())]
    engines: list[Synthesizer] = [
        AzureSynthesizer(AzureSpeech(Secret(KEY), azure.endpoint), egress, PATIENCE),
        PollySynthesizer(
            PollySpeech(Secret("AKIACANARY"), Secret(KEY), "eu-west-1", "neural", polly.endpoint),
            egress,
            clock,
            PATIENCE,
        ),
        EspeakSynthesizer(1),
    ]
    prompts = Prompts(tmp_path, egress, clock, synthesizers=engines)
    yield Installation(azure, polly, prompts, trace)
    await prompts.stop()
    shown = " ".join(str(entry.fields) for entry in trace.entries)
    assert KEY not in shown
    assert "AKIACANARY" not in shown


def tone_hz(prompt: Prompt) -> float:
    sound = g711.decode("PCMA", Path(prompt.paths["PCMA"]).read_bytes())
    return compare.find_tones(sound.astype(np.int16), most=1)[0]


async def test_the_very_voice_comes_before_the_order(installation: Installation) -> None:
    emma = await installation.prompts.speech(TEXT, EMMA, 1.0, installation.trace)
    emily = await installation.prompts.speech(TEXT, EMILY, 1.0, installation.trace)
    assert tone_hz(emma) == pytest.approx(900, abs=2)
    assert tone_hz(emily) == pytest.approx(600, abs=2)
    assert installation.entries("speech.voice") == [
        {
            "profile": EMMA,
            "engine": "polly",
            "voice": "Emma/neural",
            "fallback": False,
            "speed": 1.0,
            "key": emma.key[:16],
            "skipped": "azure: it does not have en-GB-Emma itself",
        },
        {
            "profile": EMILY,
            "engine": "azure",
            "voice": EMILY,
            "fallback": False,
            "speed": 1.0,
            "key": emily.key[:16],
        },
    ]


async def test_a_voice_nobody_has_is_spoken_by_the_first_in_the_order(installation: Installation) -> None:
    await installation.prompts.speech(TEXT, "en-US-Neural2-C", 1.0, installation.trace)
    assert installation.voices() == [("azure", True)]


@pytest.mark.parametrize("status", [401, 429, 500, 400])
async def test_a_failing_service_is_replaced_by_the_next(
    installation: Installation, says: "type[Says]", status: int
) -> None:
    installation.azure.answers = [says(status)]
    prompt = await installation.prompts.speech(TEXT, EMILY, 1.0, installation.trace)
    assert tone_hz(prompt) == pytest.approx(900, abs=2)
    assert installation.voices() == [("azure", False), ("polly", True)]
    (failed,) = installation.entries("speech.failed")
    assert (failed["engine"], failed["voice"]) == ("azure", EMILY)
    assert f"status {status}" in str(failed["reason"])
    assert installation.entries("speech.voice")[1]["skipped"] == f"azure: {failed['reason']}"


@pytest.mark.parametrize("trouble", ["slow", "garbage", "short", "gone"])
async def test_when_all_clouds_fail_the_local_engine_speaks(
    installation: Installation, says: "type[Says]", trouble: str
) -> None:
    bad = {
        "slow": says(after=60.0),
        "garbage": says(body=b"<html>", content_type="text/html"),
        "short": says(body=tones.sine(600, 0.05).astype("<i2").tobytes()),
        "gone": says(500),
    }[trouble]
    installation.azure.answers = installation.polly.answers = [bad]
    if trouble == "gone":
        await installation.azure.stop()
        await installation.polly.stop()
    prompt = await installation.prompts.speech(TEXT, EMILY, 1.0, installation.trace)
    assert prompt.duration_seconds > 0.8
    assert installation.voices() == [("azure", False), ("polly", True), ("espeak-ng", True)]
    skipped = str(installation.entries("speech.voice")[-1]["skipped"])
    assert skipped.startswith("azure: Azure Speech ")
    assert "; polly: Amazon Polly " in skipped
    assert [entry["hit"] for entry in installation.entries("speech.cache")] == [False]


async def test_a_dead_service_rests_and_is_asked_again_afterwards(
    installation: Installation, says: "type[Says]", clock: "Hands"
) -> None:
    installation.azure.answers = [says(401)]
    await installation.prompts.speech("One.", EMILY, 1.0, installation.trace)
    clock.now += 10
    await installation.prompts.speech("Two.", EMILY, 1.0, installation.trace)
    assert len(installation.azure.asked) == 1
    assert installation.entries("speech.voice")[-1]["engine"] == "polly"
    assert installation.entries("speech.voice")[-1]["skipped"] == "azure: it was unavailable 10 s ago"
    clock.now += REST_SECONDS
    await installation.prompts.speech("Three.", EMILY, 1.0, installation.trace)
    assert len(installation.azure.asked) == 2


async def test_a_refused_text_lets_nobody_rest(installation: Installation, says: "type[Says]") -> None:
    installation.azure.answers = [says(400)]
    await installation.prompts.speech("One.", EMILY, 1.0, installation.trace)
    await installation.prompts.speech("Two.", EMILY, 1.0, installation.trace)
    assert len(installation.azure.asked) == 2


async def test_a_resting_service_is_still_asked_when_everybody_else_fails(
    installation: Installation, says: "type[Says]", tmp_path: Path, egress: Egress, clock: "Hands", trace: Trace
) -> None:
    engine = AzureSynthesizer(AzureSpeech(Secret(KEY), installation.azure.endpoint), egress, PATIENCE)
    alone = Prompts(tmp_path, egress, clock, synthesizers=[engine])
    good = installation.azure.answers
    installation.azure.answers = [says(401)]
    with pytest.raises(SpeechFailed, match="does not accept the key"):
        await alone.speech(TEXT, EMILY, 1.0, trace)
    installation.azure.answers = good
    assert (await alone.speech(TEXT, EMILY, 1.0, trace)).duration_seconds == 2.0


async def test_what_a_resting_service_said_before_is_still_heard(
    installation: Installation, says: "type[Says]"
) -> None:
    before = await installation.prompts.speech("One.", EMILY, 1.0, installation.trace)
    installation.azure.answers = [says(401)]
    await installation.prompts.speech("Two.", EMILY, 1.0, installation.trace)
    assert await installation.prompts.speech("One.", EMILY, 1.0, installation.trace) == before
    assert installation.voices()[-1] == ("azure", False)
    assert len(installation.azure.asked) == 2


async def test_a_stand_in_is_not_kept_for_the_voice_it_stood_in_for(
    installation: Installation, says: "type[Says]", clock: "Hands"
) -> None:
    good = installation.azure.answers
    installation.azure.answers = [says(500)]
    stood_in = await installation.prompts.speech(TEXT, EMILY, 1.0, installation.trace)
    installation.azure.answers = good
    clock.now += REST_SECONDS + 1
    right = await installation.prompts.speech(TEXT, EMILY, 1.0, installation.trace)
    assert right.key != stood_in.key
    assert tone_hz(right) == pytest.approx(600, abs=2)


async def test_callers_of_one_text_share_one_request_and_its_failure(
    installation: Installation, says: "type[Says]"
) -> None:
    installation.azure.answers = [says(403)]
    prompts = await asyncio.gather(
        *(installation.prompts.speech(TEXT, EMILY, 1.0, installation.trace) for _ in range(5))
    )
    assert len({prompt.key for prompt in prompts}) == 1
    assert (len(installation.azure.asked), len(installation.polly.asked)) == (1, 1)


async def test_when_nobody_can_speak_everybody_is_quoted(
    installation: Installation, says: "type[Says]", tmp_path: Path, egress: Egress, clock: "Hands", trace: Trace
) -> None:
    installation.azure.answers = installation.polly.answers = [says(403)]
    clouds = installation.prompts._synthesizers[:2]
    prompts = Prompts(tmp_path, egress, clock, synthesizers=clouds)
    with pytest.raises(SpeechFailed) as failed:
        await prompts.speech(TEXT, EMILY, 1.0, trace)
    assert str(failed.value) == (
        "Nobody could speak the text: Azure Speech does not accept the key (status 403). "
        "Amazon Polly does not accept the key (status 403)."
    )


async def test_stopping_asks_nobody_else(installation: Installation, says: "type[Says]") -> None:
    installation.azure.answers = [says(after=60.0)]
    waiting = asyncio.create_task(installation.prompts.speech(TEXT, EMILY, 1.0, installation.trace))
    while not installation.azure.asked:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.005)
    await installation.prompts.stop()
    with pytest.raises(SpeechFailed, match="is stopping"):
        await waiting
    assert installation.polly.asked == []


async def test_clouds_are_given_the_punctuation_that_the_local_engine_is_spared(installation: Installation) -> None:
    await installation.prompts.speech('Say "yes" (or <no>) & go', EMILY, 1.0, installation.trace)
    assert b"Say &quot;yes&quot; (or &lt;no&gt;) &amp; go" in installation.azure.asked[0].body
