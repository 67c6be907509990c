"""Answers to requests that came with an Idempotency-Key: the queries, each a function of a connection.

An answer is written in the transaction that does what it says was done, or not at all. So there is no time in between
that a crash could hit: after it, the request either was carried out and is answered, or may be made as if for the
first time. Refusals are not kept: they did nothing, and what was wrong may be put right under the same key.

An answer whose commit became known too late is taken back with what it tells of, unless somebody was given it
meanwhile, by this node or another: who gives it writes so first, and of the two only one finds the row as it must be.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Insert, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from callwright.errors import KeyTaken
from callwright.storage.editions import Upsert
from callwright.storage.schema import idempotency

KEPT_SECONDS: Final = 72 * 3600.0
MOST_FORGOTTEN: Final = 1_000
"""In one transaction, so that others need not wait for long."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a request was answered."""

    sub_account_id: str
    key: str
    "as the client gave it"
    digest: str
    "SHA-256 of method, path and body, hexadecimal"
    status: int
    body: bytes = field(repr=False)
    made_id: str
    "of the session or job that the request made"
    is_given_again: bool = False
    "it is known to be noted that another try of the request was given it"


Keep = Callable[[str], KeptAnswer]
"""Says, of the id that a request's session or job is about to have, what is to be kept with it."""

_written = ("digest", "state", "status", "body", "session_id", "created_at")


def _keep_answer(query: Upsert) -> Insert:
    return (
        query.values(state="DONE")
        .on_conflict_do_update(
            index_elements=[idempotency.c.sub_account_id, idempotency.c.key],
            set_={name: query.excluded[name] for name in _written} | {"given_again_at": None},
            where=idempotency.c.created_at <= bindparam("kept_since"),
        )
        .execution_options(preserve_rowcount=True)
    )


KEEP_ANSWER: Mapping[str, Insert] = {
    "sqlite": _keep_answer(sqlite.insert(idempotency)),
    "postgresql": _keep_answer(postgresql.insert(idempotency)),
}
FIND_ANSWER = select(
    idempotency.c.digest,
    idempotency.c.status,
    idempotency.c.body,
    idempotency.c.session_id,
    idempotency.c.given_again_at,
).where(
    idempotency.c.sub_account_id == bindparam("this_sub_account_id"),
    idempotency.c.key == bindparam("this_key"),
    idempotency.c.created_at > bindparam("kept_since"),
)
_this = (
    idempotency.c.sub_account_id == bindparam("this_sub_account_id"),
    idempotency.c.key == bindparam("this_key"),
    idempotency.c.session_id == bindparam("made_id"),
)
GIVE_AGAIN = (
    update(idempotency)
    .where(*_this)
    .values(given_again_at=func.coalesce(idempotency.c.given_again_at, bindparam("now")))
)
WAS_GIVEN_AGAIN = select(idempotency.c.given_again_at).where(*_this).with_for_update()
TAKE_BACK = delete(idempotency).where(*_this)
_old = (
    select(idempotency.c.sub_account_id, idempotency.c.key)
    .where(idempotency.c.created_at <= bindparam("kept_since"))
    .limit(bindparam("most"))
)
FORGET = delete(idempotency).where(tuple_(idempotency.c.sub_account_id, idempotency.c.key).in_(_old))


def keep(connection: Connection, answer: KeptAnswer, at: float) -> None:
    """Write an answer; KeyTaken when there is one under that key."""
    values = {
        "sub_account_id": answer.sub_account_id,
        "key": answer.key,
        "digest": answer.digest,
        "status": answer.status,
        "body": answer.body,
        "session_id": answer.made_id,
        "created_at": at,
        "kept_since": at - KEPT_SECONDS,
    }
    if connection.execute(KEEP_ANSWER[connection.dialect.name], values).rowcount != 1:
        raise KeyTaken("another request with this Idempotency-Key was taken")


def find(connection: Connection, sub_account_id: str, key: str, now: float) -> KeptAnswer | None:
    """What was answered under that key."""
    values = {"this_sub_account_id": sub_account_id, "this_key": key, "kept_since": now - KEPT_SECONDS}
    row = connection.execute(FIND_ANSWER, values).first()
    if row is None or row.status is None:
        return None
    given = row.given_again_at is not None
    return KeptAnswer(sub_account_id, key, row.digest, row.status, row.body, row.session_id, given)


def give_again(connection: Connection, answer: KeptAnswer, at: float) -> bool:
    """Note that an answer is about to be given again; False when it has been taken back."""
    return connection.execute(GIVE_AGAIN, {**_place(answer), "now": at}).rowcount == 1


def take_back(connection: Connection, answer: KeptAnswer) -> bool:
    """Remove an answer that nobody got; False when somebody did, and it stays."""
    if connection.execute(WAS_GIVEN_AGAIN, _place(answer)).scalar_one_or_none() is not None:
        return False
    connection.execute(TAKE_BACK, _place(answer))
    return True


def _place(answer: KeptAnswer) -> dict[str, str]:
    return {"this_sub_account_id": answer.sub_account_id, "this_key": answer.key, "made_id": answer.made_id}


def forget_old(connection: Connection, now: float) -> int:
    """Take answers away that are older than 72 hours; how many, at most 1,000."""
    return connection.execute(FORGET, {"kept_since": now - KEPT_SECONDS, "most": MOST_FORGOTTEN}).rowcount
