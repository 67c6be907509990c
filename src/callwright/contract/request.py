"""A callflow request: the body of `POST …/callflows` becomes a Callflow, or a ContractError says why not (§1, §3).

The first of these that finds something wrong decides the answer:

 1. the body is JSON within our limits                                  -1001 (HTTP 413 over 256 KiB)
 2. it is an object, its own fields are of the right type               -1009
 3. its actions, in the steps of `actions.py`                           -1002…-1014, -1016…-1020
 4. the client's own ids are free of control characters                 -1016
 5. `validUntil` has not passed                                         -1015

Fields we do not know are ignored.
"""

import re

from callwright.callflow.plan import Callflow
from callwright.contract.actions import check_characters, read_actions
from callwright.contract.codes import StatusCode, entry_refusal, refusal
from callwright.contract.json_text import parse_json
from callwright.contract.policy import RequestPolicy
from callwright.contract.schema import Fields, kind
from callwright.contract.timestamps import parse_timestamp

LONGEST_CLIENT_ID = 256
_SUB_ACCOUNT_ID = re.compile(r"[A-Za-z0-9\-._&]{3,50}")


def parse_callflow(body: bytes, policy: RequestPolicy, now: float, call_flow_request_id: str) -> Callflow:
    """The request in `body`, checked, completed with defaults, its numbers E.164 with `+`.

    `now` is unix seconds. Raises ContractError and nothing else, whatever the bytes are.
    """
    document = parse_json(body)
    if not isinstance(document, dict):
        raise entry_refusal(f"$: {kind(document)} found, object expected")
    request = Fields(document, "$")
    client_request_id = request.optional_string("clientRequestId", LONGEST_CLIENT_ID)
    client_action_id = request.optional_string("clientActionId", LONGEST_CLIENT_ID)
    valid_until = _valid_until(request)
    actions = read_actions(request, policy, opens_with_call=True)
    check_characters(f"{client_request_id or ''}{client_action_id or ''}")
    if valid_until is not None and valid_until < now:
        raise refusal(StatusCode.EXPIRED)
    return Callflow(actions, call_flow_request_id, valid_until, client_action_id, client_request_id)


def is_sub_account_id(text: str) -> bool:
    """Whether `text` can be the `subAccountId` of a path (§1.1)."""
    return _SUB_ACCOUNT_ID.fullmatch(text) is not None


def _valid_until(request: Fields) -> float | None:
    if request.values.get("validUntil") is None:
        return None
    at = parse_timestamp(request.string("validUntil"))
    if at is None:
        raise request.wrong("validUntil", "does not match the date-time pattern YYYY-MM-DDTHH:MM:SS.SSSZ")
    return at
