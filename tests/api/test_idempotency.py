"""A POST with an Idempotency-Key creates once, however often it is sent."""

import asyncio
import dataclasses
import itertools
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import event

from callwright.api.app import Api
from callwright.api.server import serve_http
from callwright.errors import KeyTaken, StorageUnavailable
from callwright.settings import HostPort
from callwright.storage.idempotency import KEPT_SECONDS
from callwright.storage.store import Store
from callwright.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "/api/v1/subaccounts/riders_hq"
NUMBERS = {"source": "+6512345678", "destination": "+6587654321"}
CALL = {"action": "makeCall", "params": NUMBERS}
FLOW = {"callflow": [CALL, {"action": "hangup"}]}
OLD_CALL = {
    "callflow": [{"action": "say", "params": {**NUMBERS, "text": "Hello", "voiceProfile": "en-US-JennyNeural"}}]
}
EXPORT: dict[str, str] = {}
numbers = itertools.count(6_500_000_000)


def verification() -> dict[str, Any]:
    return {"channel": "call", "destination": f"+{next(numbers)}", "call": {"source": "+6512345678"}}


CREATING = [
    pytest.param(f"{OWN}/callflows", lambda: FLOW, 200, id="callflow"),
    pytest.param(f"{OWN}/calls", lambda: OLD_CALL, 200, id="call"),
    pytest.param("/api/v2/subaccounts/riders_hq/sessions", verification, 200, id="verification"),
    pytest.param(f"{OWN}/messages/exports", lambda: EXPORT, 202, id="export"),
]


def headers(api: "Installation", key: str | None = None) -> dict[str, str]:
    return {**api.as_rider(), "idempotency-key": key or str(uuid.uuid4())}


@pytest.mark.parametrize(("path", "make_body", "status"), CREATING)
async def test_the_same_request_again_is_answered_again_and_not_carried_out_again(
    api: "Installation", path: str, make_body: Callable[[], dict[str, Any]], status: int
) -> None:
    body, once = make_body(), headers(api)
    before, woken = len(api.board.accepted), len(api.woken)
    first = await api.client.post(path, json=body, headers=once)
    done, told = len(api.board.accepted), len(api.woken)
    assert (done, told) != (before, woken)
    again = await api.client.post(path, json=body, headers=once)
    assert (first.status_code, again.status_code) == (status, status)
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (len(api.board.accepted), len(api.woken)) == (done, told)


@pytest.mark.parametrize(("path", "make_body", "status"), CREATING)
async def test_another_request_under_the_same_key_is_422(
    api: "Installation", path: str, make_body: Callable[[], dict[str, Any]], status: int
) -> None:
    body, once = make_body(), headers(api)
    assert (await api.client.post(path, json=body, headers=once)).status_code == status
    before = len(api.board.accepted)
    other = await api.client.post(path, json={**body, "x": 1}, headers=once)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.text
    assert len(api.board.accepted) == before


async def test_the_same_body_to_another_path_is_another_request(api: "Installation") -> None:
    once = headers(api)
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)).status_code == 200
    assert (await api.client.post(f"{OWN}/messages/exports", json=FLOW, headers=once)).status_code == 422


async def test_keys_belong_to_a_sub_account(api: "Installation") -> None:
    once = headers(api)
    mine = await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)
    theirs = {**once, **api.as_rider(api.other_key)}
    other = await api.client.post(OWN.replace("riders_hq", "other_co") + "/callflows", json=FLOW, headers=theirs)
    assert other.status_code == 200
    assert other.json()["sessionId"] != mine.json()["sessionId"]


async def test_a_refusal_is_not_kept_because_it_did_nothing(api: "Installation") -> None:
    once, bent = headers(api), {"callflow": [{"action": "makeCall", "params": {}}]}
    assert (await api.client.post(f"{OWN}/callflows", json=bent, headers=once)).status_code == 400
    put_right = await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)
    assert put_right.status_code == 200
    assert "idempotent-replayed" not in put_right.headers


async def test_a_failure_is_not_kept_either(api: "Installation") -> None:
    once = headers(api)
    api.board.failure = StorageUnavailable("the database is away")
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)).status_code == 503
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)).status_code == 200


async def test_while_the_first_is_under_way_the_next_is_409(api: "Installation") -> None:
    once = headers(api)
    api.platform.repeatable.add(("riders_hq", once["idempotency-key"]))
    busy = await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)
    api.platform.repeatable.clear()
    assert (busy.status_code, busy.headers["retry-after"]) == (409, "1")
    assert busy.json()["sessionStatus"] == "NOT_CREATED"
    api.board.failure = KeyTaken("by another process, which then failed to write it")
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)).status_code == 409
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)).status_code == 200


