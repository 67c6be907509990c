"""Killed in the middle of committing, a process has lost nothing that it acknowledged."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from callwright.storage.database import FolderLock
from callwright.storage.records import DeliveryState, SessionState
from callwright.storage.store import Store

CHILD = """
import asyncio, itertools, os, sys
from callwright.callflow.plan import Callflow, HangUp, MakeCall
from callwright.callflow.outcome import CallStatus
from callwright.callflow.summary import SessionSummary
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace

flow = Callflow((MakeCall("+6512345678", "+6587654321"), HangUp()), "request")
numbers = itertools.count()

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

async def caller(store):
    for number in numbers:
        session = f"s{number}"
        await store.accept_session(session, "riders_hq", flow, 1.0)
        say("accepted", session)
        await store.record_dial_intent(session, f"leg-{number}", f"{number}@192.0.2.1", "carrier", 2.0)
        say("dialled", session)
        summary = SessionSummary(session, "riders_hq", CallStatus.COMPLETED, 1.0, 3.0, "HANGUP", ())
        await store.finish_session(summary, session.encode(), Trace(session), 3.0)
        say("finished", session)

async def main():
    store = await Store.open(sys.argv[1])
    await store.ensure_sub_account("riders_hq")
    await asyncio.gather(*(caller(store) for _ in range(20)))

asyncio.run(main())
"""


def killed_after(url: str, lines: int) -> dict[str, set[str]]:
    """Run a child that acknowledges on its standard output, kill -9 it after `lines`, and return what it said."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.read().splitlines(keepends=True)  # acknowledged before it died, read after
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    acknowledged: dict[str, set[str]] = {"accepted": set(), "dialled": set(), "finished": set()}
    for line in said:
        if line.endswith(b"\n"):
            what, session = line.decode().split()
            acknowledged[what].add(session)
    return acknowledged


@pytest.mark.parametrize("lines", [1, 137, 700])
async def test_what_was_acknowledged_before_a_kill_is_there(lines: int, database: Path) -> None:
    url = f"sqlite:///{database}"
    acknowledged = killed_after(url, lines)
    assert acknowledged["accepted"]
    store = await Store.open(url)  # the folder is free again, although nobody let it go
    try:
        for session_id in acknowledged["accepted"]:
            session = await store.find_session(session_id)
            assert session is not None
            (delivery,) = await store.deliveries_of(session_id)
            if session_id in acknowledged["dialled"]:
                assert [intent.leg_id for intent in session.dial_intents] == [f"leg-{session_id[1:]}"]
            if session_id in acknowledged["finished"]:
                assert session.state is SessionState.FINISHED
            if session.state is SessionState.FINISHED:
                assert session.summary is not None
                assert await store.find_trace(session_id) is not None
                assert (delivery.state, delivery.body) == (DeliveryState.NO_ENDPOINT, session_id.encode())
            else:
                assert delivery.state is DeliveryState.OWED
        unfinished = {session.session_id for session in await store.unfinished_sessions()}
        assert acknowledged["accepted"] - acknowledged["finished"] >= unfinished & acknowledged["accepted"]
    finally:
        await store.close()
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


async def test_a_server_in_another_process_is_named_by_its_pid(store: Store, database: Path) -> None:
    opening = "import asyncio, sys; from callwright.storage.store import Store; asyncio.run(Store.open(sys.argv[1]))"
    command = [sys.executable, "-c", opening, f"sqlite:///{database}"]
    child = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: ASYNC221 - nothing else runs
    assert child.returncode == 1
    assert "in use by process" in child.stderr.splitlines()[-1]
    assert await store.has_sub_account("riders_hq")


HOLDER = """
import os, sys, time
from pathlib import Path
from callwright.storage.database import FolderLock
lock = FolderLock(Path(sys.argv[1]))
assert lock.acquire()
if os.fork() == 0:  # has all that its parent had, until it runs a program of its own
    time.sleep(1.0)
    os._exit(0)
os.kill(os.getpid(), 9)
"""


def test_a_dead_process_that_left_a_child_behind_for_a_moment_has_the_folder_no_more(tmp_path: Path) -> None:
    database = tmp_path / "callwright.db"
    done = subprocess.run([sys.executable, "-c", HOLDER, str(database)], check=False)
    assert done.returncode == -signal.SIGKILL
    lock = FolderLock(database)
    assert lock.acquire()
    lock.release()
