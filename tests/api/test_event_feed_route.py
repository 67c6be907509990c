"""All that happens in a sub-account as a stream that can be taken up again, and page by page."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from callwright.api.feed import EventFeed
from callwright.api.stream import EventStream
from callwright.contract.json_text import serialize
from callwright.errors import ContractError, StorageUnavailable
from callwright.storage.events import StoredEvent
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store
from callwright.storage.store_events import FOLLOWED_SECONDS

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "/api/v1/subaccounts/riders_hq"
EVENTS = f"{OWN}/events"
CALL = {"action": "makeCall", "params": {"source": "+6512345678", "destination": "+6587654321"}}


@dataclass
class Frame:
    """One block of a stream."""

    fields: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Any:
        return json.loads(self.fields["data"])


class Reader:
    """A client of a stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next_frame(self) -> Frame:
        frame = Frame()
        async with asyncio.timeout(60):
            async for line in self._lines:
                if not line and frame.fields:
                    return frame
                name, _, value = line.partition(": ")
                if name:
                    frame.fields[name] = value
        raise EOFError


@asynccontextmanager
async def stream(api: "Installation", path: str = EVENTS, **headers: str) -> AsyncIterator[Reader]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.client.stream("GET", path, headers={**api.as_rider(), **named}, timeout=60) as answer:
        yield Reader(answer)


async def call(api: "Installation") -> str:
    """A call from its request to its summary; its session id."""
    answer = await api.client.post(f"{OWN}/callflows", json={"callflow": [CALL]}, headers=api.as_rider())
    session_id = str(answer.json()["sessionId"])
    await api.board.finish(session_id)
    return session_id


async def newest(api: "Installation") -> int:
    return (await api.store.event_range("riders_hq")).newest


async def test_what_happens_from_now_on_comes_as_it_happens(api: "Installation") -> None:
    await call(api)
    known = await newest(api)
    async with stream(api) as reader:
        assert reader.answer.headers["content-type"] == "text/event-stream"
        assert (await reader.next_frame()).fields == {"retry": "1000", "id": str(known)}
        session_id = await call(api)
        frame = await reader.next_frame()
    (delivery,) = await api.store.deliveries_of(session_id)
    assert frame.fields["id"] == str(known + 1)
    assert frame.fields["event"] == "VSS"
    told = frame.data
    assert {name: told[name] for name in ("number", "eventId", "type", "sessionId")} == {
        "number": known + 1,
        "eventId": delivery.event_id,
        "type": "VSS",
        "sessionId": session_id,
    }
    assert told["body"] == json.loads(delivery.body or b"")


@pytest.mark.parametrize("how", ["header", "query"])
async def test_who_comes_back_has_missed_nothing(api: "Installation", how: str) -> None:
    known = await newest(api)
    expected = [await call(api) for _ in range(3)]
    path, headers = (EVENTS, {"last_event_id": str(known)}) if how == "header" else (f"{EVENTS}?after={known}", {})
    async with stream(api, path, **headers) as reader:
        await reader.next_frame()
        seen = [await reader.next_frame() for _ in expected]
    assert [frame.data["sessionId"] for frame in seen] == expected
    assert [int(frame.fields["id"]) for frame in seen] == [known + 1, known + 2, known + 3]


async def test_the_last_event_id_of_a_client_that_reconnects_counts_more_than_its_query(api: "Installation") -> None:
    known = await newest(api)
    await call(api)
    last = await call(api)
    async with stream(api, f"{EVENTS}?after={known}", last_event_id=str(known + 1)) as reader:
        await reader.next_frame()
        assert (await reader.next_frame()).data["sessionId"] == last


async def test_many_events_come_in_order(api: "Installation") -> None:
    known = await newest(api)
    await api.store.follow_events("riders_hq")
    for _ in range(250):
        await api.store.enqueue_event("riders_hq", "s1", WebhookKind.VCS, str(uuid.uuid4()), b"{}")
    async with stream(api, f"{EVENTS}?after={known}") as reader:
        await reader.next_frame()
        numbers = [int((await reader.next_frame()).fields["id"]) for _ in range(250)]
    assert numbers == list(range(known + 1, known + 251))


async def test_events_of_others_are_not_seen(api: "Installation") -> None:
    path = EVENTS.replace("riders_hq", "other_co")
    assert (await api.client.get(path, headers=api.as_rider())).status_code == 404
    assert (await api.client.get(EVENTS)).status_code == 401
    assert (await api.client.get(EVENTS, headers={**api.as_rider(), "last-event-id": "x"})).status_code == 400


async def test_a_key_that_may_only_read_is_enough(api: "Installation") -> None:
    async with stream(api, **api.as_rider(api.read_only_key)) as reader:
        assert reader.answer.status_code == 200


async def test_while_somebody_follows_news_are_written_without_a_webhook(api: "Installation") -> None:
    async with stream(api):
        assert await api.store.wants_news("riders_hq", WebhookKind.VCS)
    assert await api.store.wants_news("riders_hq", WebhookKind.VCS)  # whoever is cut off may come back
    api.pass_time(FOLLOWED_SECONDS)
    assert not await api.store.wants_news("riders_hq", WebhookKind.VCS)


