"""Bodies of answers."""

from callwright.api.described.shorthand import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    TIME,
    UUID,
    Schema,
    listing,
    maybe,
    one_of,
    record,
    ref,
)
from callwright.contract.deliveries import LOGGED_TYPES
from callwright.contract.deliveries import STATES as DELIVERY_STATES
from callwright.contract.log_export import ExportStatus
from callwright.contract.otp_session import VerificationStatus
from callwright.contract.recordings import RecordingStatus
from callwright.contract.session_list import STATUSES
from callwright.contract.webhook_config import WEBHOOK_TYPES

_OK: dict[str, Schema] = {"statusCode": INTEGER, "statusMessage": STRING}
_STATE = one_of("ACCEPTED", "DIALLED", "FINISHED")
_WEBHOOK: dict[str, Schema] = {
    "type": one_of(*WEBHOOK_TYPES),
    "url": STRING,
    "enabled": BOOLEAN,
    "httpAuthHeaderAvailable": BOOLEAN,
}
_TRY: dict[str, Schema] = {
    "at": TIME,
    "host": STRING,
    "httpStatus": maybe(INTEGER),
    "error": maybe(STRING),
    "elapsedMs": INTEGER,
}
_LAST_TRY: Schema = {"anyOf": [record(_TRY), {"type": "null"}]}
_LEG: dict[str, Schema] = {
    "callId": STRING,
    "callDirection": one_of("INBOUND", "OUTBOUND"),
    "callType": STRING,
    "initiatedTimestamp": TIME,
    "disconnectedTimestamp": TIME,
    "source": STRING,
    "destination": STRING,
    "sourceFormat": STRING,
    "destinationFormat": STRING,
    "sourceCountryCode": maybe(STRING),
    "destinationCountryCode": maybe(STRING),
    "callStatus": one_of(*STATUSES[1:]),
    "callDuration": INTEGER,
}

_TRUNK_STATE = record(
    {
        "healthy": BOOLEAN,
        "registered": maybe(BOOLEAN),
        "calls": INTEGER,
        "waiting": INTEGER,
        "closedUntil": maybe(TIME),
        "options": maybe(STRING),
        "registration": maybe(STRING),
    }
)

