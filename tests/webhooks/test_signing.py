"""What is signed is taken by the reference verifier of Standard Webhooks, and nothing else is."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from callwright.webhooks.signing import signed_headers

texts = st.text(st.characters(codec="utf-8"))
bodies = texts.map(str.encode)
ids = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1)
secrets = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())


def refused(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: no UTF-8, no base64, no two parts
        return True
    return False


@given(ids, bodies, secrets, st.floats(-250, 250))
def test_the_reference_verifier_takes_every_signature(event_id: str, body: bytes, secret: str, off: float) -> None:
    Webhook(secret).verify(body, signed_headers(event_id, time.time() + off, body, [secret]), json_parse=False)


@given(ids, bodies, st.lists(secrets, min_size=2, max_size=2, unique=True))
def test_either_secret_is_enough_while_they_change(event_id: str, body: bytes, both: list[str]) -> None:
    headers = signed_headers(event_id, time.time(), body, both)
    assert headers["webhook-signature"].count(" ") == 1
    for secret in both:
        Webhook(secret).verify(body, headers, json_parse=False)


@given(ids, bodies, secrets, st.data())
def test_whatever_byte_is_changed_the_reference_verifier_refuses_it(
    event_id: str, body: bytes, secret: str, data: st.DataObject
) -> None:
    headers = signed_headers(event_id, time.time(), body, [secret])
    part = data.draw(st.sampled_from(("webhook-id", "webhook-timestamp", *(("body",) if body else ()))))
    whole = bytearray(body if part == "body" else headers[part].encode())
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    if part == "body":
        body = bytes(whole)
    else:
        headers[part] = whole.decode("latin-1")
    assert refused(secret, body, headers)


@given(ids, bodies, secrets, secrets)
def test_another_secret_is_refused(event_id: str, body: bytes, secret: str, other: str) -> None:
    if secret != other:
        assert refused(other, body, signed_headers(event_id, time.time(), body, [secret]))


def test_a_signature_is_as_in_the_specification() -> None:
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330.9,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["", "c2VjcmV0", "whsec_not base64", "whsec_äöü"])
def test_what_is_no_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|base64|ASCII|padding"):
        signed_headers("evt_1", 0.0, b"", [secret])
