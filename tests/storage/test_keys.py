"""API keys: shown once, checked without SQL, revoked everywhere."""

import hashlib
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import event

from callwright.errors import StorageError
from callwright.storage.keys import LAST_USED_SECONDS
from callwright.storage.mirror import AGE_SECONDS
from callwright.storage.store import Store


class Clock(Protocol):
    now: float


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True) -> Store: ...


def folder_bytes(database: Path) -> bytes:
    """Everything in the data folder."""
    return b"".join(path.read_bytes() for path in database.parent.iterdir())


async def test_a_key_is_prefixed_long_unlike_any_other_and_found_by_its_text(store: Store) -> None:
    first = await store.create_key("riders_hq", "first", ["calls", "webhooks"])
    second = await store.create_key("riders_hq", "second")
    assert first != second
    assert first.startswith("cw_")
    assert len(first) >= len("cw_") + 43  # 43 characters of base64url hold 256 bits
    key = await store.find_key(first)
    assert key is not None
    assert (key.name, key.sub_account_id, key.scopes, key.revoked_at) == (
        "first", "riders_hq", ("calls", "webhooks"), None,
    )  # fmt: skip


async def test_a_key_is_good_for_its_own_sub_account_only(store: Store) -> None:
    await store.ensure_sub_account("other")
    key = await store.create_key("riders_hq", "k")
    assert await store.check_key(key, "riders_hq") is not None
    assert await store.check_key(key, "other") is None
    assert await store.check_key(key, "nobody") is None


@pytest.mark.parametrize("change", ["", "x", "upper", "cut", "surrogate", "digest"])
async def test_a_text_that_is_no_key_finds_nothing(store: Store, change: str) -> None:
    key = await store.create_key("riders_hq", "k")
    wrong = {
        "": "",
        "x": key + "x",
        "upper": key.upper(),
        "cut": key[:-1],
        "surrogate": key + "\udcff",
        "digest": hashlib.sha256(key.encode()).hexdigest(),
    }[change]
    assert await store.check_key(wrong, "riders_hq") is None


async def test_checking_keys_costs_no_sql_until_the_ring_is_old(store: Store, clock: Clock) -> None:
    key = await store.create_key("riders_hq", "k")
    assert await store.check_key(key, "riders_hq")
    statements: list[str] = []
    event.listen(store._database.read, "before_cursor_execute", lambda *arguments: statements.append(str(arguments[2])))
    for _ in range(100):
        assert await store.check_key(key, "riders_hq")
        assert await store.check_key("cw_wrong", "riders_hq") is None
    assert statements == []
    clock.now += AGE_SECONDS + 0.1
    assert await store.check_key(key, "riders_hq")
    assert len([statement for statement in statements if "editions" in statement]) == 1
    assert not [statement for statement in statements if "api_keys" in statement]


async def test_a_revoked_key_is_refused_at_once_and_stays_refused(store: Store) -> None:
    key = await store.create_key("riders_hq", "k")
    found = await store.check_key(key, "riders_hq")
    assert found is not None
    assert await store.revoke_key(found.key_id)
    assert await store.check_key(key, "riders_hq") is None
    assert not await store.revoke_key(found.key_id)
    assert not await store.revoke_key("no such key")
    with pytest.raises(StorageError, match="revoked"):
        await store.adopt_key(key, "riders_hq", "again")
    (listed,) = await store.list_keys()
    assert listed.revoked_at is not None


async def test_another_process_makes_and_revokes_keys_and_the_server_learns_it_within_seconds(
    store: Store, open_store: OpenStore, clock: Clock
) -> None:
    commands = await open_store(exclusive=False)
    assert await store.find_key("cw_warm") is None
    key = await commands.create_key("riders_hq", "from elsewhere")
    assert await store.check_key(key, "riders_hq") is None
    clock.now += AGE_SECONDS + 0.1
    found = await store.check_key(key, "riders_hq")
    assert found is not None
    assert await commands.revoke_key(found.key_id)
    clock.now += AGE_SECONDS + 0.1
    assert await store.check_key(key, "riders_hq") is None


async def test_a_preset_key_may_be_adopted_again_and_again_but_by_one_sub_account(store: Store) -> None:
    await store.ensure_sub_account("other")
    await store.adopt_key("development-key", "riders_hq", "preset")
    await store.adopt_key("development-key", "riders_hq", "preset")
    assert len(await store.list_keys()) == 1
    assert await store.check_key("development-key", "riders_hq")
    with pytest.raises(StorageError, match="another sub-account"):
        await store.adopt_key("development-key", "other", "preset")


@pytest.mark.parametrize("text", ["", "short", "with a space", "naïve-key", "line\nbreak-key"])
async def test_a_preset_key_that_no_client_could_send_is_refused(store: Store, text: str) -> None:
    with pytest.raises(StorageError, match="API key"):
        await store.adopt_key(text, "riders_hq", "preset")
    assert await store.list_keys() == ()


async def test_keys_need_a_sub_account_and_scopes_without_spaces(store: Store) -> None:
    with pytest.raises(StorageError, match="no sub-account nobody"):
        await store.create_key("nobody", "k")
    with pytest.raises(StorageError, match="scope"):
        await store.create_key("riders_hq", "k", ["two words"])


async def test_last_use_is_written_lazily_and_at_the_end(store: Store, open_store: OpenStore, clock: Clock) -> None:
    key = await store.create_key("riders_hq", "k")
    await store.check_key(key, "riders_hq")
    assert [listed.last_used_at for listed in await store.list_keys()] == [None]
    clock.now += LAST_USED_SECONDS + 1
    await store.check_key(key, "riders_hq")
    assert store._noting is not None
    await store._noting
    assert [listed.last_used_at for listed in await store.list_keys()] == [clock.now]
    clock.now += 5
    await store.check_key(key, "riders_hq")
    await store.close()
    again = await open_store()
    assert [listed.last_used_at for listed in await again.list_keys()] == [clock.now]


async def test_a_keys_text_is_nowhere_in_the_data_folder(store: Store, database: Path) -> None:
    key = await store.create_key("riders_hq", "k")
    await store.close()
    written = folder_bytes(database)
    assert key.removeprefix("cw_").encode() not in written
    assert hashlib.sha256(key.encode()).hexdigest().encode() in written  # the search does find what is there
