"""What happened in a sub-account, in order: `GET …/events`, as a stream and page by page. An extension.

An event's `body` is what a webhook is posted, unchanged; around it stand its number, which counts from 1 without gaps,
and its id, which is the `webhook-id` of its deliveries.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callwright.contract.json_text import serialize
from callwright.contract.timestamps import iso_milliseconds
from callwright.errors import ContractError

DEFAULT_LIMIT: Final = 100
MOST_PER_PAGE: Final = 1_000
_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class EventQuery:
    """From where to read."""

    after: int | None = None
    "the number of the last event that is known; None: none was named"
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class HappenedEvent:
    """One event."""

    number: int
    event_id: str
    kind: str
    session_id: str | None
    at: float
    body: bytes
    "JSON"


def parse_event_query(query: Iterable[tuple[str, str]], last_event_ids: Sequence[str]) -> EventQuery:
    """The parameters `after` and `limit`; a Last-Event-ID takes the place of `after`. ContractError 400 otherwise.

    A client that reconnects repeats its first query and names the last event beside it, so that one is the later.
    """
    given: dict[str, str] = {}
    for name, value in query:
        if name not in {"after", "limit"}:
            raise _refused(name, "unknown; there are after, limit")
        if name in given:
            raise _refused(name, "given twice")
        given[name] = value
    after = _number("after", given["after"]) if "after" in given else None
    if last_event_ids:
        after = _number("Last-Event-ID", last_event_ids[-1])
    limit = _number("limit", given["limit"]) if "limit" in given else DEFAULT_LIMIT
    if not 1 <= limit <= MOST_PER_PAGE:
        raise _refused("limit", f"must be 1 to {MOST_PER_PAGE}")
    return EventQuery(after, limit)


def not_yet(after: int, newest: int) -> ContractError:
    """The refusal of a number that no event has."""
    return _refused("after", f"there is no event {after} yet; the newest is {newest}")


def event_text(event: HappenedEvent) -> bytes:
    """One event as JSON, its body as it is."""
    head = serialize(
        {
            "number": event.number,
            "eventId": event.event_id,
            "type": event.kind,
            "sessionId": event.session_id,
            "at": iso_milliseconds(event.at),
        }
    )
    return head[:-1] + b',"body":' + event.body + b"}"


def event_page(events: Sequence[HappenedEvent], after: int, oldest_kept: int, newest: int) -> bytes:
    """HTTP 200 of a page. `after` of the next one is `next`; what is before `oldest` is kept no more."""
    numbers = {
        "next": events[-1].number if events else after,
        "oldest": oldest_kept,
        "newest": max(newest, events[-1].number if events else 0),
    }
    return b'{"events":[' + b",".join(map(event_text, events)) + b"]," + serialize(numbers)[1:]


def missed(first: int, last: int) -> dict[str, object]:
    """Told in the place of events that are kept no more."""
    return {"from": first, "to": last}


def _number(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise _refused(name, "must be the number of an event" if name != "limit" else f"must be 1 to {MOST_PER_PAGE}")
    return int(text)


def _refused(name: str, words: str) -> ContractError:
    return ContractError(400, 400, f"{name}: {words}")
