"""`callwright keys`: make, list and revoke API keys. Works beside a running server; a revoked key dies in seconds."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from callwright.cli.options import add_settings, read_settings
from callwright.errors import SettingsError
from callwright.storage.place import open_store
from callwright.storage.records import ApiKey
from callwright.storage.store import Store

HELP = "make, list and revoke API keys"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="make a key; its text is shown this once")
    create.add_argument("sub_account", metavar="SUB_ACCOUNT", help="whose key it is; made when it does not exist yet")
    create.add_argument("--name", default="", help="words that tell this key from others")
    create.add_argument(
        "--scope",
        action="append",
        default=[],
        choices=("read", "write", "admin"),
        help="what it may do, once for each; without any: all of its sub-account. admin: trunks, of the installation",
    )
    listing = verbs.add_parser("list", help="all keys, without their texts")
    revoke = verbs.add_parser("revoke", help="make a key invalid for good")
    revoke.add_argument("key_id", metavar="KEY_ID", help="from `callwright keys list`")
    for verb in (create, listing, revoke):
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
            case "create":
                await store.ensure_sub_account(arguments.sub_account)
                text = await store.create_key(arguments.sub_account, arguments.name, arguments.scope)
                if arguments.json:
                    console.print_json(json.dumps({"subAccountId": arguments.sub_account, "key": text}))
                else:
                    console.print(text, markup=False)
                    Console(stderr=True).print(
                        f"The key of {arguments.sub_account}; it is not shown again. Send it as"
                        " 'Authorization: Bearer KEY'.",
                        markup=False,
                    )
            case "list":
                _show(console, await store.list_keys(), as_json=arguments.json)
            case _:
                if not await store.revoke_key(arguments.key_id):
                    raise SettingsError(f"there is no live key '{arguments.key_id}'; `callwright keys list` shows all")
                if arguments.json:
                    console.print_json(json.dumps({"keyId": arguments.key_id, "revoked": True}))
                else:
                    console.print(f"Revoked {arguments.key_id}.", markup=False)
    return 0


def _show(console: Console, keys: tuple[ApiKey, ...], *, as_json: bool) -> None:
    if as_json:
        console.print_json(
            json.dumps(
                [
                    {
                        "keyId": key.key_id,
                        "subAccountId": key.sub_account_id,
                        "name": key.name,
                        "createdAt": _iso(key.created_at),
                        "lastUsedAt": _iso(key.last_used_at),
                        "revokedAt": _iso(key.revoked_at),
                    }
                    for key in keys
                ]
            )
        )
        return
    table = Table("key id", "sub-account", "name", "created", "last used", "revoked")
    for key in keys:
        times = (key.created_at, key.last_used_at, key.revoked_at)
        table.add_row(key.key_id, key.sub_account_id, key.name, *(_iso(at) or "–" for at in times))
    console.print(table)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
