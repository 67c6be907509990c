"""What became of events, how their endpoints do, and sending them again: the queries, each a function of a connection.

The log is read along the events, which are in order, from the newest back; a page looks at a bounded number of them, so
that a search for what is rare keeps nobody waiting. What is older than the events are kept can be asked for by its
event or session.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, case, func, select, update

from callwright.storage.outbox import endpoint_is_there
from callwright.storage.records import DeliveryAttempt, DeliveryState
from callwright.storage.schema import DUE_DELIVERY, HELD_DELIVERY, deliveries, delivery_attempts, events

EVENTS_LOOKED_AT: Final = 5_000
"""By one page of the log."""
EVENTS_OF_REPORT: Final = 1_000
"""The newest events of a sub-account, among which the last success and failure of an endpoint are looked for."""
DUE_OF_REPORT: Final = 100

_COLUMNS = (
    deliveries.c.delivery_id,
    deliveries.c.event_id,
    deliveries.c.session_id,
    deliveries.c.kind,
    deliveries.c.state,
    deliveries.c.due_since,
    deliveries.c.next_attempt_at,
)
_of_endpoint = (
    deliveries.c.sub_account_id == bindparam("this_sub_account_id"),
    deliveries.c.kind == bindparam("this_kind"),
)
_of_account = deliveries.c.sub_account_id == bindparam("this_sub_account_id")
OF_EVENT = select(*_COLUMNS).where(deliveries.c.event_id == bindparam("this_event_id"), _of_account)
OF_SESSION = (
    select(*_COLUMNS)
    .where(deliveries.c.session_id == bindparam("this_session_id"), _of_account)
    .order_by(deliveries.c.due_since.is_(None), deliveries.c.due_since, deliveries.c.delivery_id)
)
_looked_at = (
    select(events.c.number, events.c.event_id, events.c.at)
    .where(
        events.c.sub_account_id == bindparam("this_sub_account_id"),
        events.c.number < bindparam("before"),
        events.c.number >= bindparam("first"),
    )
    .order_by(events.c.number.desc())
    .subquery("looked_at")
)
PAGE = (
    select(*_COLUMNS, _looked_at.c.number, _looked_at.c.at)
    .join(_looked_at, deliveries.c.event_id == _looked_at.c.event_id)
    .where(
        _of_account,
        deliveries.c.kind.in_(bindparam("kinds", expanding=True)),
        deliveries.c.state.in_(bindparam("states", expanding=True)),
    )
    .order_by(_looked_at.c.number.desc())
    .limit(bindparam("most"))
)
ATTEMPTS = (
    select(
        delivery_attempts.c.delivery_id,
        delivery_attempts.c.number,
        delivery_attempts.c.at,
        delivery_attempts.c.host,
        delivery_attempts.c.status,
        delivery_attempts.c.error,
        delivery_attempts.c.elapsed_ms,
    )
    .where(delivery_attempts.c.delivery_id.in_(bindparam("these", expanding=True)))
    .order_by(delivery_attempts.c.number)
)
# DUE_DELIVERY and HELD_DELIVERY stand word for word as in their indexes, or SQLite does not use those.
BACKLOG = select(func.count(), func.min(deliveries.c.due_since), func.min(deliveries.c.next_attempt_at)).where(
    *_of_endpoint, DUE_DELIVERY
)
HELD = select(func.count()).where(*_of_endpoint, HELD_DELIVERY)
_newest = (
    select(events.c.event_id, events.c.kind)
    .where(events.c.sub_account_id == bindparam("this_sub_account_id"))
    .order_by(events.c.number.desc())
    .limit(EVENTS_OF_REPORT)
    .subquery("newest")
)
NEWEST_TRIED = (
    select(deliveries.c.delivery_id)
    .join(_newest, deliveries.c.event_id == _newest.c.event_id)
    .where(*_of_endpoint, deliveries.c.attempts > 0)
)
DUE_TRIED = (
    select(deliveries.c.delivery_id)
    .where(*_of_endpoint, DUE_DELIVERY, deliveries.c.attempts > 0)
    .order_by(deliveries.c.next_attempt_at)
    .limit(DUE_OF_REPORT)
)
SEND_AGAIN = (
    update(deliveries)
    .where(
        deliveries.c.delivery_id.in_(bindparam("these", expanding=True)),
        _of_account,
        deliveries.c.body.is_not(None),
    )
    .values(
        state=case((endpoint_is_there, DeliveryState.DUE.value), else_=DeliveryState.HELD.value),
        due_since=bindparam("now"),
        next_attempt_at=bindparam("now"),
    )
    .returning(deliveries.c.state)
)


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """One event and what became of it."""

    delivery_id: str
    event_id: str
    session_id: str | None
    kind: str
    state: DeliveryState
    at: float | None
    "when it happened; None: it has not happened yet"
    next_attempt_at: float | None
    "while it is DUE"
    attempts: tuple[DeliveryAttempt, ...]


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some deliveries, the newest event first."""

    deliveries: tuple[LoggedDelivery, ...]
    before: int | None
    "where the next page begins; None: this was the last"


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """How an endpoint does."""

    waiting: int
    "events that are due now or later"
    held: int
    "events that wait for the webhook to be registered or enabled again"
    waiting_since: float | None
    next_attempt_at: float | None
    last_success: DeliveryAttempt | None
    "among the newest events; so is the failure"
    last_failure: DeliveryAttempt | None


