"""Recordings: where they are pushed to (§9.3), how they are named, what is said about them (§9.4, VRU of §8.2).

What `host` and `path` mean by protocol, where the contract leaves it open:

* S3: `host` is an AWS region (`ap-southeast-2`), or another store's endpoint (`s3.example.com`, `http://192.0.2.7:9000`);
  `path` is the bucket and then a folder in it.
* SFTP: `host` is a name or address; `path` is a folder, from the root with a leading /, from the login's without.
* LOCAL, our extension: `host` and the credentials are not used; `path` is a folder within the operator's folder for
  recordings, with or without a leading /. Whoever joins the two strips it.

`audioFormat`, our extension, is `mp3` unless given, or `wav`; only `wav` is echoed, so that who does not ask for it
reads what the contract documents.

Files are named `{path}/{sessionId}/{recordingId}_{start}.mp3`; the VRU sample has a date folder before the session's.
Whoever uploads decides once whether there is one: what the webhook names must be where the file lies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

from callwright.contract.envelope import read_object
from callwright.contract.schema import Fields
from callwright.contract.timestamps import iso_milliseconds
from callwright.contract.webhook_config import configuration_refusal

PROTOCOLS = ("S3", "SFTP", "LOCAL")
AUDIO_FORMATS = ("mp3", "wav")
USUAL_FORMAT = AUDIO_FORMATS[0]
DEFAULT_PORTS = {"S3": 443, "SFTP": 22}
LARGEST_PORT = 65_535
LONGEST_HOST = 253
LONGEST_CREDENTIAL = 1024
LONGEST_PATH = 1024

_HOST = re.compile(r"[A-Za-z0-9._:\-]+")
_ENDPOINT = re.compile(r"(?:https?://)?[A-Za-z0-9._\-]+(?::[0-9]{1,5})?/?")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
_SESSION_ID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")


class RecordingStatus(StrEnum):
    """How far a recording is."""

    PROCESSING = "PROCESSING"
    PROCESSING_FAILED = "PROCESSING_FAILED"
    UPLOAD_COMPLETED = "UPLOAD_COMPLETED"
    UPLOAD_FAILED = "UPLOAD_FAILED"
    CALLBACK_COMPLETED = "CALLBACK_COMPLETED"
    "uploaded, and the VRU webhook was taken"
    CALLBACK_FAILED = "CALLBACK_FAILED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class RecordingPushConfig:
    """Where a sub-account's recordings go."""

    protocol: str
    "one of PROTOCOLS"
    host: str
    "empty for LOCAL"
    port: int | None
    "None for LOCAL"
    username: str
    "login or access key; empty for LOCAL"
    password: str = field(repr=False)
    "password or secret key; empty for LOCAL"
    path: str
    "as the customer wrote it"
    audio_format: str = USUAL_FORMAT
    "one of AUDIO_FORMATS"


