"""Many seeds, on as many processes as there are processors."""

import gc
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulation.disk import Disk
from simulation.run import Outcome, simulate

CHUNK = 20
YOUNGEST_GARBAGE = 20_000
"""Objects until the collector looks: a simulation makes many cycles, and none of them matters before it is over."""


@dataclass(slots=True)
class Tally:
    """Many seeds together."""

    seeds: int = 0
    sessions: int = 0
    kills: int = 0
    steps: int = 0
    virtual_days: float = 0.0
    cpu_ms_per_seed: float = 0.0
    failed: dict[int, list[str]] = field(default_factory=dict)
    "violations by seed"

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.seeds += 1
        self.sessions += outcome.sessions
        self.kills += outcome.kills
        self.steps += outcome.steps
        self.virtual_days += outcome.virtual_seconds / 86_400
        if outcome.violations:
            self.failed[outcome.seed] = outcome.violations

    def join(self, other: "Tally") -> None:
        """Those of another process."""
        cpu_ms = self.cpu_ms_per_seed * self.seeds + other.cpu_ms_per_seed * other.seeds
        self.seeds += other.seeds
        self.sessions += other.sessions
        self.kills += other.kills
        self.steps += other.steps
        self.virtual_days += other.virtual_days
        self.failed |= other.failed
        self.cpu_ms_per_seed = cpu_ms / self.seeds


def run_seeds(seeds: range, disk: Disk) -> Tally:
    """Some seeds, one after the other."""
    tally, began = Tally(), time.process_time()
    for seed in seeds:
        tally.add(simulate(seed, disk))
    tally.cpu_ms_per_seed = (time.process_time() - began) * 1000 / len(seeds)
    return tally


_disks: list[Disk] = []


def _begin() -> None:
    """In each worker, once."""
    _disks.append(Disk())
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST_GARBAGE)


def _chunk(seeds: range) -> Tally:
    return run_seeds(seeds, _disks[0])


def tallies(seeds: range, workers: int) -> Iterator[Tally]:
    """Figures of all of them, some seeds at a time, in no particular order."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if workers == 1:
        _begin()
        yield from map(_chunk, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _begin) as pool:
        yield from pool.imap_unordered(_chunk, chunks)
