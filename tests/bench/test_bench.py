"""`python -m bench --quick`: every figure is measured on real processes; its numbers are not looked at here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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
