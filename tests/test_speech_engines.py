"""The engines of a node come out of its settings, in their order."""

import pytest

from callwright.egress import Egress
from callwright.errors import SettingsError
from callwright.node.wiring import speech_engines
from callwright.settings import load

CLOUDS = """
[speech.azure]
key = "canary-azure"
region = "westeurope"
[speech.google]
api_key = "canary-google"
[speech.polly]
access_key_id = "canary-id"
secret_access_key = "canary-polly"
region = "eu-west-1"
"""
REORDERED = ["espeak-ng", "polly", "google", "azure"]


async def engines_of(text: str) -> list[str]:
    egress = Egress(allow_loopback=False)
    engines = speech_engines(load(text, {}, {}), egress, lambda: 0.0, is_wide=False)
    await egress.aclose()
    assert not any("canary" in f"{engine!r} {vars(engine)}" for engine in engines)
    return [engine.engine for engine in engines]


@pytest.mark.parametrize(
    ("text", "engines"),
    [
        ("", ["espeak-ng"]),
        (CLOUDS, ["azure", "google", "polly", "espeak-ng"]),
        (
            '[speech]\norder = ["espeak", "polly", "google", "azure"]' + CLOUDS,
            REORDERED,
        ),
        ('[speech]\norder = ["google"]\n[speech.google]\napi_key = "canary"', ["google"]),
    ],
)
async def test_the_engines_stand_in_the_order_of_the_settings(text: str, engines: list[str]) -> None:
    assert await engines_of(text) == engines


async def test_piper_whose_voice_is_not_there_ends_the_start() -> None:
    with pytest.raises(SettingsError, match=r"there is no file .*absent\.onnx"):
        await engines_of('[speech.piper]\nvoices = {en-US = "absent.onnx"}')
