"""Digits in INFO bodies, `application/dtmf-relay` and `application/dtmf`: no RFC has them, many gateways send them."""

from callwright.errors import SipSyntaxError
from callwright.sip.lexis import decimal

DIGIT_TYPES = ("application/dtmf-relay", "application/dtmf")
DIGITS = frozenset("0123456789*#ABCD")
_MOST_DURATION_MS = 60_000


def parse_digit(body: bytes) -> tuple[str, int | None]:
    """(digit, milliseconds or None) from `Signal=5⏎Duration=160` or a bare `5`; SipSyntaxError when it is neither."""
    text = body.decode("ascii", "replace").strip()
    fields = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        fields[name.strip().lower()] = value.strip()
    digit = fields.get("signal", text).upper()
    if digit not in DIGITS:
        raise SipSyntaxError(f"not a digit: {text[:20]!r}")
    return digit, decimal(fields.get("duration", ""), _MOST_DURATION_MS)


def digit_body(digit: str, duration_ms: int) -> bytes:
    """The body of type `application/dtmf-relay` for a key; SipSyntaxError when there is no such key."""
    if digit not in DIGITS:
        raise SipSyntaxError(f"not a digit: {digit[:20]!r}")
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()
