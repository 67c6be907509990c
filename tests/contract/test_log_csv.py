"""The CSV of a log export, column by column (§11.1)."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.callflow.outcome import CallQuality, CallStatus
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.contract.log_csv import COLUMNS, LogRow, csv_lines, log_csv, log_rows

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
    quality=CallQuality(mos=4.374, packet_loss_rate=0.0, jitter_ms=20),
)
SUMMARY = SessionSummary(
    session_id="1f048a84-ea6d-11ee-911b-078f7290bf52",
    sub_account_id="riders_hq",
    status=CallStatus.COMPLETED,
    started_at=1711346490.0,
    ended_at=1711346510.9,
    last_action="HANGUP",
    legs=(LEG,),
)
DOCUMENTED = (
    "SessionId, CallId, AccountId, SubAccountId, Direction, SourceCountryCode, SourceCountry, SourceOperator, "
    "SourceMCC, SourceMNC, SourceEndpoint, DestinationCountryCode, DestinationCountry, DestinationOperator, "
    "DestinationMCC, DestinationMNC, DestinationEndpoint, InitiatedAt, ConnectedAt, DisconnectedAt, DurationInSec, "
    "Product, BillingUnit, BillingIncrement, BillableDurationInSec, UnitPrice, UnitPriceCurrency, TotalPriceOfCall, "
    "CallType, SipStatus, SessionStatus, CallStatus, TTSLength, MOS, Content"
)


def rows_of(summary: SessionSummary, **options: Any) -> list[LogRow]:
    return log_rows(summary, **({"account_id": "riders", "product": "Voice Messaging"} | options))


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def row_of(leg: LegSummary, **options: Any) -> dict[str, str]:
    return read(log_csv(rows_of(replace(SUMMARY, legs=(leg,)), **options)))[0]


def test_the_columns_are_the_documented_ones_in_order() -> None:
    assert list(COLUMNS) == DOCUMENTED.split(", ")
    assert log_csv([]) == DOCUMENTED.replace(", ", ",") + "\r\n"


def test_a_leg_is_written_column_by_column() -> None:
    assert row_of(LEG, tts_length=36) == {
        "SessionId": "1f048a84-ea6d-11ee-911b-078f7290bf52",
        "CallId": "1f048a83-ea6d-11ee-911b-e9023a97c284",
        "AccountId": "riders",
        "SubAccountId": "riders_hq",
        "Direction": "OUTBOUND",
        "SourceCountryCode": "1",
        "SourceCountry": "United States",
        "SourceOperator": "",
        "SourceMCC": "",
        "SourceMNC": "",
        "SourceEndpoint": "+12314377870",
        "DestinationCountryCode": "65",
        "DestinationCountry": "Singapore",
        "DestinationOperator": "",
        "DestinationMCC": "",
        "DestinationMNC": "",
        "DestinationEndpoint": "+6568332048",
        "InitiatedAt": "2024-03-25T06:01:28.900Z",
        "ConnectedAt": "2024-03-25T06:01:37.200Z",
        "DisconnectedAt": "2024-03-25T06:01:50.400Z",
        "DurationInSec": "13",
        "Product": "Voice Messaging",
        "BillingUnit": "",
        "BillingIncrement": "",
        "BillableDurationInSec": "",
        "UnitPrice": "",
        "UnitPriceCurrency": "",
        "TotalPriceOfCall": "",
        "CallType": "PSTN",
        "SipStatus": "200",
        "SessionStatus": "COMPLETED",
        "CallStatus": "COMPLETED",
        "TTSLength": "36",
        "MOS": "4.37",
        "Content": "",
    }


def test_an_unanswered_leg_leaves_cells_empty() -> None:
    row = row_of(replace(LEG, connected_at=None, status=CallStatus.BUSY, sip_code=486, inbound=True))
    cells = ("Direction", "ConnectedAt", "DurationInSec", "SipStatus", "CallStatus", "TTSLength", "MOS")
    assert [row[name] for name in cells] == ["INBOUND", "", "0", "486", "BUSY", "", ""]


def test_a_leg_never_dialled_has_no_sip_status() -> None:
    assert row_of(replace(LEG, sip_code=None))["SipStatus"] == ""


@pytest.mark.parametrize("status", CallStatus)
def test_a_call_status_is_never_error(status: CallStatus) -> None:
    summary = replace(SUMMARY, status=status, legs=(replace(LEG, status=status),))
    row = read(log_csv(rows_of(summary)))[0]
    assert row["SessionStatus"] == status.value
    assert row["CallStatus"] == ("FAILED" if status is CallStatus.ERROR else status.value)


def test_each_leg_is_a_row() -> None:
    rows = rows_of(replace(SUMMARY, legs=(LEG, replace(LEG, call_id="b"))))
    assert [row.call_id for row in rows] == [LEG.call_id, "b"]
    assert len(list(csv_lines(rows))) == 3
    assert rows_of(replace(SUMMARY, legs=())) == []


@pytest.mark.parametrize(
    ("endpoint", "code", "country"),
    [
        ("+35312345678", "353", "Ireland"),
        ("+74951234567", "7", "Russia"),
        ("+77271234567", "7", "Kazakhstan"),
        ("+80012345678", "800", ""),
        ("anonymous", "", ""),
        ("", "", ""),
        ("112", "", ""),
    ],
)
def test_an_endpoint_has_a_dialling_code_and_a_country(endpoint: str, code: str, country: str) -> None:
    row = row_of(replace(LEG, source=endpoint))
    assert (row["SourceEndpoint"], row["SourceCountryCode"], row["SourceCountry"]) == (endpoint, code, country)


@pytest.mark.parametrize(
    ("endpoint", "cell"),
    [
        pytest.param("+6568332048", "+6568332048", id="a number is data"),
        pytest.param("-riders_hq.7&", "-riders_hq.7&", id="an id is data"),
        pytest.param("=1+1", "'=1+1", id="="),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="@"),
        pytest.param("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0", id="+ and a command"),
        pytest.param("-2+3+SUM(A1)", "'-2+3+SUM(A1)", id="- and a function"),
        pytest.param("+65\n", "'+65\n", id="+ and a line end"),
        pytest.param("\t=1", "'\t=1", id="tab"),
        pytest.param("\r=1", "'\r=1", id="carriage return"),
        pytest.param("'quoted", "'quoted", id="an apostrophe is no formula"),
        pytest.param('a,"b"\r\nc', 'a,"b"\r\nc', id="commas, quotes and line ends"),
        pytest.param("{}", "{}", id="JSON"),
    ],
)
def test_no_cell_is_a_formula(endpoint: str, cell: str) -> None:
    assert row_of(replace(LEG, source=endpoint))["SourceEndpoint"] == cell


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_any_text_stays_in_its_cell(text: str) -> None:
    row = row_of(replace(LEG, source=text, destination="+6568332048"))
    assert row["SourceEndpoint"] in {text, "'" + text}
    assert row["DestinationEndpoint"] == "+6568332048"
    assert None not in row
