"""`python -m bench --quick`: every figure is measured on real processes; its numbers are not looked at here."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.rig.result import Failure, Figure, Result
from bench.rig.trouble import Attempt, NotHeld
from rich.console import Console

from bench import report

pytestmark = pytest.mark.timeout(400)  # a whole run; it took 130 s on two cores that were overbooked ten times
ROOT = Path(__file__).parents[2]
FIGURES = {
    "sip_message": {"SIP parse + serialise": "µs", "SIP validate + route": "µs"},
    "contract_parse": {"contract parse, tutorial": "µs", "contract parse, 3,000 characters": "µs"},
    "idle": {"idle memory": "MB", "idle processor": "CPU ms/s"},
    "latency": {
        "POST → INVITE, p50": "ms",
        "POST → INVITE, p99": "ms",
        "200 OK → first RTP, p50": "ms",
        "200 OK → first RTP, p99": "ms",
        "200 OK → first sound, p50": "ms",
        "200 OK → first sound, p99": "ms",
    },
    "uncached": {
        "POST → first RTP, p50": "ms",
        "POST → first RTP, p99": "ms",
        "POST → first sound, p50": "ms",
        "POST → first sound, p99": "ms",
    },
    "full_session": {"full session": "CPU ms", "full session, busy": "CPU ms"},
    "concurrent_calls": {
        "4 calls, callees talk": "CPU ms per call-second",
        "4 calls, callees talk: gap, p99": "ms",
        "4 calls, callees talk: packets amiss": "",
        "4 calls, callees talk: gap error, p99": "ms",
        "4 calls, callees talk: gap error, p99.9": "ms",
        "6 calls, callees talk": "CPU ms per call-second",
        "6 calls, callees talk: gap, p99": "ms",
        "6 calls, callees talk: packets amiss": "",
        "memory per call, 6 calls": "KiB",
        "set-up while 6 calls play, p50": "ms",
        "set-up while 6 calls play, p99": "ms",
        "10 calls, callees listen": "CPU ms per call-second",
        "10 calls, callees listen: gap, p99": "ms",
        "10 calls, callees listen: packets amiss": "",
    },
    "accept": {"sessions accepted": "1/s", "POST, accepted and ended undialled": "CPU ms"},
}


def test_every_figure_is_measured_on_real_calls_and_has_its_unit() -> None:
    """One test, because one run takes a while."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    results = {result["name"]: result for result in document["results"]}
    assert {
        name: {figure["name"]: figure["unit"] for figure in result["figures"]} for name, result in results.items()
    } == FIGURES
    values = [figure["value"] for result in document["results"] for figure in result["figures"]]
    assert all(isinstance(value, float) and value >= 0 for value in values)
    # Not a speed: calls that send nothing would look cheap. How much of it arrives is the machine's affair.
    shares = [share for name, share in results["concurrent_calls"]["raw"].items() if name.endswith("packet share")]
    assert len(shares) == 3
    assert all(share > 0 for share in shares)
    # A result can be shown to anybody: it knows the kind of machine, and nothing of its names.
    assert set(document["machine"]) == {"cores", "processor", "memory_gib", "kernel", "python"}
    assert str(ROOT) not in done.stdout


def test_a_figure_without_a_compiler_is_reported_as_failed_and_the_others_are_measured(tmp_path: Path) -> None:
    words = ["--quick", "--json", "--only", "concurrent_calls", "--only", "sip_message", "--only", "idle"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT, env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert [(result["name"], bool(result["figures"])) for result in document["results"]] == [
        ("sip_message", True),
        ("idle", True),
        ("concurrent_calls", False),
    ]
    (failure,) = document["results"][2]["failures"]
    assert failure["name"] == "concurrent_calls"
    assert "C compiler" in failure["reason"]
    assert f"failed: concurrent_calls: {failure['reason']}" in done.stderr


def test_trouble_is_a_failure_and_a_fault_of_the_bench_is_not() -> None:
    failures: list[Failure] = []
    with Attempt("calls", failures):
        raise NotHeld("3 calls were up, not 4")
    with Attempt("answers", failures):
        raise TimeoutError
    with Attempt("server", failures):
        raise ConnectionRefusedError(111, "Connection refused")
    assert failures == [
        Failure("calls", "3 calls were up, not 4"),
        Failure("answers", "it took too long"),
        Failure("server", "[Errno 111] Connection refused"),
    ]
    with pytest.raises(KeyError), Attempt("typo", failures):
        raise KeyError("rtp")


def test_what_failed_is_in_both_tables() -> None:
    result = Result("calls", (Figure("10 calls", 0.5, "CPU ms"),), failures=(Failure("20 calls", "19 were up"),))
    printed = io.StringIO()
    before = report.Before("last week", {"10 calls": 1.0})
    report.show(Console(file=printed, width=120), [result], before)
    (row,) = [line for line in printed.getvalue().splitlines() if "20 calls" in line]
    assert "failed" in row
    assert "19 were up" in row
    assert "1.00 (-50%)" in printed.getvalue()
    assert "last week" in printed.getvalue()
    written = report.markdown(report.document([result], "2026-01-01", 0.1))
    assert "| 20 calls | failed | | 19 were up |" in written


def test_the_result_compared_with_is_the_last_that_was_committed(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.com"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    def lies_there(name: str, value: float) -> None:
        result = Result("calls", (Figure("10 calls", value, "CPU ms"),))
        (folder / name).write_text(json.dumps(report.document([result], "2026-01-01", 0.0)))

    folder = tmp_path / "results"
    folder.mkdir()
    assert report.committed(folder, "kind").values == {}
    lies_there("2026-01-01-kind.json", 1.0)
    lies_there("2026-01-02-kind.json", 2.0)
    lies_there("2026-01-03-other.json", 3.0)
    assert report.committed(folder, "kind").values == {"10 calls": 2.0}
    git("init", "-q")
    git("add", "results")
    git("commit", "-q", "-m", "Measure")
    lies_there("2026-01-02-kind.json", 20.0)
    lies_there("2026-01-04-kind.json", 4.0)
    assert report.committed(folder, "kind") == report.Before("2026-01-02-kind.json, as committed", {"10 calls": 2.0})
    assert report.committed(folder, "unknown").values == {}
