"""The body of `POST …/webhooks` (§8.1)."""

import json

import pytest

from callwright.contract.webhook_config import WEBHOOK_TYPES, WebhookConfig, parse_webhook
from callwright.errors import ContractError

HEADER = "may hold only printable ASCII characters, no space at its ends"
URL = "https://example.com/hooks/vss?x=1"


def parsed(**fields: object) -> WebhookConfig:
    return parse_webhook(json.dumps({"type": "VSS", "url": URL} | fields).encode())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, WebhookConfig("VSS", URL, None, enabled=True), id="§8.1 defaults"),
        pytest.param({"enabled": False}, WebhookConfig("VSS", URL, None, enabled=False), id="§8.1 enabled"),
        pytest.param({"enabled": None}, WebhookConfig("VSS", URL, None, enabled=True), id="§8.1 enabled null"),
        pytest.param({"active": True}, WebhookConfig("VSS", URL, None, enabled=True), id="§13 row 7 active"),
        pytest.param({"active": False}, WebhookConfig("VSS", URL, None, enabled=False), id="§13 row 7 not active"),
        pytest.param(
            {"enabled": True, "active": False}, WebhookConfig("VSS", URL, None, enabled=True), id="§13 row 7 both"
        ),
        pytest.param(
            {"httpAuthHeader": "Basic bWRwMTIzNDo="},
            WebhookConfig("VSS", URL, "Basic bWRwMTIzNDo=", enabled=True),
            id="§8.1 httpAuthHeader",
        ),
        pytest.param({"httpAuthHeader": None}, WebhookConfig("VSS", URL, None, enabled=True), id="§8.1 header null"),
        pytest.param({"httpAuthHeader": ""}, WebhookConfig("VSS", URL, None, enabled=True), id="header empty"),
        pytest.param(
            {"payloadVersion": 1},
            WebhookConfig("VSS", URL, None, enabled=True, payload_version=1),
            id="§13 row 6 payload version",
        ),
        pytest.param(
            {"payloadVersion": None},
            WebhookConfig("VSS", URL, None, enabled=True, payload_version=3),
            id="row 6 default",
        ),
        pytest.param({"secret": 1}, WebhookConfig("VSS", URL, None, enabled=True), id="unknown field"),
    ],
)
def test_a_webhook_is_read(fields: dict[str, object], expected: WebhookConfig) -> None:
    assert parsed(**fields) == expected


@pytest.mark.parametrize("kind", WEBHOOK_TYPES)
def test_every_type_can_be_set(kind: str) -> None:  # §13 row 26
    assert parsed(type=kind).type == kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Invalid JSON request body"),
        (b"{", "Invalid JSON request body"),
        (b"[]", "Invalid JSON request body. $: array found, object expected"),
        (b"{}", "Invalid JSON request body. $.type: is missing but it is required"),
        (b'{"type":"VSS"}', "Invalid JSON request body. $.url: is missing but it is required"),
        (
            b'{"type":"vss","url":"https://example.com"}',
            "Invalid JSON request body. $.type: does not have a value in the enumeration [VCS, VCA, VSS, VRU, VNU]",
        ),
        (b'{"type":7,"url":"x"}', "Invalid JSON request body. $.type: integer found, string expected"),
        (
            b'{"type":"VSS","url":"ftp://example.com"}',
            "Invalid JSON request body. $.url: does not match the regex pattern ^https?://\\S+$",
        ),
        (
            b'{"type":"VSS","url":"https://example.com","enabled":"yes"}',
            "Invalid JSON request body. $.enabled: string found, boolean expected",
        ),
        (
            b'{"type":"VSS","url":"https://example.com","active":1}',
            "Invalid JSON request body. $.active: integer found, boolean expected",
        ),
        (
            b'{"type":"VCA","url":"https://example.com","payloadVersion":4}',
            "Invalid JSON request body. $.payloadVersion: must have a maximum value of 3",
        ),
        (
            b'{"type":"VSS","url":"https://example.com","httpAuthHeader":"a\\r\\nX-Evil: b"}',
            f"Invalid JSON request body. $.httpAuthHeader: {HEADER}",
        ),
        (
            b'{"type":"VSS","url":"https://example.com","httpAuthHeader":5}',
            "Invalid JSON request body. $.httpAuthHeader: integer found, string expected",
        ),
    ],
)
def test_a_wrong_webhook_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_webhook(body)
    assert (caught.value.status_code, caught.value.http_status, caught.value.message) == (1001, 422, message)


def test_a_huge_webhook_is_refused_by_its_size() -> None:
    with pytest.raises(ContractError) as caught:
        parse_webhook(b" " * 300_000)
    assert (caught.value.status_code, caught.value.http_status) == (1001, 413)
