"""The store of an installation, as its settings say."""

from pathlib import Path

from callwright.errors import SettingsError
from callwright.settings import Settings
from callwright.storage.database import DATABASE_NAME
from callwright.storage.store import Store
from callwright.telemetry.clock import Clock


async def open_store(
    settings: Settings, *, clock: Clock | None = None, exclusive: bool = True, node_id: str | None = None
) -> Store:
    """Open it; the data folder is made. SettingsError names the flag when it cannot be; else as `Store.open`."""
    folder = _folder(settings)
    url = f"sqlite:///{folder / DATABASE_NAME}" if settings.database is None else settings.database.reveal()
    return await Store.open(url, folder=folder, clock=clock, exclusive=exclusive, node_id=node_id)


def _folder(settings: Settings) -> Path:
    folder = Path(settings.data)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"the data folder {folder} cannot be made: {error.strerror} (--data)") from error
    return folder
