"""Results as a table and as a file, beside the last committed ones."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.peers.installed import Peer
from bench.rig.machine import host_kind, machine
from bench.rig.result import Failure, Figure, Result

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Before:
    """What was measured before."""

    origin: str
    "where it is from, for people"
    values: dict[str, float] = field(default_factory=dict)
    "figure name → value"


NOTHING = Before("no result of this kind of machine")


def document(results: Iterable[Result], date: str, load_average: float, peers: Iterable[Peer] = ()) -> dict[str, Any]:
    """What is written down: the machine, every figure, the numbers behind them; no name of a host, no path."""
    others = [asdict(peer) for peer in peers]
    return {
        "date": date,
        "machine": machine(),
        "load_average_before": load_average,
        "results": [asdict(result) for result in results],
    } | ({"peers": others} if others else {})


def write(content: dict[str, Any]) -> Path:
    """Write a document to `results/<date>-<host kind>.json`; its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{content['date']}-{host_kind()}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def committed(folder: Path = RESULTS, kind: str | None = None) -> Before:
    """The last result of this kind of machine that git has; outside of a repository the last that lies there."""
    kind = kind or host_kind()
    names = _git(folder, "ls-tree", "--name-only", "HEAD", "./")
    if names is None:
        paths = sorted(folder.glob(f"*-{kind}.json"))
        newest = paths[-1] if paths else None
        return Before(f"{newest.name}, not known to git", values(json.loads(newest.read_text()))) if newest else NOTHING
    known = sorted(name for name in names.splitlines() if name.endswith(f"-{kind}.json"))
    text = _git(folder, "show", f"HEAD:./{known[-1]}") if known else None
    return Before(f"{known[-1]}, as committed", values(json.loads(text))) if text else NOTHING


def _git(folder: Path, *words: str) -> str | None:
    """What git says about `folder`; None without git, repository or such a thing."""
    program = shutil.which("git")
    if program is None or not folder.is_dir():
        return None
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout


def values(content: dict[str, Any] | None) -> dict[str, float]:
    """Figure name → value."""
    if content is None:
        return {}
    return {figure["name"]: figure["value"] for result in content["results"] for figure in result["figures"]}


def show(console: Console, results: Iterable[Result], before: Before, peers: Sequence[Peer] = ()) -> None:
    """The table; a peer's number stands beside ours where the work is the same, all of them below."""
    beside = _beside(peers)
    title = f"What callwright costs; before: {before.origin}"
    columns = ("figure", "value", "target", "before", *(("peers",) if peers else ()), "note")
    table = Table(*columns, title=title, title_justify="left")
    for result in results:
        for figure in result.figures:
            table.add_row(
                figure.name,
                Text(f"{shown(figure.value)} {figure.unit}", style=_style(figure)),
                _target(figure),
                _change(figure, before.values.get(figure.name)),
                *((beside.get(figure.name, ""),) if peers else ()),
                figure.note,
            )
        for failure in result.failures:
            table.add_row(failure.name, Text("failed", style="red"), *[""] * (len(columns) - 3), failure.reason)
        table.add_section()
    console.print(table)
    if peers:
        console.print(_peers_table(peers))


def _beside(peers: Iterable[Peer]) -> dict[str, str]:
    """Figure name → what the peers measured under it."""
    values: dict[str, list[str]] = {}
    for peer in peers:
        for figure in peer.result.figures if peer.result else ():
            values.setdefault(figure.name, []).append(f"{peer.name} {shown(figure.value)}")
    return {name: ", ".join(words) for name, words in values.items()}


def _peers_table(peers: Iterable[Peer]) -> Table:
    table = Table("peer", "figure", "value", "note", title="What the same work costs others", title_justify="left")
    for peer in peers:
        if peer.result is None:
            table.add_row(peer.name, "", "", peer.state)
            continue
        for figure in peer.result.figures:
            name = f"{peer.name} {peer.state}"
            table.add_row(name, figure.name, f"{shown(figure.value)} {figure.unit}", figure.note)
        for failure in peer.result.failures:
            table.add_row(peer.name, failure.name, Text("failed", style="red"), failure.reason)
    return table


def shown(value: float) -> str:
    """Three digits that matter: 0.12, 3.46, 41.2, 1,934."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _target(figure: Figure) -> str:
    return "" if figure.target is None else f"{'≤' if figure.better == 'less' else '≥'} {shown(figure.target)}"


def _style(figure: Figure) -> str:
    return {True: "green", False: "yellow", None: ""}[figure.meets_target]


def _change(figure: Figure, before: float | None) -> str:
    if before is None:
        return ""
    change = f" ({figure.value / before - 1:+.0%})" if before else ""
    return f"{shown(before)}{change}"


def markdown(content: dict[str, Any]) -> str:
    """A document's figures as a table for people; what meets its target has a mark."""
    rows = ["| figure | measured | target | |", "|---|---|---|---|"]
    for result in content["results"]:
        for fields in result["figures"]:
            figure = Figure(**fields)
            mark = " ✓" if figure.meets_target else ""
            value = f"{shown(figure.value)} {figure.unit}"
            rows.append(f"| {figure.name} | {value} | {_target(figure)}{mark} | {figure.note} |")
        for fields in result.get("failures", ()):
            failure = Failure(**fields)
            rows.append(f"| {failure.name} | failed | | {' '.join(failure.reason.split())} |")
    for peer in content.get("peers", ()):
        if peer["result"] is None:
            rows.append(f"| {peer['name']} | {peer['state']} | | |")
            continue
        for fields in peer["result"]["figures"]:
            figure = Figure(**fields)
            name = f"{peer['name']} {peer['state']}: {figure.name}"
            rows.append(f"| {name} | {shown(figure.value)} {figure.unit} | | {figure.note} |")
        for fields in peer["result"]["failures"]:
            failure = Failure(**fields)
            rows.append(f"| {peer['name']}: {failure.name} | failed | | {' '.join(failure.reason.split())} |")
    return "\n".join(rows) + "\n"
