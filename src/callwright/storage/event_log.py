"""Events in the order of their commits: what requests note down is numbered at the end of their batch.

Numbers count from 1 for each sub-account, without gaps. To take one, the counter of the sub-account is moved on, and
its row stays locked until the commit: whoever has read up to a number has missed none below it, on PostgreSQL too,
where several nodes commit at once. That is done last and in the order of the sub-accounts' ids: the locks are held as
long as a commit takes, and no two nodes wait for each other crosswise.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, insert, update

from callwright.errors import StorageError
from callwright.storage.prepared import Prepared
from callwright.storage.schema import events, sub_accounts

NOTED: Final = "callwright_noted_events"
"""Where a connection keeps what its batch has noted so far."""

MOVE_ON = Prepared(
    update(sub_accounts)
    .where(sub_accounts.c.sub_account_id == bindparam("this_sub_account_id"))
    .values(last_event=sub_accounts.c.last_event + bindparam("count"))
    .returning(sub_accounts.c.last_event)
)
INSERT_EVENT = Prepared(insert(events), "sub_account_id", "number", "event_id", "kind", "session_id", "at", "body")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that has happened, to be numbered."""

    sub_account_id: str
    event_id: str
    kind: str
    session_id: str | None
    at: float
    body: bytes


def note(connection: Connection, event: NewEvent) -> None:
    """Have an event numbered and written with this batch. For requests that run in `run_batch`."""
    connection.info.setdefault(NOTED, []).append(event)


def forget(connection: Connection) -> None:
    """What was noted is void: it was rolled back."""
    connection.info.pop(NOTED, None)


def write(connection: Connection) -> None:
    """Number and write what was noted. StorageError when a sub-account is unknown."""
    by_account: dict[str, list[NewEvent]] = {}
    for event in connection.info.pop(NOTED, ()):
        by_account.setdefault(event.sub_account_id, []).append(event)
    for sub_account_id, happened in sorted(by_account.items()):
        values = {"this_sub_account_id": sub_account_id, "count": len(happened)}
        moved = MOVE_ON.run(connection, values).fetchall()
        if not moved:
            raise StorageError(f"there is no sub-account {sub_account_id}")
        last: int = moved[0][0]
        for number, event in enumerate(happened, start=last - len(happened) + 1):
            INSERT_EVENT.run(
                connection,
                {
                    "sub_account_id": sub_account_id,
                    "number": number,
                    "event_id": event.event_id,
                    "kind": event.kind,
                    "session_id": event.session_id,
                    "at": event.at,
                    "body": event.body,
                },
            )
