"""Azure, Google and Polly against local servers that speak each one's documented contract."""

import asyncio
import base64
import hashlib
import json
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from callwright.audio import compare, tones, wav
from callwright.egress import Egress, sigv4
from callwright.errors import SpeechFailed, SpeechUnavailable
from callwright.settings_speech import AzureSpeech, GoogleSpeech, PollySpeech
from callwright.settings_table import Secret
from callwright.speech.cloud import Patience
from callwright.speech.providers.azure import AzureSynthesizer
from callwright.speech.providers.google import GoogleSynthesizer
from callwright.speech.providers.polly import PollySynthesizer
from callwright.speech.synthesizer import EngineVoice, Synthesizer

if TYPE_CHECKING:
    from tests.speech.conftest import Asked, Says, SpeechService

KEY = "canary-key-0123456789"
KEY_ID = "AKIACANARYEXAMPLE"
NOW = 1_800_000_000.0
HOSTILE = """Fish & <break time="9s"/> 'chips' > "peas"."""
TEXT = "Hello, this is a test."
SPEAK = "{http://www.w3.org/2001/10/synthesis}"
BRISK = Patience(within_seconds=8.0, pause_seconds=0.0)
VOICES = {
    "azure": EngineVoice("en-IE-EmilyNeural", exact=True),
    "google": EngineVoice("en-US-Neural2-C", exact=True),
    "polly": EngineVoice("Emma/neural", exact=True),
}
CLOUDS = tuple(VOICES)


def synthesizer(cloud: str, endpoint: str, egress: Egress, patience: Patience = BRISK) -> Synthesizer:
    match cloud:
        case "azure":
            return AzureSynthesizer(AzureSpeech(Secret(KEY), endpoint), egress, patience)
        case "google":
            return GoogleSynthesizer(GoogleSpeech(Secret(KEY), endpoint), egress, patience)
        case _:
            settings = PollySpeech(Secret(KEY_ID), Secret(KEY), "eu-west-1", "neural", endpoint)
            return PollySynthesizer(settings, egress, lambda: NOW, patience)


def sound(cloud: str, says: "type[Says]", seconds: float = 2.0, frequency_hz: float = 440.0) -> "Says":
    """What the service answers when all is well: a tone."""
    if cloud == "azure":
        return says(body=tones.sine(frequency_hz, seconds, rate=16_000).astype("<i2").tobytes())
    if cloud == "polly":
        return says(body=tones.sine(frequency_hz, seconds).astype("<i2").tobytes(), content_type="audio/pcm")
    file = wav.serialize(tones.sine(frequency_hz, seconds))
    body = json.dumps({"audioContent": base64.b64encode(file).decode()}).encode()
    return says(body=body, content_type="application/json; charset=UTF-8")


