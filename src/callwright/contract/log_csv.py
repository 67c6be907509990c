"""The CSV of a log export: one row per call leg, the documented columns in their order (§11.1).

What callwright cannot know stays empty: operators, MCC and MNC, everything about prices and billing, and `Content`,
which is filled for portal campaigns only. Lines end in CRLF and cells are quoted where they must be (RFC 4180).

Spreadsheets run cells as formulas. A cell that begins with `=`, `@`, tab or carriage return gets an apostrophe in
front, and so does one that begins with `+` or `-` unless nothing but letters, digits, `.`, `_`, `&` and `-` follows:
phone numbers and ids are data and stay byte for byte, for such a text can call nothing.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from callwright.callflow.outcome import CallStatus
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.contract.countries import COUNTRY_NAMES
from callwright.contract.timestamps import iso_milliseconds
from callwright.numbers import country_code, parse_msisdn

_FORMULA = re.compile(r"[=@\t\r]|[+-](?![A-Za-z0-9._&-]*\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One leg. The fields are the columns, in order; None and "" are empty cells."""

    session_id: str
    call_id: str
    account_id: str
    sub_account_id: str
    direction: str
    source_country_code: int | None
    "dialling code, such as 65"
    source_country: str
    source_operator: str = ""
    source_mcc: str = ""
    source_mnc: str = ""
    source_endpoint: str
    destination_country_code: int | None
    destination_country: str
    destination_operator: str = ""
    destination_mcc: str = ""
    destination_mnc: str = ""
    destination_endpoint: str
    initiated_at: str
    connected_at: str
    disconnected_at: str
    duration_in_sec: int
    product: str
    billing_unit: str = ""
    billing_increment: str = ""
    billable_duration_in_sec: int | None = None
    unit_price: float | None = None
    unit_price_currency: str = ""
    total_price_of_call: float | None = None
    call_type: str = "PSTN"
    sip_status: int | None
    session_status: str
    call_status: str
    tts_length: int | None = None
    mos: float | None
    content: str = ""


COLUMNS = (
    *("SessionId", "CallId", "AccountId", "SubAccountId", "Direction"),
    *("SourceCountryCode", "SourceCountry", "SourceOperator", "SourceMCC", "SourceMNC", "SourceEndpoint"),
    *("DestinationCountryCode", "DestinationCountry", "DestinationOperator", "DestinationMCC", "DestinationMNC"),
    *("DestinationEndpoint", "InitiatedAt", "ConnectedAt", "DisconnectedAt", "DurationInSec", "Product"),
    *("BillingUnit", "BillingIncrement", "BillableDurationInSec", "UnitPrice", "UnitPriceCurrency"),
    *("TotalPriceOfCall", "CallType", "SipStatus", "SessionStatus", "CallStatus", "TTSLength", "MOS", "Content"),
)
_FIELD_NAMES = tuple(field.name for field in fields(LogRow))


class _LineSink:
    """What `csv.writer` writes to: it keeps the line just written."""

    line = ""

    def write(self, text: str) -> int:
        self.line = text
        return len(text)


def log_rows(summary: SessionSummary, *, account_id: str, product: str, tts_length: int | None = None) -> list[LogRow]:
    """A row for each leg of a finished session.

    `tts_length` is how many characters were spoken, None when nothing was. An ERROR leg, one that was refused before it
    was dialled, is FAILED here: the column has no ERROR.
    """
    return [_row(summary, leg, account_id, product, tts_length) for leg in summary.legs]


def csv_lines(rows: Iterable[LogRow]) -> Iterator[str]:
    """The file line by line, the column names first, for files too long to be held at once."""
    sink = _LineSink()
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    yield sink.line
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in _FIELD_NAMES])
        yield sink.line


def log_csv(rows: Iterable[LogRow]) -> str:
    """The whole file."""
    return "".join(csv_lines(rows))


def _row(summary: SessionSummary, leg: LegSummary, account_id: str, product: str, tts_length: int | None) -> LogRow:
    status = CallStatus.FAILED if leg.status is CallStatus.ERROR else leg.status
    return LogRow(
        session_id=summary.session_id,
        call_id=leg.call_id,
        account_id=account_id,
        sub_account_id=summary.sub_account_id,
        direction="INBOUND" if leg.inbound else "OUTBOUND",
        source_country_code=_dialling_code(leg.source),
        source_country=_country_name(leg.source),
        source_endpoint=leg.source,
        destination_country_code=_dialling_code(leg.destination),
        destination_country=_country_name(leg.destination),
        destination_endpoint=leg.destination,
        initiated_at=iso_milliseconds(leg.initiated_at),
        connected_at="" if leg.connected_at is None else iso_milliseconds(leg.connected_at),
        disconnected_at=iso_milliseconds(leg.disconnected_at),
        duration_in_sec=leg.duration_seconds,
        product=product,
        sip_status=leg.sip_code,
        session_status=summary.status.value,
        call_status=status.value,
        tts_length=tts_length,
        mos=None if leg.quality is None or leg.connected_at is None else round(leg.quality.mos, 2),
    )


def _dialling_code(endpoint: str) -> int | None:
    """The country calling code; codes are one to three digits, none the beginning of another (E.164 §6)."""
    msisdn = parse_msisdn(endpoint)
    codes = (int(msisdn[1 : 1 + length]) for length in (1, 2, 3)) if msisdn else ()
    return next((code for code in codes if code in COUNTRY_CODE_TO_REGION_CODE), None)


def _country_name(endpoint: str) -> str:
    code = country_code(endpoint)
    return COUNTRY_NAMES.get(code, code) if code else ""


def _cell(value: object) -> object:
    if isinstance(value, str) and _FORMULA.match(value):
        return "'" + value
    return value
