"""Requests of older generations (§1.7), turned into the callflow of today.

v1.0/1.1, `POST …/calls`: one action, `say`, `say&capture` or `playFile`, whose params hold source and destination. It
becomes makeCall and that action; after `say` and `playFile` a hangup, as these calls had nothing to follow. Captured
digits are posted to the action's own `dtmfCallbackUrl` instead of a VCA webhook; a capture without one is -1004.

Early v1.2, on `/callflows`, when the policy accepts it: the same with `say`, `playFile` or `sayAndCapture`, whose
digits go to the VCA webhook.

Decided here: the `endMessage` of say&capture is what is spoken after a valid capture. `source: "private"` is refused
like any other source that is no number (-1014).
"""

from dataclasses import dataclass, replace

from callwright.callflow.plan import Callflow
from callwright.contract.actions import (
    HTTP_URL,
    LONGEST_TEXT,
    LONGEST_URL,
    Entry,
    check_characters,
    read_entries,
    settle_entries,
)
from callwright.contract.codes import StatusCode, refusal
from callwright.contract.envelope import read_envelope, read_object
from callwright.contract.policy import RequestPolicy
from callwright.contract.schema import Fields
from callwright.contract.timestamps import iso_milliseconds
from callwright.errors import ContractError

OLD_CAPTURE = "say&capture"
OLD_ACTIONS = ("say", OLD_CAPTURE, "playFile")
_FINAL_ACTIONS = {"say", "playFile"}
_EARLY_ACTIONS = {"say", "playFile", "sayAndCapture"}


@dataclass(frozen=True, slots=True)
class OldRequest:
    """A `/calls` request as we run it."""

    callflow: Callflow
    dtmf_callback_url: str | None
    "where the captured digits go; None when nothing is captured"


def parse_old_call(body: bytes, policy: RequestPolicy, now: float, call_flow_request_id: str) -> OldRequest:
    """The body of `POST …/calls`; `now` is unix seconds.

    Raises ContractError and nothing else, with the codes and paths of the request as the client wrote it.
    """
    request = read_object(body)
    envelope = read_envelope(request)
    entries = read_entries(request, policy.most_actions)
    if len(entries) > 1:
        raise refusal(StatusCode.TOO_MANY_ACTIONS)
    entry = entries[0]
    if entry.action not in OLD_ACTIONS:
        words = f"{entry.path}.action should be one of: {','.join(OLD_ACTIONS)}"
        raise ContractError(int(StatusCode.ACTION_UNKNOWN), 400, words)
    dtmf_callback_url = None
    if entry.action == OLD_CAPTURE:
        entry = _capture(entry)
        dtmf_callback_url = _callback_url(entry.params)
        policy = replace(policy, has_call_action_webhook=True)
    actions = settle_entries(_unfolded(entry), policy, opens_with_call=True)
    return OldRequest(envelope.callflow(actions, now, call_flow_request_id), dtmf_callback_url)


def with_its_call(entries: list[Entry]) -> list[Entry]:
    """Entries of `/callflows`: a single action that names its own destination gets the call it asks for."""
    if len(entries) != 1 or entries[0].action not in _EARLY_ACTIONS or "destination" not in entries[0].params.values:
        return entries
    return _unfolded(entries[0])


def dtmf_result(
    uid: str, at: float, destination: str, dtmf: str, client_request_id: str | None = None
) -> dict[str, object]:
    """What is posted to `dtmfCallbackUrl`; `uid` is the id the request was answered with, `at` unix seconds."""
    body: dict[str, object] = {
        "uid": uid,
        "status": {"code": "DTMF", "timestamp": iso_milliseconds(at)},
        "destination": destination,
    }
    if client_request_id is not None:
        body["clientRequestId"] = client_request_id
    return body | {"actionDetails": {"dtmf": dtmf}}


def _unfolded(entry: Entry) -> list[Entry]:
    """makeCall, the action, and a hangup where nothing can follow; each says its own place is the client's."""
    call = Entry("makeCall", entry.params, entry.path)
    if entry.action in _FINAL_ACTIONS:
        return [call, entry, Entry("hangup", Fields({}, entry.params.path), entry.path)]
    return [call, entry]


def _capture(entry: Entry) -> Entry:
    """say&capture in the words of sayAndCapture. Its texts are judged here, under the names the client used."""
    params = entry.params
    text = params.string("text", 1, LONGEST_TEXT)
    end_message = params.optional_string("endMessage", LONGEST_TEXT)
    values = params.values | {"promptMessage": text, "successMessage": end_message, "failureMessage": None}
    return Entry("sayAndCapture", Fields(values, params.path), entry.path)


def _callback_url(params: Fields) -> str:
    if params.values.get("dtmfCallbackUrl") in (None, ""):
        raise refusal(StatusCode.NO_DTMF_CALLBACK)
    url = params.matching("dtmfCallbackUrl", HTTP_URL, LONGEST_URL)
    check_characters(url)
    return url
