"""Whatever goes wrong, callwright keeps its promises: 2,000 simulations, and every seed that ever failed."""

from pathlib import Path

import pytest
from simulation.disk import Disk
from simulation.run import simulate

SEEDS = 2_000
CHUNK = 50
FAILED_ONCE = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def failures(seeds: range | list[int], disk: Disk) -> list[str]:
    """One line for each seed that fails, to see it again."""
    return [
        f"make simulate SEED={seed}   # {outcome.violations[0]}"
        for seed in seeds
        if (outcome := simulate(seed, disk)).violations
    ]


@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
def test_promises_are_kept(first: int, disk: Disk) -> None:
    assert failures(range(first, first + CHUNK), disk) == []


def test_seeds_that_failed_once_do_not_fail_again(disk: Disk) -> None:
    assert failures(FAILED_ONCE, disk) == []


def test_a_simulation_does_what_it_is_for(disk: Disk) -> None:
    """It would be easy to keep all promises where nothing happens."""
    outcomes = [simulate(seed, disk) for seed in range(1, 61)]
    assert sum(outcome.sessions for outcome in outcomes) > 60
    assert sum(outcome.kills for outcome in outcomes) > 10
    assert sum(outcome.answered for outcome in outcomes) > 20
    assert sum(outcome.delivered for outcome in outcomes) > 100
