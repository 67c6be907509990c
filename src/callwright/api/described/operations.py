"""Every route in words: what it takes, what it answers. The names are those of `app.ROUTES`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from callwright.api.described.shorthand import Schema, one_of, text, whole
from callwright.contract.deliveries import LOGGED_TYPES, STATES
from callwright.contract.session_list import STATUSES
from callwright.contract.webhook_config import WEBHOOK_TYPES

Form = Literal["callflow", "plain", "number", "configuration", "platform", "problem"]

JSON = "application/json"

REASONS = {
    400: "the request has not the documented shape",
    401: "no API key, or none that is live",
    403: "the API key may only read",
    404: "no such sub-account, or not the key's own",
    409: "a request with this Idempotency-Key is under way; see Retry-After",
    408: "the body did not arrive in time",
    413: "the body is too large",
    415: "the body is encoded",
    422: "the request makes no sense, or its Idempotency-Key was used for another",
    500: "callwright failed; the log has the request under the id of this answer",
    503: "no capacity now; see Retry-After",
}
"""What a status says of a request, unless the operation says otherwise."""

ALWAYS = (401, 403, 404, 500, 503)
WITH_BODY = (*ALWAYS, 408, 413, 415)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path or query, or a header."""

    schema: Schema
    description: str
    place: Literal["path", "query", "header"] = "path"


@dataclass(frozen=True, slots=True)
class Operation:
    """One route."""

    tag: str
    summary: str
    form: Form
    "how it answers errors"
    statuses: tuple[int, ...]
    "of those errors"
    status: int = 200
    answer: str | None = None
    "name of the body's schema; None: no body, or not JSON"
    media_type: str = JSON
    page: str | None = None
    "name of the schema of the same in JSON, for those who accept nothing else"
    request: str | None = None
    "name of the body's schema"
    request_required: bool = True
    query: tuple[str, ...] = ()
    once: bool = False
    "takes an Idempotency-Key"
    public: bool = False
    "asks for no API key"
    reasons: Mapping[int, str] = field(default_factory=dict)
    "what statuses mean here"
    links: Mapping[str, str] = field(default_factory=dict)
    "routes to go on with, and the field of the answer that is their id"
    also: Mapping[int, str] = field(default_factory=dict)
    "further statuses, whose body is of the schema named"


_UUID = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"

PARAMETERS: dict[str, Parameter] = {
    "sub_account_id": Parameter(text(3, 50, r"^[A-Za-z0-9\-._&]{3,50}$"), "whose"),
    "session_id": Parameter({"type": "string", "pattern": _UUID}, "as the request was answered"),
    "verification_id": Parameter(text(pattern="^[0-9a-f]{32}$"), "as the request was answered"),
    "job_id": Parameter({"type": "string", "pattern": _UUID}, "as the request was answered"),
    "number": Parameter(text(pattern=r"^\+?[0-9]{7,15}$"), "with or without +"),
    "kind": Parameter(one_of(*WEBHOOK_TYPES), "which webhook"),
    "trunk_name": Parameter(text(1, 50, r"^[A-Za-z0-9\-._]+$"), "of the trunk"),
    "token": Parameter(text(1, 100, r"^[A-Za-z0-9_\-]+$"), "from the job's answer"),
    "code": Parameter(text(3, 10), "what was heard; without it only the state is asked for", "query"),
    "status": Parameter(one_of(*STATUSES), "of the session", "query"),
    "from": Parameter(text(), "accepted at this time or later: a date, or a time with Z or an offset", "query"),
    "to": Parameter(text(), "accepted before", "query"),
    "destination": Parameter(text(), "of any leg; E.164", "query"),
    "eventId": Parameter(text(1, 64), "the `webhook-id` of one event", "query"),
    "of_session": Parameter(text(1, 64), "whose events", "query"),
    "type": Parameter(one_of(*LOGGED_TYPES), "which webhook", "query"),
    "state": Parameter(one_of(*STATES), "of the delivery", "query"),
    "before": Parameter(whole(0, 10**15 - 1), "`before` of the page before", "query"),
    "after": Parameter(whole(0, 10**15 - 1), "the number of the last event that is known; 0 for none", "query"),
    "limit": Parameter(whole(1, 200), "how many on a page", "query"),
    "Idempotency-Key": Parameter(
        text(1, 255, "^[!-~]([ -~]*[!-~])?$"),
        "with the same one within 72 hours, the same request is answered once more and not carried out again",
        "header",
    ),
    "page": Parameter(text(), "`nextPage` of the page before", "query"),
}
"""By the name they have in a route's path, in the query, or as headers."""

