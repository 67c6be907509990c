"""sayAndCapture, the question what to do next, bridges and incoming calls (contract §2.1, §2.5, §5.4, §7)."""

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    PrepareSpeech,
    Record,
    RingBack,
    StopListening,
    StopPlayback,
    Tell,
)
from callwright.callflow.events import (
    Answered,
    DigitPressed,
    Event,
    HungUp,
    NextFlow,
    NextFlowFailed,
    NotAnswered,
    PlaybackFinished,
    PromptFailed,
    PromptReady,
    Ringing,
    Started,
    Tick,
)
from callwright.callflow.outcome import CallHappening, CallStatus, HungUpBy
from callwright.callflow.plan import Action, Callflow, MakeCall, Say, SayAndCapture
from callwright.callflow.plan import HangUp as HangUpAction
from callwright.callflow.session import Caller, Session, SessionRules
from callwright.callflow.summary import SessionSummary
from callwright.errors import ErrorCode

A, B = "id-1", "id-2"
CALL = MakeCall("+6512341234", "+6512345678")
OTHER = MakeCall("+6512341234", "+6587654321")
VOICE = "en-US-ZiraRUS"
ASK = SayAndCapture("Press a key", VOICE, max_digits=1, no_of_tries=1)
PROMPT, SUCCESS, FAILURE = "1.1.prompt", "1.1.success", "1.1.failure"


class Driven:
    """A session with the commands it gave; what it tells the customer is kept apart."""

    def __init__(self, *actions: Action, caller: Caller | None = None, rules: SessionRules | None = None) -> None:
        ids = (f"id-{number}" for number in count(1 if caller is None else 2))
        origin = caller or Callflow(actions, "request-1", client_action_id="first")
        self.session = Session("session-1", "riders_hq", origin, rules or SessionRules(), lambda: next(ids))
        self.commands: list[Command] = []
        self.told: list[Tell] = []

    def take(self, *events: Event) -> list[Command]:
        given: list[Command] = []
        for event in events:
            given += self.session.handle(event)
        self.told += [command for command in given if isinstance(command, Tell)]
        given = [command for command in given if not isinstance(command, Tell)]
        self.commands += given
        return given

    @property
    def summary(self) -> SessionSummary:
        [finish] = [command for command in self.commands if isinstance(command, Finish)]
        return finish.summary


def prompts(*parts: str, at: float = 0.1) -> list[Event]:
    return [PromptReady(at, part, 2.0) for part in parts]


def asking(action: SayAndCapture, *after: Action) -> Driven:
    """A session whose callee picked up at 1 s and hears the prompt."""
    call = Driven(CALL, action, *after)
    call.take(Started(0.0), *prompts(PROMPT, SUCCESS, FAILURE), Ringing(0.5, A))
    assert call.take(Answered(1.0, A, "PCMU")) == [Listen(A), Play(A, "1", PROMPT, 1)]
    return call


def heard(at: float, playback_id: str = "1", leg: str = A, *, completed: bool = True) -> PlaybackFinished:
    return PlaybackFinished(at, leg, playback_id, completed)


def key(at: float, digit: str, leg: str = A) -> DigitPressed:
    return DigitPressed(at, leg, digit)


def question(commands: list[Command]) -> AskNext:
    [found] = [command for command in commands if isinstance(command, AskNext)]
    return found


# --- sayAndCapture -------------------------------------------------------------------------------------------------


def test_every_message_of_a_capture_is_prepared_while_it_rings() -> None:
    action = SayAndCapture("Press", VOICE, speed=1.5, success_message="Thanks", failure_message="Sorry")
    commands = Driven(CALL, action).take(Started(0.0))
    assert commands[:3] == [
        PrepareSpeech(PROMPT, "Press", VOICE, 1.5),
        PrepareSpeech(SUCCESS, "Thanks", VOICE, 1.5),
        PrepareSpeech(FAILURE, "Sorry", VOICE, 1.5),
    ]