@dataclass(frozen=True, slots=True)
class S3Target:
    """What an S3 push config means."""

    endpoint: str | None
    "scheme, host and port of a store that is not AWS; None for AWS"
    region: str | None
    "AWS region; None for other stores"
    bucket: str
    prefix: str
    "folder in the bucket, without slashes at its ends"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as it stands."""

    recording_id: str
    session_id: str
    sub_account_id: str
    status: RecordingStatus
    started_at: float
    external_file_url: str | None = None
    "None until it is uploaded"
    duration_seconds: int | None = None


def parse_push_config(body: bytes) -> RecordingPushConfig:
    """The body of `POST …/recording-push-config`. ContractError 1001 with HTTP 422 (413 above 256 KiB)."""
    fields = read_object(body, configuration_refusal)
    protocol = fields.one_of("protocol", PROTOCOLS)
    path = _path(fields)
    audio_format = USUAL_FORMAT
    if fields.values.get("audioFormat") is not None:
        audio_format = fields.one_of("audioFormat", AUDIO_FORMATS)
    if protocol == "LOCAL":
        return RecordingPushConfig(protocol, "", None, "", "", path, audio_format)
    if protocol == "S3" and not _BUCKET.fullmatch(_segments(path)[0]):
        raise fields.wrong("path", "must begin with a bucket name")
    return RecordingPushConfig(
        protocol=protocol,
        host=_endpoint(fields) if protocol == "S3" else fields.matching("host", _HOST, LONGEST_HOST),
        port=fields.integer("port", 1, LARGEST_PORT) or DEFAULT_PORTS[protocol],
        username=_credential(fields, "username"),
        password=_credential(fields, "password"),
        path=path,
        audio_format=audio_format,
    )


def push_config(sub_account_id: str, config: RecordingPushConfig, *, deleted: bool | None = None) -> dict[str, object]:
    """HTTP 200 of reading (`deleted` None), storing (False) and deleting (True) a config; never the password."""
    body: dict[str, object] = {} if deleted is None else {"delete": deleted}
    body |= {
        "subAccountId": sub_account_id,
        "protocol": config.protocol,
        "host": config.host,
        "port": config.port,
        "username": config.username,
        "passwordSet": bool(config.password),
        "path": config.path,
    }
    if config.audio_format != USUAL_FORMAT:
        body["audioFormat"] = config.audio_format
    return body | {"statusCode": 0, "statusMessage": "ok"}


def s3_target(config: RecordingPushConfig) -> S3Target:
    """Endpoint, bucket and folder of an S3 config. A port counts only where the host names none and is no region."""
    bucket, *folders = _segments(config.path)
    prefix = "/".join(folders)
    if _REGION.fullmatch(config.host):
        return S3Target(None, config.host, bucket, prefix)
    scheme, _, host = config.host.rstrip("/").rpartition("://")
    scheme = scheme or "https"
    default_port = 443 if scheme == "https" else 80
    if ":" not in host and config.port not in (None, DEFAULT_PORTS["S3"], default_port):
        host = f"{host}:{config.port}"
    return S3Target(f"{scheme}://{host}", None, bucket, prefix)


def recording_path(  # one name, made of all that names a recording
    folder: str,
    session_id: str,
    recording_id: str,
    started_at: float,
    *,
    suffix: str = "mp3",
    date_folder: bool = False,
) -> str:
    """Where a recording lies: `{folder}[/{YYYY-MM-DD}]/{sessionId}/{recordingId}_{start}.{suffix}`; times are UTC."""
    start = iso_milliseconds(started_at)
    parts = [folder.rstrip("/"), *([start[:10]] if date_folder else []), session_id, f"{recording_id}_{start}.{suffix}"]
    return "/".join(parts) if folder else "/".join(parts[1:])


def external_file_url(config: RecordingPushConfig, path: str) -> str:
    """Where the customer finds the file that `recording_path` names, its colons encoded; for LOCAL the bare path."""
    bare = quote(path.lstrip("/"), safe="/")
    if config.protocol == "LOCAL":
        return bare
    if config.protocol == "SFTP":
        host = f"[{config.host}]" if ":" in config.host else config.host
        port = "" if config.port in (None, DEFAULT_PORTS["SFTP"]) else f":{config.port}"
        return f"sftp://{host}{port}/{bare}"
    target = s3_target(config)
    if target.endpoint is None:
        return f"https://{target.bucket}.s3.{target.region}.amazonaws.com/{bare.partition('/')[2]}"
    return f"{target.endpoint}/{bare}"


def recording_list(recordings: Sequence[Recording]) -> dict[str, object]:
    """HTTP 200 of asking for a session's recordings."""
    return {"recordings": [_recording(each) for each in recordings], "statusCode": 0, "statusMessage": "ok"}


def recording_updated(recording: Recording, file_path: str) -> dict[str, object]:
    """The VRU body, as things stand after the upload or its failure."""
    return {
        "payload": {
            "sessionId": recording.session_id,
            "recordingId": recording.recording_id,
            "durationSeconds": recording.duration_seconds or 0,
            "filePath": file_path,
            "status": recording.status.value,
        },
        "namespace": "VOICE",
        "eventType": "CALL_RECORDING_STATUS",
        "description": "Call recording status updated",
    }


def is_session_id(text: str) -> bool:
    """Whether `text` can be the `sessionId` of a path (§9.4)."""
    return _SESSION_ID.fullmatch(text) is not None


def _recording(recording: Recording) -> dict[str, object]:
    body: dict[str, object] = {
        "recordingId": recording.recording_id,
        "sessionId": recording.session_id,
        "subAccountId": recording.sub_account_id,
        "status": recording.status.value,
        "externalFileUrl": recording.external_file_url,
    }
    if recording.duration_seconds is not None:
        body["duration"] = recording.duration_seconds
    return body | {"startRecordingTime": iso_milliseconds(recording.started_at)}


def _endpoint(fields: Fields) -> str:
    host = fields.matching("host", _ENDPOINT, LONGEST_HOST)
    port = host.rstrip("/").rpartition(":")[2]
    if port.isdigit() and not 1 <= int(port) <= LARGEST_PORT:
        raise fields.wrong("host", "has a port that does not exist")
    return host


def _path(fields: Fields) -> str:
    path = _printable(fields, "path", fields.string("path", most=LONGEST_PATH))
    if ".." in path.split("/"):
        raise fields.wrong("path", "may not lead upwards")
    return path


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment] or [""]


def _credential(fields: Fields, name: str) -> str:
    return _printable(fields, name, fields.string(name, 1, LONGEST_CREDENTIAL))


def _printable(fields: Fields, name: str, text: str) -> str:
    if not _PRINTABLE.fullmatch(text):
        raise fields.wrong(name, "may not hold control characters")
    return text
