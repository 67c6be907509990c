"""What is owed to customers: the queries over deliveries and their tries, each a function of a connection.

A delivery is OWED from the moment its session is accepted, DUE when the session has finished, and ends DELIVERED,
EXHAUSTED or NO_ENDPOINT. While its webhook is away (deleted, disabled, answered 410) it is HELD: people replace a
webhook by deleting and registering it, and what was not delivered then must not be lost.
"""

import uuid
from dataclasses import astuple, replace
from typing import Final

from sqlalchemy import Connection, Select, bindparam, case, exists, func, insert, or_, select, true, update

from callwright.errors import AlreadyTried, StorageError
from callwright.storage import editions, event_log
from callwright.storage.event_log import NewEvent
from callwright.storage.prepared import Prepared
from callwright.storage.records import DeliveryAttempt, DeliveryState, DueDelivery, Lane, StoredDelivery
from callwright.storage.schema import DUE_DELIVERY, HELD_DELIVERY, deliveries, delivery_attempts, webhooks
from callwright.storage.secrets_box import SecretsBox, webhook_place

MOST_ERROR_LENGTH: Final = 500
MOST_DUE_STATUSES: Final = 1_000
"""VCS that may wait for one endpoint; more are dropped, as they are best effort (contract §6)."""

endpoint_is_there = (
    exists()
    .where(
        webhooks.c.sub_account_id == deliveries.c.sub_account_id,
        webhooks.c.kind == deliveries.c.kind,
        webhooks.c.enabled == true(),
    )
    .correlate(deliveries)
)
# DUE_DELIVERY and HELD_DELIVERY stand word for word as in their indexes, or SQLite does not use those.
_of_endpoint = (
    deliveries.c.sub_account_id == bindparam("this_sub_account_id"),
    deliveries.c.kind == bindparam("this_kind"),
)

