"""`callwright explain` over a real database that holds one real call."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from callwright.callflow.plan import Callflow, HangUp, MakeCall, Say
from callwright.callflow.summary import SessionSummary
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace

Command = Callable[..., tuple[int, str, str]]

CALLFLOW = Callflow(
    (MakeCall("+6512341234", "+6512345678"), Say("Hello again", "en-IE-EmilyNeural"), HangUp()), "request-1"
)
OTHER_ID = "22fd0000-0000-4000-8000-000000000000"


@pytest.fixture
def data(tmp_path: Path, call_trace: Trace, call_summary: SessionSummary) -> Path:
    """A data folder with a session that is not over, and then the finished one."""
    folder = tmp_path / "data"
    folder.mkdir()
    asyncio.run(_fill(folder, call_trace, call_summary))
    return folder


async def _fill(folder: Path, trace: Trace, summary: SessionSummary) -> None:
    store = await Store.open(f"sqlite:///{folder / 'callwright.db'}")
    await store.ensure_sub_account("riders_hq")
    await store.put_webhook("riders_hq", WebhookKind.VSS, "https://hooks.example.com/vss?secret=1", None)
    at = summary.started_at
    await store.accept_session(OTHER_ID, "riders_hq", CALLFLOW, at - 1)
    await store.accept_session(summary.session_id, "riders_hq", CALLFLOW, at)
    await store.record_dial_intent(summary.session_id, summary.legs[0].call_id, "call-1", "built-in", at)
    await store.finish_session(summary, b"{}", trace, summary.ended_at)
    (due,) = await store.due_deliveries("riders_hq", "VSS", 1)
    for number, status in ((1, 500), (2, 204)):
        await store.record_attempt(
            due.delivery_id,
            number=number,
            at=summary.ended_at + number,
            host="hooks.example.com",
            status=status,
            error=None,
            elapsed_ms=12,
            delivered=status == 204,
            next_attempt_at=None if status == 204 else summary.ended_at + 2,
        )
    await store.close()


def test_the_whole_story_is_told(callwright: Command, data: Path, call_summary: SessionSummary) -> None:
    status, out, err = callwright("explain", call_summary.session_id, "--data", str(data))
    assert (status, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[:2] == [
        f"Session {call_summary.session_id} of riders_hq",
        "COMPLETED +6512345678 answered and heard the whole message (1 s connected).",
    ]
    story = out[out.index("Story") : out.index("SIP\n")]
    for told in (
        "15:06:40.000  0.000  accepted",
        "voice: espeak-ng gmw/en+f2 stands in for en-IE-EmilyNeural, speed 1.0",
        "speech: made in 10.5 ms, 0.8 s long",
        "trunk: built-in at 127.0.0.1:50142, offering PCMU PCMA",
        "15:06:40.014  0.014  ringing",
        "answered (PCMU)",
        "message played",
        "hung up by us",
        "finished: COMPLETED",
    ):
        assert told in story
    assert "│────────────── INVITE (SDP) ──────────────▶│" in out
    figures = out[out.index("RTP") : out.index("Webhooks")]
    assert "4.4" in figures
    assert "0.42" in figures
    assert "42" in figures
    rows = [row.split("│") for row in out[out.index("Webhooks") :].splitlines() if "VSS" in row]
    assert [(row[2].strip(), row[5].strip()) for row in rows] == [("1", "500"), ("2", "204")]
    assert "secret" not in out


def test_messages_are_printed_in_full_when_asked_for(callwright: Command, data: Path) -> None:
    _, brief, _ = callwright("explain", "last", "--data", str(data))
    _, full, _ = callwright("explain", "last", "--data", str(data), "--messages")
    assert "m=audio" not in brief
    assert "m=audio" in full
    assert full.count("CSeq:") == 7


def test_everything_is_one_json_object_for_machines(
    callwright: Command, data: Path, call_summary: SessionSummary, call_trace: Trace
) -> None:
    status, out, _ = callwright("explain", "last", "--data", str(data), "--json")
    document = json.loads(out)
    assert status == 0
    assert document["sessionId"] == call_summary.session_id
    assert document["state"] == "FINISHED"
    assert document["verdict"].startswith("+6512345678 answered")
    assert document["summary"]["sessionStatus"] == "COMPLETED"
    assert document["legs"][0]["codec"] == "PCMU"
    assert [entry["kind"] for entry in document["trace"]] == [entry.kind for entry in call_trace.entries]
    (delivery,) = document["deliveries"]
    assert delivery["state"] == "DELIVERED"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 204]


def test_the_beginning_of_an_id_is_enough_when_it_is_one_sessions_only(callwright: Command, data: Path) -> None:
    assert callwright("explain", "22fd42cf", "--data", str(data))[0] == 0
    status, _, err = callwright("explain", "22fd", "--data", str(data))
    assert status == 1
    assert "'22fd' is the beginning of 2 sessions; give more of it" in err


def test_a_session_under_way_is_said_to_be_so(callwright: Command, data: Path) -> None:
    status, out, _ = callwright("explain", OTHER_ID, "--data", str(data))
    assert status == 0
    assert "Accepted at 15:06:39.000 and not over yet (ACCEPTED)" in out


def test_an_unknown_session_names_the_folder_that_was_looked_in(callwright: Command, data: Path) -> None:
    status, out, err = callwright("explain", "deadbeef", "--data", str(data))
    assert (status, out) == (1, "")
    assert f"no session 'deadbeef' is known in {data} (--data)" in err


def test_the_latest_of_no_sessions_is_none(callwright: Command, tmp_path: Path) -> None:
    status, _, err = callwright("explain", "last", "--data", str(tmp_path / "empty"))
    assert status == 1
    assert "no session 'last'" in err
