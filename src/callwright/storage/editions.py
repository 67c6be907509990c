"""Editions: a counter for each thing that processes keep in memory, moved on by whoever changes that thing."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from callwright.storage.schema import editions

API_KEYS: Final = "api_keys"
VIRTUAL_NUMBERS: Final = "virtual_numbers"
WEBHOOKS: Final = "webhooks"
TRUNKS: Final = "trunks"
FOLLOWERS: Final = "followers"
EDITIONS: Final = (API_KEYS, VIRTUAL_NUMBERS, WEBHOOKS, TRUNKS, FOLLOWERS)

ALL_EDITIONS = select(editions.c.name, editions.c.number)

# `ON CONFLICT` is one and the same in both databases, but SQLAlchemy keeps it with the dialects.
Upsert = sqlite.Insert | postgresql.Insert


def _next_edition(query: Upsert) -> Insert:
    return query.values(name=bindparam("edition"), number=1).on_conflict_do_update(
        index_elements=[editions.c.name], set_={"number": editions.c.number + 1}
    )


NEXT_EDITION: Mapping[str, Insert] = {
    "sqlite": _next_edition(sqlite.insert(editions)),
    "postgresql": _next_edition(postgresql.insert(editions)),
}


def move_on(connection: Connection, name: str) -> None:
    """Say that `name` has changed."""
    connection.execute(NEXT_EDITION[connection.dialect.name], {"edition": name})


def current(connection: Connection) -> dict[str, int]:
    """All editions by name; what never changed is not among them."""
    return dict(connection.execute(ALL_EDITIONS).all())
