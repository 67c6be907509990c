"""Recordings and where they are pushed to: the queries, each a function of a connection.

A recording is begun while the call goes on, becomes ready with its file, is tried to be uploaded, and ends once,
together with the event that tells of it.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Insert, RowMapping, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from callwright.errors import StorageError
from callwright.storage import outbox
from callwright.storage.accounts import has_sub_account
from callwright.storage.editions import Upsert
from callwright.storage.records import DeliveryState, PushConfig, RecordingState, StoredRecording
from callwright.storage.schema import OPEN_RECORDING, deliveries, recording_push_configs, recordings
from callwright.storage.secrets_box import SecretsBox, push_config_place

MOST_ERROR_LENGTH: Final = 500

ONE_CONFIG = select(
    recording_push_configs.c.protocol,
    recording_push_configs.c.host,
    recording_push_configs.c.port,
    recording_push_configs.c.username,
    recording_push_configs.c.password,
    recording_push_configs.c.path,
    recording_push_configs.c.audio_format,
).where(recording_push_configs.c.sub_account_id == bindparam("this_sub_account_id"))
DELETE_CONFIG = delete(recording_push_configs).where(
    recording_push_configs.c.sub_account_id == bindparam("this_sub_account_id")
)
_RECORDING = (
    recordings.c.recording_id,
    recordings.c.session_id,
    recordings.c.sub_account_id,
    recordings.c.leg_id,
    recordings.c.state,
    recordings.c.started_at,
    recordings.c.duration_seconds,
    recordings.c.path,
    recordings.c.external_url,
    recordings.c.attempts,
    recordings.c.next_attempt_at,
    recordings.c.last_error,
)
_ended = select(*_RECORDING, deliveries.c.state.label("delivery_state")).join_from(
    recordings, deliveries, deliveries.c.delivery_id == recordings.c.delivery_id, isouter=True
)
RECORDINGS_OF = _ended.where(recordings.c.session_id == bindparam("this_session_id")).order_by(
    recordings.c.started_at, recordings.c.recording_id
)
ONE_RECORDING = select(*_RECORDING).where(recordings.c.recording_id == bindparam("this_recording_id"))
# The file is in one data folder, and in no other that shares the database. Earlier versions wrote none.
_here = or_(recordings.c.node_id == bindparam("this_home_id"), recordings.c.node_id.is_(None))
# OPEN_RECORDING stands word for word as in its index, or SQLite does not use that.
DUE_RECORDINGS = (
    select(*_RECORDING)
    .where(OPEN_RECORDING, _here, recordings.c.next_attempt_at.is_not(None))
    .order_by(recordings.c.next_attempt_at)
    .limit(bindparam("most"))
)
UNREADY_RECORDINGS = select(*_RECORDING).where(OPEN_RECORDING, _here, recordings.c.next_attempt_at.is_(None))
INSERT_RECORDING = insert(recordings)
_open = (recordings.c.recording_id == bindparam("this_recording_id"), OPEN_RECORDING)
NOTE_READY = (
    update(recordings)
    .where(*_open)
    .values(path=bindparam("new_path"), duration_seconds=bindparam("new_duration"), next_attempt_at=bindparam("now"))
)
NOTE_UPLOAD = (
    update(recordings)
    .where(*_open)
    .values(
        attempts=recordings.c.attempts + 1, last_error=bindparam("new_error"), next_attempt_at=bindparam("retry_at")
    )
)
FINISH_RECORDING = (
    update(recordings)
    .where(*_open)
    .values(
        state=bindparam("new_state"),
        external_url=bindparam("new_url"),
        last_error=bindparam("new_error"),
        next_attempt_at=None,
        delivery_id=bindparam("new_delivery_id"),
    )
)


def _put_config(query: Upsert) -> Insert:
    written = ("protocol", "host", "port", "username", "password", "path", "audio_format", "updated_at")
    return query.on_conflict_do_update(
        index_elements=[recording_push_configs.c.sub_account_id],
        set_={name: query.excluded[name] for name in written},
    )


PUT_CONFIG: Mapping[str, Insert] = {
    "sqlite": _put_config(sqlite.insert(recording_push_configs)),
    "postgresql": _put_config(postgresql.insert(recording_push_configs)),
}

_CALLBACKS = {
    DeliveryState.DELIVERED.value: RecordingState.CALLBACK_COMPLETED,
    DeliveryState.EXHAUSTED.value: RecordingState.CALLBACK_FAILED,
}


def put_config(connection: Connection, box: SecretsBox, sub_account_id: str, config: PushConfig, at: float) -> None:
    """Store where recordings go, or replace it."""
    if not has_sub_account(connection, sub_account_id):
        raise StorageError(f"there is no sub-account {sub_account_id}")
    connection.execute(
        PUT_CONFIG[connection.dialect.name],
        {
            "sub_account_id": sub_account_id,
            "protocol": config.protocol,
            "host": config.host,
            "port": config.port,
            "username": config.username,
            "password": box.seal(config.password, push_config_place(sub_account_id)),
            "path": config.path,
            "audio_format": config.audio_format,
            "updated_at": at,
        },
    )


def find_config(connection: Connection, box: SecretsBox, sub_account_id: str) -> PushConfig | None:
    """Where a sub-account's recordings go."""
    row = connection.execute(ONE_CONFIG, {"this_sub_account_id": sub_account_id}).mappings().first()
    if row is None:
        return None
    return PushConfig(**{**row, "password": box.open(row["password"], push_config_place(sub_account_id))})


