"""The command line as a client: event streams read, refusals put into words, keys found."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from callwright.cli.client import ApiError, Client, StreamEvent, _events, _key, _refusal
from callwright.errors import SettingsError
from callwright.settings import Settings, load


def settings(data: Path, **flags: str) -> Settings:
    return load(None, {}, {"data": str(data), **flags}, development=True)


def events(*lines: str) -> list[StreamEvent]:
    return list(_events(iter(lines)))


def test_an_event_is_its_name_and_its_data() -> None:
    assert events("id: 1", "event: trace", 'data: {"kind": "event.Ringing"}', "") == [
        StreamEvent("trace", {"kind": "event.Ringing"})
    ]


def test_data_may_stand_on_several_lines_and_without_a_space() -> None:
    assert events('data:{"a":', "data: 1}", "") == [StreamEvent("message", {"a": 1})]


def test_a_name_counts_for_its_own_event_only() -> None:
    first, second = events("event: trace", "data: {}", "", "data: {}", "")
    assert (first.name, second.name) == ("trace", "message")


@pytest.mark.parametrize("lines", [(": keep-alive", ""), ("event: trace", ""), ("",), ("retry: 1000", "")])
def test_comments_and_events_without_data_are_nothing(lines: tuple[str, ...]) -> None:
    assert events(*lines) == []


def test_an_event_that_was_cut_off_is_not_told() -> None:
    assert events("event: trace", 'data: {"a": 1}') == []


def test_data_that_is_no_object_is_no_callwright() -> None:
    for data in ("data: [1]", "data: nonsense"):
        with pytest.raises(ApiError, match="is it callwright that listens there"):
            events(data, "")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (422, {"statusCode": -1015, "statusMessage": "Expired"}, "Expired (HTTP 422, statusCode -1015)"),
        (404, {"status": 404, "title": "Session not found"}, "Session not found (HTTP 404)"),
        (400, {"title": "Bad", "detail": "the very reason"}, "the very reason (HTTP 400)"),
        (500, {}, "refused (HTTP 500)"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(status: int, body: dict[str, object], words: str) -> None:
    assert _refusal(httpx.Response(status, json=body)) == words


def test_a_refusal_of_something_else_is_told_with_its_status() -> None:
    words = _refusal(httpx.Response(502, text="<html>Bad gateway</html>"))
    assert words.startswith("HTTP 502: ")
    assert "not JSON" in words


def test_the_key_of_the_flag_wins_over_the_one_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "development.key").write_text("cw_from-the-folder\n")
    assert _key(settings(tmp_path)) == "cw_from-the-folder"
    assert _key(settings(tmp_path, api_key="cw_from-the-flag")) == "cw_from-the-flag"


def test_without_any_key_both_ways_to_have_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--data .* --api-key"):
        _key(settings(tmp_path))


@pytest.fixture
def nobody(tmp_path: Path, unused_tcp_port: int) -> Iterator[Client]:
    """A client of an address where nobody listens."""
    with Client(settings(tmp_path, http=f"127.0.0.1:{unused_tcp_port}", api_key="cw_a-key"), "riders_hq") as client:
        yield client


def test_a_server_that_is_not_there_is_told_with_how_to_start_one(nobody: Client) -> None:
    with pytest.raises(ApiError, match=r"no callwright answers at http://127\.0\.0\.1:\d+\. Start one"):
        nobody.request("GET", "/webhooks")
    with pytest.raises(ApiError, match="or say where it is with --http"):
        list(nobody.events("a-session"))
