"""`callwright numbers`: say which virtual numbers lead to which sub-account. Works beside a running server."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from callwright.cli.options import add_settings, read_settings
from callwright.errors import SettingsError
from callwright.numbers import parse_msisdn
from callwright.storage.place import open_store
from callwright.storage.records import VirtualNumber
from callwright.storage.store import Store

HELP = "give virtual numbers to sub-accounts, list them, take them away"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser("add", help="give a number to a sub-account; a running server knows it within seconds")
    add.add_argument("sub_account", metavar="SUB_ACCOUNT", help="whose number it is; made when it does not exist yet")
    add.add_argument("number", metavar="NUMBER", help="in international form, such as +6531580000")
    listing = verbs.add_parser("list", help="the numbers of all sub-accounts, or of one")
    listing.add_argument("sub_account", metavar="SUB_ACCOUNT", nargs="?", help="only this one's")
    remove = verbs.add_parser("remove", help="take a number away; calls to it are refused from then on")
    remove.add_argument("number", metavar="NUMBER")
    for verb in (add, listing, remove):
        verb.add_argument("--json", action="store_true", help="answer for machines")
        add_settings(verb, ["data", "database", "config"])


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    return asyncio.run(_run(arguments))


@asynccontextmanager
async def _store(arguments: argparse.Namespace) -> AsyncIterator[Store]:
    settings = read_settings(arguments, development=True)
    store = await open_store(settings, exclusive=False)
    try:
        yield store
    finally:
        await store.close()


async def _run(arguments: argparse.Namespace) -> int:
    console = Console(soft_wrap=True, highlight=False)
    async with _store(arguments) as store:
        match arguments.verb:
            case "add":
                msisdn = _number(arguments.number)
                await store.ensure_sub_account(arguments.sub_account)
                added = await store.add_number(arguments.sub_account, msisdn)
                if arguments.json:
                    console.print_json(json.dumps(_fields(added)))
                else:
                    console.print(f"{added.msisdn} leads to {added.sub_account_id}.", markup=False)
            case "list":
                _show(console, await store.every_number(arguments.sub_account), as_json=arguments.json)
            case _:
                removed = await store.remove_number(_number(arguments.number))
                if removed is None:
                    raise SettingsError(f"nobody has {arguments.number}; `callwright numbers list` shows all")
                if arguments.json:
                    console.print_json(json.dumps({"msisdn": removed.msisdn, "removed": True}))
                else:
                    console.print(f"{removed.msisdn} leads to {removed.sub_account_id} no more.", markup=False)
    return 0


def _number(text: str) -> str:
    msisdn = parse_msisdn(text)
    if msisdn is None:
        raise SettingsError(f"'{text}' is no number in international form, such as +6531580000")
    return msisdn


def _show(console: Console, numbers: Sequence[VirtualNumber], *, as_json: bool) -> None:
    if as_json:
        console.print_json(json.dumps([_fields(number) for number in numbers]))
        return
    table = Table("number", "sub-account", "country", "status", "reference id", "since")
    for number in numbers:
        fields = _fields(number)
        names = ("msisdn", "subAccountId", "countryCode", "status", "referenceId", "createdAt")
        table.add_row(*(fields[name] or "–" for name in names))
    console.print(table)


def _fields(number: VirtualNumber) -> dict[str, str | None]:
    return {
        "msisdn": number.msisdn,
        "subAccountId": number.sub_account_id,
        "countryCode": number.country,
        "status": number.status,
        "referenceId": number.reference_id,
        "createdAt": datetime.fromtimestamp(number.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
