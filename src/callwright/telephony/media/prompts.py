"""Prompt files, mapped into memory once and shared by every call that plays them.

A mapping lives as long as a playback holds it. Prompt files never change once they are written, and a file that is
deleted meanwhile stays readable through its mapping.
"""

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from callwright.audio.codecs import CODECS, CallCodec
from callwright.errors import TelephonyError
from callwright.telephony.media.framing import G711, Framing

ENDLESS = 1 << 62
"""Frames of a playback that goes on until it is stopped."""


class PromptFile:
    """One mapped file. `TelephonyError` when it cannot be played, saying why."""

    __slots__ = ("__weakref__", "address", "frames", "path")

    def __init__(self, path: str) -> None:
        try:
            with Path(path).open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:  # ValueError: mmap's word for an empty file
            raise TelephonyError(f"the prompt {path} cannot be read: {error}") from error
        self.path = path
        self.frames = memoryview(mapped)
        "the file's bytes, a whole number of 20 ms frames"
        self.address = int(np.frombuffer(mapped, dtype=np.uint8).ctypes.data)
        "where they stand in this process's memory, as long as this object lives"


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


class Playback:
    """A prompt on its way: which frame is next, and how many are left."""

    __slots__ = ("_frame_bytes", "_framing", "_unit", "file", "left", "offset", "paths", "playback_id", "repetition")

    def __init__(self, playback_id: str, paths: Mapping[str, str], repetition: int) -> None:
        self.playback_id = playback_id
        self.paths = paths
        self.repetition = repetition
        "0: until it is stopped"
        self.file: PromptFile | None = None
        self.offset = 0
        "byte of the file at which the next frame begins"
        self.left = 0
        "frames, all repetitions together"
        self._framing = G711
        self._unit = self._frame_bytes = G711.frame_bytes
        "size of 20 ms, and of the frames that leave"

    def load(self, files: PromptFiles, codec: str, framing: Framing) -> None:
        """Take the file of this codec, at the same place if the playback has begun; `TelephonyError` when it cannot."""
        path = self.paths.get(codec)
        if path is None:
            raise TelephonyError(f"the prompt has no {codec} form")
        file = files.open(path)
        size, before, unit = len(file.frames), self.file, CODECS[codec].frame_bytes
        if size % unit:
            raise TelephonyError(f"the prompt {path} has {size} bytes, no whole number of 20 ms frames")
        if before is not None and size // unit != len(before.frames) // self._unit:
            raise TelephonyError(f"the prompt's {codec} form is not as long as the one that was playing")
        if before is None:
            self.left = -(-size // framing.frame_bytes) * self.repetition if self.repetition else ENDLESS
        elif framing != self._framing:
            self._cut_anew(framing, CODECS[codec])
        self.file, self._framing, self._unit, self._frame_bytes = file, framing, unit, framing.frame_bytes

    def _cut_anew(self, framing: Framing, codec: CallCodec) -> None:
        """Frames are of another size; the last one of the file may not be full."""
        if self.left < ENDLESS // 2:
            self.left = math.ceil(self.left * self._framing.frame_seconds / framing.frame_seconds)
        self.offset = self.offset * codec.frame_bytes // self._unit
        if not codec.is_divisible:
            self.offset -= self.offset % codec.frame_bytes

    @property
    def run(self) -> int:
        """Frames that follow each other in the file from here on."""
        return (
            0 if self.file is None else min(self.left, -(-(len(self.file.frames) - self.offset) // self._frame_bytes))
        )

    @property
    def payload(self) -> memoryview:
        """Of the next frame; the file's last one may be shorter than others."""
        return memoryview(b"") if self.file is None else self.file.frames[self.offset : self.offset + self._frame_bytes]

    @property
    def address(self) -> int:
        """Where the next frame stands in memory."""
        return 0 if self.file is None else self.file.address + self.offset

    def advance(self, frames: int) -> None:
        """So many frames are over; from the end of the file it goes on at its beginning."""
        while frames > 0 and self.left > 0 and self.file is not None:
            step = min(frames, self.run)
            frames -= step
            self.left -= step
            self.offset += step * self._frame_bytes
            if self.offset >= len(self.file.frames):
                self.offset = 0
                frames, self.left = self._whole_rounds(frames)

    def _whole_rounds(self, frames: int) -> tuple[int, int]:
        """What is left of `frames` and of the playback after the whole repetitions among them."""
        whole = self.run
        rounds = min(frames, self.left) // whole if whole else 0
        return frames - rounds * whole, self.left - rounds * whole
