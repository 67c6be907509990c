"""The platform's general errors (§11.3)."""

import pytest

from callwright.contract.platform_errors import PlatformCode, invalid_parameter, platform_refusal, platform_refused
from callwright.errors import ContractError

DOCUMENTED = [
    (1000, 400, "Invalid parameter"),
    (1001, 404, "Illegal SubAccountId"),
    (1002, 400, "Invalid MSISDN"),
    (1004, 400, "Invalid Text"),
    (1005, 400, "Invalid Source"),
    (1009, 400, "Invalid Country Code"),
    (1200, 401, "Unauthorized Access"),
    (1201, 403, "Access forbidden"),
    (1300, 404, "Not found"),
    (1400, 403, "Resending interval violation"),
    (2000, 500, "Internal Error"),
    (4018, 404, "Invalid jobId"),
]


@pytest.mark.parametrize(("code", "http_status", "words"), DOCUMENTED)
def test_each_code_has_its_words(code: int, http_status: int, words: str) -> None:
    error = platform_refusal(PlatformCode(code))
    assert (error.status_code, error.http_status, error.message) == (code, http_status, words)


def test_there_are_no_others() -> None:
    assert [code for code, _, _ in DOCUMENTED] == list(PlatformCode)


def test_a_detail_follows_the_words() -> None:
    assert invalid_parameter("$.limit: is odd").message == "Invalid parameter. $.limit: is odd"


def test_the_body_has_the_documented_fields() -> None:
    assert platform_refused(platform_refusal(PlatformCode.INVALID_SOURCE), "e-1", 1_719_986_400.25) == {
        "code": 1005,
        "message": "Invalid Source",
        "errorId": "e-1",
        "timestamp": "2024-07-03T06:00:00.250Z",
    }


@pytest.mark.parametrize(("status", "code"), [(401, 1200), (403, 1201), (404, 1300), (500, 2000), (503, 503)])
def test_errors_of_the_edge_get_a_code(status: int, code: int) -> None:
    assert platform_refused(ContractError(status, status, "words"), "e-1", 0.0)["code"] == code
