"""`/api/v1/trunks`: for administrators alone, by the settings' own rules, in use when it is answered."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRUNKS = "/api/v1/trunks"


async def send(
    api: "Installation", method: str, path: str = "", body: object = None, key: str | None = None
) -> httpx.Response:
    return await api.client.request(method, TRUNKS + path, json=body, headers=api.as_rider(key or api.admin_key))


async def names(api: "Installation") -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = (await send(api, "GET")).json()["trunks"]
    return [(one["name"], one["source"]) for one in found]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", "/x"), ("DELETE", "/fixed"), ("POST", "/x/test")])
async def test_a_key_must_be_an_administrators(api: "Installation", method: str, path: str) -> None:
    for key in (api.key, api.read_only_key):
        answer = await send(api, method, path, {"uri": "sip:192.0.2.1"}, key)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await send(api, method, path, {"uri": "sip:192.0.2.1"}, "no-such-key")
    assert answer.status_code == 401
    assert ("x", "database") not in await names(api)


async def test_a_trunk_is_stored_shown_changed_and_taken_away(api: "Installation") -> None:
    table = {"uri": "sip:sip.example.com", "username": "us", "password": "open sesame", "max_calls": 30}
    answer = await send(api, "PUT", "/main", table)
    assert answer.status_code == 200
    assert "sesame" not in answer.text
    told = answer.json()
    shown = {"uri": "sip:sip.example.com", "username": "us", "max_calls": 30}
    assert (told["name"], told["source"], told["hasPassword"]) == ("main", "database", True)
    assert told["settings"] == shown
    assert told["state"] == {
        "healthy": True,
        "registered": None,
        "calls": 2,
        "waiting": 1,
        "closedUntil": None,
        "options": "200 OK",
        "registration": None,
    }
    assert [one.name for one in api.line.trunks] == ["fixed", "main"]
    assert await names(api) == [("fixed", "settings"), ("main", "database")]

    changed = await send(api, "PATCH", "/main", {"max_calls": None, "priority": 4, "codecs": ["PCMA"]})
    assert changed.status_code == 200
    shown = {"uri": "sip:sip.example.com", "username": "us", "priority": 4, "codecs": ["PCMA"]}
    assert (changed.json()["settings"], changed.json()["hasPassword"]) == (shown, True)
    assert api.line.trunks[1].password == "open sesame"
    forgotten = await send(api, "PATCH", "/main", {"password": None})
    assert forgotten.json()["hasPassword"] is False
    assert api.line.trunks[1].password == ""
    assert (await send(api, "GET", "/main")).json() == forgotten.json()

    assert (await send(api, "DELETE", "/main")).status_code == 204
    assert (await send(api, "GET", "/main")).status_code == 404
    assert [one.name for one in api.line.trunks] == ["fixed"]


async def test_what_another_process_stores_is_taken_up(api: "Installation") -> None:
    await api.store.put_trunk("elsewhere", {"uri": "sip:192.0.2.77"})
    while "elsewhere" not in [one.name for one in api.line.trunks]:
        await api.turn()
    await api.store.remove_trunk("elsewhere")
    while "elsewhere" in [one.name for one in api.line.trunks]:
        await api.turn()


async def test_stored_trunks_that_do_not_work_are_passed_over_and_say_why(api: "Installation") -> None:
    await api.store.put_trunk("fixed", {"uri": "sip:192.0.2.99"})
    await api.store.put_trunk("broken", {"uri": "sip:192.0.2.98", "colour": "red"})
    assert (await send(api, "PUT", "/whole", {"uri": "sip:192.0.2.97"})).status_code == 200
    listed = (await send(api, "GET")).json()["trunks"]
    problems = [(one["name"], one["source"], one["problem"]) for one in listed]
    assert problems[0] == ("fixed", "settings", None)
    assert ("fixed", "database", "the trunk of this name in callwright.toml is used instead") in problems
    assert any(name == "broken" and "colour" in problem for name, _, problem in problems if problem)
    assert [one.name for one in api.line.trunks] == ["fixed", "whole"]
    for name in ("fixed", "broken", "whole"):
        assert (await send(api, "DELETE", f"/{name}")).status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "'uri' of trunk x"),
        ({"uri": 5}, 422, "it is not text"),
        ({"uri": "sip:192.0.2.1", "wieght": 3}, 422, "Did you mean 'weight'"),
        ({"uri": "sip:192.0.2.1", "ca_file": "missing.pem"}, 422, "missing.pem cannot be used"),
        ([], 422, "object expected"),
    ],
)
async def test_a_wrong_trunk_is_refused_in_the_settings_words(
    api: "Installation", body: object, status: int, words: str
) -> None:
    answer = await send(api, "PUT", "/x", body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert ("x", "database") not in await names(api)


async def test_no_body_and_no_name(api: "Installation") -> None:
    answer = await api.client.put(f"{TRUNKS}/x", content=b"{", headers=api.as_rider(api.admin_key))
    assert answer.status_code == 422
    answer = await send(api, "PUT", "/x%20y", {"uri": "sip:192.0.2.1"})
    assert answer.status_code == 422
    assert "a trunk's name" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "body"), [("PUT", {"uri": "sip:x"}), ("PATCH", {"weight": 3}), ("DELETE", None)])
async def test_a_trunk_of_the_settings_is_changed_there(api: "Installation", method: str, body: object) -> None:
    answer = await send(api, method, "/fixed", body)
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("the trunk fixed stands in callwright.toml")


async def test_an_unknown_trunk_is_404(api: "Installation") -> None:
    for method, path in (("GET", "/none"), ("PATCH", "/none"), ("DELETE", "/none"), ("POST", "/none/test")):
        answer = await send(api, method, path, {"weight": 3} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["detail"]) == (404, "there is no trunk none")


async def test_a_trunk_is_asked_whether_it_is_there(api: "Installation") -> None:
    await send(api, "PUT", "/main", {"uri": "sip:sip.example.com"})
    await send(api, "PUT", "/nowhere", {"uri": "sip:nowhere.example.com"})
    assert (await send(api, "POST", "/main/test")).json() == {
        "name": "main",
        "answers": True,
        "problem": None,
        "addresses": [
            {"address": "192.0.2.1:5060", "status": 200, "reason": "OK", "answered": True},
            {"address": "192.0.2.2:5060", "status": 408, "reason": "no response", "answered": False},
        ],
    }
    told = (await send(api, "POST", "/nowhere/test")).json()
    assert (told["answers"], told["problem"], told["addresses"]) == (False, "the name does not resolve", [])
    for name in ("main", "nowhere"):
        await send(api, "DELETE", f"/{name}")


async def test_a_closed_trunk_says_until_when(api: "Installation") -> None:
    await send(api, "PUT", "/main", {"uri": "sip:sip.example.com"})
    api.line.closed_until = 1_750_000_060.0
    try:
        assert (await send(api, "GET", "/main")).json()["state"]["closedUntil"] == "2025-06-15T15:07:40Z"
    finally:
        api.line.closed_until = None
        await send(api, "DELETE", "/main")
