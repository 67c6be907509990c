"""Results as a table and as a file, beside the last committed ones."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.rig.machine import host_kind, machine
from bench.rig.result import Figure, Result

RESULTS = Path(__file__).parent / "results"


def document(results: Iterable[Result], date: str, load_average: float) -> dict[str, Any]:
    """What is written down: the machine, every figure, the numbers behind them; no name of a host, no path."""
    return {
        "date": date,
        "machine": machine(),
        "load_average_before": load_average,
        "results": [asdict(result) for result in results],
    }


def write(content: dict[str, Any]) -> Path:
    """Write a document to `results/<date>-<host kind>.json`; its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{content['date']}-{host_kind()}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def last(kind: str | None = None) -> dict[str, Any] | None:
    """The latest document of this kind of machine; None when there is none."""
    paths = sorted(RESULTS.glob(f"*-{kind or host_kind()}.json"))
    return json.loads(paths[-1].read_text()) if paths else None


def values(content: dict[str, Any] | None) -> dict[str, float]:
    """Figure name → value."""
    if content is None:
        return {}
    return {figure["name"]: figure["value"] for result in content["results"] for figure in result["figures"]}


def show(console: Console, results: Iterable[Result], before: dict[str, float]) -> None:
    """The table."""
    table = Table("figure", "value", "target", "before", "note", title="What callwright costs", title_justify="left")
    for result in results:
        for figure in result.figures:
            table.add_row(
                figure.name,
                Text(f"{shown(figure.value)} {figure.unit}", style=_style(figure)),
                _target(figure),
                _change(figure, before.get(figure.name)),
                figure.note,
            )
        table.add_section()
    console.print(table)


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
    return "\n".join(rows) + "\n"
