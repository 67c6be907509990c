"""Sessions and what was dialled for them: the queries, each a function of a connection.

The rules of the house stand here: accepted and owed are one transaction; a leg is written before it is dialled, and
once only; a session has one terminal record.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    ColumnCollection,
    Connection,
    Insert,
    RowMapping,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from callwright.callflow.plan import Callflow, MakeCall
from callwright.callflow.summary import SessionSummary
from callwright.contract.session_list import IN_PROGRESS, SessionQuery
from callwright.errors import StorageError
from callwright.storage import idempotency, outbox
from callwright.storage.editions import Upsert
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.prepared import Prepared
from callwright.storage.records import (
    DialIntent,
    SessionState,
    StoredSession,
    compress_trace,
    decode_callflow,
    decode_summary,
    decode_trace,
)
from callwright.storage.schema import (
    OPEN_SESSION,
    deliveries,
    dial_intents,
    session_destinations,
    sessions,
    traces,
)
from callwright.storage.wakes import ANYBODY, wake
from callwright.telemetry.trace import Trace

MOST_RECENT: Final = 1_000

INSERT_SESSION = Prepared(
    insert(sessions),
    "session_id",
    "sub_account_id",
    "state",
    "call_flow_request_id",
    "callflow",
    "accepted_at",
    "valid_until",
    "destination",
    "node_id",
)
INSERT_INTENT = Prepared(
    insert(dial_intents),
    "leg_id",
    "session_id",
    "sip_call_id",
    "trunk",
    "dialled_at",
    "source",
    "destination",
    "inbound",
    "dialog",
)
INSERT_TRACE = Prepared(insert(traces), "session_id", "body")


def _note_destination_once(query: Upsert) -> Insert:
    accepted = select(
        sessions.c.sub_account_id,
        bindparam("new_destination", type_=session_destinations.c.destination.type),
        sessions.c.accepted_at,
        sessions.c.session_id,
    ).where(sessions.c.session_id == bindparam("this_session_id"))
    return query.from_select(["sub_account_id", "destination", "accepted_at", "session_id"], accepted)


NOTE_DESTINATION: Mapping[str, Insert] = {
    "sqlite": _note_destination_once(sqlite.insert(session_destinations).on_conflict_do_nothing()),
    "postgresql": _note_destination_once(postgresql.insert(session_destinations).on_conflict_do_nothing()),
}
MARK_DIALLED = Prepared(
    update(sessions)
    .where(
        sessions.c.session_id == bindparam("this_session_id"),
        sessions.c.state == SessionState.ACCEPTED.value,
        sessions.c.node_id == bindparam("this_node_id"),
    )
    .values(state=SessionState.DIALLED.value)
)
FINISH = Prepared(
    update(sessions)
    .where(
        sessions.c.session_id == bindparam("this_session_id"),
        sessions.c.state != SessionState.FINISHED.value,
        sessions.c.node_id == bindparam("this_node_id"),
    )
    .values(
        state=SessionState.FINISHED.value,
        finished_at=bindparam("at"),
        status=bindparam("new_status"),
        summary=bindparam("new_summary"),
    )
)
STATE = select(sessions.c.state).where(sessions.c.session_id == bindparam("this_session_id"))
STATE_TO_KEEP = STATE.where(sessions.c.node_id == bindparam("this_node_id")).with_for_update(key_share=True)
TAKE_BACK = tuple(
    delete(table).where(table.c.session_id == bindparam("this_session_id"))
    for table in (deliveries, dial_intents, session_destinations, sessions)  # who refers goes first
)
RELEASE = update(sessions).where(sessions.c.session_id == bindparam("this_session_id")).values(node_id=None)
SESSIONS = select(
    sessions.c.session_id,
    sessions.c.sub_account_id,
    sessions.c.state,
    sessions.c.callflow,
    sessions.c.accepted_at,
    sessions.c.finished_at,
    sessions.c.summary,
    sessions.c.hang_up_at,
)
ONE_SESSION = SESSIONS.where(sessions.c.session_id == bindparam("this_session_id"))
# The condition is written as in the index, word for word, or SQLite does not see that the index answers it.
OPEN_SESSIONS = SESSIONS.where(OPEN_SESSION).order_by(sessions.c.accepted_at, sessions.c.session_id)
RECENT_SESSIONS = SESSIONS.order_by(sessions.c.accepted_at.desc(), sessions.c.session_id).limit(bindparam("most"))
FINISHED_SESSIONS = (
    SESSIONS.where(
        sessions.c.sub_account_id == bindparam("this_sub_account_id"),
        tuple_(sessions.c.accepted_at, sessions.c.session_id) > tuple_(bindparam("last_at"), bindparam("last_id")),
        sessions.c.accepted_at < bindparam("before_at"),
        sessions.c.status.is_not(None),
    )
    .order_by(sessions.c.accepted_at, sessions.c.session_id)
    .limit(bindparam("most"))
)
INTENTS = (
    select(
        dial_intents.c.leg_id,
        dial_intents.c.session_id,
        dial_intents.c.sip_call_id,
        dial_intents.c.trunk,
        dial_intents.c.dialled_at,
        dial_intents.c.source,
        dial_intents.c.destination,
        dial_intents.c.inbound,
        func.coalesce(dial_intents.c.dialog, "").label("dialog"),
    )
    .where(dial_intents.c.session_id == bindparam("this_session_id"))
    .order_by(dial_intents.c.dialled_at, dial_intents.c.leg_id)
)
KEEP_DIALOG = Prepared(
    update(dial_intents).where(dial_intents.c.leg_id == bindparam("this_leg_id")).values(dialog=bindparam("new_dialog"))
)
TRACE = select(traces.c.body).where(traces.c.session_id == bindparam("this_session_id"))


def accept(  # one session, whole
    connection: Connection,
    session_id: str,
    sub_account_id: str,
    callflow: Callflow,
    encoded: str,
    at: float,
    kept: KeptAnswer | None = None,
    *,
    node_id: str,
) -> None:
    """Write the session and the summary that is owed for it. The sub-account must be there, the id must be new.

    With `kept`, what the request is answered too; KeyTaken when its Idempotency-Key has been used.
    """
    if kept is not None:
        idempotency.keep(connection, kept, at)
    called = list(dict.fromkeys(action.destination for action in callflow.actions if isinstance(action, MakeCall)))
    INSERT_SESSION.run(
        connection,
        {
            "session_id": session_id,
            "sub_account_id": sub_account_id,
            "state": SessionState.ACCEPTED.value,
            "call_flow_request_id": callflow.call_flow_request_id,
            "callflow": encoded,
            "accepted_at": at,
            "valid_until": callflow.valid_until,
            "destination": called[0] if called else None,
            "node_id": node_id,
        },
    )
    for further in called[1:]:
        _note_destination(connection, session_id, further)
    outbox.owe(connection, session_id, sub_account_id, "VSS")


def accept_incoming(
    connection: Connection,
    sub_account_id: str,
    callflow: Callflow,
    encoded: str,
    intent: DialIntent,
    *,
    node_id: str,
) -> None:
    """Write the session of a call that came in, its leg, and the summary that is owed for it."""
    INSERT_SESSION.run(
        connection,
        {
            "session_id": intent.session_id,
            "sub_account_id": sub_account_id,
            "state": SessionState.DIALLED.value,
            "call_flow_request_id": callflow.call_flow_request_id,
            "callflow": encoded,
            "accepted_at": intent.dialled_at,
            "valid_until": None,
            "destination": intent.destination,
            "node_id": node_id,
        },
    )
    _insert_intent(connection, intent)
    outbox.owe(connection, intent.session_id, sub_account_id, "VSS")


def take_back(connection: Connection, session_id: str, kept: KeptAnswer | None = None, *, node_id: str) -> None:
    """Remove a session that nobody was told of: who asked for it was refused before it was known to be written.

    It stays when another node than `node_id` has it: that one carries it out. It stays, too, when another try of the
    request was given its answer meanwhile: then any node may carry it out, as nobody has begun to.
    """
    session = {"this_session_id": session_id}
    if connection.execute(STATE_TO_KEEP, {**session, "this_node_id": node_id}).first() is None:
        return
    if kept is not None and not idempotency.take_back(connection, kept):
        connection.execute(RELEASE, session)
        wake(connection, ANYBODY)
        return
    for query in TAKE_BACK:
        connection.execute(query, session)


def intend_to_dial(connection: Connection, intent: DialIntent, *, node_id: str) -> None:
    """Write down that a leg is about to be dialled.

    Raises StorageError when that leg was written before, or the session is unknown, finished or another node's by now:
    do not dial then.
    """
    session = {"this_session_id": intent.session_id, "this_node_id": node_id}
    if MARK_DIALLED.run(connection, session).rowcount != 1:
        if connection.execute(STATE_TO_KEEP, session).scalar_one_or_none() != SessionState.DIALLED:
            text = "is unknown, finished or another node's by now: nothing may be dialled for it"
            raise StorageError(f"session {intent.session_id} {text}")
        if intent.destination is not None:
            _note_destination(connection, intent.session_id, intent.destination)
    _insert_intent(connection, intent)


def keep_dialog(connection: Connection, leg_id: str, dialog: str) -> None:
    """Write down what ends a leg now; one that is unknown has nothing to end."""
    KEEP_DIALOG.run(connection, {"this_leg_id": leg_id, "new_dialog": dialog})


def finish(  # one record, whole
    connection: Connection,
    summary: SessionSummary,
    encoded: str,
    vss_body: bytes,
    trace: bytes,
    at: float,
    *,
    node_id: str,
) -> bool:
    """Write the one terminal record, the trace, and the owed event's body; `trace` is not compressed yet.

    False when the session has its record already, or is another node's; then nothing changes. Raises StorageError for
    an unknown session.
    """
    values = {
        "this_session_id": summary.session_id,
        "at": at,
        "new_status": summary.status.value,
        "new_summary": encoded,
        "this_node_id": node_id,
    }
    if FINISH.run(connection, values).rowcount != 1:
        if connection.execute(STATE, {"this_session_id": summary.session_id}).first() is None:
            raise StorageError(f"there is no session {summary.session_id}")
        return False
    INSERT_TRACE.run(connection, {"session_id": summary.session_id, "body": compress_trace(trace)})
    outbox.make_due(connection, summary.session_id, "VSS", vss_body, at)
    return True


def find(connection: Connection, session_id: str) -> StoredSession | None:
    """One session with what was dialled for it."""
    row = connection.execute(ONE_SESSION, {"this_session_id": session_id}).mappings().first()
    return None if row is None else _session(connection, row)


def unfinished(connection: Connection) -> tuple[StoredSession, ...]:
    """All sessions without a terminal record, oldest first."""
    rows = connection.execute(OPEN_SESSIONS).mappings().all()
    return tuple(_session(connection, row) for row in rows)


def recent(connection: Connection, limit: int) -> tuple[StoredSession, ...]:
    """The latest sessions, newest first, at most 1,000."""
    rows = connection.execute(RECENT_SESSIONS, {"most": max(0, min(limit, MOST_RECENT))}).mappings().all()
    return tuple(_session(connection, row) for row in rows)


def page_query(wanted: SessionQuery, *, further: bool = False) -> Select[tuple[object, ...]]:
    """The query for one page; with `further`, of the sessions whose further legs call the destination.

    `status IS NULL` says live: a status is written with the terminal record.
    """
    place: ColumnCollection[str, Any] = session_destinations.c if further else sessions.c
    query = SESSIONS.where(place.sub_account_id == bindparam("this_sub_account_id"))
    if further:
        query = query.where(session_destinations.c.session_id == sessions.c.session_id)
    if wanted.destination is not None:
        query = query.where(place.destination == bindparam("this_destination"))
    if wanted.status == IN_PROGRESS:
        query = query.where(sessions.c.status.is_(None))
    elif wanted.status is not None:
        query = query.where(sessions.c.status == bindparam("this_status"))
    if wanted.from_at is not None:
        query = query.where(place.accepted_at >= bindparam("from_at"))
    if wanted.to_at is not None:
        query = query.where(place.accepted_at < bindparam("to_at"))
    if wanted.after is not None:
        query = query.where(
            tuple_(place.accepted_at, place.session_id) < tuple_(bindparam("last_at"), bindparam("last_id"))
        )
    return query.order_by(place.accepted_at.desc(), place.session_id.desc()).limit(bindparam("most"))


def page(connection: Connection, sub_account_id: str, wanted: SessionQuery) -> tuple[StoredSession, ...]:
    """One page of a sub-account's sessions, newest first, at most 1,000."""
    most = max(0, min(wanted.limit, MOST_RECENT))
    values = {
        "this_sub_account_id": sub_account_id,
        "this_destination": wanted.destination,
        "this_status": None if wanted.status == IN_PROGRESS else wanted.status,
        "from_at": wanted.from_at,
        "to_at": wanted.to_at,
        "last_at": None if wanted.after is None else wanted.after.accepted_at,
        "last_id": None if wanted.after is None else wanted.after.session_id,
        "most": most,
    }
    used = {name: value for name, value in values.items() if value is not None}
    rows = list(connection.execute(page_query(wanted), used).mappings())
    if wanted.destination is not None:
        rows += connection.execute(page_query(wanted, further=True), used).mappings()
        rows.sort(key=itemgetter("accepted_at", "session_id"), reverse=True)
    unique = {row["session_id"]: row for row in rows}  # a number may be called by both legs
    return tuple(_session(connection, row) for row in list(unique.values())[:most])


