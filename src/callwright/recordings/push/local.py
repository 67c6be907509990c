"""LOCAL, our extension: a folder within the one the operator set aside for recordings.

Every folder on the way is opened relative to the one before and without following links, so no name leads out of the
operator's folder, whoever else may write there.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from callwright.errors import PushFailed
from callwright.recordings.push.parcel import CHUNK_BYTES, Parcel

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.ELOOP: "a link is in the way",
    errno.ENOTDIR: "a file or link is in the way",
}


class LocalPush:
    """Copies recordings into the operator's folder."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    async def __call__(self, parcel: Parcel) -> None:
        """Copy, durably; PushFailed when there is no such folder, or it is full."""
        if self._root is None:
            raise PushFailed("This installation has no folder for local recordings.")
        names = [name for name in parcel.path.split("/") if name]
        if any(name in (".", "..") or "\0" in name for name in names):
            raise PushFailed("The path leads out of the folder for recordings.")
        try:
            await asyncio.to_thread(_copy, parcel.file, self._root, names)
        except OSError as error:
            reason = _REASONS.get(error.errno or 0) or (error.strerror or "it cannot be written").lower()
            raise PushFailed(f"The recording cannot be stored: {reason}.") from error


def _copy(source: Path, root: Path, names: list[str]) -> None:
    *folders, name = names
    draft = f".{name}.part"
    with _folder(root, folders) as folder:
        descriptor = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640, dir_fd=folder
        )
        try:
            with source.open("rb") as file, os.fdopen(descriptor, "wb") as copy:
                shutil.copyfileobj(file, copy, CHUNK_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise
        os.fsync(folder)


@contextmanager
def _folder(root: Path, names: list[str]) -> Iterator[int]:
    """The innermost folder, made with all before it; the root itself must be there and may be a link."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            with suppress(FileExistsError):
                os.mkdir(name, 0o750, dir_fd=folder)
                os.fsync(folder)
            inner = os.open(name, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)
