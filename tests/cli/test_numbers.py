"""`callwright numbers`: given to a sub-account, listed, taken away."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def numbers(callwright: Command, tmp_path: Path) -> Command:
    """`callwright numbers …` on one data folder."""

    def run(*words: str) -> tuple[int, str, str]:
        return callwright("numbers", *words, "--data", str(tmp_path / "data"))

    return run


def test_a_number_is_given_listed_and_taken_away(numbers: Command) -> None:
    status, out, _ = numbers("add", "riders_hq", "6531580000")
    assert (status, out.strip()) == (0, "+6531580000 leads to riders_hq.")
    numbers("add", "other", "+6531580001")
    status, out, _ = numbers("list")
    assert status == 0
    assert "+6531580000" in out
    assert "+6531580001" in out
    (only,) = json.loads(numbers("list", "riders_hq", "--json")[1])
    assert (only["msisdn"], only["subAccountId"], only["countryCode"]) == ("+6531580000", "riders_hq", "SG")
    status, out, _ = numbers("remove", "+6531580000")
    assert (status, out.strip()) == (0, "+6531580000 leads to riders_hq no more.")
    assert json.loads(numbers("list", "riders_hq", "--json")[1]) == []


def test_machines_are_told_in_json(numbers: Command) -> None:
    added = json.loads(numbers("add", "riders_hq", "+6531580000", "--json")[1])
    assert added["referenceId"]
    assert json.loads(numbers("remove", "+6531580000", "--json")[1]) == {"msisdn": "+6531580000", "removed": True}


@pytest.mark.parametrize("verb", [("add", "riders_hq"), ("remove",)])
def test_what_is_no_number_is_refused(numbers: Command, verb: tuple[str, ...]) -> None:
    status, _, err = numbers(*verb, "ring me")
    assert status == 2
    assert "international form" in err


def test_a_number_of_somebody_else_is_refused(numbers: Command) -> None:
    numbers("add", "riders_hq", "+6531580000")
    status, _, err = numbers("add", "other", "+6531580000")
    assert status == 1
    assert "belongs to another sub-account" in err


def test_a_number_that_nobody_has_cannot_be_taken_away(numbers: Command) -> None:
    status, _, err = numbers("remove", "+6531580000")
    assert status == 2
    assert "callwright numbers list" in err
