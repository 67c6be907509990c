"""Filters and pages of our own session list, and its answers."""

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.contract.session_list import (
    STATUSES,
    ActionReport,
    AttemptReport,
    PagePosition,
    SessionQuery,
    SessionReport,
    WebhookReport,
    page_token,
    parse_session_query,
    session_details,
    session_page,
)
from callwright.contract.webhooks import session_summary
from callwright.errors import ContractError

SESSION = "e35e3d0e-065a-11ec-b119-676cb2bc33ef"
AT = 1_719_986_400.0
LEG = LegSummary(
    call_id="c-1",
    inbound=False,
    source="+12314377870",
    destination="+6568332048",
    initiated_at=AT,
    connected_at=AT + 2,
    disconnected_at=AT + 10,
    status=CallStatus.COMPLETED,
    sip_code=200,
    reason="OK",
    hung_up_by=HungUpBy.THEM,
    codec="PCMA",
    quality=CallQuality(4.4, 0.0, 3),
)
SUMMARY = SessionSummary(SESSION, "riders_hq", CallStatus.COMPLETED, AT, AT + 10, "HANGUP", (LEG,))
FINISHED = SessionReport(
    session_id=SESSION,
    sub_account_id="riders_hq",
    state="FINISHED",
    accepted_at=AT - 1,
    finished_at=AT + 11,
    summary=SUMMARY,
    call_flow_request_id="f-1",
    client_request_id="mine",
    source="+12314377870",
    destination="+6568332048",
    actions=(
        ActionReport("MAKE_CALL", AT, AT + 2, "answered"),
        ActionReport("SAY_AND_CAPTURE", AT + 2),
    ),
    webhooks=(
        WebhookReport("e-1", "VSS", "DELIVERED", None, (AttemptReport(AT + 11, 500, None, 31),)),
        WebhookReport("e-2", "VCS", "DUE", AT + 20, (AttemptReport(AT + 11, None, "no connection", 7),)),
    ),
)
LIVE = SessionReport(SESSION, "riders_hq", "DIALLED", AT)
POSITIONS = st.builds(PagePosition, st.floats(0, 99_999_999_999), st.uuids().map(str))


def query(**parameters: str) -> SessionQuery:
    return parse_session_query([(name.rstrip("_"), value) for name, value in parameters.items()])


def refused(*parameters: tuple[str, str]) -> str:
    with pytest.raises(ContractError) as caught:
        parse_session_query(parameters)
    assert (caught.value.status_code, caught.value.http_status) == (400, 400)
    return caught.value.message


def test_without_parameters_the_newest_are_listed() -> None:
    assert query() == SessionQuery(None, None, None, None, 50, None)


def test_every_filter_is_read() -> None:
    position = PagePosition(AT, SESSION)
    assert query(
        status="BUSY",
        from_="2024-07-01",
        to="2024-07-03T06:00:00+00:00",
        destination="6568332048",
        limit="200",
        page=page_token(position),
    ) == SessionQuery("BUSY", 1_719_792_000.0, AT, "+6568332048", 200, position)


def test_a_plus_that_became_a_blank_is_a_plus() -> None:
    assert query(destination=" 6568332048").destination == "+6568332048"


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_can_be_asked_for(status: str) -> None:
    assert query(status=status).status == status


