"""API keys: how they are made, what is kept of them, and the ring that answers for them without SQL.

A key is `cw_` and 43 characters of base64url: 256 random bits (RFC 4648 §5). The database holds its SHA-256; a fast
hash is right for a secret that nobody can guess. The ring holds every live key of the installation in memory (see
mirror.py).
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

from callwright.errors import StorageError
from callwright.storage.records import ApiKey

PREFIX: Final = "cw_"
RANDOM_BYTES: Final = 32
LAST_USED_SECONDS: Final = 60.0
"""How coarse last-used times are: they are written together, at most this often."""
LEAST_PRESET_LENGTH: Final = 8
INDEX_LENGTH: Final = 32


def new_key_text() -> str:
    """A fresh key. Shown once, kept nowhere."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def check_preset(text: str) -> None:
    """Refuse a preset development key that no HTTP client could send; raises StorageError."""
    if len(text) < LEAST_PRESET_LENGTH:
        raise StorageError(f"an API key needs at least {LEAST_PRESET_LENGTH} characters")
    if not all("!" <= character <= "~" for character in text):
        raise StorageError("an API key is made of visible ASCII characters without spaces")


def digest_of(text: str) -> str:
    """What is kept of a key: SHA-256, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class KeyRing:
    """The live keys in memory. Not thread-safe: the event loop's thread uses it."""

    def __init__(self) -> None:
        self._keys: dict[str, list[tuple[str, ApiKey]]] = {}
        self._used: dict[str, float] = {}
        self.used_since: float | None = None
        "when the first last-used time that is not written yet was noted"

    def fill(self, keys: Iterable[tuple[str, ApiKey]]) -> None:
        """Take over (digest, key) for all live keys."""
        self._keys = {}
        for digest, key in keys:
            self._keys.setdefault(digest[:INDEX_LENGTH], []).append((digest, key))

    def find(self, text: str, now: float) -> ApiKey | None:
        """The live key with this text.

        The table is entered with the first half of the digest, which tells nothing about the key; the comparison that
        decides takes the same time whatever differs.
        """
        digest = digest_of(text)
        matches = [
            key for stored, key in self._keys.get(digest[:INDEX_LENGTH], ()) if hmac.compare_digest(stored, digest)
        ]
        if not matches:
            return None
        key = matches[0]
        self._used[key.key_id] = now
        if self.used_since is None:
            self.used_since = now
        return key

    def take_used(self) -> dict[str, float]:
        """Key id → last use, for those not written yet; they count as written from now on."""
        used, self._used, self.used_since = self._used, {}, None
        return used

    def put_back(self, used: dict[str, float]) -> None:
        """The times could not be written; keep them for the next time."""
        self._used = {**used, **self._used}
        if self._used and self.used_since is None:
            self.used_since = max(self._used.values())
