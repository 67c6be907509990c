"""`callwright trunks`: who carries the calls, besides the settings' own trunks. Works beside a running server."""

import argparse
import asyncio
import json
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from callwright.cli import doctor
from callwright.cli.client import ApiError, Client
from callwright.cli.options import add_settings, read_settings
from callwright.errors import SettingsError
from callwright.node.trunks import parse
from callwright.settings import Settings, write_trunk
from callwright.storage.place import open_store
from callwright.storage.store import Store

HELP = "add, change, list, test and remove trunks"
KEYS_HELP = (
    "keys of [trunks.NAME], each as KEY=VALUE; VALUE is as in the settings file, and text needs no quotes. "
    "KEY= takes a key away"
)
PASSWORD = "password"  # noqa: S105  the name of a key


@dataclass(frozen=True, slots=True)
class Shown:
    """A trunk as it is listed."""

    name: str
    source: str
    "settings or database"
    table: Mapping[str, object]
    has_password: bool
    updated_at: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="all trunks, the first to be called in front")
    show = verbs.add_parser("show", help="one trunk, without its password")
    add = verbs.add_parser("add", help="store a new trunk; running servers call over it within two seconds")
    change = verbs.add_parser("set", help="change keys of a stored trunk; calls that are up stay")
    remove = verbs.add_parser("remove", help="take a stored trunk away; calls that are up stay")
    test = verbs.add_parser("test", help="find out what is wrong with one, as `doctor --trunk NAME` does")
    doctor.add_test_arguments(test)
    for verb in (show, add, change, remove, test):
        verb.add_argument("name", metavar="NAME")
    add.add_argument("uri", metavar="URI", help="such as sip:sip.example.com or sip:192.0.2.1:5061;transport=tls")
    for verb in (add, change):
        verb.add_argument("keys", metavar="KEY=VALUE", nargs="*", help=KEYS_HELP)
        verb.add_argument("--password-file", metavar="FILE", help="holds the password, so that no shell remembers it")
    for verb in (listing, show, add, change, remove):
        verb.add_argument("--json", action="store_true", help="answer for machines")
        add_settings(verb, ["data", "database", "config", *(["http", "api_key"] if verb is listing else [])])


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    if arguments.verb == "test":
        arguments.trunk = arguments.name
        return doctor.run(arguments)
    return asyncio.run(_run(arguments))


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    store = await open_store(settings, exclusive=False)
    try:
        yield store
    finally:
        await store.close()


async def _run(arguments: argparse.Namespace) -> int:
    console = Console(soft_wrap=True, highlight=False)
    settings = read_settings(arguments, development=True)
    async with _store(settings) as store:
        match arguments.verb:
            case "list":
                states, why = await asyncio.to_thread(_states, settings)
                _list(console, await _all(settings, store), states, why, as_json=arguments.json)
            case "show":
                _show(console, _one(arguments.name, await _all(settings, store)), as_json=arguments.json)
            case "remove":
                _refuse_settings(settings, arguments.name)
                if not await store.remove_trunk(arguments.name):
                    raise SettingsError(f"there is no trunk {arguments.name}; `callwright trunks list` shows all")
                _say(console, arguments, {"name": arguments.name, "removed": True}, f"{arguments.name} is gone.")
            case verb:
                await _put(arguments, settings, store, new=verb == "add")
                words = f"{arguments.name} is {'added' if verb == 'add' else 'changed'}."
                _say(console, arguments, {"name": arguments.name}, words)
    return 0


async def _put(arguments: argparse.Namespace, settings: Settings, store: Store, *, new: bool) -> None:
    name = arguments.name
    _refuse_settings(settings, name)
    stored = {trunk.name: dict(trunk.table) for trunk in await store.stored_trunks()}
    if new and name in stored:
        raise SettingsError(f"there is a trunk {name} already; `callwright trunks set {name}` changes it")
    if not new and name not in stored:
        raise SettingsError(f"there is no trunk {name}; `callwright trunks add {name} URI` makes it")
    table: dict[str, object] = {"uri": arguments.uri} if new else stored[name]
    for text in arguments.keys:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"'{text}' is not KEY=VALUE")
        if value:
            table[key] = _value(value)
        else:
            table.pop(key, None)
    if arguments.password_file is not None:
        table[PASSWORD] = _password(arguments.password_file)
    parse(name, table)
    await store.put_trunk(name, table)


