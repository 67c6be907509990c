"""How webhooks do, what became of events, tests, new secrets and sending again, over real HTTP."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from callwright.errors import EgressError
from callwright.storage.delivery_log import EVENTS_LOOKED_AT
from callwright.storage.records import DeliveryState, WebhookKind

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "/api/v1/subaccounts/riders_hq"
CALL = {"action": "makeCall", "params": {"source": "+6512345678", "destination": "+6587654321"}}
URL = "https://hooks.example.com/vss?token=t0ken"
SECRET = "Basic canary-81f2=="


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def webhook(api: "Installation") -> AsyncIterator[None]:
    """A VSS webhook, and events of this test only."""
    api.pass_time(1)
    await api.store.put_webhook("riders_hq", WebhookKind.VSS, URL, SECRET)
    yield
    await api.store.delete_webhook("riders_hq", WebhookKind.VSS)


async def call(api: "Installation") -> str:
    """A call from its request to its summary; its session id."""
    answer = await api.client.post(f"{OWN}/callflows", json={"callflow": [CALL]}, headers=api.as_rider())
    session_id = str(answer.json()["sessionId"])
    await api.board.finish(session_id)
    return session_id


async def tried(
    api: "Installation", session_id: str, status: int | None, *, next_attempt_at: float | None = None
) -> str:
    """One more try of a session's summary; its event id."""
    (delivery,) = await api.store.deliveries_of(session_id)
    await api.store.record_attempt(
        delivery.delivery_id,
        number=len(delivery.attempts) + 1,
        at=api.now,
        host="hooks.example.com",
        status=status,
        error=None if status else "The server refuses connections.",
        elapsed_ms=12,
        delivered=status == 200,
        next_attempt_at=next_attempt_at,
    )
    return delivery.event_id


async def state(api: "Installation", session_id: str) -> DeliveryState:
    (delivery,) = await api.store.deliveries_of(session_id)
    return delivery.state


async def get(api: "Installation", path: str, status: int = 200) -> Any:
    answer = await api.client.get(OWN + path, headers=api.as_rider())
    assert answer.status_code == status, answer.text
    return answer.json()


async def post(api: "Installation", path: str, body: Any = None, status: int = 200) -> Any:
    answer = await api.client.post(OWN + path, json=body, headers=api.as_rider())
    assert answer.status_code == status, answer.text
    return answer.json()


# --- one webhook ------------------------------------------------------------------------------------------------------


async def test_a_webhook_is_shown_with_its_secret_and_how_it_does(api: "Installation") -> None:
    shown = await get(api, "/webhooks/VSS")
    (secret,) = shown.pop("secrets")
    assert secret["secret"].startswith("whsec_")
    assert secret["expiresAt"] is None
    assert {**shown, "lastSuccess": None, "lastFailure": None, "state": "", "waiting": 0, "held": 0} == {
        "subAccountId": "riders_hq",
        "type": "VSS",
        "url": URL,
        "enabled": True,
        "httpAuthHeaderAvailable": True,
        "payloadVersion": 3,
        "state": "",
        "waiting": 0,
        "held": 0,
        "waitingSince": shown["waitingSince"],
        "nextAttemptAt": shown["nextAttemptAt"],
        "lastSuccess": None,
        "lastFailure": None,
    }


async def test_its_state_is_what_the_last_try_says(api: "Installation") -> None:
    await tried(api, await call(api), 200)
    assert (await get(api, "/webhooks/VSS"))["state"] == "WORKING"
    api.pass_time(5)
    await tried(api, await call(api), None, next_attempt_at=api.now + 30)
    shown = await get(api, "/webhooks/VSS")
    assert shown["state"] == "FAILING"
    assert shown["lastFailure"]["error"] == "The server refuses connections."
    assert shown["lastSuccess"]["httpStatus"] == 200
    assert shown["waiting"] >= 1
    assert shown["waitingSince"] is not None
    await api.store.disable_endpoint("riders_hq", "VSS", URL)
    shown = await get(api, "/webhooks/VSS")
    assert (shown["state"], shown["waiting"]) == ("DISABLED", 0)
    assert shown["held"] >= 1


async def test_who_may_only_read_sees_no_secret(api: "Installation") -> None:
    answer = await api.client.get(f"{OWN}/webhooks/VSS", headers=api.as_rider(api.read_only_key))
    assert [secret["secret"] for secret in answer.json()["secrets"]] == [None]
    for path in ("/webhooks/VSS/secrets", "/webhooks/VSS/test", "/deliveries/replay"):
        refused = await api.client.post(OWN + path, headers=api.as_rider(api.read_only_key))
        assert refused.status_code == 403


@pytest.mark.parametrize("path", ["/webhooks/VRU", "/webhooks/nonsense"])
async def test_what_is_not_registered_is_404(api: "Installation", path: str) -> None:
    await get(api, path, 404)
    await post(api, f"{path}/secrets", {}, 404)
    await post(api, f"{path}/test", None, 404)