def finished(  # one page, whole
    connection: Connection,
    sub_account_id: str,
    begins_at: float,
    ends_at: float,
    after: tuple[float, str] | None,
    limit: int,
) -> tuple[StoredSession, ...]:
    """Sessions with a terminal record, accepted from `begins_at` to before `ends_at`, oldest first, after `after`."""
    last_at, last_id = after or (begins_at, "")  # no id is before the empty one
    values = {
        "this_sub_account_id": sub_account_id,
        "before_at": ends_at,
        "last_at": last_at,
        "last_id": last_id,
        "most": max(0, min(limit, MOST_RECENT)),
    }
    rows = connection.execute(FINISHED_SESSIONS, values).mappings().all()
    return tuple(_session(connection, row) for row in rows)


def find_trace(connection: Connection, session_id: str) -> Trace | None:
    """The trace of a finished session."""
    body = connection.execute(TRACE, {"this_session_id": session_id}).scalar_one_or_none()
    return None if body is None else decode_trace(session_id, body)


def _insert_intent(connection: Connection, intent: DialIntent) -> None:
    INSERT_INTENT.run(
        connection,
        {
            "leg_id": intent.leg_id,
            "session_id": intent.session_id,
            "sip_call_id": intent.sip_call_id,
            "trunk": intent.trunk,
            "dialled_at": intent.dialled_at,
            "source": intent.source,
            "destination": intent.destination,
            "inbound": intent.inbound,
            "dialog": intent.dialog or None,
        },
    )


def _note_destination(connection: Connection, session_id: str, destination: str) -> None:
    """A further leg calls this number."""
    connection.execute(
        NOTE_DESTINATION[connection.dialect.name], {"this_session_id": session_id, "new_destination": destination}
    )


def _session(connection: Connection, row: RowMapping) -> StoredSession:
    state = SessionState(row["state"])
    intents = (
        ()
        if state is SessionState.ACCEPTED  # nothing was dialled, no need to ask
        else connection.execute(INTENTS, {"this_session_id": row["session_id"]}).mappings()  # named as its fields
    )
    return StoredSession(
        session_id=row["session_id"],
        sub_account_id=row["sub_account_id"],
        state=state,
        callflow=decode_callflow(row["callflow"]),
        accepted_at=row["accepted_at"],
        finished_at=row["finished_at"],
        summary=None if row["summary"] is None else decode_summary(row["summary"]),
        dial_intents=tuple(DialIntent(**intent) for intent in intents),
        hang_up_at=row["hang_up_at"],
    )
