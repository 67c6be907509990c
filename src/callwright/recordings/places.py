"""Where a finished recording lies at its target; pure.

The names are the contract's (§9.4): `{path}/{sessionId}/{recordingId}_{start}.mp3`, without the date folder that one
sample shows. The folder of the push config is written once, without doubled slashes, so that what the webhook names is
where the file is.
"""

from dataclasses import dataclass
from urllib.parse import quote

from callwright.contract.recordings import RecordingPushConfig, external_file_url, recording_path, s3_target

AWS_REGION_OF_OTHERS = "us-east-1"
"""What stores that are not AWS sign for, unless they are set otherwise (MinIO, Ceph)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A recording's place."""

    path: str
    "`filePath` of the webhook: bucket and key for S3, the file's path for SFTP, the path within its folder for LOCAL"
    external_url: str
    "`externalFileUrl`"


@dataclass(frozen=True, slots=True)
class S3Object:
    """Where an object is put, path-style."""

    url: str
    "percent-encoded"
    host: str
    "as it is sent: with the port unless it is the scheme's own"
    path: str
    "not percent-encoded"
    region: str


def place(config: RecordingPushConfig, session_id: str, recording_id: str, started_at: float, kind: str) -> Place:
    """Where a recording of `kind` ("mp3", "wav") goes."""
    folder = "/".join(part for part in config.path.split("/") if part not in ("", "."))
    if config.protocol == "SFTP" and config.path.startswith("/"):
        folder = "/" + folder
    path = recording_path(folder, session_id, recording_id, started_at, suffix=kind)
    return Place(path, external_file_url(config, path))


def s3_object(config: RecordingPushConfig, path: str) -> S3Object:
    """Where to put `Place.path`, and the region to sign for."""
    target = s3_target(config)
    endpoint = (target.endpoint or f"https://s3.{target.region}.amazonaws.com").lower()
    scheme, _, host = endpoint.partition("://")
    return S3Object(
        f"{endpoint}/{quote(path, safe='/-_.~')}",
        host.removesuffix(":443" if scheme == "https" else ":80"),
        f"/{path}",
        target.region or AWS_REGION_OF_OTHERS,
    )
