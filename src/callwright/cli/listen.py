"""`callwright listen`: receive this sub-account's webhooks here and print them, for somebody without a server."""

import argparse
import json
import queue
import secrets
import threading
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
    """Listen until interrupted, or until `--count` deliveries came."""
    token = f"Bearer {secrets.token_urlsafe(24)}"
    received: queue.Queue[dict[str, Any]] = queue.Queue()
    try:
        server = ThreadingHTTPServer(("127.0.0.1", arguments.port), _receiver(token, received))
    except OSError as error:
        raise ApiError(f"port {arguments.port} cannot be listened on: {error.strerror} (--port)") from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    console, notes = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False)
    url = f"http://127.0.0.1:{server.server_port}/"
    with Client.of(arguments) as api:
        before = _registered(api, arguments.type)
        if before is not None:
            raise ApiError(
                f"a {arguments.type} webhook is registered already ({before}); delete it first:"
                f" DELETE /api/v1/subaccounts/{arguments.sub_account}/webhooks/{arguments.type}"
            )
        api.request("POST", "/webhooks", {"type": arguments.type, "url": url, "httpAuthHeader": token})
        notes.print(f"{arguments.type} webhooks of {arguments.sub_account} arrive here. Stop with Ctrl-C.", style="dim")
        try:
            taken = 0
            while not arguments.count or taken < arguments.count:
                body = received.get()
                if arguments.json:
                    console.print(json.dumps(body), markup=False)
                else:
                    console.print_json(json.dumps(body))
                taken += 1
        finally:
            api.request("DELETE", f"/webhooks/{arguments.type}")
            server.shutdown()
            server.server_close()
    return 0


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
