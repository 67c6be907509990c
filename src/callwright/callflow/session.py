"""One session: a callflow, its legs, and how it comes to its one end (contract §2.1, §5.4). Pure.

    commands = session.handle(event)     # event.at says when
    session.deadline                     # when to hand in a Tick if nothing else happens

The session runs one script at a time. `_flow` is the whole flow, action by action; what cuts it short (the callee hangs
up, an action fails, somebody asks for the end) replaces it with `_farewell`, which hangs up what is left, waits for
telephony to be done and writes the terminal record. Exactly one `Finish` ever comes out.

Files are fetched before anybody is dialled, so that a dead URL rings no phone; speech is made while it rings.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from callwright.callflow.actions.make_call import make_call
from callwright.callflow.actions.play import play
from callwright.callflow.actions.script import Script, Turn
from callwright.callflow.commands import Command, Finish, HangUp, PrepareFile, PrepareSpeech
from callwright.callflow.events import (
    Answered,
    Event,
    HungUp,
    NotAnswered,
    PromptFailed,
    PromptReady,
    Ringing,
    Started,
    Stopped,
    Tick,
)
from callwright.callflow.leg import Leg
from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import ACTION_NAMES, Action, Callflow, MakeCall, PlayFile, Say, SayAndCapture
from callwright.callflow.plan import HangUp as HangUpAction
from callwright.callflow.prompts import PromptBook
from callwright.callflow.summary import ErrorDetails, SessionSummary
from callwright.errors import ErrorCode
from callwright.numbers import destination_allowed

PREPARATION_SECONDS = 60.0
"""Speech and files have budgets of their own, well below; this one keeps a session from waiting for a lost answer."""

FAREWELL_SECONDS = 70.0
"""Longest wait for telephony to be done with a leg: SIP itself gives up after 2 × 32 s (RFC 3261 §17, 64*T1)."""


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What the platform and the sub-account's owner decided."""

    ring_timeout_seconds: float = 60.0
    destinations: tuple[str, ...] = ("*",)
    "prefixes that may be called; `*` for any that is not always blocked (numbers.destination_allowed)"


