"""Bodies of the webhooks about one moment of a call: VCS, what happened (§6), and VCA, what next (§7.1).

Both say the same of the leg. Reference ids follow the VSS reading (§13 row 27): an outbound leg has a `sourceRefId`,
the virtual number it shows, an inbound leg a `destinationRefId`, the virtual number that was called; the other is null.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from callwright.contract.timestamps import iso_milliseconds
from callwright.numbers import country_code

DtmfVersion = Literal[1, 2, 3]
"""Where a VCA carries digits: 1 `payload.dtmf`, 2 `payload.eventData` as text, 3 `payload.eventData.dtmf`."""


class CallEventStatus(StrEnum):
    """`callStatus` of an event."""

    CALL_INITIATED = "CALL_INITIATED"
    "VCS: an outbound leg is being dialled"
    CALL_RECEIVED = "CALL_RECEIVED"
    "VCS and VCA: somebody called a virtual number"
    CALL_CONNECTED = "CALL_CONNECTED"
    "VCS: the leg was answered"
    CALL_DISCONNECTED = "CALL_DISCONNECTED"
    "VCS: the leg is over, answered or not"
    CALL_UPDATED = "CALL_UPDATED"
    "VCS: something else about the leg changed"
    DTMF_RECEIVED = "DTMF_RECEIVED"
    "VCS: digits were captured"
    ACTION_COMPLETED = "ACTION_COMPLETED"
    "VCA: an action ended and nothing is left to run"


VCA_STATUSES = frozenset({CallEventStatus.CALL_RECEIVED, CallEventStatus.ACTION_COMPLETED})
VCS_STATUSES = frozenset(CallEventStatus) - {CallEventStatus.ACTION_COMPLETED}


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One moment of one leg."""

    event_id: str
    "UUID, the same on every try of the webhook"
    call_id: str
    "UUID; the leg id inside"
    session_id: str
    sub_account_id: str
    status: CallEventStatus
    inbound: bool
    source: str
    "E.164 with +, or what the network sent"
    destination: str
    at: float
    "unix seconds"
    source_ref_id: str | None = None
    "reference id of `source`, if it is a virtual number of the sub-account"
    destination_ref_id: str | None = None
    duration_seconds: int = 0
    "connected so far"
    sip_code: int = 200
    "final SIP status; 200 as long as there is none, as the API's samples have it"


def call_status(event: CallEvent) -> dict[str, object]:
    """The VCS body. ValueError for ACTION_COMPLETED, which is no VCS."""
    if event.status not in VCS_STATUSES:
        raise ValueError(f"{event.status} is not a status of a VCS")
    return _body("CALL_STATUS", "Status update of a call", _payload(event))


def call_action(
    event: CallEvent,
    *,
    dtmf: str | None = None,
    client_action_id: str | None = None,
    dtmf_version: DtmfVersion = 3,
    extra_dtmf: bool = False,
) -> dict[str, object]:
    """The VCA body. ValueError unless the event is CALL_RECEIVED or ACTION_COMPLETED.

    `dtmf` is what a finished capture has, None for nothing; a CALL_RECEIVED never carries it. `client_action_id` is the
    one of the customer's previous reply, or of the request. `extra_dtmf` adds `payload.dtmf` to versions 2 and 3.
    """
    if event.status not in VCA_STATUSES:
        raise ValueError(f"{event.status} is not a status of a VCA")
    payload = _payload(event)
    if event.status is CallEventStatus.ACTION_COMPLETED:
        if dtmf_version == 3:
            payload["eventData"] = {"dtmf": dtmf}
        elif dtmf_version == 2:
            payload["eventData"] = dtmf
        if dtmf_version == 1 or extra_dtmf:
            payload["dtmf"] = dtmf
    if client_action_id is not None:
        payload["clientActionId"] = client_action_id
    return _body("CALL_ACTION", "Action request of a call", payload)


def _payload(event: CallEvent) -> dict[str, object]:
    return {
        "eventId": event.event_id,
        "callId": event.call_id,
        "sessionId": event.session_id,
        "subAccountId": event.sub_account_id,
        "callStatus": event.status.value,
        "callDirection": "INBOUND" if event.inbound else "OUTBOUND",
        "callType": "PSTN",
        "source": event.source,
        "destination": event.destination,
        "sourceFormat": "MSISDN",
        "destinationFormat": "MSISDN",
        "sourceCountryCode": country_code(event.source),
        "destinationCountryCode": country_code(event.destination),
        "sourceRefId": None if event.inbound else event.source_ref_id,
        "destinationRefId": event.destination_ref_id if event.inbound else None,
        "callDuration": event.duration_seconds,
        "sipCode": event.sip_code,
        "timestamp": iso_milliseconds(event.at),
    }


def _body(event_type: str, description: str, payload: dict[str, object]) -> dict[str, object]:
    return {"payload": payload, "namespace": "VOICE", "eventType": event_type, "description": description}
