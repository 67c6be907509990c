"""The body of the VSS webhook, the session summary (§5)."""

from collections.abc import Mapping

from callwright.callflow.outcome import CallQuality
from callwright.callflow.summary import ErrorDetails, LegSummary, SessionSummary
from callwright.contract.codes import ERROR_MESSAGES
from callwright.contract.timestamps import iso_seconds
from callwright.numbers import country_code

SUMMARY_VERSION = 5
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def session_summary(
    summary: SessionSummary, *, capital_leg_keys: bool = False, reference_ids: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The VSS body; `json_text.serialize` makes bytes of it.

    `capital_leg_keys` names the legs CallA and CallB instead of callA and callB (§13 row 5). `reference_ids` are those
    of the sub-account's virtual numbers, by number (E.164 with +): a leg names the one it shows or was called on.
    """
    payload: dict[str, object] = {
        "sessionId": summary.session_id,
        "subAccountId": summary.sub_account_id,
        "sessionStatus": summary.status.value,
        "startTime": iso_seconds(summary.started_at),
        "endTime": iso_seconds(summary.ended_at),
        "lastAction": summary.last_action,
        "callCount": len(summary.legs),
    }
    if summary.client_request_id is not None:
        payload["clientRequestId"] = summary.client_request_id
    if summary.error is not None:
        payload["errorDetails"] = _error_details(summary.error)
    word = "Call" if capital_leg_keys else "call"
    payload["details"] = {
        word + _letters(index): _leg(leg, reference_ids or {}) for index, leg in enumerate(summary.legs)
    }
    return {
        "payload": payload,
        "namespace": "VOICE",
        "eventType": "SESSION_SUMMARY",
        "description": "Summary of a completed call session",
        "version": SUMMARY_VERSION,
    }


def _letters(index: int) -> str:
    """A and B as documented, C to Z and then AA, AB, ... where answers to VCA connected one party after the other."""
    above, letter = divmod(index, len(_ALPHABET))
    return (_letters(above - 1) if above else "") + _ALPHABET[letter]


def _error_details(error: ErrorDetails) -> dict[str, object]:
    details: dict[str, object] = {}
    if error.call_flow_request_id is not None:
        details["callFlowRequestId"] = error.call_flow_request_id
    if error.action is not None:
        details["action"] = error.action
    return details | {"errorMsg": ERROR_MESSAGES[error.code], "errorCode": int(error.code)}


def _leg(leg: LegSummary, reference_ids: Mapping[str, str]) -> dict[str, object]:
    body: dict[str, object] = {
        "callId": leg.call_id,
        "callDirection": "INBOUND" if leg.inbound else "OUTBOUND",
        "callType": "PSTN",
        "initiatedTimestamp": iso_seconds(leg.initiated_at),
    }
    if leg.connected_at is not None:
        body["connectedTimestamp"] = iso_seconds(leg.connected_at)
    body |= {
        "disconnectedTimestamp": iso_seconds(leg.disconnected_at),
        "source": leg.source,
        "destination": leg.destination,
        "sourceFormat": "MSISDN",
        "destinationFormat": "MSISDN",
        "sourceCountryCode": country_code(leg.source),
        "destinationCountryCode": country_code(leg.destination),
    }
    reference_id = reference_ids.get(leg.destination if leg.inbound else leg.source)
    if reference_id is not None:
        body["destinationRefId" if leg.inbound else "sourceRefId"] = reference_id
    body |= {
        "callStatus": leg.status.value,
        "callDuration": leg.duration_seconds,
    }
    if leg.quality is not None and leg.connected_at is not None:
        body["callQuality"] = _quality(leg.quality)
    return body


def _quality(quality: CallQuality) -> dict[str, object]:
    return {
        "mos": round(quality.mos, 2),
        "packetLossRate": round(quality.packet_loss_rate, 4),
        "jitter": quality.jitter_ms,
    }
