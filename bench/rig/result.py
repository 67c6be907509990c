"""What a measurement says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number."""

    name: str
    value: float
    unit: str
    target: float | None = None
    "what it should be; None: it is only watched"
    better: Better = "less"
    note: str = ""
    "what one must know to read it"

    @property
    def meets_target(self) -> bool | None:
        """None without a target."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "less" else self.value >= self.target


@dataclass(frozen=True, slots=True)
class Failure:
    """Figures that could not be measured."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one measurement, and the numbers that they were made from."""

    name: str
    figures: tuple[Figure, ...]
    raw: dict[str, str | int | float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0 to 1) of all values do not exceed; ValueError when there are none."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-round(share * 1_000_000) * len(ordered) // 1_000_000) - 1))]
