"""Prompts on disk: one file per codec and content key, written once, shared by every call that plays it.

The files need no index: a key's files are there, whole and of one length, or they are not. Their modification time is
the time of their last use; when the folder outgrows its limit, what was used longest ago goes first, and nothing that
was used within the last hour goes at all, because a call may still be about to play it.
"""

import contextlib
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callwright.audio import g711
from callwright.audio.codecs import CODECS, FRAME_MS
from callwright.audio.prompt import Prompt
from callwright.telemetry.clock import Clock

MOST_BYTES = 2 * 1024**3
KEPT_SECONDS = 3_600.0
"""A prompt that was used less than this ago is never removed."""

USED_AGAIN_SECONDS = 1.0
"""A prompt that was marked as used less than this ago is not marked again: a busy one is played hundreds of times."""

_SUFFIXES = {"PCMU": ".pcmu", "PCMA": ".pcma", "G722": ".g722", "OPUS": ".opus"}
_TEMPORARY = ".part"
_TRIM_TO = 0.9


@dataclass(slots=True)
class _Stored:
    size: int = 0
    used_at: float = 0.0


class PromptCache:
    """The folder. `store` and `trim` block on the disk: call them on a thread."""

    def __init__(
        self, folder: Path, clock: Clock, most_bytes: int = MOST_BYTES, wide_codecs: Sequence[str] = ()
    ) -> None:
        """Prompts are there in G.711 and in `wide_codecs`."""
        self.need(wide_codecs)
        self._folder = folder
        self._clock = clock
        self._most_bytes = most_bytes
        self._bytes = 0
        self._writing = threading.Lock()

    def open(self) -> None:
        """Make the folder, remove what an interrupted run left half-written, and count what is there. OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob(f"*{_TEMPORARY}"):
            path.unlink(missing_ok=True)
        with self._writing:
            self._bytes = sum(stored.size for stored in self._scan().values())
            self._trim()

    def need(self, wide_codecs: Sequence[str]) -> None:
        """From now on a prompt is there when it has these forms besides G.711."""
        self._encodings = (*g711.ENCODINGS, *wide_codecs)

    def find(self, key: str) -> Prompt | None:
        """The prompt of `key`, marked as used now (to the second), or None when it is not there whole."""
        now = self._clock()
        paths = {encoding: f"{self._folder}/{key}{_SUFFIXES[encoding]}" for encoding in self._encodings}
        lengths = set()
        for encoding, path in paths.items():
            try:
                status = os.stat(path)  # noqa: PTH116 - at every play, and a Path would double its cost
                lengths.add(status.st_size / CODECS[encoding].frame_bytes)
                if abs(now - status.st_mtime) >= USED_AGAIN_SECONDS:
                    os.utime(path, (now, now))
            except FileNotFoundError:
                return None
        frames = lengths.pop()
        if lengths or frames == 0 or frames % 1:
            return None
        return _prompt(key, int(frames), paths)

    def store(self, key: str, pcm: bytes, wide: Mapping[str, bytes] | None = None) -> Prompt:
        """Encode signed 16-bit mono at 8 kHz and write it; an older prompt of the same key is replaced. OSError.

        `wide` has the same sound in each of `wide_codecs`; all forms are made as long as the longest.
        """
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False)
        forms = {encoding: g711.encode(encoding, samples) for encoding in g711.ENCODINGS} | dict(wide or {})
        frames = max(-(-len(form) // CODECS[encoding].frame_bytes) for encoding, form in forms.items())
        now = self._clock()
        paths = self._paths(key)
        written = 0
        for encoding, form in forms.items():
            silence = CODECS[encoding].silence
            whole = form + silence[len(form) % len(silence) or len(silence) :]
            whole += silence * (frames - len(whole) // len(silence))
            self._write(paths[encoding], whole, now)
            written += len(whole)
        with self._writing:
            self._bytes += written
            if self._bytes > self._most_bytes:
                self._trim()
        return _prompt(key, frames, {encoding: str(paths[encoding]) for encoding in forms})

    def _paths(self, key: str) -> dict[str, Path]:
        return {encoding: self._folder / (key + suffix) for encoding, suffix in _SUFFIXES.items()}

    def _write(self, path: Path, codes: bytes, now: float) -> None:
        """Whole or not at all: written beside and renamed."""
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
        try:
            temporary.write_bytes(codes)
            os.utime(temporary, (now, now))
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def _scan(self) -> dict[str, _Stored]:
        found: dict[str, _Stored] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                key, _, suffix = entry.name.partition(".")
                if f".{suffix}" not in _SUFFIXES.values():
                    continue
                status = entry.stat()
                stored = found.setdefault(key, _Stored())
                stored.size += status.st_size
                stored.used_at = max(stored.used_at, status.st_mtime)
        return found

    def _trim(self) -> None:
        """Remove the prompts used longest ago until the folder is a tenth below its limit."""
        found = self._scan()
        self._bytes = sum(stored.size for stored in found.values())
        if self._bytes <= self._most_bytes:
            return
        kept_from = self._clock() - KEPT_SECONDS
        for key, stored in sorted(found.items(), key=lambda item: item[1].used_at):
            if self._bytes <= self._most_bytes * _TRIM_TO or stored.used_at > kept_from:
                return
            for path in self._paths(key).values():
                path.unlink(missing_ok=True)
            self._bytes -= stored.size


def _prompt(key: str, frames: int, paths: dict[str, str]) -> Prompt:
    return Prompt(key, frames * FRAME_MS / 1000, paths)
