"""Our own reading side of sessions: `GET …/sessions`, its filters and pages, and `GET …/sessions/{sessionId}`.

An extension, so it is strict: unknown and repeated parameters are refused, for a misspelt filter must not silently be
none. Sessions come newest first. A page is named by the last session of the one before it, so sessions that begin
meanwhile shift nothing; the token is opaque to clients and holds nothing secret.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from callwright.callflow.outcome import CallStatus
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.contract.timestamps import iso_milliseconds, parse_timestamp
from callwright.errors import ContractError
from callwright.numbers import parse_msisdn

IN_PROGRESS = "IN_PROGRESS"
STATUSES = (IN_PROGRESS, *(status.value for status in CallStatus))
PARAMETERS = ("status", "from", "to", "destination", "limit", "page")
DEFAULT_LIMIT = 50
MOST_PER_PAGE = 200

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LIMIT = re.compile(r"[0-9]{1,6}")
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{1,120}")
_POSITION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,20})?) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class PagePosition:
    """After which session a page begins."""

    accepted_at: float
    session_id: str


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Which sessions to list, newest first."""

    status: str | None = None
    "one of STATUSES"
    from_at: float | None = None
    "accepted at or after; unix seconds"
    to_at: float | None = None
    "accepted before"
    destination: str | None = None
    "E.164 with +, of any leg"
    limit: int = DEFAULT_LIMIT
    after: PagePosition | None = None


