"""`callwright trunks`: added, shown, changed, listed and removed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trunks(callwright: Command, tmp_path: Path) -> Command:
    """`callwright trunks …` on one data folder."""

    def run(*words: str) -> tuple[int, str, str]:
        return callwright("trunks", *words, "--data", str(tmp_path / "data"))

    return run


def test_a_trunk_is_added_shown_changed_and_removed(trunks: Command, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    words = ("username=us", 'codecs=["PCMA"]', "register=true", "max_calls=30", "rewrite=['^\\+ -> 00']")
    added = trunks("add", "main", "sip:sip.example.com;transport=tls", *words, "--password-file", "password")
    assert added == (0, "main is added.\n", "")
    status, out, _ = trunks("show", "main")
    assert status == 0
    assert out.splitlines()[:2] == ["[trunks.main]", 'uri = "sip:sip.example.com;transport=tls"']
    assert "max_calls = 30" in out
    assert "sesame" not in out
    assert 'password = "••••"' in out
    assert trunks("set", "main", "max_calls=", "priority=3", "number_format=E.164")[:2] == (0, "main is changed.\n")
    (shown,) = json.loads(trunks("list", "--json")[1])
    assert shown["settings"] == {
        "uri": "sip:sip.example.com;transport=tls",
        "username": "us",
        "codecs": ["PCMA"],
        "register": True,
        "rewrite": ["^\\+ -> 00"],
        "priority": 3,
        "number_format": "E.164",
    }
    assert (shown["hasPassword"], shown["source"], shown["state"]) == (True, "database", None)
    assert trunks("remove", "main")[:2] == (0, "main is gone.\n")
    assert json.loads(trunks("list", "--json")[1]) == []


def test_the_settings_trunks_are_listed_first_and_are_not_changed_here(trunks: Command) -> None:
    trunks("add", "b", "sip:192.0.2.2", "priority=1")
    trunks("add", "a", "sip:192.0.2.1", "priority=2")
    Path("callwright.toml").write_text('[trunks.z]\nuri = "sip:192.0.2.9"\nusername = "us"\npassword = "sesame"\n')
    listed = json.loads(trunks("list", "--json")[1])
    assert [(one["name"], one["source"]) for one in listed] == [("z", "settings"), ("b", "database"), ("a", "database")]
    assert "sesame" not in json.dumps(listed)
    for words in (("add", "z", "sip:192.0.2.1"), ("set", "z", "weight=2"), ("remove", "z")):
        status, _, err = trunks(*words)
        assert status == 2
        assert "the trunk z stands in callwright.toml" in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("add", "x", "192.0.2.1"), "does not begin with 'sip:'"),
        (("add", "x y", "sip:192.0.2.1"), "a trunk's name"),
        (("add", "x", "sip:192.0.2.1", "wieght=3"), "Did you mean 'weight'"),
        (("add", "x", "sip:192.0.2.1", "weight"), "is not KEY=VALUE"),
        (("add", "x", "sip:192.0.2.1", "weight=heavy"), "whole number"),
        (("add", "x", "sip:192.0.2.1", "password=p"), "'username' of trunk x"),
        (("add", "x", "sip:192.0.2.1", "ca_file=missing.pem"), "missing.pem cannot be used"),
        (("add", "x", "sip:192.0.2.1", "--password-file", "missing"), "missing cannot be read"),
        (("add", "there", "sip:192.0.2.1"), "callwright trunks set there"),
        (("set", "x", "weight=3"), "callwright trunks add x URI"),
        (("remove", "x"), "there is no trunk x"),
        (("show", "x"), "there is no trunk x"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(trunks: Command, words: tuple[str, ...], complaint: str) -> None:
    trunks("add", "there", "sip:192.0.2.7")
    status, _, err = trunks(*words)
    assert status == 2
    assert complaint in err
    (only,) = json.loads(trunks("list", "--json")[1])
    assert (only["name"], only["settings"]) == ("there", {"uri": "sip:192.0.2.7"})


def test_without_a_server_the_list_says_why_no_state_is_known(trunks: Command) -> None:
    trunks("add", "main", "sip:192.0.2.1")
    assert "--scope admin" in trunks("list")[1]
    status, out, _ = trunks("list", "--api-key", "some-key-text", "--http", "127.0.0.1:1")
    assert status == 0
    assert "no callwright answers at http://127.0.0.1:1" in out
