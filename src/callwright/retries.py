"""How long to wait before something that failed is tried again: webhooks and uploads of recordings keep to it; pure.

Tries follow each other after 1, 10, 30 and 90 seconds, 5 and 30 minutes, 2, 5, 10, 14 and 20 hours, then daily, until
at least 168 hours after the first. Each wait is lengthened by up to a tenth, so that everything that waited for one
receiver that was down does not come back at once.
"""

from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

GIVE_UP_SECONDS: Final = 168 * HOUR
"""Nothing is given up before it was tried for this long."""
FIRST_WAITS: Final = (
    1.0, 10.0, 30.0, 90.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR,
)  # fmt: skip
JITTER: Final = 0.1


def _waits() -> tuple[float, ...]:
    waits = list(FIRST_WAITS)
    while sum(waits) < GIVE_UP_SECONDS:
        waits.append(DAY)
    return tuple(waits)


WAITS: Final = _waits()
"""Seconds to wait after the first, second, … failed try; after the last one it is given up."""


def wait_seconds(tries: int, jitter: float, asked_wait_seconds: float = 0.0) -> float | None:
    """How long to wait after `tries` failed tries; None when it is given up.

    `jitter` is a random number from 0 to 1; `asked_wait_seconds` is what the receiver asked for.
    """
    if tries > len(WAITS):
        return None
    return max(WAITS[tries - 1] * (1 + JITTER * jitter), asked_wait_seconds)