async def test_a_new_secret_stands_beside_the_one_before_until_that_expires(api: "Installation") -> None:
    (before,) = (await post(api, "/webhooks/VSS/secrets", {"oldValidHours": 0}))["secrets"]
    new, old = (await post(api, "/webhooks/VSS/secrets"))["secrets"]
    assert old["secret"] == before["secret"] != new["secret"]
    assert (new["expiresAt"], old["expiresAt"] is not None) == (None, True)
    api.pass_time(24 * 3600)
    assert [one["secret"] for one in (await get(api, "/webhooks/VSS"))["secrets"]] == [new["secret"]]
    await api.store.forget_expired_secrets()
    assert [one["secret"] for one in (await get(api, "/webhooks/VSS"))["secrets"]] == [new["secret"]]


@pytest.mark.parametrize("body", [{"oldValidHours": -1}, {"oldValidHours": 169}, {"oldValidHours": "1"}, []])
async def test_a_change_that_makes_no_sense_is_422(api: "Installation", body: Any) -> None:
    await post(api, "/webhooks/VSS/secrets", body, 422)


async def test_a_test_event_is_signed_and_sent_at_once(api: "Installation") -> None:
    api.tested.clear()
    told = await post(api, "/webhooks/VSS/test")
    ((url, body, headers),) = api.tested
    assert (url, headers["Authorization"]) == (URL, SECRET)
    (secret, *_) = (await get(api, "/webhooks/VSS"))["secrets"]
    assert Webhook(secret["secret"]).verify(body, headers)["eventType"] == "TEST"
    assert (told["delivered"], told["httpStatus"], told["answer"]) == (True, 200, "thanks")
    assert (told["eventId"], told["host"]) == (headers["webhook-id"], "hooks.example.com")


async def test_a_test_event_that_is_not_taken_says_why(api: "Installation") -> None:
    api.test_failures.append(EgressError("The server refuses connections."))
    told = await post(api, "/webhooks/VSS/test")
    assert (told["delivered"], told["httpStatus"], told["error"], told["answer"]) == (
        False,
        None,
        "The server refuses connections.",
        None,
    )


# --- the log ----------------------------------------------------------------------------------------------------------


async def test_the_log_has_every_try_of_every_event_the_newest_first(api: "Installation") -> None:
    first, second = await call(api), await call(api)
    event_id = await tried(api, first, 500, next_attempt_at=api.now + 1)
    await tried(api, first, 200)
    listed = (await get(api, "/deliveries?limit=2"))["deliveries"]
    assert [one["sessionId"] for one in listed] == [second, first]
    assert [one["state"] for one in listed] == ["DUE", "DELIVERED"]
    assert listed[1]["eventId"] == event_id
    assert [(one["httpStatus"], one["host"]) for one in listed[1]["attempts"]] == [
        (500, "hooks.example.com"),
        (200, "hooks.example.com"),
    ]
    assert "t0ken" not in str(listed)


async def test_the_log_is_read_page_by_page_and_by_type_and_state(api: "Installation") -> None:
    made = [await call(api) for _ in range(3)]
    await tried(api, made[1], 200)
    seen: list[str] = []
    before = ""
    while len(seen) < 3:
        page = await get(api, f"/deliveries?limit=1{before}")
        seen += [one["sessionId"] for one in page["deliveries"]]
        before = f"&before={page['before']}"
    assert seen == made[::-1]
    assert (await get(api, "/deliveries?state=DELIVERED&limit=1"))["deliveries"][0]["sessionId"] == made[1]
    assert (await get(api, "/deliveries?type=VRU"))["deliveries"] == []


async def test_a_page_looks_at_so_many_events_and_says_where_to_go_on(api: "Installation") -> None:
    wanted = await call(api)
    await tried(api, wanted, 200)
    await api.store.follow_events("riders_hq")
    for _ in range(EVENTS_LOOKED_AT // 500):  # many at once share a commit
        news = (
            api.store.enqueue_event("riders_hq", "s1", WebhookKind.VCS, str(uuid.uuid4()), b"{}") for _ in range(500)
        )
        await asyncio.gather(*news)
    page = await get(api, "/deliveries?state=DELIVERED&limit=1")
    assert page["deliveries"] == []
    page = await get(api, f"/deliveries?state=DELIVERED&limit=1&before={page['before']}")
    assert [one["sessionId"] for one in page["deliveries"]] == [wanted]


async def test_what_became_of_one_event_or_session(api: "Installation") -> None:
    session_id = await call(api)
    event_id = await tried(api, session_id, 200)
    for query in (f"eventId={event_id}", f"sessionId={session_id}"):
        (one,) = (await get(api, f"/deliveries?{query}"))["deliveries"]
        assert (one["eventId"], one["sessionId"]) == (event_id, session_id)
    theirs = await api.client.get(
        OWN.replace("riders_hq", "other_co") + f"/deliveries?eventId={event_id}", headers=api.as_rider(api.other_key)
    )
    assert theirs.json()["deliveries"] == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "state=LOST", "type=VCA", "before=-1", "x=1", "limit=1&limit=2", "eventId=a&sessionId=b"],
)
async def test_a_query_that_makes_no_sense_is_400(api: "Installation", query: str) -> None:
    assert query.partition("=")[0] in (await get(api, f"/deliveries?{query}", 400))["detail"]


