"""Story: whatever is sent, the answer is a documented one, nobody is dialled, nothing is stored."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.customers import Customer

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALL = {"action": "makeCall", "params": {"source": "+6531350000", "destination": "+6581234567"}}
SAY = {"action": "say", "params": {"text": "Hello.", "voiceProfile": "en-IE-EmilyNeural"}}
HANG_UP = {"action": "hangup"}
DEEP = b'{"callflow":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def flow(*actions: object, **more: object) -> bytes:
    return json.dumps({"callflow": list(actions), **more}).encode()


def calling(**params: object) -> bytes:
    return flow({"action": "makeCall", "params": {**CALL["params"], **params}}, SAY, HANG_UP)  # type: ignore[dict-item]  # a row's params


def saying(**params: object) -> bytes:
    return flow(CALL, {"action": "say", "params": {**SAY["params"], **params}}, HANG_UP)  # type: ignore[dict-item]  # likewise


def playing(**params: object) -> bytes:
    return flow(CALL, {"action": "playFile", "params": params}, HANG_UP)


BODIES = [
    pytest.param(b"", 400, -1001, id="nothing"),
    pytest.param(b"callflow=makeCall", 400, -1001, id="a form"),
    pytest.param(flow(CALL, SAY)[:-1], 400, -1001, id="cut off"),
    pytest.param(flow(CALL, SAY) + b"}", 400, -1001, id="something behind it"),
    pytest.param(b"\xff\xfe" + flow(CALL), 400, -1001, id="not UTF-8"),
    pytest.param(b'{"callflow": NaN}', 400, -1001, id="NaN"),
    pytest.param(DEEP, 400, -1001, id="deep nesting"),
    pytest.param(flow(CALL, SAY, filler="x" * 300 * 1024), 413, -1001, id="300 KiB"),
    pytest.param(b"[]", 400, -1009, id="an array"),
    pytest.param(b"null", 400, -1009, id="null"),
    pytest.param(b"{}", 400, -1009, id="no callflow"),
    pytest.param(b'{"callflow":{}}', 400, -1009, id="callflow is an object"),
    pytest.param(b'{"callflow":[]}', 400, -1009, id="no actions"),
    pytest.param(flow(1, 2), 400, -1009, id="actions are numbers"),
    pytest.param(flow({"action": ["makeCall"]}), 400, -1009, id="action is an array"),
    pytest.param(flow({"action": "makeCall", "params": "x"}), 400, -1009, id="params are text"),
    pytest.param(flow(CALL, {"action": "dance"}), 400, -1007, id="unknown action"),
    pytest.param(flow(SAY, HANG_UP), 422, -1013, id="no call at the beginning"),
    pytest.param(flow(CALL, HANG_UP, SAY), 422, -1012, id="hangup in the middle"),
    pytest.param(flow(CALL, CALL, CALL), 422, -1010, id="three calls"),
    pytest.param(flow(CALL, *[SAY] * 500), 422, -1010, id="hundreds of actions"),
    pytest.param(saying(text=None), 400, -1009, id="no text"),
    pytest.param(saying(text="x" * 3001), 400, -1009, id="text too long"),
    pytest.param(saying(text="\u0007"), 422, -1016, id="control characters"),
    pytest.param(saying(text=5), 400, -1009, id="text is a number"),
    pytest.param(saying(voiceProfile="en-IE-NobodyNeural7"), 422, -1002, id="unknown voice"),
    pytest.param(saying(voiceProfile="tlh-QO-WorfNeural"), 422, -1002, id="unknown language"),
    pytest.param(saying(repetition=4), 400, -1009, id="four times"),
    pytest.param(saying(repetition=True), 400, -1009, id="repetition is true"),
    pytest.param(saying(speed="fast"), 400, -1009, id="speed is text"),
    pytest.param(saying(speed=1e400), 400, -1001, id="speed is infinite"),
    pytest.param(saying(speed=2.5), 400, -1009, id="too fast"),
    pytest.param(calling(destination="12"), 422, -1017, id="short number"),
    pytest.param(calling(destination="+65 8123 4567 ext. 12"), 422, -1017, id="number with words"),
    pytest.param(calling(destination="sip:admin@example.com"), 422, -1017, id="SIP address"),
    pytest.param(calling(destination="+6581234567\r\nX-Injected: 1"), 422, -1017, id="header in a number"),
    pytest.param(calling(destination=["+6581234567", "+6581234568"]), 422, -1011, id="two destinations"),
    pytest.param(calling(destination=6581234567), 400, -1009, id="number as integer"),
    pytest.param(calling(source=None), 400, -1009, id="no source"),
    pytest.param(playing(fileUrl="file:///etc/passwd"), 400, -1009, id="file of the server"),
    pytest.param(playing(fileUrl=""), 400, -1009, id="empty URL"),
    pytest.param(playing(fileUrl="http://example.com/" + "x" * 3000), 400, -1009, id="long URL"),
    pytest.param(flow(CALL, SAY, validUntil="tomorrow"), 400, -1009, id="validUntil is a word"),
    pytest.param(flow(CALL, SAY, validUntil="2020-01-01T00:00:00.000Z"), 422, -1015, id="validUntil has passed"),
]


async def assert_untouched(site: "Site", taken_before: int, stored_before: int) -> None:
    assert site.carrier.calls_taken == taken_before
    assert len(await site.node.store.recent_sessions(1_000)) == stored_before
    assert site.node.board.live_sessions == 0


def assert_not_created(body: Mapping[str, Any], status_code: int) -> None:
    assert set(body) == {"sessionStatus", "callFlowRequestId", "statusCode", "statusMessage"}
    assert (body["sessionStatus"], body["statusCode"]) == ("NOT_CREATED", status_code)
    assert body["statusMessage"]


@pytest.mark.parametrize(("content", "http_status", "status_code"), BODIES)
async def test_a_request_that_is_wrong(
    site: "Site", customer: "Customer", content: bytes, http_status: int, status_code: int
) -> None:
    taken, stored = site.carrier.calls_taken, len(await site.node.store.recent_sessions(1_000))
    answer = await customer.http.post("/callflows", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["statusCode"]) == (http_status, status_code), answer.text
    assert_not_created(answer.json(), status_code)
    await assert_untouched(site, taken, stored)


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no key"),
        pytest.param("Bearer cw_wrong", id="wrong key"),
        pytest.param("Basic Y3c6Y3c=", id="another scheme"),
        pytest.param("Bearer " + "x" * 9_000, id="endless key"),
    ],
)
async def test_a_request_without_a_key_that_opens(
    site: "Site", customer: "Customer", authorization: str | None
) -> None:
    taken, stored = site.carrier.calls_taken, len(await site.node.store.recent_sessions(1_000))
    del customer.http.headers["authorization"]
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await customer.http.post("/callflows", content=flow(CALL, SAY), headers=headers)
    assert answer.status_code == 401
    assert_not_created(answer.json(), 401)
    assert answer.json()["statusMessage"] == "Authentication header not found or token invalid"
    await assert_untouched(site, taken, stored)


async def test_unknown_and_foreign_sub_accounts_are_the_same_to_a_customer(site: "Site", customer: "Customer") -> None:
    taken, stored = site.carrier.calls_taken, len(await site.node.store.recent_sessions(1_000))
    async with site.customer("somebody-else"):
        for other in ("8x8_Testing", "somebody-else"):
            url = f"{site.base_url}/api/v1/subaccounts/{other}/callflows"
            answer = await customer.http.post(url, content=flow(CALL, SAY))
            assert answer.status_code == 404
            assert_not_created(answer.json(), 404)
            assert answer.json()["statusMessage"] == f"SubAccount not found by Id : {other}"
    await assert_untouched(site, taken, stored)


async def test_a_caller_id_that_is_not_on_the_list(site: "Site") -> None:
    taken, stored = site.carrier.calls_taken, len(await site.node.store.recent_sessions(1_000))
    async with site.customer("narrow") as narrow:
        answer = await narrow.http.post("/callflows", content=calling(source="+6599999999"))
        assert (answer.status_code, answer.json()["statusCode"]) == (422, -1014)
    await assert_untouched(site, taken, stored)


async def test_unknown_extra_fields_are_tolerated(site: "Site", customer: "Customer") -> None:
    number = site.phone()
    session_id = await customer.send(
        {"action": "makeCall", "params": {"source": "+6531350000", "destination": number, "ringtone": "loud"}},
        {"action": "say", "params": {"text": "One.", "voiceProfile": "en-IE-EmilyNeural", "mood": {"a": [1]}}, "x": 1},
        {"action": "hangup", "params": None},
        colour="blue",
        clientActionId="first",
    )
    assert (await customer.summary(session_id))["sessionStatus"] == "COMPLETED"
