"""Whole sessions, one story each (contract §2.1, §5.4), driven without clock or network."""

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.callflow.commands import AskNext, Command, Dial, Finish, HangUp, Play, PrepareFile, PrepareSpeech, Tell
from callwright.callflow.events import (
    Answered,
    Event,
    HungUp,
    NextFlow,
    NotAnswered,
    PlaybackFinished,
    PlaybackStarted,
    PromptFailed,
    PromptReady,
    Ringing,
    Started,
    Stopped,
    Tick,
)
from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.callflow.plan import Action, Callflow, MakeCall, PlayFile, Say
from callwright.callflow.plan import HangUp as HangUpAction
from callwright.callflow.session import FAREWELL_SECONDS, Session, SessionRules
from callwright.callflow.summary import ErrorDetails, SessionSummary
from callwright.errors import ErrorCode

LEG = "leg-1"
CALL = MakeCall("+6512341234", "+6512345678")
HELLO = Say("Hello", "en-IE-EmilyNeural", repetition=2)
FILE = PlayFile("https://example.com/wave.mp3")
START = Started(0.0)
READY = PromptReady(0.1, "1.1", 3.0)
QUALITY = CallQuality(4.4, 0.0, 2)
WE_HUNG_UP = HungUp(12.0, LEG, HungUpBy.US, quality=QUALITY)


class Driven:
    """A session under test: `take` hands events in and remembers every command."""

    def __init__(self, session: Session) -> None:
        self.session = session
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
        finishes = [command for command in self.commands if isinstance(command, Finish)]
        assert len(finishes) == 1
        return finishes[0].summary

    @property
    def error(self) -> ErrorDetails:
        assert self.summary.error is not None
        return self.summary.error


Drive = Callable[..., Driven]


@pytest.fixture
def drive() -> Drive:
    def make(
        *actions: Action,
        valid_until: float | None = None,
        rules: SessionRules | None = None,
    ) -> Driven:
        ids = (f"leg-{number}" for number in count(1))
        flow = Callflow(
            actions or (CALL, HELLO, HangUpAction()), "request-1", valid_until=valid_until, client_request_id="mine-1"
        )
        return Driven(Session("session-1", "riders_hq", flow, rules or SessionRules(), lambda: next(ids)))

    return make


def ringing(at: float = 1.0) -> Ringing:
    return Ringing(at, LEG)


def answered(at: float = 2.0) -> Answered:
    return Answered(at, LEG, "PCMU")


def played(at: float = 11.0, playback: str = "1", *, completed: bool = True) -> PlaybackFinished:
    return PlaybackFinished(at, LEG, playback, completed)


def test_a_message_is_prepared_while_it_rings_played_and_hung_up(drive: Drive) -> None:
    call = drive(CALL, HELLO, HangUpAction())
    assert call.take(START) == [PrepareSpeech("1.1", "Hello", "en-IE-EmilyNeural", 1.0), Dial(LEG, *numbers())]
    assert call.take(READY, ringing()) == []
    assert call.take(answered()) == [Play(LEG, "1", "1.1", 2)]
    assert call.take(PlaybackStarted(2.1, LEG, "1")) == []
    assert call.take(played()) == [HangUp(LEG)]
    assert isinstance(call.take(WE_HUNG_UP)[0], Finish)
    summary = call.summary
    assert (summary.status, summary.last_action, summary.error) == (CallStatus.COMPLETED, "HANGUP", None)
    assert (summary.client_request_id, summary.started_at, summary.ended_at) == ("mine-1", 0.0, 12.0)
    [leg] = summary.legs
    assert (leg.status, leg.duration_seconds, leg.codec, leg.quality) == (CallStatus.COMPLETED, 10, "PCMU", QUALITY)
    assert leg.hung_up_by is HungUpBy.US
    assert call.session.deadline is None
    assert call.session.finished


def numbers() -> tuple[str, str]:
    return CALL.source, CALL.destination


def test_speech_that_is_late_is_waited_for_after_the_answer(drive: Drive) -> None:
    call = drive(CALL, HELLO, HangUpAction())
    assert call.take(START, ringing(), answered())[-1] == Dial(LEG, *numbers())
    assert call.take(PromptReady(2.5, "1.1", 3.0)) == [Play(LEG, "1", "1.1", 2)]


def test_several_messages_are_played_in_order(drive: Drive) -> None:
    call = drive(CALL, HELLO, Say("Bye", "en-US-ZiraRUS"), HangUpAction())
    call.take(START, READY, PromptReady(0.1, "1.2", 1.0), answered())
    assert call.take(played()) == [Play(LEG, "2", "1.2", 1)]
    assert call.take(played(playback="2")) == [HangUp(LEG)]


