"""The command line: one module a command, each with `HELP`, `add_arguments` and `run`.

Exit status: 0 all is well, 1 it could not be done, 2 the command line or a setting is wrong, 130 interrupted. `call`
has more (its help lists them).
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Protocol

from callwright.cli import call, explain, keys, listen, run, serve
from callwright.errors import CallwrightError, SettingsError


class Command(Protocol):
    """What a command's module offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Name the flags."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; returns the exit status."""


COMMANDS: dict[str, Command] = {
    "run": run,
    "serve": serve,
    "call": call,
    "explain": explain,
    "listen": listen,
    "keys": keys,
}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="callwright",
        description="A self-hosted voice platform that speaks the 8x8 Voice Callflows API over your own SIP trunk.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        inner = commands.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(inner)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors made on purpose become a sentence on stderr."""
    arguments = parser().parse_args(argv)
    try:
        return COMMANDS[arguments.command].run(arguments)
    except SettingsError as error:
        print(f"callwright: {error}", file=sys.stderr)  # noqa: T201 - the command line speaks by printing
        return 2
    except CallwrightError as error:
        print(f"callwright: {error}", file=sys.stderr)  # noqa: T201 - likewise
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        return 0
