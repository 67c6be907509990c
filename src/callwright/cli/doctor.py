"""`callwright doctor`: what is wrong with the trunks, each in a sentence with the setting that mends it."""

import argparse
import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from callwright.cli.options import add_settings, read_settings
from callwright.doctor.examine import Wish, examine
from callwright.doctor.finding import Finding, Level
from callwright.errors import SettingsError
from callwright.node.trunks import Trunks
from callwright.numbers import parse_msisdn
from callwright.settings import Settings
from callwright.storage.place import open_store
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

HELP = "find out what is wrong with the trunks, by using them"
USUAL_SOURCE = "+6531350000"
_COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.FAILURE: "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    parser.add_argument(
        "--trunk",
        metavar="NAME",
        help="only this one (or sip:HOST:PORT, CALLWRIGHT_TRUNK: one that is not set yet); all unless it is given",
    )
    add_test_arguments(parser)


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say how it is tried."""
    parser.add_argument(
        "--call", metavar="NUMBER", help="call this number: an echo test's, or one of yours that comes back to us"
    )
    parser.add_argument("--source", metavar="NUMBER", default=USUAL_SOURCE, help="the caller that the call shows")
    parser.add_argument("--json", action="store_true", help="answer for machines")
    add_settings(parser, ["sip", "rtp_ports", "advertise", "stun", "data", "config"])


def run(arguments: argparse.Namespace) -> int:
    """Do it; the exit status is 1 when something fails."""
    logging.disable(logging.ERROR)  # what goes wrong is what is told
    try:
        return asyncio.run(_run(arguments))
    finally:
        logging.disable(logging.NOTSET)


async def _run(arguments: argparse.Namespace) -> int:
    name = arguments.trunk
    if name is not None and name.lower().startswith("sip:"):
        arguments.setting_trunk, name = name, None
    settings = read_settings(arguments, development=True)
    wish = Wish(_number(arguments.call) if arguments.call else "", _number(arguments.source))
    trunks = _chosen(await _trunks(settings), name)
    console = Console(soft_wrap=True, highlight=False)
    found: list[Finding] = []
    line = TelephonySettings(
        settings.sip.host,
        settings.sip.port,
        settings.rtp_ports,
        (),
        advertise=settings.advertise,
        stun=settings.stun,
        log_level="error",
    )
    for trunk in trunks:
        async for finding in examine(trunk, line, wish, platform_clock()):
            found.append(finding)
            if not arguments.json:
                console.print(f"[{_COLOURS[finding.level]}]{finding.level.value:>8}[/]  ", end="")
                console.print(f"{finding.trunk}: {finding.text}", markup=False)
    if arguments.json:
        console.print_json(json.dumps([asdict(finding) for finding in found]))
    else:
        _sum_up(console, found)
    return 1 if any(finding.level is Level.FAILURE for finding in found) else 0


async def _trunks(settings: Settings) -> tuple[Trunk, ...]:
    """Those of the settings and the stored ones, as a server would use them."""
    store = await open_store(settings, exclusive=False)
    try:
        book = Trunks(settings, store, asyncio.sleep)
        await book.load()
        return book.in_use()
    finally:
        await store.close()


def _chosen(trunks: Sequence[Trunk], name: str | None) -> Sequence[Trunk]:
    if not trunks:
        raise SettingsError("no trunk is set. Give one with --trunk sip:HOST:PORT or `callwright trunks add`")
    if name is None:
        return trunks
    chosen = [trunk for trunk in trunks if trunk.name == name]
    if not chosen:
        raise SettingsError(f"there is no trunk {name} in use; there are: {', '.join(trunk.name for trunk in trunks)}")
    return chosen


def _number(text: str) -> str:
    number = parse_msisdn(text)
    if number is None:
        raise SettingsError(f"'{text}' is no number in international form, such as +6531580000")
    return number


def _sum_up(console: Console, found: Sequence[Finding]) -> None:
    wrong = [finding for finding in found if finding.mend]
    if not wrong:
        console.print("\nAll is well.")
        return
    table = Table("", "trunk", "check", "what", "what mends it", show_lines=True)
    for finding in wrong:
        level = f"[{_COLOURS[finding.level]}]{finding.level.value}[/]"
        table.add_row(level, finding.trunk, finding.check, _plain(finding.text), _plain(finding.mend))
    console.print()
    console.print(table)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
