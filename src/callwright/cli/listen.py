"""`callwright listen`: receive this sub-account's webhooks here and print them, for somebody without a server."""

import argparse
import contextlib
import json
import queue
import secrets
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rich.console import Console

from callwright.cli import client
from callwright.cli.client import ApiError, Client

HELP = "receive webhooks here and print them"
MOST_BODY_BYTES = 1_048_576


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    parser.add_argument("--type", default="VSS", choices=("VSS", "VCS", "VRU", "VNU"), help="default %(default)s")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port to listen on; default any free one")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="stop after N deliveries; default go on")
    parser.add_argument("--json", action="store_true", help="one body a line, for machines")
    client.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Listen until interrupted, or until `--count` deliveries came; the webhook is taken away again either way."""
    token = f"Bearer {secrets.token_urlsafe(24)}"
    received: queue.Queue[dict[str, Any]] = queue.Queue()
    console, notes = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False)
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(Client.of(arguments))
        port = stack.enter_context(_receiving(arguments.port, token, received))
        stack.enter_context(_interrupted_by_sigterm())
        stack.enter_context(_registration(api, arguments, f"http://127.0.0.1:{port}/", token))
        notes.print(f"{arguments.type} webhooks of {arguments.sub_account} arrive here. Stop with Ctrl-C.", style="dim")
        taken = 0
        while not arguments.count or taken < arguments.count:
            body = received.get()
            if arguments.json:
                console.print(json.dumps(body), markup=False)
            else:
                console.print_json(json.dumps(body))
            taken += 1
    return 0


@contextlib.contextmanager
def _receiving(port: int, token: str, received: "queue.Queue[dict[str, Any]]") -> Iterator[int]:
    """A server for webhooks on `port` (0: any); the port it has."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _receiver(token, received))
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not from 0 to 65535"
        raise ApiError(f"port {port} cannot be listened on: {why} (--port)") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _registration(api: Client, arguments: argparse.Namespace, url: str, token: str) -> Iterator[None]:
    """Be the sub-account's webhook for a while; never in place of another one."""
    before = _registered(api, arguments.type)
    if before is not None:
        raise ApiError(
            f"a {arguments.type} webhook is registered already ({before}); delete it first:"
            f" DELETE /api/v1/subaccounts/{arguments.sub_account}/webhooks/{arguments.type}"
        )
    api.request("POST", "/webhooks", {"type": arguments.type, "url": url, "httpAuthHeader": token})
    try:
        yield
    finally:
        api.request("DELETE", f"/webhooks/{arguments.type}")


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM is Ctrl-C here: a webhook that stays behind would be in the way of the next `listen`."""
    if threading.current_thread() is not threading.main_thread():
        yield  # whoever runs us in a thread decides about signals
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _registered(api: Client, kind: str) -> str | None:
    for webhook in api.request("GET", "/webhooks").get("webhooks", []):
        if webhook["type"] == kind:
            return str(webhook["url"])
    return None


def _receiver(token: str, received: "queue.Queue[dict[str, Any]]") -> type[BaseHTTPRequestHandler]:
    """Answers 200 to what carries our token, and hands the body on."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), MOST_BODY_BYTES)
            text = self.rfile.read(length)
            if not secrets.compare_digest(self.headers.get("Authorization", ""), token):
                self._answer(401)
                return
            try:
                body = json.loads(text)
            except ValueError:
                self._answer(400)
                return
            received.put(body)
            self._answer(200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing: what arrives is printed, and nothing else."""

    return Receiver
