"""Export jobs and what they wrote: the queries, each a function of a connection.

What a job writes lies here in pieces, so that it survives with its job, no process needs another's files, and a link
may be followed on any node. A job that is cut off starts anew; whoever cancels it takes the pieces away.
"""

import zlib
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, or_, select, update

from callwright.storage import idempotency
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.records import ExportState, StoredExport
from callwright.storage.schema import OPEN_EXPORT, export_pieces, exports
from callwright.storage.secrets_box import SecretsBox, export_place

MOST_OPEN: Final = 100
"""Jobs of one sub-account that may wait or run at a time."""

INSERT_EXPORT = insert(exports)
EXPORTS = select(
    exports.c.job_id,
    exports.c.sub_account_id,
    exports.c.state,
    exports.c.begins_at,
    exports.c.ends_at,
    exports.c.most_rows,
    exports.c.created_at,
    exports.c.expires_at,
    exports.c.token,
)
ONE_EXPORT = EXPORTS.where(exports.c.job_id == bindparam("this_job_id"))
EXPORT_BY_TOKEN = EXPORTS.where(exports.c.token_digest == bindparam("this_digest"))
# OPEN_EXPORT stands word for word as in its index, or SQLite does not use that.
_ours = exports.c.node_id == bindparam("this_node_id")
NEXT_EXPORT = (
    EXPORTS.where(OPEN_EXPORT, or_(exports.c.lease_until.is_(None), exports.c.lease_until <= bindparam("now"), _ours))
    .order_by(exports.c.created_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
OPEN_EXPORTS_OF = select(func.count()).where(exports.c.sub_account_id == bindparam("this_sub_account_id"), OPEN_EXPORT)
_open = (exports.c.job_id == bindparam("this_job_id"), OPEN_EXPORT)
START_EXPORT = (
    update(exports)
    .where(*_open)
    .values(state=ExportState.RUNNING.value, node_id=bindparam("new_node_id"), lease_until=bindparam("until"))
)
GO_ON = update(exports).where(*_open, _ours).values(lease_until=bindparam("until"))
FINISH_EXPORT = update(exports).where(*_open, _ours).values(state=bindparam("new_state"), expires_at=bindparam("until"))
RELEASE_EXPORTS = update(exports).where(OPEN_EXPORT, _ours).values(lease_until=None)
CANCEL_EXPORT = (
    update(exports)
    .where(exports.c.job_id == bindparam("this_job_id"))
    .values(state=ExportState.CANCELLED.value, expires_at=None)
)
INSERT_PIECE = insert(export_pieces)
ONE_PIECE = select(export_pieces.c.body).where(
    export_pieces.c.job_id == bindparam("this_job_id"), export_pieces.c.number == bindparam("this_number")
)
DELETE_PIECES = delete(export_pieces).where(export_pieces.c.job_id == bindparam("this_job_id"))
DELETE_EXPIRED = delete(export_pieces).where(
    export_pieces.c.job_id.in_(select(exports.c.job_id).where(exports.c.expires_at <= bindparam("now")))
)


def create(
    connection: Connection, box: SecretsBox, export: StoredExport, token_digest: str, kept: KeptAnswer | None = None
) -> bool:
    """Write a job down, and with `kept` what its request is answered; False when too many of its sub-account are open.

    KeyTaken when the request's Idempotency-Key has been used.
    """
    values = {"this_sub_account_id": export.sub_account_id}
    if connection.execute(OPEN_EXPORTS_OF, values).scalar_one() >= MOST_OPEN:
        return False
    if kept is not None:
        idempotency.keep(connection, kept, export.created_at)
    connection.execute(
        INSERT_EXPORT,
        {
            "job_id": export.job_id,
            "sub_account_id": export.sub_account_id,
            "state": export.state.value,
            "begins_at": export.begins_at,
            "ends_at": export.ends_at,
            "most_rows": export.most_rows,
            "created_at": export.created_at,
            "token_digest": token_digest,
            "token": box.seal(export.token, export_place(export.job_id)),
        },
    )
    return True


def find(connection: Connection, box: SecretsBox, job_id: str) -> StoredExport | None:
    """One job."""
    row = connection.execute(ONE_EXPORT, {"this_job_id": job_id}).mappings().first()
    return None if row is None else _export(row, box)


def find_by_token(connection: Connection, box: SecretsBox, token_digest: str) -> StoredExport | None:
    """The job whose link has this secret."""
    row = connection.execute(EXPORT_BY_TOKEN, {"this_digest": token_digest}).mappings().first()
    return None if row is None else _export(row, box)


def start_next(
    connection: Connection, box: SecretsBox, node_id: str, now: float, lease_until: float | None
) -> StoredExport | None:
    """The oldest job that waits or was cut off, running from now on and with nothing written; None when all is done.

    Until `lease_until` no other node takes it over; None when there are no others.
    """
    row = connection.execute(NEXT_EXPORT, {"now": now, "this_node_id": node_id}).mappings().first()
    if row is None:
        return None
    values = {"this_job_id": row["job_id"]}
    connection.execute(DELETE_PIECES, values)
    connection.execute(START_EXPORT, {**values, "new_node_id": node_id, "until": lease_until})
    return replace(_export(row, box), state=ExportState.RUNNING)


def add_piece(  # one piece, whole
    connection: Connection, job_id: str, node_id: str, number: int, body: bytes, lease_until: float | None
) -> bool:
    """Keep the next piece, compressed by the caller; False when the job was cancelled, or taken over, meanwhile."""
    values = {"this_job_id": job_id, "this_node_id": node_id, "until": lease_until}
    if connection.execute(GO_ON, values).rowcount != 1:
        return False
    connection.execute(INSERT_PIECE, {"job_id": job_id, "number": number, "body": body})
    return True


def finish(connection: Connection, job_id: str, node_id: str, state: ExportState, expires_at: float | None) -> bool:
    """The end of a job; False when it was cancelled or taken over meanwhile. Unless it succeeded, its pieces go."""
    values = {"this_job_id": job_id, "this_node_id": node_id, "new_state": state.value, "until": expires_at}
    if connection.execute(FINISH_EXPORT, values).rowcount != 1:
        return False
    if state is not ExportState.SUCCEEDED:
        connection.execute(DELETE_PIECES, {"this_job_id": job_id})
    return True


def cancel(connection: Connection, box: SecretsBox, sub_account_id: str, job_id: str) -> bool:
    """End a job and drop what it wrote; False when there is none of this sub-account."""
    found = find(connection, box, job_id)
    if found is None or found.sub_account_id != sub_account_id:
        return False
    connection.execute(CANCEL_EXPORT, {"this_job_id": job_id})
    connection.execute(DELETE_PIECES, {"this_job_id": job_id})
    return True


def piece(connection: Connection, job_id: str, number: int) -> bytes | None:
    """One piece as it was written; None after the last."""
    body = connection.execute(ONE_PIECE, {"this_job_id": job_id, "this_number": number}).scalar_one_or_none()
    return None if body is None else zlib.decompress(body)


def drop_expired(connection: Connection, now: float) -> int:
    """Take away what may no longer be downloaded; how many pieces."""
    return connection.execute(DELETE_EXPIRED, {"now": now}).rowcount


def _export(row: RowMapping, box: SecretsBox) -> StoredExport:
    token = box.open(row["token"], export_place(row["job_id"]))
    return StoredExport(**{**row, "state": ExportState(row["state"]), "token": token})
