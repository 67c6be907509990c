"""`python -m fuzz`: every reader in turn, fed by libFuzzer (atheris), which keeps what reaches new code and bends that.

What breaks a reader is written to `--found`; put it into tests/fuzz/found/, which every run of the tests reads.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn
from rich.table import Table

from fuzz.mutation import mutated

MOST_SECONDS_FOR_ONE: Final = 1
MOST_MEMORY_MIB: Final = 1_024
MOST_BYTES: Final = 65_535
_COVERAGE: Final = re.compile(r"cov: (\d+)")
_RUNS: Final = re.compile(r"stat::number_of_executed_units: +(\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one target fared."""

    name: str
    inputs: int
    places: int
    "branches of the code that were reached"
    found: tuple[Path, ...]
    "inputs that broke it"
    story: str
    "the end of what the fuzzer said"


def main() -> int:
    """Run as the command line says; 1 when something broke."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Bend what strangers may send, led by coverage.")
    parser.add_argument("--target", action="append", help="only this one (may be repeated)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"), help="folder that keeps what reached new code")
    parser.add_argument(
        "--found", type=Path, default=Path(".fuzz/found"), help="folder for inputs that break something"
    )
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    known = parser.parse_args()
    if known.alone:
        _feed(known.alone, known.corpus, known.found, known.seconds, known.seed)
        return 0
    outcomes = _run_all(known.target, known.corpus, known.found, known.seconds, known.seed)
    _show(outcomes)
    return int(any(outcome.found for outcome in outcomes))


def _run_all(wanted: Sequence[str] | None, corpus: Path, found: Path, seconds: int, seed: int) -> list[Outcome]:
    from fuzz.targets import TARGETS

    names = [target.name for target in TARGETS if not wanted or target.name in wanted]
    if not names or len(names) < len(wanted or ()):
        raise SystemExit(f"targets are {', '.join(target.name for target in TARGETS)}")
    outcomes = []
    with Progress(SpinnerColumn(), *Progress.get_default_columns(), TimeElapsedColumn()) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=f"{name}, {seconds} s")
            outcomes.append(_run_one(name, corpus, found, seconds, seed))
            progress.advance(task)
    return outcomes


def _run_one(name: str, corpus: Path, found: Path, seconds: int, seed: int) -> Outcome:
    before = set(found.glob(f"{name}-*"))
    said = [
        "--alone",
        name,
        "--corpus",
        str(corpus),
        "--found",
        str(found),
        "--seconds",
        str(seconds),
        "--seed",
        str(seed),
    ]
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        subprocess.run([sys.executable, "-m", "fuzz", *said], stdout=log, stderr=log, check=False)
        log.seek(0)
        story = log.read()
    runs, places = _RUNS.findall(story), _COVERAGE.findall(story)
    if not runs:
        raise SystemExit(f"the fuzzer did not run:\n{story[-2000:]}")
    broken = tuple(sorted(set(found.glob(f"{name}-*")) - before))
    return Outcome(name, int(runs[-1]), int(places[-1]) if places else 0, broken, story[-3000:] if broken else "")


def _feed(name: str, corpus: Path, found: Path, seconds: int, seed: int) -> None:
    """The child: never returns, the fuzzer ends the process."""
    try:
        import atheris
    except ImportError as error:
        raise SystemExit("fuzzing led by coverage needs atheris, which is there for Linux on x86-64 only") from error
    with atheris.instrument_imports(include=["callwright"]):
        from fuzz.targets import TARGETS
    target = next(one for one in TARGETS if one.name == name)
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(target.seeds):
        (folder / f"seed-{number:03}").write_bytes(one)

    def read(data: bytes) -> None:
        target.read(data)

    def bend(data: bytes, most: int, chance: int) -> bytes:
        """Half of the time by our own ways, which know the formats; else by the fuzzer's."""
        dice = random.Random(chance)  # noqa: S311 a game
        if dice.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutated(data, dice.choice(target.seeds), target.spice, dice)[:most]

    options = [
        f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={MOST_SECONDS_FOR_ONE}",
        f"-rss_limit_mb={MOST_MEMORY_MIB}",
        f"-max_len={MOST_BYTES}", f"-artifact_prefix={found}/{name}-", "-print_final_stats=1", str(folder),
    ]  # fmt: skip
    atheris.Setup(["fuzz", *options], read, custom_mutator=bend)
    atheris.Fuzz()


def _show(outcomes: Sequence[Outcome]) -> None:
    table = Table("target", "inputs", "places reached", "broken by")
    for outcome in outcomes:
        table.add_row(
            outcome.name, f"{outcome.inputs:,}", f"{outcome.places:,}", "\n".join(map(str, outcome.found)) or "-"
        )
    console = Console()
    console.print(table)
    for outcome in outcomes:
        if outcome.story:
            console.print(outcome.story, markup=False)


if __name__ == "__main__":
    sys.exit(main())
