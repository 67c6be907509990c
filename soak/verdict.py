"""What a soak promised and what came of it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bench.report import shown
from bench.rig.machine import machine
from rich.console import Console
from rich.table import Table
from rich.text import Text

Holds = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Promise:
    """One number; with a limit it can be broken."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    "None: it is only told"
    holds: Holds = "at most"

    @property
    def is_kept(self) -> bool:
        """True also for what is only told."""
        if self.limit is None:
            return True
        return self.value <= self.limit if self.holds == "at most" else self.value >= self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one soak ended."""

    name: str
    promises: tuple[Promise, ...]
    samples: list[dict[str, float]] = field(default_factory=list)
    "what was seen on the way, one entry for each look"

    @property
    def is_kept(self) -> bool:
        """Nothing was broken."""
        return all(promise.is_kept for promise in self.promises)

    def document(self, date: str) -> dict[str, Any]:
        """What is written down; no name of a host, no path."""
        promises = [asdict(promise) | {"is_kept": promise.is_kept} for promise in self.promises]
        head = {"date": date, "machine": machine(), "soak": self.name, "is_kept": self.is_kept}
        return head | {"promises": promises, "samples": self.samples}

    def show(self, console: Console) -> None:
        """The table."""
        table = Table("", "value", "limit", title=f"soak {self.name}", title_justify="left")
        for promise in self.promises:
            limit = "" if promise.limit is None else f"{promise.holds} {shown(promise.limit)} {promise.unit}"
            style = "" if promise.limit is None else "green" if promise.is_kept else "bold red"
            table.add_row(promise.name, Text(f"{shown(promise.value)} {promise.unit}".rstrip(), style=style), limit)
        console.print(table)


def as_text(document: dict[str, Any]) -> str:
    """JSON with a line for each promise and each sample."""
    parts = {name: document[name] for name in document if name not in ("promises", "samples")}
    lines = [f' "{name}": {json.dumps(value)}' for name, value in parts.items()]
    lines += [f' "{name}": [\n{_listed(document[name])}\n ]' for name in ("promises", "samples")]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _listed(entries: Iterable[dict[str, Any]]) -> str:
    return ",\n".join(f"  {json.dumps(entry)}" for entry in entries)
