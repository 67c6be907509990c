"""VCS and VCA bodies, field by field (§6, §7.1, §13 rows 6 and 27)."""

from dataclasses import replace
from typing import Any

import pytest

from callwright.contract.call_events import (
    VCA_STATUSES,
    VCS_STATUSES,
    CallEvent,
    CallEventStatus,
    DtmfVersion,
    call_action,
    call_status,
)
from callwright.contract.json_text import parse_json, serialize

EVENT = CallEvent(
    event_id="77e6a667-133a-11ef-9dd4-e911cc6fc82f",
    call_id="627e25f1-133a-11ef-b08c-e33c09483244",
    session_id="a4fad4b3-b388-12ee-b217-2fb8260fcf59",
    sub_account_id="riders_hq",
    status=CallEventStatus.CALL_DISCONNECTED,
    inbound=False,
    source="+12314377870",
    destination="+6568332048",
    at=1767694639.3754,
    source_ref_id="VN-1",
    destination_ref_id="VN-2",
    duration_seconds=13,
    sip_code=200,
)
COMPLETED = replace(EVENT, status=CallEventStatus.ACTION_COMPLETED)
RECEIVED = replace(EVENT, status=CallEventStatus.CALL_RECEIVED, inbound=True, duration_seconds=0)


def payload_of(event: CallEvent, **options: Any) -> Any:
    return call_action(event, **options)["payload"]


def test_a_status_is_written_field_by_field() -> None:  # §6
    assert call_status(EVENT) == {
        "payload": {
            "eventId": "77e6a667-133a-11ef-9dd4-e911cc6fc82f",
            "callId": "627e25f1-133a-11ef-b08c-e33c09483244",
            "sessionId": "a4fad4b3-b388-12ee-b217-2fb8260fcf59",
            "subAccountId": "riders_hq",
            "callStatus": "CALL_DISCONNECTED",
            "callDirection": "OUTBOUND",
            "callType": "PSTN",
            "source": "+12314377870",
            "destination": "+6568332048",
            "sourceFormat": "MSISDN",
            "destinationFormat": "MSISDN",
            "sourceCountryCode": "US",
            "destinationCountryCode": "SG",
            "sourceRefId": "VN-1",
            "destinationRefId": None,
            "callDuration": 13,
            "sipCode": 200,
            "timestamp": "2026-01-06T10:17:19.375Z",
        },
        "namespace": "VOICE",
        "eventType": "CALL_STATUS",
        "description": "Status update of a call",
    }


@pytest.mark.parametrize("status", CallEventStatus)
def test_every_status_belongs_where_the_tables_put_it(status: CallEventStatus) -> None:
    event = replace(EVENT, status=status)
    for allowed, body in ((VCS_STATUSES, call_status), (VCA_STATUSES, call_action)):
        if status in allowed:
            written: Any = body(event)
            assert written["payload"]["callStatus"] == status.value
            assert type(written["payload"]["callStatus"]) is str
        else:
            with pytest.raises(ValueError, match=status.value):
                body(event)


def test_the_tables_of_statuses() -> None:
    vcs = "CALL_INITIATED CALL_RECEIVED CALL_CONNECTED CALL_DISCONNECTED CALL_UPDATED DTMF_RECEIVED"
    assert {status.value for status in VCS_STATUSES} == set(vcs.split())
    assert {status.value for status in VCA_STATUSES} == {"CALL_RECEIVED", "ACTION_COMPLETED"}


def test_an_action_request_has_its_own_root() -> None:  # §7.1
    body = call_action(RECEIVED)
    assert {name: value for name, value in body.items() if name != "payload"} == {
        "namespace": "VOICE",
        "eventType": "CALL_ACTION",
        "description": "Action request of a call",
    }
    assert parse_json(serialize(body)) == body


def test_an_inbound_call_is_a_status_and_asks_what_to_do() -> None:  # §7.3, §7.5
    payload = payload_of(RECEIVED)
    assert payload["callDirection"] == "INBOUND"
    assert (payload["callDuration"], payload["sipCode"]) == (0, 200)
    assert (payload["sourceRefId"], payload["destinationRefId"]) == (None, "VN-2")  # §13 row 27
    assert call_status(RECEIVED)["payload"] == payload


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_inbound_call_never_carries_digits(version: DtmfVersion) -> None:  # §7.1
    payload = payload_of(RECEIVED, dtmf="1", dtmf_version=version, extra_dtmf=True)
    assert not {"eventData", "dtmf"} & set(payload)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"dtmf": "12"}, {"eventData": {"dtmf": "12"}}, id="§13 row 6 default is 3"),
        pytest.param({"dtmf": "12", "dtmf_version": 3}, {"eventData": {"dtmf": "12"}}, id="version 3"),
        pytest.param({"dtmf": "12", "dtmf_version": 2}, {"eventData": "12"}, id="version 2"),
        pytest.param({"dtmf": "12", "dtmf_version": 1}, {"dtmf": "12"}, id="version 1"),
        pytest.param({"dtmf": None}, {"eventData": {"dtmf": None}}, id="§7.1 nothing captured"),
        pytest.param({"dtmf_version": 2}, {"eventData": None}, id="version 2, nothing captured"),
        pytest.param({"dtmf_version": 1}, {"dtmf": None}, id="version 1, nothing captured"),
        pytest.param({"dtmf": "#", "extra_dtmf": True}, {"eventData": {"dtmf": "#"}, "dtmf": "#"}, id="extra, 3"),
        pytest.param(
            {"dtmf": "1", "dtmf_version": 2, "extra_dtmf": True}, {"eventData": "1", "dtmf": "1"}, id="extra, 2"
        ),
        pytest.param({"dtmf": "1", "dtmf_version": 1, "extra_dtmf": True}, {"dtmf": "1"}, id="extra, 1"),
    ],
)
def test_digits_stand_where_the_version_wants_them(options: dict[str, Any], expected: dict[str, object]) -> None:
    payload = payload_of(COMPLETED, **options)
    assert {name: payload[name] for name in ("eventData", "dtmf") if name in payload} == expected


def test_the_clients_id_is_carried() -> None:  # §13 row 21
    assert payload_of(COMPLETED, client_action_id="ivr1_level1")["clientActionId"] == "ivr1_level1"
    assert payload_of(RECEIVED, client_action_id="first")["clientActionId"] == "first"
    assert "clientActionId" not in payload_of(COMPLETED)


def test_a_caller_without_a_number_has_no_country() -> None:
    assert payload_of(replace(RECEIVED, source="anonymous"))["sourceCountryCode"] is None


def test_numbers_without_a_reference_have_none() -> None:
    payload = payload_of(replace(COMPLETED, source_ref_id=None, destination_ref_id=None))
    assert (payload["sourceRefId"], payload["destinationRefId"]) == (None, None)
