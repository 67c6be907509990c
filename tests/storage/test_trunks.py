"""Trunks at rest: kept, replaced, taken away, told to other processes, their passwords unreadable."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callwright.errors import StorageError
from callwright.storage.store import Store

if TYPE_CHECKING:
    from tests.storage.conftest import OpenStore

TABLE = {"uri": "sip:192.0.2.1", "username": "us", "password": "open sesame", "codecs": ["PCMA"], "register": True}


async def test_a_trunk_is_kept_replaced_and_taken_away(store: Store) -> None:
    await store.put_trunk("b", TABLE)
    await store.put_trunk("a", {"uri": "sip:192.0.2.2"})
    assert [(one.name, one.table) for one in await store.stored_trunks()] == [
        ("a", {"uri": "sip:192.0.2.2"}),
        ("b", TABLE),
    ]
    await store.put_trunk("b", {"uri": "sip:192.0.2.3"})
    assert [one.table["uri"] for one in await store.stored_trunks()] == ["sip:192.0.2.2", "sip:192.0.2.3"]
    assert await store.remove_trunk("a")
    assert not await store.remove_trunk("a")
    assert [one.name for one in await store.stored_trunks()] == ["b"]


async def test_every_change_moves_the_edition_on_for_other_processes_too(store: Store, open_store: "OpenStore") -> None:
    other = await open_store(exclusive=False)
    seen = [await other.trunks_edition()]
    for change in (store.put_trunk("a", TABLE), store.put_trunk("a", TABLE), store.remove_trunk("a")):
        await change
        seen.append(await other.trunks_edition())
    assert len(set(seen)) == 4
    assert await other.trunks_edition() == seen[-1]
    await store.remove_trunk("a")  # nothing is there
    assert await other.trunks_edition() == seen[-1]


async def test_a_password_lies_sealed_in_the_file_and_shows_in_no_repr(store: Store, database: Path) -> None:
    trunk = await store.put_trunk("a", TABLE)
    assert "sesame" not in repr(trunk)
    await store.close()
    assert b"sesame" not in b"".join(path.read_bytes() for path in database.parent.glob("callwright.db*"))


async def test_a_password_that_was_moved_to_another_trunk_does_not_open(store: Store, database: Path) -> None:
    await store.put_trunk("a", TABLE)
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO trunks SELECT 'b', settings, updated_at FROM trunks")
    connection.close()
    with pytest.raises(StorageError, match=r"trunks/b/password does not open"):
        await store.stored_trunks()


@pytest.mark.parametrize("text", ["no json", "[]", '{"password": "plain"}', '{"password": {"sealed": "***"}}'])
async def test_a_row_that_is_no_trunk_is_named(store: Store, database: Path, text: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO trunks VALUES ('odd', ?, 0)", (text,))
    connection.close()
    with pytest.raises(StorageError, match="odd"):
        await store.stored_trunks()