def delete_config(connection: Connection, box: SecretsBox, sub_account_id: str) -> PushConfig | None:
    """Take it away and say what it was."""
    config = find_config(connection, box, sub_account_id)
    connection.execute(DELETE_CONFIG, {"this_sub_account_id": sub_account_id})
    return config


def begin(  # one row, whole
    connection: Connection,
    recording_id: str,
    session_id: str,
    sub_account_id: str,
    leg_id: str,
    started_at: float,
    path: str | None,
    home_id: str | None,
) -> None:
    """Write a recording that goes on now, in the data folder `home_id` (None: there is but one)."""
    connection.execute(
        INSERT_RECORDING,
        {
            "recording_id": recording_id,
            "session_id": session_id,
            "sub_account_id": sub_account_id,
            "leg_id": leg_id,
            "state": RecordingState.PROCESSING.value,
            "started_at": started_at,
            "path": path,
            "attempts": 0,
            "node_id": home_id,
        },
    )


def make_ready(connection: Connection, recording_id: str, path: str, duration_seconds: float, at: float) -> None:
    """The file is whole: to be uploaded from now on. StorageError when the recording is unknown or over."""
    values = {"this_recording_id": recording_id, "new_path": path, "new_duration": duration_seconds, "now": at}
    if connection.execute(NOTE_READY, values).rowcount != 1:
        raise StorageError(f"recording {recording_id} is unknown or over")


def due(connection: Connection, home_id: str | None, limit: int) -> tuple[StoredRecording, ...]:
    """The next to be uploaded from a data folder, by the time of their next try, which may lie in the future."""
    rows = connection.execute(DUE_RECORDINGS, {"this_home_id": home_id, "most": limit}).mappings()
    return tuple(_recording(row) for row in rows)


def unready(connection: Connection, home_id: str | None) -> tuple[StoredRecording, ...]:
    """All that were begun in a data folder and have no whole file."""
    return tuple(
        _recording(row) for row in connection.execute(UNREADY_RECORDINGS, {"this_home_id": home_id}).mappings()
    )


def recordings_of(connection: Connection, session_id: str) -> tuple[StoredRecording, ...]:
    """A session's recordings, oldest first."""
    return tuple(
        _recording(row) for row in connection.execute(RECORDINGS_OF, {"this_session_id": session_id}).mappings()
    )


def note_upload(connection: Connection, recording_id: str, error: str, next_attempt_at: float) -> None:
    """A try to upload failed; the next one is at `next_attempt_at`."""
    values = {
        "this_recording_id": recording_id,
        "new_error": error[:MOST_ERROR_LENGTH],
        "retry_at": next_attempt_at,
    }
    if connection.execute(NOTE_UPLOAD, values).rowcount != 1:
        raise StorageError(f"recording {recording_id} is unknown or over")


def finish(  # one end, whole
    connection: Connection,
    recording_id: str,
    state: RecordingState,
    external_url: str | None,
    vru_body: bytes,
    error: str | None,
    at: float,
) -> bool:
    """The one end of a recording and the event that tells of it. False when it had ended before.

    Raises StorageError for an unknown recording.
    """
    row = connection.execute(ONE_RECORDING, {"this_recording_id": recording_id}).mappings().first()
    if row is None:
        raise StorageError(f"there is no recording {recording_id}")
    if row["state"] != RecordingState.PROCESSING:
        return False
    event_id = f"evt_{uuid.uuid4().hex}"
    delivery_id = outbox.enqueue(connection, row["sub_account_id"], row["session_id"], "VRU", event_id, vru_body, at)
    values = {
        "this_recording_id": recording_id,
        "new_state": state.value,
        "new_url": external_url,
        "new_error": None if error is None else error[:MOST_ERROR_LENGTH],
        "new_delivery_id": delivery_id,
    }
    if connection.execute(FINISH_RECORDING, values).rowcount != 1:
        raise StorageError(f"recording {recording_id} ended at the same moment")  # takes the event back
    return True


def _recording(row: RowMapping) -> StoredRecording:
    state = RecordingState(row["state"])
    if state is RecordingState.UPLOAD_COMPLETED:
        state = _CALLBACKS.get(row.get("delivery_state") or "", state)
    fields = {name: value for name, value in row.items() if name != "delivery_state"}
    return StoredRecording(**{**fields, "state": state})
