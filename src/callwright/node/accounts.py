"""The sub-accounts of the settings, and the development key."""

import os
import secrets
from pathlib import Path

from callwright.errors import SettingsError, StorageError
from callwright.settings import DEVELOPMENT_KEY_FILE, DEVELOPMENT_SUB_ACCOUNT, Settings
from callwright.storage.store import Store


async def prepare_accounts(settings: Settings, store: Store) -> str | None:
    """Make the sub-accounts of the settings; the development key, if this is development."""
    for account in settings.sub_accounts:
        await store.ensure_sub_account(account.name)
    if not settings.development:
        if not any(key.revoked_at is None for key in await store.list_keys()):
            raise SettingsError("no API key exists. Make one: callwright keys create SUB_ACCOUNT")
        return None
    await store.ensure_sub_account(DEVELOPMENT_SUB_ACCOUNT)
    text = _development_key(settings)
    try:
        await store.adopt_key(text, DEVELOPMENT_SUB_ACCOUNT, "development")
    except StorageError as error:
        raise SettingsError(f"the development key cannot be used: {error}. Choose another with --api-key") from error
    return text


def _development_key(settings: Settings) -> str:
    """The preset key, or the one this data folder had before, or a new one."""
    path = Path(settings.data) / DEVELOPMENT_KEY_FILE
    if settings.api_key is None and path.exists():
        return path.read_text(encoding="ascii").strip()
    text = settings.api_key.reveal() if settings.api_key else "cw_" + secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
    return text