# --- sending again ----------------------------------------------------------------------------------------------------


async def test_an_event_is_sent_again_whatever_became_of_it(api: "Installation") -> None:
    delivered, exhausted = await call(api), await call(api)
    await tried(api, delivered, 200)
    event_id = await tried(api, exhausted, 500)
    assert await state(api, exhausted) is DeliveryState.EXHAUSTED
    api.woken.clear()
    assert await post(api, "/deliveries/replay", {"eventId": event_id}, 202) == {"replayed": 1, "held": 0}
    assert api.woken == ["deliveries"]
    assert await post(api, "/deliveries/replay", {"sessionId": delivered}, 202) == {"replayed": 1, "held": 0}
    assert [await state(api, one) for one in (delivered, exhausted)] == [DeliveryState.DUE] * 2
    due = await api.store.due_deliveries("riders_hq", "VSS", 1_000)
    again = next(one for one in due if one.event_id == event_id)
    assert (again.attempts, again.tries) == (1, 1)  # tried at this very moment; a moment later it would be none
    api.pass_time(1)
    await post(api, "/deliveries/replay", {"eventId": event_id}, 202)
    due = await api.store.due_deliveries("riders_hq", "VSS", 1_000)
    assert next(one for one in due if one.event_id == event_id).tries == 0


async def test_events_since_a_time_are_sent_again_if_they_are_of_a_kind_and_state(api: "Installation") -> None:
    early = await call(api)
    await tried(api, early, 500)
    api.pass_time(100)
    late, well = await call(api), await call(api)
    await tried(api, late, 500)
    await tried(api, well, 200)
    since = "2025-06-15T15:06:40Z"  # long before
    body = {"since": since, "types": ["VRU"]}
    assert await post(api, "/deliveries/replay", body, 202) == {"replayed": 0, "held": 0}
    moment = (await get(api, f"/deliveries?sessionId={late}"))["deliveries"][0]["at"]
    body = {"since": moment, "states": ["EXHAUSTED"]}
    assert await post(api, "/deliveries/replay", body, 202) == {"replayed": 1, "held": 0}
    assert await state(api, early) is DeliveryState.EXHAUSTED
    assert await state(api, late) is DeliveryState.DUE
    assert await state(api, well) is DeliveryState.DELIVERED


async def test_without_a_webhook_events_that_are_sent_again_wait_for_it(api: "Installation") -> None:
    await api.store.delete_webhook("riders_hq", WebhookKind.VSS)
    session_id = await call(api)
    assert await state(api, session_id) is DeliveryState.NO_ENDPOINT
    assert await post(api, "/deliveries/replay", {"sessionId": session_id}, 202) == {"replayed": 0, "held": 1}
    assert await state(api, session_id) is DeliveryState.HELD
    await api.store.put_webhook("riders_hq", WebhookKind.VSS, URL, None)
    assert await state(api, session_id) is DeliveryState.DUE


async def test_what_has_not_happened_yet_is_not_sent(api: "Installation") -> None:
    answer = await api.client.post(f"{OWN}/callflows", json={"callflow": [CALL]}, headers=api.as_rider())
    session_id = str(answer.json()["sessionId"])
    assert await post(api, "/deliveries/replay", {"sessionId": session_id}, 202) == {"replayed": 0, "held": 0}
    assert await state(api, session_id) is DeliveryState.OWED
    (one,) = (await get(api, f"/deliveries?sessionId={session_id}"))["deliveries"]
    assert (one["state"], one["at"]) == ("OWED", None)


async def test_events_of_others_are_not_sent_again(api: "Installation") -> None:
    session_id = await call(api)
    path = OWN.replace("riders_hq", "other_co") + "/deliveries/replay"
    answer = await api.client.post(path, json={"sessionId": session_id}, headers=api.as_rider(api.other_key))
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"eventId": "a", "sessionId": "b"},
        {"since": "yesterday"},
        {"since": 5},
        {"eventId": "a", "states": ["OWED"]},
        {"eventId": "a", "types": []},
        {"eventId": "a", "types": "VSS"},
        {"eventId": "x" * 65},
    ],
)
async def test_a_wish_that_makes_no_sense_is_422(api: "Installation", body: Any) -> None:
    await post(api, "/deliveries/replay", body, 422)
