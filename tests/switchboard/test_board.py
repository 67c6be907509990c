"""The switchboard over a real SQLite store, with a telephone line that answers as it is told."""

import asyncio
import dataclasses
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from callwright.audio.prompt import Prompt
from callwright.callflow.events import (
    Answered,
    DigitPressed,
    Event,
    HungUp,
    NotAnswered,
    PlaybackFinished,
    Ringing,
)
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.callflow.plan import Callflow, HangUp, MakeCall, PlayFile, Say, SayAndCapture
from callwright.callflow.session import SessionRules
from callwright.callflow.summary import SessionSummary
from callwright.contract.policy import RequestPolicy
from callwright.errors import EgressError, ErrorCode, FileFailed, StorageUnavailable, TelephonyError
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store
from callwright.switchboard.board import BoardLimits, BusyError, Switchboard
from callwright.switchboard.customer import Customers
from callwright.switchboard.ports import Records
from callwright.telemetry.clock import platform_clock
from callwright.telemetry.trace import Trace, TraceEntry
from callwright.telephony.incoming import Received
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
        self.presses = ""
        "the key that a callee presses as soon as somebody listens"
        self.before_dial: Callable[[str], None] = lambda leg_id: None

    def route(self, destination: str, source: str) -> Route:
        if not self.trunk_is_there:
            raise TelephonyError(f"no trunk for {destination}")
        return Route("carrier", "call-id-1")

    async def end_orphan(self, leg_id: str, trunk: str, dialog: str, trace: Trace) -> None:
        self.asked.append(f"end {leg_id} on {trunk}: {dialog}")

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

    def take(self, leg_id: str, trace: Trace) -> None:
        self.asked.append("take")

    def refuse(self, leg_id: str, *, busy: bool = False) -> None:
        self.asked.append("refuse as busy" if busy else "refuse")

    def pick_up(self, leg_id: str) -> None:
        self.asked.append("pick up")
        self.post(leg_id, Answered(CLOCK(), leg_id, "PCMU"))

    def ring_back(self, leg_id: str, playback_id: str) -> None:
        self.asked.append("ring back")

    def bridge(self, leg_id: str, other_leg_id: str) -> None:
        self.asked.append("bridge")
        self.post(other_leg_id, HungUp(CLOCK(), other_leg_id, HungUpBy.THEM))

    def listen(self, leg_id: str, wanted: bool) -> None:
        self.asked.append(f"listen {wanted}")
        if wanted and self.presses:
            self.post(leg_id, DigitPressed(CLOCK(), leg_id, self.presses))

    def record(self, leg_id: str, recording_id: str, path: Path) -> None:
        self.asked.append(f"record {path}")

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
async def store(tmp_path: Path, empty_database: Path) -> AsyncIterator[Store]:
    shutil.copy(empty_database, tmp_path / "callwright.db")
    store = await Store.open(f"sqlite:///{tmp_path / 'callwright.db'}")
    await store.ensure_sub_account("riders_hq")
    yield store
    await store.close()


class Shelf:
    """Where recordings begin: one place, or none."""

    def __init__(self) -> None:
        self.path: str | None = "/somewhere/a.wav"

    async def begin(
        self, recording_id: str, session_id: str, sub_account_id: str, leg_id: str, at: float
    ) -> str | None:
        return self.path


@dataclass
class Said:
    """A customer's server's answer."""

    body: bytes
    status: int = 200
    truncated: bool = False


