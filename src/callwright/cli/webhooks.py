"""`callwright webhooks`: how webhooks do, what became of events, sending them again, tests and new secrets.

Asks the server over its API when one answers, and works on the database when none does.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callwright.api import deliveries
from callwright.cli import client
from callwright.cli.client import ApiError, Client, NobodyAnswers
from callwright.cli.options import add_settings, read_settings
from callwright.contract.answers import webhook_list
from callwright.contract.deliveries import (
    LOGGED_TYPES,
    MOST_OLD_SECRET_HOURS,
    OLD_SECRET_HOURS,
    REPLAYABLE,
    STATES,
    parse_log_query,
    parse_replay,
    parse_rotation,
)
from callwright.contract.webhook_config import WEBHOOK_TYPES, WebhookConfig
from callwright.egress import Egress
from callwright.errors import ContractError, SettingsError
from callwright.settings import Settings
from callwright.storage.place import open_store
from callwright.storage.store import Store
from callwright.telemetry.clock import platform_clock

HELP = "show how webhooks do, send events again, test endpoints, change secrets"

Json = dict[str, Any]
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STYLES = {
    "WORKING": "green",
    "DELIVERED": "green",
    "FAILING": "bold red",
    "EXHAUSTED": "bold red",
    "DUE": "yellow",
    "HELD": "yellow",
    "DISABLED": "yellow",
}


class Office(Protocol):
    """Who carries out what is asked: paths, parameters and bodies are those of the API."""

    def get(self, path: str, query: dict[str, str]) -> Json:
        """Look something up."""

    def post(self, path: str, body: Json | None) -> Json:
        """Have something done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="every webhook, what waits for it, and when it last took something or not")
    show = verbs.add_parser("show", help="one webhook with the secrets that its events are signed with")
    log = verbs.add_parser("log", help="what became of events, with every try, the newest first")
    replay = verbs.add_parser("replay", help="send events again, whatever became of them")
    test = verbs.add_parser("test", help="send a signed test event now, and show what the receiver answers")
    rotate = verbs.add_parser("rotate", help="sign with a new secret")
    for verb in (show, test, rotate):
        verb.add_argument("type", metavar="TYPE", choices=WEBHOOK_TYPES, help=", ".join(WEBHOOK_TYPES))
    for verb, which in (
        (log, log.add_mutually_exclusive_group()),
        (replay, replay.add_mutually_exclusive_group(required=True)),
    ):
        which.add_argument("--event", metavar="ID", help="one event, by its webhook-id")
        which.add_argument("--session", metavar="ID", help="the events of a session")
        verb.add_argument("--type", choices=LOGGED_TYPES, help="only events of this type")
        if verb is replay:
            which.add_argument(
                "--since", metavar="TIME", help="since a time, such as 2025-06-01T08:00:00Z, or 90m, 2h, 3d ago"
            )
            verb.add_argument("--state", choices=REPLAYABLE, help="only events that ended so")
        else:
            verb.add_argument("--state", choices=STATES, help="only events that stand so")
            verb.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many; default %(default)s")
    rotate.add_argument(
        "--keep",
        type=float,
        default=OLD_SECRET_HOURS,
        metavar="HOURS",
        help=f"how long the secret of before stays good too, 0 to {MOST_OLD_SECRET_HOURS}; default %(default)s",
    )
    for verb in (listing, show, log, replay, test, rotate):
        verb.add_argument("--json", action="store_true", help="answer for machines")
        client.add_arguments(verb)
        add_settings(verb, ["database"])


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    settings = read_settings(arguments, development=True)
    try:
        with Client(settings, arguments.sub_account) as api:
            return _VERBS[arguments.verb](_Server(api), arguments)
    except NobodyAnswers:
        where = "no server answers"
    except SettingsError:
        where = "no API key is known"
    Console(stderr=True, highlight=False).print(f"({where}: this is done on the database)", style="dim")
    return _VERBS[arguments.verb](_Database(settings, arguments.sub_account), arguments)


