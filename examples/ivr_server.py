"""A telephone menu of two levels: the server that callwright asks what to do next, with Python's own library only.

    python examples/ivr_server.py my-development-key --call +6512345678    # call somebody and lead through the menu
    python examples/ivr_server.py my-development-key                       # wait for people who call your number

Every question carries the `clientActionId` of our last answer, so the server remembers nothing between two questions.
"""

import argparse
import json
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

VOICE = "en-GB-LibbyNeural"


def say(text: str) -> dict[str, Any]:
    return {"action": "say", "params": {"text": text, "voiceProfile": VOICE}}


def ask(text: str, most_digits: int) -> dict[str, Any]:
    wanted = {"promptMessage": text, "voiceProfile": VOICE, "minDigits": 1, "maxDigits": most_digits, "noOfTries": 2}
    return {"action": "sayAndCapture", "params": {**wanted, "digitTimeout": 3000, "overallTimeout": 10000}}


HANGUP = {"action": "hangup"}
MENU = ask("For your order press 1, for our opening hours press 2.", 1)
ORDER = ask("Your order number, then hash.", 8)


def reply_to(question: dict[str, Any]) -> dict[str, Any]:
    """What to do next, by where in the menu the caller is."""
    keys = (question.get("eventData") or {}).get("dtmf")
    if question["callStatus"] == "CALL_RECEIVED":
        return {"clientActionId": "menu", "callflow": [MENU]}
    match question.get("clientActionId"), keys:
        case _, None:
            return {"callflow": [say("We did not hear you."), HANGUP]}
        case "menu", "1":
            return {"clientActionId": "order", "callflow": [ORDER]}
        case "menu", "2":
            return {"callflow": [say("We are open from nine to five."), HANGUP]}
        case "order", number:
            return {"callflow": [say(f"Order {' '.join(number)} is on its way."), HANGUP]}
        case _:
            return {"clientActionId": "menu", "callflow": [say("There is no such choice."), MENU]}


class Receiver(BaseHTTPRequestHandler):
    """Takes questions (VCA) and, at the end of each call, its summary (VSS)."""

    def do_POST(self) -> None:
        """Answer at once: the caller is waiting."""
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload, reply = event["payload"], {}
        if event["eventType"] == "CALL_ACTION":
            reply = reply_to(payload)
            keys = (payload.get("eventData") or {}).get("dtmf")
            print(f"{payload['callStatus']} {keys or ''} → {reply['callflow'][0]['action']}", flush=True)
        else:
            print(f"{payload['sessionStatus']}: {payload['sessionId']}", flush=True)
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep the terminal quiet."""


def main() -> None:
    """Register both webhooks, perhaps call somebody, serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key")
    parser.add_argument("--call", metavar="NUMBER")
    parser.add_argument("--sub-account", default="riders_hq")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    arguments = parser.parse_args()

    def post(path: str, body: dict[str, Any]) -> None:
        url = f"{arguments.url}/api/v1/subaccounts/{arguments.sub_account}{path}"
        headers = {"Authorization": f"Bearer {arguments.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - http by choice
        urllib.request.urlopen(request).close()  # noqa: S310 - likewise

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    serving = Thread(target=server.serve_forever)
    serving.start()
    for kind in ("VCA", "VSS"):
        post("/webhooks", {"type": kind, "url": f"http://127.0.0.1:{server.server_port}/"})
    print("ready", flush=True)
    if arguments.call:
        call = {"action": "makeCall", "params": {"source": "+6512341234", "destination": arguments.call}}
        post("/callflows", {"callflow": [call, MENU], "clientActionId": "menu"})
    try:
        serving.join()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
