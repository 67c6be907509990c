"""Which database a URL names, and the key of its secrets."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql

from callwright.errors import StorageError
from callwright.storage.database import Database
from callwright.storage.faults import translated
from callwright.storage.schema import secrets_check
from callwright.storage.secrets_box import SecretsBox, read_or_create_key
from callwright.storage.sqlite import open_sqlite

KEY_FILE_NAME: Final = "secrets.key"
CHECKED_PLACE: Final = "secrets_check"
CHECKED_TEXT: Final = "the key of this database"
THE_CHECK: Final = 1

SEALED_CHECK = select(secrets_check.c.sealed).where(secrets_check.c.check_id == THE_CHECK)
INSERT_CHECK = postgresql.insert(secrets_check).on_conflict_do_nothing()


def open_database(url: str, folder: Path | None, *, exclusive: bool, busy_timeout_seconds: float) -> Database:
    """Open, make and migrate: `sqlite:///FOLDER/callwright.db`, or `postgresql://…` with the data folder beside it.

    Raises StorageError for a URL of neither, and what opening raises.
    """
    scheme = url.partition(":")[0]
    if scheme in {"sqlite", "sqlite+pysqlite"}:
        return open_sqlite(url, exclusive=exclusive, busy_timeout_seconds=busy_timeout_seconds)
    if scheme not in {"postgresql", "postgres"}:
        raise StorageError("the database URL is not one; write postgresql://… or sqlite:///FOLDER/callwright.db")
    if folder is None:
        raise StorageError("with PostgreSQL, a data folder is needed for the key of its secrets")
    from callwright.storage.postgresql import open_postgresql  # here: psycopg takes a tenth of a second to load

    return open_postgresql(url, folder, exclusive=exclusive, busy_timeout_seconds=busy_timeout_seconds)


def open_secrets(database: Database, key_file: Path | None) -> SecretsBox:
    """The box of the key in `key_file`, or in the data folder; the key is made when there is none.

    Nodes that share a database must have the same key. Which one that is, the first of them left a mark of in the
    database; StorageError when ours is another, or absent.
    """
    path = key_file or database.folder / KEY_FILE_NAME
    if not database.is_shared:
        return SecretsBox(read_or_create_key(path))
    with translated(), database.write.begin() as connection:
        return _checked(connection, path)


def _checked(connection: Connection, path: Path) -> SecretsBox:
    sealed = connection.execute(SEALED_CHECK).scalar_one_or_none()
    if sealed is not None and not path.exists():
        raise StorageError(f"there is no {path}: copy it from a node that has this database open, or from a backup")
    box = SecretsBox(read_or_create_key(path))
    if sealed is None:
        mark = {"check_id": THE_CHECK, "sealed": box.seal(CHECKED_TEXT, CHECKED_PLACE)}
        connection.execute(INSERT_CHECK, mark)
        sealed = connection.execute(SEALED_CHECK).scalar_one()  # another node may have been faster
    try:
        box.open(sealed, CHECKED_PLACE)
    except StorageError:
        raise StorageError(
            f"{path} is not the key that the secrets in this database are sealed with: "
            "copy it from a node that has the database open, or from a backup"
        ) from None
    return box
