"""Nodes that share a database, and whose sessions are whose: the queries, each a function of a connection.

A node has a row for as long as its process runs, and moves its lease on every other second. One that is late is GONE,
for good: it may not move its lease on any more, and whoever claims its sessions owns them. Who owns a session is said
by the session's row alone, so that a node which was away without noticing (stopped, cut off) finds every one of its
intents and records refused. Leases are compared with the database's clock; SQLite has one server, whose clock it is.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from callwright.storage import claims, sessions
from callwright.storage.records import SessionState, StoredSession
from callwright.storage.schema import OPEN_SESSION, nodes
from callwright.storage.schema import sessions as session_rows
from callwright.storage.wakes import ANYBODY, wake

LIVE: Final = "LIVE"
DRAINING: Final = "DRAINING"
GONE: Final = "GONE"
FORGOTTEN_AFTER_SECONDS: Final = 86_400.0
"""How long the row of a node is kept that is gone and has nothing left to take over."""

DATABASE_NOW: Select[float] = select(literal_column("CAST(extract(epoch FROM clock_timestamp()) AS double precision)"))

_this = nodes.c.node_id == bindparam("this_node_id")
INSERT_NODE = insert(nodes)
RENEW = update(nodes).where(_this, nodes.c.state != GONE).values(lease_until=bindparam("until"))
DRAIN = update(nodes).where(_this, nodes.c.state == LIVE).values(state=DRAINING)
END = update(nodes).where(_this).values(state=GONE)
END_OTHERS = update(nodes).where(nodes.c.node_id != bindparam("this_node_id"), nodes.c.state != GONE).values(state=GONE)
BURY = (
    update(nodes)
    .where(nodes.c.state != GONE, nodes.c.lease_until < bindparam("now"))
    .values(state=GONE)
    .returning(nodes.c.node_id)
)
FORGET = delete(nodes).where(
    nodes.c.state == GONE,
    nodes.c.lease_until < bindparam("before"),
    ~exists().where(session_rows.c.node_id == nodes.c.node_id, OPEN_SESSION),
)
ANOTHER_IS_LIVE = select(
    exists().where(
        nodes.c.node_id != bindparam("this_node_id"), nodes.c.state == LIVE, nodes.c.lease_until > bindparam("now")
    )
)
OWNER = (
    select(nodes.c.node_id, nodes.c.name, nodes.c.url)
    .join(session_rows, session_rows.c.node_id == nodes.c.node_id)
    .where(session_rows.c.session_id == bindparam("this_session_id"), session_rows.c.state != "FINISHED")
    .where(nodes.c.state != GONE)
)
ASK_FOR_END = (
    update(session_rows)
    .where(session_rows.c.session_id == bindparam("this_session_id"), OPEN_SESSION)
    .values(hang_up_at=func.coalesce(session_rows.c.hang_up_at, bindparam("now")))
    .returning(session_rows.c.node_id)
)
# OPEN_SESSION stands word for word as in the index of each node's open sessions.
ASKED_FOR = select(session_rows.c.session_id).where(
    session_rows.c.node_id == bindparam("this_node_id"), OPEN_SESSION, session_rows.c.hang_up_at.is_not(None)
)
HAND_OVER = (
    update(session_rows)
    .where(
        session_rows.c.node_id == bindparam("this_node_id"),
        OPEN_SESSION,
        session_rows.c.state == SessionState.ACCEPTED.value,
    )
    .values(node_id=None)
    .returning(session_rows.c.session_id)
)


def _claim(whose: ColumnElement[bool]) -> ReturningUpdate[Any]:
    """Take up to `most` open sessions whose owner is as `whose` says; what another node is just taking is left out."""
    may_claim = ~exists().where(_this, nodes.c.state != LIVE)
    free = (
        select(session_rows.c.session_id)
        .where(OPEN_SESSION, whose, may_claim)
        .order_by(session_rows.c.accepted_at, session_rows.c.session_id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )
    return (
        update(session_rows)
        .where(session_rows.c.session_id.in_(free))
        .values(node_id=bindparam("this_node_id"))
        .returning(session_rows.c.session_id)
    )


_gone = select(nodes.c.node_id).where(nodes.c.state == GONE)
_others = select(nodes.c.node_id).where(nodes.c.state != GONE, nodes.c.node_id != bindparam("this_node_id"))
CLAIM_FROM_GONE = _claim(or_(session_rows.c.node_id.is_(None), session_rows.c.node_id.in_(_gone)))
# A start takes everything that is no other node's: rows of earlier versions name nodes that were never written down.
_not_ours = session_rows.c.node_id != bindparam("this_node_id")
CLAIM_AT_START = _claim(or_(session_rows.c.node_id.is_(None), and_(_not_ours, session_rows.c.node_id.not_in(_others))))


@dataclass(frozen=True, slots=True)
class Owner:
    """The node that carries a session out."""

    node_id: str
    name: str
    url: str | None
    "how others reach its HTTP"


def now_of(connection: Connection, at: float) -> float:
    """The database's clock; `at`, the process's own, where the database is a file."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(DATABASE_NOW).scalar_one())
    return at