class _Server:
    """A running callwright."""

    def __init__(self, api: Client) -> None:
        self._api = api

    def get(self, path: str, query: dict[str, str]) -> Json:
        return self._api.request("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Json | None) -> Json:
        return self._api.request("POST", path, body)


class _Database:
    """The same, without a server: what is to be sent again goes out when one next looks."""

    def __init__(self, settings: Settings, sub_account_id: str) -> None:
        self._settings = settings
        self._account = sub_account_id

    def get(self, path: str, query: dict[str, str]) -> Json:
        return asyncio.run(self._opened(lambda store: self._get(store, path, query)))

    def post(self, path: str, body: Json | None) -> Json:
        return asyncio.run(self._opened(lambda store: self._post(store, path, json.dumps(body or {}).encode())))

    async def _opened(self, work: Callable[[Store], Coroutine[Any, Any, Json]]) -> Json:
        store = await open_store(self._settings, exclusive=False)
        try:
            return await work(store)
        except ContractError as error:
            raise ApiError(error.message) from error
        finally:
            await store.close()

    async def _get(self, store: Store, path: str, query: dict[str, str]) -> Json:
        match path.split("/")[1:]:
            case ["webhooks", kind]:
                return await deliveries.endpoint(store, self._account, kind, with_secrets=True)
            case ["webhooks"]:
                found = await store.list_webhooks(self._account)
                configs = [WebhookConfig(one.kind, one.url, one.http_auth_header, one.enabled) for one in found]
                return webhook_list(self._account, configs)
            case _:
                return await deliveries.log(store, self._account, parse_log_query(query.items()))

    async def _post(self, store: Store, path: str, body: bytes) -> Json:
        match path.split("/")[1:]:
            case ["webhooks", kind, "secrets"]:
                return await deliveries.rotate(store, self._account, kind, parse_rotation(body))
            case ["webhooks", kind, "test"]:
                return await self._test(store, kind)
            case _:
                return await deliveries.replay(store, self._account, parse_replay(body))

    async def _test(self, store: Store, kind: str) -> Json:
        egress = Egress(allow_loopback=True)
        tester = deliveries.Tester(egress.post, platform_clock(), time.time, deliveries.new_event_id)
        try:
            return await deliveries.send_test(store, tester, self._account, kind)
        finally:
            await egress.aclose()


# --- verbs ------------------------------------------------------------------------------------------------------------


def _list(office: Office, arguments: argparse.Namespace) -> int:
    found = office.get("/webhooks", {})["webhooks"]
    webhooks = [office.get(f"/webhooks/{one['type']}", {}) for one in found]
    for webhook in webhooks:
        for secret in webhook["secrets"]:
            secret.pop("secret")  # a list is shown around; `show` has them
    if arguments.json:
        return _said(webhooks)
    table = Table("type", "url", "state", "waiting", "held", "last success", "last failure")
    for webhook in webhooks:
        table.add_row(
            webhook["type"],
            Text(webhook["url"]),
            _styled(webhook["state"]),
            str(webhook["waiting"]),
            str(webhook["held"]),
            _tried(webhook["lastSuccess"]),
            _tried(webhook["lastFailure"]),
        )
    console = _console()
    console.print(table if webhooks else f"{arguments.sub_account} has no webhooks.")
    return 0


def _show(office: Office, arguments: argparse.Namespace) -> int:
    return _shown(office.get(f"/webhooks/{arguments.type}", {}), as_json=arguments.json)


def _rotate(office: Office, arguments: argparse.Namespace) -> int:
    webhook = office.post(f"/webhooks/{arguments.type}/secrets", {"oldValidHours": arguments.keep})
    return _shown(webhook, as_json=arguments.json)


def _log(office: Office, arguments: argparse.Namespace) -> int:
    named = {
        "eventId": arguments.event,
        "sessionId": arguments.session,
        "type": arguments.type,
        "state": arguments.state,
    }
    query = {name: value for name, value in named.items() if value is not None}
    found: list[Json] = []
    while len(found) < arguments.limit:
        page = office.get("/deliveries", {**query, "limit": str(min(arguments.limit - len(found), 200))})
        found += page["deliveries"]
        if page["before"] is None:
            break
        query["before"] = str(page["before"])
    if arguments.json:
        return _said(found)
    table = Table("when", "type", "event", "session", "state", "tries")
    for one in found:
        tries = "\n".join(_tried(attempt) for attempt in one["attempts"])
        session = (one["sessionId"] or "–")[:8]
        table.add_row(
            _moment(one["at"]), one["type"], one["eventId"], session, _styled(one["state"]), Text(tries or "–")
        )
    _console().print(table)
    return 0


def _replay(office: Office, arguments: argparse.Namespace) -> int:
    body: Json = {"eventId": arguments.event, "sessionId": arguments.session, "since": _since(arguments.since)}
    if arguments.type is not None:
        body["types"] = [arguments.type]
    if arguments.state is not None:
        body["states"] = [arguments.state]
    told = office.post("/deliveries/replay", {name: value for name, value in body.items() if value is not None})
    if arguments.json:
        return _said(told)
    console = _console()
    console.print(f"{told['replayed']} sent again.")
    if told["held"]:
        console.print(f"{told['held']} wait: their webhook is not registered, or not enabled.")
    return 0


def _test(office: Office, arguments: argparse.Namespace) -> int:
    told = office.post(f"/webhooks/{arguments.type}/test", None)
    if arguments.json:
        _said(told)
    else:
        what = told["error"] or f"answered {told['httpStatus']}"
        words = "takes events" if told["delivered"] else "takes no events"
        console = _console()
        console.print(f"{told['host']} {words}: {what} after {told['elapsedMs']} ms ({told['eventId']})", markup=False)
        if told["answer"]:
            console.print(told["answer"], markup=False)
    return 0 if told["delivered"] else 1


_VERBS: dict[str, Callable[[Office, argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "log": _log,
    "replay": _replay,
    "test": _test,
    "rotate": _rotate,
}


# --- words ------------------------------------------------------------------------------------------------------------


def _shown(webhook: Json, *, as_json: bool) -> int:
    if as_json:
        return _said(webhook)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("type", webhook["type"])
    table.add_row("url", Text(webhook["url"]))
    table.add_row("state", _styled(webhook["state"]))
    table.add_row("waiting", f"{webhook['waiting']}, next try {_moment(webhook['nextAttemptAt'])}")
    table.add_row("held", str(webhook["held"]))
    table.add_row("last success", _tried(webhook["lastSuccess"]))
    table.add_row("last failure", _tried(webhook["lastFailure"]))
    for secret in webhook["secrets"]:
        until = "" if secret["expiresAt"] is None else f" until {_moment(secret['expiresAt'])}"
        table.add_row("secret" + until, secret["secret"] or "(for keys that may write)")
    _console().print(table)
    return 0


def _said(content: object) -> int:
    _console().print_json(json.dumps(content))
    return 0


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _styled(state: str) -> Text:
    return Text(state, style=_STYLES.get(state, ""))


def _tried(attempt: Json | None) -> str:
    if attempt is None:
        return "–"
    what = attempt["error"] or attempt["httpStatus"]
    return f"{_moment(attempt['at'])} {what} ({attempt['elapsedMs']} ms)"


def _moment(at: str | None) -> str:
    return "–" if at is None else f"{at[:10]} {at[11:19]}"


def _since(text: str | None) -> str | None:
    """A time, or how long ago, as the API reads it."""
    if text is None:
        return None
    span = _SPAN.fullmatch(text)
    if not span:
        return text
    at = time.time() - int(span[1]) * _SECONDS[span[2]]
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
