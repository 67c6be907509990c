"""The sound of another phone ringing."""

from pathlib import Path

import numpy as np
import pytest

from callwright.audio import g711
from callwright.speech.ringback import CADENCE_SECONDS, ringback_prompt


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA"])
def test_one_second_of_425_hz_and_four_of_silence(tmp_path: Path, encoding: str) -> None:
    prompt = ringback_prompt(tmp_path / "tones")
    samples = g711.decode(encoding, Path(prompt.paths[encoding]).read_bytes()).astype(float)
    assert len(samples) == CADENCE_SECONDS * 8000 == prompt.duration_seconds * 8000
    tone, rest = samples[:8000], samples[8000:]
    assert np.argmax(np.abs(np.fft.rfft(tone))) == 425
    assert np.abs(rest).max() <= 16


def test_making_it_again_replaces_the_files_whole(tmp_path: Path) -> None:
    first, second = ringback_prompt(tmp_path), ringback_prompt(tmp_path)
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ringback.pcma", "ringback.pcmu"]
