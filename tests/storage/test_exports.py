"""Export jobs: one after the other, whole or not at all, gone when they are cancelled or old."""

from pathlib import Path
from typing import Protocol

from callwright.storage import exports
from callwright.storage.records import ExportState, StoredExport
from callwright.storage.store import Store


class Clock(Protocol):
    now: float


async def queued(store: Store) -> StoredExport:
    export = await store.create_export("riders_hq", 1.0, 2.0, 0)
    assert export is not None
    return export


async def state_of(store: Store, job_id: str) -> ExportState:
    found = await store.find_export("riders_hq", job_id)
    assert found is not None
    return found.state


async def test_a_job_is_queued_run_and_downloaded(store: Store, clock: Clock) -> None:
    export = await queued(store)
    assert await store.find_export("riders_hq", export.job_id) == export
    assert await store.find_download(export.token) is None
    started = await store.start_next_export()
    assert started is not None
    assert (started.job_id, started.state) == (export.job_id, ExportState.RUNNING)
    assert await store.add_export_piece(export.job_id, 0, "SessionId\r\n")
    assert await store.add_export_piece(export.job_id, 1, "é\r\n")
    assert await store.finish_export(export.job_id, ExportState.SUCCEEDED, clock.now + 60)
    found = await store.find_download(export.token)
    assert found is not None
    assert (found.job_id, found.expires_at) == (export.job_id, clock.now + 60)
    pieces = [await store.export_piece(export.job_id, number) for number in range(3)]
    assert pieces == [b"SessionId\r\n", "é\r\n".encode(), None]
    assert await store.start_next_export() is None


async def test_jobs_run_oldest_first_and_one_that_was_cut_off_starts_anew(store: Store, clock: Clock) -> None:
    first = await queued(store)
    clock.now += 1
    second = await queued(store)
    for _ in range(2):
        started = await store.start_next_export()
        assert started is not None
        assert started.job_id == first.job_id
        assert await store.export_piece(first.job_id, 0) is None
        assert await store.add_export_piece(first.job_id, 0, "half")
    await store.finish_export(first.job_id, ExportState.EMPTY)
    assert await store.export_piece(first.job_id, 0) is None
    started = await store.start_next_export()
    assert started is not None
    assert started.job_id == second.job_id


async def test_a_cancelled_job_writes_no_more_and_keeps_nothing(store: Store) -> None:
    export = await queued(store)
    await store.start_next_export()
    await store.add_export_piece(export.job_id, 0, "half")
    assert await store.cancel_export("riders_hq", export.job_id)
    assert not await store.add_export_piece(export.job_id, 1, "more")
    assert not await store.finish_export(export.job_id, ExportState.SUCCEEDED, 1e12)
    assert await state_of(store, export.job_id) is ExportState.CANCELLED
    assert await store.export_piece(export.job_id, 0) is None
    assert await store.find_download(export.token) is None


async def test_a_job_is_its_sub_accounts_own(store: Store) -> None:
    export = await queued(store)
    await store.ensure_sub_account("other")
    assert await store.find_export("other", export.job_id) is None
    assert not await store.cancel_export("other", export.job_id)
    assert not await store.cancel_export("riders_hq", "no such job")
    assert await state_of(store, export.job_id) is ExportState.QUEUED


async def test_a_link_dies_with_its_time_and_what_it_led_to_is_taken_away(store: Store, clock: Clock) -> None:
    export = await queued(store)
    await store.start_next_export()
    await store.add_export_piece(export.job_id, 0, "text")
    await store.finish_export(export.job_id, ExportState.SUCCEEDED, clock.now + 60)
    assert await store.drop_expired_exports() == 0
    clock.now += 60
    assert await store.find_download(export.token) is None
    assert await store.drop_expired_exports() == 1
    assert await store.export_piece(export.job_id, 0) is None


async def test_no_sub_account_may_queue_without_end(store: Store) -> None:
    for _ in range(exports.MOST_OPEN):
        await queued(store)
    assert await store.create_export("riders_hq", 1.0, 2.0, 0) is None
    await store.ensure_sub_account("other")
    assert await store.create_export("other", 1.0, 2.0, 0) is not None


async def test_a_links_secret_is_nowhere_in_the_data_folder(store: Store, database: Path) -> None:
    export = await queued(store)
    assert export.token not in repr(export)
    await store.close()
    written = b"".join(path.read_bytes() for path in database.parent.iterdir())
    assert export.token.encode() not in written
    assert export.job_id.encode() in written
