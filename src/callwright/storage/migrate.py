"""Running the migrations that ship inside the package (`migrations/versions/`), in a transaction that is handed in."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from callwright.errors import StorageError

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without an ini file: it runs on the connection that is handed in."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision. The caller's transaction is the lock: it is a writer's from its start.

    Raises StorageError when the database is at a revision that this program does not know.
    """
    config = configuration(connection)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise StorageError(
            f"the database has schema {current}, which this version of callwright does not know: "
            "it was written by a newer one; install that, or use another data folder"
        )
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(f"the database could not be brought up to date: {error}") from error
