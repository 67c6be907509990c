"""Bodies of requests. What a schema cannot say (phone numbers that exist, voices, which actions fit together) is judged
by the code beyond it; what it refuses, the code refuses too."""

from callwright import settings_trunk
from callwright.api.described.shorthand import (
    BOOLEAN,
    MSISDN,
    NUMBER,
    Schema,
    listing,
    maybe,
    one_of,
    record,
    ref,
    text,
    whole,
)
from callwright.contract.deliveries import LOGGED_TYPES, REPLAYABLE
from callwright.contract.voices import speech_profiles

SPOKEN = text(1, 3000, r"\S")
SPEED: Schema = {**NUMBER, "minimum": 0.5, "maximum": 2}
VOICE: Schema = {
    "type": "string",
    "anyOf": [
        {"enum": [profile["speechProfileCode"] for profile in speech_profiles()]},
        {"pattern": "^(?:[a-z]{2,3}-[A-Z]{2}-[A-Za-z0-9\\-]+|generic-[A-Za-z\\-]+)$", "maxLength": 50},
    ],
    "examples": ["en-IE-EmilyNeural"],
}
URL: Schema = {"type": "string", "maxLength": 2048, "pattern": r"^[hH][tT][tT][pP][sS]?://\S+$"}
LANGUAGE: Schema = {"description": "a text such as en-US, read when `voiceProfile` is absent"}
WRITTEN_NUMBER: Schema = {**text(3, 1000, r"^[+0-9\s().\-]+$"), "examples": ["+6512345678"]}
NUMBER_AS_INTEGER: Schema = {"type": "integer", "minimum": 1, "maximum": 10**15 - 1}
AUDIO_FORMAT: Schema = {**maybe(one_of("mp3", "wav")), "description": "mp3 unless given"}
FOLDER: Schema = {**text(0, 1024), "description": "a folder; no .. in it"}
CREDENTIAL = text(1, 1024, r"\S")
CLIENT_ID = maybe(text(0, 256))
MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}

_VOICE_OR_LANGUAGE = {"anyOf": [{"required": ["voiceProfile"]}, {"required": ["language"]}]}
_CALL = {"source": MSISDN, "destination": MSISDN}
_SAY = {
    "text": SPOKEN,
    "voiceProfile": VOICE,
    "language": LANGUAGE,
    "speed": maybe(SPEED),
    "repetition": maybe(whole(1, 3)),
}
_PLAY = {"fileUrl": URL, "repetition": maybe(whole(1, 3))}
_CAPTURE = {
    "promptMessage": SPOKEN,
    "voiceProfile": VOICE,
    "language": LANGUAGE,
    "speed": maybe(SPEED),
    "successMessage": maybe(text(0, 3000)),
    "failureMessage": maybe(text(0, 3000)),
    "completeOnHash": maybe(BOOLEAN),
    "minDigits": maybe(whole(1)),
    "maxDigits": maybe(whole(1, 25)),
    "digitTimeout": {**maybe(whole(1)), "description": "milliseconds"},
    "overallTimeout": {**maybe(whole(1)), "description": "milliseconds"},
    "noOfTries": maybe(whole(1)),
}


def _action(name: str, params: Schema) -> Schema:
    return record({"action": {"const": name}, "params": params})


def _old_action(name: str, params: dict[str, Schema], required: list[str]) -> Schema:
    body = {**record({**_CALL, **params}, [*_CALL, *required])}
    if name != "playFile":
        body |= _VOICE_OR_LANGUAGE
    return record({"action": {"const": name}, "params": body})


_TEXTS = listing(text(1))
TRUNK: dict[str, Schema] = {
    "uri": text(5, pattern=r"^[sS][iI][pP]:[^@?]+$"),
    "username": text(1),
    "password": text(1),
    "register": BOOLEAN,
    "expires": whole(60, 86_400),
    "group": text(1, 50, r"^[A-Za-z0-9\-._]+$"),
    "priority": whole(0, 65_535),
    "weight": whole(0, 65_535),
    "options_seconds": whole(0, 3600),
    "ca_file": text(1),
    "certificate": text(1),
    "key": text(1),
    "number_format": one_of(*settings_trunk.NUMBER_FORMATS),
    "country": text(2, 2),
    "identity": one_of(*settings_trunk.IDENTITY_HEADERS),
    "privacy": one_of(*settings_trunk.PRIVACIES),
    "from_user": text(1),
    "from_domain": text(1),
    "headers": {"type": "object", "additionalProperties": text(1, 1000)},
    "sources": _TEXTS,
    "advertise": text(2),
    "stun": text(1),
    "max_calls": whole(0, 100_000),
    "calls_per_second": whole(0, 10_000),
    "rewrite": _TEXTS,
    "rewrite_caller": _TEXTS,
    "codecs": listing(one_of(*settings_trunk.CODECS)),
    "srtp": one_of(*settings_trunk.SRTP),
    "symmetric_rtp": BOOLEAN,
}
"""The keys of `[trunks.NAME]`, as JSON has them."""

