"""One live session: the loop that hands events in and carries commands out.

It carries; it does not decide. What a command needs to wait for (a durable intent) is waited for here, so events that
come meanwhile queue up and a session never sees two things at once.
"""

import asyncio
import dataclasses
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from callwright.audio.prompt import Prompt
from callwright.callflow.commands import (
    AskNext,
    Bridge,
    Command,
    Dial,
    Finish,
    HangUp,
    Listen,
    PickUp,
    Play,
    PrepareFile,
    PrepareSpeech,
    Record,
    RingBack,
    StopListening,
    StopPlayback,
    Tell,
)
from callwright.callflow.events import (
    Event,
    NextFlow,
    NextFlowFailed,
    NotAnswered,
    PromptFailed,
    PromptReady,
    Started,
    Stopped,
    Tick,
)
from callwright.callflow.leg import Leg
from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import ACTION_NAMES, Callflow
from callwright.callflow.session import Session
from callwright.callflow.summary import SessionSummary
from callwright.errors import CallwrightError, ErrorCode, PromptError, StorageError, StorageUnavailable, TelephonyError
from callwright.switchboard.customer import AskingError, Customers
from callwright.switchboard.ports import EncodeSummary, Lines, PromptMaker, RecordingShelf, Records, Sleep
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import FieldValue, Trace

log = logging.getLogger(__name__)

LineCommand = Play | RingBack | StopPlayback | PickUp | Bridge | Listen | StopListening | HangUp
"""Commands that telephony carries out without being waited for."""

PLAIN = frozenset((str, int, float, bool))
"""Field values that a trace takes as they are."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries to write a terminal record while the database is away; the last one repeats for ever."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms below, and what a session's loop needs besides."""

    lines: Lines
    prompts: PromptMaker
    records: Records
    customers: Customers
    recordings: RecordingShelf
    encode_summary: EncodeSummary
    clock: Clock
    on_leg: Callable[[str, "LiveSession"], None]
    "told the id of every leg before it is dialled"
    on_owed: Callable[[], None]
    "told when something became due to a customer"
    on_news: Callable[[Coroutine[Any, Any, None]], None]
    "runs news to a customer beside all sessions; they may outlive the session they are about"
    sleep: Sleep