def test_a_key_after_the_prompt_is_what_the_customer_is_told() -> None:
    call = asking(ASK)
    assert call.take(heard(3.0)) == []
    commands = call.take(key(4.0, "7"))
    assert commands == [
        StopListening(A),
        AskNext(A, "id-2", received=False, captured="7", client_action_id="first", duration_seconds=3),
    ]


def test_the_first_key_stops_the_prompt_and_counts() -> None:
    call = asking(ASK)
    commands = call.take(key(1.5, "3"))
    assert commands[0] == StopPlayback(A, "1")
    assert question(commands).captured == "3"


def test_hash_ends_the_input_and_is_not_part_of_it() -> None:
    call = asking(SayAndCapture("Enter", VOICE, no_of_tries=1))
    call.take(heard(3.0), key(3.5, "1"), key(4.0, "*"))
    assert question(call.take(key(4.5, "#"))).captured == "1*"


def test_without_complete_on_hash_a_hash_is_a_key() -> None:
    call = asking(SayAndCapture("Enter", VOICE, complete_on_hash=False, max_digits=3, no_of_tries=1))
    call.take(heard(3.0), key(3.5, "1"), key(4.0, "#"))
    assert question(call.take(key(4.5, "2"))).captured == "1#2"


def test_max_digits_ends_the_input() -> None:
    call = asking(SayAndCapture("Enter", VOICE, max_digits=2, no_of_tries=1))
    call.take(heard(3.0), key(3.5, "1"))
    assert question(call.take(key(4.0, "2"))).captured == "12"


def test_a_pause_longer_than_the_digit_timeout_ends_the_input() -> None:
    call = asking(SayAndCapture("Enter", VOICE, digit_timeout_ms=2000, overall_timeout_ms=9000, no_of_tries=1))
    call.take(heard(3.0))
    assert call.session.deadline == 12.0
    call.take(key(4.0, "5"))
    assert call.session.deadline == 6.0
    assert question(call.take(Tick(6.0))).captured == "5"


def test_the_digit_timeout_never_outlasts_the_overall_timeout() -> None:
    call = asking(SayAndCapture("Enter", VOICE, digit_timeout_ms=9000, overall_timeout_ms=9000, no_of_tries=1))
    call.take(heard(3.0), key(11.0, "5"))
    assert call.session.deadline == 12.0
    assert question(call.take(Tick(12.0))).captured is None


def test_overall_timeout_counts_from_the_barge_in() -> None:
    call = asking(SayAndCapture("Enter", VOICE, overall_timeout_ms=5000, no_of_tries=1))
    call.take(key(2.0, "5"))
    assert call.session.deadline == 7.0


@pytest.mark.parametrize(
    ("action", "keys", "captured"),
    [
        (SayAndCapture("Enter", VOICE, min_digits=2, max_digits=4, no_of_tries=1), "1#", None),
        (SayAndCapture("Enter", VOICE, min_digits=2, max_digits=4, no_of_tries=1), "12#", "12"),
        (SayAndCapture("Enter", VOICE, min_digits=2, max_digits=4, no_of_tries=1), "1234", "1234"),
        (SayAndCapture("Enter", VOICE, no_of_tries=1), "#", None),
    ],
)
def test_the_number_of_keys_decides_whether_a_try_is_good(
    action: SayAndCapture, keys: str, captured: str | None
) -> None:
    call = asking(action)
    call.take(heard(3.0))
    commands: list[Command] = []
    for pressed in keys:
        commands += call.take(key(4.0, pressed))
    assert question(commands).captured == captured


def test_a_failed_try_is_said_and_tried_again_and_a_good_one_is_thanked_for() -> None:
    call = asking(SayAndCapture("Enter", VOICE, success_message="T", failure_message="S", no_of_tries=2, max_digits=1))
    call.take(heard(3.0))
    assert call.take(Tick(33.0)) == [Play(A, "2", FAILURE, 1)]
    assert call.take(heard(35.0, "2")) == [Play(A, "3", PROMPT, 1)]
    assert call.take(heard(37.0, "3"), key(38.0, "9")) == [Play(A, "4", SUCCESS, 1)]
    assert question(call.take(heard(39.0, "4"))).captured == "9"


