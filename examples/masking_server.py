"""Number masking: two people call each other through one virtual number, and neither sees the other's.

    callwright numbers add riders_hq +6531580000
    python examples/masking_server.py my-development-key +6531580000 +6590001111 +6590002222

Whoever of the two calls the virtual number is connected with the other one; others are told so. Nothing but Python's
own library.
"""

import argparse
import json
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VOICE = "en-GB-LibbyNeural"


def reply_to(question: dict[str, Any], others: dict[str, str]) -> dict[str, Any]:
    """Connect the caller with the other party; `others` says who that is."""
    if question["callStatus"] != "CALL_RECEIVED":
        return {}  # they have talked; nothing is left to do, and that ends the call
    other = others.get(question["source"])
    if other is None:
        text = "You are not connected with anybody at the moment."
        return {"callflow": [{"action": "say", "params": {"text": text, "voiceProfile": VOICE}}, {"action": "hangup"}]}
    params = {"source": question["destination"], "destination": other}
    return {"callflow": [{"action": "makeCall", "params": params}]}


def receiver(others: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    """Answers questions about calls."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["payload"]
            reply = reply_to(question, others)
            actions = " ".join(action["action"] for action in reply.get("callflow", []))
            print(f"{question['callStatus']} → {actions or 'nothing'}", flush=True)
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keep the terminal quiet."""

    return Receiver


def main() -> None:
    """Register the webhook, serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key")
    parser.add_argument("number", help="the virtual number")
    parser.add_argument("party", nargs=2, help="who may call each other through it")
    parser.add_argument("--sub-account", default="riders_hq")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    arguments = parser.parse_args()
    one, other = arguments.party
    server = ThreadingHTTPServer(("127.0.0.1", 0), receiver({one: other, other: one}))
    webhook = {"type": "VCA", "url": f"http://127.0.0.1:{server.server_port}/"}
    headers = {"Authorization": f"Bearer {arguments.key}", "Content-Type": "application/json"}
    url = f"{arguments.url}/api/v1/subaccounts/{arguments.sub_account}/webhooks"
    request = urllib.request.Request(url, json.dumps(webhook).encode(), headers)  # noqa: S310 - http by choice
    urllib.request.urlopen(request).close()  # noqa: S310 - likewise
    print(f"{arguments.number} connects {one} and {other}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