def test_the_statuses_are_those_of_sessions() -> None:
    assert set(STATUSES) == {"IN_PROGRESS", "COMPLETED", "NO_ANSWER", "BUSY", "CANCELED", "FAILED", "ERROR"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("state", "x", "unknown; there are status, from, to, destination, limit, page"),
        ("status", "busy", "must be one of IN_PROGRESS, COMPLETED, NO_ANSWER, BUSY, CANCELED, FAILED, ERROR"),
        ("from", "", "must be a date, or a time with Z or an offset (its + written as %2B)"),
        ("from", "2024-07-01T00:00:00 02:00", "must be a date, or a time with Z or an offset (its + written as %2B)"),
        ("to", "2024-02-30", "must be a date, or a time with Z or an offset (its + written as %2B)"),
        ("destination", "12", "must be an E.164 number, + optional"),
        ("limit", "0", "must be 1 to 200"),
        ("limit", "201", "must be 1 to 200"),
        ("limit", "-1", "must be 1 to 200"),
        ("limit", "1e2", "must be 1 to 200"),
        ("limit", "٥", "must be 1 to 200"),
        ("limit", "", "must be 1 to 200"),
        ("page", "", "is no page token"),
        ("page", "2", "is no page token"),
        ("page", "A" * 5000, "is no page token"),
        ("page", base64.urlsafe_b64encode(b"inf " + SESSION.encode()).decode(), "is no page token"),
        ("page", base64.urlsafe_b64encode(b"1.0 x").decode(), "is no page token"),
        ("page", "gICA", "is no page token"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, value: str, words: str) -> None:
    assert refused((name, value)) == f"{name}: {words}"


def test_a_parameter_given_twice_is_refused() -> None:
    assert refused(("limit", "1"), ("limit", "2")) == "limit: given twice"


def test_a_period_must_not_be_empty() -> None:
    assert refused(("from", "2024-07-02"), ("to", "2024-07-02")) == "from: must be before to"


@given(POSITIONS)
def test_a_position_comes_back_from_its_token(position: PagePosition) -> None:
    position = replace(position, accepted_at=round(position.accepted_at, 6))
    if "e" not in repr(position.accepted_at):
        assert query(page=page_token(position)).after == position


def test_a_page_says_where_it_goes_on() -> None:
    asked = query(status="COMPLETED", destination="+6568332048", to="2024-07-04", limit="1")
    body: Any = session_page("/api/v1/subaccounts/riders_hq/sessions", asked, [FINISHED], more=True)
    assert body["sessions"] == [
        {
            "sessionId": SESSION,
            "state": "FINISHED",
            "status": "COMPLETED",
            "acceptedAt": "2024-07-03T05:59:59.000Z",
            "finishedAt": "2024-07-03T06:00:11.000Z",
            "source": "+12314377870",
            "destination": "+6568332048",
            "callCount": 1,
        }
    ]
    after = PagePosition(AT - 1, SESSION)
    assert body["nextPage"] == page_token(after)
    following = urlsplit(body["next"])
    assert following.path == "/api/v1/subaccounts/riders_hq/sessions"
    assert parse_session_query(parse_qsl(following.query)) == replace(asked, after=after)


@pytest.mark.parametrize(("sessions", "more"), [([FINISHED], False), ([], False), ([], True)])
def test_the_last_page_goes_nowhere(sessions: list[SessionReport], more: bool) -> None:
    body = session_page("/sessions", SessionQuery(), sessions, more=more)
    assert (body["nextPage"], body["next"]) == (None, None)


def test_any_period_can_be_written_out_again() -> None:
    asked = query(from_="0001-01-01T00:00:00+10:00", to="9999-12-31T23:59:59-10:00")
    assert asked.from_at == 0.0
    assert session_page("/sessions", asked, [LIVE], more=True)["next"]


def test_a_live_session_is_in_progress() -> None:
    listed: Any = session_page("/sessions", SessionQuery(), [LIVE], more=False)["sessions"]
    assert (listed[0]["status"], listed[0]["finishedAt"], listed[0]["callCount"]) == ("IN_PROGRESS", None, None)
    details = session_details(LIVE, None)
    assert (details["status"], details["legs"], details["summary"]) == ("IN_PROGRESS", [], None)


def test_a_session_is_told_in_full() -> None:
    assert session_details(FINISHED, session_summary(SUMMARY)["payload"]) == {
        "sessionId": SESSION,
        "subAccountId": "riders_hq",
        "state": "FINISHED",
        "status": "COMPLETED",
        "acceptedAt": "2024-07-03T05:59:59.000Z",
        "finishedAt": "2024-07-03T06:00:11.000Z",
        "callFlowRequestId": "f-1",
        "clientRequestId": "mine",
        "source": "+12314377870",
        "destination": "+6568332048",
        "legs": [
            {
                "callId": "c-1",
                "callDirection": "OUTBOUND",
                "source": "+12314377870",
                "destination": "+6568332048",
                "initiatedAt": "2024-07-03T06:00:00.000Z",
                "connectedAt": "2024-07-03T06:00:02.000Z",
                "disconnectedAt": "2024-07-03T06:00:10.000Z",
                "callStatus": "COMPLETED",
                "sipCode": 200,
                "reason": "OK",
                "hungUpBy": "them",
                "codec": "PCMA",
            }
        ],
        "actions": [
            {
                "action": "MAKE_CALL",
                "startedAt": "2024-07-03T06:00:00.000Z",
                "endedAt": "2024-07-03T06:00:02.000Z",
                "result": "answered",
            },
            {"action": "SAY_AND_CAPTURE", "startedAt": "2024-07-03T06:00:02.000Z", "endedAt": None, "result": None},
        ],
        "webhooks": [
            {
                "eventId": "e-1",
                "type": "VSS",
                "state": "DELIVERED",
                "nextAttemptAt": None,
                "attempts": [{"at": "2024-07-03T06:00:11.000Z", "httpStatus": 500, "error": None, "elapsedMs": 31}],
            },
            {
                "eventId": "e-2",
                "type": "VCS",
                "state": "DUE",
                "nextAttemptAt": "2024-07-03T06:00:20.000Z",
                "attempts": [
                    {"at": "2024-07-03T06:00:11.000Z", "httpStatus": None, "error": "no connection", "elapsedMs": 7}
                ],
            },
        ],
        "summary": session_summary(SUMMARY)["payload"],
    }