WIRE_NAMES = {
    "sub_account_id": "subAccountId",
    "session_id": "sessionId",
    "verification_id": "sessionId",
    "job_id": "jobId",
    "kind": "webhookType",
    "of_session": "sessionId",
    "trunk_name": "trunkName",
}
"""How the document names parameters."""

_GONE = {404: "no such session, or not the sub-account's own"}
_JOB = {404: "no such job, or not the sub-account's own"}
_ADMIN = {403: "the API key has not the scope `admin`"}
_NO_TRUNK = {**_ADMIN, 404: "no such trunk"}
_CHANGE_TRUNK = {**_NO_TRUNK, 409: "the trunk stands in the settings", 422: "it is no right trunk; `detail` says why"}
_NONE = {404: "nothing is configured"}

OPERATIONS: dict[str, Operation] = {
    "send_callflow": Operation(
        tag="Calls",
        summary="Run a callflow",
        form="callflow",
        statuses=(400, *WITH_BODY, 422),
        answer="CallflowCreated",
        request="CallflowRequest",
        once=True,
        links={"show_session": "sessionId", "hang_up_session": "sessionId", "list_recordings": "sessionId"},
    ),
    "send_call": Operation(
        tag="Calls",
        summary="Run a request of the oldest generation",
        form="callflow",
        statuses=(400, *WITH_BODY, 422),
        answer="CallflowCreated",
        request="OldCallRequest",
        once=True,
        links={"show_session": "sessionId", "hang_up_session": "sessionId", "list_recordings": "sessionId"},
    ),
    "ask_verification": Operation(
        tag="Voice OTP",
        summary="Call somebody and speak a one-time code",
        form="platform",
        statuses=(400, *WITH_BODY),
        answer="Verification",
        request="VerificationRequest",
        once=True,
        links={"check_verification": "sessionId"},
        reasons={403: "the API key may only read, or the code was asked for again too early"},
    ),
    "check_verification": Operation(
        tag="Voice OTP",
        summary="Check the code that was said back",
        form="platform",
        statuses=(400, *ALWAYS),
        answer="Verification",
        query=("code",),
        reasons={404: "no such verification, or not the sub-account's own"},
    ),
    "list_webhooks": Operation("Webhooks", "Which webhooks there are", "plain", ALWAYS, answer="WebhookList"),
    "put_webhook": Operation(
        tag="Webhooks",
        summary="Register a webhook, or replace it",
        form="configuration",
        statuses=(*WITH_BODY, 422),
        answer="WebhookList",
        request="WebhookRequest",
    ),
    "delete_webhook": Operation(
        "Webhooks", "Take a webhook away", "plain", ALWAYS, answer="WebhookDeleted", reasons=_NONE
    ),
    "show_webhook": Operation("Webhooks", "How a webhook does", "problem", ALWAYS, answer="Webhook", reasons=_NONE),
    "rotate_secret": Operation(
        tag="Webhooks",
        summary="Sign with a new secret; the one before stays good for a while",
        form="problem",
        statuses=(*WITH_BODY, 422),
        answer="Webhook",
        request="RotationRequest",
        request_required=False,
        reasons=_NONE,
    ),
    "test_webhook": Operation(
        "Webhooks", "Send a signed test event now", "problem", ALWAYS, answer="WebhookTest", reasons=_NONE
    ),
    "list_deliveries": Operation(
        tag="Webhooks",
        summary="What became of events, the newest first",
        form="problem",
        statuses=(400, *ALWAYS),
        answer="DeliveryLog",
        query=("eventId", "of_session", "type", "state", "limit", "before"),
    ),
    "replay_deliveries": Operation(
        tag="Webhooks",
        summary="Send events again",
        form="problem",
        statuses=(*WITH_BODY, 422),
        status=202,
        answer="Replayed",
        request="ReplayRequest",
        reasons={404: "no such event, or none of that session"},
    ),
    "list_speech_profiles": Operation("Speech", "The voices", "plain", ALWAYS, answer="SpeechProfileList"),
    "list_numbers": Operation("Numbers", "The virtual numbers", "plain", ALWAYS, answer="NumberList"),
    "show_number": Operation(
        "Numbers", "One virtual number", "number", ALWAYS, answer="NumberFound", reasons={404: "no such number"}
    ),
    "show_push_config": Operation(
        "Recordings", "Where recordings go", "plain", ALWAYS, answer="PushConfig", reasons=_NONE
    ),
    "put_push_config": Operation(
        tag="Recordings",
        summary="Say where recordings go",
        form="configuration",
        statuses=(*WITH_BODY, 422),
        answer="PushConfig",
        request="PushConfigRequest",
    ),
    "delete_push_config": Operation(
        "Recordings", "Forget where recordings go", "plain", ALWAYS, answer="PushConfig", reasons=_NONE
    ),
    "list_recordings": Operation(
        "Recordings", "How a session's recordings stand", "plain", ALWAYS, answer="RecordingList", reasons=_GONE
    ),
    "start_export": Operation(
        tag="Log exports",
        summary="Have the log of calls written out",
        form="platform",
        statuses=(400, *WITH_BODY),
        status=202,
        answer="ExportStarted",
        request="ExportRequest",
        once=True,
        request_required=False,
        links={"show_export": "jobId", "cancel_export": "jobId"},
    ),
    "show_export": Operation("Log exports", "How far a job is", "platform", ALWAYS, answer="ExportState", reasons=_JOB),
    "cancel_export": Operation("Log exports", "End a job", "platform", ALWAYS, status=204, reasons=_JOB),
    "download_export": Operation(
        tag="Log exports",
        summary="The file of a job",
        form="platform",
        statuses=(404, 500, 503),
        media_type="text/csv",
        public=True,
        reasons={404: "no such link, or it is no longer good"},
    ),
    "list_sessions": Operation(
        tag="Sessions",
        summary="Which sessions there are, newest first",
        form="problem",
        statuses=(400, *ALWAYS),
        answer="SessionPage",
        query=("status", "from", "to", "destination", "limit", "page"),
    ),
    "show_session": Operation(
        "Sessions", "How a session stands", "problem", ALWAYS, answer="SessionDetails", reasons=_GONE
    ),
    "hang_up_session": Operation(
        tag="Sessions",
        summary="End a session",
        form="problem",
        statuses=(*ALWAYS, 409),
        status=202,
        answer="SessionState",
        reasons={**_GONE, 409: "the session has ended"},
    ),
    "follow_session": Operation(
        tag="Sessions",
        summary="Follow a session as it happens (server-sent events)",
        form="problem",
        statuses=ALWAYS,
        media_type="text/event-stream",
        reasons=_GONE,
    ),
    "list_trunks": Operation(
        "Trunks", "Who carries the calls", "problem", (401, 403, 500, 503), answer="TrunkList", reasons=_ADMIN
    ),
    "show_trunk": Operation("Trunks", "One trunk, and its state", "problem", ALWAYS, answer="Trunk", reasons=_NO_TRUNK),
    "put_trunk": Operation(
        tag="Trunks",
        summary="Store a trunk, or replace it",
        form="problem",
        statuses=(*WITH_BODY, 409, 422),
        answer="Trunk",
        request="TrunkSettings",
        reasons=_CHANGE_TRUNK,
    ),
    "change_trunk": Operation(
        tag="Trunks",
        summary="Change some settings of a trunk; null takes one away",
        form="problem",
        statuses=(*WITH_BODY, 409, 422),
        answer="Trunk",
        request="TrunkChanges",
        reasons=_CHANGE_TRUNK,
    ),
    "delete_trunk": Operation(
        tag="Trunks",
        summary="Take a trunk away; calls that are up stay",
        form="problem",
        statuses=(*ALWAYS, 409),
        status=204,
        reasons=_CHANGE_TRUNK,
    ),
    "try_trunk": Operation(
        "Trunks", "Ask a trunk whether it is there", "problem", ALWAYS, answer="TrunkTried", reasons=_NO_TRUNK
    ),
    "follow_events": Operation(
        tag="Events",
        summary="All that happens in a sub-account, in order: server-sent events, or a page of JSON",
        form="problem",
        statuses=(400, *ALWAYS),
        media_type="text/event-stream",
        page="EventPage",
        query=("after", "limit"),
        reasons={400: "no such event, or not the documented parameters"},
    ),
    "healthz": Operation("Operation", "Whether the process runs", "plain", (500,), answer="Health", public=True),
    "readyz": Operation(
        tag="Operation",
        summary="Whether calls are taken",
        form="plain",
        statuses=(500,),
        answer="Health",
        public=True,
        reasons={503: "no calls are taken, for the reason given"},
        also={503: "Health"},
    ),
    "metrics": Operation(
        tag="Operation",
        summary="Numbers for Prometheus",
        form="plain",
        statuses=(404, 500),
        media_type="text/plain",
        public=True,
        reasons={404: "not for this reader"},
    ),
    "openapi": Operation("Operation", "This document", "plain", (500,), answer="OpenApi", public=True),
}