class LiveSession:
    """A session between its acceptance and its terminal record."""

    def __init__(self, session: Session, trace: Trace, rooms: Rooms) -> None:
        self.session = session
        self.trace = trace
        self.when_over: list[Callable[[], None]] = []
        "called once the terminal record is durable"
        self.task: asyncio.Task[None] | None = None
        "that runs it"
        self._rooms = rooms
        self._inbox: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._rang_at = float("-inf")
        "the deadline that the timer rang for last"
        self._prompts: dict[str, Prompt] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._stop_wanted = False
        self.has_dialled = False
        "a leg of it may be up"
        self.post(Started(rooms.clock()))  # whatever is posted before it runs comes after this

    def post(self, event: Event) -> None:
        """Hand an event in; it is taken in its turn."""
        self._inbox.append(event)
        self._wake()

    async def run(self) -> None:
        """From the start to the terminal record; raises nothing but cancellation."""
        try:
            await self._loop()
        except Exception:  # the loop of one call: a fault of ours must end this call only, with a record
            log.exception("session %s failed inside callwright", self.session.session_id)
            await self._give_up()
        finally:
            for task in self._errands:
                task.cancel()
            if self._timer is not None:
                self._timer.cancel()

    async def _loop(self) -> None:
        while not self.session.finished:
            event = await self._next_event()
            self.trace.add(event.at, f"event.{type(event).__name__}", **_fields_of(event))
            for command in self.session.handle(event):
                if not isinstance(command, Finish):
                    self.trace.add(event.at, f"command.{type(command).__name__}", **_fields_of(command))
                await self._carry(command)

    async def _next_event(self) -> Event:
        while not self._inbox:
            deadline = self.session.deadline
            if deadline is not None:
                now = self._rooms.clock()
                if max(now, self._rang_at) >= deadline:
                    return Tick(max(deadline, now))
                self._see_to(deadline, now)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._inbox.popleft()

    def _see_to(self, deadline: float, now: float) -> None:
        """Let the timer ring at the deadline or before: one that rings too early is set anew then."""
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_later(deadline - now, self._ring)

    def _ring(self) -> None:
        self._timer, self._rang_at = None, self._timer_at
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _carry(self, command: Command) -> None:
        match command:
            case PrepareSpeech(prompt_id, text, voice_profile, speed):
                speech = partial(self._rooms.prompts.speech, text, voice_profile, speed, self.trace)
                self._send(self._settle(prompt_id, speech))
            case PrepareFile(prompt_id, file_url):
                file = partial(self._rooms.prompts.file, self.session.sub_account_id, file_url, self.trace)
                self._send(self._settle(prompt_id, file))
            case Dial():
                await self._dial(command)
            case Record(leg_id, recording_id):
                await self._record(leg_id, recording_id)
            case AskNext():
                self._send(self._ask(command))
            case Tell(leg_id=leg_id):
                account, session_id = self.session.sub_account_id, self.session.session_id
                if self._rooms.customers.wants_news(account):
                    self._rooms.on_news(self._rooms.customers.tell(account, self._leg(leg_id), command, session_id))
            case Finish(summary):
                await self._finish(summary)
            case _:
                self._carry_to_lines(command)

    def _carry_to_lines(self, command: LineCommand) -> None:
        lines = self._rooms.lines
        match command:
            case Play(leg_id, playback_id, prompt_id, repetition):
                lines.play(leg_id, playback_id, self._prompts[prompt_id], repetition)
            case RingBack(leg_id, playback_id):
                lines.ring_back(leg_id, playback_id)
            case StopPlayback(leg_id, playback_id):
                lines.stop_playback(leg_id, playback_id)
            case PickUp(leg_id):
                lines.pick_up(leg_id)
            case Bridge(leg_id, other_leg_id):
                lines.bridge(leg_id, other_leg_id)
            case Listen(leg_id):
                lines.listen(leg_id, wanted=True)
            case StopListening(leg_id):
                lines.listen(leg_id, wanted=False)
            case HangUp(leg_id):
                lines.hang_up(leg_id)

    def _leg(self, leg_id: str) -> Leg:
        return next(leg for leg in self.session.legs if leg.leg_id == leg_id)

    def _send(self, errand: Coroutine[Any, Any, None]) -> None:
        """Do something beside the loop; it posts an event when it is done, and is dropped when the session ends."""
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _ask(self, question: AskNext) -> None:
        account, leg = self.session.sub_account_id, self._leg(question.leg_id)
        flow, old_url = self.session.flow, self.session.flow.dtmf_callback_url
        try:
            if old_url is None:
                next_flow = await self._rooms.customers.ask(account, leg, question, self.trace)
            else:  # such a request tells where its digits go, and asks for nothing more
                next_flow = None
                if question.captured is not None:
                    await self._rooms.customers.report_digits(
                        old_url, leg, question.captured, flow.client_request_id, self.trace
                    )
        except AskingError as error:
            self.post(NextFlowFailed(self._rooms.clock(), error.code, str(error)))
        else:
            self.post(NextFlow(self._rooms.clock(), next_flow))

    async def _record(self, leg_id: str, recording_id: str) -> None:
        """Begin a recording; a database that is away must not end the call, so it is noted and the call goes on."""
        at = self._rooms.clock()
        try:
            path = await self._rooms.recordings.begin(
                recording_id, self.session.session_id, self.session.sub_account_id, leg_id, at
            )
        except StorageError as error:
            self.trace.add(at, "recording.not_begun", reason=str(error))
        else:
            if path is None:
                self.trace.add(at, "recording.not_begun", reason="no recording-push-config says where to put it")
            else:
                self._rooms.lines.record(leg_id, recording_id, Path(path))

    async def _settle(self, prompt_id: str, make: Callable[[], Awaitable[Prompt]]) -> None:
        try:
            prompt = await make()
        except PromptError as error:
            self.post(PromptFailed(self._rooms.clock(), prompt_id, error.code, str(error)))
        except CallwrightError as error:
            self.post(PromptFailed(self._rooms.clock(), prompt_id, ErrorCode.INTERNAL, str(error)))
        else:
            self._prompts[prompt_id] = prompt
            self.post(PromptReady(self._rooms.clock(), prompt_id, prompt.duration_seconds))

    async def _dial(self, command: Dial) -> None:
        """The intent first, durably; then the INVITE (a leg that may have been dialled is never dialled again)."""
        clock = self._rooms.clock
        if self._stop_wanted:
            reason = "its end was asked for before it was dialled"
            self.post(NotAnswered(clock(), command.leg_id, CallStatus.CANCELED, reason=reason))
            return
        self.has_dialled = True
        try:
            route = self._rooms.lines.route(command.destination, command.source)
            await self._rooms.records.record_dial_intent(
                self.session.session_id,
                command.leg_id,
                route.sip_call_id,
                route.trunk,
                clock(),
                source=command.source,
                destination=command.destination,
                dialog=route.dialog,
            )
        except (TelephonyError, StorageError) as error:
            self.post(
                NotAnswered(clock(), command.leg_id, CallStatus.ERROR, reason=str(error), error=ErrorCode.CONNECTIVITY)
            )
            return
        self._rooms.on_leg(command.leg_id, self)
        self._rooms.lines.dial(command.leg_id, command.source, command.destination, route, self.trace)

    async def _finish(self, summary: SessionSummary) -> None:
        self.trace.add(
            summary.ended_at,
            "session.finished",
            status=summary.status.value,
            last_action=summary.last_action,
            error=None if summary.error is None else int(summary.error.code),
            reason=None if summary.error is None else summary.error.reason,
        )
        await write_record(self._rooms, summary, self.trace)

    async def _give_up(self) -> None:
        """After a fault of ours: drop the legs, and let a fresh farewell write the record."""
        for leg in self.session.legs:
            self._rooms.lines.hang_up(leg.leg_id)
        summary = self.session.interrupted(self._rooms.clock(), "callwright failed while it carried this call")
        await self._finish(summary)

    def stop(self, reason: str, error: ErrorCode | None = None) -> None:
        """Ask for the end; from now on nothing is dialled."""
        self._stop_wanted = True
        self.post(Stopped(self._rooms.clock(), reason, error))


