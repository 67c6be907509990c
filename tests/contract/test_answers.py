"""Bodies of HTTP answers (§1.5, §8.1, §10.1) and the tables of words (§3, §4)."""

import pytest

from callwright.contract import answers
from callwright.contract.codes import ERROR_MESSAGES, STATUS_MESSAGES, StatusCode, refusal
from callwright.contract.json_text import serialize
from callwright.contract.webhook_config import WebhookConfig
from callwright.errors import ContractError, ErrorCode

SESSION = "03cc8cac-376b-11ef-a28b-0582ff0039d5"
FLOW = "0a1b2c3d-376b-11ef-a28b-0582ff0039d5"


def test_an_accepted_request_is_created() -> None:
    assert serialize(answers.created(SESSION, FLOW)) == (
        b'{"sessionId":"03cc8cac-376b-11ef-a28b-0582ff0039d5","sessionStatus":"CREATED",'
        b'"callFlowRequestId":"0a1b2c3d-376b-11ef-a28b-0582ff0039d5","statusCode":1,"statusMessage":"Created"}'
    )


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (1719986372.226, "2024-07-03T05:59:32.226Z"),
        (1719986372.0, "2024-07-03T05:59:32.000Z"),
        (253402300799.9999, "9999-12-31T23:59:59.000Z"),
        (253402400000.0, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_valid_until_is_echoed(at: float, text: str) -> None:
    assert answers.created(SESSION, FLOW, at)["validUntil"] == text


def test_a_refused_request_is_not_created() -> None:
    body = answers.not_created(refusal(StatusCode.FIRST_ACTION_NOT_MAKE_CALL), FLOW)
    assert body == {
        "sessionStatus": "NOT_CREATED",
        "callFlowRequestId": FLOW,
        "statusCode": -1013,
        "statusMessage": "Invalid Callflow : First action should be a MakeCall action",
    }


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (answers.unauthorized(FLOW), 401, "Authentication header not found or token invalid"),
        (answers.sub_account_not_found("8x8_Testing", FLOW), 404, "SubAccount not found by Id : 8x8_Testing"),
        (answers.server_error(FLOW), 500, "Internal server error"),
    ],
    ids=["401", "404", "500"],
)
def test_other_failures_have_the_same_shape(body: dict[str, object], code: int, message: str) -> None:
    assert body == {
        "sessionStatus": "NOT_CREATED",
        "callFlowRequestId": FLOW,
        "statusCode": code,
        "statusMessage": message,
    }


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "API key not found or invalid"),
        (403, "Resource not accessible"),
        (404, "Resource not found"),
        (500, "Server error"),
    ],
)
def test_the_other_paths_refuse_with_code_and_words(status: int, message: str) -> None:  # §13 row 31
    assert answers.resource_refused(status) == {"statusCode": status, "statusMessage": message}


HOOK = WebhookConfig("VSS", "https://example.com/vss", "mdp1234", enabled=True)
HOOK_BODY = {"type": "VSS", "url": "https://example.com/vss", "enabled": True, "httpAuthHeaderAvailable": True}


def test_webhooks_are_listed_without_their_secret() -> None:
    silent = WebhookConfig("VCS", "https://example.com/vcs", enabled=False)
    body = answers.webhook_list("riders_hq", [HOOK, silent])
    assert body == {
        "subAccountId": "riders_hq",
        "count": 2,
        "webhooks": [
            HOOK_BODY,
            {
                "type": "VCS",
                "url": "https://example.com/vcs",
                "enabled": False,
                "httpAuthHeaderAvailable": False,
            },
        ],
        "statusCode": 0,
        "statusMessage": "ok",
    }
    assert b"mdp1234" not in serialize(body)
    assert "mdp1234" not in repr(HOOK)


def test_a_deleted_webhook_is_shown_once_more() -> None:
    assert answers.webhook_deleted("riders_hq", HOOK) == (
        {"subAccountId": "riders_hq"} | HOOK_BODY | {"statusCode": 0, "statusMessage": "deleted"}
    )


def test_a_refused_webhook_has_a_body_of_its_own() -> None:
    error = ContractError(1001, 422, "Invalid JSON request body")
    assert answers.webhook_refused(error, SESSION, 1719986372.226) == {
        "errorId": SESSION,
        "statusCode": "1001",
        "statusMessage": "Invalid JSON request body",
        "timestamp": "2024-07-03T05:59:32.226Z",
    }


def test_voices_are_listed() -> None:
    body = answers.speech_profile_list()
    assert list(body) == ["speechProfiles", "statusCode", "statusMessage"]
    profiles = body["speechProfiles"]
    assert isinstance(profiles, list)
    assert {
        "speechProfileCode": "da-DK-Naja",
        "localeCode": "da-DK",
        "localeDescription": "Danish",
        "gender": "F",
    } in profiles


@pytest.mark.parametrize("code", StatusCode)
def test_every_status_code_has_its_words_and_http_status(code: StatusCode) -> None:  # §13 row 10
    error = refusal(code, "$.x")
    assert "{" not in error.message
    expected = {-1001: 400, -1007: 400, -1009: 400, -9999: 500}.get(int(code), 422)
    assert error.http_status == expected
    assert set(STATUS_MESSAGES) == set(StatusCode)


def test_every_error_code_has_its_words() -> None:  # §4
    assert {int(code): words for code, words in ERROR_MESSAGES.items()} == {
        -2001: "An internal error has occurred",
        -2002: "An internal connectivity error has occurred",
        -2003: "The call flow provided is invalid",
        -2004: "No coverage available for requested area",
        -2005: "Unable to synthesize text to speech",
        -2006: "Unable to download file for playback",
        -2007: "The validity period of the call flow request has expired",
        -2008: "The provided source MSISDN or caller ID is not whitelisted",
        -2009: "The scenario parameters provided is invalid",
        -2010: "The trunk capacity has been exceeded",
        -9999: "An unknown error has occurred",
    }
    assert set(ERROR_MESSAGES) == set(ErrorCode)