def heard_hz(pcm: bytes) -> float:
    return compare.find_tones(np.frombuffer(pcm, "<i2").astype(np.int16), most=1)[0]


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_sound_arrives_as_telephone_sound(
    cloud: str, service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [sound(cloud, says)]
    spoken = await synthesizer(cloud, service.endpoint, egress).synthesize(TEXT, VOICES[cloud], 1.0)
    assert len(spoken.pcm) == 2 * 8_000 * 2
    assert heard_hz(spoken.pcm) == pytest.approx(440, abs=2)
    assert not spoken.simplified
    assert len(service.asked) == 1


async def test_azure_is_asked_as_its_rest_reference_says(
    service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [sound("azure", says)]
    await synthesizer("azure", service.endpoint, egress).synthesize(HOSTILE, VOICES["azure"], 1.5)
    (asked,) = service.asked
    assert asked.line == "POST /cognitiveservices/v1 HTTP/1.1"
    assert asked.headers["ocp-apim-subscription-key"] == KEY
    assert asked.headers["content-type"] == "application/ssml+xml"
    assert asked.headers["x-microsoft-outputformat"] == "raw-16khz-16bit-mono-pcm"
    assert asked.headers["user-agent"] == "callwright"
    for escaped in (b"&amp;", b"&lt;", b"&gt;", b"&quot;", b"&apos;"):
        assert escaped in asked.body
    ((voice,),) = [list(ET.fromstring(asked.body.decode()))]
    (prosody,) = voice
    assert (voice.tag, voice.attrib["name"]) == (f"{SPEAK}voice", "en-IE-EmilyNeural")
    assert (prosody.attrib["rate"], prosody.text, len(prosody)) == ("+50.00%", HOSTILE, 0)


async def test_google_is_asked_as_its_rest_reference_says(
    service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [sound("google", says)]
    google = synthesizer("google", service.endpoint, egress)
    await google.synthesize(HOSTILE, VOICES["google"], 1.5)
    await google.synthesize(HOSTILE, EngineVoice("en-GB/FEMALE", exact=False), 1.0)
    named, chosen = service.asked
    assert named.line == "POST /v1/text:synthesize HTTP/1.1"
    assert named.headers["x-goog-api-key"] == KEY
    assert named.headers["content-type"] == "application/json"
    assert json.loads(named.body) == {
        "input": {"text": HOSTILE},
        "voice": {"languageCode": "en-US", "name": "en-US-Neural2-C"},
        "audioConfig": {"audioEncoding": "LINEAR16", "sampleRateHertz": 8_000, "speakingRate": 1.5},
    }
    assert json.loads(chosen.body)["voice"] == {"languageCode": "en-GB", "ssmlGender": "FEMALE"}
    assert "speakingRate" not in json.loads(chosen.body)["audioConfig"]


async def test_polly_is_asked_as_its_reference_says_and_the_signature_is_right(
    service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [sound("polly", says)]
    polly = synthesizer("polly", service.endpoint, egress)
    await polly.synthesize(HOSTILE, VOICES["polly"], 0.5)
    await polly.synthesize(TEXT, EngineVoice("Aditi/standard/hi-IN", exact=True), 1.0)
    asked, bilingual = service.asked
    assert asked.line == "POST /v1/speech HTTP/1.1"
    document = json.loads(asked.body)
    text = document.pop("Text")
    assert document == {
        "Engine": "neural",
        "OutputFormat": "pcm",
        "SampleRate": "8000",
        "TextType": "ssml",
        "VoiceId": "Emma",
    }
    ((prosody,),) = [list(ET.fromstring(text))]
    assert (prosody.attrib, prosody.text, len(prosody)) == ({"rate": "50%"}, HOSTILE, 0)
    assert json.loads(bilingual.body)["LanguageCode"] == "hi-IN"
    # Signed over what really arrived, Host included.
    arrived = [(name, asked.headers[name]) for name in ("content-type", "host", "x-amz-date")]
    assert asked.headers["authorization"] == sigv4.authorization(
        sigv4.Request("POST", "/v1/speech", arrived, hashlib.sha256(asked.body).hexdigest()),
        sigv4.Credentials(KEY_ID, KEY),
        sigv4.Scope("eu-west-1", "polly"),
    )
    assert asked.headers["x-amz-date"] == sigv4.amz_date(NOW)
    assert KEY not in str(asked.headers)


@pytest.mark.parametrize(
    ("cloud", "text", "most"),
    [("google", "你好今天天氣很好。" * 300, 5_000), ("polly", "Fish & chips. " * 214, 3_000)],
)
async def test_long_texts_go_in_pieces_and_are_joined_in_order(
    cloud: str, text: str, most: int, service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    def piece_of(asked: "Asked") -> str:
        document = json.loads(asked.body)
        text: str = document["input"]["text"] if cloud == "google" else document["Text"]
        return text.removeprefix("<speak>").removesuffix("</speak>")

    def answer(asked: "Asked") -> "Says":
        first = text.startswith(piece_of(asked).replace("&amp;", "&")[:50]) and len(piece_of(asked)) > most // 4
        said = sound(cloud, says, 20.0, 500.0 + 100 * len(service.asked))
        said.after = 0.05 if first else 0.0  # so that the pieces do not come back in order
        return said

    service.answers = [answer]
    spoken = await synthesizer(cloud, service.endpoint, egress).synthesize(text, VOICES[cloud], 1.0)
    lengths = [len(piece_of(asked).encode() if cloud == "google" else piece_of(asked)) for asked in service.asked]
    assert len(lengths) == 2
    assert all(length <= most for length in lengths)
    whole = "".join(piece_of(asked).replace("&amp;", "&") for asked in service.asked)
    assert "".join(whole.split()) == "".join(text.split())
    second = len(spoken.pcm) // 2
    assert len(spoken.pcm) == 2 * 20 * 16_000
    assert heard_hz(spoken.pcm[:second]) == pytest.approx(600, abs=2)
    assert heard_hz(spoken.pcm[second:]) == pytest.approx(700, abs=2)


REFUSALS = [
    (401, b"", {}, True, 1, "does not accept the key"),
    (403, b"{}", {}, True, 1, "does not accept the key"),
    (400, b'{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}', {}, True, 1, "does not accept the key"),
    (404, b"", {}, True, 1, "is not at this endpoint"),
    (302, b"", {"Location": "https://elsewhere.example.com/"}, True, 1, "is not at this endpoint"),
    (429, b"", {}, True, 2, "too many requests"),
    (400, b"{}", {"x-amzn-ErrorType": "ThrottlingException:"}, True, 2, "too many requests"),
    (500, b"<html>oops</html>", {}, True, 2, "out of order (status 500)"),
    (503, b"", {}, True, 2, "out of order (status 503)"),
    (400, b'{"message":"No such\\nvoice."}', {}, False, 1, "refuses the request (status 400): No such voice."),
    (400, b'{"error":{"message":"Bad \\u001b[31mtext"}}', {}, False, 1, "(status 400): Bad [31mtext."),
    (400, f"What is {KEY}?".encode(), {}, False, 1, "(status 400): What is ••••?."),
    (400, b"<html>no</html>", {}, False, 1, "refuses the request (status 400)."),
    (413, b"\xff\xfe", {}, False, 1, "refuses the request (status 413)"),
]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(("status", "body", "headers", "unavailable", "tries", "reason"), REFUSALS)
async def test_a_refusal_says_why_and_is_tried_again_only_if_that_may_help(
    cloud: str,
    status: int,
    body: bytes,
    headers: dict[str, str],
    unavailable: bool,
    tries: int,
    reason: str,
    service: "SpeechService",
    says: "type[Says]",
    egress: Egress,
) -> None:
    service.answers = [says(status, body, "application/json", headers)]
    with pytest.raises(SpeechFailed) as failed:
        await synthesizer(cloud, service.endpoint, egress).synthesize(TEXT, VOICES[cloud], 1.0)
    assert isinstance(failed.value, SpeechUnavailable) is unavailable
    assert len(service.asked) == tries
    assert reason in str(failed.value)
    shown = "".join(traceback.format_exception(failed.value)) + repr(synthesizer(cloud, service.endpoint, egress))
    assert KEY not in shown
    assert KEY_ID not in shown


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("status", [429, 500])
async def test_the_second_try_may_succeed(
    cloud: str, status: int, service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [says(status), sound(cloud, says)]
    spoken = await synthesizer(cloud, service.endpoint, egress).synthesize(TEXT, VOICES[cloud], 1.0)
    assert len(spoken.pcm) == 2 * 16_000


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_broken_answer_is_tried_again(
    cloud: str, service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    broken = sound(cloud, says)
    broken.broken = True
    service.answers = [broken, sound(cloud, says)]
    spoken = await synthesizer(cloud, service.endpoint, egress).synthesize(TEXT, VOICES[cloud], 1.0)
    assert len(spoken.pcm) == 2 * 16_000


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_service_that_is_not_there_is_unavailable(cloud: str, service: "SpeechService", egress: Egress) -> None:
    endpoint = service.endpoint
    await service.stop()
    with pytest.raises(SpeechUnavailable, match=r"did not answer\. No connection"):
        await synthesizer(cloud, endpoint, egress).synthesize(TEXT, VOICES[cloud], 1.0)


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_slow_service_is_given_up_at_the_budget_and_not_asked_again(
    cloud: str, service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [says(after=60.0)]
    with pytest.raises(SpeechUnavailable, match="in time"):
        await synthesizer(cloud, service.endpoint, egress, Patience(0.05, 0.0)).synthesize(TEXT, VOICES[cloud], 1.0)
    assert len(service.asked) <= 1


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_a_private_address_is_never_asked(cloud: str, egress: Egress) -> None:
    with pytest.raises(SpeechUnavailable, match=r"is not asked\. .*private address"):
        await synthesizer(cloud, "https://10.0.0.1", egress).synthesize(TEXT, VOICES[cloud], 1.0)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda cloud, says: sound(cloud, says, 0.05), "too little for the text"),
        (
            lambda cloud, says: says(body=b"<html>Sign in to the Wi-Fi</html>", content_type="text/html"),
            "answered with",
        ),
        (lambda cloud, says: says(body=b"", content_type="audio/basic"), "answered with"),
        (lambda cloud, says: says(body=b'{"message": "hm"}', content_type="application/json"), "answered with"),
        (lambda cloud, says: says(body=bytes(64_001), content_type="audio/basic"), "answered with"),
    ],
)
async def test_an_answer_that_cannot_be_the_text_is_a_failure(
    cloud: str,
    spoil: Callable[[str, "type[Says]"], "Says"],
    reason: str,
    service: "SpeechService",
    says: "type[Says]",
    egress: Egress,
) -> None:
    service.answers = [spoil(cloud, says)]
    with pytest.raises(SpeechFailed, match=reason) as failed:
        await synthesizer(cloud, service.endpoint, egress).synthesize(TEXT, VOICES[cloud], 1.0)
    assert not isinstance(failed.value, SpeechUnavailable)


async def test_a_sound_as_long_as_the_limit_was_cut(
    service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [sound("polly", says, 599.9)]
    with pytest.raises(SpeechFailed, match="10 minutes or more"):
        await synthesizer("polly", service.endpoint, egress).synthesize(TEXT, VOICES["polly"], 1.0)


@pytest.mark.parametrize("cloud", ["azure", "polly"])
async def test_silence_is_a_failure(cloud: str, service: "SpeechService", says: "type[Says]", egress: Egress) -> None:
    service.answers = [says(body=bytes(128_000))]
    with pytest.raises(SpeechFailed, match="silence"):
        await synthesizer(cloud, service.endpoint, egress).synthesize(TEXT, VOICES[cloud], 1.0)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"nul",
        b"[" * 100_000,
        b'{"audioContent": 5}',
        b'{"audioContent": "\xc3\xa4"}',
        b'{"audioContent": "UklGRg=="}',
        json.dumps({"audioContent": base64.b64encode(wav.serialize(tones.sine(440, 1.0), 24_000)).decode()}).encode(),
    ],
)
async def test_googles_json_is_not_trusted(
    body: bytes, service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [says(body=body, content_type="application/json")]
    with pytest.raises(SpeechFailed, match="Google Text-to-Speech answered with"):
        await synthesizer("google", service.endpoint, egress).synthesize(TEXT, VOICES["google"], 1.0)


async def test_an_endless_answer_is_cut_off(service: "SpeechService", says: "type[Says]", egress: Egress) -> None:
    service.answers = [says(body=bytes(9_600_001), content_type="audio/pcm")]
    with pytest.raises(SpeechFailed, match="more than 9,600,000 bytes"):
        await synthesizer("polly", service.endpoint, egress).synthesize(TEXT, VOICES["polly"], 1.0)


async def test_when_one_piece_fails_the_others_are_ended(
    service: "SpeechService", says: "type[Says]", egress: Egress
) -> None:
    service.answers = [says(400), says(after=60.0)]
    async with asyncio.timeout(60):
        with pytest.raises(SpeechFailed, match="status 400"):
            await synthesizer("polly", service.endpoint, egress).synthesize("Hello. " * 600, VOICES["polly"], 1.0)
