"""A VCA webhook's reply: what the customer wants done next (§7.2, §7.4).

It is read like a request, in the same steps and with the same words, but for three things: it need not open with
makeCall (§2.1 rule 7), it holds at most one makeCall, since that call is bridged with the leg that is up already (a
second is -1010), and it may ask for nothing. Nothing to do is: no `callflow` (as in `{}` or `{"status":"ignored"}`), a
null one, or an empty one. An empty body is no JSON and refused like any other bad one (-1001).

`validUntil` is obeyed as in a request, though no page says that a reply may carry it. Fields we do not know are
ignored. A refused reply ends the session as ERROR -2003 (§7.4).
"""

from dataclasses import dataclass

from callwright.callflow.plan import Callflow
from callwright.contract.actions import check_characters, read_actions
from callwright.contract.envelope import read_envelope, read_object
from callwright.contract.policy import RequestPolicy

MOST_MAKE_CALLS = 1


@dataclass(frozen=True, slots=True)
class Reply:
    """What to do next."""

    callflow: Callflow | None
    "None: nothing"
    client_action_id: str | None
    "to be carried in the next VCA"


def parse_reply(body: bytes, policy: RequestPolicy, now: float, call_flow_request_id: str) -> Reply:
    """The reply in `body`, its flow checked and completed; `now` is unix seconds.

    `policy.caller_ids` must name the sub-account's virtual numbers too: they are the source of a reply's makeCall.
    Raises ContractError and nothing else, whatever the bytes are.
    """
    reply = read_object(body)
    envelope = read_envelope(reply)
    if reply.values.get("callflow") in (None, []):
        check_characters(envelope.client_action_id or "")
        return Reply(None, envelope.client_action_id)
    actions = read_actions(reply, policy, opens_with_call=False, most_calls=MOST_MAKE_CALLS)
    return Reply(envelope.callflow(actions, now, call_flow_request_id), envelope.client_action_id)
