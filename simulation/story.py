"""What happened, for somebody who wants to understand a seed: one line per thing, in the order of virtual time."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Story:
    """Lines, kept only when they are `wanted`: most simulations have nothing to tell."""

    wanted: bool = False
    entries: list[tuple[float, str, str]] = field(default_factory=list)

    def tell(self, at: float, who: str, what: str) -> None:
        """One line more."""
        if self.wanted:
            self.entries.append((at, who, what))

    def lines(self, beginning: float) -> Iterator[str]:
        """As text; times in seconds from the beginning."""
        for at, who, what in self.entries:
            yield f"{at - beginning:12.3f}  {who:<12} {what}"
