"""Waking other nodes: a notice that leaves with the commit of its transaction (PostgreSQL's NOTIFY).

Commits with a notice wait for each other in PostgreSQL, so it is for what is rare. SQLite has one node.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, func, select

CHANNEL: Final = "callwright"
"""Where nodes wake each other."""
ANYBODY: Final = ""
"""A wake-up for every node."""

NOTIFY = select(func.pg_notify(CHANNEL, bindparam("payload")))


def wake(connection: Connection, node_id: str) -> None:
    """Have a node look around as soon as this is committed; with ANYBODY, all of them."""
    if connection.dialect.name == "postgresql":
        connection.execute(NOTIFY, {"payload": node_id})
