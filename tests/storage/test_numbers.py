"""Virtual numbers: one owner each, known from memory, and every change told to who wants it."""

import json
from typing import Protocol

import pytest
from sqlalchemy import event

from callwright.errors import StorageError
from callwright.storage.mirror import AGE_SECONDS
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store

NUMBER, OTHER = "+6531580000", "+6531580001"


class Clock(Protocol):
    now: float


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True) -> Store: ...


async def test_a_number_is_given_found_listed_and_taken_away(store: Store, clock: Clock) -> None:
    added = await store.add_number("riders_hq", NUMBER)
    assert (added.msisdn, added.sub_account_id, added.country, added.status) == (NUMBER, "riders_hq", "SG", "Active")
    assert (added.created_at, added.updated_at) == (clock.now, clock.now)
    assert await store.find_number(NUMBER) == added
    assert await store.list_numbers("riders_hq") == (added,)
    assert store.reference_ids("riders_hq") == {NUMBER: added.reference_id}
    assert await store.remove_number(NUMBER) == added
    assert await store.find_number(NUMBER) is None
    assert await store.remove_number(NUMBER) is None
    assert store.reference_ids("riders_hq") == {}


async def test_giving_a_number_again_changes_nothing(store: Store) -> None:
    added = await store.add_number("riders_hq", NUMBER)
    assert await store.add_number("riders_hq", NUMBER) == added


async def test_a_number_has_one_owner(store: Store) -> None:
    await store.ensure_sub_account("other")
    await store.add_number("riders_hq", NUMBER)
    with pytest.raises(StorageError, match="belongs to another sub-account"):
        await store.add_number("other", NUMBER)
    assert await store.remove_number(NUMBER, "other") is None
    assert await store.remove_number(NUMBER, "riders_hq") is not None
    with pytest.raises(StorageError, match="no sub-account nobody"):
        await store.add_number("nobody", NUMBER)


@pytest.mark.parametrize("text", ["", "6531580000", "+65", "+65 3158 0000", "riders", "+0001234567"])
async def test_what_is_no_number_is_refused(store: Store, text: str) -> None:
    with pytest.raises(StorageError, match="international form"):
        await store.add_number("riders_hq", text)


async def test_looking_numbers_up_costs_no_sql_until_they_are_old(store: Store, clock: Clock) -> None:
    await store.add_number("riders_hq", NUMBER)
    assert await store.find_number(NUMBER)
    statements: list[str] = []
    event.listen(store._database.read, "before_cursor_execute", lambda *arguments: statements.append(str(arguments[2])))
    for _ in range(100):
        assert await store.find_number(NUMBER)
        assert await store.find_number(OTHER) is None
    assert statements == []
    clock.now += AGE_SECONDS + 0.1
    assert await store.find_number(NUMBER)
    assert len([statement for statement in statements if "editions" in statement]) == 1
    assert not [statement for statement in statements if "virtual_numbers" in statement]


async def test_a_number_given_by_another_process_is_known_within_seconds(
    store: Store, open_store: OpenStore, clock: Clock
) -> None:
    commands = await open_store(exclusive=False)
    assert await store.find_number(NUMBER) is None
    await commands.add_number("riders_hq", NUMBER)
    clock.now += AGE_SECONDS + 0.1
    assert await store.find_number(NUMBER) is not None


async def test_a_change_of_numbers_is_told_to_the_webhook(store: Store) -> None:
    await store.add_number("riders_hq", NUMBER)
    assert await store.delivery_lanes() == ()
    await store.put_webhook("riders_hq", WebhookKind.VNU, "https://hooks.example.com/vnu", None)
    await store.add_number("riders_hq", OTHER)
    await store.add_number("riders_hq", OTHER)
    await store.remove_number(OTHER)
    told = await store.due_deliveries("riders_hq", "VNU", 9)
    payloads = [json.loads(delivery.body)["payload"] for delivery in told]
    assert [
        [
            (number["msisdn"], number["operationalStatus"], number["updateStatus"])
            for number in payload["virtualNumbers"]
        ]
        for payload in payloads
    ] == [
        [(NUMBER, "Active", "NO_CHANGE"), (OTHER, "Active", "UPDATED")],
        [(NUMBER, "Active", "NO_CHANGE"), (OTHER, "Inactive", "UPDATED")],
    ]
    assert [delivery.session_id for delivery in told] == ["", ""]
    assert len({delivery.event_id for delivery in told}) == 2
