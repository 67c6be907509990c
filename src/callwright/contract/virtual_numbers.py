"""Virtual numbers: answers of the numbers API (§9.2), and the VNU webhook (§8.2).

callwright rents no numbers out, so prices are 0 unless the operator says otherwise. Which values `numberType` and
`numberHealth.status` have is in no public page; ours are free.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from callwright.contract.timestamps import iso_milliseconds
from callwright.errors import ContractError
from callwright.numbers import country_code

NOT_FOUND = "Resource not found"
_NUMBER_IN_PATH = re.compile(r"\+?([0-9]{7,15})")


class NumberStatus(StrEnum):
    """`operationalStatus`."""

    ACTIVE = "Active"
    UNHEALTHY = "Unhealthy"
    "told by webhook only; the list says Active, and `numberHealth` the rest"
    EXPIRING = "Expiring"
    INACTIVE = "Inactive"


@dataclass(frozen=True, slots=True)
class NumberHealth:
    """What the last check of a number found."""

    healthy: bool
    checked_at: float
    "unix seconds"


@dataclass(frozen=True, slots=True)
class VirtualNumber:
    """A number that people call to reach a sub-account, and that its calls may show."""

    msisdn: str
    "E.164 with +"
    reference_id: str
    "names it in call webhooks as sourceRefId or destinationRefId"
    created_at: float
    updated_at: float
    status: NumberStatus = NumberStatus.ACTIVE
    number_type: str = "GEOGRAPHIC"
    health: NumberHealth | None = None
    "None: not checked"
    rental_price: float = 0.0
    "per month"
    incoming_rate: float = 0.0
    "per minute"
    billing_unit: int = 60
    "seconds that inbound calls are rounded up to"
    billing_currency: str = "USD"


def read_number(text: str) -> str:
    """The `{number}` of a path as E.164 with +: 7 to 15 digits, + optional (§13 row 24). Else ContractError 404."""
    found = _NUMBER_IN_PATH.fullmatch(text)
    if not found:
        raise ContractError(404, 404, NOT_FOUND)
    return "+" + found[1]


def number_list(sub_account_id: str, numbers: Sequence[VirtualNumber], now: float) -> dict[str, object]:
    """HTTP 200 of listing the numbers; without any, `lastUpdatedAt` is `now` (unix seconds)."""
    return {
        "totalNumbers": len(numbers),
        "lastUpdatedAt": iso_milliseconds(max((number.updated_at for number in numbers), default=now)),
        "numbers": [_listed(sub_account_id, number) for number in numbers],
        "statusCode": 0,
        "statusMessage": "ok",
    }


def number_found(number: VirtualNumber, now: float) -> dict[str, object]:
    """HTTP 200 of asking for one number."""
    return {
        "statusCode": 0,
        "statusMessage": "ok",
        "timestamp": iso_milliseconds(now),
        "payload": {
            "referenceId": number.reference_id,
            "msisdn": number.msisdn,
            "countryCode": country_code(number.msisdn),
        },
    }


def number_not_found(now: float) -> dict[str, object]:
    """HTTP 404 of asking for one number, the same for an unknown one and for somebody else's."""
    return {"statusCode": 404, "statusMessage": NOT_FOUND, "timestamp": iso_milliseconds(now)}


def numbers_updated(
    sub_account_id: str, numbers: Sequence[VirtualNumber], updated: frozenset[str] | None = None
) -> dict[str, object]:
    """The VNU body.

    Without `updated` a SNAPSHOT of all `numbers`; with it, the msisdns that changed, UPDATES of the same list.
    """
    return {
        "payload": {
            "subAccountId": sub_account_id,
            "totalNumbers": len(numbers),
            "updateEventType": "SNAPSHOT" if updated is None else "UPDATES",
            "virtualNumbers": [_notified(number, changed=number.msisdn in (updated or ())) for number in numbers],
        },
        "namespace": "VOICE",
        "eventType": "VIRTUAL_NUMBER_UPDATE",
        "description": "Status of account virtual number(s) updated",
    }


def _listed(sub_account_id: str, number: VirtualNumber) -> dict[str, object]:
    status = NumberStatus.ACTIVE if number.status is NumberStatus.UNHEALTHY else number.status
    body: dict[str, object] = {
        "msisdn": number.msisdn,
        "dateCreated": iso_milliseconds(number.created_at),
        "dateUpdated": iso_milliseconds(number.updated_at),
        "countryCode": country_code(number.msisdn),
        "operationalStatus": status.value,
        "referenceId": number.reference_id,
        "rentalPrice": number.rental_price,
        "incomingRate": number.incoming_rate,
        "billingUnit": number.billing_unit,
        "uri": f"/api/v1/subaccounts/{sub_account_id}/numbers/{number.msisdn.removeprefix('+')}",
        "numberHealthCheckEnabled": number.health is not None,
        "billingCurrency": number.billing_currency,
        "numberType": number.number_type,
    }
    if number.health is not None:
        body["numberHealth"] = {
            "isHealthy": number.health.healthy,
            "status": "Healthy" if number.health.healthy else "Unhealthy",
            "lastCheckedTime": iso_milliseconds(number.health.checked_at),
        }
    return body


def _notified(number: VirtualNumber, *, changed: bool) -> dict[str, object]:
    return {
        "msisdn": number.msisdn,
        "updatedTimestamp": iso_milliseconds(number.updated_at),
        "countryCode": country_code(number.msisdn),
        "operationalStatus": number.status.value,
        "referenceId": number.reference_id,
        "rentalPrice": number.rental_price,
        "incomingRate": number.incoming_rate,
        "billingUnit": number.billing_unit,
        "billingCurrency": number.billing_currency,
        "numberHealthCheckEnabled": number.health is not None,
        "updateStatus": "UPDATED" if changed else "NO_CHANGE",
    }
