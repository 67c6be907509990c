"""Signatures of what is posted to customers, as the Standard Webhooks specification has them (v1, symmetric); pure.

What is signed is `ID.TIMESTAMP.BODY`, by HMAC-SHA256 (RFC 2104) under the bytes that follow `whsec_` in base64. While
a secret is being changed there are two, and a signature by each: a receiver is content with one that it can check.
"""

import base64
import hashlib
import hmac
import math
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"


def signed_headers(event_id: str, at: float, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The three headers of an event that is sent at `at` (unix seconds of the wall clock).

    `secrets` in the order in which their signatures shall stand. ValueError for one that is no `whsec_` and base64.
    """
    timestamp = str(math.floor(at))
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    if not secret.startswith(PREFIX):
        raise ValueError(f"a webhook secret begins with {PREFIX}")
    key = base64.b64decode(secret[len(PREFIX) :], validate=True)
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
