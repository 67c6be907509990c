"""The VSS body, row by row (§5)."""

from dataclasses import replace
from typing import Any

import pytest

from callwright.callflow.outcome import CallQuality, CallStatus
from callwright.callflow.summary import ErrorDetails, LegSummary, SessionSummary
from callwright.contract.answers import session_state
from callwright.contract.json_text import parse_json, serialize
from callwright.contract.webhooks import session_summary
from callwright.errors import ErrorCode

LEG = LegSummary(
    call_id="1f048a83-ea6d-11ee-911b-e9023a97c284",
    inbound=False,
    source="+12314377870",
    destination="+6568332048",
    initiated_at=1711346488.9,
    connected_at=1711346497.2,
    disconnected_at=1711346510.4,
    status=CallStatus.COMPLETED,
    sip_code=200,
    codec="PCMA",
    quality=CallQuality(mos=4.5, packet_loss_rate=0.0, jitter_ms=20),
)
SUMMARY = SessionSummary(
    session_id="1f048a84-ea6d-11ee-911b-078f7290bf52",
    sub_account_id="8x8_test",
    status=CallStatus.COMPLETED,
    started_at=1711346490.0,
    ended_at=1711346510.999,
    last_action="HANGUP",
    legs=(LEG,),
)
UNANSWERED = replace(
    LEG, connected_at=None, status=CallStatus.BUSY, quality=CallQuality(1.0, 1.0, 0), disconnected_at=1711346495.0
)


def payload_of(summary: SessionSummary, **options: Any) -> Any:
    return session_summary(summary, **options)["payload"]


def test_the_published_example_is_written_field_by_field() -> None:  # §5.5
    assert session_summary(SUMMARY) == {
        "payload": {
            "sessionId": "1f048a84-ea6d-11ee-911b-078f7290bf52",
            "subAccountId": "8x8_test",
            "sessionStatus": "COMPLETED",
            "startTime": "2024-03-25T06:01:30Z",
            "endTime": "2024-03-25T06:01:50Z",
            "lastAction": "HANGUP",
            "callCount": 1,
            "details": {
                "callA": {
                    "callId": "1f048a83-ea6d-11ee-911b-e9023a97c284",
                    "callDirection": "OUTBOUND",
                    "callType": "PSTN",
                    "initiatedTimestamp": "2024-03-25T06:01:28Z",
                    "connectedTimestamp": "2024-03-25T06:01:37Z",
                    "disconnectedTimestamp": "2024-03-25T06:01:50Z",
                    "source": "+12314377870",
                    "destination": "+6568332048",
                    "sourceFormat": "MSISDN",
                    "destinationFormat": "MSISDN",
                    "sourceCountryCode": "US",
                    "destinationCountryCode": "SG",
                    "callStatus": "COMPLETED",
                    "callDuration": 13,
                    "callQuality": {"mos": 4.5, "packetLossRate": 0.0, "jitter": 20},
                }
            },
        },
        "namespace": "VOICE",
        "eventType": "SESSION_SUMMARY",
        "description": "Summary of a completed call session",
        "version": 5,
    }


def test_a_summary_is_json() -> None:
    body = session_summary(SUMMARY)
    assert parse_json(serialize(body)) == body


@pytest.mark.parametrize("status", CallStatus)
def test_every_status_has_its_wire_spelling(status: CallStatus) -> None:  # §5.4, §13 rows 11 and 12
    payload = payload_of(replace(SUMMARY, status=status, legs=(replace(LEG, status=status),)))
    spellings = {"COMPLETED", "NO_ANSWER", "BUSY", "CANCELED", "FAILED", "ERROR"}
    assert payload["sessionStatus"] in spellings
    assert type(payload["sessionStatus"]) is str
    assert payload["details"]["callA"]["callStatus"] == payload["sessionStatus"]


def test_an_unanswered_leg_has_no_connection_and_no_quality() -> None:  # §5.3
    leg = payload_of(replace(SUMMARY, legs=(UNANSWERED,)))["details"]["callA"]
    assert "connectedTimestamp" not in leg
    assert "callQuality" not in leg
    assert leg["callDuration"] == 0


def test_an_answered_leg_without_figures_has_no_quality() -> None:
    assert "callQuality" not in payload_of(replace(SUMMARY, legs=(replace(LEG, quality=None),)))["details"]["callA"]


def test_quality_is_rounded() -> None:
    leg = replace(LEG, quality=CallQuality(4.371234, 0.0123456, 7))
    quality = payload_of(replace(SUMMARY, legs=(leg,)))["details"]["callA"]["callQuality"]
    assert quality == {"mos": 4.37, "packetLossRate": 0.0123, "jitter": 7}


