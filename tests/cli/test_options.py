"""Flags, variables, file: which one wins, and what a wrong one is answered with."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callwright.cli import COMMANDS, parser
from callwright.cli.options import add_settings, read_settings
from callwright.errors import SettingsError
from callwright.settings import SETTINGS, Settings

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(*words: str) -> Settings:
    flags = argparse.ArgumentParser()
    add_settings(flags)
    return read_settings(flags.parse_args(words), development=True)


def test_a_flag_wins_over_the_variable_and_the_variable_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("callwright.toml").write_text('http = "127.0.0.1:9001"\n')
    assert str(read().http) == "127.0.0.1:9001"
    monkeypatch.setenv("CALLWRIGHT_HTTP", "127.0.0.1:9002")
    assert str(read().http) == "127.0.0.1:9002"
    assert str(read("--http", "127.0.0.1:9003").http) == "127.0.0.1:9003"


def test_a_named_file_is_read_and_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.toml"
    other.write_text("drain_seconds = 5\n")
    assert read("--config", str(other)).drain_seconds == 5
    monkeypatch.setenv("CALLWRIGHT_CONFIG", str(other))
    assert read().drain_seconds == 5
    with pytest.raises(SettingsError, match=r"settings file .*missing\.toml cannot be read: No such file"):
        read("--config", "missing.toml")


def test_a_file_that_is_not_text_is_refused_by_name() -> None:
    Path("callwright.toml").write_bytes(b"http = \xff")
    with pytest.raises(SettingsError, match=r"callwright\.toml is not UTF-8 text"):
        read()


def test_without_any_the_defaults_hold() -> None:
    assert (str(read().http), str(read().sip)) == ("127.0.0.1:8080", "127.0.0.1:5060")


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and verb with its parser."""
    waiting: list[tuple[tuple[str, ...], argparse.ArgumentParser]] = [((), parser())]
    while waiting:
        words, current = waiting.pop()
        subparsers = [action for action in current._actions if isinstance(action, argparse._SubParsersAction)]
        for action in subparsers:
            waiting += [((*words, name), inner) for name, inner in action.choices.items()]
        if not subparsers:
            yield " ".join(words), current


ALL = dict(commands())


def test_every_command_is_walked() -> None:
    assert {words.partition(" ")[0] for words in ALL} == set(COMMANDS)
    assert {"keys create", "keys list", "keys revoke"} <= set(ALL)


@pytest.mark.parametrize("words", sorted(ALL))
def test_help_names_the_variable_of_each_flag_that_has_one(words: str, callwright: Command) -> None:
    status, out, _ = callwright(*words.split(), "--help")
    assert status == 0
    offered = {option for action in ALL[words]._actions for option in action.option_strings}
    named = [setting for setting in SETTINGS if setting.flag in offered]
    assert named
    for setting in named:
        assert setting.variable in out
        assert setting.metavar in out


@pytest.mark.parametrize("words", ["run", "serve"])
def test_what_starts_the_platform_takes_every_setting(words: str) -> None:
    offered = {option for action in ALL[words]._actions for option in action.option_strings}
    assert {setting.flag for setting in SETTINGS} <= offered


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve", "--http", "nowhere"), "--http"),
        (("run", "--rtp-ports", "7"), "--rtp-ports"),
        (("keys", "list", "--config", "missing.toml"), "missing.toml"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_status_2(callwright: Command, words: tuple[str, ...], said: str) -> None:
    status, out, err = callwright(*words)
    assert (status, out) == (2, "")
    assert err.startswith("callwright: ")
    assert said in err
    assert "Traceback" not in err


def test_an_unknown_command_lists_the_known_ones(callwright: Command) -> None:
    status, _, err = callwright("dance")
    assert status == 2
    for name in COMMANDS:
        assert name in err