def test_after_all_tries_the_customer_is_told_of_nothing_captured() -> None:
    call = asking(SayAndCapture("Enter", VOICE, no_of_tries=2))
    call.take(heard(3.0), Tick(33.0), heard(35.0, "2"))
    assert question(call.take(Tick(65.0))).captured is None


def test_a_hangup_right_after_a_capture_ignores_the_keys() -> None:
    call = asking(ASK, HangUpAction())
    commands = call.take(key(1.5, "3"))
    assert HangUp(A) in commands
    assert not [command for command in commands if isinstance(command, AskNext)]


def test_actions_after_a_capture_run_before_the_customer_is_asked() -> None:
    call = asking(ASK, Say("One moment", VOICE))
    call.take(*prompts("1.2"))
    assert call.take(key(1.5, "3"))[-1] == Play(A, "2", "1.2", 1)
    assert question(call.take(heard(3.0, "2"))).captured == "3"


def test_keys_of_nobody_in_particular_are_only_told() -> None:
    call = Driven(CALL, Say("Hello", VOICE))
    call.take(Started(0.0), *prompts("1.1"), Answered(1.0, A, "PCMU"))
    assert call.take(key(1.2, "5")) == []
    assert [(tell.happening, tell.digit) for tell in call.told][-1] == (CallHappening.DIGIT, "5")


def test_a_success_message_that_cannot_be_spoken_is_an_error() -> None:
    call = asking(SayAndCapture("Enter", VOICE, success_message="T", max_digits=1))
    call = Driven(CALL, SayAndCapture("Enter", VOICE, success_message="T", max_digits=1))
    failed = PromptFailed(1.2, SUCCESS, ErrorCode.SPEECH_FAILED, "no voice")
    call.take(Started(0.0), *prompts(PROMPT), Answered(1.0, A, "PCMU"), failed)
    assert call.take(key(1.5, "3"))[-1] == HangUp(A)


# --- what next -------------------------------------------------------------------------------------------------------


def next_flow(at: float, *actions: Action, name: str | None = None) -> NextFlow:
    return NextFlow(at, Callflow(actions, "request-2", client_action_id=name))


def test_the_answer_is_run_and_the_question_comes_again_with_its_name() -> None:
    call = asking(ASK)
    call.take(key(1.5, "3"))
    assert call.take(next_flow(1.6, Say("Menu two", VOICE), name="level2"))[0] == PrepareSpeech(
        "2.0", "Menu two", VOICE, 1.0
    )
    assert call.take(PromptReady(1.7, "2.0", 2.0)) == [Play(A, "2", "2.0", 1)]
    again = question(call.take(heard(3.7, "2")))
    assert (again.client_action_id, again.captured, again.received) == ("level2", None, False)


def test_no_more_to_do_hangs_up() -> None:
    call = asking(ASK)
    call.take(key(1.5, "3"))
    assert call.take(NextFlow(1.6, None)) == [HangUp(A)]
    call.take(HungUp(1.7, A, HungUpBy.US))
    assert (call.summary.status, call.summary.error) == (CallStatus.COMPLETED, None)


@pytest.mark.parametrize("code", [ErrorCode.CONNECTIVITY, ErrorCode.CALLFLOW_INVALID])
def test_a_question_that_fails_ends_the_session_as_an_error(code: ErrorCode) -> None:
    call = asking(ASK)
    call.take(key(1.5, "3"))
    assert call.take(NextFlowFailed(11.5, code, "HTTP 500")) == [HangUp(A)]
    call.take(HungUp(11.6, A, HungUpBy.US))
    error = call.summary.error
    assert error is not None
    assert (call.summary.status, error.code, error.action) == (CallStatus.ERROR, code, "SAY_AND_CAPTURE")
    assert error.call_flow_request_id == "request-1"


def test_a_question_that_is_never_answered_ends_the_session() -> None:
    call = asking(ASK)
    call.take(key(1.5, "3"))
    assert call.take(Tick(61.5)) == [HangUp(A)]


