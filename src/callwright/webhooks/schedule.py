"""When a webhook is tried again, and what an answer means; pure.

The waits are those of `retries.py`. A receiver that answers 429 or 503 may name a longer wait (Retry-After, RFC 9110
§10.2.3); it never shortens one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final

from callwright.retries import DAY

LONGEST_RETRY_AFTER_SECONDS: Final = DAY


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
