"""`python -m simulation`: run seeds, and say for each that fails how to see it again."""

import argparse
import json
import os
import sys
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulation.disk import Disk
from simulation.many import Tally, tallies
from simulation.run import simulate
from simulation.world import BEGINNING


def _one(seed: int, *, story: bool) -> int:
    outcome = simulate(seed, Disk(), story=story)
    for line in outcome.story.lines(BEGINNING):
        print(line)
    for violation in outcome.violations:
        print(f"✗ {violation}")
    if not outcome.violations:
        print(f"✓ seed {seed}: {outcome.sessions} sessions, {outcome.kills} kills, nothing broken")
    return 1 if outcome.violations else 0


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, metavar="N", help="how many")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="of those")
    parser.add_argument("--seed", type=int, help="one only, with its story")
    parser.add_argument("--quiet", action="store_true", help="with --seed: the verdict without the story")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="print figures and failures as one JSON object")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _one(arguments.seed, story=not arguments.quiet)
    seeds, total = range(arguments.first, arguments.first + arguments.seeds), Tally()
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("seeds"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=arguments.json) as progress:
        bar = progress.add_task("seeds", total=len(seeds), note="")
        for tally in tallies(seeds, arguments.workers):
            total.join(tally)
            progress.update(bar, completed=total.seeds, note=f"{len(total.failed)} failed")
            for seed, violations in sorted(tally.failed.items()):
                console.print(
                    f"✗ make simulate SEED={seed}   {violations[0].splitlines()[0]}", markup=False, soft_wrap=True
                )
    if arguments.json:
        print(json.dumps(asdict(total), indent=1))
    else:
        failed = f"{len(total.failed)} failed"
        print(
            f"{total.seeds:,} seeds, {total.sessions:,} sessions, {total.kills:,} kills,"
            f" {total.virtual_days:,.0f} virtual days, {total.cpu_ms_per_seed:.1f} CPU ms a seed: {failed}"
        )
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
