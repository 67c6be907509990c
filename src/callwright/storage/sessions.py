"""Sessions and what was dialled for them: the queries, each a function of a connection.

The rules of the house stand here: accepted and owed are one transaction; a leg is written before it is dialled, and
once only; a session has one terminal record.
"""

from typing import Final

from sqlalchemy import Connection, RowMapping, Select, bindparam, insert, select, tuple_, update

from callwright.callflow.plan import Callflow, MakeCall
from callwright.callflow.summary import SessionSummary
from callwright.errors import StorageError
from callwright.storage import outbox
from callwright.storage.records import (
    DialIntent,
    SessionQuery,
    SessionState,
    StoredSession,
    compress_trace,
    decode_callflow,
    decode_summary,
    decode_trace,
)
from callwright.storage.schema import OPEN_SESSION, dial_intents, sessions, traces
from callwright.telemetry.trace import Trace

MOST_RECENT: Final = 1_000

INSERT_SESSION = insert(sessions)
INSERT_INTENT = insert(dial_intents)
INSERT_TRACE = insert(traces)
MARK_DIALLED = (
    update(sessions)
    .where(sessions.c.session_id == bindparam("this_session_id"), sessions.c.state != SessionState.FINISHED.value)
    .values(state=SessionState.DIALLED.value)
)
FINISH = (
    update(sessions)
    .where(sessions.c.session_id == bindparam("this_session_id"), sessions.c.state != SessionState.FINISHED.value)
    .values(
        state=SessionState.FINISHED.value,
        finished_at=bindparam("at"),
        status=bindparam("new_status"),
        summary=bindparam("new_summary"),
    )
)
STATE = select(sessions.c.state).where(sessions.c.session_id == bindparam("this_session_id"))
SESSIONS = select(
    sessions.c.session_id,
    sessions.c.sub_account_id,
    sessions.c.state,
    sessions.c.callflow,
    sessions.c.accepted_at,
    sessions.c.finished_at,
    sessions.c.summary,
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
    )
    .where(dial_intents.c.session_id == bindparam("this_session_id"))
    .order_by(dial_intents.c.dialled_at, dial_intents.c.leg_id)
)
TRACE = select(traces.c.body).where(traces.c.session_id == bindparam("this_session_id"))


def accept(
    connection: Connection, session_id: str, sub_account_id: str, callflow: Callflow, encoded: str, at: float
) -> None:
    """Write the session and the summary that is owed for it. The sub-account must be there, the id must be new."""
    called = next((action.destination for action in callflow.actions if isinstance(action, MakeCall)), None)
    connection.execute(
        INSERT_SESSION,
        {
            "session_id": session_id,
            "sub_account_id": sub_account_id,
            "state": SessionState.ACCEPTED.value,
            "call_flow_request_id": callflow.call_flow_request_id,
            "callflow": encoded,
            "accepted_at": at,
            "valid_until": callflow.valid_until,
            "destination": called,
        },
    )
    outbox.owe(connection, session_id, sub_account_id, "VSS")


def accept_incoming(
    connection: Connection, sub_account_id: str, callflow: Callflow, encoded: str, intent: DialIntent
) -> None:
    """Write the session of a call that came in, its leg, and the summary that is owed for it."""
    connection.execute(
        INSERT_SESSION,
        {
            "session_id": intent.session_id,
            "sub_account_id": sub_account_id,
            "state": SessionState.DIALLED.value,
            "call_flow_request_id": callflow.call_flow_request_id,
            "callflow": encoded,
            "accepted_at": intent.dialled_at,
            "destination": intent.destination,
        },
    )
    _insert_intent(connection, intent)
    outbox.owe(connection, intent.session_id, sub_account_id, "VSS")


def intend_to_dial(connection: Connection, intent: DialIntent) -> None:
    """Write down that a leg is about to be dialled.

    Raises StorageError when that leg was written before, or the session is unknown or finished: do not dial then.
    """
    if connection.execute(MARK_DIALLED, {"this_session_id": intent.session_id}).rowcount != 1:
        raise StorageError(f"session {intent.session_id} is unknown or finished: nothing may be dialled for it")
    _insert_intent(connection, intent)


def finish(
    connection: Connection, summary: SessionSummary, encoded: str, vss_body: bytes, trace: bytes, at: float
) -> bool:
    """Write the one terminal record, the trace, and the owed event's body; `trace` is not compressed yet.

    False when the session has its record already; then nothing changes. Raises StorageError for an unknown session.
    """
    values = {
        "this_session_id": summary.session_id,
        "at": at,
        "new_status": summary.status.value,
        "new_summary": encoded,
    }
    if connection.execute(FINISH, values).rowcount != 1:
        if connection.execute(STATE, {"this_session_id": summary.session_id}).first() is None:
            raise StorageError(f"there is no session {summary.session_id}")
        return False
    connection.execute(INSERT_TRACE, {"session_id": summary.session_id, "body": compress_trace(trace)})
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


def page_query(wanted: SessionQuery) -> Select[tuple[object, ...]]:
    """The query for one page. `status IS NULL` says live: a status is written with the terminal record."""
    columns = sessions.c
    query = SESSIONS.where(columns.sub_account_id == bindparam("this_sub_account_id"))
    if wanted.status is not None:
        query = query.where(columns.status == bindparam("this_status"))
    elif wanted.state is not None and wanted.state is not SessionState.FINISHED:
        query = query.where(columns.status.is_(None), columns.state == bindparam("this_state"))
    elif wanted.state is not None:
        query = query.where(columns.status.is_not(None))
    if wanted.destination is not None:
        query = query.where(columns.destination == bindparam("this_destination"))
    if wanted.accepted_from is not None:
        query = query.where(columns.accepted_at >= bindparam("from_at"))
    if wanted.accepted_before is not None:
        query = query.where(columns.accepted_at < bindparam("before_at"))
    if wanted.after is not None:
        query = query.where(
            tuple_(columns.accepted_at, columns.session_id) < tuple_(bindparam("last_at"), bindparam("last_id"))
        )
    return query.order_by(columns.accepted_at.desc(), columns.session_id.desc()).limit(bindparam("most"))


def page(connection: Connection, sub_account_id: str, wanted: SessionQuery) -> tuple[StoredSession, ...]:
    """One page of a sub-account's sessions, newest first, at most 1,000."""
    if wanted.status is not None and wanted.state not in (None, SessionState.FINISHED):
        return ()
    last_at, last_id = wanted.after or (None, None)
    values = {
        "this_sub_account_id": sub_account_id,
        "this_status": wanted.status,
        "this_state": wanted.state,
        "this_destination": wanted.destination,
        "from_at": wanted.accepted_from,
        "before_at": wanted.accepted_before,
        "last_at": last_at,
        "last_id": last_id,
        "most": max(0, min(wanted.limit, MOST_RECENT)),
    }
    used = {name: value for name, value in values.items() if value is not None}
    rows = connection.execute(page_query(wanted), used).mappings().all()
    return tuple(_session(connection, row) for row in rows)


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
    connection.execute(
        INSERT_INTENT,
        {
            "leg_id": intent.leg_id,
            "session_id": intent.session_id,
            "sip_call_id": intent.sip_call_id,
            "trunk": intent.trunk,
            "dialled_at": intent.dialled_at,
            "source": intent.source,
            "destination": intent.destination,
            "inbound": intent.inbound,
        },
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
    )
