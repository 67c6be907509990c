"""Log lines: one grammar, nothing secret, nothing that plays tricks on a terminal."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.callflow import events
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.telemetry.log import LineHandler, clean, configure, short_id, story_line, watch_story
from callwright.telemetry.trace import FieldValue, Trace, TraceEntry

SESSION = "1f048a84-ea6d-11ee-911b-078f7290bf52"
KEY = "cw_Zm9vYmFyLWNhbmFyeS1zZWNyZXQ"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    names = ["sqlalchemy", "alembic", "httpx", "asyncio", "asyncssh"]
    levels = {name: logging.getLogger(name).level for name in names}
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
    for name in names:
        logging.getLogger(name).setLevel(levels[name])


def logged(log_format: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(level, log_format, stream)
    return stream


def fail(words: str) -> None:
    raise ValueError(words)


def without_time(line: str) -> str:
    time, _, rest = line.rstrip("\n").partition(" ")
    hours, minutes, seconds = time.split(":")
    assert 0 <= int(hours) < 24
    assert 0 <= int(minutes) < 60
    assert 0 <= int(seconds) <= 60
    return rest


def test_a_call_step_is_one_short_line() -> None:
    stream = logged("text")
    trace = Trace(SESSION)
    trace.watchers.append(watch_story(SESSION, "+6512345678"))
    trace.add(0.0, "event.Ringing", leg_id="x", early_media=False)
    trace.add(0.1, "sip.received", status=180)
    assert without_time(stream.getvalue()) == "call 1f048a84 +65••••5678 ringing"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_call_whose_id_begins_with_eight_decimal_digits_is_found_by_them(log_format: str) -> None:
    stream = logged(log_format)
    watch_story("30517264-9a1b-4c2d-8e3f-0123456789ab", "+6512345678")(TraceEntry(0.0, "event.Ringing", {}))
    said = stream.getvalue()
    assert "30517264" in said
    assert "+65••••5678 ringing" in said
    assert "12345678" not in said


def test_what_is_no_short_id_is_masked_where_a_call_is_named() -> None:
    stream = logged("text")
    logging.getLogger("callwright.call").info("ringing", extra={"call": "+6512345678"})
    assert without_time(stream.getvalue()) == "call +65••••5678 ringing"


def test_the_same_step_as_json_is_one_object() -> None:
    stream = logged("json")
    watch_story(SESSION, "+6512345678")(TraceEntry(0.0, "event.Ringing", {}))
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {"level": "info", "from": "call", "call": "1f048a84", "text": "+65••••5678 ringing"}


def test_severity_and_room_stand_before_the_words() -> None:
    stream = logged("text")
    logging.getLogger("callwright.telephony.trunk").warning("no answer from %s", "sip:192.0.2.1:5060")
    logging.getLogger("callwright.api.server").info("listening")
    first, second = stream.getvalue().splitlines()
    assert without_time(first) == "warning telephony.trunk: no answer from sip:192.0.2.1:5060"
    assert without_time(second) == "api.server: listening"


def test_libraries_join_in_from_warning_on() -> None:
    stream = logged("text")
    logging.getLogger("alembic.runtime").info("Running step %d", 77)
    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT '+6512345678'")
    assert stream.getvalue() == ""
    logging.getLogger("alembic.runtime").warning("Nothing to do.")
    assert without_time(stream.getvalue()) == "warning alembic.runtime: Nothing to do."
    stream = logged("text", "debug")
    logging.getLogger("alembic.runtime").info("Running step %d", 77)
    assert without_time(stream.getvalue()) == "alembic.runtime: Running step 77"


def test_a_traceback_stays_below_its_line() -> None:
    stream = logged("text")
    try:
        fail(f"+6512345678\n{KEY}")
    except ValueError:
        logging.getLogger("callwright.api").exception("went wrong")
    first, *rest = stream.getvalue().splitlines()
    assert without_time(first) == "error api: went wrong"
    assert rest
    assert all(line.startswith("    ") for line in rest)
    assert "5678" in stream.getvalue()
    assert "1234" not in stream.getvalue()
    assert KEY not in stream.getvalue()


def test_a_traceback_is_part_of_the_json_object() -> None:
    stream = logged("json")
    try:
        fail("boom")
    except ValueError:
        logging.getLogger("callwright.api").exception("went wrong")
    assert json.loads(stream.getvalue())["error"][-1] == "ValueError: boom"


def test_configuring_again_replaces_the_handler_and_leaves_others() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first, second = logged("text"), logged("text")
    logging.getLogger("callwright.api").warning("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    handlers = logging.getLogger().handlers
    assert other in handlers
    assert len([handler for handler in handlers if isinstance(handler, LineHandler)]) == 1


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("to +6512345678 now", "to +65••••5678 now"),
        ("sip:6512345678@192.0.2.1", "sip:+65••••5678@192.0.2.1"),
        ("<sip:+6512345678@192.0.2.1:5060>", "<sip:+65••••5678@192.0.2.1:5060>"),
        ("number=6512345678,", "number=+65••••5678,"),
        ("+999999999999999999999", "••••"),
        (f"key {KEY} used", "key cw_•••• used"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ••••"),
        ("secret whsec_MfKQ9r8GKYqrTwjU", "secret whsec_••••"),
        ("one\r\ntwo\x1b[31m", r"one\r\ntwo\x1b[31m"),
        ("a\u202eb\u2028c\x85", r"a\u202eb\u2028c\x85"),
        (f"session {SESSION} port 16384", f"session {SESSION} port 16384"),
        ("01234567-1234-1234-1234-123456789012", "01234567-1234-1234-1234-123456789012"),
        ("1.123456789 seconds", "1.123456789 seconds"),
        ("Grüße, 你好", "Grüße, 你好"),
    ],
)
def test_what_must_not_be_read_is_masked(said: str, written: str) -> None:
    assert clean(said) == written


@given(st.text())
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned.splitlines()) <= 1
    cleaned.encode()


@given(st.integers(10**9, 10**15 - 1), st.sampled_from(["{}", "+{}", "to {}.", "sip:{}@x", "'{}'", "({})"]))
def test_no_full_number_gets_through(number: int, form: str) -> None:
    assert str(number) not in clean(form.format(number))


STEPS: list[tuple[str, dict[str, FieldValue], str | None]] = [
    ("session.accepted", {}, "accepted"),
    ("event.Started", {}, None),
    ("event.Tick", {}, None),
    ("event.PromptReady", {"prompt_id": "p", "duration_seconds": 2.345}, "message ready, 2.3 s"),
    ("event.PromptFailed", {"error": -2005, "reason": "secret text"}, "no message to play (error -2005)"),
    ("command.Dial", {"destination": "+6512345678"}, "dialling"),
    ("command.Dial", {"trunk": "first"}, "dialling over trunk first"),
    ("event.Ringing", {"early_media": True}, "ringing, with early media"),
    ("event.Answered", {"codec": "PCMU"}, "answered (PCMU)"),
    ("event.NotAnswered", {"status": "BUSY", "sip_code": 486, "reason": "Busy Here"}, "busy (486 Busy Here)"),
    ("event.NotAnswered", {"status": "NO_ANSWER", "sip_code": None, "reason": ""}, "no answer"),
    ("event.NotAnswered", {"status": "FAILED", "reason": "a\r\nb"}, r"failed (a\r\nb)"),
    ("event.PlaybackStarted", {}, "playing the message"),
    ("event.PlaybackFinished", {"completed": True}, "message played"),
    ("event.PlaybackFinished", {"completed": False}, "message cut short"),
    ("event.DigitPressed", {"digit": "7"}, "a key was pressed"),
    ("event.HungUp", {"by": "us"}, "hung up by us"),
    ("event.HungUp", {"by": "them"}, "hung up by the callee"),
    ("event.Stopped", {"reason": "secret text"}, "stopped"),
    ("session.finished", {"status": "COMPLETED"}, "finished: COMPLETED"),
    ("session.finished", {"status": "ERROR", "error": -2006}, "finished: ERROR (error -2006)"),
    (
        "webhook.attempt",
        {"type": "VSS", "url": "https://u:p@hooks.example.com/x?token=s", "http_status": 200},
        "VSS to hooks.example.com answered 200",
    ),
    ("webhook.attempt", {"type": "VSS", "url": "https://[", "error": "timeout"}, "VSS failed: timeout"),
    ("sip.sent", {}, None),
]


@pytest.mark.parametrize(("kind", "fields", "words"), STEPS)
def test_the_story_tells_what_matters_and_no_secrets(
    kind: str, fields: dict[str, FieldValue], words: str | None
) -> None:
    assert story_line(TraceEntry(0.0, kind, fields)) == words


def test_every_event_a_phone_causes_is_told() -> None:
    silent = {events.Started, events.Tick}
    for event in events.Event.__args__:
        told = story_line(TraceEntry(0.0, f"event.{event.__name__}", {}))
        assert (told is None) == (event in silent), event


@pytest.mark.parametrize("status", CallStatus)
def test_every_end_without_answer_has_words(status: CallStatus) -> None:
    told = story_line(TraceEntry(0.0, "event.NotAnswered", {"status": status}))
    assert told == status.value.lower().replace("_", " ")


@pytest.mark.parametrize("by", HungUpBy)
def test_every_way_to_hang_up_has_words(by: HungUpBy) -> None:
    assert story_line(TraceEntry(0.0, "event.HungUp", {"by": by})) not in {None, "hung up"}


def test_short_ids_are_eight_characters() -> None:
    assert short_id(SESSION) == "1f048a84"
