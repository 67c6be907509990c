"""Where the embedded database of an installation is."""

from pathlib import Path

from callwright.errors import SettingsError
from callwright.settings import Settings


def database_url(settings: Settings) -> str:
    """The URL for `Store.open`; the data folder is made. SettingsError names the flag when it cannot be."""
    folder = Path(settings.data)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"the data folder {folder} cannot be made: {error.strerror} (--data)") from error
    return f"sqlite:///{folder / 'callwright.db'}"
