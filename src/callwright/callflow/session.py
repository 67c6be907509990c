"""One session: callflows, their legs, and how it comes to its one end (contract §2.1, §5.4, §7). Pure.

    commands = session.handle(event)     # event.at says when
    session.deadline                     # when to hand in a Tick if nothing else happens

A session begins with a callflow that a customer posted, or with somebody who called (`Caller`); in that case, and
whenever a flow runs dry while the first leg is up, the customer is asked what to do next. It runs one script at a time:
`_life` is the whole of it; what cuts it short (the first leg is over, an action fails, somebody asks for the end)
replaces it with `_farewell`, which hangs up what is left, waits for telephony to be done and writes the terminal
record. Exactly one `Finish` ever comes out.

Files are fetched before anybody is dialled, so that a dead URL rings no phone; speech is made while it rings.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from callwright.callflow.actions.make_call import Patience, bridge_call, make_call
from callwright.callflow.actions.play import play
from callwright.callflow.actions.say_and_capture import prompt_texts, say_and_capture
from callwright.callflow.actions.script import Script, Turn
from callwright.callflow.commands import (
    AskNext,
    Command,
    Dial,
    Finish,
    HangUp,
    PickUp,
    PrepareFile,
    PrepareSpeech,
    Tell,
)
from callwright.callflow.desk import Desk
from callwright.callflow.events import (
    Answered,
    DigitPressed,
    Event,
    HungUp,
    NextFlow,
    NextFlowFailed,
    NotAnswered,
    PromptFailed,
    PromptReady,
    Ringing,
    Started,
    Stopped,
    Tick,
)
from callwright.callflow.leg import Leg, LegState
from callwright.callflow.outcome import CallHappening, CallStatus
from callwright.callflow.plan import ACTION_NAMES, Action, Callflow, MakeCall, PlayFile, Say, SayAndCapture
from callwright.callflow.plan import HangUp as HangUpAction
from callwright.callflow.summary import ErrorDetails, SessionSummary
from callwright.errors import ErrorCode
from callwright.numbers import destination_allowed

PREPARATION_SECONDS = 60.0
"""Speech and files have budgets of their own, well below; this one keeps a session from waiting for a lost answer."""

ASKING_SECONDS = 60.0
"""Likewise for the customer's answer, whose own budget is 10 s."""

FAREWELL_SECONDS = 70.0
"""Longest wait for telephony to be done with a leg: SIP itself gives up after 2 × 32 s (RFC 3261 §17, 64*T1)."""

MOST_FLOWS = 500
"""A customer who answers every question with another flow is stopped here."""


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What the platform and the sub-account's owner decided."""

    ring_timeout_seconds: float = 60.0
    longest_bridge_seconds: float = 4 * 3_600.0
    destinations: tuple[str, ...] = ("*",)
    "prefixes that may be called; `*` for any that is not always blocked (numbers.destination_allowed)"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who called one of the sub-account's numbers."""

    leg_id: str
    source: str
    "who calls, E.164 with +, or empty when the caller hides it"
    destination: str
    "the number that was called, E.164 with +"


