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
from callwright.contract.actions import read_entries, settle_entries
from callwright.contract.envelope import read_envelope, read_object
from callwright.contract.old_shapes import with_its_call
from callwright.contract.policy import RequestPolicy

_SUB_ACCOUNT_ID = re.compile(r"[A-Za-z0-9\-._&]{3,50}")


def parse_callflow(body: bytes, policy: RequestPolicy, now: float, call_flow_request_id: str) -> Callflow:
    """The request in `body`, checked, completed with defaults, its numbers E.164 with `+`.

    `now` is unix seconds. Raises ContractError and nothing else, whatever the bytes are.
    """
    request = read_object(body)
    envelope = read_envelope(request)
    entries = read_entries(request, policy.most_actions)
    if policy.accept_old_shapes:
        entries = with_its_call(entries)
    return envelope.callflow(settle_entries(entries, policy, opens_with_call=True), now, call_flow_request_id)


def is_sub_account_id(text: str) -> bool:
    """Whether `text` can be the `subAccountId` of a path (§1.1)."""
    return _SUB_ACCOUNT_ID.fullmatch(text) is not None
