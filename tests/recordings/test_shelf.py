"""Recordings from their beginning to their end, with a real store, real files and real encoding."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from callwright.audio.compare import find_tones
from callwright.errors import PushFailed, StorageError, StorageUnavailable
from callwright.recordings import ports
from callwright.recordings.ports import Records
from callwright.recordings.push.host_keys import HostKeys
from callwright.recordings.push.local import LocalPush
from callwright.recordings.push.parcel import Parcel, Push
from callwright.recordings.shelf import Recordings
from callwright.retries import WAITS
from callwright.speech.decode import decode
from callwright.storage.records import DeliveryState, PushConfig, RecordingState, StoredRecording, WebhookKind
from callwright.storage.store import Store
from callwright.telephony import line as telephony

START = 1_800_000_000.0
ACCOUNT = "riders_hq"
PATIENCE_SECONDS = 60.0
SESSION = "d3e5bf9a-0000-4000-8000-{:012}"
RECORDING = "0b9c7a52-0000-4000-8000-{:012}"

Make = Callable[..., bytes]


class Clock(Protocol):
    now: float

    def __call__(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...
    def advance(self, seconds: float) -> None: ...
    def next_end(self) -> float | None: ...


@dataclass(frozen=True)
class Done:
    recording_id: str
    duration_seconds: float = 2.0
    failure: str = ""


@dataclass
class Target:
    """A target that fails as often as told, or hangs until it is let go."""

    failures: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    parcels: list[Parcel] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if self.failures:
                raise PushFailed(self.failures.pop(0))
        finally:
            self.at_once -= 1


@dataclass
class World:
    """One installation."""

    folder: Path
    store: Any
    clock: Clock
    accept: Callable[..., Awaitable[None]]
    make: Make
    stack: AsyncExitStack
    owed: int = 0
    count: int = 0

    @property
    def root(self) -> Path:
        return self.folder / "archive"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    async def shelf(self, least_free_bytes: int = 0, **pushes: Push) -> Recordings:
        self.root.mkdir(exist_ok=True)
        shelf = Recordings(
            self.spool,
            self.store,
            {"LOCAL": LocalPush(self.root), **pushes},
            self.clock,
            host_keys=HostKeys(self.folder / "host-keys"),
            on_owed=self._count_owed,
            least_free_bytes=least_free_bytes,
            sleep=self.clock.sleep,
            jitter=lambda: 0.0,
        )
        await shelf.start()
        self.stack.push_async_callback(shelf.stop, 0.0)
        return shelf

    async def configure(self, protocol: str = "LOCAL", account: str = ACCOUNT, kind: str = "mp3") -> None:
        await self.store.ensure_sub_account(account)
        await self.store.put_push_config(account, PushConfig(protocol, "", None, "", "", "calls", kind))

    async def begin(self, shelf: Recordings, account: str = ACCOUNT) -> tuple[str, str, Path]:
        """Session, recording and file of a call that is recorded."""
        self.count += 1
        session_id, recording_id = SESSION.format(self.count), RECORDING.format(self.count)
        await self.accept(session_id, account)
        path = await shelf.begin(recording_id, session_id, account, "leg-1", START)
        assert path is not None
        return session_id, recording_id, Path(path)

    async def record(self, shelf: Recordings, account: str = ACCOUNT) -> tuple[str, str]:
        """A whole recording, handed in."""
        session_id, recording_id, path = await self.begin(shelf, account)
        path.write_bytes(self.make())
        shelf.done(Done(recording_id))
        return session_id, recording_id

    async def stored(self, session_id: str) -> StoredRecording:
        (recording,) = await self.store.recordings_of(session_id)
        found: StoredRecording = recording
        return found

    async def until(self, session_id: str, state: RecordingState) -> StoredRecording:
        return await self.eventually(session_id, lambda recording: recording.state is state)

    async def eventually(self, session_id: str, look: Callable[[StoredRecording], bool]) -> StoredRecording:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not look(recording := await self.stored(session_id)):  # noqa: ASYNC110 - rows tell nobody
                await asyncio.sleep(0.01)
        return recording

    async def vru(self, session_id: str) -> tuple[DeliveryState, dict[str, Any]]:
        deliveries = await self.store.deliveries_of(session_id)
        (delivery,) = [each for each in deliveries if each.kind == "VRU"]
        return delivery.state, json.loads(delivery.body)

    def waiting_files(self) -> list[str]:
        return sorted(str(path.relative_to(self.spool)) for path in self.spool.rglob("*") if path.is_file())

    def arrived(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())

    def _count_owed(self) -> None:
        self.owed += 1


def ports_fit(store: Store, done: telephony.RecordingDone) -> tuple[Records, ports.RecordingDone]:
    """The real rooms fit the ports; mypy is the test."""
    return store, done


async def settled(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not look():  # noqa: ASYNC110 - looks at files and fakes, which tell nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def world(
    tmp_path: Path, store: Store, clock: Clock, accept: Callable[..., Awaitable[None]], two_tones: Make
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(tmp_path, store, clock, accept, two_tones, stack)


def tones_of(file: Path) -> list[int]:
    return sorted(round(tone, -1) for tone in map(int, find_tones(np.frombuffer(decode(file.read_bytes()).pcm, "<i2"))))


async def test_a_recording_arrives_and_is_told_of(world: World) -> None:
    shelf = await world.shelf()
    await world.configure()
    await world.store.put_webhook(ACCOUNT, WebhookKind.VRU, "http://192.0.2.9/hook", None)
    session_id, recording_id = await world.record(shelf)
    recording = await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    path = f"calls/{session_id}/{recording_id}_2027-01-15T08:00:00.000Z.mp3"
    assert recording.external_url == path.replace(":", "%3A")
    assert (recording.duration_seconds, recording.last_error, recording.attempts) == (2.0, None, 0)
    (file,) = world.arrived()
    assert file == world.root / path
    assert tones_of(file) == [440, 1000]
    assert await world.vru(session_id) == (
        DeliveryState.DUE,
        {
            "payload": {
                "sessionId": session_id,
                "recordingId": recording_id,
                "durationSeconds": 2,
                "filePath": path,
                "status": "UPLOAD_COMPLETED",
            },
            "namespace": "VOICE",
            "eventType": "CALL_RECORDING_STATUS",
            "description": "Call recording status updated",
        },
    )
    await settled(lambda: world.owed == 1)
    assert world.waiting_files() == []


async def test_a_wav_is_made_for_who_wants_one(world: World) -> None:
    shelf = await world.shelf()
    await world.configure(kind="wav")
    session_id, _ = await world.record(shelf)
    await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    (file,) = world.arrived()
    assert file.suffix == ".wav"
    assert file.read_bytes() == world.make()


async def test_without_a_push_config_there_is_no_recording(world: World) -> None:
    shelf = await world.shelf()
    await world.accept(SESSION.format(1), ACCOUNT)
    assert await shelf.begin(RECORDING.format(1), SESSION.format(1), ACCOUNT, "leg-1", START) is None
    assert await world.store.recordings_of(SESSION.format(1)) == ()


async def test_a_push_config_that_is_taken_away_leaves_nothing_lost(world: World) -> None:
    shelf = await world.shelf()
    await world.configure()
    session_id, recording_id, path = await world.begin(shelf)
    path.write_bytes(world.make())
    await world.store.delete_push_config(ACCOUNT)
    shelf.done(Done(recording_id))
    recording = await world.eventually(session_id, lambda stored: stored.attempts == 1)
    assert recording.state is RecordingState.PROCESSING
    assert recording.last_error == "There is no push config for recordings."
    assert world.arrived() == []
    await world.configure()
    await shelf.wake(ACCOUNT)  # time does not move: it is the new config that makes it leave
    await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    assert len(world.arrived()) == 1


async def test_a_failed_upload_is_tried_for_a_week_and_then_reported_with_its_file_kept(world: World) -> None:
    target = Target([f"Failure {number}." for number in range(len(WAITS) + 1)])
    target.gate.set()
    shelf = await world.shelf(S3=target)
    await world.configure("S3")
    session_id, recording_id = await world.record(shelf)
    for tries, wait in enumerate(WAITS, 1):
        recording = await world.eventually(session_id, lambda stored, tries=tries: stored.attempts == tries)  # type: ignore[misc]  # the default binds the loop's value
        assert recording.state is RecordingState.PROCESSING
        assert recording.last_error == f"Failure {tries - 1}."
        assert recording.next_attempt_at == world.clock.now + wait
        assert world.waiting_files() == [f"{session_id}_{recording_id}.upload.mp3"]
        await settled(lambda: world.clock.next_end() == recording.next_attempt_at)  # noqa: B023 - awaited here
        world.clock.advance(wait)
    recording = await world.until(session_id, RecordingState.UPLOAD_FAILED)
    assert world.clock.now - START >= 168 * 3600
    assert recording.last_error == f"Failure {len(WAITS)}."
    assert recording.external_url is None
    _, body = await world.vru(session_id)
    assert body["payload"]["status"] == "UPLOAD_FAILED"
    assert body["payload"]["filePath"].endswith(".mp3")
    await settled(lambda: world.waiting_files() == [f"failed/{session_id}_{recording_id}.upload.mp3"])
    assert len(target.parcels) == len(WAITS) + 1


async def test_a_target_that_hangs_slows_nobody_else(world: World) -> None:
    dead = Target()
    shelf = await world.shelf(SFTP=dead)
    for number in range(12):
        await world.configure("SFTP", f"dead-{number}")
        await world.record(shelf, f"dead-{number}")
    await settled(lambda: dead.at_once == 12)
    await world.configure()
    session_id, _ = await world.record(shelf)
    await world.until(session_id, RecordingState.UPLOAD_COMPLETED)


async def test_a_target_gets_one_recording_until_it_took_one_and_then_a_few(world: World) -> None:
    target = Target()
    shelf = await world.shelf(S3=target)
    await world.configure("S3")
    sessions = [(await world.record(shelf))[0] for _ in range(7)]
    await settled(lambda: target.at_once == 1)
    target.gate.set()
    for session_id in sessions:
        await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    assert target.most_at_once <= 4
    assert len(target.parcels) == 7


async def test_a_restart_goes_on_where_it_was(world: World) -> None:
    target = Target(["The store is away."])
    target.gate.set()
    first = await world.shelf(S3=target)
    await world.configure("S3")
    session_id, _ = await world.record(first)
    await world.eventually(session_id, lambda stored: stored.attempts == 1)
    await first.stop()
    second = await world.shelf(S3=target)
    await asyncio.sleep(0)
    assert len(target.parcels) == 1  # not before its time
    await settled(lambda: world.clock.next_end() is not None)
    world.clock.advance(1.0)
    recording = await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    assert recording.attempts == 1
    await second.stop()


async def test_an_upload_that_a_crash_cut_off_is_done_again(world: World) -> None:
    target = Target()
    first = await world.shelf(S3=target)
    await world.configure("S3")
    session_id, _ = await world.record(first)
    await settled(lambda: target.at_once == 1)
    await first.stop(0.0)
    assert (await world.stored(session_id)).attempts == 0
    target.gate.set()
    await world.shelf(S3=target)
    await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    assert [parcel.path for parcel in target.parcels] == [target.parcels[0].path] * 2


async def test_a_recording_that_a_crash_cut_off_is_finished_from_the_disk(world: World) -> None:
    first = await world.shelf()
    await world.configure()
    session_id, _, path = await world.begin(first)
    path.write_bytes(world.make(3.0, lengths=0))
    await first.stop()
    await world.shelf()
    recording = await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    assert recording.duration_seconds == 3.0
    (file,) = world.arrived()
    assert tones_of(file) == [440, 1000]
    assert (await world.vru(session_id))[1]["payload"]["durationSeconds"] == 3


@pytest.mark.parametrize("content", [None, b"", b"RIFF" + bytes(40)], ids=["no file", "empty", "only a header"])
async def test_a_crash_before_the_first_sound_is_reported(world: World, content: bytes | None) -> None:
    await world.configure()
    first = await world.shelf()
    session_id, _, path = await world.begin(first)
    if content is not None:
        path.write_bytes(content)
    await first.stop()
    await world.shelf()
    recording = await world.until(session_id, RecordingState.PROCESSING_FAILED)
    assert recording.last_error == "Nothing was recorded: callwright ended while it was recorded."
    assert (await world.vru(session_id))[1]["payload"] == {
        "sessionId": session_id,
        "recordingId": recording.recording_id,
        "durationSeconds": 0,
        "filePath": "",
        "status": "PROCESSING_FAILED",
    }


async def test_what_broke_off_is_uploaded_as_far_as_it_goes(world: World) -> None:
    shelf = await world.shelf()
    await world.configure()
    session_id, recording_id, path = await world.begin(shelf)
    path.write_bytes(world.make(1.0, lengths=0))
    shelf.done(Done(recording_id, 0.0, "the media process ended"))
    assert (await world.until(session_id, RecordingState.UPLOAD_COMPLETED)).duration_seconds == 1.0


async def test_sound_that_cannot_be_read_is_reported_and_kept(world: World) -> None:
    shelf = await world.shelf()
    await world.configure()
    session_id, recording_id, path = await world.begin(shelf)
    path.write_bytes(b"not a recording" * 1000)
    shelf.done(Done(recording_id))
    recording = await world.until(session_id, RecordingState.PROCESSING_FAILED)
    assert recording.last_error == "The recording cannot be used: nothing was recorded."
    await settled(lambda: world.waiting_files() == [f"failed/{session_id}_{recording_id}.wav"])


async def test_with_a_full_disk_no_recording_is_begun_and_it_is_said(world: World) -> None:
    await world.configure()
    shelf = await world.shelf(least_free_bytes=2**60)
    with pytest.raises(StorageError, match="nearly full"):
        await world.begin(shelf)
    recording = await world.until(SESSION.format(1), RecordingState.PROCESSING_FAILED)
    assert recording.last_error == "The disk is nearly full."
    assert (await world.vru(SESSION.format(1)))[1]["payload"]["status"] == "PROCESSING_FAILED"


async def test_a_file_that_arrived_just_before_a_crash_is_removed_and_an_unknown_one_kept(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first = await world.shelf()
    await world.configure()
    session_id, recording_id = await world.record(first)
    await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    await first.stop()
    (world.spool / f"{session_id}_{recording_id}.upload.mp3").write_bytes(b"again")
    (world.spool / f"{session_id}_unknown.wav").write_bytes(b"whose?")
    with caplog.at_level(logging.WARNING):
        await world.shelf()
    assert world.waiting_files() == [f"{session_id}_unknown.wav"]
    assert "a file of recording unknown is left over; it is kept" in caplog.messages


async def test_a_file_that_vanished_is_reported(world: World) -> None:
    target = Target(["The store is away."])
    target.gate.set()
    shelf = await world.shelf(S3=target)
    await world.configure("S3")
    session_id, recording_id = await world.record(shelf)
    await world.eventually(session_id, lambda stored: stored.attempts == 1)
    (world.spool / f"{session_id}_{recording_id}.upload.mp3").unlink()
    await settled(lambda: world.clock.next_end() is not None)
    world.clock.advance(1.0)
    recording = await world.until(session_id, RecordingState.PROCESSING_FAILED)
    assert recording.last_error == "The recording's file is gone."


async def test_what_waits_in_another_nodes_folder_is_left_alone(world: World) -> None:
    await world.accept(SESSION.format(99))
    await world.store.begin_recording(
        RECORDING.format(99), SESSION.format(99), ACCOUNT, "leg-1", START, "/elsewhere/a.wav"
    )
    await world.store.recording_ready(RECORDING.format(99), "/elsewhere/a.wav", 2.0)
    await world.configure()
    shelf = await world.shelf()
    await shelf.wake(ACCOUNT)
    other, _ = await world.record(shelf)
    await world.until(other, RecordingState.UPLOAD_COMPLETED)
    assert (await world.stored(SESSION.format(99))).attempts == 0


async def test_a_protocol_that_nobody_speaks_here_is_a_reason_to_wait(world: World) -> None:
    shelf = await world.shelf()
    await world.configure("S3")
    session_id, _ = await world.record(shelf)
    recording = await world.eventually(session_id, lambda stored: stored.attempts == 1)
    assert recording.last_error == "This installation does not push to S3."


class AwayStore:
    """The store, away for some calls of each kind once it is told to be."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left: dict[str, int] = {}

    def go_away(self, times: int) -> None:
        self._left = dict.fromkeys(("recording_ready", "find_push_config", "finish_recording"), times)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if not self._left.get(name):
            return real

        async def refuse(*_: object, **__: object) -> None:
            self._left[name] -= 1
            raise StorageUnavailable("the database is locked")

        return refuse


async def test_a_database_that_is_away_is_waited_for(world: World, clock: Clock) -> None:
    real = world.store
    await world.configure()
    world.store = away = AwayStore(real)
    shelf = await world.shelf()
    world.store = real
    session_id, recording_id, path = await world.begin(shelf)
    path.write_bytes(world.make())
    away.go_away(2)
    shelf.done(Done(recording_id))

    async def tick() -> None:
        while True:
            if clock.next_end() is not None:
                clock.advance(1.0)
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    recording = await world.until(session_id, RecordingState.UPLOAD_COMPLETED)
    ticking.cancel()
    assert recording.attempts == 0
    assert len(world.arrived()) == 1


async def test_a_recording_that_was_never_begun_is_only_said(world: World, caplog: pytest.LogCaptureFixture) -> None:
    shelf = await world.shelf()
    with caplog.at_level(logging.WARNING):
        shelf.done(Done("unheard-of"))
        await settled(lambda: "recording unheard-of is over, but was not begun" in caplog.messages)