@dataclass(frozen=True, slots=True)
class SentAgain:
    """How many events were chosen to be sent again."""

    due: int
    held: int
    "their webhook is not there: they wait for it"


def of_event(connection: Connection, sub_account_id: str, event_id: str) -> tuple[LoggedDelivery, ...]:
    """The delivery of one event."""
    values = {"this_sub_account_id": sub_account_id, "this_event_id": event_id}
    return _logged(connection, connection.execute(OF_EVENT, values).mappings().all())


def of_session(connection: Connection, sub_account_id: str, session_id: str) -> tuple[LoggedDelivery, ...]:
    """What a session owed or owes, the oldest first."""
    values = {"this_sub_account_id": sub_account_id, "this_session_id": session_id}
    return _logged(connection, connection.execute(OF_SESSION, values).mappings().all())


def page(  # one question, whole
    connection: Connection,
    sub_account_id: str,
    before: int,
    oldest_kept: int,
    kinds: Sequence[str],
    states: Sequence[DeliveryState],
    limit: int,
) -> LogPage:
    """What became of the events below number `before`, newest first. A page may be short and yet not the last."""
    first = max(oldest_kept, before - EVENTS_LOOKED_AT)
    values = {
        "this_sub_account_id": sub_account_id,
        "before": before,
        "first": first,
        "kinds": list(kinds),
        "states": [state.value for state in states],
        "most": limit,
    }
    rows = connection.execute(PAGE, values).mappings().all()
    following = rows[-1]["number"] if len(rows) == limit else first
    return LogPage(_logged(connection, rows), following if following > oldest_kept else None)


def report(connection: Connection, sub_account_id: str, kind: str) -> EndpointReport:
    """How one endpoint does."""
    values = {"this_sub_account_id": sub_account_id, "this_kind": kind}
    waiting, since, next_at = connection.execute(BACKLOG, values).one()
    tried = {row[0] for query in (NEWEST_TRIED, DUE_TRIED) for row in connection.execute(query, values)}
    attempts = [attempt for tries in _attempts(connection, tried).values() for attempt in tries]
    attempts.sort(key=lambda attempt: attempt.at)
    return EndpointReport(
        waiting=waiting,
        held=connection.execute(HELD, values).scalar_one(),
        waiting_since=since,
        next_attempt_at=next_at,
        last_success=next((attempt for attempt in reversed(attempts) if attempt.succeeded), None),
        last_failure=next((attempt for attempt in reversed(attempts) if not attempt.succeeded), None),
    )


def send_again(connection: Connection, sub_account_id: str, delivery_ids: Sequence[str], at: float) -> SentAgain:
    """Have events sent again that have happened, whatever became of them: at once, and for a week if need be."""
    values = {"this_sub_account_id": sub_account_id, "these": list(delivery_ids), "now": at}
    states = list(connection.execute(SEND_AGAIN, values).scalars())
    due = states.count(DeliveryState.DUE.value)
    return SentAgain(due, len(states) - due)


def _logged(connection: Connection, rows: Sequence[RowMapping]) -> tuple[LoggedDelivery, ...]:
    attempts = _attempts(connection, [row["delivery_id"] for row in rows])
    return tuple(
        LoggedDelivery(
            delivery_id=row["delivery_id"],
            event_id=row["event_id"],
            session_id=row["session_id"],
            kind=row["kind"],
            state=DeliveryState(row["state"]),
            at=row.get("at", row["due_since"]),
            next_attempt_at=row["next_attempt_at"] if row["state"] == DeliveryState.DUE else None,
            attempts=tuple(attempts.get(row["delivery_id"], ())),
        )
        for row in rows
    )


def _attempts(connection: Connection, delivery_ids: Iterable[str]) -> dict[str, list[DeliveryAttempt]]:
    found: dict[str, list[DeliveryAttempt]] = {}
    for delivery_id, *attempt in connection.execute(ATTEMPTS, {"these": list(delivery_ids)}):
        found.setdefault(delivery_id, []).append(DeliveryAttempt(*attempt))
    return found