@dataclass(frozen=True, slots=True)
class ActionReport:
    """One action that was begun."""

    action: str
    "record name, such as SAY_AND_CAPTURE"
    started_at: float
    ended_at: float | None = None
    result: str | None = None
    "words for people; never the digits of a capture"


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """One try of a webhook."""

    at: float
    http_status: int | None
    error: str | None
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class WebhookReport:
    """One webhook of the session."""

    event_id: str
    type: str
    state: str
    next_attempt_at: float | None = None
    attempts: tuple[AttemptReport, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionReport:
    """A session as the list and its own page show it."""

    session_id: str
    sub_account_id: str
    state: str
    "ACCEPTED, DIALLED or FINISHED"
    accepted_at: float
    finished_at: float | None = None
    summary: SessionSummary | None = None
    "once it is FINISHED"
    call_flow_request_id: str | None = None
    client_request_id: str | None = None
    source: str | None = None
    "of the first call; known before there is a summary"
    destination: str | None = None
    actions: tuple[ActionReport, ...] = ()
    webhooks: tuple[WebhookReport, ...] = ()


def parse_session_query(query: Iterable[tuple[str, str]]) -> SessionQuery:
    """The parameters of `GET …/sessions`, percent-decoded. ContractError 400 names the one that is wrong."""
    given: dict[str, str] = {}
    for name, value in query:
        if name not in PARAMETERS:
            raise _refused(name, f"unknown; there are {', '.join(PARAMETERS)}")
        if name in given:
            raise _refused(name, "given twice")
        given[name] = value
    from_at, to_at = _moment(given, "from"), _moment(given, "to")
    if from_at is not None and to_at is not None and from_at >= to_at:
        raise _refused("from", "must be before to")
    return SessionQuery(
        status=_status(given),
        from_at=from_at,
        to_at=to_at,
        destination=_destination(given),
        limit=_limit(given),
        after=_position(given),
    )


def page_token(position: PagePosition) -> str:
    """The `page` of what follows `position`."""
    text = f"{float(position.accepted_at)!r} {position.session_id}"
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def session_page(path: str, query: SessionQuery, sessions: Sequence[SessionReport], *, more: bool) -> dict[str, object]:
    """HTTP 200 of the list. `path` is the request's own, `more` whether sessions follow the last of `sessions`."""
    body: dict[str, object] = {"sessions": [_listed(session) for session in sessions], "nextPage": None, "next": None}
    if more and sessions:
        last = sessions[-1]
        token = page_token(PagePosition(last.accepted_at, last.session_id))
        body |= {"nextPage": token, "next": f"{path}?{_parameters(query, token)}"}
    return body


def session_details(session: SessionReport, summary_payload: object) -> dict[str, object]:
    """HTTP 200 of one session: how it stands, and with its end legs, SIP codes and the payload of its VSS, else None.

    That payload is not made anew here: it names the virtual numbers that the sub-account had then.
    """
    summary = session.summary
    return {
        "sessionId": session.session_id,
        "subAccountId": session.sub_account_id,
        "state": session.state,
        "status": _status_of(session),
        "acceptedAt": iso_milliseconds(session.accepted_at),
        "finishedAt": _moment_or_null(session.finished_at),
        "callFlowRequestId": session.call_flow_request_id,
        "clientRequestId": session.client_request_id,
        "source": session.source,
        "destination": session.destination,
        "legs": [_leg(leg) for leg in summary.legs] if summary else [],
        "actions": [_action(action) for action in session.actions],
        "webhooks": [_webhook(webhook) for webhook in session.webhooks],
        "summary": summary_payload,
    }


def _listed(session: SessionReport) -> dict[str, object]:
    return {
        "sessionId": session.session_id,
        "state": session.state,
        "status": _status_of(session),
        "acceptedAt": iso_milliseconds(session.accepted_at),
        "finishedAt": _moment_or_null(session.finished_at),
        "source": session.source,
        "destination": session.destination,
        "callCount": len(session.summary.legs) if session.summary else None,
    }


def _status_of(session: SessionReport) -> str:
    return session.summary.status.value if session.summary else IN_PROGRESS


def _leg(leg: LegSummary) -> dict[str, object]:
    return {
        "callId": leg.call_id,
        "callDirection": "INBOUND" if leg.inbound else "OUTBOUND",
        "source": leg.source,
        "destination": leg.destination,
        "initiatedAt": iso_milliseconds(leg.initiated_at),
        "connectedAt": _moment_or_null(leg.connected_at),
        "disconnectedAt": iso_milliseconds(leg.disconnected_at),
        "callStatus": leg.status.value,
        "sipCode": leg.sip_code,
        "reason": leg.reason,
        "hungUpBy": leg.hung_up_by.value if leg.hung_up_by else None,
        "codec": leg.codec,
    }


def _action(action: ActionReport) -> dict[str, object]:
    return {
        "action": action.action,
        "startedAt": iso_milliseconds(action.started_at),
        "endedAt": _moment_or_null(action.ended_at),
        "result": action.result,
    }


def _webhook(webhook: WebhookReport) -> dict[str, object]:
    return {
        "eventId": webhook.event_id,
        "type": webhook.type,
        "state": webhook.state,
        "nextAttemptAt": _moment_or_null(webhook.next_attempt_at),
        "attempts": [
            {
                "at": iso_milliseconds(attempt.at),
                "httpStatus": attempt.http_status,
                "error": attempt.error,
                "elapsedMs": attempt.elapsed_ms,
            }
            for attempt in webhook.attempts
        ],
    }


def _parameters(query: SessionQuery, token: str) -> str:
    """The same filters, one page on."""
    given = {
        "status": query.status,
        "from": _moment_or_null(query.from_at),
        "to": _moment_or_null(query.to_at),
        "destination": query.destination,
        "limit": str(query.limit),
        "page": token,
    }
    return urlencode({name: value for name, value in given.items() if value is not None})


def _moment_or_null(at: float | None) -> str | None:
    return None if at is None else iso_milliseconds(at)


def _status(given: dict[str, str]) -> str | None:
    status = given.get("status")
    if status is not None and status not in STATUSES:
        raise _refused("status", f"must be one of {', '.join(STATUSES)}")
    return status


def _moment(given: dict[str, str], name: str) -> float | None:
    if name not in given:
        return None
    text = given[name]
    at = parse_timestamp(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    if at is None:
        raise _refused(name, "must be a date, or a time with Z or an offset (its + written as %2B)")
    return max(at, 0.0)  # nothing was accepted before 1970, and such a moment can be written out again


def _destination(given: dict[str, str]) -> str | None:
    if "destination" not in given:
        return None
    # A + that was not percent-encoded arrives as a blank.
    destination = parse_msisdn(given["destination"].strip())
    if destination is None:
        raise _refused("destination", "must be an E.164 number, + optional")
    return destination


def _limit(given: dict[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= MOST_PER_PAGE:
        raise _refused("limit", f"must be 1 to {MOST_PER_PAGE}")
    return int(text)


def _position(given: dict[str, str]) -> PagePosition | None:
    token = given.get("page")
    if token is None:
        return None
    found = _POSITION.fullmatch(_decoded(token))
    if not found:
        raise _refused("page", "is no page token")
    return PagePosition(float(found[1]), found[2])


def _decoded(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        return ""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _refused(name: str, words: str) -> ContractError:
    return ContractError(400, 400, f"{name}: {words}")
