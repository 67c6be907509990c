"""PJSIP as the callee behind a trunk: a telephone that nobody here wrote hears the message."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import wav
from callwright.audio.compare import likeness
from callwright.audio.levels import rms_dbfs

if TYPE_CHECKING:
    from tests.conftest import OpenSite
    from tests.programs import Shell

pytestmark = pytest.mark.real

PIECE_MS = 200
CALLEE = Path(__file__).parent / "pjsip_callee.py"


@pytest.fixture(autouse=True, scope="module")
def _pjsip_is_installed() -> None:
    if importlib.util.find_spec("pjsua2") is None:
        if os.environ.get("CI"):
            pytest.fail("PJSIP is missing: requirements-dev.lock has pjsua2-python")
        pytest.skip("PJSIP is not installed (pjsua2-python)")


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
async def test_a_telephone_of_another_make_hears_the_message(shell: "Shell", open_site: "OpenSite", codec: str) -> None:
    path = shell.folder / "heard.wav"
    telephone = await shell.start(sys.executable, str(CALLEE), str(path), codec)
    port = (await telephone.says(r"listening (\d+)"))[1]
    async with open_site(shell.folder / "data", trunk=f"sip:127.0.0.1:{port}") as site, site.customer() as customer:
        session_id = await customer.say("+6581234567", "Hello, this is a test Voice Message.")
        summary = await customer.summary(session_id)
        assert summary["sessionStatus"] == "COMPLETED"
        assert summary["details"]["callA"]["callQuality"]["mos"] > 1.0
        story = await customer.story(session_id)
        prompt = site.prompt(story.only("speech.cache")["key"], codec)
    ended = await telephone.end()
    assert ended.status == 0, ended.err
    report = json.loads(ended.out.splitlines()[-1])
    sent = story.only("rtp.report")["sent"]
    assert report["codec"] == codec
    assert sent - 2 <= report["packets"] <= sent  # a BYE may overtake the last ones
    assert (report["reordered"], report["duplicated"]) == (0, 0)
    assert 20 * report["lost"] <= story.skipped_ms
    assert story.only("event.Answered")["codec"] == codec
    assert story.ladder == [
        "→ INVITE", "← 100 INVITE", "← 180 INVITE", "← 200 INVITE", "→ ACK", "→ BYE", "← 200 BYE",
    ]  # fmt: skip

    heard = wav.parse(path.read_bytes())
    assert heard.sample_rate == 8000
    assert share_heard(heard.samples, prompt) > 0.6


def share_heard(heard: NDArray[np.int16], prompt: NDArray[np.int16]) -> float:
    """How much of the prompt is in the recording, piece by piece: on a busy machine PJSIP's clock is late at times, and
    its jitter buffer stretches and cuts, so that the whole shifts a little here and there."""
    step = 8000 * PIECE_MS // 1000
    pieces = [prompt[at : at + step] for at in range(0, len(prompt) - step, step)]
    audible = [piece for piece in pieces if rms_dbfs(piece) > -40]
    assert len(audible) >= 5
    return sum(likeness(heard, piece).correlation > 0.85 for piece in audible) / len(audible)


def test_another_message_is_not_taken_for_the_one_that_was_played() -> None:
    noise = np.random.default_rng(3)
    one, other = (noise.normal(0, 3000, 16_000).astype(np.int16) for _ in range(2))
    assert share_heard(one, one) == 1.0
    assert share_heard(other, one) == 0.0