ANSWERS: dict[str, Schema] = {
    "Trunk": record(
        {
            "name": STRING,
            "source": one_of("settings", "database"),
            "settings": {"type": "object"},
            "hasPassword": BOOLEAN,
            "updatedAt": maybe(TIME),
            "problem": {**maybe(STRING), "description": "why it takes no calls"},
            "state": {"anyOf": [_TRUNK_STATE, {"type": "null"}], "description": "on the node that answers"},
        }
    ),
    "TrunkList": record({"trunks": listing(ref("Trunk"))}),
    "TrunkTried": record(
        {
            "name": STRING,
            "answers": BOOLEAN,
            "problem": maybe(STRING),
            "addresses": listing(record({"address": STRING, "status": INTEGER, "reason": STRING, "answered": BOOLEAN})),
        }
    ),
    "CallflowCreated": record(
        {
            "sessionId": UUID,
            "sessionStatus": {"const": "CREATED"},
            "callFlowRequestId": UUID,
            "validUntil": TIME,
            "statusCode": {"const": 1},
            "statusMessage": {"const": "Created"},
        },
        ["sessionId", "sessionStatus", "callFlowRequestId", "statusCode", "statusMessage"],
    ),
    "CallflowRefused": record({"sessionStatus": {"const": "NOT_CREATED"}, "callFlowRequestId": UUID, **_OK}),
    "Refused": record(_OK),
    "NumberRefused": record({**_OK, "timestamp": TIME}, list(_OK)),
    "ConfigurationRefused": record({"errorId": UUID, "statusCode": STRING, "statusMessage": STRING, "timestamp": TIME}),
    "PlatformRefused": record({"code": INTEGER, "message": STRING, "errorId": UUID, "timestamp": TIME}),
    "Problem": record({"type": STRING, "title": STRING, "status": INTEGER, "detail": STRING, "instance": STRING}),
    "WebhookList": record(
        {"subAccountId": STRING, "count": INTEGER, "webhooks": listing(record(_WEBHOOK)), **_OK},
    ),
    "WebhookDeleted": record({"subAccountId": STRING, **_WEBHOOK, **_OK}),
    "Webhook": record(
        {
            "subAccountId": STRING,
            **_WEBHOOK,
            "payloadVersion": INTEGER,
            "state": one_of("DISABLED", "UNTRIED", "WORKING", "FAILING"),
            "waiting": {**INTEGER, "description": "events that are due, now or later"},
            "held": {**INTEGER, "description": "events that wait for the webhook to be there again"},
            "waitingSince": maybe(TIME),
            "nextAttemptAt": maybe(TIME),
            "lastSuccess": _LAST_TRY,
            "lastFailure": _LAST_TRY,
            "secrets": listing(
                record(
                    {
                        "secret": {**maybe(STRING), "description": "null for keys that may only read"},
                        "createdAt": TIME,
                        "expiresAt": maybe(TIME),
                    }
                )
            ),
        }
    ),
    "WebhookTest": record({"eventId": STRING, "delivered": BOOLEAN, **_TRY, "answer": maybe(STRING)}),
    "DeliveryLog": record(
        {
            "deliveries": listing(
                record(
                    {
                        "eventId": STRING,
                        "type": one_of(*LOGGED_TYPES),
                        "sessionId": maybe(STRING),
                        "state": one_of(*DELIVERY_STATES),
                        "at": {**maybe(TIME), "description": "null: it has not happened yet"},
                        "nextAttemptAt": maybe(TIME),
                        "attempts": listing(record(_TRY)),
                    }
                )
            ),
            "before": {**maybe(INTEGER), "description": "of the next page, null after the last; pages may be short"},
        }
    ),
    "Replayed": record(
        {"replayed": INTEGER, "held": {**INTEGER, "description": "these wait for their webhook to be there again"}}
    ),
    "SpeechProfileList": record(
        {
            "speechProfiles": listing(
                record(
                    {
                        "speechProfileCode": STRING,
                        "localeCode": STRING,
                        "localeDescription": STRING,
                        "gender": one_of("F", "M"),
                    }
                )
            ),
            **_OK,
        }
    ),
    "NumberList": record(
        {
            "totalNumbers": INTEGER,
            "lastUpdatedAt": TIME,
            "numbers": listing(
                record(
                    {
                        "msisdn": STRING,
                        "dateCreated": TIME,
                        "dateUpdated": TIME,
                        "countryCode": maybe(STRING),
                        "operationalStatus": one_of("Active", "Expiring", "Inactive"),
                        "referenceId": STRING,
                        "rentalPrice": NUMBER,
                        "incomingRate": NUMBER,
                        "billingUnit": INTEGER,
                        "uri": STRING,
                        "numberHealthCheckEnabled": BOOLEAN,
                        "billingCurrency": STRING,
                        "numberType": STRING,
                    }
                )
            ),
            **_OK,
        }
    ),
    "NumberFound": record(
        {
            **_OK,
            "timestamp": TIME,
            "payload": record({"referenceId": STRING, "msisdn": STRING, "countryCode": maybe(STRING)}),
        }
    ),
    "PushConfig": record(
        {
            "delete": {**BOOLEAN, "description": "not when it is only read"},
            "subAccountId": STRING,
            "protocol": one_of("S3", "SFTP", "LOCAL"),
            "host": STRING,
            "port": maybe(INTEGER),
            "username": STRING,
            "passwordSet": BOOLEAN,
            "path": STRING,
            "audioFormat": {"const": "wav", "description": "unless it is mp3"},
            **_OK,
        },
        ["subAccountId", "protocol", "host", "port", "username", "passwordSet", "path", *_OK],
    ),
    "RecordingList": record(
        {
            "recordings": listing(
                record(
                    {
                        "recordingId": STRING,
                        "sessionId": UUID,
                        "subAccountId": STRING,
                        "status": one_of(*RecordingStatus),
                        "externalFileUrl": maybe(STRING),
                        "duration": {**INTEGER, "description": "seconds; not while it is recorded"},
                        "startRecordingTime": TIME,
                    },
                    ["recordingId", "sessionId", "subAccountId", "status", "externalFileUrl", "startRecordingTime"],
                )
            ),
            **_OK,
        }
    ),
    "ExportStarted": record({"jobId": UUID}),
    "ExportState": record(
        {"status": one_of(*ExportStatus), "data": listing(STRING), "expires": TIME},
        ["status"],
    ),
    "Verification": record(
        {
            "sessionId": STRING,
            "verifyUri": STRING,
            "destination": STRING,
            "status": one_of(*VerificationStatus),
            "attempt": INTEGER,
            "expiresAt": TIME,
            "retryAfter": TIME,
        }
    ),
    "SessionPage": record(
        {
            "sessions": listing(
                record(
                    {
                        "sessionId": UUID,
                        "state": _STATE,
                        "status": one_of(*STATUSES),
                        "acceptedAt": TIME,
                        "finishedAt": maybe(TIME),
                        "source": maybe(STRING),
                        "destination": maybe(STRING),
                        "callCount": maybe(INTEGER),
                    }
                )
            ),
            "nextPage": maybe(STRING),
            "next": {**maybe(STRING), "description": "path and query of the next page"},
        }
    ),
    "SessionDetails": record(
        {
            "sessionId": UUID,
            "subAccountId": STRING,
            "state": _STATE,
            "status": one_of(*STATUSES),
            "acceptedAt": TIME,
            "finishedAt": maybe(TIME),
            "callFlowRequestId": maybe(STRING),
            "clientRequestId": maybe(STRING),
            "source": maybe(STRING),
            "destination": maybe(STRING),
            "legs": listing(
                record(
                    {
                        "callId": STRING,
                        "callDirection": one_of("INBOUND", "OUTBOUND"),
                        "source": STRING,
                        "destination": STRING,
                        "initiatedAt": TIME,
                        "connectedAt": maybe(TIME),
                        "disconnectedAt": TIME,
                        "callStatus": one_of(*STATUSES[1:]),
                        "sipCode": maybe(INTEGER),
                        "reason": STRING,
                        "hungUpBy": maybe(STRING),
                        "codec": maybe(STRING),
                    }
                )
            ),
            "actions": listing(
                record({"action": STRING, "startedAt": TIME, "endedAt": maybe(TIME), "result": maybe(STRING)})
            ),
            "webhooks": listing(
                record(
                    {
                        "eventId": STRING,
                        "type": one_of(*WEBHOOK_TYPES),
                        "state": one_of(*DELIVERY_STATES),
                        "nextAttemptAt": maybe(TIME),
                        "attempts": listing(
                            record(
                                {
                                    "at": TIME,
                                    "httpStatus": maybe(INTEGER),
                                    "error": maybe(STRING),
                                    "elapsedMs": INTEGER,
                                }
                            )
                        ),
                    }
                )
            ),
            "summary": {"anyOf": [ref("SessionSummary"), {"type": "null"}]},
        }
    ),
    "SessionState": record(
        {
            "sessionId": UUID,
            "subAccountId": STRING,
            "state": _STATE,
            "summary": {"anyOf": [ref("SessionSummary"), {"type": "null"}]},
        }
    ),
    "SessionSummary": {
        **record(
            {
                "sessionId": UUID,
                "subAccountId": STRING,
                "sessionStatus": one_of(*STATUSES[1:]),
                "startTime": TIME,
                "endTime": TIME,
                "lastAction": STRING,
                "callCount": INTEGER,
                "clientRequestId": STRING,
                "errorDetails": record(
                    {"callFlowRequestId": STRING, "action": STRING, "errorMsg": STRING, "errorCode": INTEGER},
                    ["errorMsg", "errorCode"],
                ),
                "details": record({"callA": record(_LEG), "callB": record(_LEG)}, []),
            },
            [
                "sessionId",
                "subAccountId",
                "sessionStatus",
                "startTime",
                "endTime",
                "lastAction",
                "callCount",
                "details",
            ],
        ),
        "description": "the payload of the VSS webhook",
    },
    "EventPage": record(
        {
            "events": listing(
                record(
                    {
                        "number": INTEGER,
                        "eventId": {**STRING, "description": "the `webhook-id` of its deliveries"},
                        "type": one_of(*WEBHOOK_TYPES),
                        "sessionId": maybe(STRING),
                        "at": TIME,
                        "body": {"type": "object", "description": "as a webhook is posted it"},
                    }
                )
            ),
            "next": {**INTEGER, "description": "`after` of the next page"},
            "oldest": {**INTEGER, "description": "the first that is kept"},
            "newest": INTEGER,
        }
    ),
    "Health": record({"status": STRING, "reason": STRING}, ["status"]),
    "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
}
"""By name; `#/components/schemas`."""
