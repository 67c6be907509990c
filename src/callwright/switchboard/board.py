"""Who is on the line: every live session of this process, from acceptance to the terminal record.

Promises (docs/durability.md): a session is durable before its acceptance is answered; a leg's intent is durable before
its INVITE; a session that was cut off by a crash ends as ERROR/-2001 on the next start and is never dialled again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from callwright.callflow.events import Event
from callwright.callflow.plan import Callflow, MakeCall
from callwright.callflow.session import Caller, Session, SessionRules
from callwright.errors import CallwrightError, ErrorCode, StorageError
from callwright.storage import time_left
from callwright.storage.idempotency import Keep
from callwright.storage.records import SessionState, StoredSession
from callwright.switchboard.customer import Customers
from callwright.switchboard.live import LiveSession, Rooms, write_record
from callwright.switchboard.ports import EncodeSummary, Lines, PromptMaker, RecordingShelf, Records, Sleep
from callwright.switchboard.recovery import interrupted_summary
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace, TraceEntry, Watcher
from callwright.telephony.incoming import Received

log = logging.getLogger(__name__)

MOST_AT_ONCE = 256
"""Sessions of an earlier process that are ended at the same time."""
ASKED_FOR = "the end was asked for"
LAST_WORDS_SECONDS = 5.0
"""How long sessions that are cut off at the end of a drain have to send BYE and write their records."""


class BusyError(CallwrightError):
    """No new session is taken now: the platform drains, or has as many as it may have."""


@dataclass(frozen=True, slots=True)
class BoardLimits:
    """What one process takes on."""

    most_live_sessions: int = 20_000


class Switchboard:
    """Accepts sessions, runs each in a loop of its own, and passes telephony's events to the session they belong to."""

    def __init__(
        self,
        lines: Lines,
        prompts: PromptMaker,
        records: Records,
        *,
        customers: Customers,
        recordings: RecordingShelf,
        rules_for: Callable[[str], SessionRules],
        encode_summary: EncodeSummary,
        clock: Clock,
        new_id: Callable[[], str],
        on_owed: Callable[[], None],
        watcher_for: Callable[[str, str], Watcher],
        may_dial: Callable[[], bool] = lambda: True,
        limits: BoardLimits | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`may_dial` says whether calls can be made now at all; while not, none are accepted."""
        self._rooms = Rooms(
            lines=lines,
            prompts=prompts,
            records=records,
            customers=customers,
            recordings=recordings,
            encode_summary=encode_summary,
            clock=clock,
            on_leg=self._know_leg,
            on_owed=on_owed,
            on_news=self._run_beside,
            sleep=sleep,
        )
        self._rules_for = rules_for
        self._new_id = new_id
        self._watcher_for = watcher_for
        self._may_dial = may_dial
        self._limits = limits or BoardLimits()
        self._live: dict[str, LiveSession] = {}
        self._legs: dict[str, LiveSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._impatient = asyncio.Event()
        self.draining = False
        self.events_for_nobody = 0
        self.calls_for_nobody = 0
        "calls to numbers that are nobody's"

    @property
    def live_sessions(self) -> int:
        """How many sessions are under way."""
        return len(self._live)

    async def accept(self, sub_account_id: str, callflow: Callflow, keep: Keep | None = None) -> str:
        """Make a session durable and begin it; returns its id. BusyError, StorageError: nothing was done.

        `keep` says what the request is answered, if it has an Idempotency-Key; KeyTaken when that has been used.
        """
        if self.draining:
            raise BusyError("callwright is shutting down and takes no new calls")
        if not self._may_dial():
            raise BusyError("the database was away a moment ago; calls are taken again in a second or two")
        if len(self._live) >= self._limits.most_live_sessions:
            raise BusyError(f"{self._limits.most_live_sessions} sessions are under way, which is the most allowed")
        # A client that goes away while we write must not leave a session that is durable but never begun.
        return await asyncio.shield(time_left.shared(lambda: self._accept(sub_account_id, callflow, keep)))

    async def _accept(self, sub_account_id: str, callflow: Callflow, keep: Keep | None) -> str:
        session_id, at = self._new_id(), self._rooms.clock()
        kept = None if keep is None else keep(session_id)
        await self._rooms.records.accept_session(session_id, sub_account_id, callflow, at, kept)
        self._begin(session_id, sub_account_id, callflow, at)
        return session_id

    def received(self, call: Received) -> None:
        """Somebody calls: take the call if the number is one of ours, turn it away otherwise.

        While no calls are taken numbers are not looked up: the trunk hears 503 for all of them, and may try elsewhere.
        """
        if self.draining or len(self._live) >= self._limits.most_live_sessions:
            self._rooms.lines.refuse(call.leg_id, busy=True)
        else:
            self._run_beside(self._take_in(call))

    async def _take_in(self, call: Received) -> None:
        lines, records, at = self._rooms.lines, self._rooms.records, self._rooms.clock()
        try:
            number = await records.find_number(call.destination)
            if number is None:
                self.calls_for_nobody += 1
                lines.refuse(call.leg_id)
                return
            session_id, account = self._new_id(), number.sub_account_id
            await records.accept_incoming(
                session_id,
                account,
                call.leg_id,
                call.source,
                call.destination,
                call.sip_call_id,
                call.trunk,
                at,
                call.dialog,
            )
        except StorageError as error:
            log.warning("a call that came in was turned away: %s", error)
            lines.refuse(call.leg_id, busy=True)
            return
        caller = Caller(call.leg_id, call.source, call.destination)
        live = self._begin(session_id, account, caller, at)
        live.has_dialled = True
        self._know_leg(call.leg_id, live)
        lines.take(call.leg_id, live.trace)

    def post(self, leg_id: str, event: Event) -> None:
        """An event of telephony; one for a session that is gone is counted and forgotten."""
        live = self._legs.get(leg_id)
        if live is None:
            self.events_for_nobody += 1
        else:
            live.post(event)

    def hang_up(self, session_id: str) -> bool:
        """End a live session; False when it is not live here."""
        live = self._live.get(session_id)
        if live is None:
            return False
        live.stop(ASKED_FOR)
        return True

    async def watch(self, session_id: str) -> AsyncIterator[TraceEntry]:
        """What happened so far and what happens from now on, until the record is durable; nothing if it is not live."""
        live = self._live.get(session_id)
        if live is None:
            return
        entries: asyncio.Queue[TraceEntry | None] = asyncio.Queue()
        for entry in live.trace.entries:
            entries.put_nowait(entry)
        live.trace.watchers.append(entries.put_nowait)
        live.when_over.append(lambda: entries.put_nowait(None))
        try:
            while (next_entry := await entries.get()) is not None:
                yield next_entry
        finally:
            live.trace.watchers.remove(entries.put_nowait)

    async def recover(self) -> int:
        """Take up what an earlier process left: undialled sessions begin, cut-off ones end; returns how many."""
        count = 0
        while claimed := await self._rooms.records.claim_sessions(at_start=True):
            count += len(claimed)
            await self._take_up(claimed)
        return count

    def take_over(self, claimed: Sequence[StoredSession]) -> None:
        """Likewise what another node left, beside everything else."""
        self._run_beside(self._take_up(claimed))

    async def _take_up(self, claimed: Sequence[StoredSession]) -> None:
        # What is live here was accepted under the id that this process had before the others gave it up, and is ours
        # again: it goes on, or ends, by itself. A second one of it would dial a second time.
        claimed = [stored for stored in claimed if stored.session_id not in self._live]
        for stored in claimed:
            if stored.state is SessionState.ACCEPTED:
                live = self._begin(stored.session_id, stored.sub_account_id, stored.callflow, stored.accepted_at)
                if stored.hang_up_at is not None:
                    live.stop(ASKED_FOR)
        some = asyncio.Semaphore(MOST_AT_ONCE)
        cut_off = [stored for stored in claimed if stored.state is not SessionState.ACCEPTED]
        await asyncio.gather(*[self._end_cut_off(stored, some) for stored in cut_off])

    def abandon(self) -> None:
        """Another node has every session that was live here: hang up what is up. Its records are not ours to write."""
        for session_id, live in tuple(self._live.items()):
            if live.has_dialled:
                live.stop("another node took this session over", ErrorCode.INTERNAL)
            else:
                self.let_go([session_id])

    def let_go(self, session_ids: Sequence[str]) -> None:
        """Another node has these sessions, for which nothing was dialled: forget them."""
        for session_id in session_ids:
            live = self._live.get(session_id)
            if live is not None and live.task is not None:
                live.task.cancel()

    async def drain(self, limit_seconds: float) -> int:
        """Take no new sessions, let the live ones finish; returns how many had to be cut off."""
        self.draining = True
        idle = asyncio.create_task(self._idle())
        impatient = asyncio.create_task(self._impatient.wait())
        await asyncio.wait({idle, impatient}, timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (idle, impatient):
            task.cancel()
        await asyncio.gather(idle, impatient, return_exceptions=True)
        cut_off = len(self._live)
        for live in self._live.values():
            live.stop("callwright was shut down", ErrorCode.INTERNAL)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS_SECONDS)
        if self._beside:
            await asyncio.wait(self._beside, timeout=LAST_WORDS_SECONDS)
        left = [*self._tasks, *self._beside]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return cut_off

    def cut_off(self) -> None:
        """A drain that is under way waits no longer."""
        self._impatient.set()

    async def _idle(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(
        self, session_id: str, sub_account_id: str, origin: Callflow | Caller, accepted_at: float
    ) -> LiveSession:
        trace = self._new_trace(session_id, _destination(origin))
        actions = len(origin.actions) if isinstance(origin, Callflow) else 0
        incoming = isinstance(origin, Caller)
        trace.add(accepted_at, "session.accepted", sub_account_id=sub_account_id, actions=actions, incoming=incoming)
        session = Session(session_id, sub_account_id, origin, self._rules_for(sub_account_id), self._new_id)
        live = LiveSession(session, trace, self._rooms)
        self._live[session_id] = live
        task = asyncio.create_task(live.run(), name=f"session {session_id}")
        live.task = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(live, done))
        return live

    def _run_beside(self, errand: Coroutine[Any, Any, None]) -> None:
        """Something that belongs to no live session."""
        task = asyncio.create_task(errand)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _new_trace(self, session_id: str, destination: str) -> Trace:
        return Trace(session_id, watchers=[self._watcher_for(session_id, destination)])

    def _know_leg(self, leg_id: str, live: LiveSession) -> None:
        self._legs[leg_id] = live

    def _forget(self, live: LiveSession, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._live.pop(live.session.session_id, None)
        for leg in live.session.legs:
            self._legs.pop(leg.leg_id, None)
        for tell in live.when_over:
            tell()

    async def _end_cut_off(self, stored: StoredSession, some: asyncio.Semaphore) -> None:
        async with some:
            await self._end_now(stored)

    async def _end_now(self, stored: StoredSession) -> None:
        summary = interrupted_summary(stored, self._rooms.clock())
        trace = self._new_trace(stored.session_id, _destination(stored.callflow))
        trace.add(summary.ended_at, "session.recovered", reason=summary.error.reason if summary.error else "")
        await self._end_orphans(stored, trace)
        trace.add(summary.ended_at, "session.finished", status=summary.status.value, last_action=summary.last_action)
        await write_record(self._rooms, summary, trace)

    async def _end_orphans(self, stored: StoredSession, trace: Trace) -> None:
        """Hang up what may still be up of a session's legs, before its record says that they are over."""
        legs = [intent for intent in stored.dial_intents if intent.dialog]
        end = self._rooms.lines.end_orphan
        await asyncio.gather(*[end(leg.leg_id, leg.trunk, leg.dialog, trace) for leg in legs])


def _destination(origin: Callflow | Caller) -> str:
    """The number a story is told about."""
    if isinstance(origin, Caller):
        return origin.source
    first = origin.actions[0] if origin.actions else None
    return first.destination if isinstance(first, MakeCall) else ""
