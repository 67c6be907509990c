"""Writing logs of calls out, one job after the other, beside everything else the process does.

A job is a row in the store; who is killed in its middle starts it anew on the next start. Sessions are read in pages
and made into text on another thread, so that a year of calls delays no call of today.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from callwright.callflow.plan import Say, SayAndCapture
from callwright.contract.log_csv import LogRow, csv_lines, log_rows
from callwright.contract.log_export import links_expire_at
from callwright.errors import CallwrightError, StorageError, StorageUnavailable
from callwright.storage.records import ExportState, StoredExport, StoredSession
from callwright.storage.store import Store
from callwright.telemetry.clock import Clock

SESSIONS_PER_PIECE: Final = 200
STORE_PAUSE_SECONDS: Final = 5.0
"""Between two attempts at a database that is away."""
SWEEP_SECONDS: Final = 3600.0
"""How often files whose links are over are looked for."""

log = logging.getLogger(__name__)


class Exporter:
    """The one worker of a process."""

    def __init__(self, store: Store, clock: Clock, *, sessions_per_piece: int = SESSIONS_PER_PIECE) -> None:
        self._store = store
        self._clock = clock
        self._sessions_per_piece = sessions_per_piece
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what waits, or was cut off, and whatever comes."""
        self._task = asyncio.create_task(self._work(), name="exporter")
        self._task.add_done_callback(_report)

    async def stop(self) -> None:
        """Leave the job under way as it is; the next start begins it anew."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def wake(self) -> None:
        """A job was queued."""
        self._woken.set()

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._store.drop_expired_exports()
                while (job := await self._store.start_next_export()) is not None:
                    await self._run(job)
            except StorageError as error:
                log.warning("log exports wait for the database: %s", error)
                await asyncio.sleep(STORE_PAUSE_SECONDS)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._woken.wait()

    async def _run(self, job: StoredExport) -> None:
        try:
            rows = await self._write(job)
        except StorageUnavailable:
            raise  # the job is begun anew when the database is back
        except CallwrightError as error:
            log.error("log export %s failed: %s", job.job_id, error)  # noqa: TRY400 - the error says it all
            await self._store.finish_export(job.job_id, ExportState.FAILED)
            return
        if rows is None:
            return
        state = ExportState.SUCCEEDED if rows else ExportState.EMPTY
        expires_at = links_expire_at(self._clock()) if rows else None
        if await self._store.finish_export(job.job_id, state, expires_at):
            log.info("log export %s has %d rows", job.job_id, rows)

    async def _write(self, job: StoredExport) -> int | None:
        """Write all pieces; how many rows, None when the job was cancelled."""
        rows, number = 0, 0
        after: tuple[float, str] | None = None
        while not job.most_rows or rows < job.most_rows:
            page = await self._store.finished_sessions(
                job.sub_account_id, job.begins_at, job.ends_at, after, self._sessions_per_piece
            )
            if not page:
                break
            after = (page[-1].accepted_at, page[-1].session_id)
            room = job.most_rows - rows if job.most_rows else None
            text, count = await asyncio.to_thread(_piece, page, room, headed=number == 0)
            if not await self._store.add_export_piece(job.job_id, number, text):
                return None
            rows += count
            number += 1
        return rows


def _piece(sessions: Sequence[StoredSession], most_rows: int | None, *, headed: bool) -> tuple[str, int]:
    """The lines of some sessions, with the names of the columns if they are the first; and how many rows."""
    rows = [row for session in sessions for row in _rows(session)][:most_rows]
    return "".join(islice(csv_lines(rows), 0 if headed else 1, None)), len(rows)


def _rows(session: StoredSession) -> list[LogRow]:
    if session.summary is None:
        return []
    spoken = _spoken_characters(session) if any(leg.connected_at is not None for leg in session.summary.legs) else None
    return log_rows(session.summary, account_id="", product=_product(session), tts_length=spoken)


def _product(session: StoredSession) -> str:
    """By what was done with it: which product a call belongs to is not said by the request."""
    legs = () if session.summary is None else session.summary.legs
    if any(leg.inbound for leg in legs) and len(legs) > 1:
        return "Number Masking"
    if any(leg.inbound for leg in legs) or any(isinstance(each, SayAndCapture) for each in session.callflow.actions):
        return "IVR"
    return "Voice Messaging"


def _spoken_characters(session: StoredSession) -> int | None:
    """Characters of the texts that the request asked to be spoken; None without any."""
    texts = [action.text for action in session.callflow.actions if isinstance(action, Say)]
    texts += [action.prompt_message for action in session.callflow.actions if isinstance(action, SayAndCapture)]
    return sum(map(len, texts)) if texts else None


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("log exports stand still until callwright is started anew", exc_info=task.exception())
