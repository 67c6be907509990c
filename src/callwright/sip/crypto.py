"""Keys of SRTP in session descriptions: `a=crypto` lines to fields and back (RFC 4568 §9.1, RFC 6188).

A line that we cannot do what it says with is no line (§6.1, §6.3.7): an unknown suite, several keys, a master key
identifier, a session parameter that must be understood and is not. Keys never appear in a repr.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from callwright.sip.lexis import decimal

SUITES: Mapping[str, int] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_32": 46,
}
"""What we can do, in the order of our offers: suite → bytes of master key and salt. The first is the one that RFC 4568
§6.2 has everybody implement; 128 bits are as far out of reach as 256."""
LEAST_LIFETIME = 2**20
"""Packets a key must be good for: six hours of 20 ms. We never change keys on our own account (RFC 3711 §9.2)."""
_MOST_TAG = 999_999_999
_WINDOW_HINT = "WSH="
_POWER = re.compile(r"2\^([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Crypto:
    """One usable line."""

    tag: int
    suite: str
    key: bytes = field(repr=False)
    "master key and, behind it, the salt"

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def parse(value: str) -> Crypto | None:
    """Read what stands behind `a=crypto:`; None when it is nothing that we can do."""
    words = value.split()
    if len(words) < 3:
        return None
    tag, suite = decimal(words[0], _MOST_TAG), words[1].upper()
    if tag is None or suite not in SUITES or not all(map(_can_be_left, words[3:])):
        return None
    method, _, info = words[2].partition(":")
    if method.lower() != "inline" or ";" in info:
        return None
    key_text, *rest = info.split("|")
    if len(rest) > 1 or (rest and not _lasts(rest[0])):  # a second part is the master key identifier
        return None
    try:
        key = base64.b64decode(key_text + "=" * (-len(key_text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Crypto(tag, suite, key) if len(key) == SUITES[suite] else None


def _can_be_left(parameter: str) -> bool:
    """Those with a dash need not be understood (§6.3.7); how wide a replay window to keep is a hint (§6.3.6)."""
    return parameter.startswith(("-", _WINDOW_HINT))


def _lasts(lifetime: str) -> bool:
    power = _POWER.fullmatch(lifetime)
    packets = 2 ** int(power[1]) if power else decimal(lifetime, 2**48)
    return packets is not None and packets >= LEAST_LIFETIME


def lines(attributes: Sequence[tuple[str, str | None]]) -> list[Crypto]:
    """The usable ones among a medium's attributes, in their order."""
    read = [parse(value or "") for name, value in attributes if name == "crypto"]
    return [crypto for crypto in read if crypto is not None]
