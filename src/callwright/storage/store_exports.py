"""The store's methods about export jobs."""

import asyncio
import secrets
import uuid
import zlib

from callwright.storage import exports, sessions
from callwright.storage.access import Access
from callwright.storage.idempotency import Keep
from callwright.storage.keys import digest_of
from callwright.storage.records import ExportState, StoredExport, StoredSession

TOKEN_BYTES = 32
COMPRESSION = 6
EXPORT_LEASE_SECONDS = 60.0
"""From one piece of a job to the next; whoever is later has died, and another node begins the job anew."""


class ExportStore(Access):
    """Jobs that write sessions out, what they wrote, and the sessions they read."""

    async def create_export(
        self, sub_account_id: str, begins_at: float, ends_at: float, most_rows: int, keep: Keep | None = None
    ) -> StoredExport | None:
        """Queue a job over the sessions accepted in a span of time; None when too many of its sub-account are open.

        `keep` says what the request is answered, if it has an Idempotency-Key; KeyTaken when that has been used.
        """
        export = StoredExport(
            job_id=str(uuid.uuid4()),
            sub_account_id=sub_account_id,
            state=ExportState.QUEUED,
            begins_at=begins_at,
            ends_at=ends_at,
            most_rows=most_rows,
            created_at=self._clock(),
            expires_at=None,
            token=secrets.token_urlsafe(TOKEN_BYTES),
        )
        digest = digest_of(export.token)
        kept = None if keep is None else keep(export.job_id)
        created = await self._change(lambda connection: exports.create(connection, self._box, export, digest, kept))
        return export if created else None

    async def find_export(self, sub_account_id: str, job_id: str) -> StoredExport | None:
        """A sub-account's own job, or None."""
        found = await self._ask(lambda connection: exports.find(connection, self._box, job_id))
        return found if found is not None and found.sub_account_id == sub_account_id else None

    async def find_download(self, token: str) -> StoredExport | None:
        """The job whose link has this secret, if it may be downloaded now."""
        digest, now = digest_of(token), self._clock()
        found = await self._ask(lambda connection: exports.find_by_token(connection, self._box, digest))
        if found is None or found.state is not ExportState.SUCCEEDED:
            return None
        return found if found.expires_at is not None and found.expires_at > now else None

    async def cancel_export(self, sub_account_id: str, job_id: str) -> bool:
        """End a sub-account's own job and drop what it wrote; False when there is none."""
        return await self._change(lambda connection: exports.cancel(connection, self._box, sub_account_id, job_id))

    async def start_next_export(self) -> StoredExport | None:
        """The oldest job that waits, or that an earlier process left: running, with nothing written. None: all done."""
        now, lease_until = self._clock(), self._lease(EXPORT_LEASE_SECONDS)
        return await self._change(
            lambda connection: exports.start_next(connection, self._box, self.node_id, now, lease_until)
        )

    async def add_export_piece(self, job_id: str, number: int, text: str) -> bool:
        """Keep a piece of what a job writes, numbered from 0; False when the job was cancelled."""
        body = await asyncio.to_thread(zlib.compress, text.encode(), COMPRESSION)
        lease_until = self._lease(EXPORT_LEASE_SECONDS)
        return await self._change(
            lambda connection: exports.add_piece(connection, job_id, self.node_id, number, body, lease_until)
        )

    async def finish_export(self, job_id: str, state: ExportState, expires_at: float | None = None) -> bool:
        """The end of a job; False when it was cancelled. What it wrote stays until `expires_at` if it SUCCEEDED."""
        return await self._change(
            lambda connection: exports.finish(connection, job_id, self.node_id, state, expires_at)
        )

    async def export_piece(self, job_id: str, number: int) -> bytes | None:
        """One piece, UTF-8; None after the last."""
        return await self._ask(lambda connection: exports.piece(connection, job_id, number))

    async def drop_expired_exports(self) -> int:
        """Take away what may no longer be downloaded; how many pieces."""
        now = self._clock()
        return await self._change(lambda connection: exports.drop_expired(connection, now))

    async def finished_sessions(
        self, sub_account_id: str, begins_at: float, ends_at: float, after: tuple[float, str] | None, limit: int
    ) -> tuple[StoredSession, ...]:
        """Sessions with a terminal record, accepted in a span of time, oldest first, from `after` (time and id) on."""
        return await self._ask(
            lambda connection: sessions.finished(connection, sub_account_id, begins_at, ends_at, after, limit)
        )
