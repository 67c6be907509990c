"""What stands around a flow: a JSON object as a body, the client's ids and `validUntil` (§1.3).

Requests, the older requests and the replies of a VCA webhook share it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from callwright.callflow.plan import Action, Callflow
from callwright.contract.actions import check_characters
from callwright.contract.codes import StatusCode, entry_refusal, refusal
from callwright.contract.json_text import parse_json
from callwright.contract.schema import Fields, kind
from callwright.contract.timestamps import parse_timestamp
from callwright.errors import ContractError

LONGEST_CLIENT_ID = 256


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields beside `callflow`."""

    client_request_id: str | None
    client_action_id: str | None
    valid_until: float | None
    "unix seconds"

    def callflow(self, actions: tuple[Action, ...], now: float, call_flow_request_id: str) -> Callflow:
        """The flow as accepted at `now`, unix seconds. ContractError -1016 for the client's ids, -1015 if too late."""
        check_characters(f"{self.client_request_id or ''}{self.client_action_id or ''}")
        if self.valid_until is not None and self.valid_until < now:
            raise refusal(StatusCode.EXPIRED)
        return Callflow(actions, call_flow_request_id, self.valid_until, self.client_action_id, self.client_request_id)


def read_object(body: bytes, refuse: Callable[[str], ContractError] | None = None) -> Fields:
    """The JSON object in `body`.

    Raises -1001 and -1009, or with `refuse` what it makes of the words; HTTP 413 above 256 KiB in either case.
    """
    try:
        document = parse_json(body)
    except ContractError as error:
        if refuse is None:
            raise
        ours = refuse("")
        http_status = 413 if error.http_status == 413 else ours.http_status
        raise ContractError(ours.status_code, http_status, error.message) from None
    refuse = refuse or entry_refusal
    if not isinstance(document, dict):
        raise refuse(f"$: {kind(document)} found, object expected")
    return Fields(document, "$", refuse)


def read_envelope(request: Fields) -> Envelope:
    """The fields beside `callflow`, of the right types; -1009 otherwise."""
    return Envelope(
        client_request_id=request.optional_string("clientRequestId", LONGEST_CLIENT_ID),
        client_action_id=request.optional_string("clientActionId", LONGEST_CLIENT_ID),
        valid_until=_valid_until(request),
    )


def _valid_until(request: Fields) -> float | None:
    if request.values.get("validUntil") is None:
        return None
    at = parse_timestamp(request.string("validUntil"))
    if at is None:
        raise request.wrong("validUntil", "does not match the date-time pattern YYYY-MM-DDTHH:MM:SS.SSSZ")
    return at
