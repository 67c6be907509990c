"""Log lines: one grammar for everything the process says, callwright's own modules and the libraries below.

For people a line is the time (UTC), the severity unless it is a plain piece of information, and words:

    12:01:30 call 1f048a84 +65••••5678 ringing
    12:01:31 warning telephony.trunk: no answer to OPTIONS from sip:192.0.2.1:5060

With `json` it is one object: `at`, `level`, `from` and `text`, and `call` where the line belongs to one.

Every line passes `clean` on its way out, whoever wrote it: control characters are escaped, telephone numbers masked,
keys hidden. Message texts and digits cannot be told from other words, so nothing hands them to a log in the first
place; `story_line` names only what it knows to be harmless.
"""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TextIO
from urllib.parse import urlsplit

from callwright.numbers import masked
from callwright.telemetry.trace import FieldValue, TraceEntry, Watcher

_stories = logging.getLogger("callwright.call")

# C0, DEL and C1, the Unicode line breaks, and the marks that turn a terminal's direction of writing.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_KEY = re.compile(r"\b(cw_|whsec_)[A-Za-z0-9_\-+/=]+|(?i:(\bBearer )[A-Za-z0-9\-._~+/]+=*)")
# Seven digits or more after a plus; eight or more alone or after sip: and the like, unless they are part of a longer
# word (a UUID, a file name, a decimal fraction).
_NUMBER = re.compile(r"\+[0-9]{7,}|(?<![\w.\-])[0-9]{8,}(?![\w\-]|\.[0-9])")
_SHORT_ID = re.compile(r"[0-9a-f]{8}")
# Libraries that tell at INFO what only their own developers want to know.
_QUIETER: Final = ("sqlalchemy", "alembic", "httpx", "asyncio", "asyncssh")