def test_a_file_is_fetched_before_anybody_is_dialled(drive: Drive) -> None:
    call = drive(CALL, FILE, HangUpAction())
    assert call.take(START) == [PrepareFile("1.1", FILE.file_url)]
    assert call.take(READY) == [Dial(LEG, *numbers())]


def test_a_flow_without_hangup_is_hung_up_when_nobody_says_what_is_next(drive: Drive) -> None:
    call = drive(CALL, HELLO)
    call.take(START, READY, answered())
    assert call.take(played()) == [
        AskNext(LEG, "leg-2", received=False, captured=None, client_action_id=None, duration_seconds=9)
    ]
    assert call.take(NextFlow(11.5, None)) == [HangUp(LEG)]
    call.take(WE_HUNG_UP)
    assert (call.summary.status, call.summary.last_action) == (CallStatus.COMPLETED, "SAY")


@pytest.mark.parametrize(
    ("status", "sip_code"),
    [(CallStatus.BUSY, 486), (CallStatus.NO_ANSWER, 480), (CallStatus.FAILED, 404), (CallStatus.FAILED, 503)],
)
def test_a_call_that_is_not_answered_ends_as_its_leg(drive: Drive, status: CallStatus, sip_code: int) -> None:
    call = drive()
    call.take(START, READY, ringing())
    call.take(NotAnswered(3.0, LEG, status, sip_code, "the phrase"))
    [leg] = call.summary.legs
    assert (call.summary.status, leg.status, leg.sip_code, leg.reason) == (status, status, sip_code, "the phrase")
    assert (call.summary.last_action, leg.duration_seconds, leg.quality) == ("MAKE_CALL", 0, None)


def test_ringing_too_long_is_no_answer(drive: Drive) -> None:
    call = drive(rules=SessionRules(ring_timeout_seconds=60))
    call.take(START, READY, ringing())
    assert call.session.deadline == 60.0
    assert call.take(Tick(59.0)) == []
    assert call.take(Tick(60.0)) == [HangUp(LEG)]
    call.take(NotAnswered(60.2, LEG, CallStatus.CANCELED, 487))
    assert call.summary.status is CallStatus.NO_ANSWER


def test_a_callee_who_hangs_up_mid_message_still_completed_the_call(drive: Drive) -> None:
    call = drive()
    call.take(START, READY, answered())
    call.take(HungUp(5.0, LEG, HungUpBy.THEM, quality=QUALITY))
    assert (call.summary.status, call.summary.last_action) == (CallStatus.COMPLETED, "SAY")
    assert call.summary.legs[0].hung_up_by is HungUpBy.THEM


def test_speech_that_fails_while_it_rings_cancels_the_call(drive: Drive) -> None:
    call = drive()
    call.take(START, ringing())
    assert call.take(PromptFailed(1.5, "1.1", ErrorCode.SPEECH_FAILED, "no voice")) == [HangUp(LEG)]
    call.take(NotAnswered(1.6, LEG, CallStatus.CANCELED, 487))
    summary = call.summary
    assert (summary.status, summary.legs[0].status) == (CallStatus.ERROR, CallStatus.CANCELED)
    assert (call.error.code, call.error.action, call.error.reason) == (-2005, "SAY", "no voice")


def test_a_later_message_that_fails_lets_the_one_before_it_be_heard(drive: Drive) -> None:
    call = drive(CALL, HELLO, Say("Bye", "en-US-ZiraRUS"), HangUpAction())
    call.take(START, READY, answered())
    assert call.take(PromptFailed(2.5, "1.2", ErrorCode.SPEECH_FAILED, "no voice")) == []
    assert call.take(played()) == [HangUp(LEG)]
    call.take(WE_HUNG_UP)
    assert (call.summary.status, call.error.code) == (CallStatus.ERROR, -2005)
    assert call.summary.legs[0].status is CallStatus.COMPLETED


def test_a_file_that_fails_rings_no_phone(drive: Drive) -> None:
    call = drive(CALL, FILE, HangUpAction())
    call.take(START, PromptFailed(0.5, "1.1", ErrorCode.FILE_FAILED, "404"))
    assert not [command for command in call.commands if isinstance(command, Dial)]
    summary = call.summary
    assert (summary.status, call.error.code, call.error.action) == (CallStatus.ERROR, -2006, "PLAY_FILE")
    assert (summary.legs[0].status, summary.legs[0].connected_at) == (CallStatus.ERROR, None)


def test_a_file_that_never_comes_ends_the_session(drive: Drive) -> None:
    call = drive(CALL, FILE, HangUpAction())
    call.take(START, Tick(60.0))
    assert (call.summary.status, call.error.code) == (CallStatus.ERROR, -2006)


def test_a_flow_whose_validity_passed_is_not_dialled(drive: Drive) -> None:
    call = drive(valid_until=-1.0)
    assert [type(command) for command in call.take(START)] == [Finish]
    assert (call.summary.status, call.error.code) == (CallStatus.ERROR, -2007)


