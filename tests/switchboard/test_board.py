"""The switchboard over a real SQLite store, with a telephone line that answers as it is told."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from callwright.audio.prompt import Prompt
from callwright.callflow.events import Answered, Event, HungUp, NotAnswered, PlaybackFinished, Ringing
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.callflow.plan import Callflow, HangUp, MakeCall, PlayFile, Say
from callwright.callflow.session import SessionRules
from callwright.callflow.summary import SessionSummary
from callwright.errors import ErrorCode, FileFailed, StorageUnavailable, TelephonyError
from callwright.storage.store import Store
from callwright.switchboard.board import BoardLimits, BusyError, Switchboard
from callwright.switchboard.ports import Records
from callwright.telemetry.clock import platform_clock
from callwright.telemetry.trace import Trace, TraceEntry
from callwright.telephony.line import Route

CALL = MakeCall("+6512341234", "+6512345678")
HELLO = Callflow((CALL, Say("Hello", "en-IE-EmilyNeural"), HangUp()), "request-1")
CLOCK = platform_clock()


class ScriptedLine:
    """A telephone line whose callees behave as a test says; it remembers what was asked of it."""

    def __init__(self) -> None:
        self.post: Callable[[str, Event], None] = lambda leg_id, event: None
        self.asked: list[str] = []
        self.dialled: list[str] = []
        self.answers = True
        self.trunk_is_there = True
        self.explodes = False
        self.before_dial: Callable[[str], None] = lambda leg_id: None

    def route(self, destination: str) -> Route:
        if not self.trunk_is_there:
            raise TelephonyError(f"no trunk for {destination}")
        return Route("carrier", "call-id-1")

    def dial(self, leg_id: str, source: str, destination: str, route: Route, trace: Trace) -> None:
        self.before_dial(leg_id)
        self.asked.append("dial")
        self.dialled.append(leg_id)
        self.post(leg_id, Ringing(CLOCK(), leg_id))
        if self.answers:
            self.post(leg_id, Answered(CLOCK(), leg_id, "PCMU"))

    def play(self, leg_id: str, playback_id: str, prompt: Prompt, repetition: int) -> None:
        if self.explodes:
            raise RuntimeError("a bug")
        self.asked.append(f"play {prompt.key} × {repetition}")
        self.post(leg_id, PlaybackFinished(CLOCK(), leg_id, playback_id, completed=True))

    def stop_playback(self, leg_id: str, playback_id: str) -> None:
        self.asked.append("stop")

    def hang_up(self, leg_id: str) -> None:
        self.asked.append("hang up")
        if self.answers:
            self.post(leg_id, HungUp(CLOCK(), leg_id, HungUpBy.US))
        else:
            self.post(leg_id, NotAnswered(CLOCK(), leg_id, CallStatus.CANCELED, 487))


class SomePrompts:
    """Makes a prompt of every text, and refuses every file."""

    async def speech(self, text: str, voice_profile: str, speed: float, trace: Trace) -> Prompt:
        return Prompt(text, 1.0, {})

    async def file(self, sub_account_id: str, url: str, trace: Trace) -> Prompt:
        raise FileFailed("404 Not Found")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'callwright.db'}")
    await store.ensure_sub_account("riders_hq")
    yield store
    await store.close()


class Bench:
    """A switchboard between a scripted line and a real store."""

    def __init__(self, store: Store, records: Records | None = None, **limits: int) -> None:
        self.pauses: list[float] = []
        self.line = ScriptedLine()
        self.store = store
        self.owed = 0
        self.owing = asyncio.Event()
        self.summaries: list[SessionSummary] = []
        self.entries: list[TraceEntry] = []
        numbers = count(1)
        self.board = Switchboard(
            self.line,
            SomePrompts(),
            records or store,
            rules_for=lambda name: SessionRules(),
            encode_summary=self._encode,
            clock=CLOCK,
            new_id=lambda: f"00000000-0000-4000-8000-{next(numbers):012}",
            on_owed=self._note_owed,
            watcher_for=lambda session_id, destination: self.entries.append,
            limits=BoardLimits(**limits),
            sleep=self._sleep,
        )
        self.line.post = self.board.post

    def _encode(self, summary: SessionSummary) -> bytes:
        self.summaries.append(summary)
        return b"{}"

    def _note_owed(self) -> None:
        self.owed += 1
        self.owing.set()

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def over(self, session_id: str) -> SessionSummary:
        async for _ in self.board.watch(session_id):
            pass
        stored = await self.store.find_session(session_id)
        assert stored is not None
        assert stored.summary is not None
        return stored.summary


async def test_a_session_is_carried_from_acceptance_to_its_durable_record(store: Store) -> None:
    bench = Bench(store)
    session_id = await bench.board.accept("riders_hq", HELLO)
    summary = await bench.over(session_id)
    assert summary.status is CallStatus.COMPLETED
    assert bench.line.asked == ["dial", "play Hello × 1", "hang up"]
    assert (bench.owed, bench.board.live_sessions, bench.board.events_for_nobody) == (1, 0, 0)
    kinds = [entry.kind for entry in bench.entries]
    assert kinds[0] == "session.accepted"
    assert kinds[-1] == "session.finished"
    assert [kind for kind in kinds if kind in ("command.Dial", "event.Ringing", "event.Answered", "command.Play")] == [
        "command.Dial", "event.Ringing", "event.Answered", "command.Play",
    ]  # fmt: skip


async def test_the_intent_is_durable_before_the_line_dials(store: Store, tmp_path: Path) -> None:
    bench = Bench(store)
    seen: list[tuple[str, str]] = []

    def look(leg_id: str) -> None:
        with closing(sqlite3.connect(tmp_path / "callwright.db")) as another_connection:
            seen.extend(another_connection.execute("SELECT leg_id, sip_call_id FROM dial_intents"))

    bench.line.before_dial = look
    await bench.over(await bench.board.accept("riders_hq", HELLO))
    assert seen == [(bench.line.dialled[0], "call-id-1")]


async def test_a_failed_file_dials_nobody(store: Store) -> None:
    bench = Bench(store)
    flow = Callflow((CALL, PlayFile("https://example.com/a.mp3"), HangUp()), "request-2")
    summary = await bench.over(await bench.board.accept("riders_hq", flow))
    assert bench.line.asked == []
    assert summary.error is not None
    assert (summary.error.code, summary.error.reason) == (ErrorCode.FILE_FAILED, "404 Not Found")


async def test_no_trunk_ends_the_session_as_an_error_of_connectivity(store: Store) -> None:
    bench = Bench(store)
    bench.line.trunk_is_there = False
    summary = await bench.over(await bench.board.accept("riders_hq", HELLO))
    assert summary.error is not None
    assert (summary.status, summary.error.code) == (CallStatus.ERROR, ErrorCode.CONNECTIVITY)


async def test_a_bug_in_a_call_ends_that_call_with_a_record(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(store)
    bench.line.explodes = True
    summary = await bench.over(await bench.board.accept("riders_hq", HELLO))
    assert summary.error is not None
    assert (summary.status, summary.error.code) == (CallStatus.ERROR, ErrorCode.INTERNAL)
    assert bench.line.asked == ["dial", "hang up"]
    assert "failed inside callwright" in caplog.text


async def test_a_session_can_be_hung_up_from_outside(store: Store) -> None:
    bench = Bench(store)
    bench.line.answers = False
    session_id = await bench.board.accept("riders_hq", HELLO)
    async for entry in bench.board.watch(session_id):
        if entry.kind == "event.Ringing":
            assert bench.board.hang_up(session_id)
    assert bench.summaries[0].status is CallStatus.CANCELED
    assert not bench.board.hang_up(session_id)


async def test_draining_takes_no_new_session_and_cuts_off_what_does_not_end(store: Store) -> None:
    bench = Bench(store)
    bench.line.answers = False
    session_id = await bench.board.accept("riders_hq", HELLO)
    assert await bench.board.drain(0.0) == 1
    with pytest.raises(BusyError):
        await bench.board.accept("riders_hq", HELLO)
    stored = await store.find_session(session_id)
    assert stored is not None
    assert stored.summary is not None
    assert stored.summary.error is not None
    assert (stored.summary.status, stored.summary.error.code) == (CallStatus.ERROR, ErrorCode.INTERNAL)


async def test_more_sessions_than_allowed_are_refused_without_a_trace(store: Store) -> None:
    bench = Bench(store, most_live_sessions=1)
    bench.line.answers = False
    await bench.board.accept("riders_hq", HELLO)
    with pytest.raises(BusyError, match="most allowed"):
        await bench.board.accept("riders_hq", HELLO)
    assert len(await store.unfinished_sessions()) == 1
    await bench.board.drain(0.0)


async def test_a_restart_begins_what_was_not_dialled_and_ends_what_was(store: Store) -> None:
    await store.accept_session("00000000-0000-4000-9000-000000000001", "riders_hq", HELLO, CLOCK())
    await store.accept_session("00000000-0000-4000-9000-000000000002", "riders_hq", HELLO, CLOCK())
    await store.record_dial_intent("00000000-0000-4000-9000-000000000002", "leg-x", "call-id", "carrier", CLOCK())
    bench = Bench(store)
    assert await bench.board.recover() == 2
    undialled = await bench.over("00000000-0000-4000-9000-000000000001")
    cut_off = await bench.over("00000000-0000-4000-9000-000000000002")
    assert undialled.status is CallStatus.COMPLETED
    assert cut_off.error is not None
    assert (cut_off.status, cut_off.error.code, cut_off.legs[0].call_id) == (CallStatus.ERROR, -2001, "leg-x")
    assert bench.line.asked.count("dial") == 1
    assert not await store.unfinished_sessions()


class AwayOnce:
    """A store whose database is away the first time a record is to be written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tries = 0
        self.accept_session = store.accept_session
        self.record_dial_intent = store.record_dial_intent
        self.unfinished_sessions = store.unfinished_sessions

    async def finish_session(self, summary: SessionSummary, vss_body: bytes, trace: Trace, at: float) -> bool:
        self.tries += 1
        if self.tries == 1:
            raise StorageUnavailable("the database is away")
        return await self._store.finish_session(summary, vss_body, trace, at)


async def test_a_record_waits_for_a_database_that_is_away(store: Store) -> None:
    records = AwayOnce(store)
    bench = Bench(store, records)
    summary = await bench.over(await bench.board.accept("riders_hq", HELLO))
    assert summary.status is CallStatus.COMPLETED
    assert (records.tries, bench.pauses, bench.owed) == (2, [0.5], 1)


async def test_a_client_that_goes_away_while_it_waits_still_gets_its_call(store: Store) -> None:
    bench = Bench(store)
    accepting = asyncio.create_task(bench.board.accept("riders_hq", HELLO))
    await asyncio.sleep(0)  # the write is under way
    accepting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await accepting
    await bench.owing.wait()
    assert bench.summaries[0].status is CallStatus.COMPLETED
    await bench.board.drain(5.0)
