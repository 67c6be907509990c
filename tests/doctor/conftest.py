"""Certificates, as for telephony."""

from tests.telephony.conftest import authority, other_authority

__all__ = ["authority", "other_authority"]
