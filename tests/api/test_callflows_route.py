"""POST …/callflows over real HTTP: what is accepted, what is refused, and that nothing bad gets through."""

import gzip
import json
import random
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from callwright.callflow.plan import HangUp, MakeCall, Say
from callwright.contract.policy import RequestPolicy
from callwright.errors import StorageUnavailable, TelephonyError
from callwright.switchboard.board import BusyError

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/subaccounts/riders_hq/callflows"
FLOW: dict[str, Any] = {
    "validUntil": "2099-07-03T05:59:32.226Z",
    "callflow": [
        {"action": "makeCall", "params": {"source": "+6512341234", "destination": "+6512345678"}},
        {
            "action": "say",
            "params": {"text": "Hello, this is a test Voice Message.", "voiceProfile": "en-IE-EmilyNeural"},
        },
        {"action": "hangup"},
    ],
}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def is_refusal(body: dict[str, Any], status_code: int, message: str) -> bool:
    return (
        list(body) == ["sessionStatus", "callFlowRequestId", "statusCode", "statusMessage"]
        and body["sessionStatus"] == "NOT_CREATED"
        and re.fullmatch(UUID, body["callFlowRequestId"]) is not None
        and body["statusCode"] == status_code
        and body["statusMessage"] == message
    )


async def test_a_good_callflow_is_created(api: "Installation") -> None:
    answer = await api.client.post(PATH, json=FLOW, headers=api.as_rider())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    body = answer.json()
    session_id, sub_account_id, callflow = api.board.accepted[-1]
    assert body == {
        "sessionId": session_id,
        "sessionStatus": "CREATED",
        "callFlowRequestId": callflow.call_flow_request_id,
        "validUntil": "2099-07-03T05:59:32.226Z",
        "statusCode": 1,
        "statusMessage": "Created",
    }
    assert sub_account_id == "riders_hq"
    assert [type(action) for action in callflow.actions] == [MakeCall, Say, HangUp]
    assert await api.store.find_session(session_id) is not None


async def test_two_requests_have_two_ids(api: "Installation") -> None:
    first = (await api.client.post(PATH, json=FLOW, headers=api.as_rider())).json()
    second = (await api.client.post(PATH, json=FLOW, headers=api.as_rider())).json()
    assert first["sessionId"] != second["sessionId"]
    assert first["callFlowRequestId"] != second["callFlowRequestId"]


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/json; charset=latin-1", "application/x-www-form-urlencoded"]
)
async def test_the_content_type_is_not_looked_at(api: "Installation", content_type: str | None) -> None:
    headers = api.as_rider() | ({"content-type": content_type} if content_type else {})
    answer = await api.client.post(PATH, content=json.dumps(FLOW).encode(), headers=headers)
    assert answer.status_code == 200


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None, "", "Bearer", "Basic cmlkZXJzOnBhc3M=", "{key}", "Token {key}", "Bearer {key}x",
        "Bearer x{key}", "Bearer {key} {key}", "Bearer {revoked_key}", "Bearer cw_unknown", "Bearer " + "k" * 600,
        "Bearer \u00e9\u00e8", "bearer",
    ],
)  # fmt: skip
@pytest.mark.parametrize("sub_account", ["riders_hq", "other_co", "nobody", "%00", "a" * 300, "..%2f..%2fetc"])
async def test_without_a_live_key_the_answer_is_401_for_every_sub_account(
    api: "Installation", authorization: str | None, sub_account: str
) -> None:
    before = len(api.board.accepted)
    headers: dict[bytes, bytes] = {}
    if authorization is not None:
        headers[b"authorization"] = authorization.format(key=api.key, revoked_key=api.revoked_key).encode("latin-1")
    answer = await api.client.post(f"/api/v1/subaccounts/{sub_account}/callflows", json=FLOW, headers=headers)
    if sub_account.startswith(".."):
        assert answer.status_code == 404  # the decoded slashes make it another path
        return
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert is_refusal(answer.json(), 401, "Authentication header not found or token invalid")
    assert len(api.board.accepted) == before


@pytest.mark.parametrize("sub_account", ["other_co", "nobody", "RIDERS_HQ", "riders_hq "])
async def test_unknown_and_foreign_sub_accounts_answer_alike(api: "Installation", sub_account: str) -> None:
    before = len(api.board.accepted)
    answer = await api.client.post(f"/api/v1/subaccounts/{sub_account}/callflows", json=FLOW, headers=api.as_rider())
    assert answer.status_code == 404
    assert is_refusal(answer.json(), 404, f"SubAccount not found by Id : {sub_account}")
    assert len(api.board.accepted) == before


async def test_every_sub_account_uses_its_own_key(api: "Installation") -> None:
    answer = await api.client.post(
        "/api/v1/subaccounts/other_co/callflows", json=FLOW, headers=api.as_rider(api.other_key)
    )
    assert answer.status_code == 200
    assert api.board.accepted[-1][1] == "other_co"


async def test_a_read_only_key_makes_no_calls(api: "Installation") -> None:
    before = len(api.board.accepted)
    answer = await api.client.post(PATH, json=FLOW, headers=api.as_rider(api.read_only_key))
    assert answer.status_code == 403
    assert is_refusal(answer.json(), 403, "Resource not accessible")
    assert len(api.board.accepted) == before


