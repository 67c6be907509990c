"""Counters and gauges, and their text in the Prometheus exposition format 0.0.4.

One `Metrics` per process, handed to whoever counts. Names are fixed in the code; labels take values from small closed
sets (a trunk, a status), never a number, an id or anything a customer writes, so that the page stays short.
"""

import re
import threading
from collections.abc import Callable

_NAME = re.compile(r"[a-z][a-z0-9_]*")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """All metrics of a process, in the order they were made."""

    def __init__(self) -> None:
        self._all: dict[str, _Metric] = {}
        self._lock = threading.Lock()

    def counter(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> "Counter":
        """A number that only grows; by custom its name ends in `_total`."""
        counter = Counter(name, help_text, labels, self._lock)
        self._keep(counter)
        return counter

    def gauge(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> "Gauge":
        """A number that goes up and down."""
        gauge = Gauge(name, help_text, labels, self._lock)
        self._keep(gauge)
        return gauge

    def exposition(self) -> str:
        """The page that Prometheus reads."""
        with self._lock:
            return "".join(line + "\n" for metric in self._all.values() for line in metric.lines())

    def _keep(self, metric: "_Metric") -> None:
        with self._lock:
            if metric.name in self._all:
                raise ValueError(f"the metric {metric.name} exists already")
            self._all[metric.name] = metric


class _Metric:
    """What counters and gauges share: a value for each combination of label values."""

    kind = ""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...], lock: threading.Lock) -> None:
        for word in (name, *labels):
            if not _NAME.fullmatch(word):
                raise ValueError(f"'{word}' is no name for a metric or label")
        self.name = name
        self._help = help_text
        self._labels = labels
        self._lock = lock
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def value(self, *labels: str) -> float:
        """The value for these label values, 0 if there was none yet."""
        return self._values.get(labels, 0.0)

    def lines(self) -> list[str]:
        """HELP, TYPE and one line for each value."""
        lines = [f"# HELP {self.name} {_escaped(self._help, quotes=False)}", f"# TYPE {self.name} {self.kind}"]
        for labels, value in self._values.items():
            pairs = ",".join(
                f'{name}="{_escaped(label, quotes=True)}"' for name, label in zip(self._labels, labels, strict=True)
            )
            lines.append(f"{self.name}{'{' + pairs + '}' if pairs else ''} {_number(value)}")
        return lines

    def _add(self, labels: tuple[str, ...], amount: float) -> None:
        with self._lock:
            self._values[self._checked(labels)] = self._values.get(labels, 0.0) + amount

    def _checked(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(labels) != len(self._labels):
            raise ValueError(f"{self.name} has the labels {self._labels}, not {len(labels)} of them")
        return labels


class Counter(_Metric):
    """A number that only grows."""

    kind = "counter"

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count `amount` more for these label values, in the order of the label names."""
        if amount < 0:
            raise ValueError(f"the counter {self.name} only grows")
        self._add(labels, amount)


class Gauge(_Metric):
    """A number that goes up and down."""

    kind = "gauge"

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...], lock: threading.Lock) -> None:
        super().__init__(name, help_text, labels, lock)
        self._read: Callable[[], float] | None = None

    def set(self, value: float, *labels: str) -> None:
        """It is `value` now."""
        with self._lock:
            self._values[self._checked(labels)] = value

    def add(self, amount: float, *labels: str) -> None:
        """It is `amount` more than before; less, if negative."""
        self._add(labels, amount)

    def read_from(self, read: Callable[[], float]) -> None:
        """Ask `read` whenever the page is made, in place of being told; only for a gauge without labels."""
        self._checked(())
        self._read = read

    def lines(self) -> list[str]:
        """As of now."""
        if self._read is not None:
            self._values[()] = self._read()
        return super().lines()


def _escaped(text: str, *, quotes: bool) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
