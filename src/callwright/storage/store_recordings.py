"""The store's methods about recordings and where they go."""

from callwright.errors import StorageError
from callwright.storage import recordings
from callwright.storage.access import Access
from callwright.storage.records import PushConfig, RecordingState, StoredRecording

ENDS = frozenset({RecordingState.PROCESSING_FAILED, RecordingState.UPLOAD_COMPLETED, RecordingState.UPLOAD_FAILED})


class RecordingStore(Access):
    """Push configs, recordings from their beginning to their upload, and the VRU that tells of it.

    Files lie in a data folder: of those that wait, each process sees those of its own.
    """

    async def put_push_config(self, sub_account_id: str, config: PushConfig) -> None:
        """Store where a sub-account's recordings go, or replace it. StorageError: no such sub-account."""
        at = self._clock()
        await self._change(lambda connection: recordings.put_config(connection, self._box, sub_account_id, config, at))

    async def find_push_config(self, sub_account_id: str) -> PushConfig | None:
        """Where a sub-account's recordings go, or None."""
        return await self._ask(lambda connection: recordings.find_config(connection, self._box, sub_account_id))

    async def delete_push_config(self, sub_account_id: str) -> PushConfig | None:
        """Take it away; what it was, or None."""
        return await self._change(lambda connection: recordings.delete_config(connection, self._box, sub_account_id))

    async def begin_recording(  # one row, whole
        self,
        recording_id: str,
        session_id: str,
        sub_account_id: str,
        leg_id: str,
        started_at: float,
        path: str | None = None,
    ) -> None:
        """Write down that a recording goes on; with the spool's `path`, a crash loses no track of the file."""
        await self._change(
            lambda connection: recordings.begin(
                connection, recording_id, session_id, sub_account_id, leg_id, started_at, path, self.home_id
            )
        )

    async def recording_ready(self, recording_id: str, path: str, duration_seconds: float) -> None:
        """The file is whole; it is due to be uploaded. StorageError when the recording is unknown or over."""
        at = self._clock()
        await self._change(
            lambda connection: recordings.make_ready(connection, recording_id, path, duration_seconds, at)
        )

    async def due_recordings(self, limit: int) -> tuple[StoredRecording, ...]:
        """The next to be uploaded, by the time of their next try (which may lie in the future)."""
        return await self._ask(lambda connection: recordings.due(connection, self.home_id, limit))

    async def unready_recordings(self) -> tuple[StoredRecording, ...]:
        """All that were begun and never became ready: after a start, those that a crash cut off."""
        return await self._ask(lambda connection: recordings.unready(connection, self.home_id))

    async def note_upload_attempt(self, recording_id: str, error: str, next_attempt_at: float) -> None:
        """A try to upload failed and is to be repeated. StorageError when the recording is unknown or over."""
        await self._change(lambda connection: recordings.note_upload(connection, recording_id, error, next_attempt_at))

    async def finish_recording(
        self,
        recording_id: str,
        state: RecordingState,
        external_url: str | None,
        vru_body: bytes,
        *,
        error: str | None = None,
    ) -> bool:
        """The one end of a recording, together with its VRU: due now, or NO_ENDPOINT when nobody wants it.

        `state` is PROCESSING_FAILED, UPLOAD_COMPLETED or UPLOAD_FAILED. False when it had ended before; nothing is
        changed then. Raises StorageError for an unknown recording.
        """
        if state not in ENDS:
            raise StorageError(f"{state} is no end of a recording")
        at = self._clock()
        return await self._change(
            lambda connection: recordings.finish(connection, recording_id, state, external_url, vru_body, error, at)
        )

    async def recordings_of(self, session_id: str) -> tuple[StoredRecording, ...]:
        """A session's recordings, oldest first; the state says how its VRU fared, too."""
        return await self._ask(lambda connection: recordings.recordings_of(connection, session_id))
