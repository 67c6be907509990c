"""How webhooks do: one endpoint, its secrets, what became of events, and sending them again. An extension.

`GET POST …/webhooks` keep the contract's shapes (§8.1); all that they have no place for is here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from callwright.contract.envelope import read_object
from callwright.contract.schema import Fields
from callwright.contract.timestamps import iso_milliseconds, parse_timestamp
from callwright.contract.webhook_config import LATEST_PAYLOAD, WebhookConfig
from callwright.errors import ContractError

LOGGED_TYPES: Final = ("VSS", "VCS", "VRU", "VNU")
"""What is delivered; a VCA is a question, asked once."""
STATES: Final = ("OWED", "DUE", "HELD", "DELIVERED", "EXHAUSTED", "NO_ENDPOINT")
REPLAYABLE: Final = ("DUE", "HELD", "DELIVERED", "EXHAUSTED", "NO_ENDPOINT")
DEFAULT_LIMIT: Final = 50
MOST_PER_PAGE: Final = 200
OLD_SECRET_HOURS: Final = 24
MOST_OLD_SECRET_HOURS: Final = 24 * 7
MOST_ANSWER_SHOWN: Final = 1_000
"""Characters of a receiver's answer to a test."""
PARAMETERS: Final = ("eventId", "sessionId", "type", "state", "limit", "before")

_NUMBER = re.compile(r"[0-9]{1,15}")
LONGEST_ID: Final = 64