def test_validity_is_judged_again_when_the_file_has_come(drive: Drive) -> None:
    call = drive(CALL, FILE, valid_until=5.0)
    call.take(START, PromptReady(6.0, "1.1", 3.0))
    assert not [command for command in call.commands if isinstance(command, Dial)]
    assert call.error.code == -2007


def test_a_destination_off_the_list_is_no_coverage(drive: Drive) -> None:
    call = drive(rules=SessionRules(destinations=("+44",)))
    call.take(START)
    assert (call.summary.status, call.error.code) == (CallStatus.ERROR, -2004)
    assert call.summary.legs[0].status is CallStatus.ERROR


def test_telephony_that_cannot_dial_is_an_error_of_ours(drive: Drive) -> None:
    call = drive()
    call.take(START, NotAnswered(0.1, LEG, CallStatus.ERROR, reason="no port", error=ErrorCode.TRUNK_CAPACITY))
    assert (call.summary.status, call.error.code) == (CallStatus.ERROR, -2010)


@pytest.mark.parametrize(("error", "status"), [(None, CallStatus.COMPLETED), (ErrorCode.INTERNAL, CallStatus.ERROR)])
def test_a_session_that_is_told_to_stop_hangs_up_first(
    drive: Drive, error: ErrorCode | None, status: CallStatus
) -> None:
    call = drive()
    call.take(START, READY, answered())
    assert call.take(Stopped(4.0, "asked for", error)) == [HangUp(LEG)]
    assert call.take(Stopped(4.5, "asked again", error)) == []
    call.take(WE_HUNG_UP)
    assert call.summary.status is status


def test_a_session_stopped_before_it_dialled_has_a_canceled_leg(drive: Drive) -> None:
    call = drive(CALL, FILE)
    call.take(START, Stopped(0.2, "asked for"))
    assert (call.summary.status, len(call.summary.legs)) == (CallStatus.CANCELED, 1)


def test_telephony_that_never_reports_an_end_cannot_keep_a_session_alive(drive: Drive) -> None:
    call = drive()
    call.take(START, READY, answered(), played())
    assert call.session.deadline == 11.0 + FAREWELL_SECONDS
    call.take(Tick(11.0 + FAREWELL_SECONDS))
    assert call.summary.legs[0].hung_up_by is HungUpBy.NETWORK


def test_a_playback_whose_end_is_lost_ends_the_session(drive: Drive) -> None:
    call = drive()
    call.take(START, READY, answered())
    assert call.take(Tick(call.session.deadline or 0.0)) == [HangUp(LEG)]
    call.take(WE_HUNG_UP)
    assert call.error.code == -2001


def test_events_before_the_start_and_after_the_end_change_nothing(drive: Drive) -> None:
    call = drive()
    assert call.take(ringing()) == []
    call.take(START, NotAnswered(1.0, LEG, CallStatus.BUSY, 486))
    assert call.take(answered(), Tick(99.0), Stopped(99.0, "late"), START) == []


times = st.floats(0, 200, allow_nan=False)
events: st.SearchStrategy[list[Event]] = st.lists(
    st.one_of(
        st.builds(Tick, times),
        st.builds(Ringing, times, st.just(LEG)),
        st.builds(Answered, times, st.just(LEG), st.just("PCMU")),
        st.builds(NotAnswered, times, st.just(LEG), st.sampled_from(CallStatus)),
        st.builds(HungUp, times, st.just(LEG), st.sampled_from(HungUpBy)),
        st.builds(PromptReady, times, st.sampled_from(["1.1", "1.2"]), st.just(1.0)),
        st.builds(PromptFailed, times, st.sampled_from(["1.1", "1.2"]), st.just(ErrorCode.SPEECH_FAILED), st.just("")),
        st.builds(PlaybackFinished, times, st.just(LEG), st.sampled_from(["1", "2"]), st.booleans()),
        st.builds(Stopped, times, st.just("stop")),
    ),
    max_size=12,
)


@given(events)
def test_whatever_happens_a_session_finishes_once_and_leaves_nothing_ringing(happenings: list[Event]) -> None:
    flow = Callflow((CALL, HELLO, FILE, HangUpAction()), "request-1")
    session = Session("session-1", "riders_hq", flow, SessionRules(), lambda: LEG)
    commands: list[Command] = session.handle(START)
    for event in happenings:
        commands += session.handle(event)
    for _ in range(6):  # time passes and nothing more comes from below
        if session.finished:
            break
        commands += session.handle(Tick(session.deadline if session.deadline is not None else 1_000.0))
        commands += session.handle(Stopped(1_000.0, "end of the test"))
    assert [type(command) for command in commands].count(Finish) == 1
    assert isinstance(commands[-1], Finish)
    dialled = [command for command in commands if isinstance(command, Dial)]
    assert len(dialled) <= 1
    assert commands[-1].summary.legs
