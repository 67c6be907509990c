"""`python -m simulation`: figures, and how to see a failure again."""

import json
import subprocess
import sys
from pathlib import Path

from simulation.many import Tally
from simulation.run import Outcome
from simulation.story import Story

ROOT = Path(__file__).parents[2]


def test_many_seeds_are_counted_on_several_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "--seeds", "45", "--workers", "2", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["seeds"] == 45
    assert found["sessions"] > 20
    assert found["failed"] == {}


def test_failures_of_all_processes_come_together() -> None:
    one, other = Tally(), Tally()
    one.add(Outcome(3, [], Story()))
    other.add(Outcome(7, ["a leg was dialled twice"], Story()))
    one.join(other)
    assert (one.seeds, one.failed) == (2, {7: ["a leg was dialled twice"]})
