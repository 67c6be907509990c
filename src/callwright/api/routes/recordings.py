"""`…/recording-push-config` and `…/recordings/{sessionId}`: where recordings go, and how they stand (§9.3, §9.4)."""

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, WRITE, authenticate
from callwright.api.exchange import Exchange, json_reply
from callwright.contract.answers import RESOURCE_MESSAGES
from callwright.contract.recordings import (
    Recording,
    RecordingPushConfig,
    RecordingStatus,
    is_session_id,
    parse_push_config,
    push_config,
    recording_list,
)
from callwright.errors import ContractError
from callwright.storage.records import PushConfig, StoredRecording


async def show_push_config(exchange: Exchange) -> ASGIApp:
    """Where recordings go; the password is never shown."""
    await authenticate(exchange, READ)
    stored = await exchange.platform.store.find_push_config(exchange.sub_account_id)
    if stored is None:
        raise ContractError(404, 404, RESOURCE_MESSAGES[404])
    return json_reply(200, push_config(exchange.sub_account_id, _wire(stored)))


async def put_push_config(exchange: Exchange) -> ASGIApp:
    """Say where recordings go, or say it anew. Whether anybody lives there shows with the first recording."""
    await authenticate(exchange, WRITE)
    wanted = parse_push_config(await exchange.body())
    stored = PushConfig(
        wanted.protocol,
        wanted.host,
        wanted.port,
        wanted.username,
        wanted.password,
        wanted.path,
        wanted.audio_format,
    )
    await exchange.platform.store.put_push_config(exchange.sub_account_id, stored)
    await exchange.platform.wake_recordings(exchange.sub_account_id)
    return json_reply(200, push_config(exchange.sub_account_id, wanted, deleted=False))


async def delete_push_config(exchange: Exchange) -> ASGIApp:
    """Forget it; answers with what it was."""
    await authenticate(exchange, WRITE)
    deleted = await exchange.platform.store.delete_push_config(exchange.sub_account_id)
    if deleted is None:
        raise ContractError(404, 404, RESOURCE_MESSAGES[404])
    return json_reply(200, push_config(exchange.sub_account_id, _wire(deleted), deleted=True))


async def list_recordings(exchange: Exchange) -> ASGIApp:
    """A session's recordings; 404 alike for unknown sessions and those of other sub-accounts."""
    await authenticate(exchange, READ)
    store, session_id = exchange.platform.store, exchange.parameter("session_id")
    session = await store.find_session(session_id.lower()) if is_session_id(session_id) else None
    if session is None or session.sub_account_id != exchange.sub_account_id:
        raise ContractError(404, 404, RESOURCE_MESSAGES[404])
    recordings = await store.recordings_of(session.session_id)
    return json_reply(200, recording_list([_recording(recording) for recording in recordings]))


def _wire(stored: PushConfig) -> RecordingPushConfig:
    return RecordingPushConfig(
        stored.protocol,
        stored.host,
        stored.port,
        stored.username,
        stored.password,
        stored.path,
        stored.audio_format,
    )


def _recording(stored: StoredRecording) -> Recording:
    return Recording(
        recording_id=stored.recording_id,
        session_id=stored.session_id,
        sub_account_id=stored.sub_account_id,
        status=RecordingStatus(stored.state.value),
        started_at=stored.started_at,
        external_file_url=stored.external_url,
        duration_seconds=None if stored.duration_seconds is None else round(stored.duration_seconds),
    )
