"""Every endpoint × {no key, wrong, revoked, another's, read-only}: nothing is learnt without a key, or of others."""

from typing import TYPE_CHECKING

import pytest

from callwright.api.app import ROUTES

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC = {"healthz", "readyz", "metrics", "openapi", "download_export"}
READERS = {
    "list_webhooks",
    "list_speech_profiles",
    "list_numbers",
    "show_number",
    "show_push_config",
    "list_recordings",
    "show_export",
    "list_sessions",
    "show_session",
    "follow_session",
    "follow_events",
    "show_webhook",
    "list_deliveries",
}
WRITERS = {
    "send_callflow",
    "send_call",
    "put_webhook",
    "delete_webhook",
    "put_push_config",
    "delete_push_config",
    "start_export",
    "cancel_export",
    "ask_verification",
    "check_verification",
    "hang_up_session",
    "rotate_secret",
    "test_webhook",
    "replay_deliveries",
}
ADMINISTRATORS = {"list_trunks", "show_trunk", "put_trunk", "change_trunk", "delete_trunk", "try_trunk"}
PLACES = {
    "trunk_name": "main",
    "session_id": "12345678-1234-1234-1234-123456789012",
    "job_id": "12345678-1234-1234-1234-123456789012",
    "number": "6531580000",
    "kind": "VSS",
    "token": "x",
}
ENDPOINTS = [pytest.param(method, path, id=name) for name, method, path, *_ in ROUTES if name not in PUBLIC]


def at(path: str, sub_account_id: str) -> str:
    return path.format(sub_account_id=sub_account_id, **PLACES)


def words_of(body: dict[str, object]) -> object:
    """What an answer says, in whichever form; ids and times aside."""
    return body.get("statusMessage") or body.get("message") or body.get("detail")


async def test_every_endpoint_is_public_or_reads_or_writes_or_is_for_administrators() -> None:
    assert {name for name, *_ in ROUTES} == PUBLIC | READERS | WRITERS | ADMINISTRATORS


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize("key", ["none", "wrong", "revoked", "basic"])
@pytest.mark.parametrize("sub_account", ["riders_hq", "other_co", "nobody"])
async def test_without_a_live_key_every_path_says_401(
    api: "Installation", method: str, path: str, key: str, sub_account: str
) -> None:
    headers = {
        "none": {},
        "wrong": api.as_rider("cw_wrong"),
        "revoked": api.as_rider(api.revoked_key),
        "basic": {"authorization": f"Basic {api.key}"},
    }[key]
    answer = await api.client.request(method, at(path, sub_account), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


OF_SUB_ACCOUNTS = [
    pytest.param(method, path, id=name) for name, method, path, *_ in ROUTES if name not in PUBLIC | ADMINISTRATORS
]


@pytest.mark.parametrize(
    ("method", "path"),
    [pytest.param(method, path, id=name) for name, method, path, *_ in ROUTES if name in ADMINISTRATORS],
)
async def test_a_key_that_may_do_everything_for_its_sub_account_is_no_administrators(
    api: "Installation", method: str, path: str
) -> None:
    for key in (api.key, api.other_key, api.read_only_key):
        answer = await api.client.request(method, at(path, ""), headers=api.as_rider(key))
        assert answer.status_code == 403


@pytest.mark.parametrize(("method", "path"), OF_SUB_ACCOUNTS)
async def test_another_sub_account_looks_like_none(api: "Installation", method: str, path: str) -> None:
    said = []
    for name in ("other_co", "nobody"):
        answer = await api.client.request(method, at(path, name), headers=api.as_rider())
        assert answer.status_code == 404
        said.append(words_of(answer.json()))
    assert said[0] == str(said[1]).replace("nobody", "other_co")


@pytest.mark.parametrize(
    ("method", "path"), [pytest.param(method, path, id=name) for name, method, path, *_ in ROUTES if name in WRITERS]
)
async def test_a_read_only_key_changes_nothing(api: "Installation", method: str, path: str) -> None:
    answer = await api.client.request(method, at(path, "riders_hq"), headers=api.as_rider(api.read_only_key))
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"), [pytest.param(method, path, id=name) for name, method, path, *_ in ROUTES if name in READERS]
)
async def test_a_read_only_key_may_look(api: "Installation", method: str, path: str) -> None:
    headers = {**api.as_rider(api.read_only_key), "accept": "application/json"}  # a page of events, no stream
    answer = await api.client.request(method, at(path, "riders_hq"), headers=headers)
    assert answer.status_code in {200, 404}
