"""Story: a bridged call is recorded, both sides, and the file arrives where the customer wants it (§9.3, §9.4, VRU)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
import numpy as np
import pytest
import pytest_asyncio
from tests.answering import HANGUP, Answerer, make_call, say
from tests.customers import UUID
from tests.hearing import Samples, tone_ms

from callwright.simulator.behaviour import Behaviour
from callwright.speech.decode import decode

if TYPE_CHECKING:
    from tests.conftest import OpenSite, Site
    from tests.customers import Customer, Json

pytestmark = pytest.mark.asyncio(loop_scope="session")

A_HZ, B_HZ = 700.0, 1_100.0
BOTH_MS = 100
"""Of both phones at once: each leaves out what a busy machine does not let it say in time."""
USER, PASSWORD = "recorder", "correct horse"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the operator set aside for recordings."""
    return tmp_path_factory.mktemp("recordings")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recording_site(
    tmp_path_factory: pytest.TempPathFactory, open_site: "OpenSite", folder: Path
) -> AsyncIterator["Site"]:
    async with open_site(tmp_path_factory.mktemp("site"), recordings_folder=str(folder)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def recorded(recording_site: "Site") -> AsyncIterator["Customer"]:
    async with recording_site.customer() as somebody:
        yield somebody


async def bridge(site: "Site", customer: "Customer", recording: str) -> str:
    """Two phones talk for two seconds; which makeCall asks for a recording."""
    first = site.phone(Behaviour(answer_after_seconds=0.05, says_hz=(A_HZ,)))
    second = site.phone(Behaviour(answer_after_seconds=0.05, says_hz=(B_HZ,), hang_up_after_answer_seconds=2.0))
    return await customer.send(
        make_call(first, callRecording=recording == "first"),
        make_call(second, callRecording=recording == "second"),
        HANGUP,
    )


async def updated(answerer: Answerer, session_id: str) -> "Json":
    """The payload of the session's VRU, its form checked."""
    posted = await answerer.news.until(lambda: next(iter(answerer.of("/vru", session_id)), None))
    assert posted.headers["authorization"] == "Bearer mine"
    body = posted.body
    assert (body["namespace"], body["eventType"]) == ("VOICE", "CALL_RECORDING_STATUS")
    assert body["description"] == "Call recording status updated"
    payload: Json = body["payload"]
    assert set(payload) == {"sessionId", "recordingId", "durationSeconds", "filePath", "status"}
    assert UUID.fullmatch(payload["recordingId"])
    return payload


async def listed(customer: "Customer", session_id: str) -> "list[Json]":
    answer = await customer.http.get(f"/recordings/{session_id}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["statusCode"], body["statusMessage"]) == (0, "ok")
    recordings: list[Json] = body["recordings"]
    return recordings


def sound_of(file: Path) -> Samples:
    """What is in an mp3 of one channel at 8 kHz."""
    decoded = decode(file.read_bytes())
    assert (decoded.sample_rate_hz, decoded.channels) == (8000, 1)
    return np.frombuffer(decoded.pcm, "<i2").astype(np.int16)


@pytest.mark.parametrize("which", ["first", "second"])
async def test_a_recording_holds_both_sides_and_lies_in_the_operators_folder(
    recording_site: "Site", recorded: "Customer", answerer: Answerer, folder: Path, which: str
) -> None:
    await answerer.register(recorded, "VRU")
    config = {"protocol": "LOCAL", "path": f"/{recorded.sub_account}/calls"}
    assert (await recorded.http.post("/recording-push-config", json=config)).status_code == 200
    session_id = await bridge(recording_site, recorded, which)
    assert (await recorded.summary(session_id))["sessionStatus"] == "COMPLETED"
    payload = await updated(answerer, session_id)
    assert payload["status"] == "UPLOAD_COMPLETED"
    file = folder / payload["filePath"]
    assert file.suffix == ".mp3"
    assert file.parent == folder / recorded.sub_account / "calls" / session_id
    sound = sound_of(file)
    assert tone_ms(sound, A_HZ, B_HZ) >= BOTH_MS
    (recording,) = await listed(recorded, session_id)
    assert (recording["recordingId"], recording["sessionId"]) == (payload["recordingId"], session_id)
    assert recording["status"] in {"UPLOAD_COMPLETED", "CALLBACK_COMPLETED"}
    assert recording["externalFileUrl"]
    assert recording["duration"] == payload["durationSeconds"] == round(len(sound) / 8000)


async def test_a_recording_of_a_message_holds_it(
    recording_site: "Site", recorded: "Customer", answerer: Answerer, folder: Path
) -> None:
    await answerer.register(recorded, "VRU")
    config = {"protocol": "LOCAL", "path": recorded.sub_account}
    assert (await recorded.http.post("/recording-push-config", json=config)).status_code == 200
    number = recording_site.phone(Behaviour(answer_after_seconds=0.05, says_hz=(A_HZ,)))
    session_id = await recorded.send(make_call(number, callRecording=True), say("This is kept."), HANGUP)
    await recorded.summary(session_id)
    payload = await updated(answerer, session_id)
    sound = sound_of(folder / payload["filePath"])
    prompt = recording_site.prompt((await recorded.story(session_id)).only("speech.cache")["key"])
    assert tone_ms(sound, A_HZ) >= 100
    assert len(sound) >= len(prompt) * 0.8


async def test_without_a_place_to_put_it_nothing_is_recorded(
    recording_site: "Site", recorded: "Customer", answerer: Answerer
) -> None:
    await answerer.register(recorded, "VRU")
    session_id = await bridge(recording_site, recorded, "second")
    summary = await recorded.summary(session_id)
    assert (summary["sessionStatus"], summary["callCount"]) == ("COMPLETED", 2)
    noted = (await recorded.story(session_id)).only("recording.not_begun")
    assert "recording-push-config" in noted["reason"]
    assert await listed(recorded, session_id) == []
    assert answerer.of("/vru") == []
    assert not any((recording_site.data / "recordings").rglob(f"{session_id}*"))


async def test_a_call_that_did_not_ask_for_it_is_not_recorded(recording_site: "Site", recorded: "Customer") -> None:
    config = {"protocol": "LOCAL", "path": recorded.sub_account}
    assert (await recorded.http.post("/recording-push-config", json=config)).status_code == 200
    session_id = await bridge(recording_site, recorded, "none")
    await recorded.summary(session_id)
    assert await listed(recorded, session_id) == []


class Login(asyncssh.SSHServer):
    """Takes one password."""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


async def test_a_recording_goes_to_the_customers_sftp_server_when_that_is_back(
    recording_site: "Site", recorded: "Customer", answerer: Answerer, tmp_path: Path
) -> None:
    def chrooted(channel: "asyncssh.SSHServerChannel[bytes]") -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(tmp_path).encode())

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Login, server_host_keys=[key], sftp_factory=chrooted)
    port = server.get_port()
    config = {"protocol": "SFTP", "host": "127.0.0.1", "port": port, "username": USER, "path": "/calls"}
    await answerer.register(recorded, "VRU")
    wrong = await recorded.http.post("/recording-push-config", json={**config, "password": "wrong"})
    assert (wrong.status_code, wrong.json()["passwordSet"]) == (200, True)
    try:
        session_id = await bridge(recording_site, recorded, "second")
        await recorded.summary(session_id)
        (waiting,) = await listed(recorded, session_id)
        assert (waiting["status"], waiting["externalFileUrl"]) == ("PROCESSING", None)
        right = await recorded.http.post("/recording-push-config", json={**config, "password": PASSWORD})
        assert right.status_code == 200
        payload = await updated(answerer, session_id)
    finally:
        server.close()
        await server.wait_closed()
    assert payload["status"] == "UPLOAD_COMPLETED"
    file = tmp_path / payload["filePath"].lstrip("/")
    assert file.is_relative_to(tmp_path / "calls" / session_id)
    assert tone_ms(sound_of(file), A_HZ, B_HZ) >= BOTH_MS
    (recording,) = await listed(recorded, session_id)
    assert recording["externalFileUrl"].startswith(f"sftp://127.0.0.1:{port}/calls/{session_id}/")