async def test_a_page_for_those_who_want_no_stream(api: "Installation") -> None:
    known = await newest(api)
    expected = [await call(api) for _ in range(3)]
    headers = {**api.as_rider(), "accept": "application/json"}
    first = (await api.client.get(f"{EVENTS}?after={known}&limit=2", headers=headers)).json()
    assert [row["sessionId"] for row in first["events"]] == expected[:2]
    assert (first["next"], first["newest"]) == (known + 2, known + 3)
    second = (await api.client.get(f"{EVENTS}?after={first['next']}", headers=headers)).json()
    assert [row["sessionId"] for row in second["events"]] == expected[2:]
    third = (await api.client.get(f"{EVENTS}?after={second['next']}", headers=headers)).json()
    assert (third["events"], third["next"]) == ([], known + 3)


async def test_what_is_kept_no_more_is_said_to_be_missed(api: "Installation") -> None:
    await call(api)
    api.pass_time(100)
    while await api.store.take_old_events_away(api.now - 50):
        pass
    last = await newest(api)
    session_id = await call(api)
    async with stream(api, f"{EVENTS}?after=0") as reader:
        await reader.next_frame()
        gap = await reader.next_frame()
        assert (gap.fields["event"], gap.fields["id"], gap.data) == ("missed", str(last), {"from": 1, "to": last})
        assert (await reader.next_frame()).data["sessionId"] == session_id
    headers = {**api.as_rider(), "accept": "application/json"}
    page = (await api.client.get(f"{EVENTS}?after=0", headers=headers)).json()
    assert (page["oldest"], page["events"][0]["number"]) == (last + 1, last + 1)


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "after=", "after=1&after=2", "limit=0", "limit=1001", "limit=x", "after=999999999"]
)
async def test_parameters_that_make_no_sense_are_400(api: "Installation", query: str) -> None:
    answer = await api.client.get(f"{EVENTS}?{query}", headers=api.as_rider())
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert query.partition("=")[0] in answer.json()["detail"]


# --- the feed ---------------------------------------------------------------------------------------------------------


class MemoryEvents:
    """A store that is away when told to be."""

    def __init__(self) -> None:
        self.count = 0
        self.away = False
        self.followed: list[str] = []

    async def events_after(self, sub_account_id: str, number: int, limit: int) -> Sequence[StoredEvent]:
        self._check()
        numbers = range(number + 1, min(self.count, number + limit) + 1)
        return [StoredEvent(each, f"evt_{each}", "VSS", None, 0.0, b"{}") for each in numbers]

    async def newest_events(self, sub_account_ids: list[str]) -> dict[str, int]:
        self._check()
        return dict.fromkeys(sub_account_ids, self.count)

    async def follow_events(self, sub_account_id: str) -> None:
        self._check()
        self.followed.append(sub_account_id)

    def _check(self) -> None:
        if self.away:
            raise StorageUnavailable("the database is away")


async def no_pause(_: float) -> None:
    await asyncio.sleep(0)


async def test_without_any_notice_events_are_found_by_looking() -> None:
    events = MemoryEvents()
    feed = EventFeed(events, sleep=no_pause)
    following = feed.follow("riders_hq", 0)
    async with asyncio.timeout(60):
        coming = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.01)
        events.count = 1
        assert (await coming).number == 1
        coming = asyncio.ensure_future(anext(following))
        events.away = True
        await asyncio.sleep(0.01)
        events.count, events.away = 2, False
        assert (await coming).number == 2
    assert "riders_hq" in events.followed
    await following.aclose()
    assert feed.followers == 0
    await feed.stop()


async def test_a_database_that_is_away_ends_no_stream() -> None:
    events = MemoryEvents()
    events.count, events.away = 1, True
    feed = EventFeed(events, sleep=no_pause)
    following = feed.follow("riders_hq", 0)
    coming = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.01)
    events.away = False
    async with asyncio.timeout(60):
        assert (await coming).number == 1
    await following.aclose()
    await feed.stop()


async def test_streams_end_when_the_process_stops() -> None:
    feed = EventFeed(MemoryEvents())
    following = feed.follow("riders_hq", 0)
    coming = asyncio.ensure_future(anext(following, None))
    await asyncio.sleep(0)
    await feed.stop()
    async with asyncio.timeout(60):
        assert await coming is None
    with pytest.raises(ContractError):
        feed.check_room("riders_hq")


async def test_a_sub_account_may_open_only_so_many_streams() -> None:
    events = MemoryEvents()
    events.count = 1
    feed = EventFeed(events, most_followers=3, most_of_one=2)
    following = [feed.follow(account, 0) for account in ("a", "a", "b")]
    for each in following:
        await anext(each)
    for account in ("a", "c"):
        with pytest.raises(ContractError) as refused:
            feed.check_room(account)
        assert refused.value.http_status == 503
    for each in following:
        await each.aclose()
    feed.check_room("a")
    await feed.stop()


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    sent: list[Any] = []

    async def frames() -> Any:
        while True:
            yield serialize({})

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 3:
            await asyncio.sleep(3600)

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async with asyncio.timeout(60):
        await EventStream(frames(), slowest_seconds=0.01)({}, receive, send)
    assert sent[-1].get("more_body")


async def test_another_process_is_heard_within_a_second(api: "Installation") -> None:
    known = await newest(api)
    other = await Store.open(
        f"sqlite:///{api.store._database.folder}/callwright.db", clock=lambda: api.now, exclusive=False
    )
    await other.follow_events("riders_hq")
    async with stream(api, f"{EVENTS}?after={known}") as reader:
        await reader.next_frame()
        await other.enqueue_event("riders_hq", "s1", WebhookKind.VCS, "evt_other", b"{}")
        assert (await reader.next_frame()).data["eventId"] == "evt_other"
    await other.close()
