"""The platform's side of making a file: a process for each, watched, ended when it takes too long."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_AT_ONCE: Final = 2
STARTING_SECONDS: Final = 30.0
"""Until a process on a busy machine has loaded what it needs; a healthy one needs 0.2 s."""
SLOWEST_BYTES_PER_SECOND: Final = 320_000
"""Of the recording: ten times as fast as it was recorded; a healthy process does a hundred times."""
END_SECONDS: Final = 5.0
_MOST_REPORT_BYTES = 4_096
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "TZ")


@dataclass(frozen=True, slots=True)
class Encoded:
    """The file is made and on the disk."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Unusable:
    """The recording holds nothing that could be made into a file, now or later."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotEncoded:
    """It did not work this time: the disk is full, the process died or took too long."""

    reason: str
    "a clause for people"


class Encoders:
    """Makes files, at most a few at a time."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE) -> None:
        self._room = asyncio.Semaphore(most_at_once)

    async def make(self, recording: Path, target: Path, kind: str) -> Encoded | Unusable | NotEncoded:
        """Make `target`, an "mp3" or "wav", from `recording`: whole and durable, or not there at all."""
        draft = target.with_name(target.name + ".part")
        async with self._room:
            try:
                size = (await asyncio.to_thread(recording.stat)).st_size
                result = await self._run(recording, draft, kind, STARTING_SECONDS + size / SLOWEST_BYTES_PER_SECOND)
                if isinstance(result, Encoded):
                    await asyncio.to_thread(_put_in_place, draft, target)
            except FileNotFoundError:
                return Unusable("its file is gone")
            except OSError as error:
                return NotEncoded(_words(error))
            finally:
                await asyncio.to_thread(_discard, draft)
        return result

    async def _run(
        self, recording: Path, draft: Path, kind: str, within_seconds: float
    ) -> Encoded | Unusable | NotEncoded:
        process = await _spawn(recording, draft, kind)
        assert process.stderr is not None  # noqa: S101 - asked for at the start, for the type checker
        report = b""
        try:
            async with asyncio.timeout(within_seconds):
                while piece := await process.stderr.read(_MOST_REPORT_BYTES):
                    report = (report + piece)[-_MOST_REPORT_BYTES:]
                await process.wait()
        except TimeoutError:
            return NotEncoded(f"encoding took longer than {within_seconds:.0f} seconds")
        finally:
            await asyncio.shield(_end(process))
        return _read_report(report, process.returncode)


async def _spawn(recording: Path, draft: Path, kind: str) -> Process:
    source = await asyncio.to_thread(os.open, recording, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        target = await asyncio.to_thread(os.open, draft, flags, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-m", "callwright.recordings.encoder", kind),
                stdin=source,
                stdout=target,
                stderr=PIPE,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | {"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        finally:
            os.close(target)
    finally:
        os.close(source)


async def _end(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()


def _read_report(report: bytes, status: int | None) -> Encoded | Unusable | NotEncoded:
    """What the process said; it may have been taken over by the recording, so nothing in it is trusted."""
    try:
        said = json.loads(report.splitlines()[-1]) if report.strip() else {}
    except (ValueError, RecursionError):
        said = {}
    match said:
        case {"seconds": float(seconds)} if status == 0 and seconds > 0:
            return Encoded(seconds)
        case {"unusable": str(reason)} if status == 0:
            return Unusable(reason[:200])
        case {"failed": str(reason)} if status == 0:
            return NotEncoded(f"it cannot be encoded: {reason[:200]}")
    return NotEncoded("the process that encodes it died")


def _put_in_place(draft: Path, target: Path) -> None:
    draft.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # what it was made from is removed next
    finally:
        os.close(folder)


def _discard(draft: Path) -> None:
    with contextlib.suppress(OSError):  # what cannot be removed now is removed at the next start
        draft.unlink(missing_ok=True)


def _words(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
