"""Points in time on the wire: RFC 3339 text ↔ unix seconds."""

import re
from datetime import UTC, datetime

_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)

_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def parse_timestamp(text: str) -> float | None:
    """Unix seconds of `2024-07-03T05:59:32.226Z`; the fraction may be missing, the Z may be an offset. Else None."""
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:  # the 31st of June, hour 25, offset +99:99
        return None


def iso_seconds(at: float) -> str:
    """`2024-03-25T06:01:30Z`: the whole second that `at` lies in, as webhooks say it."""
    return datetime.fromtimestamp(at // 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_milliseconds(at: float) -> str:
    """`2024-07-03T05:59:32.226Z`, to the nearest millisecond; no later than the last second of the year 9999."""
    return (
        datetime.fromtimestamp(min(round(at, 3), _LAST), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