def test_a_caller_who_hangs_up_while_the_customer_thinks_ends_the_session() -> None:
    call = asking(ASK)
    call.take(key(1.5, "3"), HungUp(2.0, A, HungUpBy.THEM))
    assert call.summary.status is CallStatus.COMPLETED
    assert call.take(next_flow(3.0, Say("late", VOICE))) == []


# --- bridges ---------------------------------------------------------------------------------------------


def bridging(*after: Action, rules: SessionRules | None = None, recording: bool = False) -> Driven:
    second = MakeCall(OTHER.source, OTHER.destination, call_recording=recording)
    call = Driven(CALL, second, *after, rules=rules)
    call.take(Started(0.0))
    commands = call.take(Answered(1.0, A, "PCMU"))
    assert commands[:1] == [RingBack(A, "1")]
    assert isinstance(commands[1], Dial)
    assert commands[1].destination == OTHER.destination
    return call


def test_the_second_leg_is_bridged_when_it_is_answered() -> None:
    call = bridging()
    assert call.take(Answered(3.0, B, "PCMA")) == [StopPlayback(A, "1"), Bridge(A, B)]


def test_a_bridge_that_nobody_hangs_up_is_ended() -> None:
    call = bridging(rules=SessionRules(longest_bridge_seconds=100.0))
    call.take(Answered(3.0, B, "PCMU"))
    assert call.session.deadline == 103.0
    assert call.take(Tick(103.0)) == [HangUp(A), HangUp(B)]


def test_a_recording_begins_with_the_bridge() -> None:
    call = bridging(recording=True)
    assert call.take(Answered(3.0, "id-3", "PCMA")) == [StopPlayback(A, "1"), Bridge(A, "id-3"), Record(A, B)]


def test_a_recording_of_a_single_leg_begins_with_its_answer() -> None:
    call = Driven(MakeCall(CALL.source, CALL.destination, call_recording=True), Say("Hello", VOICE))
    call.take(Started(0.0), *prompts("1.1"))
    assert call.take(Answered(1.0, B, "PCMU"))[:1] == [Record(B, A)]


def ended(call: Driven) -> tuple[str, ...]:
    return (*(leg.status for leg in call.summary.legs), call.summary.status)


def test_bridged_and_the_first_side_hangs_up() -> None:
    call = bridging()
    call.take(Answered(3.0, B, "PCMU"))
    assert call.take(HungUp(9.0, A, HungUpBy.THEM)) == [HangUp(B)]
    call.take(HungUp(9.1, B, HungUpBy.US))
    assert ended(call) == ("COMPLETED", "COMPLETED", "COMPLETED")


def test_bridged_and_the_second_side_hangs_up_asks_what_is_next() -> None:
    call = bridging()
    call.take(Answered(3.0, B, "PCMU"))
    assert question(call.take(HungUp(9.0, B, HungUpBy.THEM))).captured is None
    call.take(NextFlow(9.2, None), HungUp(9.3, A, HungUpBy.US))
    assert ended(call) == ("COMPLETED", "COMPLETED", "COMPLETED")


def test_actions_after_a_bridge_go_on_for_the_first_side() -> None:
    call = bridging(Say("Bye", VOICE))
    call.take(*prompts("1.2"), Answered(3.0, B, "PCMU"))
    assert call.take(HungUp(9.0, B, HungUpBy.THEM)) == [Play(A, "2", "1.2", 1)]


@pytest.mark.parametrize(
    ("status", "sip_code"), [(CallStatus.BUSY, 486), (CallStatus.NO_ANSWER, 480), (CallStatus.FAILED, 404)]
)
def test_a_second_leg_nobody_answers_gives_the_session_its_status(status: CallStatus, sip_code: int) -> None:
    call = bridging(Say("never", VOICE))
    assert call.take(NotAnswered(3.0, B, status, sip_code)) == [HangUp(A)]
    call.take(HungUp(3.1, A, HungUpBy.US))
    assert ended(call) == ("COMPLETED", status, status)


def test_a_second_leg_that_rings_too_long_is_no_answer() -> None:
    call = bridging()
    assert call.take(Tick(61.0)) == [HangUp(A), HangUp(B)]
    call.take(HungUp(61.1, A, HungUpBy.US), NotAnswered(61.1, B, CallStatus.CANCELED, 487))
    assert ended(call) == ("COMPLETED", "NO_ANSWER", "NO_ANSWER")