class Session:
    """A session from its acceptance to its terminal record."""

    def __init__(
        self,
        session_id: str,
        sub_account_id: str,
        callflow: Callflow,
        rules: SessionRules,
        new_id: Callable[[], str],
    ) -> None:
        self.session_id = session_id
        self.sub_account_id = sub_account_id
        self.callflow = callflow
        self.rules = rules
        self.deadline: float | None = None
        self.finished = False
        self.legs: list[Leg] = []
        self._prompts = PromptBook()
        self._new_id = new_id
        self._now = 0.0
        self._started_at = 0.0
        self._last_action = ACTION_NAMES[type(callflow.actions[0])]
        self._error: ErrorDetails | None = None
        self._leaving = False
        self._script: Generator[Turn, Event, None] | None = None

    def handle(self, event: Event) -> list[Command]:
        """Take one event; returns what to do now. Events after the end, or before the start, change nothing."""
        if self.finished or (self._script is None and not isinstance(event, Started)):
            return []
        self._now = event.at
        if self._script is None:
            self._started_at = event.at
            self._script = self._flow()
            return self._run(None)
        if isinstance(event, Tick) and (self.deadline is None or event.at < self.deadline):
            return []
        self._note(event)
        if not self._leaving and self._cut_short(event):
            self._script.close()
            self._script = self._farewell()
            return self._run(None)
        return self._run(event)

    def interrupted(self, at: float, reason: str) -> SessionSummary:
        """The record of a session that callwright itself failed; legs are written off as they are."""
        self._now = at
        self._fail(ErrorCode.INTERNAL, reason)
        self._account_for_a_leg_never_dialled()
        for leg in self.legs:
            leg.abandon(at)
        self.finished, self.deadline = True, None
        return self._summary()

    # what an event changes, and whether it ends the flow

    def _note(self, event: Event) -> None:
        match event:
            case Ringing() | Answered() | NotAnswered() | HungUp():
                for leg in self.legs:
                    if leg.leg_id == event.leg_id:
                        leg.take(event)
            case PromptReady() | PromptFailed():
                self._prompts.take(event)
            case _:
                pass

    def _cut_short(self, event: Event) -> bool:
        """The event leaves nothing to go on with; `_error` says why, if it is an error."""
        match event:
            case Stopped(reason=reason, error=error):
                if error is not None:
                    self._fail(error, reason)
                return True
            case NotAnswered(error=error, reason=reason) if error is not None:
                self._fail(error, reason)
                return True
            case PromptFailed(error=error, reason=reason) if not any(leg.talking for leg in self.legs):
                # Nobody picked up yet: better not to let them pick up to silence.
                action = self._action_of(event.prompt_id)
                self._fail(error, reason, action)
                return True
            case _:
                return bool(self.legs) and all(leg.over for leg in self.legs)

    def _fail(self, code: ErrorCode, reason: str, action: str | None = None) -> None:
        self._error = ErrorDetails(code, action or self._last_action, self.callflow.call_flow_request_id, reason)

    # the flow and its end

    def _flow(self) -> Generator[Turn, Event, None]:
        if self._refused():
            yield from self._farewell()
        until = self._now + PREPARATION_SECONDS
        yield Turn(self._preparations(), at_once=True)
        while not all(self._prompts.settled(prompt_id) for prompt_id in self._file_prompts()):
            if self._now >= until:
                self._fail(ErrorCode.FILE_FAILED, "the file was not ready in time", ACTION_NAMES[PlayFile])
                yield from self._farewell()
            yield Turn(until=until)
        if self._refused():
            yield from self._farewell()
        for index, action in enumerate(self.callflow.actions):
            self._last_action = ACTION_NAMES[type(action)]
            if isinstance(action, HangUpAction):
                break
            report = yield from self._script_of(index, action)
            if report.error is not None:
                self._fail(report.error, report.reason)
            if report.ends_as is not None:
                yield from self._farewell(report.ends_as)
        yield from self._farewell()

    def _script_of(self, index: int, action: Action) -> Script:
        match action:
            case MakeCall():
                return make_call(self._new_leg(action), self.rules.ring_timeout_seconds)
            case Say(repetition=repetition) | PlayFile(repetition=repetition):
                return play(self.legs[0], self._prompts, str(index), repetition, self._now)
            case _:
                raise AssertionError(f"{action} was to be refused before anybody is dialled")

    def _farewell(self, ends_as: CallStatus = CallStatus.CANCELED) -> Generator[Turn, Event, None]:
        """Hang up what is left, wait until it is over, write the record; `ends_as` is for legs nobody answered."""
        self._leaving = True
        until = self._now + FAREWELL_SECONDS
        self._account_for_a_leg_never_dialled()
        commands = tuple(HangUp(leg.leg_id) for leg in self.legs if leg.hang_up(ends_as))
        if not all(leg.over for leg in self.legs):
            yield Turn(commands, until)
            while not all(leg.over for leg in self.legs):
                if self._now >= until:
                    for leg in self.legs:
                        leg.abandon(self._now)
                else:
                    yield Turn(until=until)
        self.finished = True
        yield Turn((Finish(self._summary()),))

    def _run(self, event: Event | None) -> list[Command]:
        """Advance the script by one event."""
        assert self._script is not None  # noqa: S101 - handle() made it
        turn = next(self._script) if event is None else self._script.send(event)
        commands = list(turn.commands)
        while turn.at_once:
            turn = next(self._script)
            commands += turn.commands
        self.deadline = None if self.finished else turn.until
        return commands

    # what the flow needs and may not do

    def _refused(self) -> bool:
        """Nobody must be dialled; the session's error says why."""
        first = self.callflow.actions[0]
        for name, reason in self._unsupported():
            self._fail(ErrorCode.CALLFLOW_INVALID, reason, name)
            return True
        if isinstance(first, MakeCall) and not destination_allowed(first.destination, self.rules.destinations):
            self._fail(ErrorCode.NO_COVERAGE, "the destination is not on the sub-account's list of destinations")
            return True
        if self.callflow.valid_until is not None and self._now > self.callflow.valid_until:
            self._fail(ErrorCode.VALIDITY_EXPIRED, "validUntil passed before the call could be dialled")
            return True
        return False

    def _account_for_a_leg_never_dialled(self) -> None:
        """The record names the leg that was asked for even when it was never dialled (§13 row 13)."""
        first = self.callflow.actions[0]
        if not self.legs and isinstance(first, MakeCall):
            status = CallStatus.CANCELED if self._error is None else CallStatus.ERROR
            self._new_leg(first).refuse(self._now, status, "" if self._error is None else self._error.reason)

    def _unsupported(self) -> list[tuple[str, str]]:
        found = []
        for index, action in enumerate(self.callflow.actions):
            name = ACTION_NAMES[type(action)]
            match action:
                case SayAndCapture():
                    found.append((name, "sayAndCapture is not carried out yet"))
                case MakeCall() if index > 0:
                    found.append((name, "a second makeCall is not carried out yet"))
                case MakeCall(call_recording=True):
                    found.append((name, "callRecording is not carried out yet"))
                case _:
                    pass
        return found

    def _preparations(self) -> tuple[Command, ...]:
        commands: list[Command] = []
        for index, action in enumerate(self.callflow.actions):
            match action:
                case Say():
                    commands.append(PrepareSpeech(str(index), action.text, action.voice_profile, action.speed))
                case PlayFile():
                    commands.append(PrepareFile(str(index), action.file_url))
                case _:
                    pass
        return tuple(commands)

    def _file_prompts(self) -> list[str]:
        return [str(index) for index, action in enumerate(self.callflow.actions) if isinstance(action, PlayFile)]

    def _action_of(self, prompt_id: str) -> str:
        return ACTION_NAMES[type(self.callflow.actions[int(prompt_id)])]

    def _new_leg(self, action: MakeCall) -> Leg:
        leg = Leg(self._new_id(), action.source, action.destination, initiated_at=self._now)
        self.legs.append(leg)
        return leg

    def _summary(self) -> SessionSummary:
        legs = tuple(leg.summary() for leg in self.legs)
        status = CallStatus.ERROR if self._error is not None else legs[-1].status
        return SessionSummary(
            session_id=self.session_id,
            sub_account_id=self.sub_account_id,
            status=status,
            started_at=self._started_at,
            ended_at=self._now,
            last_action=self._last_action,
            legs=legs,
            error=self._error,
            client_request_id=self.callflow.client_request_id,
        )
