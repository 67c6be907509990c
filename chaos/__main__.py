"""`python -m chaos`: kill at every point, reckon, and print what was found as a table."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from chaos.lane import Lane, Tally
from chaos.outside import Zygote
from chaos.points import POINTS

MOST_MISSES = 3
"""Victims in a row that did not get to their point before it is given up."""


def main() -> int:
    """Run as the command line says; 1 when a promise was broken or a point was never reached."""
    parser = argparse.ArgumentParser(
        prog="chaos", description="Kill callwright at named points, and count what is left."
    )
    parser.add_argument("--kills", type=int, default=5, help="at each point")
    parser.add_argument(
        "--point", action="append", choices=list(POINTS), metavar="POINT", help="only there (may be repeated)"
    )
    parser.add_argument("--lanes", type=int, default=4, help="data folders at the same time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long, and reckon")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", action="append", help="PostgreSQL URL, one for each lane; SQLite otherwise")
    parser.add_argument("--json", action="store_true", help="the result for machines")
    parser.add_argument("--keep", type=Path, help="folder for logs, kept")
    parser.add_argument("--list", action="store_true", help="name the points")
    known = parser.parse_args()
    if known.list:
        print("\n".join(POINTS))
        return 0
    if shutil.which("sipp") is None:
        raise SystemExit("SIPp is missing: scripts/install-peers installs it")
    points = known.point or list(POINTS)
    with tempfile.TemporaryDirectory(prefix="callwright-chaos-") as temporary:
        folder = known.keep or Path(temporary)
        tallies = asyncio.run(
            kill_everywhere(points, known.kills, known.lanes, known.seed, folder, known.database or (), known.minutes)
        )
    show(tallies, as_json=known.json)
    return int(any(_is_bad(tally, known.kills) for tally in tallies))


def _is_bad(tally: Tally, kills: int) -> bool:
    return bool(tally.lost or tally.twice or tally.orphans or tally.kills < kills)


async def kill_everywhere(
    points: Sequence[str], kills: int, lanes: int, seed: int, folder: Path, databases: Sequence[str], minutes: float
) -> list[Tally]:
    """`kills` at each point, spread over the lanes, or as many as `minutes` allow; what came of them."""
    end_at = time.monotonic() + 60 * minutes
    shares = [points[lane::lanes] for lane in range(min(lanes, len(points)))]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    async with AsyncExitStack() as stack:
        zygote = await stack.enter_async_context(Zygote.started(sys.executable, {}))
        progress = stack.enter_context(Progress(*columns, console=Console(stderr=True)))
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(
                    _one_lane(
                        zygote, folder / f"lane-{number}", share, kills, seed + number, progress,
                        databases[number] if databases else None, end_at,
                    )
                )
                for number, share in enumerate(shares)
            ]  # fmt: skip
    found = {tally.point: tally for task in running for tally in task.result()}
    return [found[point] for point in points]


async def _one_lane(
    zygote: Zygote,
    folder: Path,
    points: Sequence[str],
    kills: int,
    seed: int,
    progress: Progress,
    database: str | None,
    end_at: float,
) -> list[Tally]:
    done = dict.fromkeys(points, 0)
    misses = dict.fromkeys(points, 0)
    task = progress.add_task(folder.name, total=kills * len(points))
    async with Lane.opened(zygote, folder, seed, database) as lane:
        await lane.prepare()
        # Round and round, so that every point meets what a kill at another one left behind.
        while time.monotonic() < end_at and (
            wanted := [point for point in points if done[point] < kills and misses[point] < MOST_MISSES]
        ):
            for point in wanted:
                if time.monotonic() > end_at:
                    break
                progress.update(task, description=f"{folder.name} {point:<24}")
                if await lane.kill_at(point, lambda: progress.advance(task)):
                    done[point] += 1
                    misses[point] = 0
                else:
                    misses[point] += 1
        progress.update(task, description=f"{folder.name} {'reckoning':<24}")
        tallies = await lane.reckon(points)
    for tally in tallies:
        tally.kills = done[tally.point]
    return tallies


def show(tallies: Sequence[Tally], *, as_json: bool) -> None:
    """A table for people, JSON for machines; faults below."""
    if as_json:
        fields = ("point", "kills", "sessions", "lost", "twice", "orphans", "faults")
        print(json.dumps([{name: getattr(tally, name) for name in fields} for tally in tallies], indent=1))
        return
    table = Table("killed", *(("kills"), "sessions", "lost", "twice", "orphans > 30 s"))
    for tally in tallies:
        numbers = (tally.kills, tally.sessions, tally.lost, tally.twice, tally.orphans)
        table.add_row(tally.point, *(f"{number:,}" for number in numbers))
    total = [
        sum(getattr(tally, name) for tally in tallies) for name in ("kills", "sessions", "lost", "twice", "orphans")
    ]
    table.add_section()
    table.add_row("all", *(f"{number:,}" for number in total))
    console = Console()
    console.print(table)
    for tally in tallies:
        for fault in tally.faults:
            console.print(f"{tally.point}: {fault}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
