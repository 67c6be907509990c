"""When a webhook is tried again, and what an answer means; pure.

Tries follow each other after 1, 10, 30 and 90 seconds, 5 and 30 minutes, 2, 5, 10, 14 and 20 hours, then daily, until
at least 168 hours after the first. Each wait is lengthened by up to a tenth, so that the events of a receiver that was
down do not come back all at once. A receiver that answers 429 or 503 may name a longer wait (Retry-After, RFC 9110
§10.2.3); it never shortens one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

GIVE_UP_SECONDS: Final = 168 * HOUR
"""No event is given up before it is this old."""
FIRST_WAITS: Final = (
    1.0, 10.0, 30.0, 90.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR,
)  # fmt: skip
JITTER: Final = 0.1
LONGEST_RETRY_AFTER_SECONDS: Final = DAY


def _waits() -> tuple[float, ...]:
    waits = list(FIRST_WAITS)
    while sum(waits) < GIVE_UP_SECONDS:
        waits.append(DAY)
    return tuple(waits)


WAITS: Final = _waits()
"""Seconds to wait after the first, second, … failed try; after the last one the event is given up."""


class Verdict(Enum):
    """What an answer means for its event."""

    DELIVERED = auto()
    RETRY = auto()
    GONE = auto()
    "410: the endpoint wants nothing any more"


def judge(status: int) -> Verdict:
    """An answer's HTTP status → what to do. Redirects are failures: an event is not carried elsewhere."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    return Verdict.GONE if status == 410 else Verdict.RETRY


def wait_seconds(tries: int, jitter: float, asked_wait_seconds: float = 0.0) -> float | None:
    """How long to wait after `tries` failed tries; None when the event is given up.

    `jitter` is a random number from 0 to 1; `asked_wait_seconds` is what the receiver asked for.
    """
    if tries > len(WAITS):
        return None
    return max(WAITS[tries - 1] * (1 + JITTER * jitter), asked_wait_seconds)


def asked_wait_seconds(status: int, headers: Mapping[str, str], now: float) -> float:
    """Seconds that a 429 or 503 asks for in Retry-After (a number, or a date seen from `now`); 0 when it asks for none.

    At most a day: a receiver that asks for more is asked again tomorrow.
    """
    if status not in {429, 503}:
        return 0.0
    asked = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked), LONGEST_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(asked)
        if date.tzinfo is None:  # "-0000": no zone was named; HTTP dates are UTC
            date = date.replace(tzinfo=UTC)
        wait = (date - datetime.fromtimestamp(now, UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER_SECONDS)
