"""The pieces of `callwright call`: what is sent, the file that is served, what is shown, how it exits."""

import argparse
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from callwright.callflow.outcome import CallStatus
from callwright.callflow.summary import SessionSummary
from callwright.cli import call
from callwright.cli.call import EXIT_STATUS, _conclude, _Follower, _message, _served
from callwright.cli.client import StreamEvent
from callwright.contract.policy import RequestPolicy
from callwright.contract.request import parse_callflow
from callwright.contract.webhooks import session_summary
from callwright.errors import SettingsError

Command = Callable[..., tuple[int, str, str]]


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    call.add_arguments(parser)
    return parser.parse_args(words)


def message(*words: str) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        return _message(arguments("+6512345678", *words), stack)


def happened(kind: str, **fields: object) -> StreamEvent:
    return StreamEvent("trace", {"at": 0.0, "kind": kind, "fields": fields})


def test_every_end_of_a_call_has_an_exit_status_and_only_completed_is_0() -> None:
    assert set(EXIT_STATUS) == {status.value for status in CallStatus}
    assert [status for status, code in EXIT_STATUS.items() if code == 0] == ["COMPLETED"]
    assert not {1, 2} & set(EXIT_STATUS.values())  # those mean that nobody was called


def test_a_text_is_spoken_as_the_flags_say() -> None:
    said = message("Hello", "--voice", "de-DE-KatjaNeural", "--repeat", "2", "--speed", "0.8")
    assert said == {
        "action": "say",
        "params": {"text": "Hello", "voiceProfile": "de-DE-KatjaNeural", "repetition": 2, "speed": 0.8},
    }


def test_a_url_is_handed_on_as_it_is() -> None:
    played = message("--file", "HTTPS://files.example.com/a.mp3", "--repeat", "3")
    assert played == {"action": "playFile", "params": {"fileUrl": "HTTPS://files.example.com/a.mp3", "repetition": 3}}


def test_what_is_sent_is_a_callflow_that_the_contract_takes() -> None:
    import json

    dial = {"action": "makeCall", "params": {"source": call.DEVELOPMENT_SOURCE, "destination": "+6512345678"}}
    body = json.dumps({"callflow": [dial, message("Hello"), {"action": "hangup"}]}).encode()
    assert len(parse_callflow(body, RequestPolicy(), 0.0, "request").actions) == 3


def test_a_file_is_served_while_the_call_lasts(tmp_path: Path) -> None:
    path = tmp_path / "a message.wav"
    path.write_bytes(b"RIFF" + bytes(range(256)))
    with _served(path) as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/a%20message\.wav", url)
        for _ in range(2):
            answer = httpx.get(url, trust_env=False)
            assert answer.content == path.read_bytes()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_a_file_that_cannot_be_read_is_a_sentence_and_no_call(callwright: Command, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--file .*missing\.mp3: No such file"), _served(tmp_path / "missing.mp3"):
        pass
    status, _, err = callwright("call", "+6512345678", "--file", "missing.mp3", "--api-key", "cw_a-key")
    assert status == 2
    assert "--file missing.mp3: No such file" in err


@pytest.mark.parametrize("words", [(), ("Hello", "--file", "a.mp3")])
def test_a_message_is_either_spoken_or_played(callwright: Command, words: tuple[str, ...]) -> None:
    status, _, err = callwright("call", "+6512345678", *words, "--api-key", "cw_a-key")
    assert status == 2
    assert "give either a TEXT to speak or a --file to play" in err


def test_progress_tells_the_call_as_it_happens(capsys: pytest.CaptureFixture[str]) -> None:
    with _Follower(2, "+6512345678", quiet=False) as follower:
        for event in (
            happened("session.accepted"),
            happened("command.Dial"),
            happened("event.PromptReady", duration_seconds=1.5),
            happened("event.Ringing"),
            happened("event.Answered", codec="PCMA"),
            happened("event.PlaybackStarted"),
            happened("event.PlaybackFinished", completed=True),
            happened("event.HungUp", by="us"),
        ):
            follower.show(event)
    err = capsys.readouterr().err
    told = [line for line in err.splitlines() if line and "━" not in line]
    assert told == ["calling +6512345678", "ringing", "answered (PCMA)", "hung up"]
    assert "played" in err


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (happened("event.NotAnswered", sip_code=486, reason="Busy Here"), "not answered: 486 Busy Here"),
        (happened("event.NotAnswered", sip_code=None, reason="rang too long"), "not answered: rang too long"),
        (happened("event.HungUp", by="them"), "hung up by the callee"),
        (happened("event.PromptFailed", reason="it is no audio"), "the message failed: it is no audio"),
    ],
)
def test_progress_tells_bad_news_too(event: StreamEvent, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with _Follower(1, "+6512345678", quiet=False) as follower:
        follower.show(event)
    assert told in capsys.readouterr().err


def test_a_message_that_was_cut_short_is_shown_so(capsys: pytest.CaptureFixture[str]) -> None:
    with _Follower(1, "+6512345678", quiet=False) as follower:
        follower.show(happened("event.PromptReady", duration_seconds=9.0))
        follower.show(happened("event.PlaybackStarted"))
        follower.show(happened("event.PlaybackFinished", completed=False))
    assert "cut short" in capsys.readouterr().err


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with _Follower(1, "+6512345678", quiet=True) as follower:
        follower.show(happened("command.Dial"))
        follower.show(happened("event.PlaybackStarted"))
    out, err = capsys.readouterr()
    assert (out.strip(), err.strip()) == ("", "")


def test_the_summary_is_a_table_and_names_the_next_command(
    call_summary: SessionSummary, capsys: pytest.CaptureFixture[str]
) -> None:
    _conclude({"summary": session_summary(call_summary)["payload"]}, as_json=False)
    out = capsys.readouterr().out
    for told in (call_summary.session_id, "COMPLETED", "+6512341234", "+6512345678", "1 s", "MOS 4.4"):
        assert told in out
    assert f"callwright explain {call_summary.session_id}" in out