async def post_at_once(times: int, places: Sequence[HostPort], given: Mapping[str, str]) -> list[tuple[int, Any]]:
    """The same request so many times to each place, 200 under way at a time; statuses and bodies."""
    body = json.dumps(FLOW).encode()
    head = {**given, "host": "callwright", "content-length": str(len(body)), "connection": "close"}
    lines = [f"POST {OWN}/callflows HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    request = "\r\n".join(lines).encode() + body
    room = asyncio.Semaphore(200)

    async def post(place: HostPort) -> tuple[int, Any]:
        async with room:
            reader, writer = await asyncio.open_connection(place.host, place.port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return int(answer.split(b" ")[1]), json.loads(answer.partition(b"\r\n\r\n")[2])

    return await asyncio.gather(*(post(place) for _ in range(times) for place in places))


async def test_a_thousand_requests_at_once_make_one_call(api: "Installation") -> None:
    once, before = headers(api), len(api.board.accepted)
    answers = await post_at_once(1_000, [api.address], once)
    assert len(api.board.accepted) == before + 1
    assert {status for status, _ in answers} <= {200, 409}
    assert {body["sessionId"] for status, body in answers if status == 200} == {api.board.accepted[-1][0]}


@pytest_asyncio.fixture(loop_scope="module")
async def other_process(api: "Installation") -> AsyncIterator[HostPort]:
    """Another server over the same database, with a store of its own."""
    store = await Store.open(
        f"sqlite:///{api.store._database.folder}/callwright.db",
        clock=lambda: api.now,
        exclusive=False,
        busy_timeout_seconds=10,
    )
    board = type(api.board)(store, lambda: api.now)
    board.accepted = api.board.accepted
    platform = dataclasses.replace(api.platform, store=store, board=board, repeatable=set(), metrics=Metrics())
    server = await serve_http(Api(platform), HostPort("127.0.0.1", 0), grace_seconds=1)
    yield server.address
    await server.stop()
    await store.close()


async def test_of_two_processes_only_one_makes_the_call(api: "Installation", other_process: HostPort) -> None:
    places = (f"http://{api.address}", f"http://{other_process}")
    for _ in range(20):
        once, before = headers(api), len(api.board.accepted)
        answers: list[httpx.Response] = await asyncio.gather(
            *(
                api.client.post(f"{place}{OWN}/callflows", json=FLOW, headers=once, timeout=60)
                for place in places
                for _ in range(3)
            )
        )
        assert len(api.board.accepted) == before + 1
        assert len({answer.json()["sessionId"] for answer in answers if answer.status_code == 200}) == 1
        assert {answer.status_code for answer in answers} <= {200, 409}


async def test_of_a_thousand_requests_to_two_nodes_one_makes_the_call(
    api: "Installation", postgres_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        places: list[HostPort] = []
        boards: list[Any] = []
        key = ""
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir(mode=0o700)
            if boards:
                shutil.copy(tmp_path / "one" / "secrets.key", folder)
            store = await Store.open(postgres_url, folder=folder, clock=lambda: api.now, busy_timeout_seconds=30.0)
            stack.push_async_callback(store.close)
            if not boards:
                await store.ensure_sub_account("riders_hq")
                key = await store.create_key("riders_hq", "both")
            board = type(api.board)(store, lambda: api.now)
            platform = dataclasses.replace(api.platform, store=store, board=board, repeatable=set(), metrics=Metrics())
            server = await serve_http(Api(platform), HostPort("127.0.0.1", 0), grace_seconds=1)
            stack.push_async_callback(server.stop)
            places.append(server.address)
            boards.append(board)
        once = {"authorization": f"Bearer {key}", "idempotency-key": "k"}
        answers = await post_at_once(500, places, once)
        ((session_id, *_),) = [taken for board in boards for taken in board.accepted]
        assert {status for status, _ in answers} <= {200, 409}
        assert {body["sessionId"] for status, body in answers if status == 200} == {session_id}


async def test_after_72_hours_a_key_is_as_new(api: "Installation") -> None:
    once = headers(api)
    first = await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)
    api.pass_time(KEPT_SECONDS)
    second = await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)
    assert second.status_code == 200
    assert second.json()["sessionId"] != first.json()["sessionId"]
    api.pass_time(KEPT_SECONDS)
    await api.store.forget_old_answers()
    third = await api.client.post(f"{OWN}/callflows", json={**FLOW, "x": 1}, headers=once)
    assert third.status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "x\ty", "ключ".encode().decode("latin-1")])
async def test_a_key_that_is_none_is_400(api: "Installation", key: str) -> None:
    bent = [*api.as_rider().items(), ("idempotency-key", key)]
    answer = await api.client.post(
        f"{OWN}/callflows", json=FLOW, headers=[(name.encode(), value.encode("latin-1")) for name, value in bent]
    )
    assert (answer.status_code, answer.json()["sessionStatus"]) == (400, "NOT_CREATED")


async def test_two_keys_are_400(api: "Installation") -> None:
    twice = [*api.as_rider().items(), ("idempotency-key", "a"), ("idempotency-key", "b")]
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=twice)).status_code == 400


async def test_a_replay_needs_a_key_that_may_write_and_nothing_else(api: "Installation") -> None:
    once = headers(api)
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)).status_code == 200
    reader = {**once, **api.as_rider(api.read_only_key)}
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=reader)).status_code == 403
    api.draining = True
    try:
        again = await api.client.post(f"{OWN}/callflows", json=FLOW, headers=once)
        assert again.headers["idempotent-replayed"] == "true"
    finally:
        api.draining = False


async def test_a_request_without_a_key_costs_one_commit_and_no_question(api: "Installation") -> None:
    assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=api.as_rider())).status_code == 200
    begun: list[str] = []
    engines = {"read": api.store._database.read, "write": api.store._database.write}
    notes = {name: lambda _, name=name: begun.append(name) for name in engines}
    for name, engine in engines.items():
        event.listen(engine, "begin", notes[name])
    try:
        assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=api.as_rider())).status_code == 200
        assert begun == ["write"]
        assert (await api.client.post(f"{OWN}/callflows", json=FLOW, headers=headers(api))).status_code == 200
        assert begun == ["write", "read", "write"]
    finally:
        for name, engine in engines.items():
            event.remove(engine, "begin", notes[name])
