"""Trunks that were given by command or over the API: the queries, each a function of a connection.

A row holds the table that `[trunks.NAME]` would hold, as JSON; what is secret in it is sealed.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Insert, RowMapping, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from callwright.errors import StorageError
from callwright.storage import editions
from callwright.storage.editions import Upsert
from callwright.storage.schema import trunks
from callwright.storage.secrets_box import SecretsBox, trunk_place

SECRET_KEYS: Final = ("password",)
_SEALED: Final = "sealed"

ALL_TRUNKS = select(trunks.c.name, trunks.c.settings, trunks.c.updated_at).order_by(trunks.c.name)
ONE_TRUNK = ALL_TRUNKS.where(trunks.c.name == bindparam("this_name"))
DELETE_TRUNK = delete(trunks).where(trunks.c.name == bindparam("this_name"))


@dataclass(frozen=True, slots=True)
class SealedTrunk:
    """A trunk as it lies in the database."""

    name: str
    settings: str
    updated_at: float


@dataclass(frozen=True, slots=True)
class StoredTrunk:
    """A trunk with its secrets."""

    name: str
    table: Mapping[str, object] = field(repr=False)
    "as `[trunks.NAME]`"
    updated_at: float


def _put_trunk(query: Upsert) -> Insert:
    return query.on_conflict_do_update(
        index_elements=[trunks.c.name], set_={name: query.excluded[name] for name in ("settings", "updated_at")}
    )


PUT_TRUNK: Mapping[str, Insert] = {
    "sqlite": _put_trunk(sqlite.insert(trunks)),
    "postgresql": _put_trunk(postgresql.insert(trunks)),
}


def put(connection: Connection, box: SecretsBox, trunk: StoredTrunk) -> None:
    """Write a trunk, over the one that has its name."""
    table = {
        key: {_SEALED: base64.b64encode(box.seal(str(value), trunk_place(trunk.name, key))).decode()}
        if key in SECRET_KEYS
        else value
        for key, value in trunk.table.items()
    }
    row = {"name": trunk.name, "settings": json.dumps(table), "updated_at": trunk.updated_at}
    connection.execute(PUT_TRUNK[connection.dialect.name], row)
    editions.move_on(connection, editions.TRUNKS)


def remove(connection: Connection, name: str) -> SealedTrunk | None:
    """Take a trunk away and say what it was; None when there is none."""
    row = connection.execute(ONE_TRUNK, {"this_name": name}).mappings().first()
    if row is None:
        return None
    connection.execute(DELETE_TRUNK, {"this_name": name})
    editions.move_on(connection, editions.TRUNKS)
    return _trunk(row)


def every(connection: Connection) -> list[SealedTrunk]:
    """All of them, by name."""
    return [_trunk(row) for row in connection.execute(ALL_TRUNKS).mappings()]


def opened(trunk: SealedTrunk, box: SecretsBox) -> StoredTrunk:
    """With its secrets; StorageError when one does not open or the row is no trunk."""
    try:
        table = json.loads(trunk.settings)
        opened = {
            key: box.open(base64.b64decode(value[_SEALED]), trunk_place(trunk.name, key))
            if key in SECRET_KEYS
            else value
            for key, value in table.items()
        }
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise StorageError(f"the trunk {trunk.name} in the database cannot be read") from error
    return StoredTrunk(trunk.name, opened, trunk.updated_at)


def _trunk(row: RowMapping) -> SealedTrunk:
    return SealedTrunk(**row)
