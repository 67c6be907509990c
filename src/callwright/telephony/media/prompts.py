"""Prompt files, mapped into memory once and shared by every call that plays them.

A mapping lives as long as a playback holds it. Prompt files never change once they are written, and a file that is
deleted meanwhile stays readable through its mapping.
"""

import mmap
from pathlib import Path
from weakref import WeakValueDictionary

from callwright.errors import TelephonyError

FRAME_BYTES = 160
"""20 ms of G.711."""


class PromptFile:
    """One mapped file. `TelephonyError` when it cannot be played, saying why."""

    __slots__ = ("__weakref__", "frames")

    def __init__(self, path: str) -> None:
        try:
            with Path(path).open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:  # ValueError: mmap's word for an empty file
            raise TelephonyError(f"the prompt {path} cannot be read: {error}") from error
        self.frames = memoryview(mapped)
        "the file's bytes, a whole number of 20 ms frames"
        if len(mapped) % FRAME_BYTES:
            raise TelephonyError(f"the prompt {path} has {len(mapped)} bytes, no whole number of 20 ms frames")


class PromptFiles:
    """Every prompt in use, by path."""

    def __init__(self) -> None:
        self._files: WeakValueDictionary[str, PromptFile] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._files)

    def open(self, path: str) -> PromptFile:
        """The file's mapping, made now if nobody plays it yet; `TelephonyError` when it cannot be played."""
        found = self._files.get(path)
        if found is None:
            found = self._files[path] = PromptFile(path)
        return found
