"""A finished call as it really was, and the command line to look at it with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callwright import cli
from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.telemetry.trace import Trace

BEGAN = 1_750_000_000.0
SESSION_ID = "22fd42cf-c025-4d5d-b2f5-d7a3432aa039"
LEG_ID = "15bab70c-2133-476e-9e16-6626d1e90b25"

Command = Callable[..., tuple[int, str, str]]
"""Runs `callwright WORDS…`; gives its exit status, standard output and standard error."""


@pytest.fixture
def call_trace() -> Trace:
    """Everything that was written down of one call: `callwright call +6512345678 'Hello again'`."""
    recorded: list[dict[str, Any]] = json.loads((Path(__file__).parent / "completed_call.json").read_text())
    trace = Trace(SESSION_ID)
    for entry in recorded:
        trace.add(entry.pop("at"), entry.pop("kind"), **entry)
    return trace


@pytest.fixture
def call_summary() -> SessionSummary:
    """That call's terminal record."""
    leg = LegSummary(
        call_id=LEG_ID,
        inbound=False,
        source="+6512341234",
        destination="+6512345678",
        initiated_at=BEGAN,
        connected_at=BEGAN + 1.017,
        disconnected_at=BEGAN + 1.84,
        status=CallStatus.COMPLETED,
        sip_code=200,
        hung_up_by=HungUpBy.US,
        codec="PCMU",
        quality=CallQuality(4.4, 0.0, 0),
    )
    return SessionSummary(
        session_id=SESSION_ID,
        sub_account_id="riders_hq",
        status=CallStatus.COMPLETED,
        started_at=BEGAN,
        ended_at=BEGAN + 1.84,
        last_action="HANGUP",
        legs=(leg,),
    )


@pytest.fixture
def callwright(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line, in an empty folder and with no settings around."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = cli.main(words)
        except SystemExit as end:  # argparse
            status = end.code if isinstance(end.code, int) else 0
        out, err = capsys.readouterr()
        return status, out, err

    return run
