"""PJSIP as the callee behind a trunk: a telephone that nobody here wrote hears the message."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callwright.audio import wav
from callwright.audio.compare import likeness

if TYPE_CHECKING:
    from tests.conftest import OpenSite, Shell

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.real]

CALLEE = Path(__file__).parent / "pjsip_callee.py"


@pytest.fixture(autouse=True, scope="module")
def _pjsip_is_installed() -> None:
    if importlib.util.find_spec("pjsua2") is None:
        if os.environ.get("CI"):
            pytest.fail("PJSIP is missing: requirements-dev.lock has pjsua2-python")
        pytest.skip("PJSIP is not installed (pjsua2-python)")


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_a_telephone_of_another_make_hears_the_message(shell: "Shell", open_site: "OpenSite", codec: str) -> None:
    path = shell.folder / "heard.wav"
    telephone = await shell.start(sys.executable, str(CALLEE), str(path), codec)
    port = (await telephone.says(r"listening (\d+)"))[1]
    async with open_site(shell.folder / "data", trunk=f"sip:127.0.0.1:{port}") as site, site.customer() as customer:
        session_id = await customer.say("+6581234567", "Hello, this is a test Voice Message.")
        summary = await customer.summary(session_id)
        assert summary["sessionStatus"] == "COMPLETED"
        assert summary["details"]["callA"]["callQuality"]["mos"] > 4.0
        story = await customer.story(session_id)
        prompt = site.prompt(story.only("speech.cache")["key"], codec)
    ended = await telephone.end()
    assert ended.status == 0, ended.err
    report = json.loads(ended.out.splitlines()[-1])
    sent = story.only("rtp.report")["sent"]
    assert report["codec"] == codec
    assert report["packets"] == sent
    assert (report["lost"], report["reordered"], report["duplicated"]) == (0, 0, 0)
    assert story.only("event.Answered")["codec"] == codec
    assert story.ladder == [
        "→ INVITE", "← 100 INVITE", "← 180 INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE",
    ]  # fmt: skip

    heard = wav.parse(path.read_bytes())
    assert heard.sample_rate == 8000
    match = likeness(heard.samples, prompt)
    assert match.correlation > 0.9
    assert match.missing_ms <= 100  # PJSIP's jitter buffer may stretch a moment