def test_a_second_leg_that_cannot_be_dialled_is_an_error() -> None:
    call = bridging()
    call.take(NotAnswered(1.1, B, CallStatus.ERROR, error=ErrorCode.TRUNK_CAPACITY), HungUp(1.2, A, HungUpBy.US))
    assert ended(call) == ("COMPLETED", "ERROR", "ERROR")


def test_the_first_side_that_leaves_while_the_second_rings_cancels_it() -> None:
    call = bridging()
    assert call.take(HungUp(2.0, A, HungUpBy.THEM)) == [HangUp(B)]
    call.take(NotAnswered(2.1, B, CallStatus.CANCELED, 487))
    assert ended(call) == ("COMPLETED", "CANCELED", "CANCELED")


def test_a_second_destination_off_the_list_in_an_answer_is_an_error_of_its_leg() -> None:
    call = asking(ASK)
    call.session.rules = SessionRules(destinations=("+44",))
    call.take(key(1.5, "3"))
    assert call.take(next_flow(1.6, OTHER)) == [HangUp(A)]
    call.take(HungUp(1.7, A, HungUpBy.US))
    assert ended(call) == ("COMPLETED", "ERROR", "ERROR")


# --- incoming calls --------------------------------------------------------------------------------------------------

CALLER = Caller(A, "+6591234567", "+6568332048")


def received() -> Driven:
    call = Driven(caller=CALLER)
    asked = question(call.take(Started(0.0)))
    assert (asked.leg_id, asked.received, asked.client_action_id, asked.duration_seconds) == (A, True, None, 0)
    return call


def test_a_call_comes_in_is_asked_for_and_answered_by_the_first_action() -> None:
    call = received()
    assert call.take(next_flow(0.2, Say("Welcome", VOICE), HangUpAction()))[-1] == PickUp(A)
    call.take(PromptReady(0.3, "1.0", 2.0))
    assert call.take(Answered(0.4, A, "PCMU")) == [Play(A, "1", "1.0", 1)]
    assert call.take(heard(2.4)) == [HangUp(A)]
    call.take(HungUp(2.5, A, HungUpBy.US))
    [leg] = call.summary.legs
    assert (leg.inbound, leg.status, call.summary.last_action) == (True, CallStatus.COMPLETED, "HANGUP")
    assert [tell.happening for tell in call.told] == [
        CallHappening.RECEIVED, CallHappening.CONNECTED, CallHappening.DISCONNECTED,
    ]  # fmt: skip


def test_a_call_nobody_wants_is_refused() -> None:
    call = received()
    assert call.take(NextFlow(0.2, None)) == [HangUp(A)]
    call.take(NotAnswered(0.3, A, CallStatus.CANCELED, 480))
    assert ended(call) == ("NO_ANSWER", "NO_ANSWER")


def test_a_hangup_as_the_only_answer_refuses_the_call() -> None:
    call = received()
    assert call.take(next_flow(0.2, HangUpAction())) == [HangUp(A)]
    call.take(NotAnswered(0.3, A, CallStatus.CANCELED, 480))
    assert ended(call) == ("CANCELED", "CANCELED")


def test_a_customer_who_cannot_be_asked_makes_the_leg_an_error() -> None:
    call = received()
    assert call.take(NextFlowFailed(10.2, ErrorCode.CONNECTIVITY, "HTTP 500")) == [HangUp(A)]
    call.take(NotAnswered(10.3, A, CallStatus.CANCELED, 480))
    assert ended(call) == ("ERROR", "ERROR")


def masked() -> Driven:
    call = received()
    call.take(next_flow(0.2, MakeCall("+6568332048", "+6587654321"), name="mask"))
    commands = call.take(Answered(0.4, A, "PCMU"))
    assert commands[0] == RingBack(A, "1")
    return call