# --- cleaning --------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """`text` fit for a log: one line, no full telephone number, no key."""
    text = _KEY.sub(lambda found: f"{found[1] or found[2]}••••", text)
    text = _NUMBER.sub(lambda found: masked(found[0]), text)
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    code = ord(found[0])
    return short.get(found[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


# --- lines -----------------------------------------------------------------------------------------------------------


def _origin(record: logging.LogRecord) -> str:
    """The room that speaks: `telephony.trunk`, `asyncssh.logging`."""
    return record.name.removeprefix("callwright.")


def _call(record: logging.LogRecord) -> str:
    """The call that a line belongs to; empty when it belongs to none.

    One short id in 43 is made of decimal digits alone. It is no telephone number, and people look for it.
    """
    call = str(getattr(record, "call", None) or "")
    return call if _SHORT_ID.fullmatch(call) else clean(call)


def _error_lines(record: logging.LogRecord) -> list[str]:
    """The traceback of a record, cleaned line by line."""
    if not record.exc_info or record.exc_info[1] is None:
        return []
    lines = "".join(traceback.format_exception(record.exc_info[1])).splitlines()
    return [clean(line) for line in lines]


@lru_cache(maxsize=2)
def _time_of_day(second: int) -> str:
    """HH:MM:SS in UTC, made once a second."""
    return datetime.fromtimestamp(second, UTC).strftime("%H:%M:%S")


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback's lines indented below it."""
        at = _time_of_day(int(record.created))
        plain = record.levelno == logging.INFO and record.name == _stories.name
        severity = "" if record.levelno == logging.INFO else f"{record.levelname.lower()} "
        origin = "" if plain else f"{clean(_origin(record))}: "
        call = _call(record)
        who = f"call {call} " if call else ""
        line = f"{at} {severity}{origin}{who}{clean(record.getMessage())}"
        return "\n    ".join([line, *_error_lines(record)])


class JsonFormatter(logging.Formatter):
    """Lines for machines: one JSON object each."""

    def format(self, record: logging.LogRecord) -> str:
        """The object; `error` holds a traceback's lines."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        line: dict[str, object] = {"at": at, "level": record.levelname.lower(), "from": clean(_origin(record))}
        call = _call(record)
        if call:
            line["call"] = call
        line["text"] = clean(record.getMessage())
        error = _error_lines(record)
        if error:
            line["error"] = error
        return json.dumps(line, ensure_ascii=False)


class LineHandler(logging.StreamHandler[TextIO]):
    """Where lines go; a class of its own so that `configure` can tell its handler from others'."""


def configure(level: str, log_format: str, stream: TextIO | None = None) -> LineHandler:
    """Send all logging of the process to `stream` (standard error) in one grammar.

    `level` is debug, info, warning or error; `log_format` is text or json. Calling it again replaces what it set up
    before; handlers of others stay. Libraries speak one level up: at info they are heard from warning on.
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line says them
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, LineHandler)]:
        root.removeHandler(old)
    handler = LineHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root.addHandler(handler)
    severity = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(severity)
    for name in _QUIETER:
        logging.getLogger(name).setLevel(severity if severity != logging.INFO else logging.WARNING)
    return handler


# --- the story of a call ---------------------------------------------------------------------------------------------


def short_id(session_id: str) -> str:
    """The first eight characters, as people quote a session."""
    return session_id[:8]


def watch_story(session_id: str, destination: str) -> Watcher:
    """A trace's watcher that logs each step of one call."""
    call, number = short_id(session_id), masked(destination)

    def watch(entry: TraceEntry) -> None:
        if entry.kind not in _STORIES or not _stories.isEnabledFor(logging.INFO):
            return
        words = _STORIES[entry.kind](entry.fields)  # cleaned with the whole line
        _stories.info("%s %s", number, words, extra={"call": call})

    return watch


def story_line(entry: TraceEntry) -> str | None:
    """What a trace entry means to somebody who watches the call; None when it is a detail. Fit for a terminal."""
    tell = _STORIES.get(entry.kind)
    return None if tell is None else clean(tell(entry.fields))


Fields = dict[str, FieldValue]


def _accepted(fields: Fields) -> str:
    return "calls us" if fields.get("incoming") else "accepted"


def _dialling(fields: Fields) -> str:
    trunk = fields.get("trunk")
    return f"dialling over trunk {trunk}" if trunk else "dialling"


def _ringing(fields: Fields) -> str:
    return "ringing, with early media" if fields.get("early_media") else "ringing"


def _answered(fields: Fields) -> str:
    codec = fields.get("codec")
    return f"answered ({codec})" if codec else "answered"


def _not_answered(fields: Fields) -> str:
    words = str(fields.get("status") or "not answered").lower().replace("_", " ")
    sip_code, reason = fields.get("sip_code"), fields.get("reason")
    why = " ".join(str(part) for part in (sip_code, reason) if part)
    return f"{words} ({why})" if why else words


def _prompt_ready(fields: Fields) -> str:
    seconds = fields.get("duration_seconds")
    return f"message ready, {seconds:.1f} s" if isinstance(seconds, int | float) else "message ready"


def _prompt_failed(fields: Fields) -> str:
    return f"no message to play (error {fields.get('error')})"


def _playback_started(_: Fields) -> str:
    return "playing the message"


def _playback_finished(fields: Fields) -> str:
    return "message cut short" if fields.get("completed") is False else "message played"


def _digit_pressed(_: Fields) -> str:
    return "a key was pressed"  # which one is the customer's secret: it may be a PIN


def _next_flow(fields: Fields) -> str:
    return f"the customer says: {fields['callflow']}" if fields.get("callflow") else "the customer says: nothing more"


def _next_flow_failed(fields: Fields) -> str:
    return f"the customer could not be asked: {fields.get('reason')} (error {fields.get('error')})"


_HUNG_UP = {"us": "hung up by us", "them": "hung up by the callee", "network": "lost"}


def _hung_up(fields: Fields) -> str:
    return _HUNG_UP.get(str(fields.get("by")), "hung up")


def _stopped(_: Fields) -> str:
    return "stopped"


def _finished(fields: Fields) -> str:
    status, error = fields.get("status"), fields.get("error")
    return f"finished: {status or 'ended'}" + (f" (error {error})" if error else "")


def _webhook_attempt(fields: Fields) -> str:
    """Type, host and outcome; the rest of the URL may hold secrets."""
    kind = fields.get("type") or "webhook"
    host = _host(fields.get("url"))
    status, error = fields.get("http_status") or fields.get("status"), fields.get("error")
    outcome = f"answered {status}" if status else f"failed: {error}" if error else "sent"
    return f"{kind} to {host} {outcome}" if host else f"{kind} {outcome}"


def _host(url: FieldValue) -> str:
    if not isinstance(url, str):
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


_STORIES = {
    "session.accepted": _accepted,
    "command.Dial": _dialling,
    "event.Ringing": _ringing,
    "event.Answered": _answered,
    "event.NotAnswered": _not_answered,
    "event.PromptReady": _prompt_ready,
    "event.PromptFailed": _prompt_failed,
    "event.PlaybackStarted": _playback_started,
    "event.PlaybackFinished": _playback_finished,
    "event.DigitPressed": _digit_pressed,
    "event.NextFlow": _next_flow,
    "event.NextFlowFailed": _next_flow_failed,
    "event.HungUp": _hung_up,
    "event.Stopped": _stopped,
    "session.finished": _finished,
    "webhook.attempt": _webhook_attempt,
}
