"""The crash harness, in short: one kill at each of some points on one data folder, then nothing is missing or twice.

`make chaos` kills everywhere, and as often as one likes.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chaos.points import POINTS
from tests.needs import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
SHORT = (
    ("after acceptance", "after intent", "after INVITE sent", "after 180 received"),
    ("before ACK sent", "after play", "before terminal record", "after webhook"),
)


@pytest.fixture(autouse=True, scope="module")
def _sipp_is_installed() -> None:
    need("sipp")


def test_there_are_points_enough() -> None:
    assert len(POINTS) >= 25


@pytest.mark.parametrize("points", SHORT, ids=lambda points: points[0])
def test_nothing_is_lost_or_there_twice(points: tuple[str, ...]) -> None:
    named = [word for point in points for word in ("--point", point)]
    command = [sys.executable, "-m", "chaos", "--kills", "1", "--lanes", "1", "--json", *named]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-4_000:]
    tallies = json.loads(done.stdout)
    assert [tally["point"] for tally in tallies] == list(points)
    for tally in tallies:
        assert (tally["kills"], tally["lost"], tally["twice"], tally["orphans"]) == (1, 0, 0, 0), tally["faults"]
    assert sum(tally["sessions"] for tally in tallies) >= 4
    assert done.returncode == 0