def _value(text: str) -> object:
    """As the settings file would have it: TOML, and text where that is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _password(file_name: str) -> str:
    try:
        return Path(file_name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the password file {file_name} cannot be read: {error}") from error


def _refuse_settings(settings: Settings, name: str) -> None:
    if any(trunk.name == name for trunk in settings.trunks):
        raise SettingsError(f"the trunk {name} stands in {settings.config}: change it there, or choose another name")


async def _all(settings: Settings, store: Store) -> list[Shown]:
    """Those of the settings, then the stored ones by priority and name."""
    shown = [
        Shown(trunk.name, "settings", write_trunk(trunk), trunk.password is not None, None) for trunk in settings.trunks
    ]
    stored = []
    for one in await store.stored_trunks():
        table = {key: value for key, value in one.table.items() if key != PASSWORD}
        stored.append(Shown(one.name, "database", table, PASSWORD in one.table, one.updated_at))
    return shown + sorted(stored, key=lambda one: (one.table.get("priority", 0), one.name))


def _one(name: str, trunks: Sequence[Shown]) -> Shown:
    for trunk in trunks:
        if trunk.name == name:
            return trunk
    raise SettingsError(f"there is no trunk {name}; `callwright trunks list` shows all")


def _say(console: Console, arguments: argparse.Namespace, fields: Mapping[str, object], words: str) -> None:
    if arguments.json:
        console.print_json(json.dumps(fields))
    else:
        console.print(words, markup=False)


def _fields(trunk: Shown) -> dict[str, object]:
    at = trunk.updated_at
    return {
        "name": trunk.name,
        "source": trunk.source,
        "settings": dict(trunk.table),
        "hasPassword": trunk.has_password,
        "updatedAt": None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _states(settings: Settings) -> tuple[Mapping[str, Mapping[str, object]], str]:
    """What the running server says of each trunk, by name; why it says nothing."""
    if settings.api_key is None:
        return {}, "how they are doing is said to administrators: --api-key with a key made with --scope admin"
    try:
        with Client(settings, "") as client:
            return {str(trunk.get("name")): trunk for trunk in client.trunks()}, ""
    except ApiError as error:
        return {}, f"how they are doing is not known: {error}"


def _list(  # one list, whole
    console: Console,
    trunks: Sequence[Shown],
    states: Mapping[str, Mapping[str, object]],
    why: str,
    *,
    as_json: bool,
) -> None:
    if as_json:
        rows = []
        for trunk in trunks:
            told = states.get(trunk.name, {})
            rows.append(_fields(trunk) | {"problem": told.get("problem"), "state": told.get("state")})
        console.print_json(json.dumps(rows))
        return
    table = Table("name", "uri", "group", "priority", "from", "registered", "healthy", "calls", "closed until")
    for trunk in trunks:
        settings = trunk.table
        table.add_row(
            trunk.name,
            str(settings.get("uri")),
            str(settings.get("group", "–")),
            str(settings.get("priority", 0)),
            trunk.source,
            *_state_words(states.get(trunk.name, {})),
        )
    console.print(table)
    if why:
        console.print(why, markup=False)


def _state_words(told: Mapping[str, object]) -> tuple[str, str, str, str]:
    """Registered, healthy, calls, closed until."""
    state = told.get("state")
    if not isinstance(state, dict):
        return ("–", str(told.get("problem") or "–"), "–", "–")
    registered = {None: "not needed", True: "yes", False: f"no: {state.get('registration') or 'not yet'}"}
    healthy = "yes" if state.get("healthy") else f"no: {state.get('options') or 'no answer'}"
    return (
        registered[state.get("registered")],
        healthy,
        f"{state.get('calls')} ({state.get('waiting')} waiting)" if state.get("waiting") else str(state.get("calls")),
        str(state.get("closedUntil") or "–"),
    )


def _show(console: Console, trunk: Shown, *, as_json: bool) -> None:
    if as_json:
        console.print_json(json.dumps(_fields(trunk)))
        return
    console.print(f"[trunks.{trunk.name}]", markup=False)
    for key, value in trunk.table.items():
        console.print(f"{key} = {json.dumps(value, ensure_ascii=False)}", markup=False)
    if trunk.has_password:
        console.print('password = "••••"', markup=False)