def test_masking_bridges_the_caller_to_the_other_party() -> None:
    call = masked()
    other = call.session.legs[1].leg_id
    assert call.take(Answered(2.0, other, "PCMU"))[-1] == Bridge(A, other)
    call.take(HungUp(9.0, A, HungUpBy.THEM), HungUp(9.1, other, HungUpBy.US))
    assert ended(call) == ("COMPLETED", "COMPLETED", "COMPLETED")
    assert [leg.inbound for leg in call.summary.legs] == [True, False]


def test_a_caller_who_leaves_before_the_other_party_answers_is_canceled() -> None:
    call = masked()
    other = call.session.legs[1].leg_id
    call.take(Ringing(1.0, other), HungUp(1.5, A, HungUpBy.THEM), NotAnswered(1.6, other, CallStatus.CANCELED, 487))
    assert ended(call) == ("CANCELED", "CANCELED", "CANCELED")


def test_a_caller_who_leaves_before_anything_happened_is_canceled() -> None:
    call = received()
    call.take(NotAnswered(0.5, A, CallStatus.CANCELED, 487))
    assert ended(call) == ("CANCELED", "CANCELED")


# --- whatever happens ------------------------------------------------------------------------------------

times = st.floats(0, 300, allow_nan=False)
legs = st.sampled_from([A, B, "id-3", "id-4"])
flows: st.SearchStrategy[Callflow | None] = st.sampled_from(
    [None, Callflow((ASK,), "r"), Callflow((OTHER,), "r"), Callflow((Say("x", VOICE), HangUpAction()), "r")]
)
happenings: st.SearchStrategy[Event] = st.one_of(
    st.builds(Tick, times),
    st.builds(Ringing, times, legs),
    st.builds(Answered, times, legs, st.just("PCMU")),
    st.builds(NotAnswered, times, legs, st.sampled_from(CallStatus)),
    st.builds(HungUp, times, legs, st.sampled_from(HungUpBy)),
    st.builds(DigitPressed, times, legs, st.sampled_from("09*#")),
    st.builds(PromptReady, times, st.sampled_from([PROMPT, "1.0.prompt", "2.0", "2.0.prompt"]), st.just(1.0)),
    st.builds(PlaybackFinished, times, legs, st.sampled_from("123"), st.booleans()),
    st.builds(NextFlow, times, flows),
    st.builds(NextFlowFailed, times, st.just(ErrorCode.CONNECTIVITY), st.just("")),
)
starts: list[Callable[[], Driven]] = [
    lambda: Driven(CALL, ASK, OTHER),
    lambda: Driven(CALL, OTHER, Say("x", VOICE)),
    lambda: Driven(caller=CALLER),
]


@given(st.sampled_from(starts), st.lists(happenings, max_size=20))
def test_whatever_happens_a_session_ends_once_dials_no_leg_twice_and_leaves_none_up(
    start: Callable[[], Driven], events: list[Event]
) -> None:
    call = start()
    call.take(Started(0.0), *events)
    at = 1_000.0
    while not call.session.finished and at < 200_000.0:  # time passes, and nothing more comes from below
        at += 100.0
        call.take(Tick(at), NextFlow(at, None))
    assert len([command for command in call.commands if isinstance(command, Finish)]) == 1
    dialled = [command.leg_id for command in call.commands if isinstance(command, Dial)]
    assert len(dialled) == len(set(dialled))
    assert all(leg.over for leg in call.session.legs)


def test_a_caller_who_may_not_be_connected_was_refused_by_us_and_nobody_was_dialled() -> None:  # §5.4 "ERROR NULL"
    call = Driven(caller=CALLER, rules=SessionRules(destinations=("+65",)))
    call.take(Started(0.0))
    call.take(NextFlow(0.2, Callflow((MakeCall("+6568332048", "+14155550100"),), "request-2")))
    call.take(NotAnswered(0.3, A, CallStatus.CANCELED, 480))
    assert not any(isinstance(command, (Dial, PickUp)) for command in call.commands)
    assert [leg.status for leg in call.summary.legs] == [CallStatus.ERROR]
    assert call.summary.error is not None
    assert call.summary.error.code is ErrorCode.NO_COVERAGE