OWE = Prepared(
    insert(deliveries), "delivery_id", "event_id", "sub_account_id", "session_id", "kind", "state", "attempts"
)
ENQUEUE = Prepared(
    insert(deliveries),
    "delivery_id",
    "event_id",
    "sub_account_id",
    "session_id",
    "kind",
    "state",
    "body",
    "attempts",
    "due_since",
    "next_attempt_at",
)
MAKE_DUE = Prepared(
    update(deliveries)
    .where(
        deliveries.c.session_id == bindparam("this_session_id"),
        deliveries.c.kind == bindparam("this_kind"),
        deliveries.c.state == DeliveryState.OWED.value,
    )
    .values(
        state=case((endpoint_is_there, DeliveryState.DUE.value), else_=DeliveryState.NO_ENDPOINT.value),
        body=bindparam("new_body"),
        due_since=bindparam("now"),
        next_attempt_at=bindparam("now"),
    )
    .returning(deliveries.c.event_id, deliveries.c.sub_account_id)
)
HOLD = update(deliveries).where(*_of_endpoint, DUE_DELIVERY).values(state=DeliveryState.HELD.value)
RELEASE = (
    update(deliveries)
    .where(*_of_endpoint, HELD_DELIVERY)
    .values(state=DeliveryState.DUE.value, next_attempt_at=bindparam("now"))
)
# Two nodes may cross: one registers a webhook and lets go what is held, the other holds an event that it has tried.
RELEASE_STRAYS = update(deliveries).where(HELD_DELIVERY, endpoint_is_there).values(state=DeliveryState.DUE.value)
EXHAUST_HELD = (
    update(deliveries)
    .where(HELD_DELIVERY, deliveries.c.due_since <= bindparam("before"))
    .values(state=DeliveryState.EXHAUSTED.value)
)
HAS_ENDPOINT = select(
    exists().where(
        webhooks.c.sub_account_id == bindparam("this_sub_account_id"),
        webhooks.c.kind == bindparam("this_kind"),
        webhooks.c.enabled == true(),
    )
)
WAITING = select(func.count()).select_from(
    select(deliveries.c.next_attempt_at).where(*_of_endpoint, DUE_DELIVERY).limit(bindparam("most")).subquery()
)
INSERT_ATTEMPT = Prepared(
    insert(delivery_attempts), "delivery_id", "number", "at", "host", "status", "error", "elapsed_ms"
)
_not_tried_so_often = deliveries.c.attempts < bindparam("number")
NOTE_END = Prepared(
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("this_delivery_id"), _not_tried_so_often)
    .values(state=bindparam("new_state"), attempts=bindparam("number"), node_id=None, lease_until=None)
)
NOTE_RETRY = Prepared(
    update(deliveries)
    .where(deliveries.c.delivery_id == bindparam("this_delivery_id"), _not_tried_so_often)
    .values(
        state=case((endpoint_is_there, DeliveryState.DUE.value), else_=DeliveryState.HELD.value),
        attempts=bindparam("number"),
        next_attempt_at=bindparam("retry_at"),
        node_id=None,
        lease_until=None,
    )
)
DISABLE_WEBHOOK = (
    update(webhooks)
    .where(
        webhooks.c.sub_account_id == bindparam("this_sub_account_id"),
        webhooks.c.kind == bindparam("this_kind"),
        webhooks.c.url == bindparam("this_url"),
    )
    .values(enabled=False)
)
DELIVERIES = (
    select(
        deliveries.c.delivery_id,
        deliveries.c.event_id,
        deliveries.c.session_id,
        deliveries.c.kind,
        deliveries.c.state,
        deliveries.c.body,
        deliveries.c.next_attempt_at,
    )
    .where(deliveries.c.session_id == bindparam("this_session_id"))
    .order_by(deliveries.c.kind, deliveries.c.delivery_id)
)
ATTEMPTS = (
    select(
        delivery_attempts.c.number,
        delivery_attempts.c.at,
        delivery_attempts.c.host,
        delivery_attempts.c.status,
        delivery_attempts.c.error,
        delivery_attempts.c.elapsed_ms,
    )
    .where(delivery_attempts.c.delivery_id == bindparam("this_delivery_id"))
    .order_by(delivery_attempts.c.number)
)
# Since when, because one that is sent again has a week as if it were new; most have no tries at all.
_tries = case(
    (deliveries.c.attempts == 0, 0),
    else_=select(func.count())
    .where(
        delivery_attempts.c.delivery_id == deliveries.c.delivery_id,
        delivery_attempts.c.at >= deliveries.c.due_since,
    )
    .correlate(deliveries)
    .scalar_subquery(),
)
DUE_OF_ENDPOINT = Prepared(
    select(
        deliveries.c.delivery_id,
        deliveries.c.event_id,
        deliveries.c.session_id,
        deliveries.c.body,
        deliveries.c.attempts,
        _tries.label("tries"),
        deliveries.c.next_attempt_at,
        webhooks.c.url,
        webhooks.c.http_auth_header,
    )
    .join(
        webhooks,
        (webhooks.c.sub_account_id == deliveries.c.sub_account_id) & (webhooks.c.kind == deliveries.c.kind),
    )
    .where(
        *_of_endpoint,
        DUE_DELIVERY,
        webhooks.c.enabled == true(),
        or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until <= bindparam("now")),
    )
    .order_by(deliveries.c.next_attempt_at)
    .limit(bindparam("most"))
)


def _lanes() -> Select[str, str, float]:
    """One probe into the index of due deliveries for each registered webhook, however many deliveries wait."""
    first_due = (
        select(func.min(deliveries.c.next_attempt_at))
        .where(
            deliveries.c.sub_account_id == webhooks.c.sub_account_id,
            deliveries.c.kind == webhooks.c.kind,
            DUE_DELIVERY,
        )
        .correlate(webhooks)
        .scalar_subquery()
    )
    registered = (
        select(webhooks.c.sub_account_id, webhooks.c.kind, first_due.label("first_due_at"))
        .where(webhooks.c.enabled == true())
        .subquery("registered")
    )
    return (
        select(registered.c.sub_account_id, registered.c.kind, registered.c.first_due_at)
        .where(registered.c.first_due_at.is_not(None))
        .order_by(registered.c.first_due_at)
    )