REQUESTS: dict[str, Schema] = {
    "TrunkSettings": {**record(TRUNK, ["uri"]), "additionalProperties": False},
    "TrunkChanges": {**record({key: maybe(one) for key, one in TRUNK.items()}, []), "additionalProperties": False},
    "CallflowRequest": record(
        {
            "validUntil": MOMENT,
            "clientRequestId": CLIENT_ID,
            "clientActionId": CLIENT_ID,
            "callflow": {**listing(ref("Action"), 1, 50), "prefixItems": [ref("MakeCall")]},
        },
        ["callflow"],
    ),
    "Action": {"anyOf": [ref("MakeCall"), ref("Say"), ref("PlayFile"), ref("SayAndCapture"), ref("HangUp")]},
    "MakeCall": _action("makeCall", record({**_CALL, "callRecording": maybe(BOOLEAN)}, ["source", "destination"])),
    "Say": _action("say", {**record(_SAY, ["text"]), **_VOICE_OR_LANGUAGE}),
    "PlayFile": _action("playFile", record(_PLAY, ["fileUrl"])),
    "SayAndCapture": _action("sayAndCapture", {**record(_CAPTURE, ["promptMessage"]), **_VOICE_OR_LANGUAGE}),
    "HangUp": record({"action": {"const": "hangup"}, "params": {"type": ["object", "null"]}}, ["action"]),
    "OldCallRequest": record(
        {
            "validUntil": MOMENT,
            "clientRequestId": CLIENT_ID,
            "clientActionId": CLIENT_ID,
            "callflow": listing(
                {
                    "anyOf": [
                        _old_action("say", _SAY, ["text"]),
                        _old_action(
                            "say&capture",
                            {
                                **{name: schema for name, schema in _CAPTURE.items() if not name.endswith("Message")},
                                "text": SPOKEN,
                                "endMessage": maybe(text(0, 3000)),
                                "dtmfCallbackUrl": URL,
                            },
                            ["text", "dtmfCallbackUrl"],
                        ),
                        _old_action("playFile", _PLAY, ["fileUrl"]),
                    ]
                },
                1,
                1,
            ),
        },
        ["callflow"],
    ),
    "WebhookRequest": record(
        {
            "type": one_of("VCS", "VCA", "VSS", "VRU", "VNU"),
            "url": URL,
            "httpAuthHeader": {
                **maybe(text(0, 2048, r"^(?:[!-~](?:[ -~]*[!-~])?)?$")),
                "description": "sent word for word as Authorization",
            },
            "enabled": maybe(BOOLEAN),
            "active": {"description": "a boolean, read when `enabled` is absent"},
            "payloadVersion": {**maybe(whole(1, 3)), "description": "where a VCA carries digits"},
        },
        ["type", "url"],
    ),
    "RotationRequest": record(
        {"oldValidHours": {**maybe({**NUMBER, "minimum": 0, "maximum": 168}), "description": "24 unless given"}}, []
    ),
    "ReplayRequest": {
        **record(
            {
                "eventId": text(1, 64),
                "sessionId": text(1, 64),
                "since": {"type": "string", "format": "date-time"},
                "types": maybe(listing(one_of(*LOGGED_TYPES), 1)),
                "states": maybe(listing(one_of(*REPLAYABLE), 1)),
            },
            [],
        ),
        "oneOf": [{"required": ["eventId"]}, {"required": ["sessionId"]}, {"required": ["since"]}],
    },
    "PushConfigRequest": {
        "anyOf": [
            record(
                {
                    "protocol": {"const": "S3"},
                    "host": text(1, 253, r"^(?:https?://)?[A-Za-z0-9._\-]+(?::[0-9]{1,5})?/?$"),
                    "port": maybe(whole(1, 65_535)),
                    "username": CREDENTIAL,
                    "password": CREDENTIAL,
                    "path": {**text(3, 1024), "description": "a bucket, then a folder in it"},
                    "audioFormat": AUDIO_FORMAT,
                },
                ["protocol", "host", "username", "password", "path"],
            ),
            record(
                {
                    "protocol": {"const": "SFTP"},
                    "host": text(1, 253, r"^[A-Za-z0-9._:\-]+$"),
                    "port": maybe(whole(1, 65_535)),
                    "username": CREDENTIAL,
                    "password": CREDENTIAL,
                    "path": FOLDER,
                    "audioFormat": AUDIO_FORMAT,
                },
                ["protocol", "host", "username", "password", "path"],
            ),
            record(
                {"protocol": {"const": "LOCAL"}, "path": FOLDER, "audioFormat": AUDIO_FORMAT},
                ["protocol", "path"],
            ),
        ]
    },
    "ExportRequest": record(
        {
            "from": {"type": ["string", "null"], "examples": ["2025-06-01", "2025-06-01T08:00:00Z"]},
            "to": {"type": ["string", "null"], "examples": ["2025-06-08"]},
            "limit": {**maybe(whole(0)), "description": "most rows; 0 for all"},
        },
        [],
    ),
    "VerificationRequest": record(
        {
            "channel": {"const": "call", "description": "callwright can only call"},
            "destination": {"anyOf": [WRITTEN_NUMBER, NUMBER_AS_INTEGER]},
            "country": {"type": ["string", "null"], "examples": ["SG"]},
            "call": maybe(
                record(
                    {
                        "source": {"anyOf": [MSISDN, NUMBER_AS_INTEGER, {"type": "null"}]},
                        "speed": maybe(SPEED),
                        "repetition": maybe(whole(1, 3)),
                        "voiceProfile": maybe(VOICE),
                    },
                    [],
                )
            ),
            "brand": maybe(text(0, 30)),
            "codeLength": maybe(whole(3, 10)),
            "codeValidity": {**maybe(whole(30, 7200)), "description": "seconds"},
            "codeType": maybe(
                one_of("NUMERIC", "NUMERIC_WITH_DASH", "ALPHANUMERIC", "ALPHANUMERIC_CAPITALS", "ALPHANUMERIC_EASY")
            ),
            "template": {**maybe(text(0, 3000)), "description": "holds {code}, may hold {brand}"},
            "language": maybe(text(0, 50)),
            "resetSession": maybe(BOOLEAN),
            "resendingInterval": {**maybe(whole(10, 7200)), "description": "seconds"},
            "callbackUrl": maybe(URL),
            "clientIp": maybe(text(0, 45)),
        },
        ["channel", "destination"],
    ),
}
"""By name; `#/components/schemas`."""
