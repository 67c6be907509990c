"""Recordings: due when their file is whole, ended once together with the event that tells of it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from callwright.errors import StorageError
from callwright.storage.records import PushConfig, RecordingState, StoredRecording, WebhookKind
from callwright.storage.store import Store

Accept = Callable[[str], Awaitable[None]]
CONFIG = PushConfig("SFTP", "files.example.com", 22, "riders", "canary-83b1", "/calls", "wav")


class Clock(Protocol):
    now: float


@pytest.fixture
async def recording(store: Store, accept: Accept) -> str:
    """The id of a recording that goes on."""
    await accept("s1")
    await store.begin_recording("rec-1", "s1", "riders_hq", "leg-1", 11.5, "spool/rec-1.wav")
    return "rec-1"


async def only(store: Store) -> StoredRecording:
    (found,) = await store.recordings_of("s1")
    return found


async def delivered(store: Store, *, delivered: bool) -> None:
    (delivery,) = await store.due_deliveries("riders_hq", "VRU", 9)
    await store.record_attempt(
        delivery.delivery_id,
        number=1,
        at=50.0,
        host="hooks.example.com",
        status=200 if delivered else 500,
        error=None,
        elapsed_ms=12,
        delivered=delivered,
        next_attempt_at=None,
    )


async def test_a_push_config_is_stored_replaced_and_taken_away(store: Store) -> None:
    assert await store.find_push_config("riders_hq") is None
    await store.put_push_config("riders_hq", CONFIG)
    assert await store.find_push_config("riders_hq") == CONFIG
    local = PushConfig("LOCAL", "", None, "", "", "calls")
    await store.put_push_config("riders_hq", local)
    assert await store.delete_push_config("riders_hq") == local
    assert await store.delete_push_config("riders_hq") is None
    with pytest.raises(StorageError, match="no sub-account nobody"):
        await store.put_push_config("nobody", CONFIG)


async def test_a_push_configs_password_is_nowhere_in_the_data_folder_nor_in_its_repr(
    store: Store, database: Path
) -> None:
    await store.put_push_config("riders_hq", CONFIG)
    assert "canary" not in repr(await store.find_push_config("riders_hq"))
    await store.close()
    written = b"".join(path.read_bytes() for path in database.parent.iterdir())
    assert b"canary" not in written
    assert b"files.example.com" in written


async def test_a_recording_is_due_once_its_file_is_whole(store: Store, recording: str, clock: Clock) -> None:
    assert await store.due_recordings(9) == ()
    assert [each.path for each in await store.unready_recordings()] == ["spool/rec-1.wav"]
    await store.recording_ready(recording, "spool/rec-1.mp3", 7.25)
    (due,) = await store.due_recordings(9)
    assert (due.recording_id, due.state, due.path, due.duration_seconds) == (
        "rec-1", RecordingState.PROCESSING, "spool/rec-1.mp3", 7.25,
    )  # fmt: skip
    assert (due.attempts, due.next_attempt_at, due.started_at, due.leg_id) == (0, clock.now, 11.5, "leg-1")
    assert await store.unready_recordings() == ()


async def test_tries_to_upload_are_counted_and_the_earliest_comes_first(
    store: Store, recording: str, clock: Clock
) -> None:
    await store.recording_ready(recording, "a", 1.0)
    await store.begin_recording("rec-2", "s1", "riders_hq", "leg-1", 12.0)
    await store.recording_ready("rec-2", "b", 1.0)
    await store.note_upload_attempt(recording, "x" * 2_000, clock.now + 60)
    due = await store.due_recordings(9)
    assert [(each.recording_id, each.attempts) for each in due] == [("rec-2", 0), ("rec-1", 1)]
    assert due[1].next_attempt_at == clock.now + 60
    assert len(due[1].last_error or "") == 500
    assert len(await store.due_recordings(1)) == 1


async def test_an_uploaded_recording_owes_its_event_in_the_same_moment(store: Store, recording: str) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VRU, "https://hooks.example.com/vru", None)
    await store.recording_ready(recording, "a", 1.0)
    assert await store.finish_recording(recording, RecordingState.UPLOAD_COMPLETED, "sftp://files.example.com/a", b"{}")
    assert await store.due_recordings(9) == ()
    (event,) = await store.due_deliveries("riders_hq", "VRU", 9)
    assert (event.session_id, event.body) == ("s1", b"{}")
    ended = await only(store)
    assert (ended.state, ended.external_url) == (RecordingState.UPLOAD_COMPLETED, "sftp://files.example.com/a")


@pytest.mark.parametrize(
    ("taken", "state"), [(True, RecordingState.CALLBACK_COMPLETED), (False, RecordingState.CALLBACK_FAILED)]
)
async def test_the_state_says_how_the_event_fared(
    store: Store, recording: str, taken: bool, state: RecordingState
) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VRU, "https://hooks.example.com/vru", None)
    await store.finish_recording(recording, RecordingState.UPLOAD_COMPLETED, "a", b"{}")
    await delivered(store, delivered=taken)
    assert (await only(store)).state is state


async def test_a_failed_upload_keeps_its_state_whatever_the_webhook_says(store: Store, recording: str) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VRU, "https://hooks.example.com/vru", None)
    await store.finish_recording(recording, RecordingState.UPLOAD_FAILED, None, b"{}", error="login refused")
    await delivered(store, delivered=True)
    ended = await only(store)
    assert (ended.state, ended.last_error) == (RecordingState.UPLOAD_FAILED, "login refused")


async def test_a_recording_ends_once(store: Store, recording: str) -> None:
    assert await store.finish_recording(recording, RecordingState.UPLOAD_COMPLETED, "a", b"{}")
    assert not await store.finish_recording(recording, RecordingState.UPLOAD_FAILED, None, b"{}")
    assert (await only(store)).state is RecordingState.UPLOAD_COMPLETED
    assert len(await store.deliveries_of("s1")) == 2  # the summary's and this one
    with pytest.raises(StorageError, match="unknown or over"):
        await store.recording_ready(recording, "a", 1.0)
    with pytest.raises(StorageError, match="unknown or over"):
        await store.note_upload_attempt(recording, "late", 1.0)


async def test_what_is_no_recording_or_no_end_is_refused(store: Store, recording: str) -> None:
    with pytest.raises(StorageError, match="no recording rec-9"):
        await store.finish_recording("rec-9", RecordingState.UPLOAD_FAILED, None, b"{}")
    for state in (RecordingState.PROCESSING, RecordingState.CALLBACK_COMPLETED):
        with pytest.raises(StorageError, match="no end"):
            await store.finish_recording(recording, state, None, b"{}")
    with pytest.raises(StorageError):
        await store.begin_recording("rec-3", "s9", "riders_hq", "leg", 1.0)
