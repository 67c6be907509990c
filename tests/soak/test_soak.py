"""Both soaks in small, on real processes: everything that does not need time or a quiet machine is judged."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from soak.attack import BENDS, MARK, METHODS, shots
from soak.verdict import Promise, Verdict
from tests.needs import need

from callwright.sip.message import Request
from callwright.sip.parse import parse

ROOT = Path(__file__).parents[2]


def soaked(*arguments: str) -> dict[str, Promise]:
    """The promises of a run that kept them all, by name."""
    command = [sys.executable, "-m", "soak", *arguments, "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["is_kept"]
    assert str(ROOT) not in done.stdout
    assert len(document["samples"]) >= 3
    return {one["name"]: Promise(one["name"], one["value"]) for one in document["promises"]}


def test_live_calls_and_new_ones_outlast_a_flood() -> None:
    promises = soaked("flood", "--seconds", "4", "--rate", "500", "--calls", "3")
    for method in METHODS:
        assert promises[f"{method} sent"].value > 0
    assert promises["connections that stall"].value > 0
    assert promises["new calls"].value > 0


@pytest.mark.real
def test_sessions_leave_nothing_behind() -> None:
    need("sipp")
    promises = soaked("leak", "--seconds", "3", "--rate", "5")
    assert promises["sessions"].value == 15
    assert promises["calls that SIPp found right"].value == 18  # with those that warm it up


def test_a_flood_has_every_method_well_formed_and_bent_in_every_way() -> None:
    made = shots("127.0.0.1", 5060)
    assert {(shot.method, shot.bend) for shot in made} == {
        (method, bend) for method in METHODS for bend in ("good", *BENDS)
    }
    for shot in made:
        assert MARK in shot.data
        assert shot.numbered(1) != shot.numbered(2)
        if shot.bend == "good":
            request = parse(shot.numbered(1))
            assert isinstance(request, Request)
            assert request.method == shot.method


@pytest.mark.parametrize("bend", BENDS)
def test_what_is_bent_is_not_what_it_was(bend: str) -> None:
    for shot in shots("127.0.0.1", 5060):
        if shot.bend == bend:
            good = next(one for one in shots("127.0.0.1", 5060) if (one.method, one.bend) == (shot.method, "good"))
            assert shot.data != good.data


def test_a_number_beyond_its_limit_breaks_the_promise() -> None:
    assert Promise("memory", 100.0, "MB", 100.0).is_kept
    assert not Promise("memory", 100.1, "MB", 100.0).is_kept
    assert not Promise("calls", 49.0, "", 50.0, "at least").is_kept
    assert Promise("told", 1e9).is_kept
    assert not Verdict("flood", (Promise("told", 1.0), Promise("memory", 101.0, "MB", 100.0))).is_kept