def test_an_error_says_code_and_words() -> None:  # §5.2, §13 row 17
    error = ErrorDetails(ErrorCode.NO_COVERAGE, reason="for people only")
    payload = payload_of(replace(SUMMARY, status=CallStatus.ERROR, error=error))
    assert payload["errorDetails"] == {"errorMsg": "No coverage available for requested area", "errorCode": -2004}
    assert type(payload["errorDetails"]["errorCode"]) is int


def test_an_error_of_an_action_names_it() -> None:  # §5.5 observed
    error = ErrorDetails(ErrorCode.CALLFLOW_INVALID, action="SAY_AND_CAPTURE", call_flow_request_id="f-1")
    assert payload_of(replace(SUMMARY, error=error))["errorDetails"] == {
        "callFlowRequestId": "f-1",
        "action": "SAY_AND_CAPTURE",
        "errorMsg": "The call flow provided is invalid",
        "errorCode": -2003,
    }


def test_optional_fields_are_absent_when_there_is_nothing_to_say() -> None:
    payload = payload_of(SUMMARY)
    assert "clientRequestId" not in payload
    assert "errorDetails" not in payload
    assert "sourceRefId" not in payload["details"]["callA"]


def test_the_clients_request_id_is_echoed() -> None:  # §13 row 22
    assert payload_of(replace(SUMMARY, client_request_id="mine"))["clientRequestId"] == "mine"


def test_two_legs_are_a_and_b() -> None:  # §5.5 bridge busy
    legs = (replace(LEG, inbound=True), UNANSWERED)
    payload = payload_of(replace(SUMMARY, status=CallStatus.BUSY, legs=legs))
    assert payload["callCount"] == 2
    assert list(payload["details"]) == ["callA", "callB"]
    assert payload["details"]["callA"]["callDirection"] == "INBOUND"
    assert payload["details"]["callB"]["callStatus"] == "BUSY"


def test_leg_keys_can_be_capital() -> None:  # §13 row 5
    assert list(payload_of(SUMMARY, capital_leg_keys=True)["details"]) == ["CallA"]


@pytest.mark.parametrize(
    ("inbound", "field", "other"),
    [
        pytest.param(False, ("sourceRefId", "VN-1"), "destinationRefId", id="§13 row 27 outbound: source"),
        pytest.param(True, ("destinationRefId", "VN-2"), "sourceRefId", id="§13 row 27 inbound: destination"),
    ],
)
def test_a_leg_names_its_virtual_number(inbound: bool, field: tuple[str, str], other: str) -> None:
    ids = {"+12314377870": "VN-1", "+6568332048": "VN-2"}
    payload = payload_of(replace(SUMMARY, legs=(replace(LEG, inbound=inbound),)), reference_ids=ids)
    leg = payload["details"]["callA"]
    assert leg[field[0]] == field[1]
    assert other not in leg
    unknown = payload_of(replace(SUMMARY, legs=(replace(LEG, inbound=inbound),)), reference_ids={})
    assert field[0] not in unknown["details"]["callA"]


def test_a_session_without_a_leg_has_no_details() -> None:
    payload = payload_of(replace(SUMMARY, legs=()))
    assert (payload["callCount"], payload["details"]) == (0, {})


def test_a_number_of_no_country_has_no_country_code() -> None:
    leg = replace(LEG, destination="+6512345678", source="+80012345678")
    details = payload_of(replace(SUMMARY, legs=(leg,)))["details"]["callA"]
    assert (details["sourceCountryCode"], details["destinationCountryCode"]) == (None, "SG")


def test_a_sessions_state_carries_the_same_payload() -> None:
    assert session_state("s-1", "riders_hq", "DIALLED", None) == {
        "sessionId": "s-1",
        "subAccountId": "riders_hq",
        "state": "DIALLED",
        "summary": None,
    }
    assert session_state("s-1", "riders_hq", "FINISHED", SUMMARY)["summary"] == payload_of(SUMMARY)


def test_no_leg_is_left_out_however_many_there_were() -> None:
    legs = tuple(replace(SUMMARY.legs[0], call_id=str(index)) for index in range(28))
    payload = payload_of(replace(SUMMARY, legs=legs))
    assert payload["callCount"] == len(payload["details"]) == 28
    assert list(payload["details"])[:3] == ["callA", "callB", "callC"]
    assert list(payload["details"])[25:] == ["callZ", "callAA", "callAB"]