LANES = Prepared(_lanes())


def owe(connection: Connection, session_id: str, sub_account_id: str, kind: str) -> None:
    """Promise an event of a session; its id is made now and stays."""
    OWE.run(
        connection,
        {
            "delivery_id": str(uuid.uuid4()),
            "event_id": f"evt_{uuid.uuid4().hex}",
            "sub_account_id": sub_account_id,
            "session_id": session_id,
            "kind": kind,
            "state": DeliveryState.OWED.value,
            "attempts": 0,
        },
    )


def make_due(connection: Connection, session_id: str, kind: str, body: bytes, at: float) -> None:
    """The owed event has happened: DUE now if somebody wants it, else NO_ENDPOINT."""
    values = {"this_session_id": session_id, "this_kind": kind, "new_body": body, "now": at}
    for event_id, sub_account_id in MAKE_DUE.run(connection, values):
        event_log.note(connection, NewEvent(sub_account_id, event_id, kind, session_id, at, body))


def is_wanted(connection: Connection, sub_account_id: str, kind: str) -> bool:
    """Whether there is an enabled webhook for such events."""
    values = {"this_sub_account_id": sub_account_id, "this_kind": kind}
    return bool(connection.execute(HAS_ENDPOINT, values).scalar_one())


def enqueue(  # one event, whole
    connection: Connection,
    sub_account_id: str,
    session_id: str | None,
    kind: str,
    event_id: str,
    body: bytes,
    at: float,
) -> str:
    """An event that was not owed before: DUE now if somebody wants it, else NO_ENDPOINT. Its delivery id."""
    event_log.note(connection, NewEvent(sub_account_id, event_id, kind, session_id, at, body))
    wanted = is_wanted(connection, sub_account_id, kind)
    delivery_id = str(uuid.uuid4())
    ENQUEUE.run(
        connection,
        {
            "delivery_id": delivery_id,
            "event_id": event_id,
            "sub_account_id": sub_account_id,
            "session_id": session_id,
            "kind": kind,
            "state": (DeliveryState.DUE if wanted else DeliveryState.NO_ENDPOINT).value,
            "body": body,
            "attempts": 0,
            "due_since": at,
            "next_attempt_at": at,
        },
    )
    return delivery_id


def enqueue_if_room(  # one event, whole
    connection: Connection,
    sub_account_id: str,
    session_id: str,
    kind: str,
    event_id: str,
    body: bytes,
    at: float,
    *,
    followed: bool,
) -> bool:
    """A best-effort event: not sent when nobody wants it or too many wait, and not written unless it is `followed`."""
    endpoint = {"this_sub_account_id": sub_account_id, "this_kind": kind}
    waiting = connection.execute(WAITING, {**endpoint, "most": MOST_DUE_STATUSES}).scalar_one()
    if waiting >= MOST_DUE_STATUSES or not is_wanted(connection, sub_account_id, kind):
        if followed:
            event_log.note(connection, NewEvent(sub_account_id, event_id, kind, session_id, at, body))
        return False
    enqueue(connection, sub_account_id, session_id, kind, event_id, body, at)
    return True


def hold(connection: Connection, sub_account_id: str, kind: str) -> None:
    """The endpoint is away: its due events wait."""
    connection.execute(HOLD, {"this_sub_account_id": sub_account_id, "this_kind": kind})


def release(connection: Connection, sub_account_id: str, kind: str, at: float) -> None:
    """The endpoint is back: what was held is due."""
    connection.execute(RELEASE, {"this_sub_account_id": sub_account_id, "this_kind": kind, "now": at})


def exhaust_held(connection: Connection, before: float) -> int:
    """Give up what is held since before `before`; how many. What is held for no reason is due."""
    connection.execute(RELEASE_STRAYS)
    return connection.execute(EXHAUST_HELD, {"before": before}).rowcount


def lanes(connection: Connection) -> tuple[Lane, ...]:
    """Every endpoint with something due now or later, the earliest first."""
    return tuple(Lane(*row) for row in LANES.run(connection, {}))


