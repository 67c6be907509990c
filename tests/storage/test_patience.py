"""Patient changes: kept back to share a commit, never for long, never beyond the end."""

import asyncio

from sqlalchemy import event

from callwright.storage.store import Store
from callwright.storage.transactions import ENOUGH_COMPANY, Transactions


def commits_of(store: Store) -> list[str]:
    """Grows with every commit of a change."""
    commits: list[str] = []
    event.listen(store._database.write, "commit", lambda _: commits.append("commit"))
    return commits


async def change(store: Store, ran: list[str], name: str, *, patient: bool) -> None:
    await store._changes.run(lambda _: ran.append(name), patient=patient)


async def test_a_patient_change_goes_with_the_next_that_has_no_patience(store: Store) -> None:
    commits, ran = commits_of(store), list[str]()
    patient = asyncio.create_task(change(store, ran, "patient", patient=True))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not ran
    await change(store, ran, "urgent", patient=False)
    await patient
    assert (ran, len(commits)) == (["patient", "urgent"], 1)


async def test_a_patient_change_alone_is_made_in_time(store: Store) -> None:
    ran: list[str] = []
    await change(store, ran, "first", patient=True)
    await change(store, ran, "second", patient=True)
    assert ran == ["first", "second"]


async def test_enough_patient_changes_wait_for_nobody(store: Store) -> None:
    commits, ran = commits_of(store), list[str]()
    waiting = [asyncio.create_task(change(store, ran, str(n), patient=True)) for n in range(ENOUGH_COMPANY)]
    await asyncio.sleep(0)
    assert isinstance(store._changes, Transactions)
    assert store._changes._company is None  # nothing to wait for: the batch is on its way
    await asyncio.gather(*waiting)
    assert len(commits) == 1


async def test_a_patient_change_behind_a_batch_is_made_too(store: Store) -> None:
    ran: list[str] = []
    urgent = asyncio.create_task(change(store, ran, "urgent", patient=False))
    for _ in range(3):
        await asyncio.sleep(0)  # the batch is on the thread, or done
    await change(store, ran, "patient", patient=True)
    await urgent
    assert sorted(ran) == ["patient", "urgent"]


async def test_closing_waits_for_patient_changes_only_as_long_as_they_take(store: Store) -> None:
    ran: list[str] = []
    patient = asyncio.create_task(change(store, ran, "patient", patient=True))
    await asyncio.sleep(0)
    await store.close()
    await patient
    assert ran == ["patient"]
