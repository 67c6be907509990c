"""Log export requests and answers about their jobs (§11.1)."""

import json
from datetime import UTC, datetime

import pytest

from callwright.contract.log_export import (
    ExportRequest,
    ExportStatus,
    download_path,
    export_started,
    export_state,
    job_not_found,
    links_expire_at,
    parse_export_request,
)
from callwright.contract.platform_errors import platform_refused
from callwright.errors import ContractError

FORMS = "is neither yyyy-MM-dd nor yyyy-MM-ddTHH:mm:ss with Z or an offset"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = at("2024-07-10T13:20:11")
TODAY = at("2024-07-10T00:00:00")
WEEK_AGO = at("2024-07-03T00:00:00")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, ExportRequest(WEEK_AGO, TODAY, None), id="defaults"),
        pytest.param(
            {"from": None, "to": None, "limit": None}, ExportRequest(WEEK_AGO, TODAY, None), id="null is not given"
        ),
        pytest.param({"limit": 0}, ExportRequest(WEEK_AGO, TODAY, None), id="limit 0 is unlimited"),
        pytest.param({"limit": 5000}, ExportRequest(WEEK_AGO, TODAY, 5000), id="limit"),
        pytest.param(
            {"from": "2024-07-01", "to": "2024-07-02"},
            ExportRequest(at("2024-07-01T00:00:00"), at("2024-07-02T00:00:00"), None),
            id="dates",
        ),
        pytest.param(
            {"from": "2024-07-01T13:00:00Z", "to": "2024-07-01T14:00:00Z"},
            ExportRequest(at("2024-07-01T13:00:00"), at("2024-07-01T14:00:00"), None),
            id="UTC",
        ),
        pytest.param(
            {"from": "2024-07-01T13:00:00+07:00", "to": "2024-07-01T14:00:00-01:30"},
            ExportRequest(at("2024-07-01T06:00:00"), at("2024-07-01T15:30:00"), None),
            id="local",
        ),
        pytest.param(
            {"from": "2024-07-01T13:00:00", "to": "2024-07-02"},
            ExportRequest(at("2024-07-01T13:00:00"), at("2024-07-02T00:00:00"), None),
            id="without a zone is UTC",
        ),
        pytest.param({"to": "2024-07-11"}, ExportRequest(WEEK_AGO, at("2024-07-11T00:00:00"), None), id="only to"),
        pytest.param({"from": "2024-07-09"}, ExportRequest(at("2024-07-09T00:00:00"), TODAY, None), id="only from"),
        pytest.param({"format": "xml"}, ExportRequest(WEEK_AGO, TODAY, None), id="unknown field"),
    ],
)
def test_a_request_is_read(fields: dict[str, object], expected: ExportRequest) -> None:
    assert parse_export_request(json.dumps(fields).encode(), NOW) == expected


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_the_body_may_be_missing(body: bytes) -> None:
    assert parse_export_request(body, NOW) == ExportRequest(WEEK_AGO, TODAY, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Invalid JSON request body"),
        (b"[]", "Invalid parameter. $: array found, object expected"),
        (b'{"from":7}', "Invalid parameter. $.from: integer found, string expected"),
        (b'{"from":"yesterday"}', f"Invalid parameter. $.from: {FORMS}"),
        (b'{"to":"2024-02-30"}', f"Invalid parameter. $.to: {FORMS}"),
        (b'{"to":"2024-07-01 10:00:00"}', f"Invalid parameter. $.to: {FORMS}"),
        (b'{"to":"2024-07-01T25:00:00"}', f"Invalid parameter. $.to: {FORMS}"),
        (b'{"from":"2024-07-02","to":"2024-07-02"}', "Invalid parameter. $.from: must be before to"),
        (b'{"from":"2024-07-03","to":"2024-07-02"}', "Invalid parameter. $.from: must be before to"),
        (b'{"from":"2024-07-11"}', "Invalid parameter. $.from: must be before to"),
        (b'{"limit":-1}', "Invalid parameter. $.limit: must have a minimum value of 0"),
        (b'{"limit":"10"}', "Invalid parameter. $.limit: string found, integer expected"),
    ],
)
def test_a_wrong_request_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_export_request(body, NOW)
    assert (caught.value.status_code, caught.value.http_status, caught.value.message) == (1000, 400, message)


def test_a_huge_request_is_refused_by_its_size() -> None:
    with pytest.raises(ContractError) as caught:
        parse_export_request(b"[" * 300_000, NOW)
    assert (caught.value.status_code, caught.value.http_status) == (1000, 413)


def test_a_started_job_has_an_id() -> None:
    assert export_started("F1T6z9C5") == {"jobId": "F1T6z9C5"}


@pytest.mark.parametrize("status", [status for status in ExportStatus if status is not ExportStatus.SUCCEEDED])
def test_a_job_without_files_only_says_how_it_is(status: ExportStatus) -> None:
    assert export_state(status, ["https://example.com/x"], NOW) == {"status": status.value}


def test_the_statuses_are_the_documented_ones() -> None:
    documented = "queued running succeeded failed cancelled empty error"
    assert [status.value for status in ExportStatus] == documented.split()


def test_a_job_that_succeeded_has_links() -> None:
    url = "https://example.com" + download_path("riders_hq", "long-unique-token")
    assert export_state(ExportStatus.SUCCEEDED, [url], NOW) == {
        "status": "succeeded",
        "data": ["https://example.com/api/v1/subaccounts/riders_hq/messages/download/long-unique-token"],
        "expires": "2024-07-10T13:20:11.000Z",
    }


@pytest.mark.parametrize(
    ("succeeded", "expires"),
    [
        ("2024-07-10T13:20:11", "2024-08-10T13:20:11"),
        ("2024-12-31T23:59:59", "2025-01-31T23:59:59"),
        ("2024-01-31T00:00:00", "2024-02-29T00:00:00"),
        ("2025-01-31T00:00:00", "2025-02-28T00:00:00"),
    ],
)
def test_links_live_for_a_month(succeeded: str, expires: str) -> None:
    assert links_expire_at(at(succeeded)) == at(expires)


def test_an_unknown_job_is_4018() -> None:
    error = job_not_found()
    assert error.http_status == 404
    assert platform_refused(error, "aa400d4b-fffe-ea11-8277-00155d4ff7ed", NOW) == {
        "code": 4018,
        "message": "Invalid jobId",
        "errorId": "aa400d4b-fffe-ea11-8277-00155d4ff7ed",
        "timestamp": "2024-07-10T13:20:11.000Z",
    }
