"""Recordings: begun for calls, taken in when they are whole, uploaded until they arrive.

What is true stands in the database and in the spool; what waits is also in memory, because whoever has the file is the
one to upload it. Every step can be cut off by a crash and is taken up at the next start: a recording that was going on
is finished from what is on the disk, an upload that was going on is done again. A recording ends once, together with
the VRU event that tells of it: UPLOAD_COMPLETED, UPLOAD_FAILED after a week of tries, or PROCESSING_FAILED when there
is no sound to upload.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from callwright.contract.recordings import Recording, RecordingStatus, recording_updated
from callwright.errors import StorageError, StorageUnavailable
from callwright.recordings.encoding import Encoders
from callwright.recordings.lanes import Lanes, Waiting
from callwright.recordings.places import Place
from callwright.recordings.ports import RecordingDone, Records, StoredRecording
from callwright.recordings.push.host_keys import HostKeys
from callwright.recordings.push.parcel import Push
from callwright.recordings.spool import Spool
from callwright.recordings.upload import Arrived, Lost, NotArrived, Outcome, Uploader
from callwright.retries import wait_seconds
from callwright.telemetry.clock import Clock

LEAST_FREE_BYTES: Final = 256 * 1024 * 1024
"""With less room on the disk no recording is begun: the database may need the rest."""
STORE_PAUSE_SECONDS: Final = 1.0
"""Between two attempts at a database that is away."""
FAULT_PAUSE_SECONDS: Final = 60.0
"""How long a recording rests after something broke here."""
_ALL: Final = 2**31 - 1
_HEADER_BYTES: Final = 44
_BYTES_PER_SECOND: Final = 2 * 2 * 8_000
"""Of what calls are recorded into: two channels of 16 bits at 8 kHz."""
_OVER: Final = frozenset({"UPLOAD_COMPLETED", "CALLBACK_COMPLETED", "CALLBACK_FAILED"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A recording that goes on."""

    session_id: str
    sub_account_id: str
    started_at: float


