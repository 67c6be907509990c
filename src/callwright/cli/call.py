"""`callwright call`: one voice message from the command line, followed live."""

import argparse
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from callwright.cli import client
from callwright.cli.client import ApiError, Client, StreamEvent
from callwright.errors import SettingsError

HELP = "call a number, speak a text or play a file, and follow the call"

EXIT_STATUS = {"COMPLETED": 0, "BUSY": 3, "NO_ANSWER": 4, "FAILED": 5, "ERROR": 5, "CANCELED": 6}
DEVELOPMENT_SOURCE = "+6512341234"
DEFAULT_VOICE = "en-IE-EmilyNeural"
STATUS_STYLE = {"COMPLETED": "green", "BUSY": "yellow", "NO_ANSWER": "yellow", "CANCELED": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    parser.epilog = (
        "Exit status: 0 completed, 3 busy, 4 no answer, 5 failed, 6 canceled, 130 interrupted (and hung up);"
        " 1 and 2: nobody was called."
    )
    parser.add_argument("destination", metavar="NUMBER", help="who is called, with country code: +6512345678")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="what is spoken")
    parser.add_argument("--file", metavar="PATH_OR_URL", help="play this mp3 or wav instead of speaking a text")
    parser.add_argument("--source", default=DEVELOPMENT_SOURCE, metavar="NUMBER", help="caller id; default %(default)s")
    parser.add_argument("--voice", default=DEFAULT_VOICE, metavar="PROFILE", help="voiceProfile; default %(default)s")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="how often it is heard, 1 to 3")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="0.5 to 2.0")
    parser.add_argument("--json", action="store_true", help="print one JSON object, the session with its summary")
    client.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    if (arguments.text is None) == (arguments.file is None):
        raise SettingsError("give either a TEXT to speak or a --file to play")
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(Client.of(arguments))
        message = _message(arguments, stack)
        callflow = [
            {"action": "makeCall", "params": {"source": arguments.source, "destination": arguments.destination}},
            message,
            {"action": "hangup"},
        ]
        accepted = api.request("POST", "/callflows", {"callflow": callflow})
        session_id = str(accepted["sessionId"])
        progress = stack.enter_context(_Follower(arguments.repeat, arguments.destination, quiet=arguments.json))
        try:
            for event in api.events(session_id):
                progress.show(event)
        except KeyboardInterrupt:
            _hang_up(api, session_id)
            raise
        session = api.request("GET", f"/sessions/{session_id}")
    _conclude(session, as_json=arguments.json)
    return EXIT_STATUS.get(session["summary"]["sessionStatus"], 1)


def _hang_up(api: Client, session_id: str) -> None:
    """End the call that nobody waits for any more."""
    try:
        api.request("DELETE", f"/sessions/{session_id}")
    except ApiError:
        words = "interrupted; the call has ended"
    else:
        words = "interrupted; the call is hung up"
    Console(stderr=True, highlight=False).print(f"callwright: {words} ({session_id})", markup=False)


def _message(arguments: argparse.Namespace, stack: contextlib.ExitStack) -> dict[str, Any]:
    if arguments.file is None:
        params = {
            "text": arguments.text,
            "voiceProfile": arguments.voice,
            "repetition": arguments.repeat,
            "speed": arguments.speed,
        }
        return {"action": "say", "params": params}
    url = arguments.file
    if not url.lower().startswith(("http://", "https://")):
        url = stack.enter_context(_served(Path(arguments.file)))
    return {"action": "playFile", "params": {"fileUrl": url, "repetition": arguments.repeat}}


@contextlib.contextmanager
def _served(path: Path) -> Iterator[str]:
    """A local file at a loopback URL while the call lasts: the API takes URLs only (contract §2.4)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"--file {path}: {error.strerror}") from error

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing: the progress display owns the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{quote(path.name)}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _PlayedBar(BarColumn):
    """A bar that runs by time: the server says when a message starts and ends, not when each packet leaves."""

    def render(self, task: Task) -> ProgressBar:
        """The bar as it stands now."""
        if not task.fields["over"]:
            task.completed = min(task.elapsed or 0.0, task.total or 0.0)
        return super().render(task)


class _Follower:
    """Shows a call as it happens: a line for each step, a bar while the message plays."""

    def __init__(self, repetition: int, destination: str, *, quiet: bool) -> None:
        self._repetition = repetition
        self._destination = destination
        self._seconds = 0.0
        self._playing: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            _PlayedBar(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: StreamEvent) -> None:
        """One more thing happened."""
        fields = event.data.get("fields", {})
        match event.data.get("kind"):
            case "event.PromptReady":
                self._seconds = float(fields["duration_seconds"]) * self._repetition
            case "command.Dial":
                self._say(f"calling {self._destination}")
            case "event.Ringing":
                self._say("ringing")
            case "event.Answered":
                self._say(f"answered ({fields['codec']})")
            case "event.PlaybackStarted":
                self._start_bar()
            case "event.PlaybackFinished":
                self._end_bar(whole=bool(fields["completed"]))
            case "event.NotAnswered":
                words = " ".join(str(fields[key]) for key in ("sip_code", "reason") if fields.get(key))
                self._say(f"not answered: {words}")
            case "event.HungUp":
                self._say("hung up" if fields["by"] == "us" else "hung up by the callee")
            case "event.PromptFailed":
                self._say(f"the message failed: {fields['reason']}")

    def _say(self, words: str) -> None:
        if not self._progress.disable:
            self._progress.console.print(words, markup=False, highlight=False)

    def _start_bar(self) -> None:
        state = f"{self._seconds:.1f} s"
        self._playing = self._progress.add_task("playing", total=self._seconds, state=state, over=False)

    def _end_bar(self, *, whole: bool) -> None:
        task, self._playing = self._playing, None
        if task is not None:
            if whole:
                self._progress.update(task, completed=self._seconds)
            self._progress.update(task, state="played" if whole else "cut short", over=True)
            self._progress.stop_task(task)


def _conclude(session: dict[str, Any], *, as_json: bool) -> None:
    console = Console(highlight=False)
    if as_json:
        console.print_json(json.dumps(session))
        return
    summary = session["summary"]
    status, leg = summary["sessionStatus"], summary["details"]["callA"]
    table = Table(show_header=False, title="session summary", title_justify="left")
    table.add_row("session", summary["sessionId"])
    table.add_row("status", f"[{STATUS_STYLE.get(status, 'red')}]{status}[/]")
    table.add_row("from", leg["source"])
    table.add_row("to", leg["destination"])
    table.add_row("connected", f"{leg['callDuration']} s")
    quality = leg.get("callQuality")
    if quality:
        figures = f"MOS {quality['mos']}, loss {quality['packetLossRate']}, jitter {quality['jitter']} ms"
        table.add_row("quality", figures)
    error = summary.get("errorDetails")
    if error:
        table.add_row("error", f"{error['errorCode']} {error['errorMsg']}")
    console.print(table)
    console.print(f"The whole story: callwright explain {summary['sessionId']}", style="dim")