def begin(
    connection: Connection,
    node_id: str,
    name: str,
    url: str | None,
    lease_seconds: float,
    at: float,
    former: str,
    *,
    alone: bool,
) -> None:
    """Enter a node. `former` was the last one in the same data folder, which is ours; `alone`: so is the database."""
    now = now_of(connection, at)
    connection.execute(
        INSERT_NODE,
        {
            "node_id": node_id,
            "name": name,
            "url": url,
            "started_at": now,
            "lease_until": now + lease_seconds,
            "state": LIVE,
        },
    )
    if alone:
        connection.execute(END_OTHERS, {"this_node_id": node_id})  # one server at a time: the lock on the folder
    elif former:
        connection.execute(END, {"this_node_id": former})
        claims.release_all_of(connection, former)
    connection.execute(FORGET, {"before": now - FORGOTTEN_AFTER_SECONDS})


def renew(connection: Connection, node_id: str, lease_seconds: float, at: float) -> bool:
    """Move a lease on; False when others were faster, and the node is gone."""
    until = now_of(connection, at) + lease_seconds
    return connection.execute(RENEW, {"this_node_id": node_id, "until": until}).rowcount == 1


def bury(connection: Connection, at: float) -> int:
    """End nodes whose lease ran out, and free what they had claimed; how many."""
    gone = connection.execute(BURY, {"now": now_of(connection, at)}).scalars().all()
    for node_id in gone:
        claims.release_all_of(connection, node_id)
    return len(gone)


def drain(connection: Connection, node_id: str) -> None:
    """A node takes nothing on any more."""
    connection.execute(DRAIN, {"this_node_id": node_id})


def end(connection: Connection, node_id: str) -> None:
    """A node is over; what is left of its sessions is anybody's."""
    connection.execute(END, {"this_node_id": node_id})
    claims.release_all_of(connection, node_id)
    wake(connection, ANYBODY)


def claim(connection: Connection, node_id: str, limit: int, *, at_start: bool) -> tuple[StoredSession, ...]:
    """Take sessions over whose owner is gone, oldest first; none unless the node is live."""
    query = CLAIM_AT_START if at_start else CLAIM_FROM_GONE
    claimed = connection.execute(query, {"this_node_id": node_id, "most": limit}).scalars().all()
    found = [sessions.find(connection, session_id) for session_id in claimed]
    return tuple(sorted((each for each in found if each is not None), key=lambda each: each.accepted_at))


def hand_over(connection: Connection, node_id: str, at: float) -> tuple[str, ...]:
    """Let go of what was accepted and not dialled, if another node can take it; which sessions."""
    values = {"this_node_id": node_id, "now": now_of(connection, at)}
    if not connection.execute(ANOTHER_IS_LIVE, values).scalar_one():
        return ()
    released = tuple(connection.execute(HAND_OVER, {"this_node_id": node_id}).scalars())
    if released:
        wake(connection, ANYBODY)
    return released


def ask_for_end(connection: Connection, session_id: str, at: float) -> bool:
    """Write down that somebody wants a session to end, and wake its node; False when it is over already."""
    row = connection.execute(ASK_FOR_END, {"this_session_id": session_id, "now": at}).first()
    if row is None:
        return False
    wake(connection, row[0] or ANYBODY)
    return True


def asked_for(connection: Connection, node_id: str) -> tuple[str, ...]:
    """The sessions of a node that somebody wants to end."""
    return tuple(connection.execute(ASKED_FOR, {"this_node_id": node_id}).scalars())


def owner_of(connection: Connection, session_id: str) -> Owner | None:
    """Who carries an open session out; None when nobody does at the moment, or it is over."""
    row = connection.execute(OWNER, {"this_session_id": session_id}).first()
    return None if row is None else Owner(*row)
