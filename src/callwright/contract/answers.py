"""Bodies of HTTP answers: callflow requests (§1.5), webhook configuration (§8.1), speech profiles (§10.1).

All are JSON objects as dicts, fields in the documented order; `json_text.serialize` makes bytes of them.
"""

from collections.abc import Sequence

from callwright.callflow.summary import SessionSummary
from callwright.contract.codes import STATUS_MESSAGES, StatusCode
from callwright.contract.timestamps import iso_milliseconds
from callwright.contract.voices import speech_profiles
from callwright.contract.webhook_config import LATEST_PAYLOAD, WebhookConfig
from callwright.contract.webhooks import session_summary
from callwright.errors import ContractError

Body = dict[str, object]

UNAUTHORIZED = "Authentication header not found or token invalid"
SERVER_ERROR = "Internal server error"
RESOURCE_MESSAGES = {
    401: "API key not found or invalid",
    403: "Resource not accessible",
    404: "Resource not found",
    500: "Server error",
}
"""What the configuration paths say (§8.1)."""


def created(session_id: str, call_flow_request_id: str, valid_until: float | None = None) -> Body:
    """HTTP 200 of a callflow request; `valid_until` (unix seconds) is echoed if the request carried one."""
    body: Body = {
        "sessionId": session_id,
        "sessionStatus": "CREATED",
        "callFlowRequestId": call_flow_request_id,
    }
    if valid_until is not None:
        body["validUntil"] = iso_milliseconds(valid_until)
    body["statusCode"] = int(StatusCode.CREATED)
    body["statusMessage"] = STATUS_MESSAGES[StatusCode.CREATED]
    return body


def not_created(error: ContractError, call_flow_request_id: str) -> Body:
    """The answer to a refused callflow request; its HTTP status is `error.http_status`."""
    return _not_created(error.status_code, error.message, call_flow_request_id)


def unauthorized(call_flow_request_id: str) -> Body:
    """HTTP 401 of a callflow request."""
    return _not_created(401, UNAUTHORIZED, call_flow_request_id)


def sub_account_not_found(sub_account_id: str, call_flow_request_id: str) -> Body:
    """HTTP 404 of a callflow request, the same for an unknown sub-account and for somebody else's."""
    return _not_created(404, f"SubAccount not found by Id : {sub_account_id}", call_flow_request_id)


def server_error(call_flow_request_id: str) -> Body:
    """HTTP 500 of a callflow request."""
    return _not_created(500, SERVER_ERROR, call_flow_request_id)


def resource_refused(http_status: int, message: str = "") -> Body:
    """A refusal on every other path (§13 row 31), in the documented words where there are some, else in `message`."""
    return {"statusCode": http_status, "statusMessage": RESOURCE_MESSAGES.get(http_status) or message}


def session_state(session_id: str, sub_account_id: str, state: str, summary: SessionSummary | None) -> Body:
    """How a session stands (our extension): ACCEPTED, DIALLED or FINISHED, and its summary's payload (§5.2) if so."""
    return {
        "sessionId": session_id,
        "subAccountId": sub_account_id,
        "state": state,
        "summary": None if summary is None else session_summary(summary)["payload"],
    }


def webhook_list(sub_account_id: str, webhooks: Sequence[WebhookConfig]) -> Body:
    """HTTP 200 of reading and of storing webhooks."""
    return {
        "subAccountId": sub_account_id,
        "count": len(webhooks),
        "webhooks": [_webhook(webhook) for webhook in webhooks],
        "statusCode": 0,
        "statusMessage": "ok",
    }


def webhook_deleted(sub_account_id: str, webhook: WebhookConfig) -> Body:
    """HTTP 200 of deleting a webhook: what it was."""
    return {"subAccountId": sub_account_id, **_webhook(webhook), "statusCode": 0, "statusMessage": "deleted"}


def webhook_refused(error: ContractError, error_id: str, now: float) -> Body:
    """HTTP 422 of storing a webhook or a recording push config; `now` is unix seconds, `error_id` a UUID."""
    return {
        "errorId": error_id,
        "statusCode": str(error.status_code),
        "statusMessage": error.message,
        "timestamp": iso_milliseconds(now),
    }


def speech_profile_list() -> Body:
    """HTTP 200 of listing the voices."""
    return {"speechProfiles": speech_profiles(), "statusCode": 0, "statusMessage": "ok"}


def _not_created(status_code: int, message: str, call_flow_request_id: str) -> Body:
    return {
        "sessionStatus": "NOT_CREATED",
        "callFlowRequestId": call_flow_request_id,
        "statusCode": status_code,
        "statusMessage": message,
    }


def _webhook(webhook: WebhookConfig) -> Body:
    body: Body = {
        "type": webhook.type,
        "url": webhook.url,
        "enabled": webhook.enabled,
        "httpAuthHeaderAvailable": webhook.http_auth_header is not None,
    }
    if webhook.payload_version != LATEST_PAYLOAD:
        body["payloadVersion"] = webhook.payload_version
    return body
