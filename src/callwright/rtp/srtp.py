"""SRTP and SRTCP: packets sealed with agreed keys, and opened again (RFC 3711, RFC 6188), through libsrtp.

Suites are named as session descriptions name them (RFC 4568 §6.2). RTCP carries an 80-bit tag under every one of them,
those with `_32` included (RFC 4568 §6.2.3). A packet that is not what its sender sealed, or that came before, is
refused; libsrtp keeps the roll-over counter and the list of the last 128 packets for each source.
"""

from enum import Enum
from typing import Final

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi  # type: ignore[import-not-found]  # compiled, and the only way to AES-256

from callwright.errors import RtpError

MASTER_BYTES: Final = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
}
"""Suite → bytes of master key and, behind it, of the 14-byte salt."""
LARGEST_PACKET: Final = 1400
"""More than any packet of ours has, and what libsrtp's wrapper surely has room for."""
WINDOW_PACKETS: Final = 128
"""How far behind the newest a packet may come (§3.3.2 wants 64)."""
_AES_256_COUNTER_MODE: Final = 5
"""SRTP_AES_ICM_256 of libsrtp's srtp.h."""
_CIPHER, _CIPHER_KEY_BYTES = 0, 1
"""Which word of `srtp_crypto_policy_t` says what; it is six words, part of libsrtp 2's interface."""


class Refused(Enum):
    """Why a packet is not opened."""

    UNAUTHENTIC = "unauthentic"
    "another key, or changed on its way"
    REPLAYED = "replayed"
    "it came before, or so late that nobody knows"
    MALFORMED = "malformed"
    "too short or too long for a sealed packet"


def _session(suite: str, key: bytes, direction: int) -> Session:
    if len(key) != MASTER_BYTES.get(suite):
        raise RtpError(f"no SRTP with {suite[:40]!r} and a key of {len(key)} bytes")
    profile = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    if suite.endswith("_32"):
        profile = Policy.SRTP_PROFILE_AES128_CM_SHA1_32
    policy = Policy(key, direction, srtp_profile=profile)
    policy.window_size = WINDOW_PACKETS
    if suite.startswith("AES_256"):
        for part in (policy._policy.rtp, policy._policy.rtcp):  # noqa: SLF001  it is not to be had otherwise
            words = ffi.cast("int *", ffi.addressof(part))
            words[_CIPHER], words[_CIPHER_KEY_BYTES] = _AES_256_COUNTER_MODE, len(key)
    return Session(policy)


class Sealer:
    """What we send, sealed. RtpError for a suite or key that is none."""

    __slots__ = ("_session", "key", "suite")

    def __init__(self, suite: str, key: bytes) -> None:
        self.suite, self.key = suite, key
        self._session = _session(suite, key, Policy.SSRC_ANY_OUTBOUND)

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet as it is to be sent; RtpError when libsrtp will not, such as for a number used before."""
        try:
            return self._session.protect(packet)
        except (Error, ValueError) as error:
            raise RtpError(f"SRTP cannot seal a packet of {len(packet)} bytes: {error}") from error

    def rtcp(self, packet: bytes) -> bytes:
        """Likewise for an RTCP datagram."""
        try:
            return self._session.protect_rtcp(packet)
        except (Error, ValueError) as error:
            raise RtpError(f"SRTCP cannot seal a packet of {len(packet)} bytes: {error}") from error


class Opener:
    """What the peer sends, opened. RtpError for a suite or key that is none."""

    __slots__ = ("_session", "key", "suite")

    def __init__(self, suite: str, key: bytes) -> None:
        self.suite, self.key = suite, key
        self._session = _session(suite, key, Policy.SSRC_ANY_INBOUND)

    def rtp(self, packet: bytes) -> bytes | Refused:
        """The RTP packet inside, or why there is none."""
        if len(packet) > LARGEST_PACKET:
            return Refused.MALFORMED
        try:
            return self._session.unprotect(packet)
        except Error as error:
            return _refused(error)

    def rtcp(self, packet: bytes) -> bytes | Refused:
        """Likewise for an RTCP datagram."""
        if len(packet) > LARGEST_PACKET:
            return Refused.MALFORMED
        try:
            return self._session.unprotect_rtcp(packet)
        except Error as error:
            return _refused(error)


def _refused(error: Error) -> Refused:
    text = str(error)
    if text.startswith("replay check") or "too old" in text:
        return Refused.REPLAYED
    return Refused.UNAUTHENTIC if text.startswith("authentication") else Refused.MALFORMED
