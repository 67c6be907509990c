"""`callwright keys`: made once, listed without their texts, revoked for good."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keys(callwright: Command, tmp_path: Path) -> Command:
    """`callwright keys …` on one data folder."""

    def run(*words: str) -> tuple[int, str, str]:
        return callwright("keys", *words, "--data", str(tmp_path / "data"))

    return run


def test_a_new_key_is_alone_on_standard_output(keys: Command) -> None:
    status, out, err = keys("create", "riders_hq", "--name", "billing")
    assert status == 0
    assert out.startswith("cw_")
    assert len(out.split()) == 1
    assert "not shown again" in err
    assert out.strip() not in err


def test_keys_are_listed_without_their_texts(keys: Command) -> None:
    _, text, _ = keys("create", "riders_hq", "--name", "billing")
    status, out, _ = keys("list")
    assert status == 0
    assert "riders_hq" in out
    assert "billing" in out
    assert text.strip() not in out


def test_a_revoked_key_is_listed_as_revoked_and_cannot_be_revoked_again(keys: Command) -> None:
    _, made, _ = keys("create", "riders_hq", "--json")
    assert json.loads(made)["subAccountId"] == "riders_hq"
    (listed,) = json.loads(keys("list", "--json")[1])
    assert listed["revokedAt"] is None
    assert listed["createdAt"].endswith("Z")
    status, out, _ = keys("revoke", listed["keyId"])
    assert status == 0
    assert out.strip() == f"Revoked {listed['keyId']}."
    (listed,) = json.loads(keys("list", "--json")[1])
    assert listed["revokedAt"] is not None
    status, _, err = keys("revoke", listed["keyId"])
    assert status == 2
    assert "callwright keys list" in err


def test_revoking_for_machines_says_what_was_revoked(keys: Command) -> None:
    keys("create", "riders_hq")
    (listed,) = json.loads(keys("list", "--json")[1])
    assert json.loads(keys("revoke", listed["keyId"], "--json")[1]) == {"keyId": listed["keyId"], "revoked": True}


def test_no_keys_are_an_empty_list(keys: Command) -> None:
    assert json.loads(keys("list", "--json")[1]) == []
