"""Answers of the numbers API (§9.2) and the VNU webhook (§8.2)."""

from dataclasses import replace
from typing import Any

import pytest

from callwright.contract.virtual_numbers import (
    NumberHealth,
    NumberStatus,
    VirtualNumber,
    number_found,
    number_list,
    number_not_found,
    numbers_updated,
    read_number,
)
from callwright.errors import ContractError

NOW = 1_719_986_400.0
NUMBER = VirtualNumber(
    "+6568332048", "VN-1", created_at=NOW - 100, updated_at=NOW - 50.5, rental_price=3.5, incoming_rate=0.01
)
CHECKED = replace(
    NUMBER, msisdn="+12314377870", reference_id="VN-2", health=NumberHealth(healthy=False, checked_at=NOW)
)


def test_the_list_is_written_field_by_field() -> None:
    assert number_list("riders_hq", [NUMBER], NOW) == {
        "totalNumbers": 1,
        "lastUpdatedAt": "2024-07-03T05:59:09.500Z",
        "numbers": [
            {
                "msisdn": "+6568332048",
                "dateCreated": "2024-07-03T05:58:20.000Z",
                "dateUpdated": "2024-07-03T05:59:09.500Z",
                "countryCode": "SG",
                "operationalStatus": "Active",
                "referenceId": "VN-1",
                "rentalPrice": 3.5,
                "incomingRate": 0.01,
                "billingUnit": 60,
                "uri": "/api/v1/subaccounts/riders_hq/numbers/6568332048",
                "numberHealthCheckEnabled": False,
                "billingCurrency": "USD",
                "numberType": "GEOGRAPHIC",
            }
        ],
        "statusCode": 0,
        "statusMessage": "ok",
    }


def test_a_checked_number_says_how_it_is() -> None:
    listed: Any = number_list("riders_hq", [NUMBER, replace(CHECKED, updated_at=NOW)], NOW)
    assert listed["totalNumbers"] == 2
    assert listed["lastUpdatedAt"] == "2024-07-03T06:00:00.000Z"
    assert listed["numbers"][1]["numberHealthCheckEnabled"] is True
    assert listed["numbers"][1]["numberHealth"] == {
        "isHealthy": False,
        "status": "Unhealthy",
        "lastCheckedTime": "2024-07-03T06:00:00.000Z",
    }


def test_an_empty_list_is_a_list() -> None:
    listed = number_list("riders_hq", [], NOW)
    assert (listed["totalNumbers"], listed["numbers"]) == (0, [])
    assert listed["lastUpdatedAt"] == "2024-07-03T06:00:00.000Z"


@pytest.mark.parametrize(
    ("status", "listed", "notified"),
    [
        (NumberStatus.ACTIVE, "Active", "Active"),
        (NumberStatus.UNHEALTHY, "Active", "Unhealthy"),
        (NumberStatus.EXPIRING, "Expiring", "Expiring"),
        (NumberStatus.INACTIVE, "Inactive", "Inactive"),
    ],
)
def test_a_status_has_its_word_in_either_place(status: NumberStatus, listed: str, notified: str) -> None:
    number = replace(NUMBER, status=status)
    body: Any = number_list("riders_hq", [number], NOW)
    event: Any = numbers_updated("riders_hq", [number])
    assert body["numbers"][0]["operationalStatus"] == listed
    assert event["payload"]["virtualNumbers"][0]["operationalStatus"] == notified


def test_one_number_is_found_or_not() -> None:
    assert number_found(NUMBER, NOW) == {
        "statusCode": 0,
        "statusMessage": "ok",
        "timestamp": "2024-07-03T06:00:00.000Z",
        "payload": {"referenceId": "VN-1", "msisdn": "+6568332048", "countryCode": "SG"},
    }
    assert number_not_found(NOW) == {
        "statusCode": 404,
        "statusMessage": "Resource not found",
        "timestamp": "2024-07-03T06:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("1234567", "+1234567", id="§13 row 24 seven digits"),
        pytest.param("123456789012345", "+123456789012345", id="§13 row 24 fifteen digits"),
        pytest.param("+6568332048", "+6568332048", id="§13 row 24 plus"),
        pytest.param("6568332048", "+6568332048", id="§9.2 ten digits"),
    ],
)
def test_a_path_names_a_number(text: str, number: str) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "123456", "1234567890123456", "++6568332048", "65 68332048", "abcdefgh", "١٢٣٤٥٦٧"]
)
def test_another_path_names_none(text: str) -> None:
    with pytest.raises(ContractError) as caught:
        read_number(text)
    assert (caught.value.http_status, caught.value.message) == (404, "Resource not found")


def test_a_snapshot_tells_of_every_number() -> None:  # §8.2 VNU
    assert numbers_updated("riders_hq", [CHECKED]) == {
        "payload": {
            "subAccountId": "riders_hq",
            "totalNumbers": 1,
            "updateEventType": "SNAPSHOT",
            "virtualNumbers": [
                {
                    "msisdn": "+12314377870",
                    "updatedTimestamp": "2024-07-03T05:59:09.500Z",
                    "countryCode": "US",
                    "operationalStatus": "Active",
                    "referenceId": "VN-2",
                    "rentalPrice": 3.5,
                    "incomingRate": 0.01,
                    "billingUnit": 60,
                    "billingCurrency": "USD",
                    "numberHealthCheckEnabled": True,
                    "updateStatus": "NO_CHANGE",
                }
            ],
        },
        "namespace": "VOICE",
        "eventType": "VIRTUAL_NUMBER_UPDATE",
        "description": "Status of account virtual number(s) updated",
    }


def test_updates_mark_what_changed() -> None:
    payload: Any = numbers_updated("riders_hq", [NUMBER, CHECKED], frozenset({"+6568332048"}))["payload"]
    assert (payload["updateEventType"], payload["totalNumbers"]) == ("UPDATES", 2)
    assert [each["updateStatus"] for each in payload["virtualNumbers"]] == ["UPDATED", "NO_CHANGE"]
