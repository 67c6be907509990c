"""AWS Signature Version 4: what a request to an AWS service, or to a store that speaks S3, carries to prove who asks.

Pure: the time is an argument. What is signed is what is sent: the method, the path and query as they stand in the URL,
the headers that are handed in with host, date and payload hash added, and the hash of the body. Source: "Signature
Version 4 signing process" of the AWS General Reference; S3 signs the path as it is, every other service signs it
encoded once more.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
"""The payload hash of a request without a body."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"
_SPACES = re.compile(r" +")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """An access key and what proves that it is ours."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    "for temporary credentials"


def signed_headers(
    method: str,
    url: str,
    headers: Mapping[str, str],
    payload_sha256: str,
    *,
    credentials: AwsCredentials,
    region: str,
    service: str,
    at: float,
) -> dict[str, str]:
    """The headers to send: those handed in, `x-amz-date`, `x-amz-content-sha256` and `authorization`, lower case.

    `url` is complete and already percent-encoded; `payload_sha256` is the body's SHA-256 in hexadecimal; `at` is unix
    seconds (servers refuse a signature that is more than about 15 minutes old). `host` is signed but not among the
    result, because whoever sends the request writes it.
    """
    parts = urlsplit(url)
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {name.lower(): value for name, value in headers.items()}
    sent |= {"x-amz-date": stamp, "x-amz-content-sha256": payload_sha256}
    if credentials.session_token is not None:
        sent["x-amz-security-token"] = credentials.session_token
    signed = sent | {"host": _host(parts.scheme, parts.hostname or "", parts.port)}
    names = ";".join(sorted(signed))
    request = "\n".join(
        (
            method,
            _canonical_path(parts.path, service),
            _canonical_query(parts.query),
            *(f"{name}:{_SPACES.sub(' ', signed[name].strip())}" for name in sorted(signed)),
            "",
            names,
            payload_sha256,
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = _hmac(key, part)
    sent["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, "
        f"Signature={_hmac(key, to_sign).hex()}"
    )
    return sent


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _host(scheme: str, host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{host}:{port}"


def _canonical_path(path: str, service: str) -> str:
    path = path or "/"
    return path if service == "s3" else quote(path, safe="/" + _UNRESERVED)


def _canonical_query(query: str) -> str:
    pairs = (piece.partition("=") for piece in query.split("&") if piece)
    return "&".join(f"{name}={value}" for name, _, value in sorted((name, "=", value) for name, _, value in pairs))
