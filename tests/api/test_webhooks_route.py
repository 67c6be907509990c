"""Webhook registration and the voice list over real HTTP (contract §8.1, §10.1)."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from callwright.storage.records import WebhookKind

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/subaccounts/riders_hq/webhooks"
VSS = {"type": "VSS", "url": "https://hooks.example.com/vss", "httpAuthHeader": "mdp1234"}

CONFIGURATION = [
    pytest.param("GET", "/webhooks", None, id="list"),
    pytest.param("POST", "/webhooks", VSS, id="put"),
    pytest.param("DELETE", "/webhooks/VSS", None, id="delete"),
    pytest.param("GET", "/speech-profiles", None, id="voices"),
]


async def test_a_webhook_is_registered_listed_and_taken_away(api: "Installation") -> None:
    listed = {
        "subAccountId": "riders_hq",
        "count": 1,
        "webhooks": [
            {"type": "VSS", "url": "https://hooks.example.com/vss", "enabled": True, "httpAuthHeaderAvailable": True}
        ],
        "statusCode": 0,
        "statusMessage": "ok",
    }
    put = await api.client.post(PATH, json=VSS, headers=api.as_rider())
    assert (put.status_code, put.json()) == (200, listed)
    assert "mdp1234" not in put.text
    got = await api.client.get(PATH, headers=api.as_rider())
    assert (got.status_code, got.json()) == (200, listed)
    stored = (await api.store.list_webhooks("riders_hq"))[0]
    assert stored.http_auth_header == "mdp1234"
    deleted = await api.client.delete(PATH + "/VSS", headers=api.as_rider())
    assert deleted.status_code == 200
    assert deleted.json() == {
        "subAccountId": "riders_hq",
        "type": "VSS",
        "url": "https://hooks.example.com/vss",
        "enabled": True,
        "httpAuthHeaderAvailable": True,
        "statusCode": 0,
        "statusMessage": "deleted",
    }
    assert (await api.client.get(PATH, headers=api.as_rider())).json()["count"] == 0


async def test_posting_a_type_again_replaces_it(api: "Installation") -> None:
    first = {"type": "VCS", "url": "https://one.example.com/"}
    second = {"type": "VCS", "url": "https://two.example.com/", "active": False}
    assert (await api.client.post(PATH, json=first, headers=api.as_rider())).status_code == 200
    answer = await api.client.post(PATH, json=second, headers=api.as_rider())
    assert answer.json()["webhooks"] == [
        {"type": "VCS", "url": "https://two.example.com/", "enabled": False, "httpAuthHeaderAvailable": False}
    ]
    assert (await api.client.delete(PATH + "/VCS", headers=api.as_rider())).status_code == 200


@pytest.mark.parametrize("kind", ["VCA", "VRU", "VNU"])
async def test_every_other_type_is_stored_too(api: "Installation", kind: str) -> None:
    answer = await api.client.post(PATH, json={"type": kind, "url": "http://127.0.0.1:9/x"}, headers=api.as_rider())
    assert kind in {row["type"] for row in answer.json()["webhooks"]}
    assert (await api.client.delete(f"{PATH}/{kind}", headers=api.as_rider())).status_code == 200


@pytest.mark.parametrize("kind", ["VSX", "vss", "V%2FS", "%00", "x" * 500])
async def test_deleting_what_is_not_there_is_404(api: "Installation", kind: str) -> None:
    answer = await api.client.delete(f"{PATH}/{kind}", headers=api.as_rider())
    assert answer.status_code == 404
    assert answer.json() == {"statusCode": 404, "statusMessage": "Resource not found"}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"{}", b'{"type":"VSS"}', b'{"url":"https://example.com"}', b'{"type":"XXX","url":"https://e.com"}',
        b'{"type":"VSS","url":"ftp://example.com"}', b'{"type":"VSS","url":5}', b'{"type":"VSS","url":"https://e.com","enabled":"yes"}',
        b'{"type":"VSS","url":"https://e.com","httpAuthHeader":"a\\r\\nX: y"}', b"[" * 100_000, b"\xff",
    ],
)  # fmt: skip
async def test_a_bad_webhook_is_422_and_not_stored(api: "Installation", body: bytes) -> None:
    before = await api.store.list_webhooks("riders_hq")
    answer = await api.client.post(PATH, content=body, headers=api.as_rider())
    assert answer.status_code == 422
    refusal = answer.json()
    assert list(refusal) == ["errorId", "statusCode", "statusMessage", "timestamp"]
    assert refusal["statusCode"] == "1001"
    assert refusal["statusMessage"].startswith("Invalid JSON request body")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", refusal["timestamp"])
    assert await api.store.list_webhooks("riders_hq") == before


async def test_a_body_that_is_too_large_is_413(api: "Installation") -> None:
    answer = await api.client.post(PATH, content=b" " * 300_000, headers=api.as_rider())
    assert answer.status_code == 413
    assert answer.json()["statusCode"] == "1001"


async def test_the_voices_are_listed(api: "Installation") -> None:
    answer = await api.client.get("/api/v1/subaccounts/riders_hq/speech-profiles", headers=api.as_rider())
    body = answer.json()
    assert answer.status_code == 200
    assert body["statusCode"] == 0
    assert {
        "speechProfileCode": "en-IE-EmilyNeural",
        "localeCode": "en-IE",
        "localeDescription": next(
            row["localeDescription"] for row in body["speechProfiles"] if row["localeCode"] == "en-IE"
        ),
        "gender": "F",
    } in body["speechProfiles"]


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body"), CONFIGURATION)
@pytest.mark.parametrize("sub_account", ["riders_hq", "other_co", "nobody"])
@pytest.mark.parametrize("key", ["none", "wrong", "revoked"])
async def test_without_a_live_key_it_is_401(
    api: "Installation", method: str, path: str, body: Any, sub_account: str, key: str
) -> None:
    keys = {"none": {}, "wrong": api.as_rider("cw_wrong"), "revoked": api.as_rider(api.revoked_key)}
    answer = await api.client.request(method, f"/api/v1/subaccounts/{sub_account}{path}", json=body, headers=keys[key])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {"statusCode": 401, "statusMessage": "API key not found or invalid"}


@pytest.mark.parametrize(("method", "path", "body"), CONFIGURATION)
async def test_another_sub_account_looks_like_none(api: "Installation", method: str, path: str, body: Any) -> None:
    await api.store.put_webhook("other_co", WebhookKind.VSS, "https://other.example.com/", None)
    answers = [
        await api.client.request(method, f"/api/v1/subaccounts/{name}{path}", json=body, headers=api.as_rider())
        for name in ("other_co", "nobody")
    ]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json() == {"statusCode": 404, "statusMessage": "Resource not found"}
    assert [row.url for row in await api.store.list_webhooks("other_co")] == ["https://other.example.com/"]


@pytest.mark.parametrize(("method", "path", "body"), CONFIGURATION)
async def test_a_read_only_key_reads_only(api: "Installation", method: str, path: str, body: Any) -> None:
    answer = await api.client.request(
        method, f"/api/v1/subaccounts/riders_hq{path}", json=body, headers=api.as_rider(api.read_only_key)
    )
    if method == "GET":
        assert answer.status_code == 200
    else:
        assert answer.status_code == 403
        assert answer.json() == {"statusCode": 403, "statusMessage": "Resource not accessible"}
