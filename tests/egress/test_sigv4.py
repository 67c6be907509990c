"""Signatures: the worked examples of the Amazon S3 API reference ("Examples: Signature Calculations")."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from callwright.egress.sigv4 import EMPTY_SHA256, AwsCredentials, signed_headers

CREDENTIALS = AwsCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AT = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
BUCKET = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("method", "url", "headers", "payload", "names", "signature"),
    [
        pytest.param(
            "GET",
            f"{BUCKET}/test.txt",
            {"Range": "bytes=0-9"},
            EMPTY_SHA256,
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            id="an object",
        ),
        pytest.param(
            "PUT",
            f"{BUCKET}/test%24file.text",
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            hashlib.sha256(b"Welcome to Amazon S3.").hexdigest(),
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            id="an upload with a character that is encoded",
        ),
        pytest.param(
            "GET",
            f"{BUCKET}?lifecycle",
            {},
            EMPTY_SHA256,
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            id="a query without a value",
        ),
        pytest.param(
            "GET",
            f"{BUCKET}/?prefix=J&max-keys=2",
            {},
            EMPTY_SHA256,
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            id="a query in another order",
        ),
    ],
)
def test_s3_signs_what_the_reference_signs(
    method: str, url: str, headers: dict[str, str], payload: str, names: str, signature: str
) -> None:
    signed = signed_headers(
        method, url, headers, payload, credentials=CREDENTIALS, region="us-east-1", service="s3", at=AT
    )
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    assert signed["x-amz-date"] == "20130524T000000Z"
    assert signed["x-amz-content-sha256"] == payload
    assert "host" not in signed


def sign(url: str, **changes: object) -> dict[str, str]:
    service = str(changes.pop("service", "s3"))
    headers = {str(name): str(value) for name, value in changes.items()}
    return signed_headers(
        "GET", url, headers, EMPTY_SHA256, credentials=CREDENTIALS, region="x", service=service, at=AT
    )


def test_services_other_than_s3_sign_an_encoded_path_encoded_again() -> None:
    """The canonical request of GET /a%20b to another service names the path /a%2520b."""
    canonical = "\n".join(
        (
            *("GET", "/a%2520b", "", "host:example.com", f"x-amz-content-sha256:{EMPTY_SHA256}"),
            *("x-amz-date:20130524T000000Z", "", "host;x-amz-content-sha256;x-amz-date", EMPTY_SHA256),
        )
    )
    scope = "20130524/x/polly/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = b"AWS4" + CREDENTIALS.secret_key.encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n20130524T000000Z\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert sign("https://example.com/a%20b", service="polly")["authorization"].endswith(f"Signature={key.hex()}")


def test_a_port_that_is_the_schemes_own_is_not_part_of_the_host() -> None:
    assert sign("https://example.com:443/") == sign("https://example.com/")
    assert sign("http://example.com:9000/") != sign("http://example.com/")


def test_a_session_token_is_sent_and_signed() -> None:
    temporary = AwsCredentials("AKIAIOSFODNN7EXAMPLE", CREDENTIALS.secret_key, "token")
    signed = signed_headers(
        "GET", f"{BUCKET}/", {}, EMPTY_SHA256, credentials=temporary, region="x", service="s3", at=AT
    )
    assert signed["x-amz-security-token"] == "token"
    assert ";x-amz-security-token," in signed["authorization"]


def test_neither_secret_is_printed() -> None:
    printed = repr(AwsCredentials("AKIAIOSFODNN7EXAMPLE", "secret", "token"))
    assert "AKIA" in printed
    assert "secret" not in printed.replace("secret_key", "")
    assert "token" not in printed.replace("session_token", "")
