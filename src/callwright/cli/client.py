"""The command line as a client of callwright's own HTTP API."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from callwright.cli.options import add_settings, read_settings
from callwright.errors import CallwrightError, SettingsError
from callwright.settings import DEVELOPMENT_KEY_FILE, DEVELOPMENT_SUB_ACCOUNT, Settings

ANSWER_SECONDS = 10.0


class ApiError(CallwrightError):
    """The server refused or is not there."""


class NobodyAnswers(ApiError):
    """The server is not there."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event."""

    name: str
    data: dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that say where callwright listens and who is calling."""
    parser.add_argument(
        "--sub-account", default=DEVELOPMENT_SUB_ACCOUNT, metavar="ID", help=f"default {DEVELOPMENT_SUB_ACCOUNT}"
    )
    add_settings(parser, ["http", "api_key", "data", "config"])


class Client:
    """A connection to a running callwright, for one sub-account."""

    def __init__(self, settings: Settings, sub_account_id: str) -> None:
        self.base_url = f"http://{settings.http}"
        self._path = f"/api/v1/subaccounts/{sub_account_id}"
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {_key(settings)}"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """From the command line's flags."""
        return cls(read_settings(arguments, development=True), arguments.sub_account)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call; ApiError with the server's own words when it does not answer 2xx."""
        return self._ask(method, self._path + path, body)

    def trunks(self) -> list[dict[str, Any]]:
        """All trunks with their states; ApiError also when the key is no administrator's."""
        trunks = self._ask("GET", "/api/v1/trunks", None).get("trunks")
        return trunks if isinstance(trunks, list) else []

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.is_success:
            return _object(answer.content)
        raise ApiError(_refusal(answer))

    def events(self, session_id: str) -> Iterator[StreamEvent]:
        """What happened in a session so far, then what happens, until it is over."""
        path = f"{self._path}/sessions/{session_id}/events"
        try:
            with self._http.stream("GET", path, timeout=httpx.Timeout(ANSWER_SECONDS, read=60.0)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ApiError(_refusal(answer))
                yield from _events(answer.iter_lines())
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ApiError:
        if isinstance(error, httpx.ConnectError):
            return NobodyAnswers(
                f"no callwright answers at {self.base_url}. Start one with `make run` or `callwright run`,"
                " or say where it is with --http"
            )
        return ApiError(f"callwright at {self.base_url} broke off: {str(error) or type(error).__name__}")


def _events(lines: Iterator[str]) -> Iterator[StreamEvent]:
    name, data = "message", ""
    for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            data += value.removeprefix(" ")
        elif not line and data:
            yield StreamEvent(name, _object(data.encode()))
            name, data = "message", ""


def _key(settings: Settings) -> str:
    if settings.api_key is not None:
        return settings.api_key.reveal()
    path = Path(settings.data) / DEVELOPMENT_KEY_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        raise SettingsError(
            f"no API key: {path} is not there. Is --data the folder of the running callwright? Or give --api-key"
        ) from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        raise ApiError("the server's answer is not JSON; is it callwright that listens there?") from None
    if not isinstance(document, dict):
        raise ApiError("the server's answer is not a JSON object; is it callwright that listens there?")
    return document


def _refusal(answer: httpx.Response) -> str:
    try:
        document = _object(answer.content)
    except ApiError as error:
        return f"HTTP {answer.status_code}: {error}"
    words = document.get("statusMessage") or document.get("detail") or document.get("title") or "refused"
    code = document.get("statusCode")
    return f"{words} (HTTP {answer.status_code}{f', statusCode {code}' if code is not None else ''})"
