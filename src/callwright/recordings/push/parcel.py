"""What is delivered, and how a file is read for it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from callwright.contract.recordings import RecordingPushConfig
from callwright.errors import PushFailed

CHUNK_BYTES: Final = 256 * 1024
LEAST_SECONDS: Final = 60.0
SLOWEST_BYTES_PER_SECOND: Final = 32 * 1024
"""A target that takes less is given up for this time: an hour of mp3 has 7 minutes, and another minute."""

CONTENT_TYPES: Final = {"mp3": "audio/mpeg", "wav": "audio/wav"}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file and where it goes."""

    sub_account_id: str
    config: RecordingPushConfig
    file: Path
    kind: str
    "mp3 or wav"
    path: str
    "at the target: `Place.path`"


Push = Callable[[Parcel], Awaitable[None]]
"""Delivers; raises PushFailed with words for the sub-account."""


def budget_seconds(size: int) -> float:
    """How long an upload of `size` bytes may take in all."""
    return LEAST_SECONDS + size / SLOWEST_BYTES_PER_SECOND


async def open_file(path: Path) -> BufferedReader:
    """Open for reading; PushFailed."""
    try:
        return await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise PushFailed(f"The recording's file cannot be read: {error.strerror or error}.") from error


async def chunks(file: BufferedReader) -> AsyncGenerator[bytes, None]:
    """The rest of a file, read on a thread."""
    while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
        yield chunk