async def write_record(rooms: Rooms, summary: SessionSummary, trace: Trace) -> None:
    """Write a terminal record, however long the database is away; one that another node owes is left to it."""
    body = rooms.encode_summary(summary)
    tries = 0
    while True:
        try:
            if await rooms.records.finish_session(summary, body, trace, rooms.clock()):
                rooms.on_owed()
            else:
                log.warning("the record of session %s is there already, or another node's to write", summary.session_id)
        except StorageUnavailable as error:
            pause = RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
            log.warning("the record of session %s waits for the database: %s", summary.session_id, error)
            await rooms.sleep(pause)
            tries += 1
        else:
            return


def _fields_of(happening: Event | Command) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {}
    for name in _field_names(type(happening)):
        value = getattr(happening, name)
        if value is None or type(value) in PLAIN:  # nearly all of them
            fields[name] = value
        else:
            fields.update(_flattened(name, value))
    fields.pop("at", None)
    return fields


def _flattened(name: str, value: object) -> dict[str, FieldValue]:
    """What is no plain value, as one or several: the parts of a record are named `record_part`."""
    match value:
        case Enum():
            return {name: value.value}
        case Callflow():
            return {name: " ".join(ACTION_NAMES[type(action)] for action in value.actions)}
        case None | str() | int() | float():
            return {name: value}
    flat: dict[str, FieldValue] = {}
    for part in _field_names(type(value)):
        flat |= _flattened(f"{name}_{part}", getattr(value, part))
    return flat


def _field_names(kind: type) -> tuple[str, ...]:
    """The fields of a kind of event or command, asked of the class once; there are some dozen kinds."""
    names = _names_by_kind.get(kind)
    if names is None:
        names = _names_by_kind[kind] = tuple(field.name for field in dataclasses.fields(kind))
    return names


_names_by_kind: dict[type, tuple[str, ...]] = {}
