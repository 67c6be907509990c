"""An open database, whichever it is: its engines, the lock on the data folder, and its schema brought up to date."""

import fcntl
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from callwright.errors import StorageError
from callwright.storage.schema import SCHEMA_REVISION

DATABASE_NAME: Final = "callwright.db"
HOME_FILE_NAME: Final = "home.id"
LEFT_BEHIND_SECONDS: Final = 10.0
"""How long a lock is waited for whose holder is dead."""
POLL_SECONDS: Final = 0.02


class FolderLock:
    """An advisory lock in the data folder (flock); the kernel lets it go when the process dies, however it dies."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock, or return False when another process has it.

        One that is dead may have left a child that it had just forked, which holds all that it held until it runs a
        program of its own: that is waited for.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_up_at = time.monotonic() + LEFT_BEHIND_SECONDS
        while not _locked(descriptor):
            if self._holder_is_alive() or time.monotonic() > give_up_at:
                os.close(descriptor)
                return False
            time.sleep(POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def holder(self) -> str:
        """Words for who has it."""
        with suppress(OSError):
            pid = self.path.read_text().strip()
            if pid:
                return f"process {pid}"
        return "another process"

    def _holder_is_alive(self) -> bool:
        """Whether the process that wrote its number is there; True as long as nobody wrote one."""
        try:
            os.kill(int(self.path.read_text()), 0)
        except ProcessLookupError:
            return False
        except (OSError, ValueError):
            return True
        return True

    def release(self) -> None:
        """Let go. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Database:
    """One engine whose connection writes, and one whose connections only read."""

    folder: Path
    "the data folder, this process's own"
    write: Engine
    read: Engine
    lock: FolderLock
    home_id: str | None = None
    "what the folder is called among those that share the database; None: there is no other"
    readers: int = 1
    "how many connections may read at a time"
    is_shared: bool = False
    "other nodes may have it open too: work is claimed before it is done"
    limit_seconds: float | None = None
    "the longest wait for an answer of it; None: it is a file, and answers"

    def close(self) -> None:
        """Close all connections, then let the lock go."""
        self.read.dispose()
        self.write.dispose()
        self.lock.release()


def read_or_create_home_id(folder: Path) -> str:
    """What a data folder is called among those that share a database; stays the same. OSError, StorageError."""
    path = folder / HOME_FILE_NAME
    try:
        if not path.exists():
            draft = path.with_name(f"{path.name}.{uuid.uuid4()}")
            draft.write_text(f"{uuid.uuid4()}\n")
            try:
                with suppress(FileExistsError):  # another process was faster
                    path.hardlink_to(draft)
            finally:
                draft.unlink()
        home_id = path.read_text().strip()
    except UnicodeDecodeError:
        home_id = ""
    if not home_id:
        raise StorageError(f"{path} is no name; restore it from its backup, or remove it if no recordings wait here")
    return home_id[:36]


def revision_of(engine: Engine) -> str | None:
    """The schema that is there; None when there is none."""
    with engine.begin() as connection:
        return revision_in(connection)


def revision_in(connection: Connection) -> str | None:
    """The same within a transaction."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def migrate(engine: Engine, lock: Callable[[Connection], object] | None = None) -> None:
    """Bring the schema to `SCHEMA_REVISION` in one transaction, which begins with `lock`."""
    from callwright.storage.migrate import upgrade  # here, because Alembic takes a tenth of a second to load

    with engine.begin() as connection:
        if lock is not None:
            lock(connection)
            if revision_in(connection) == SCHEMA_REVISION:  # another node was faster
                return
        upgrade(connection)
