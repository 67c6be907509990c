"""Prompts on disk: whole or not there, used longest ago goes first, and a restart loses nothing."""

import os
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from callwright.audio import g711, tones
from callwright.audio.codecs import CODECS
from callwright.speech.cache import PromptCache


class Hands(Protocol):
    """The clock that moves when told to (conftest)."""

    now: float

    def __call__(self) -> float: ...


@pytest.fixture
def cache(tmp_path: Path, clock: Hands) -> PromptCache:
    opened = PromptCache(tmp_path / "prompts", clock)
    opened.open()
    return opened


def test_a_prompt_is_both_codecs_in_whole_frames(cache: PromptCache) -> None:
    tone = tones.sine(440, 1.0)[:7_999]
    prompt = cache.store("a" * 64, tone.tobytes())
    assert prompt.duration_seconds == 1.0
    assert set(prompt.paths) == {"PCMU", "PCMA"}
    for encoding, path in prompt.paths.items():
        codes = Path(path).read_bytes()
        assert len(codes) == 8_000
        assert np.array_equal(g711.decode(encoding, codes)[:7_999], g711.decode(encoding, g711.encode(encoding, tone)))
    assert cache.find("a" * 64) == prompt
    assert cache.find("b" * 64) is None


def test_a_restart_finds_what_was_stored_and_removes_what_was_half_written(
    tmp_path: Path, cache: PromptCache, clock: Hands
) -> None:
    prompt = cache.store("a" * 64, bytes(3_200))
    half = tmp_path / "prompts" / "cafe.pcmu.0011.part"
    half.write_bytes(b"x")
    again = PromptCache(tmp_path / "prompts", clock)
    again.open()
    assert again.find("a" * 64) == prompt
    assert not half.exists()


@pytest.mark.parametrize("damage", ["gone", "short", "empty", "odd"])
def test_a_damaged_prompt_is_not_there(cache: PromptCache, damage: str) -> None:
    prompt = cache.store("a" * 64, bytes(3_200))
    for path in (Path(prompt.paths["PCMU"]), *([Path(prompt.paths["PCMA"])] * (damage in ("empty", "odd")))):
        if damage == "gone":
            path.unlink()
        else:
            os.truncate(path, {"short": 160, "empty": 0, "odd": 1_601 - 160 * 3 - 1 + 7}[damage])
    assert cache.find("a" * 64) is None
    assert cache.store("a" * 64, bytes(3_200)) == prompt
    assert cache.find("a" * 64) == prompt


def test_the_folder_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path: Path, clock: Hands) -> None:
    cache = PromptCache(tmp_path, clock, most_bytes=50_000)
    cache.open()
    for number in range(10):
        clock.now += 4_000
        cache.store(f"{number:064}", bytes(16_000))  # 8,000 bytes in each codec
        clock.now += 10
        cache.find(f"{0:064}")  # 0 is used again each time; of the others only the newest fits
    assert [number for number in range(10) if cache.find(f"{number:064}")] == [0, 9]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 50_000


def test_what_was_used_within_the_last_hour_is_never_removed(tmp_path: Path, clock: Hands) -> None:
    cache = PromptCache(tmp_path, clock, most_bytes=20_000)
    cache.open()
    for number in range(5):
        clock.now += 60
        cache.store(f"{number:064}", bytes(16_000))
    assert all(cache.find(f"{number:064}") for number in range(5))
    clock.now += 3_601
    cache.store("f" * 64, bytes(16_000))
    assert [cache.find(f"{number:064}") for number in range(5)] == [None] * 5
    assert cache.find("f" * 64) is not None


def test_opening_a_folder_over_its_limit_trims_it(tmp_path: Path, clock: Hands) -> None:
    PromptCache(tmp_path, clock).store("a" * 64, bytes(160_000))
    clock.now += 10_000
    cache = PromptCache(tmp_path, clock, most_bytes=1_000)
    cache.open()
    assert cache.find("a" * 64) is None
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path, clock: Hands) -> None:
    cache = PromptCache(tmp_path / "absent", clock)
    with pytest.raises(OSError, match="No such file"):
        cache.store("a" * 64, bytes(320))


def test_a_prompt_for_wide_band_trunks_is_every_codec_and_of_one_length(tmp_path: Path, clock: Hands) -> None:
    cache = PromptCache(tmp_path, clock, wide_codecs=("G722", "OPUS"))
    forms = {"G722": bytes(1_600), "OPUS": bytes(60 * 11)}
    prompt = cache.store("a" * 64, bytes(3_180), forms)
    assert prompt.duration_seconds == 0.22
    sizes = {codec: len(Path(path).read_bytes()) for codec, path in prompt.paths.items()}
    assert sizes == {"PCMU": 1_760, "PCMA": 1_760, "G722": 1_760, "OPUS": 660}
    assert Path(prompt.paths["G722"]).read_bytes() == bytes(1_600) + CODECS["G722"].silence
    assert cache.find("a" * 64) == prompt
    Path(prompt.paths["OPUS"]).write_bytes(bytes(600))
    assert cache.find("a" * 64) is None


def test_a_prompt_from_before_a_codec_was_wanted_is_not_there(tmp_path: Path, clock: Hands) -> None:
    PromptCache(tmp_path, clock).store("a" * 64, bytes(3_200))
    assert PromptCache(tmp_path, clock, wide_codecs=("G722",)).find("a" * 64) is None
    assert PromptCache(tmp_path, clock).find("a" * 64) is not None