class Recordings:
    """The shelf. Started and stopped on the event loop."""

    def __init__(
        self,
        folder: Path,
        store: Records,
        pushes: Mapping[str, Push],
        clock: Clock,
        *,
        host_keys: HostKeys,
        on_owed: Callable[[], None],
        encoders: Encoders | None = None,
        lanes: Lanes | None = None,
        least_free_bytes: int = LEAST_FREE_BYTES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`folder` is the spool, of this process alone; `pushes` are by protocol of the push config.

        `on_owed` is told when an event for a webhook became due. `sleep` waits in platform time and `jitter` gives
        numbers from 0 to 1; both are handed in by tests.
        """
        self._spool = Spool(folder)
        self._store = store
        self._clock = clock
        self._host_keys = host_keys
        self._on_owed = on_owed
        self._uploader = Uploader(store, self._spool, pushes, encoders or Encoders())
        self._lanes = lanes or Lanes()
        self._least_free_bytes = least_free_bytes
        self._sleep = sleep
        self._jitter = jitter
        self._begun: dict[str, _Begun] = {}
        self._news = asyncio.Event()
        self._taking_in: set[asyncio.Task[None]] = set()
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what an earlier process left, then upload. StorageError, OSError when the spool cannot be made."""
        await asyncio.to_thread(self._spool.open)
        due, unready = await self._store.due_recordings(_ALL), await self._store.unready_recordings()
        for stored in due:
            if await self._is_ours(stored):
                self._lanes.add(_waiting(stored))
        for stored in unready:
            if await self._is_ours(stored):
                self._begun[stored.recording_id] = _Begun(stored.session_id, stored.sub_account_id, stored.started_at)
                await self._take_in(stored.recording_id, 0.0, "callwright ended while it was recorded")
        await self._tidy({stored.recording_id for stored in (*due, *unready)})
        self._loop = asyncio.create_task(self._run(), name="recordings")
        self._loop.add_done_callback(_report)

    async def stop(self, limit_seconds: float = 5.0) -> None:
        """Upload nothing new; give what is on the way `limit_seconds`, then cut it off (it is uploaded again later)."""
        if self._loop is not None:
            await _cancelled(self._loop)
            self._loop = None
        if pending := self._taking_in | self._on_the_way:
            _, late = await asyncio.wait(pending, timeout=limit_seconds)
            for task in late:
                await _cancelled(task)

    async def begin(
        self, recording_id: str, session_id: str, sub_account_id: str, leg_id: str, at: float
    ) -> str | None:
        """Write down that a recording begins, and say which file it goes to; durable when it returns.

        None when the sub-account has no push config: there is no recording then (contract §2.2). StorageError when it
        cannot be written down, or the disk is nearly full: there is none either.
        """
        if await self._store.find_push_config(sub_account_id) is None:
            return None
        path = self._spool.recorded(session_id, recording_id)
        try:
            has_room = await asyncio.to_thread(self._spool.free_bytes) >= self._least_free_bytes
        except OSError as error:
            raise StorageError(f"the folder of recordings cannot be used: {error.strerror}") from error
        await self._store.begin_recording(recording_id, session_id, sub_account_id, leg_id, at, str(path))
        begun = _Begun(session_id, sub_account_id, at)
        if not has_room:
            await self._end(_after(recording_id, begun, 0.0, at), Lost("The disk is nearly full."))
            raise StorageError("the disk that recordings wait on is nearly full")
        self._begun[recording_id] = begun
        return str(path)

    def done(self, recording: RecordingDone) -> None:
        """A recording that was begun is over: upload it. Never fails; a database that is away is waited for."""
        task = asyncio.create_task(
            self._take_in(recording.recording_id, recording.duration_seconds, recording.failure), name="recording-done"
        )
        self._taking_in.add(task)
        task.add_done_callback(self._taking_in.discard)
        task.add_done_callback(_report)

    async def wake(self, sub_account_id: str) -> None:
        """The sub-account stored a push config: trust its host anew, and try now what waits."""
        await asyncio.to_thread(self._host_keys.forget, sub_account_id)
        self._lanes.hasten(sub_account_id, self._clock())
        self._news.set()

    # --- taking in ---------------------------------------------------------------------------------------------------

    async def _take_in(self, recording_id: str, duration_seconds: float, failure: str) -> None:
        """What was recorded is whole, or all that there will be."""
        begun = self._begun.pop(recording_id, None)
        if begun is None:
            _log.warning("recording %s is over, but was not begun", recording_id)
            return
        path = self._spool.recorded(begun.session_id, recording_id)
        on_disk = await asyncio.to_thread(_seconds_of, path)
        if failure:
            _log.warning("recording %s is cut off: %s", recording_id, failure, extra=_call(begun.session_id))
        waiting = _after(recording_id, begun, duration_seconds or on_disk, self._clock())
        if not on_disk:
            await self._end(waiting, Lost(f"Nothing was recorded: {failure or 'there was no sound'}."))
            return
        await self._written(lambda: self._store.recording_ready(recording_id, str(path), waiting.duration_seconds))
        self._lanes.add(waiting)
        self._news.set()

    async def _is_ours(self, stored: StoredRecording) -> bool:
        """Whether its file is, or was, in this spool; another node looks after its own."""
        if await asyncio.to_thread(self._spool.find, stored.session_id, stored.recording_id) is not None:
            return True
        if stored.path is not None and Path(stored.path).parent == self._spool.folder:
            return True
        _log.warning("recording %s waits in another folder: %s", stored.recording_id, stored.path)
        return False

    async def _tidy(self, open_ids: set[str]) -> None:
        """Remove files that arrived just before a process died; keep, and name, what nobody knows."""
        for session_id, recording_id in await asyncio.to_thread(lambda: list(self._spool.all())):
            if recording_id in open_ids:
                continue
            known = {stored.recording_id: str(stored.state) for stored in await self._store.recordings_of(session_id)}
            if known.get(recording_id) in _OVER:
                await asyncio.to_thread(self._spool.remove, session_id, recording_id)
            else:
                _log.warning("a file of recording %s is left over; it is kept", recording_id, extra=_call(session_id))

    # --- uploading ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._news.clear()
            now = self._clock()
            for waiting in self._lanes.take(now):
                task = asyncio.create_task(self._carry(waiting), name="recording-upload")
                self._on_the_way.add(task)
                task.add_done_callback(self._on_the_way.discard)
                task.add_done_callback(_report)
            await self._rest(self._lanes.next_at(now) - now)

    async def _rest(self, seconds: float) -> None:
        """Until there is news, or for `seconds`."""
        news = asyncio.create_task(self._news.wait())
        waiting: set[asyncio.Task[Any]] = {news}
        if seconds != float("inf"):
            waiting.add(asyncio.ensure_future(self._sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _carry(self, waiting: Waiting) -> None:
        """One try of one recording, written down."""
        is_sound = is_settled = False
        try:
            outcome = await self._uploader.bring(waiting)
            is_sound = not isinstance(outcome, NotArrived)
            await self._settle(waiting, outcome)
            is_settled = True
        except StorageUnavailable as error:
            _log.warning("recording %s waits for the database: %s", waiting.recording_id, error)
            self._lanes.add(replace(waiting, due_at=self._clock() + STORE_PAUSE_SECONDS))
            is_settled = is_sound = True
        except StorageError:
            # Its row is gone or over: trying again would not help. The next start looks at the file.
            _log.exception("recording %s is left alone", waiting.recording_id, extra=_call(waiting.session_id))
            is_settled = is_sound = True
        finally:
            if not is_settled:
                self._lanes.add(replace(waiting, due_at=self._clock() + FAULT_PAUSE_SECONDS))
            self._lanes.back(waiting.sub_account_id, sound=is_sound)
            self._news.set()

    async def _settle(self, waiting: Waiting, outcome: Outcome) -> None:
        """Write down how a try went, and what follows."""
        if not isinstance(outcome, NotArrived):
            await self._end(waiting, outcome)
            return
        tries, now = waiting.tries + 1, self._clock()
        wait = wait_seconds(tries, self._jitter())
        if wait is None:
            await self._end(waiting, outcome)
            return
        _log.warning(
            "recording %s did not arrive: %s; again in %.0f s",
            waiting.recording_id,
            outcome.reason,
            wait,
            extra=_call(waiting.session_id),
        )
        again = replace(waiting, tries=tries, due_at=now + wait)
        await self._written(lambda: self._store.note_upload_attempt(waiting.recording_id, outcome.reason, again.due_at))
        self._lanes.add(again)

    async def _end(self, waiting: Waiting, outcome: Outcome) -> None:
        """The one end of a recording, with its event; then its file is removed, or put aside if it did not arrive."""
        place, reason = outcome.place, None if isinstance(outcome, Arrived) else outcome.reason
        if isinstance(outcome, Arrived):
            status = RecordingStatus.UPLOAD_COMPLETED
        elif isinstance(outcome, NotArrived) and outcome.is_made:
            status = RecordingStatus.UPLOAD_FAILED
        else:
            status = RecordingStatus.PROCESSING_FAILED
        if reason is not None:
            await asyncio.to_thread(self._spool.give_up, waiting.session_id, waiting.recording_id)
        url = place.external_url if place is not None and status is RecordingStatus.UPLOAD_COMPLETED else None
        body = _vru(waiting, status, place)
        await self._written(lambda: self._store.finish_recording(waiting.recording_id, status, url, body, error=reason))
        if reason is None:
            _log.info("recording %s arrived", waiting.recording_id, extra=_call(waiting.session_id))
            await asyncio.to_thread(self._spool.remove, waiting.session_id, waiting.recording_id)
        else:
            _log.warning("recording %s: %s. %s", waiting.recording_id, status, reason, extra=_call(waiting.session_id))
        self._on_owed()

    async def _written(self, write: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Write, again and again while the database is away. StorageError when it refuses."""
        while True:
            try:
                await write()
            except StorageUnavailable as error:
                _log.warning("a recording's progress is not written yet: %s", error)
                await self._sleep(STORE_PAUSE_SECONDS)
            else:
                return


def _waiting(stored: StoredRecording) -> Waiting:
    return Waiting(
        stored.next_attempt_at or 0.0,
        stored.recording_id,
        stored.session_id,
        stored.sub_account_id,
        stored.started_at,
        stored.duration_seconds or 0.0,
        stored.attempts,
    )


def _after(recording_id: str, begun: _Begun, duration_seconds: float, due_at: float) -> Waiting:
    return Waiting(due_at, recording_id, begun.session_id, begun.sub_account_id, begun.started_at, duration_seconds)


def _vru(waiting: Waiting, status: RecordingStatus, place: Place | None) -> bytes:
    recording = Recording(
        waiting.recording_id,
        waiting.session_id,
        waiting.sub_account_id,
        status,
        waiting.started_at,
        duration_seconds=round(waiting.duration_seconds),
    )
    return msgspec.json.encode(recording_updated(recording, "" if place is None else place.path))


def _seconds_of(path: Path) -> float:
    """How much sound a recording's file holds, whatever its header says; 0 when there is none."""
    try:
        size = path.stat().st_size
    except OSError:
        return 0.0
    return max(0, size - _HEADER_BYTES) / _BYTES_PER_SECOND


def _call(session_id: str) -> dict[str, str]:
    return {"call": session_id[:8]}


def _report(task: "asyncio.Task[None]") -> None:
    """Say aloud what nobody waits for."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("%s broke", task.get_name(), exc_info=error)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
