"""Call somebody, and wait for the report: the whole API in one file, with nothing but Python's own library.

    CALLWRIGHT_API_KEY=my-development-key make run          # in one terminal
    python examples/call_and_wait.py my-development-key     # in another

Receives its own webhook on this machine, so it works against `callwright run`. A program of yours would have an
address that callwright can reach, and register it once.
"""

import argparse
import json
import queue
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

reports: "queue.Queue[dict[str, Any]]" = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    """Takes session summaries."""

    def do_POST(self) -> None:
        """Read the body, say 200 at once, think about it later."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        reports.put(json.loads(body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep the terminal quiet."""


def main() -> None:
    """Register the webhook, post the callflow, wait for the summary of that session."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key")
    parser.add_argument("--number", default="+6512345678")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    arguments = parser.parse_args()
    base = f"{arguments.url}/api/v1/subaccounts/riders_hq"

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {arguments.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(base + path, json.dumps(body).encode(), headers)  # noqa: S310 - http by choice
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
            document: dict[str, Any] = json.load(answer)
            return document

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    post("/webhooks", {"type": "VSS", "url": f"http://127.0.0.1:{server.server_port}/"})
    message = {"text": "Hello from Python.", "voiceProfile": "en-GB-LibbyNeural", "repetition": 1, "speed": 1}
    callflow = [
        {"action": "makeCall", "params": {"source": "+6512341234", "destination": arguments.number}},
        {"action": "say", "params": message},
        {"action": "hangup"},
    ]
    session_id = post("/callflows", {"callflow": callflow})["sessionId"]
    print(f"accepted: {session_id}")
    while True:
        payload = reports.get()["payload"]
        if payload["sessionId"] == session_id:
            break
    leg = payload["details"]["callA"]
    print(f"{payload['sessionStatus']}: {leg['destination']}, {leg['callDuration']} s")


if __name__ == "__main__":
    main()
