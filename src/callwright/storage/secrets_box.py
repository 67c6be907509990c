"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key in a file of its own, outside the database.

A sealed value is one version byte, a random 96-bit nonce, and ciphertext with its tag. The place where it is stored
(table, row, column) is authenticated with it, so a value copied into another row does not open.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callwright.errors import StorageError

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"


def webhook_place(sub_account_id: str, kind: str) -> str:
    """What the secret of a webhook is bound to."""
    return f"webhooks/{sub_account_id}/{kind}/http_auth_header"


def push_config_place(sub_account_id: str) -> str:
    """What the password of a recording push config is bound to."""
    return f"recording_push_configs/{sub_account_id}/password"


def export_place(job_id: str) -> str:
    """What the secret of an export's link is bound to."""
    return f"exports/{job_id}/token"


def verification_place(session_id: str) -> str:
    """What the code of a verification is bound to."""
    return f"verifications/{session_id}/code"


def trunk_place(name: str, key: str) -> str:
    """What a secret of a trunk is bound to."""
    return f"trunks/{name}/{key}"


def read_or_create_key(path: Path) -> bytes:
    """The key in `path`; made with mode 0600 when there is none. Safe against two processes doing it at once.

    Raises StorageError when the file is unreadable, of the wrong length, or readable by everybody.
    """
    try:
        if not path.exists():
            _create_key(path)
        key = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise StorageError(f"the secrets key {path} cannot be read or made: {error.strerror}") from error
    if mode & 0o007:
        raise StorageError(f"the secrets key {path} is open to everybody (mode {mode:04o}): chmod 600 {path}")
    if len(key) != KEY_BYTES:
        raise StorageError(f"the secrets key {path} is not {KEY_BYTES} bytes; restore it from its backup")
    return key


def _create_key(path: Path) -> None:
    """Write a whole key to a name of our own, then give it its name unless another process was faster."""
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name must not be lost while secrets sealed with the key are kept
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)


class SecretsBox:
    """Seals and opens text. Holds the key in memory; shows it nowhere."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, place: str) -> bytes:
        """Encrypt `text` for one place, such as `webhooks/riders_hq/VSS`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """Decrypt; raises StorageError when the key is another one, or the value was changed or moved."""
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != VERSION:
            raise StorageError(f"the secret of {place} was sealed by another version")
        try:
            return self._cipher.decrypt(nonce, ciphertext, place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise StorageError(
                f"the secret of {place} does not open: is secrets.key the one it was made with?"
            ) from error
