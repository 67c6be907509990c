"""Where recordings go and how they stand, over real HTTP (contract §9.3, §9.4)."""

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from callwright.storage.records import PushConfig, RecordingState

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

BASE = "/api/v1/subaccounts/riders_hq"
CONFIG = f"{BASE}/recording-push-config"
SFTP: dict[str, Any] = {
    "protocol": "SFTP",
    "host": "files.example.com",
    "port": 2222,
    "username": "riders",
    "password": "canary-19ab",
    "path": "/calls",
}


async def session(api: "Installation") -> str:
    flow = {"callflow": [{"action": "makeCall", "params": {"source": "6512341234", "destination": "6512345678"}}]}
    answer = await api.client.post(f"{BASE}/callflows", json=flow, headers=api.as_rider())
    session_id: str = answer.json()["sessionId"]
    return session_id


async def test_a_push_config_is_stored_shown_replaced_and_forgotten(api: "Installation") -> None:
    assert (await api.client.get(CONFIG, headers=api.as_rider())).status_code == 404
    shown = {
        "subAccountId": "riders_hq",
        "protocol": "SFTP",
        "host": "files.example.com",
        "port": 2222,
        "username": "riders",
        "passwordSet": True,
        "path": "/calls",
        "statusCode": 0,
        "statusMessage": "ok",
    }
    put = await api.client.post(CONFIG, json=SFTP, headers=api.as_rider())
    assert (put.status_code, put.json()) == (200, {"delete": False, **shown})
    got = await api.client.get(CONFIG, headers=api.as_rider())
    assert (got.status_code, got.json()) == (200, shown)
    assert "canary" not in put.text + got.text
    assert await api.store.find_push_config("riders_hq") == PushConfig(
        "SFTP", "files.example.com", 2222, "riders", "canary-19ab", "/calls"
    )
    local = {"protocol": "LOCAL", "path": "calls"}
    assert (await api.client.post(CONFIG, json=local, headers=api.as_rider())).json()["passwordSet"] is False
    deleted = await api.client.delete(CONFIG, headers=api.as_rider())
    assert (deleted.status_code, deleted.json()["delete"], deleted.json()["protocol"]) == (200, True, "LOCAL")
    assert (await api.client.delete(CONFIG, headers=api.as_rider())).status_code == 404


async def test_a_wav_may_be_asked_for(api: "Installation") -> None:
    for protocol in (SFTP, {"protocol": "LOCAL", "path": "calls"}):
        put = await api.client.post(CONFIG, json=protocol | {"audioFormat": "wav"}, headers=api.as_rider())
        assert (put.status_code, put.json()["audioFormat"]) == (200, "wav")
        stored = await api.store.find_push_config("riders_hq")
        assert stored is not None
        assert stored.audio_format == "wav"
        assert (await api.client.get(CONFIG, headers=api.as_rider())).json()["audioFormat"] == "wav"
    usual = await api.client.post(CONFIG, json=SFTP | {"audioFormat": "mp3"}, headers=api.as_rider())
    assert "audioFormat" not in usual.json()
    stored = await api.store.find_push_config("riders_hq")
    assert stored is not None
    assert stored.audio_format == "mp3"
    await api.client.delete(CONFIG, headers=api.as_rider())


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "FTP"},
        {"port": 0},
        {"path": "../x"},
        {"password": None},
        {"host": ""},
        {"audioFormat": "ogg"},
        {"audioFormat": 3},
    ],
)
async def test_a_bad_push_config_is_refused(api: "Installation", change: dict[str, Any]) -> None:
    answer = await api.client.post(CONFIG, json=SFTP | change, headers=api.as_rider())
    assert answer.status_code == 422
    body = answer.json()
    assert list(body) == ["errorId", "statusCode", "statusMessage", "timestamp"]
    assert body["statusCode"] == "1001"
    assert next(iter(change)) in body["statusMessage"]


async def test_a_sessions_recordings_say_how_far_they_are(api: "Installation") -> None:
    session_id, recording_id = await session(api), str(uuid.uuid4())
    path = f"{BASE}/recordings/{session_id}"
    assert (await api.client.get(path, headers=api.as_rider())).json()["recordings"] == []
    await api.store.begin_recording(recording_id, session_id, "riders_hq", "leg-1", api.now)
    shouted = await api.client.get(f"{BASE}/recordings/{session_id.upper()}", headers=api.as_rider())
    (recording,) = shouted.json()["recordings"]
    assert recording == {
        "recordingId": recording_id,
        "sessionId": session_id,
        "subAccountId": "riders_hq",
        "status": "PROCESSING",
        "externalFileUrl": None,
        "startRecordingTime": "2025-06-15T15:06:40.000Z",
    }
    await api.store.recording_ready(recording_id, "spool", 7.4)
    await api.store.finish_recording(recording_id, RecordingState.UPLOAD_COMPLETED, "sftp://files.example.com/a", b"{}")
    (recording,) = (await api.client.get(path, headers=api.as_rider())).json()["recordings"]
    assert (recording["status"], recording["externalFileUrl"], recording["duration"]) == (
        "UPLOAD_COMPLETED", "sftp://files.example.com/a", 7,
    )  # fmt: skip


@pytest.mark.parametrize("session_id", ["x", "12345678-1234-1234-1234-123456789012", "foreign"])
async def test_recordings_of_unknown_and_foreign_sessions_are_not_found(api: "Installation", session_id: str) -> None:
    if session_id == "foreign":
        session_id = await session(api)
    path = f"/api/v1/subaccounts/other_co/recordings/{session_id}"
    answer = await api.client.get(path, headers=api.as_rider(api.other_key))
    assert (answer.status_code, answer.json()) == (404, {"statusCode": 404, "statusMessage": "Resource not found"})