async def test_two_authorization_headers_are_no_key(api: "Installation") -> None:
    answer = await api.client.post(PATH, json=FLOW, headers=[("authorization", f"Bearer {api.key}")] * 2)
    assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_in_any_case(api: "Installation", scheme: str) -> None:
    answer = await api.client.post(PATH, json=FLOW, headers={"authorization": f"{scheme} {api.key}"})
    assert answer.status_code == 200


# --- bad bodies ------------------------------------------------------------------------------------------------------


def changed(**params: Any) -> bytes:
    flow = json.loads(json.dumps(FLOW))
    flow["callflow"][0]["params"].update(params)
    return json.dumps(flow).encode()


BAD_BODIES: list[Any] = [
    pytest.param(b"", 400, -1001, id="nothing"),
    pytest.param(b"{", 400, -1001, id="half an object"),
    pytest.param(b"not json", 400, -1001, id="not json"),
    pytest.param(b"\xff\xfe\x00", 400, -1001, id="not utf-8"),
    pytest.param(json.dumps(FLOW).encode("utf-16"), 400, -1001, id="utf-16"),
    pytest.param(b'{"callflow": NaN}', 400, -1001, id="NaN"),
    pytest.param(b"[" * 100_000, 400, -1001, id="deep array"),
    pytest.param(b'{"a":' * 40_000 + b"1" + b"}" * 40_000, 400, -1001, id="deep object"),
    pytest.param(b'{"callflow":[' + b"9" * 200_000 + b"]}", 400, -1001, id="huge number"),
    pytest.param(b'"' + b"\\" * 200_000 + b'"', 400, -1009, id="backslashes"),
    pytest.param(b"null", 400, -1009, id="null"),
    pytest.param(b"[]", 400, -1009, id="array"),
    pytest.param(b"5", 400, -1009, id="number"),
    pytest.param(b"{}", 400, -1009, id="no callflow"),
    pytest.param(b'{"callflow": {}}', 400, -1009, id="callflow an object"),
    pytest.param(b'{"callflow": ["makeCall"]}', 400, -1009, id="action a string"),
    pytest.param(b'{"callflow": [{"action": "dance"}]}', 400, -1007, id="unknown action"),
    pytest.param(b'{"callflow": [{"action": "hangup"}]}', 422, None, id="hangup first"),
    pytest.param(changed(source=6512341234), 400, -1009, id="number as integer"),
    pytest.param(changed(destination="12"), 422, -1017, id="bad destination"),
    pytest.param(b" " * (300 * 1024), 413, -1001, id="300 KiB"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES)
async def test_a_bad_body_is_refused_and_nothing_is_accepted(
    api: "Installation", body: bytes, status: int, code: int | None
) -> None:
    before = len(api.board.accepted)
    answer = await api.client.post(PATH, content=body, headers=api.as_rider())
    assert answer.status_code == status, answer.text
    refusal = answer.json()
    assert is_refusal(refusal, code or refusal["statusCode"], refusal["statusMessage"])
    assert refusal["statusCode"] < 0
    assert len(api.board.accepted) == before


async def test_the_largest_allowed_body_is_read_to_its_end(api: "Installation") -> None:
    body = json.dumps(FLOW).encode()
    padded = body + b" " * (256 * 1024 - len(body))
    assert (await api.client.post(PATH, content=padded, headers=api.as_rider())).status_code == 200
    assert (await api.client.post(PATH, content=padded + b" ", headers=api.as_rider())).status_code == 413


async def test_a_coded_body_is_refused(api: "Installation") -> None:
    body = gzip.compress(json.dumps(FLOW).encode())
    answer = await api.client.post(PATH, content=body, headers=api.as_rider() | {"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert is_refusal(answer.json(), 415, "Request body must not be encoded")


async def test_the_policy_of_the_sub_account_decides(api: "Installation") -> None:
    api.policies["other_co"] = RequestPolicy(caller_ids=frozenset({"+6588000000"}))
    answer = await api.client.post(
        "/api/v1/subaccounts/other_co/callflows", json=FLOW, headers=api.as_rider(api.other_key)
    )
    del api.policies["other_co"]
    assert answer.status_code == 422
    assert is_refusal(answer.json(), -1014, "Source or caller ID is not allowed")


async def test_damaged_bodies_are_answered_by_the_contract_and_accepted_only_with_200(api: "Installation") -> None:
    chance = random.Random(20_240_703)
    good = json.dumps(FLOW).encode()
    spare = [b'"', b"{", b"}", b"[", b"]", b"null", b"-1e999", b"\\u0000", b"\\ud800", b"\xff", b",", b":", b"1" * 50]
    created = 0
    before = len(api.board.accepted)
    for _ in range(400):
        body = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            body[at : at + chance.randint(0, 12)] = chance.choice(spare)
        answer = await api.client.post(PATH, content=bytes(body), headers=api.as_rider())
        assert answer.status_code in {200, 400, 422}, (body, answer.text)
        created += answer.status_code == 200
        assert (answer.json()["sessionStatus"] == "CREATED") == (answer.status_code == 200)
    assert len(api.board.accepted) == before + created


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_405(api: "Installation", method: str) -> None:
    answer = await api.client.request(method, PATH, headers=api.as_rider())
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert answer.json() == {"statusCode": 405, "statusMessage": "Method not allowed"}


@pytest.mark.parametrize(
    "path",
    ["/", PATH + "/", "/api/v2/subaccounts/riders_hq/callflows", "/api/v1/subaccounts//callflows", "/docs", "/%00"],
)
async def test_other_paths_are_404(api: "Installation", path: str) -> None:
    answer = await api.client.post(path, json=FLOW, headers=api.as_rider())
    assert answer.status_code == 404
    assert answer.json() == {"statusCode": 404, "statusMessage": "Resource not found"}


# --- bad days --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [BusyError("full"), StorageUnavailable("the database is locked")])
async def test_what_passes_is_503_with_retry_after(api: "Installation", failure: Exception) -> None:
    api.board.failure = failure
    answer = await api.client.post(PATH, json=FLOW, headers=api.as_rider())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert is_refusal(answer.json(), 503, "Service unavailable, try again later")


@pytest.mark.parametrize("failure", [TelephonyError("no trunk"), RuntimeError("secret detail"), KeyError("x")])
async def test_a_fault_of_ours_is_500_without_details_and_logged(
    api: "Installation", failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    api.board.failure = failure
    answer = await api.client.post(PATH, json=FLOW, headers=api.as_rider())
    assert answer.status_code == 500
    assert is_refusal(answer.json(), 500, "Internal server error")
    (record,) = [record for record in caplog.records if record.name == "callwright.api.errors"]
    assert answer.json()["callFlowRequestId"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is failure
    assert api.key not in caplog.text
    assert "12345678" not in caplog.text


async def test_while_draining_no_call_is_taken_but_keys_are_checked_first(api: "Installation") -> None:
    before = len(api.board.accepted)
    api.draining = True
    refused = await api.client.post(PATH, json=FLOW, headers=api.as_rider())
    stranger = await api.client.post(PATH, json=FLOW)
    api.draining = False
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert stranger.status_code == 401
    assert len(api.board.accepted) == before


# --- lies on the wire ------------------------------------------------------------------------------------------------


def head(api: "Installation", *lines: str) -> bytes:
    return "\r\n".join(
        [f"POST {PATH} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {api.key}", *lines, "", ""]
    ).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_a_chunked_body_of_endless_length_is_cut_off(api: "Installation") -> None:
    before = len(api.board.accepted)
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    answer = await api.raw(head(api, "Transfer-Encoding: chunked") + chunk * 20)
    assert status_of(answer) == 413
    assert len(api.board.accepted) == before


async def test_a_chunked_body_is_read_like_any_other(api: "Installation") -> None:
    async def pieces() -> Any:
        for letter in json.dumps(FLOW):
            yield letter.encode()

    answer = await api.client.post(PATH, content=pieces(), headers=api.as_rider())
    assert answer.status_code == 200


async def test_a_body_shorter_than_its_content_length_is_408(api: "Installation") -> None:
    before = len(api.board.accepted)
    answer = await api.raw(head(api, "Content-Length: 1000") + json.dumps(FLOW).encode()[:50], hasty=True)
    assert status_of(answer) == 408
    assert b"did not arrive within" in answer
    assert len(api.board.accepted) == before


async def test_a_body_longer_than_its_content_length_is_cut_there(api: "Installation") -> None:
    before = len(api.board.accepted)
    answer = await api.raw(head(api, "Content-Length: 10") + json.dumps(FLOW).encode())
    assert status_of(answer) == 400
    assert len(api.board.accepted) == before


async def test_a_client_that_leaves_in_the_middle_is_forgotten(
    api: "Installation", caplog: pytest.LogCaptureFixture
) -> None:
    before = len(api.board.accepted)
    await api.raw(head(api, "Content-Length: 1000") + b"{", then_close=True)
    assert len(api.board.accepted) == before
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: -5"], ["Content-Length: x"], ["Content-Length: 5", "Content-Length: 6"],
        ["Transfer-Encoding: gzip"], ["Bad Header"], ["X: " + "y" * 70_000], ["Content-Length: 99999999999999999999"],
    ],
)  # fmt: skip
async def test_malformed_heads_are_4xx(api: "Installation", lines: list[str]) -> None:
    answer = await api.raw(head(api, *lines))
    assert 400 <= status_of(answer) < 500 or status_of(answer) == 501
    assert b"Traceback" not in answer


async def test_a_large_declared_length_is_refused_before_the_body_comes(api: "Installation") -> None:
    answer = await api.raw(head(api, "Content-Length: 300000", "Expect: 100-continue"))
    assert status_of(answer) == 413


async def test_ids_are_uuids(api: "Installation") -> None:
    body = (await api.client.post(PATH, json=FLOW, headers=api.as_rider())).json()
    assert str(uuid.UUID(body["sessionId"])) == body["sessionId"]
