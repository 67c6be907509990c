"""The files that wait on this machine: what calls are recorded into, and what is made of it for upload.

`{session}_{recording}.wav` is written while the call goes on; `{session}_{recording}.upload.mp3` (or `.wav`) is made of
it and takes its place. A file is removed once it has arrived. What was given up is kept in `failed/` for whoever runs
the machine; nothing here is ever deleted because it could not be delivered.

These functions block; the loop runs them on a thread.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("mp3", "wav")
FAILED = "failed"

_ID = re.compile(r"[A-Za-z0-9\-]{1,64}")
_NAME = re.compile(
    r"(?P<session_id>[A-Za-z0-9\-]{1,64})_(?P<recording_id>[A-Za-z0-9\-]{1,64})\.(?:upload\.)?(?:mp3|wav)"
)


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that waits."""

    path: Path
    kind: str
    "mp3 or wav"
    is_made: bool
    "made for upload; false: as the call left it"


class Spool:
    """One folder, of this process alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def open(self) -> None:
        """Make the folder, readable by its owner only, and remove what was being made when a process died."""
        (self.folder / FAILED).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        for draft in self.folder.glob("*.part"):
            draft.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Room on the disk."""
        return shutil.disk_usage(self.folder).free

    def recorded(self, session_id: str, recording_id: str) -> Path:
        """Where a call is recorded to. ValueError for ids that are no file names."""
        return self.folder / f"{_stem(session_id, recording_id)}.wav"

    def made(self, session_id: str, recording_id: str, kind: str) -> Path:
        """Where the file for upload is made."""
        return self.folder / f"{_stem(session_id, recording_id)}.upload.{kind}"

    def find(self, session_id: str, recording_id: str) -> Spooled | None:
        """The file of a recording: the one made for upload if there is one."""
        for folder in (self.folder, self.folder / FAILED):  # a process may die between giving up and writing it down
            for kind in KINDS:
                path = folder / self.made(session_id, recording_id, kind).name
                if path.is_file():
                    return Spooled(path, kind, is_made=True)
            path = folder / self.recorded(session_id, recording_id).name
            if path.is_file():
                return Spooled(path, "wav", is_made=False)
        return None

    def remove(self, session_id: str, recording_id: str) -> None:
        """Remove every file of a recording."""
        for path in self._files(session_id, recording_id):
            path.unlink(missing_ok=True)

    def give_up(self, session_id: str, recording_id: str) -> None:
        """Put the files of a recording aside, for good."""
        for path in self._files(session_id, recording_id):
            if path.parent == self.folder:
                path.rename(self.folder / FAILED / path.name)

    def all(self) -> Iterator[tuple[str, str]]:
        """Session and recording id of everything that waits, what was given up apart."""
        names = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        found = {match.group("session_id", "recording_id") for match in names if match}
        yield from sorted((str(session_id), str(recording_id)) for session_id, recording_id in found)

    def _files(self, session_id: str, recording_id: str) -> list[Path]:
        names = [
            self.recorded(session_id, recording_id),
            *(self.made(session_id, recording_id, kind) for kind in KINDS),
        ]
        places = [folder / name.name for folder in (self.folder, self.folder / FAILED) for name in names]
        return [path for path in places if path.is_file()]


def _stem(session_id: str, recording_id: str) -> str:
    if not _ID.fullmatch(session_id) or not _ID.fullmatch(recording_id):
        raise ValueError("an id that is no file name")
    return f"{session_id}_{recording_id}"
