"""`callwright webhooks`: on the database when there is no server; a running server is asked in tests/scenario."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.programs import unused_port

from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import Callflow, HangUp
from callwright.callflow.summary import SessionSummary
from callwright.storage.records import DeliveryState, WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def change(data: Path) -> Callable[[Callable[[Store], Awaitable[Any]]], Any]:
    """Does something with the installation's store."""

    def run(work: Callable[[Store], Awaitable[Any]]) -> Any:
        data.mkdir(exist_ok=True)

        async def opened() -> Any:
            store = await Store.open(f"sqlite:///{data}/callwright.db", exclusive=False)
            await store.ensure_sub_account("riders_hq")
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(opened())

    return run


Change = Callable[[Callable[[Store], Awaitable[Any]]], Any]


@pytest.fixture
def webhooks(callwright: Command, data: Path) -> Command:
    """`callwright webhooks …`, with no server to ask."""
    data.mkdir(exist_ok=True)
    (data / "development.key").write_text("cw_" + "x" * 40)
    http = f"127.0.0.1:{unused_port()}"

    def run(*words: str) -> tuple[int, str, str]:
        return callwright("webhooks", *words, "--data", str(data), "--http", http)

    return run


async def register(store: Store, url: str = "https://hooks.example.com/vss") -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, url, None)


async def finish(store: Store) -> None:
    """A call that ended, whose summary was refused for a week."""
    await store.accept_session("s1", "riders_hq", Callflow((HangUp(),), "r"), 1.0)
    summary = SessionSummary("s1", "riders_hq", CallStatus.COMPLETED, 1.0, 2.0, "HANGUP", ())
    await store.finish_session(summary, b"{}", Trace("s1"), 1_750_000_000.0)
    (delivery,) = await store.deliveries_of("s1")
    await store.record_attempt(
        delivery.delivery_id,
        number=1,
        at=1_750_000_001.0,
        host="hooks.example.com",
        status=500,
        error=None,
        elapsed_ms=12,
        delivered=False,
        next_attempt_at=None,
    )


async def state(store: Store) -> DeliveryState:
    (delivery,) = await store.deliveries_of("s1")
    return delivery.state


class Receiver(BaseHTTPRequestHandler):
    """Takes one event, or refuses it."""

    status = 200
    received: list[tuple[bytes, dict[str, str]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((body, dict(self.headers)))
        self.send_response(self.status)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"[said]")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[Receiver]]]:
    kind = type("OneReceiver", (Receiver,), {"received": []})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", kind
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_webhook_is_listed_with_how_it_does(webhooks: Command, change: Change) -> None:
    change(register)
    change(finish)
    status, out, err = webhooks("list")
    assert status == 0
    assert "no server answers" in err
    for words in ("VSS", "https://hooks.example.com/vss", "FAILING", "2025-06-15 15:06:41 500 (12 ms)"):
        assert words in out
    (listed,) = json.loads(webhooks("list", "--json")[1])
    assert (listed["type"], listed["state"], listed["waiting"]) == ("VSS", "FAILING", 0)
    assert "whsec_" not in out + json.dumps(listed)


def test_without_any_that_is_said(webhooks: Command, change: Change) -> None:
    change(lambda store: store.ensure_sub_account("riders_hq"))
    assert webhooks("list")[1].strip() == "riders_hq has no webhooks."
    status, out, err = webhooks("show", "VSS")
    assert (status, out) == (1, "")
    assert "Resource not found" in err


def test_a_secret_is_shown_and_changed(webhooks: Command, change: Change) -> None:
    change(register)
    (before,) = json.loads(webhooks("show", "VSS", "--json")[1])["secrets"]
    assert before["secret"] in webhooks("show", "VSS")[1]
    new, old = json.loads(webhooks("rotate", "VSS", "--keep", "2", "--json")[1])["secrets"]
    assert (old["secret"], old["expiresAt"] is not None) == (before["secret"], True)
    assert new["secret"] != old["secret"]
    status, out, _ = webhooks("rotate", "VSS", "--keep", "0")
    assert status == 0
    assert out.count("whsec_") == 1
    status, _, err = webhooks("rotate", "VSS", "--keep", "200")
    assert status == 1
    assert "maximum value of 168" in err


@pytest.mark.parametrize("which", ["event", "session", "since", "ago"])
def test_events_are_sent_again(webhooks: Command, change: Change, which: str) -> None:
    change(register)
    change(finish)
    (logged,) = json.loads(webhooks("log", "--json")[1])
    assert (logged["state"], logged["attempts"][0]["httpStatus"]) == ("EXHAUSTED", 500)
    chosen = {
        "event": ("--event", logged["eventId"]),
        "session": ("--session", "s1"),
        "since": ("--since", "2025-06-15T15:06:40Z"),
        "ago": ("--since", "9999d", "--state", "EXHAUSTED", "--type", "VSS"),
    }[which]
    assert webhooks("replay", *chosen)[:2] == (0, "1 sent again.\n")
    assert change(state) is DeliveryState.DUE
    assert json.loads(webhooks("replay", *chosen[:2], "--state", "EXHAUSTED", "--json")[1])["replayed"] == 0


def test_events_without_a_webhook_wait(webhooks: Command, change: Change) -> None:
    change(finish)
    status, out, _ = webhooks("replay", "--session", "s1")
    assert (status, out.splitlines()[0]) == (0, "0 sent again.")
    assert "1 wait" in out
    assert change(state) is DeliveryState.HELD


def test_an_event_that_is_not_there_and_a_time_that_is_none_are_refused(webhooks: Command, change: Change) -> None:
    change(register)
    assert webhooks("replay", "--event", "evt_0")[0] == 1
    status, _, err = webhooks("replay", "--since", "yesterday")
    assert status == 1
    assert "2025-06-01T08:00:00Z" in err
    assert webhooks("replay")[0] == 2


def test_the_log_is_a_table_of_every_try(webhooks: Command, change: Change) -> None:
    change(register)
    change(finish)
    status, out, _ = webhooks("log", "--state", "EXHAUSTED")
    assert status == 0
    for words in ("2025-06-15 15:06:40", "evt_", "EXHAUSTED", "500 (12 ms)"):
        assert words in out


@pytest.mark.parametrize(("answers", "status"), [(200, 0), (500, 1)])
def test_a_test_event_shows_what_the_receiver_says(
    webhooks: Command, change: Change, receiver: tuple[str, type[Receiver]], answers: int, status: int
) -> None:
    url, kind = receiver
    kind.status = answers
    change(lambda store: register(store, url))
    found, out, _ = webhooks("test", "VSS")
    assert found == status
    assert f"answered {answers}" in out
    assert "[said]" in out
    ((body, headers),) = kind.received
    (secret,) = json.loads(webhooks("show", "VSS", "--json")[1])["secrets"]
    assert Webhook(secret["secret"]).verify(body, headers)["eventType"] == "TEST"
    told = json.loads(webhooks("test", "VSS", "--json")[1])
    assert (told["delivered"], told["httpStatus"]) == (answers == 200, answers)
