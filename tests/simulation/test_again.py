"""A seed is the whole truth: it tells the same story again, in another process too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulation.disk import Disk
from simulation.run import simulate
from simulation.world import BEGINNING

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 4, 7, 12])
def test_a_seed_tells_the_same_story_in_another_process(seed: int, disk: Disk) -> None:
    simulate(seed + 1, disk)
    here = list(simulate(seed, disk, story=True).story.lines(BEGINNING))
    there = subprocess.run(
        [sys.executable, "-m", "simulation", "--seed", str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert there.stdout.splitlines()[:-1] == here
    assert len(here) > 3


def test_two_seeds_tell_two_stories(disk: Disk) -> None:
    stories = [tuple(simulate(seed, disk, story=True).story.lines(BEGINNING)) for seed in range(1, 6)]
    assert len(set(stories)) == len(stories)
