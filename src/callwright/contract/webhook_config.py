"""Which webhooks a sub-account wants, and where: the body of `POST …/webhooks` (§8.1)."""

import re
from dataclasses import dataclass, field

from callwright.contract.actions import HTTP_URL, LONGEST_URL
from callwright.contract.codes import STATUS_MESSAGES, StatusCode
from callwright.contract.envelope import read_object
from callwright.contract.schema import Fields
from callwright.errors import ContractError

WEBHOOK_TYPES = ("VCS", "VCA", "VSS", "VRU", "VNU")
INVALID_REQUEST = 1001
"""`statusCode` of this path's 422, positive here and written as text."""

LONGEST_AUTH_HEADER = 2048
LATEST_PAYLOAD = 3
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """One webhook of a sub-account; there is at most one of each type."""

    type: str
    "one of WEBHOOK_TYPES"
    url: str
    http_auth_header: str | None = field(default=None, repr=False)
    "sent word for word as the Authorization header; a secret"
    enabled: bool = True
    payload_version: int = LATEST_PAYLOAD
    "where a VCA carries the captured digits: 1, 2 or 3 (see `call_events.call_action`)"


def parse_webhook(body: bytes) -> WebhookConfig:
    """The webhook in `body`; `active` is read when `enabled` is absent (§13 row 7).

    `payloadVersion`, 1 to 3, is our extension: the setting that §13 row 6 asks for.

    Raises ContractError 1001 with HTTP 422 (413 above 256 KiB); its text says what is wrong after the documented words.
    """
    fields = read_object(body, configuration_refusal)
    flag = "active" if fields.values.get("enabled") is None else "enabled"
    enabled = fields.boolean(flag)
    return WebhookConfig(
        type=fields.one_of("type", WEBHOOK_TYPES),
        url=fields.matching("url", HTTP_URL, LONGEST_URL),
        http_auth_header=_auth_header(fields),
        enabled=True if enabled is None else enabled,
        payload_version=fields.integer("payloadVersion", 1, LATEST_PAYLOAD) or LATEST_PAYLOAD,
    )


def _auth_header(fields: Fields) -> str | None:
    value = fields.optional_string("httpAuthHeader", LONGEST_AUTH_HEADER)
    if value and not _HEADER_VALUE.fullmatch(value):
        raise fields.wrong("httpAuthHeader", "may hold only printable ASCII characters, no space at its ends")
    return value or None


def configuration_refusal(detail: str) -> ContractError:
    """1001 with HTTP 422, the documented words and what is wrong; for this path and `recording-push-config`."""
    return ContractError(INVALID_REQUEST, 422, f"{STATUS_MESSAGES[StatusCode.INVALID_JSON]}. {detail}")
