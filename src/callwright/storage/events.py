"""Events to be read in order, and who reads them: the queries, each a function of a connection.

What is told to webhooks is written here too (see event_log.py), whether there is a webhook or not. Only news of legs
and numbers (VCS, VNU) are written just for those who want them: a sub-account with such a webhook, or one whose
events are followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, exists, func, or_, select, tuple_, update

from callwright.storage import editions
from callwright.storage.schema import events, sub_accounts

MOST_ON_A_PAGE: Final = 1_000
MOST_TAKEN_AWAY: Final = 1_000
"""In one transaction, so that others need not wait for long."""

EVENTS_AFTER = (
    select(
        events.c.number,
        events.c.event_id,
        events.c.kind,
        events.c.session_id,
        events.c.at,
        events.c.body,
    )
    .where(
        events.c.sub_account_id == bindparam("this_sub_account_id"),
        events.c.number > bindparam("after"),
    )
    .order_by(events.c.number)
    .limit(bindparam("most"))
)
RANGE = select(
    sub_accounts.c.last_event,
    select(func.min(events.c.number))
    .where(events.c.sub_account_id == sub_accounts.c.sub_account_id)
    .correlate(sub_accounts)
    .scalar_subquery(),
).where(sub_accounts.c.sub_account_id == bindparam("this_sub_account_id"))
LAST_OF = select(sub_accounts.c.sub_account_id, sub_accounts.c.last_event).where(
    sub_accounts.c.sub_account_id.in_(bindparam("these", expanding=True))
)
FOLLOWERS = select(sub_accounts.c.sub_account_id, sub_accounts.c.followed_until).where(
    sub_accounts.c.followed_until.is_not(None)
)
IS_FOLLOWED = select(
    exists().where(
        sub_accounts.c.sub_account_id == bindparam("this_sub_account_id"),
        sub_accounts.c.followed_until > bindparam("now"),
    )
)
FOLLOW = (
    update(sub_accounts)
    .where(
        sub_accounts.c.sub_account_id == bindparam("this_sub_account_id"),
        or_(sub_accounts.c.followed_until.is_(None), sub_accounts.c.followed_until < bindparam("until")),
    )
    .values(followed_until=bindparam("until"))
)
_old = (
    select(events.c.sub_account_id, events.c.number)
    .where(events.c.at < bindparam("before"))
    .order_by(events.c.at)
    .limit(bindparam("most"))
)
TAKE_AWAY = delete(events).where(tuple_(events.c.sub_account_id, events.c.number).in_(_old))


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """Something that has happened, in its place."""

    number: int
    "counts from 1 in each sub-account, without gaps"
    event_id: str
    "also the `webhook-id` of its deliveries"
    kind: str
    session_id: str | None
    at: float
    body: bytes


@dataclass(frozen=True, slots=True)
class EventRange:
    """Which numbers there are."""

    newest: int
    "0: nothing has happened yet"
    oldest_kept: int
    "one more than the newest when nothing is kept"


def after(connection: Connection, sub_account_id: str, number: int, limit: int) -> tuple[StoredEvent, ...]:
    """The next events after `number`, at most 1,000."""
    values = {"this_sub_account_id": sub_account_id, "after": number, "most": max(0, min(limit, MOST_ON_A_PAGE))}
    return tuple(StoredEvent(**row) for row in connection.execute(EVENTS_AFTER, values).mappings())


def kept(connection: Connection, sub_account_id: str) -> EventRange:
    """From where to where events can be read."""
    row = connection.execute(RANGE, {"this_sub_account_id": sub_account_id}).first()
    newest, oldest = (0, None) if row is None else row
    return EventRange(newest, newest + 1 if oldest is None else oldest)


def newest_of(connection: Connection, sub_account_ids: Sequence[str]) -> dict[str, int]:
    """The newest number of each."""
    return dict(connection.execute(LAST_OF, {"these": list(sub_account_ids)}).all())


def followers(connection: Connection) -> Mapping[str, float]:
    """Until when the events of sub-accounts are followed, or were."""
    return dict(connection.execute(FOLLOWERS).all())


def is_followed(connection: Connection, sub_account_id: str, now: float) -> bool:
    """Whether somebody reads this sub-account's events, or may come back for them."""
    return bool(connection.execute(IS_FOLLOWED, {"this_sub_account_id": sub_account_id, "now": now}).scalar_one())


def follow(connection: Connection, sub_account_id: str, until: float) -> None:
    """Somebody reads this sub-account's events, and may come back until then."""
    values = {"this_sub_account_id": sub_account_id, "until": until}
    if connection.execute(FOLLOW, values).rowcount == 1:
        editions.move_on(connection, editions.FOLLOWERS)


def take_away(connection: Connection, before: float) -> int:
    """Take the oldest events away that happened before `before`; how many, at most 1,000."""
    return connection.execute(TAKE_AWAY, {"before": before, "most": MOST_TAKEN_AWAY}).rowcount