@dataclass(frozen=True, slots=True)
class TryReport:
    """One try of an event."""

    at: float
    host: str
    http_status: int | None
    error: str | None
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One event and what became of it."""

    event_id: str
    type: str
    session_id: str | None
    state: str
    at: float | None
    "when it happened"
    next_attempt_at: float | None
    tries: tuple[TryReport, ...]


@dataclass(frozen=True, slots=True)
class SecretReport:
    """A secret that events are signed with."""

    text: str | None = field(repr=False)
    "None for those who may only read"
    created_at: float
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """How a webhook does."""

    config: WebhookConfig
    secrets: tuple[SecretReport, ...]
    waiting: int
    held: int
    waiting_since: float | None
    next_attempt_at: float | None
    last_success: TryReport | None
    last_failure: TryReport | None

    @property
    def state(self) -> str:
        """DISABLED, or what the last try says: WORKING, FAILING, or UNTRIED."""
        if not self.config.enabled:
            return "DISABLED"
        good, bad = self.last_success, self.last_failure
        if good is None and bad is None:
            return "UNTRIED"
        return "WORKING" if bad is None or (good is not None and good.at >= bad.at) else "FAILING"


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which deliveries to list: of an event, of a session, or all along the time, newest first."""

    event_id: str | None = None
    session_id: str | None = None
    types: tuple[str, ...] = LOGGED_TYPES
    states: tuple[str, ...] = STATES
    limit: int = DEFAULT_LIMIT
    before: int | None = None
    "the number of an event"


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Which events to send again: one, those of a session, or those since a time."""

    event_id: str | None = None
    session_id: str | None = None
    since: float | None = None
    types: tuple[str, ...] = LOGGED_TYPES
    states: tuple[str, ...] = REPLAYABLE


def parse_log_query(query: Iterable[tuple[str, str]]) -> LogQuery:
    """The parameters of `GET …/deliveries`. ContractError 400 names the one that is wrong."""
    given: dict[str, str] = {}
    for name, value in query:
        if name not in PARAMETERS:
            raise _refused(f"{name}: unknown; there are {', '.join(PARAMETERS)}")
        if name in given:
            raise _refused(f"{name}: given twice")
        given[name] = value
    if "eventId" in given and "sessionId" in given:
        raise _refused("eventId: may not stand beside sessionId")
    limit = _number(given, "limit")
    if limit is not None and not 1 <= limit <= MOST_PER_PAGE:
        raise _refused(f"limit: must be 1 to {MOST_PER_PAGE}")
    return LogQuery(
        event_id=given.get("eventId"),
        session_id=given.get("sessionId"),
        types=_chosen(given, "type", LOGGED_TYPES),
        states=_chosen(given, "state", STATES),
        limit=DEFAULT_LIMIT if limit is None else limit,
        before=_number(given, "before"),
    )


def parse_replay(body: bytes) -> ReplayRequest:
    """The body of `POST …/deliveries/replay`: one of `eventId`, `sessionId`, `since`. ContractError 422 otherwise."""
    fields = read_object(body, _unprocessable)
    named = [name for name in ("eventId", "sessionId", "since") if fields.values.get(name) is not None]
    if len(named) != 1:
        raise _unprocessable("$: must have one of eventId, sessionId, since")
    return ReplayRequest(
        event_id=fields.optional_string("eventId", LONGEST_ID),
        session_id=fields.optional_string("sessionId", LONGEST_ID),
        since=_since(fields),
        types=_listed(fields, "types", LOGGED_TYPES),
        states=_listed(fields, "states", REPLAYABLE),
    )


def parse_rotation(body: bytes) -> float:
    """How many seconds the secret of before stays good: `oldValidHours`, 0 to 168, 24 unless given. 422 otherwise."""
    if not body.strip():
        return OLD_SECRET_HOURS * 3600.0
    hours = read_object(body, _unprocessable).number("oldValidHours", 0, MOST_OLD_SECRET_HOURS)
    return (OLD_SECRET_HOURS if hours is None else hours) * 3600.0


def endpoint_body(sub_account_id: str, endpoint: EndpointReport) -> dict[str, object]:
    """HTTP 200 of one webhook."""
    config = endpoint.config
    return {
        "subAccountId": sub_account_id,
        "type": config.type,
        "url": config.url,
        "enabled": config.enabled,
        "httpAuthHeaderAvailable": config.http_auth_header is not None,
        "payloadVersion": config.payload_version or LATEST_PAYLOAD,
        "state": endpoint.state,
        "waiting": endpoint.waiting,
        "held": endpoint.held,
        "waitingSince": _moment(endpoint.waiting_since),
        "nextAttemptAt": _moment(endpoint.next_attempt_at),
        "lastSuccess": None if endpoint.last_success is None else _try(endpoint.last_success),
        "lastFailure": None if endpoint.last_failure is None else _try(endpoint.last_failure),
        "secrets": [
            {"secret": one.text, "createdAt": _moment(one.created_at), "expiresAt": _moment(one.expires_at)}
            for one in endpoint.secrets
        ],
    }


def log_body(deliveries: Sequence[DeliveryReport], before: int | None) -> dict[str, object]:
    """HTTP 200 of the log; `before` is where the next page begins, None after the last."""
    return {"deliveries": [_delivery(one) for one in deliveries], "before": before}


def replay_body(due: int, held: int) -> dict[str, object]:
    """HTTP 202 of sending again: how many will be sent at once, and how many wait for their webhook."""
    return {"replayed": due, "held": held}


def test_event(sub_account_id: str, event_id: str, at: float) -> dict[str, object]:
    """The body of a test."""
    return {
        "payload": {"eventId": event_id, "subAccountId": sub_account_id, "timestamp": iso_milliseconds(at)},
        "namespace": "VOICE",
        "eventType": "TEST",
        "description": "Test of a webhook",
    }


def test_body(event_id: str, tried: TryReport, answer: str | None) -> dict[str, object]:
    """HTTP 200 of a test, whatever came of it."""
    delivered = tried.http_status is not None and 200 <= tried.http_status < 300
    return {"eventId": event_id, "delivered": delivered, **_try(tried), "answer": answer}


def _delivery(one: DeliveryReport) -> dict[str, object]:
    return {
        "eventId": one.event_id,
        "type": one.type,
        "sessionId": one.session_id,
        "state": one.state,
        "at": _moment(one.at),
        "nextAttemptAt": _moment(one.next_attempt_at),
        "attempts": [_try(attempt) for attempt in one.tries],
    }


def _try(attempt: TryReport) -> dict[str, object]:
    return {
        "at": iso_milliseconds(attempt.at),
        "host": attempt.host,
        "httpStatus": attempt.http_status,
        "error": attempt.error,
        "elapsedMs": attempt.elapsed_ms,
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else iso_milliseconds(at)


def _since(fields: Fields) -> float | None:
    if fields.values.get("since") is None:
        return None
    at = parse_timestamp(fields.string("since"))
    if at is None:
        raise fields.wrong("since", "must be a time with Z or an offset, such as 2025-06-01T08:00:00Z")
    return at


def _listed(fields: Fields, name: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    value = fields.values.get(name)
    if value is None:
        return choices
    if not isinstance(value, list) or not value or any(one not in choices for one in value):
        raise fields.wrong(name, f"must be a list of [{', '.join(choices)}]")
    return tuple(value)


def _chosen(given: dict[str, str], name: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    if name not in given:
        return choices
    if given[name] not in choices:
        raise _refused(f"{name}: must be one of {', '.join(choices)}")
    return (given[name],)


def _number(given: dict[str, str], name: str) -> int | None:
    if name not in given:
        return None
    if not _NUMBER.fullmatch(given[name]):
        raise _refused(f"{name}: must be a number")
    return int(given[name])


def _refused(words: str) -> ContractError:
    return ContractError(400, 400, words)


def _unprocessable(words: str) -> ContractError:
    return ContractError(422, 422, words or "the body is no JSON object")
