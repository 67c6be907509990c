"""Log exports: the request, the answers about a job, how long its links live (§11.1). The CSV is in `log_csv.py`.

Decided here, where the contract is short: a date stands for its first moment, UTC; so the default `to`, today, leaves
today's calls out, as `from` < `to` demands of equal dates. A time without a zone is UTC. `limit` 0 and none mean all.
A request's period is [from, to).
"""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from callwright.contract.envelope import read_object
from callwright.contract.platform_errors import PlatformCode, invalid_parameter, platform_refusal
from callwright.contract.schema import LARGEST_INTEGER, Fields
from callwright.contract.timestamps import iso_milliseconds, parse_timestamp
from callwright.errors import ContractError

DEFAULT_DAYS = 7
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WITHOUT_ZONE = re.compile(r"[0-9-]{10}T[0-9:.]+")


class ExportStatus(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EMPTY = "empty"
    "done, and there is no call in the period"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which calls to write out: those initiated in the period."""

    from_at: float
    "unix seconds; included"
    to_at: float
    "unix seconds; excluded"
    limit: int | None
    "most rows; None for all"


def parse_export_request(body: bytes, now: float) -> ExportRequest:
    """The body of `POST …/messages/exports`, which may be missing; `now` is unix seconds.

    ContractError 1000 with HTTP 400 (413 above 256 KiB).
    """
    fields = read_object(body if body.strip() else b"{}", invalid_parameter)
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    from_at = _moment(fields, "from")
    to_at = _moment(fields, "to")
    from_at = (today - timedelta(days=DEFAULT_DAYS)).timestamp() if from_at is None else from_at
    to_at = today.timestamp() if to_at is None else to_at
    if from_at >= to_at:
        raise fields.wrong("from", "must be before to")
    return ExportRequest(from_at, to_at, fields.integer("limit", 0, LARGEST_INTEGER) or None)


def export_started(job_id: str) -> dict[str, object]:
    """HTTP 202 of starting a job."""
    return {"jobId": job_id}


def export_state(status: ExportStatus, urls: Sequence[str] = (), expires_at: float | None = None) -> dict[str, object]:
    """HTTP 200 of asking for a job; `urls` and `expires_at` (unix seconds) are said of one that succeeded."""
    body: dict[str, object] = {"status": status.value}
    if status is ExportStatus.SUCCEEDED and expires_at is not None:
        body |= {"data": list(urls), "expires": iso_milliseconds(expires_at)}
    return body


def download_path(sub_account_id: str, token: str) -> str:
    """The path of a finished file; what stands before it is the host the customer calls."""
    return f"/api/v1/subaccounts/{sub_account_id}/messages/download/{token}"


def job_not_found() -> ContractError:
    """4018 with HTTP 404, the same for an unknown job and for somebody else's."""
    return platform_refusal(PlatformCode.INVALID_JOB)


def links_expire_at(succeeded_at: float) -> float:
    """One calendar month on, on the month's last day when it has no such day; unix seconds."""
    start = datetime.fromtimestamp(succeeded_at, UTC)
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    day = min(start.day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day).timestamp()


def _moment(fields: Fields, name: str) -> float | None:
    if fields.values.get(name) is None:
        return None
    text = fields.string(name)
    if _DATE.fullmatch(text):
        at = parse_timestamp(f"{text}T00:00:00Z")
    else:
        at = parse_timestamp(f"{text}Z" if _WITHOUT_ZONE.fullmatch(text) else text)
    if at is None:
        raise fields.wrong(name, "is neither yyyy-MM-dd nor yyyy-MM-ddTHH:mm:ss with Z or an offset")
    return at