class CustomersServer:
    """Answers questions in the order a test gives, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Said | EgressError] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, within_seconds: float) -> Said:
        self.asked.append(json.loads(body))
        self.headers.append(headers)
        assert 0 < within_seconds <= 10
        answer = self.answers.pop(0)
        if isinstance(answer, EgressError):
            raise answer
        return answer


class Bench:
    """A switchboard between a scripted line and a real store."""

    def __init__(self, store: Store, records: Records | None = None, **limits: int) -> None:
        self.pauses: list[float] = []
        self.may_dial = True
        self.line = ScriptedLine()
        self.store = store
        self.owed = 0
        self.owing = asyncio.Event()
        self.summaries: list[SessionSummary] = []
        self.entries: list[TraceEntry] = []
        numbers = count(1)
        self.shelf = Shelf()
        self.server = CustomersServer()

        def new_id() -> str:
            return f"00000000-0000-4000-8000-{next(numbers):012}"

        self.board = Switchboard(
            self.line,
            SomePrompts(),
            records or store,
            customers=Customers(
                records=store,
                post=self.server.post,
                policy_for=lambda name: RequestPolicy(caller_ids=frozenset({"+6512341234"})),
                clock=CLOCK,
                new_id=new_id,
                on_owed=self._note_owed,
            ),
            recordings=self.shelf,
            rules_for=lambda name: SessionRules(),
            may_dial=lambda: self.may_dial,
            encode_summary=self._encode,
            clock=CLOCK,
            new_id=new_id,
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


async def test_what_could_not_be_dialled_now_is_not_accepted(store: Store) -> None:
    bench = Bench(store)
    bench.may_dial = False
    with pytest.raises(BusyError, match="a moment ago"):
        await bench.board.accept("riders_hq", HELLO)
    assert await store.unfinished_sessions() == ()
    bench.may_dial = True
    await bench.board.accept("riders_hq", HELLO)


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
    store.node_id = "the next one"
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
        self.accept_incoming = store.accept_incoming
        self.find_number = store.find_number
        self.record_dial_intent = store.record_dial_intent
        self.claim_sessions = store.claim_sessions

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


# --- questions and news to the customer -----------------------------------------------------------------------------

MENU = Callflow((CALL, SayAndCapture("Press", "en-US-ZiraRUS", max_digits=1, no_of_tries=1)), "request-1")


async def asking(bench: Bench, *answers: Said | EgressError) -> SessionSummary:
    """Run a menu in which 7 is pressed, with a server that gives these answers."""
    await bench.store.put_webhook("riders_hq", WebhookKind.VCA, "http://127.0.0.1:9/vca", "Basic abc")
    bench.line.presses = "7"
    bench.server.answers = list(answers)
    return await bench.over(await bench.board.accept("riders_hq", MENU))


async def test_a_pressed_key_is_told_and_the_answer_is_run(store: Store) -> None:
    bench = Bench(store)
    answer = {"clientActionId": "two", "callflow": [{"action": "hangup"}]}
    summary = await asking(bench, Said(json.dumps(answer).encode()))
    [asked] = bench.server.asked
    assert asked["eventType"] == "CALL_ACTION"
    assert asked["payload"]["callStatus"] == "ACTION_COMPLETED"
    assert asked["payload"]["eventData"] == {"dtmf": "7"}
    assert bench.server.headers[0]["Authorization"] == "Basic abc"
    assert (summary.status, summary.last_action) == (CallStatus.COMPLETED, "HANGUP")
    trace = await store.find_trace(summary.session_id)
    assert trace is not None
    [told] = [entry for entry in trace.entries if entry.kind == "event.NextFlow"]
    assert told.fields["callflow"] == "HANGUP"


@pytest.mark.parametrize("nothing", [b"{}", b'{"callflow":[]}', b'{"status":"ignored"}'])
async def test_an_answer_with_nothing_to_do_ends_the_call(store: Store, nothing: bytes) -> None:
    summary = await asking(Bench(store), Said(nothing))
    assert (summary.status, summary.error) == (CallStatus.COMPLETED, None)


BAD_SOURCE = {"action": "makeCall", "params": {"source": "+6599999999", "destination": "+6587654321"}}


@pytest.mark.parametrize(
    ("answers", "code", "tries"),
    [
        ([EgressError("refused"), Said(b"{}", 500)], ErrorCode.CONNECTIVITY, 2),
        ([EgressError("refused"), EgressError("refused")], ErrorCode.CONNECTIVITY, 2),
        ([Said(b"", 500)], ErrorCode.CONNECTIVITY, 1),
        ([Said(b"", 302)], ErrorCode.CONNECTIVITY, 1),
        ([Said(b"{")], ErrorCode.CALLFLOW_INVALID, 1),
        ([Said(b'{"callflow":[{"action":"dance"}]}')], ErrorCode.CALLFLOW_INVALID, 1),
        ([Said(b"{}", truncated=True)], ErrorCode.CALLFLOW_INVALID, 1),
        ([Said(json.dumps({"callflow": [BAD_SOURCE]}).encode())], ErrorCode.SOURCE_NOT_ALLOWED, 1),
    ],
)
async def test_an_answer_that_cannot_be_used_ends_the_session_as_an_error(
    store: Store, answers: list[Said | EgressError], code: ErrorCode, tries: int
) -> None:
    bench = Bench(store)
    summary = await asking(bench, *answers)
    assert summary.error is not None
    assert (summary.status, summary.error.code, summary.error.action) == (CallStatus.ERROR, code, "SAY_AND_CAPTURE")
    assert len(bench.server.asked) == tries


async def test_one_broken_connection_is_forgiven(store: Store) -> None:
    bench = Bench(store)
    summary = await asking(bench, EgressError("reset"), Said(b"{}"))
    assert (summary.status, len(bench.server.asked)) == (CallStatus.COMPLETED, 2)


async def test_without_a_webhook_nobody_is_asked(store: Store) -> None:
    bench = Bench(store)
    bench.line.presses = "7"
    summary = await bench.over(await bench.board.accept("riders_hq", MENU))
    assert (summary.status, bench.server.asked) == (CallStatus.COMPLETED, [])


OLD_MENU = dataclasses.replace(MENU, dtmf_callback_url="http://127.0.0.1:9/dtmf", client_request_id="r-7")


async def test_digits_of_an_old_request_go_where_it_said_and_nobody_is_asked(store: Store) -> None:
    bench = Bench(store)
    await store.put_webhook("riders_hq", WebhookKind.VCA, "http://127.0.0.1:9/vca", "Basic abc")
    bench.line.presses = "7"
    bench.server.answers = [Said(b"thanks, and this is no callflow")]
    summary = await bench.over(await bench.board.accept("riders_hq", OLD_MENU))
    assert (summary.status, summary.error) == (CallStatus.COMPLETED, None)
    [told] = bench.server.asked
    assert (told["uid"], told["clientRequestId"], told["destination"]) == (summary.session_id, "r-7", CALL.destination)
    assert told["actionDetails"] == {"dtmf": "7"}
    assert "Authorization" not in bench.server.headers[0]


async def test_digits_of_an_old_request_that_nobody_takes_end_the_session_as_an_error(store: Store) -> None:
    bench = Bench(store)
    bench.line.presses = "7"
    bench.server.answers = [Said(b"", 500)]
    summary = await bench.over(await bench.board.accept("riders_hq", OLD_MENU))
    assert summary.error is not None
    assert (summary.status, summary.error.code) == (CallStatus.ERROR, ErrorCode.CONNECTIVITY)


async def test_news_are_owed_when_somebody_wants_them(store: Store) -> None:
    bench = Bench(store)
    await store.put_webhook("riders_hq", WebhookKind.VCS, "http://127.0.0.1:9/vcs", None)
    session_id = await bench.board.accept("riders_hq", HELLO)
    await bench.over(session_id)
    await bench.board.drain(5.0)
    news = [delivery for delivery in await store.deliveries_of(session_id) if delivery.kind == "VCS"]
    statuses = {json.loads(delivery.body or b"")["payload"]["callStatus"] for delivery in news}
    assert statuses == {"CALL_INITIATED", "CALL_CONNECTED", "CALL_DISCONNECTED"}


# --- bridges, recordings, incoming calls -----------------------------------------------------------------------------

OTHER = MakeCall("+6512341234", "+6587654321", call_recording=True)


async def test_a_second_call_is_bridged_and_recorded(store: Store) -> None:
    bench = Bench(store)
    summary = await bench.over(await bench.board.accept("riders_hq", Callflow((CALL, OTHER), "request-1")))
    assert [leg.status for leg in summary.legs] == [CallStatus.COMPLETED, CallStatus.COMPLETED]
    assert bench.line.asked == [
        "dial", "ring back", "dial", "stop", "bridge", "record /somewhere/a.wav", "hang up",
    ]  # fmt: skip


async def test_a_recording_that_has_nowhere_to_go_is_not_made(store: Store) -> None:
    bench = Bench(store)
    bench.shelf.path = None
    await bench.over(await bench.board.accept("riders_hq", Callflow((CALL, OTHER), "request-1")))
    assert not [asked for asked in bench.line.asked if asked.startswith("record")]
    assert [entry.fields["reason"] for entry in bench.entries if entry.kind == "recording.not_begun"] == [
        "no recording-push-config says where to put it"
    ]


RECEIVED = Received("leg-in", "call-id-7", "carrier", "+6591234567", "+6568332048")


async def test_a_call_to_a_number_of_ours_is_asked_for_and_answered(store: Store) -> None:
    bench = Bench(store)
    await store.put_webhook("riders_hq", WebhookKind.VCA, "http://127.0.0.1:9/vca", None)
    number = await store.add_number("riders_hq", "+6568332048")
    flow = {"callflow": [{"action": "say", "params": {"text": "Hi", "voiceProfile": "en-US-ZiraRUS"}},
                         {"action": "hangup"}]}  # fmt: skip
    bench.server.answers = [Said(json.dumps(flow).encode())]
    bench.board.received(RECEIVED)
    await bench.owing.wait()
    [summary] = bench.summaries
    assert (summary.status, summary.legs[0].inbound) == (CallStatus.COMPLETED, True)
    assert bench.line.asked == ["take", "pick up", "play Hi × 1", "hang up"]
    payload = bench.server.asked[0]["payload"]
    assert (payload["callStatus"], payload["callDirection"]) == ("CALL_RECEIVED", "INBOUND")
    assert (payload["destinationRefId"], payload["sourceRefId"]) == (number.reference_id, None)


async def test_a_call_to_a_number_of_nobody_is_refused_and_leaves_no_row(store: Store) -> None:
    bench = Bench(store)
    bench.board.received(RECEIVED)
    await bench.board.drain(5.0)
    assert (bench.line.asked, bench.board.calls_for_nobody) == (["refuse"], 1)
    assert not await store.recent_sessions(10)


async def test_a_draining_switchboard_refuses_calls(store: Store) -> None:
    bench = Bench(store)
    await store.add_number("riders_hq", "+6568332048")
    await bench.board.drain(0.0)
    bench.board.received(RECEIVED)
    assert bench.line.asked == ["refuse as busy"]


async def test_a_call_beyond_the_most_sessions_may_try_elsewhere(store: Store) -> None:
    bench = Bench(store, most_live_sessions=0)
    await store.add_number("riders_hq", "+6568332048")
    bench.board.received(RECEIVED)
    assert bench.line.asked == ["refuse as busy"]
    assert not await store.recent_sessions(10)


async def test_a_call_while_the_database_is_away_may_try_elsewhere(store: Store) -> None:
    bench = Bench(store)
    await store.close()
    bench.board.received(RECEIVED)
    await bench.board.drain(5.0)
    assert bench.line.asked == ["refuse as busy"]


async def test_an_incoming_call_cut_off_by_a_crash_ends_with_the_leg_it_had(store: Store) -> None:
    await store.accept_incoming("s-1", "riders_hq", "leg-in", "+6591234567", "+6568332048", "c", "carrier", CLOCK())
    store.node_id = "the next one"
    bench = Bench(store)
    assert await bench.board.recover() == 1
    [leg] = bench.summaries[0].legs
    assert (leg.call_id, leg.inbound, leg.source, leg.destination) == ("leg-in", True, "+6591234567", "+6568332048")


async def test_what_was_cut_off_is_hung_up_before_its_record_is_written(store: Store) -> None:
    await store.accept_session("s-1", "riders_hq", HELLO, CLOCK())
    await store.record_dial_intent("s-1", "leg-x", "call-id", "carrier", CLOCK(), dialog="how to end it")
    store.node_id = "the next one"
    bench = Bench(store)
    assert await bench.board.recover() == 1
    assert bench.line.asked == ["end leg-x on carrier: how to end it"]
    await bench.over("s-1")


async def test_a_session_that_is_taken_over_and_was_to_end_ends_without_being_dialled(store: Store) -> None:
    await store.accept_session("s-1", "riders_hq", HELLO, CLOCK())
    await store.ask_for_end("s-1")
    store.node_id = "the next one"
    bench = Bench(store)
    assert await bench.board.recover() == 1
    await bench.over("s-1")
    assert "dial" not in bench.line.asked


async def test_sessions_that_another_node_has_are_hung_up_and_leave_no_record(store: Store) -> None:
    bench = Bench(store)
    bench.line.answers = False
    session_id = await bench.board.accept("riders_hq", HELLO)
    async with asyncio.timeout(60):
        while "dial" not in bench.line.asked:  # noqa: ASYNC110 - the line does not say when it was asked
            await asyncio.sleep(0)
    store.node_id = "what this process is called after it was given up"
    bench.board.abandon()
    await bench.board.drain(30.0)
    assert "hang up" in bench.line.asked
    stored = await store.find_session(session_id)
    assert stored is not None
    assert stored.summary is None
    assert bench.owed == 0


async def test_a_session_that_another_node_has_before_it_was_dialled_is_forgotten(store: Store) -> None:
    bench = Bench(store)
    session_id = await bench.board.accept("riders_hq", HELLO)
    bench.board.let_go([session_id, "unknown"])
    await bench.board.drain(30.0)
    assert bench.line.asked == []
    stored = await store.find_session(session_id)
    assert stored is not None
    assert stored.summary is None


async def test_a_session_that_comes_back_to_its_own_process_is_not_begun_twice(store: Store) -> None:
    bench = Bench(store)
    session_id = await bench.board.accept("riders_hq", HELLO)  # under the id of a node that the others gave up
    store.node_id = "the same process, begun anew"
    assert await bench.board.recover() == 1
    await bench.over(session_id)
    assert bench.line.asked.count("dial") == 1


async def test_a_session_that_was_abandoned_before_it_was_dialled_begins_anew_when_it_comes_back(store: Store) -> None:
    bench = Bench(store)
    await store.accept_session("s-1", "riders_hq", HELLO, CLOCK())
    stored = await store.find_session("s-1")
    assert stored is not None
    bench.board.take_over([stored])
    await asyncio.sleep(0)  # it is live, and has not done anything yet
    assert bench.board.live_sessions == 1
    bench.board.abandon()
    await asyncio.sleep(0)
    store.node_id = "the same process, begun anew"
    assert await bench.board.recover() == 1
    summary = await bench.over("s-1")
    assert summary.status is CallStatus.COMPLETED
    assert bench.line.asked.count("dial") == 1
