"""Signatures against AWS's published test suite (aws-sig-v4-test-suite) and the examples of its documentation."""

import hashlib

import pytest

from callwright.egress.sigv4 import (
    EMPTY_SHA256,
    Credentials,
    Request,
    Scope,
    amz_date,
    authorization,
    canonical_request,
)

AKIDEXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SCOPE = Scope("us-east-1", "service")
HOST = ("Host", "example.amazonaws.com")
DATE = ("X-Amz-Date", "20150830T123600Z")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
FORM_SHA256 = hashlib.sha256(b"Param1=value1").hexdigest()
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwt"
    "hAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXA"
    "kiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)

VECTORS = {
    "get-vanilla": (
        Request("GET", "/", (HOST, DATE), EMPTY_SHA256),
        "host;x-amz-date",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-utf8": (
        Request("GET", "/ሴ", (HOST, DATE), EMPTY_SHA256),
        "host;x-amz-date",
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    "get-unreserved": (
        Request("GET", f"/{UNRESERVED}", (HOST, DATE), EMPTY_SHA256),
        "host;x-amz-date",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    "get-vanilla-query-unreserved": (
        Request("GET", "/", (HOST, DATE), EMPTY_SHA256, ((UNRESERVED, UNRESERVED),)),
        "host;x-amz-date",
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    "get-vanilla-utf8-query": (
        Request("GET", "/", (HOST, DATE), EMPTY_SHA256, (("ሴ", "bar"),)),
        "host;x-amz-date",
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    "get-vanilla-query-order-value": (
        Request("GET", "/", (HOST, DATE), EMPTY_SHA256, (("Param1", "value2"), ("Param1", "value1"))),
        "host;x-amz-date",
        "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
    ),
    "get-header-key-duplicate": (
        Request(
            "GET",
            "/",
            (HOST, ("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1"), DATE),
            EMPTY_SHA256,
        ),
        "host;my-header1;x-amz-date",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    "get-header-value-trim": (
        Request("GET", "/", (HOST, ("My-Header1", " value1"), ("My-Header2", ' "a   b   c"'), DATE), EMPTY_SHA256),
        "host;my-header1;my-header2;x-amz-date",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-vanilla": (
        Request("POST", "/", (HOST, DATE), EMPTY_SHA256),
        "host;x-amz-date",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "post-header-value-case": (
        Request("POST", "/", (HOST, ("My-Header1", "VALUE1"), DATE), EMPTY_SHA256),
        "host;my-header1;x-amz-date",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    "post-x-www-form-urlencoded": (
        Request("POST", "/", (FORM, HOST, DATE), FORM_SHA256),
        "content-type;host;x-amz-date",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-x-www-form-urlencoded-parameters": (
        Request(
            "POST",
            "/",
            ((FORM[0], f"{FORM[1]}; charset=utf8"), HOST, DATE),
            FORM_SHA256,
        ),
        "content-type;host;x-amz-date",
        "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
    ),
    "post-sts-header-before": (
        Request("POST", "/", (HOST, DATE, ("X-Amz-Security-Token", TOKEN)), EMPTY_SHA256),
        "host;x-amz-date;x-amz-security-token",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_vectors_are_signed_alike(name: str) -> None:
    request, signed_headers, signature = VECTORS[name]
    assert authorization(request, AKIDEXAMPLE, SCOPE) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={signed_headers}, Signature={signature}"
    )


def test_the_example_of_the_documentation_is_signed_alike() -> None:
    request = Request(
        "GET",
        "/",
        (
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ),
        EMPTY_SHA256,
        (("Version", "2010-05-08"), ("Action", "ListUsers")),
    )
    assert hashlib.sha256(canonical_request(request).encode()).hexdigest() == (
        "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
    )
    assert authorization(request, AKIDEXAMPLE, Scope("us-east-1", "iam")).endswith(
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize(
    "other",
    [
        (Request("GET", "/", (HOST, DATE), hashlib.sha256(b"x").hexdigest()), AKIDEXAMPLE, SCOPE),
        (Request("GET", "/", (HOST, DATE), EMPTY_SHA256), Credentials("AKIDEXAMPLE", "another"), SCOPE),
        (Request("GET", "/", (HOST, DATE), EMPTY_SHA256), AKIDEXAMPLE, Scope("us-east-2", "service")),
        (Request("GET", "/", (HOST, ("X-Amz-Date", "20150831T123600Z")), EMPTY_SHA256), AKIDEXAMPLE, SCOPE),
    ],
)
def test_body_secret_scope_and_date_change_the_signature(other: tuple[Request, Credentials, Scope]) -> None:
    ours = authorization(VECTORS["get-vanilla"][0], AKIDEXAMPLE, SCOPE)
    assert authorization(*other).rpartition("=")[2] != ours.rpartition("=")[2]


def test_dates_are_written_in_utc() -> None:
    assert amz_date(1_440_938_160.9) == "20150830T123600Z"


def test_credentials_do_not_show() -> None:
    assert "EXAMPLE" not in repr(AKIDEXAMPLE)


S3 = Scope("us-east-1", "s3")
S3_DATE = ("x-amz-date", "20130524T000000Z")
S3_HOST = ("host", "examplebucket.s3.amazonaws.com")
AKIAIOSFODNN7EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
WELCOME = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()
EMPTY = ("x-amz-content-sha256", EMPTY_SHA256)


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (
            Request("GET", "/test.txt", (S3_HOST, ("Range", "bytes=0-9"), EMPTY, S3_DATE), EMPTY_SHA256),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            Request(
                "PUT",
                "/test$file.text",
                (
                    S3_HOST,
                    ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-content-sha256", WELCOME),
                    S3_DATE,
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ),
                WELCOME,
            ),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            Request("GET", "/", (S3_HOST, EMPTY, S3_DATE), EMPTY_SHA256, (("lifecycle", ""),)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            Request("GET", "/", (S3_HOST, EMPTY, S3_DATE), EMPTY_SHA256, (("prefix", "J"), ("max-keys", "2"))),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["an object's beginning", "an upload", "a bucket's lifecycle", "a bucket's objects"],
)
def test_the_examples_of_the_s3_reference_are_signed_alike(request_: Request, signature: str) -> None:
    assert authorization(request_, AKIAIOSFODNN7EXAMPLE, S3).endswith(f"Signature={signature}")


def test_neither_part_of_a_key_is_printed() -> None:
    assert repr(AKIDEXAMPLE) == "Credentials()"
