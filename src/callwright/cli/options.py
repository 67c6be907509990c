"""Flags that are settings, and reading all settings from where they come."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from callwright.errors import SettingsError
from callwright.settings import DEFAULT_CONFIG, SETTINGS, Settings, config_file, load


def add_settings(parser: argparse.ArgumentParser, keys: Iterable[str] | None = None) -> None:
    """Give `parser` the flags of all settings, or of those named."""
    wanted = None if keys is None else set(keys)
    for setting in SETTINGS:
        if wanted is None or setting.key in wanted:
            default = f"; default {setting.default}" if setting.default else ""
            parser.add_argument(
                setting.flag,
                dest=f"setting_{setting.key}",
                metavar=setting.metavar,
                help=f"{setting.help} ({setting.variable}{default})",
            )


def read_settings(arguments: argparse.Namespace, *, development: bool) -> Settings:
    """Settings from flags, environment and file; SettingsError says what is wrong."""
    flags = {setting.key: getattr(arguments, f"setting_{setting.key}", None) for setting in SETTINGS}
    named = config_file(os.environ, flags)
    path = Path(named or DEFAULT_CONFIG)
    try:
        text = path.read_text(encoding="utf-8") if named or path.exists() else None
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror} (--config)") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the settings file {path} is not UTF-8 text (--config)") from error
    return load(text, os.environ, flags, development=development)
