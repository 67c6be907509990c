"""Sessions over real HTTP: how one stands, its end, and its events as they happen."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

BASE = "/api/v1/subaccounts/riders_hq"
NOBODYS = "12345678-1234-1234-1234-123456789012"

SESSIONS = [
    pytest.param("GET", "", id="show"),
    pytest.param("DELETE", "", id="hang up"),
    pytest.param("GET", "/events", id="follow"),
]


async def begin(api: "Installation", destination: str = "6512345678") -> str:
    call = {"action": "makeCall", "params": {"source": "6512341234", "destination": destination}}
    flow = {"callflow": [call, {"action": "hangup", "params": {}}]}
    answer = await api.client.post(f"{BASE}/callflows", json=flow, headers=api.as_rider())
    session_id: str = answer.json()["sessionId"]
    return session_id


async def events_of(answer: httpx.Response) -> AsyncIterator[tuple[str, int | None, Any]]:
    """Event, id and data of each frame."""
    event, number = "message", None
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "id":
            number = int(value)
        elif name == "data":
            yield event, number, json.loads(value)
            event, number = "message", None


async def test_a_session_is_shown_before_and_after_its_end(api: "Installation") -> None:
    session_id = await begin(api)
    answer = await api.client.get(f"{BASE}/sessions/{session_id}", headers=api.as_rider())
    assert answer.status_code == 200
    live = answer.json()
    (owed,) = live["webhooks"]
    assert owed.pop("eventId").startswith("evt_")
    assert owed == {"type": "VSS", "state": "OWED", "nextAttemptAt": None, "attempts": []}
    assert live["callFlowRequestId"]
    assert {name: live[name] for name in ("sessionId", "subAccountId", "state", "status", "destination")} == {
        "sessionId": session_id,
        "subAccountId": "riders_hq",
        "state": "ACCEPTED",
        "status": "IN_PROGRESS",
        "destination": "+6512345678",
    }
    assert (live["legs"], live["actions"], live["summary"], live["finishedAt"]) == ([], [], None, None)
    await api.board.finish(session_id)
    shown = (await api.client.get(f"{BASE}/sessions/{session_id.upper()}", headers=api.as_rider())).json()
    assert shown["state"] == "FINISHED"
    assert shown["summary"]["sessionStatus"] == "COMPLETED"
    assert shown["summary"]["details"]["callA"]["destination"] == "+6512345678"
    (leg,) = shown["legs"]
    assert (leg["callStatus"], leg["sipCode"], leg["source"]) == ("COMPLETED", None, "+6512341234")


async def test_a_finished_session_shows_what_was_done_and_when(api: "Installation") -> None:
    session_id = await begin(api)
    happen = functools.partial(api.board.happen, session_id)
    happen("command.PrepareSpeech", prompt_id="1.1")
    happen("command.PrepareFile", prompt_id="1.2")
    happen("command.Dial", leg_id="leg-1", source="+6512341234", destination="+6512345678")
    happen("event.Answered", leg_id="leg-1", codec="PCMA")
    happen("command.Play", leg_id="leg-1", playback_id="p1", prompt_id="1.1", repetition=1)
    happen("event.PlaybackFinished", leg_id="leg-1", playback_id="p1", completed=True)
    happen("command.Listen", leg_id="leg-1")
    happen("command.Play", leg_id="leg-1", playback_id="p2", prompt_id="1.3.prompt", repetition=1)
    happen("event.PlaybackFinished", leg_id="leg-1", playback_id="p2", completed=False)
    happen("command.StopListening", leg_id="leg-1")
    happen("command.Dial", leg_id="leg-2", source="+6512341234", destination="+6587654321")
    happen("event.NotAnswered", leg_id="leg-2", status="BUSY")
    happen("command.Play", leg_id="leg-1", playback_id="p3", prompt_id="1.2", repetition=1)
    await api.board.finish(session_id)
    shown = (await api.client.get(f"{BASE}/sessions/{session_id}", headers=api.as_rider())).json()
    actions = [(action["action"], action["endedAt"] is not None, action["result"]) for action in shown["actions"]]
    assert actions == [
        ("MAKE_CALL", True, "answered"),
        ("SAY", True, "played"),
        ("SAY_AND_CAPTURE", True, None),
        ("MAKE_CALL", True, "BUSY"),
        ("PLAY_FILE", False, None),
    ]


async def test_actions_of_every_callflow_have_their_own_names(api: "Installation") -> None:
    """Prompts are numbered anew in every flow, playbacks on and on."""
    session_id = await begin(api)
    happen = functools.partial(api.board.happen, session_id)
    happen("command.PrepareFile", prompt_id="1.1")
    happen("command.PrepareSpeech", prompt_id="1.2")
    happen("command.Play", leg_id="leg-1", playback_id="1", prompt_id="1.1", repetition=1)
    happen("command.Play", leg_id="leg-1", playback_id="2", prompt_id="1.2", repetition=1)
    happen("command.PrepareSpeech", prompt_id="2.0")
    happen("command.PrepareSpeech", prompt_id="2.1")
    happen("command.PrepareFile", prompt_id="2.2")
    happen("command.PrepareSpeech", prompt_id="2.3.success")
    happen("command.Play", leg_id="leg-1", playback_id="3", prompt_id="2.0", repetition=1)
    happen("command.Play", leg_id="leg-1", playback_id="4", prompt_id="2.1", repetition=1)
    happen("command.Play", leg_id="leg-1", playback_id="5", prompt_id="2.2", repetition=1)
    happen("command.Listen", leg_id="leg-1")
    happen("command.Play", leg_id="leg-1", playback_id="6", prompt_id="2.3.success", repetition=1)
    await api.board.finish(session_id)
    shown = (await api.client.get(f"{BASE}/sessions/{session_id}", headers=api.as_rider())).json()
    names = [action["action"] for action in shown["actions"]]
    assert names == ["PLAY_FILE", "SAY", "SAY", "SAY", "PLAY_FILE", "SAY_AND_CAPTURE"]


async def test_a_summary_names_the_virtual_number_wherever_it_is_read(api: "Installation") -> None:
    number = await api.store.add_number("riders_hq", "+6512341234")
    session_id = await begin(api)
    await api.board.finish(session_id)
    shown = (await api.client.get(f"{BASE}/sessions/{session_id}", headers=api.as_rider())).json()
    assert shown["summary"]["details"]["callA"]["sourceRefId"] == number.reference_id
    followed = await api.client.get(f"{BASE}/sessions/{session_id}/events", headers=api.as_rider())
    last = [data async for _, _, data in events_of(followed)][-1]
    assert last == shown["summary"]
    await api.store.remove_number("+6512341234")


async def test_sessions_are_listed_newest_first_page_by_page(api: "Installation") -> None:
    begun = []
    for _ in range(5):
        begun.append(await begin(api, "6590001111"))
        api.pass_time(1)
    await api.board.finish(begun[0])
    seen: list[str] = []
    path: str | None = f"{BASE}/sessions?limit=2&destination=%2B6590001111"
    while path is not None:
        page = (await api.client.get(path, headers=api.as_rider())).json()
        assert len(page["sessions"]) <= 2
        seen += [session["sessionId"] for session in page["sessions"]]
        path = page["next"]
    assert seen == begun[::-1]
    live = await api.client.get(f"{BASE}/sessions?status=IN_PROGRESS&destination=6590001111", headers=api.as_rider())
    assert [session["sessionId"] for session in live.json()["sessions"]] == begun[:0:-1]
    done = await api.client.get(f"{BASE}/sessions?status=COMPLETED&destination=6590001111", headers=api.as_rider())
    (session,) = done.json()["sessions"]
    assert (session["sessionId"], session["status"], session["callCount"]) == (begun[0], "COMPLETED", 1)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "staus=BUSY", "status=busy", "page=%%%", "from=2025", "page="])
async def test_a_filter_that_means_nothing_is_refused(api: "Installation", query: str) -> None:
    answer = await api.client.get(f"{BASE}/sessions?{query}", headers=api.as_rider())
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert query.partition("=")[0] in answer.json()["detail"]


async def test_a_list_holds_ones_own_sessions_only(api: "Installation") -> None:
    await begin(api)
    other = await api.client.get("/api/v1/subaccounts/other_co/sessions", headers=api.as_rider(api.other_key))
    assert other.json() == {"sessions": [], "nextPage": None, "next": None}


async def test_a_live_session_is_hung_up_once_it_is_asked_for(api: "Installation") -> None:
    session_id = await begin(api)
    answer = await api.client.delete(f"{BASE}/sessions/{session_id}", headers=api.as_rider())
    assert answer.status_code == 202
    assert answer.json()["sessionId"] == session_id
    assert api.board.hung_up[-1] == session_id
    await api.board.finish(session_id)
    again = await api.client.delete(f"{BASE}/sessions/{session_id}", headers=api.as_rider())
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert (again.json()["title"], again.json()["detail"]) == ("Conflict", "Session has ended")


async def test_a_stream_replays_what_happened_then_follows_to_the_end(api: "Installation") -> None:
    session_id = await begin(api)
    async with api.client.stream("GET", f"{BASE}/sessions/{session_id}/events", headers=api.as_rider()) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        events = events_of(answer)
        event, number, data = await anext(events)
        assert (event, number, data["kind"]) == ("trace", 1, "session.accepted")
        api.board.happen(session_id, "event.Ringing", leg_id="x", early_media=False)
        event, number, data = await anext(events)
        assert (event, number) == ("trace", 2)
        assert data["kind"] == "event.Ringing"
        assert data["fields"] == {"leg_id": "x", "early_media": False}
        assert isinstance(data["at"], float)
        await api.board.finish(session_id)
        rest = [row async for row in events]
    assert [row[0] for row in rest] == ["summary"]
    assert rest[0][2]["sessionStatus"] == "COMPLETED"


async def test_the_stream_of_a_finished_session_tells_it_all_at_once(api: "Installation") -> None:
    session_id = await begin(api)
    api.board.happen(session_id, "event.Ringing", leg_id="x\r\ndata: forged")
    await api.board.finish(session_id)
    answer = await api.client.get(f"{BASE}/sessions/{session_id}/events", headers=api.as_rider())
    rows = [row async for row in events_of(answer)]
    assert [(event, number) for event, number, _ in rows] == [("trace", 1), ("trace", 2), ("summary", None)]
    assert rows[1][2]["fields"] == {"leg_id": "x\r\ndata: forged"}


@pytest.mark.parametrize(
    ("seen", "numbers"), [("1", [2, None]), ("2", [None]), ("0", [1, 2, None]), ("x", [1, 2, None])]
)
@pytest.mark.parametrize("live", [True, False])
async def test_a_client_that_comes_back_is_spared_what_it_has(
    api: "Installation", seen: str, numbers: list[int | None], live: bool
) -> None:
    session_id = await begin(api)
    api.board.happen(session_id, "event.Ringing")
    if not live:
        await api.board.finish(session_id)
    headers = api.as_rider() | {"last-event-id": seen}
    async with api.client.stream("GET", f"{BASE}/sessions/{session_id}/events", headers=headers) as answer:
        if live:
            await api.board.finish(session_id)
        assert [number async for _, number, _ in events_of(answer)] == numbers


async def test_a_client_that_leaves_is_no_longer_watched_for(api: "Installation") -> None:
    session_id = await begin(api)
    async with api.client.stream("GET", f"{BASE}/sessions/{session_id}/events", headers=api.as_rider()) as answer:
        await anext(events_of(answer))
        await api.board.until_watched_by(session_id, 1)
    await api.board.until_watched_by(session_id, 0)
    await api.board.finish(session_id)


async def test_many_follow_one_session(api: "Installation") -> None:
    session_id = await begin(api)

    async def follow() -> list[str]:
        async with api.client.stream("GET", f"{BASE}/sessions/{session_id}/events", headers=api.as_rider()) as answer:
            return [event async for event, _, _ in events_of(answer)]

    followers = [asyncio.create_task(follow()) for _ in range(5)]
    await api.board.until_watched_by(session_id, 5)
    api.board.happen(session_id, "event.Ringing")
    await api.board.finish(session_id)
    assert await asyncio.gather(*followers) == [["trace", "trace", "summary"]] * 5


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "tail"), SESSIONS)
@pytest.mark.parametrize("key", ["none", "wrong", "revoked"])
@pytest.mark.parametrize("sub_account", ["riders_hq", "other_co", "nobody"])
async def test_without_a_live_key_it_is_401(
    api: "Installation", method: str, tail: str, key: str, sub_account: str
) -> None:
    session_id = await begin(api)
    keys = {"none": {}, "wrong": api.as_rider("cw_wrong"), "revoked": api.as_rider(api.revoked_key)}
    answer = await api.client.request(
        method, f"/api/v1/subaccounts/{sub_account}/sessions/{session_id}{tail}", headers=keys[key]
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert session_id not in api.board.hung_up
    await api.board.finish(session_id)


@pytest.mark.parametrize(("method", "tail"), SESSIONS)
@pytest.mark.parametrize("session", ["foreign", NOBODYS, "x", "%00", "1" * 36, "' OR 1=1 --"])
async def test_unknown_and_foreign_sessions_answer_alike(
    api: "Installation", method: str, tail: str, session: str
) -> None:
    own = await begin(api)
    session_id = own if session == "foreign" else session
    answer = await api.client.request(
        method, f"/api/v1/subaccounts/other_co/sessions/{session_id}{tail}", headers=api.as_rider(api.other_key)
    )
    assert answer.status_code == 404
    problem = answer.json()
    assert problem.pop("instance").startswith("urn:uuid:")
    assert problem == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Session not found"}
    assert own not in api.board.hung_up
    await api.board.finish(own)


@pytest.mark.parametrize(("method", "tail"), SESSIONS)
async def test_another_sub_account_looks_like_none(api: "Installation", method: str, tail: str) -> None:
    session_id = await begin(api)
    details = []
    for name in ("other_co", "nobody"):
        answer = await api.client.request(
            method, f"/api/v1/subaccounts/{name}/sessions/{session_id}{tail}", headers=api.as_rider()
        )
        assert answer.status_code == 404
        details.append(answer.json()["detail"])
    assert details == ["SubAccount not found by Id : other_co", "SubAccount not found by Id : nobody"]
    await api.board.finish(session_id)


async def test_a_read_only_key_may_look_but_not_hang_up(api: "Installation") -> None:
    session_id = await begin(api)
    reader = api.as_rider(api.read_only_key)
    assert (await api.client.get(f"{BASE}/sessions/{session_id}", headers=reader)).status_code == 200
    assert (await api.client.delete(f"{BASE}/sessions/{session_id}", headers=reader)).status_code == 403
    assert session_id not in api.board.hung_up
    await api.board.finish(session_id)