def due(  # one endpoint, whole
    connection: Connection, box: SecretsBox, sub_account_id: str, kind: str, limit: int, now: float
) -> tuple[DueDelivery, ...]:
    """The next events of one endpoint by the time of their next try, which may lie in the future.

    Those that a node is sending `now` are not among them.
    """
    rows = DUE_OF_ENDPOINT.run(
        connection, {"this_sub_account_id": sub_account_id, "this_kind": kind, "most": limit, "now": now}
    )
    place = webhook_place(sub_account_id, kind)
    return tuple(
        DueDelivery(
            delivery_id=delivery_id,
            event_id=event_id,
            sub_account_id=sub_account_id,
            session_id=session_id or "",
            kind=kind,
            url=url,
            http_auth_header=None if sealed_header is None else box.open(sealed_header, place),
            body=body,
            attempts=attempts,
            tries=tries,
            next_attempt_at=next_attempt_at,
        )
        for delivery_id, event_id, session_id, body, attempts, tries, next_attempt_at, url, sealed_header in rows
    )


def note_attempt(
    connection: Connection, delivery_id: str, attempt: DeliveryAttempt, delivered: bool, next_attempt_at: float | None
) -> None:
    """Write one try and what follows from it: delivered, due again (or held), or given up.

    The same try again changes nothing: it was written after all when it was answered otherwise. Raises StorageError
    for an unknown delivery, AlreadyTried when another try of that number is written already.
    """
    error = None if attempt.error is None else attempt.error[:MOST_ERROR_LENGTH]
    attempt = replace(attempt, error=error)
    values: dict[str, object] = {"this_delivery_id": delivery_id, "number": attempt.number}
    if delivered or next_attempt_at is None:
        state = DeliveryState.DELIVERED if delivered else DeliveryState.EXHAUSTED
        changed = NOTE_END.run(connection, {**values, "new_state": state.value}).rowcount
    else:
        changed = NOTE_RETRY.run(connection, {**values, "retry_at": next_attempt_at}).rowcount
    if changed != 1:
        written = connection.execute(ATTEMPTS, {"this_delivery_id": delivery_id}).all()
        if astuple(attempt) in {tuple(row) for row in written}:
            return
        if written:
            raise AlreadyTried(f"another try {attempt.number} of delivery {delivery_id} is written already")
        raise StorageError(f"there is no delivery {delivery_id}")
    INSERT_ATTEMPT.run(
        connection,
        {
            "delivery_id": delivery_id,
            "number": attempt.number,
            "at": attempt.at,
            "host": attempt.host,
            "status": attempt.status,
            "error": error,
            "elapsed_ms": attempt.elapsed_ms,
        },
    )


def disable_endpoint(connection: Connection, sub_account_id: str, kind: str, url: str) -> None:
    """The endpoint said 410: switch its webhook off and hold what is due, unless it was replaced meanwhile."""
    values = {"this_sub_account_id": sub_account_id, "this_kind": kind}
    if connection.execute(DISABLE_WEBHOOK, {**values, "this_url": url}).rowcount == 1:
        connection.execute(HOLD, values)
        editions.move_on(connection, editions.WEBHOOKS)


def deliveries_of(connection: Connection, session_id: str) -> tuple[StoredDelivery, ...]:
    """What a session owed or owes, with every try."""
    rows = connection.execute(DELIVERIES, {"this_session_id": session_id}).mappings().all()
    return tuple(
        StoredDelivery(
            delivery_id=row["delivery_id"],
            event_id=row["event_id"],
            session_id=row["session_id"] or "",
            kind=row["kind"],
            state=DeliveryState(row["state"]),
            body=row["body"],
            next_attempt_at=row["next_attempt_at"] if row["state"] == DeliveryState.DUE else None,
            attempts=tuple(
                DeliveryAttempt(*attempt)
                for attempt in connection.execute(ATTEMPTS, {"this_delivery_id": row["delivery_id"]})
            ),
        )
        for row in rows
    )