class Session:
    """A session from its acceptance to its terminal record."""

    def __init__(
        self,
        session_id: str,
        sub_account_id: str,
        origin: Callflow | Caller,
        rules: SessionRules,
        new_id: Callable[[], str],
    ) -> None:
        self.session_id = session_id
        self.sub_account_id = sub_account_id
        self.rules = rules
        self.deadline: float | None = None
        self.finished = False
        self.legs: list[Leg] = []
        self.flow = origin if isinstance(origin, Callflow) else Callflow((), new_id())
        "the flow that runs, or ran last"
        self._caller = origin if isinstance(origin, Caller) else None
        self._client_request_id = self.flow.client_request_id
        self._desk = Desk()
        self._new_id = new_id
        self._flows = 0
        self._started_at = 0.0
        self._last_action = ACTION_NAMES[MakeCall]
        self._captured: str | None = None
        self._error: ErrorDetails | None = None
        self._leaving = False
        self._told: list[Command] = []
        self._script: Generator[Turn, Event, None] | None = None

    def handle(self, event: Event) -> list[Command]:
        """Take one event; returns what to do now. Events after the end, or before the start, change nothing."""
        if self.finished or (self._script is None) != isinstance(event, Started):
            return []
        self._desk.now = event.at
        if self._script is None:
            self._started_at = event.at
            self._script = self._life()
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
        self._desk.now = at
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
                        was_over, was_talking = leg.over, leg.talking
                        leg.take(event)
                        if leg.talking and not was_talking:
                            self._tell(leg, CallHappening.CONNECTED)
                        if leg.over and not was_over:
                            self._tell(leg, CallHappening.DISCONNECTED)
            case PromptReady() | PromptFailed():
                self._desk.prompts.take(event)
            case DigitPressed(leg_id=leg_id, digit=digit):
                self._told += [Tell(leg_id, CallHappening.DIGIT, digit=digit)]
            case _:
                pass

    def _tell(self, leg: Leg, happening: CallHappening) -> None:
        seconds = leg.duration_seconds(self._desk.now)
        self._told.append(Tell(leg.leg_id, happening, seconds, 200 if leg.sip_code is None else leg.sip_code))

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
                self._fail(error, reason, self._action_of(event.prompt_id))
                return True
            case _:
                return bool(self.legs) and self.legs[0].over

    def _fail(self, code: ErrorCode, reason: str, action: str | None = None) -> None:
        self._error = ErrorDetails(code, action or self._last_action, self.flow.call_flow_request_id, reason)

    # a life: flows, questions, and the end

    def _life(self) -> Generator[Turn, Event, None]:
        if self._caller is None:
            next_flow: Callflow | None = self.flow
        else:
            leg = Leg(
                self._caller.leg_id,
                self._caller.source,
                self._caller.destination,
                self._desk.now,
                state=LegState.OFFERED,
                inbound=True,
            )
            self.legs.append(leg)
            self._tell(leg, CallHappening.RECEIVED)
            next_flow = yield from self._ask(received=True)
            if next_flow is None:  # the customer does not want the call
                yield from self._farewell(CallStatus.NO_ANSWER)
        while next_flow is not None and self._flows < MOST_FLOWS:
            self.flow = next_flow
            self._flows += 1
            yield from self._carry_out(next_flow)
            next_flow = yield from self._ask(received=False)
        yield from self._farewell()

    def _carry_out(self, flow: Callflow) -> Generator[Turn, Event, None]:
        """Run a flow's actions; returns when it ran dry, and not at all when it ends the session."""
        if self._refused(flow):
            yield from self._farewell()
        yield Turn(self._preparations(flow), at_once=True)
        if not self.legs:
            yield from self._await_files(flow)
        for index, action in enumerate(flow.actions):
            self._last_action = ACTION_NAMES[type(action)]
            if isinstance(action, HangUpAction):
                yield from self._farewell()
            yield from self._pick_up()
            report = yield from self._script_of(index, action)
            if report.error is not None:
                self._fail(report.error, report.reason)
            if report.ends_as is not None:
                yield from self._farewell(report.ends_as)
            if isinstance(action, SayAndCapture):
                self._captured = report.captured

    def _await_files(self, flow: Callflow) -> Generator[Turn, Event, None]:
        """Wait for every file of the flow, then judge once more whether anybody may be dialled."""
        until = self._desk.now + PREPARATION_SECONDS
        files = self._file_prompts(flow)
        if not files:
            return
        while not all(self._desk.prompts.settled(prompt_id) for prompt_id in files):
            if self._desk.now >= until:
                self._fail(ErrorCode.FILE_FAILED, "the file was not ready in time", ACTION_NAMES[PlayFile])
                yield from self._farewell()
            yield Turn(until=until)
        if self._refused(flow):
            yield from self._farewell()

    def _pick_up(self) -> Generator[Turn, Event, None]:
        """Answer the caller, if there is one who waits."""
        if self.legs and self.legs[0].state is LegState.OFFERED:
            until = self._desk.now + FAREWELL_SECONDS
            yield Turn((PickUp(self.legs[0].leg_id),), until)
            while not self.legs[0].talking and self._desk.now < until:
                yield Turn(until=until)

    def _ask(self, *, received: bool) -> Generator[Turn, Event, Callflow | None]:
        """Ask the customer what to do next; None: nothing more, or nobody to ask."""
        captured, self._captured = self._captured, None
        leg, until = self.legs[0], self._desk.now + ASKING_SECONDS
        seconds = leg.duration_seconds(self._desk.now)
        request_id, told_before = self._new_id(), self.flow.client_action_id
        event = yield Turn((AskNext(leg.leg_id, request_id, received, captured, told_before, seconds),), until)
        while self._desk.now < until:
            match event:
                case NextFlow(callflow=callflow):
                    return callflow
                case NextFlowFailed(error=error, reason=reason):
                    self._fail(error, reason)
                    break
                case _:
                    event = yield Turn(until=until)
        else:
            self._fail(ErrorCode.CONNECTIVITY, "the customer's answer never came")
        yield from self._farewell(CallStatus.ERROR)
        return None

    def _script_of(self, index: int, action: Action) -> Script:
        prompt_id = self._prompt_id(index)
        match action:
            case MakeCall(call_recording=wanted):
                recording_id = self._new_id() if wanted else None
                leg = self._new_leg(action)
                patience = Patience(self.rules.ring_timeout_seconds, self.rules.longest_bridge_seconds)
                if leg is self.legs[0]:
                    return make_call(leg, patience.ring, recording_id)
                return bridge_call(self._desk, self.legs[0], leg, patience, recording_id)
            case Say(repetition=repetition) | PlayFile(repetition=repetition):
                return play(self._desk, self.legs[0], prompt_id, repetition)
            case SayAndCapture():
                return say_and_capture(self._desk, self.legs[0], action, prompt_id)
            case HangUpAction():
                raise AssertionError("a hangup ends the flow before it comes here")

    def _farewell(self, ends_as: CallStatus = CallStatus.CANCELED) -> Generator[Turn, Event, None]:
        """Hang up what is left, wait until it is over, write the record; `ends_as` is for legs nobody answered."""
        self._leaving = True
        until = self._desk.now + FAREWELL_SECONDS
        self._account_for_a_leg_never_dialled()
        waiting = any(leg.state in (LegState.DIALLING, LegState.RINGING) for leg in self.legs[1:])
        if waiting and self.legs[0].inbound and self.legs[0].over:
            self.legs[0].left_before_the_other_answered()
        if self._error is not None and self.legs and self.legs[0].state is LegState.OFFERED:
            ends_as = CallStatus.ERROR  # a caller who was never answered, and whose fault that was not (§5.4)
        commands = tuple(HangUp(leg.leg_id) for leg in self.legs if leg.hang_up(ends_as))
        if not all(leg.over for leg in self.legs):
            yield Turn(commands, until)
            while not all(leg.over for leg in self.legs):
                if self._desk.now >= until:
                    for leg in self.legs:
                        leg.abandon(self._desk.now)
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
        told, self._told = self._told, []
        return [*told, *self._announced(commands)]

    def _announced(self, commands: list[Command]) -> list[Command]:
        """The commands, each Dial with the word to the customer that goes with it."""
        spoken: list[Command] = []
        for command in commands:
            spoken.append(command)
            if isinstance(command, Dial):
                spoken.append(Tell(command.leg_id, CallHappening.INITIATED))
        return spoken

    # what a flow needs and may not do

    def _refused(self, flow: Callflow) -> bool:
        """The flow must not be carried out; the session's error says why."""
        for action in flow.actions:
            if isinstance(action, MakeCall) and not destination_allowed(action.destination, self.rules.destinations):
                reason = "the destination is not on the sub-account's list of destinations"
                self._fail(ErrorCode.NO_COVERAGE, reason, ACTION_NAMES[MakeCall])
                if any(leg.talking for leg in self.legs):
                    self._new_leg(action).refuse(self._desk.now, CallStatus.ERROR, reason)
                return True
        if flow.valid_until is not None and self._desk.now > flow.valid_until:
            self._fail(ErrorCode.VALIDITY_EXPIRED, "validUntil passed before the call could be dialled")
            return True
        return False

    def _account_for_a_leg_never_dialled(self) -> None:
        """The record names the leg that was asked for even when it was never dialled (§13 row 13)."""
        first = self.flow.actions[0] if self.flow.actions else None
        if not self.legs and isinstance(first, MakeCall):
            status = CallStatus.CANCELED if self._error is None else CallStatus.ERROR
            self._new_leg(first).refuse(self._desk.now, status, "" if self._error is None else self._error.reason)

    def _preparations(self, flow: Callflow) -> tuple[Command, ...]:
        commands: list[Command] = []
        for index, action in enumerate(flow.actions):
            prompt_id = self._prompt_id(index)
            match action:
                case Say():
                    commands.append(PrepareSpeech(prompt_id, action.text, action.voice_profile, action.speed))
                case PlayFile():
                    commands.append(PrepareFile(prompt_id, action.file_url))
                case SayAndCapture():
                    for part, text in prompt_texts(action).items():
                        prepared = PrepareSpeech(f"{prompt_id}.{part}", text, action.voice_profile, action.speed)
                        commands.append(prepared)
                case MakeCall() | HangUpAction():
                    pass
        return tuple(commands)

    def _prompt_id(self, index: int) -> str:
        """Of an action of the flow that runs: unlike those of the flows before it."""
        return f"{self._flows}.{index}"

    def _file_prompts(self, flow: Callflow) -> list[str]:
        return [self._prompt_id(index) for index, action in enumerate(flow.actions) if isinstance(action, PlayFile)]

    def _action_of(self, prompt_id: str) -> str:
        flow, index = prompt_id.split(".")[:2]
        if int(flow) != self._flows:
            return self._last_action
        return ACTION_NAMES[type(self.flow.actions[int(index)])]

    def _new_leg(self, action: MakeCall) -> Leg:
        leg = Leg(self._new_id(), action.source, action.destination, initiated_at=self._desk.now)
        self.legs.append(leg)
        return leg

    def _summary(self) -> SessionSummary:
        legs = tuple(leg.summary() for leg in self.legs)
        return SessionSummary(
            session_id=self.session_id,
            sub_account_id=self.sub_account_id,
            status=CallStatus.ERROR if self._error is not None else legs[-1].status,
            started_at=self._started_at,
            ended_at=self._desk.now,
            last_action=self._last_action,
            legs=legs,
            error=self._error,
            client_request_id=self._client_request_id,
        )
