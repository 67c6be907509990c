"""The command line: one module a command, each with `HELP`, `add_arguments` and `run`.

Exit status: 0 all is well, 1 it could not be done, 2 the command line or a setting is wrong, 130 interrupted. `call`
has more (its help lists them).
"""

import argparse
import importlib
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol, cast

from callwright.errors import CallwrightError, SettingsError


class Command(Protocol):
    """What a command's module offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Name the flags."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; returns the exit status."""


COMMANDS = ("run", "serve", "call", "explain", "listen", "keys", "numbers", "trunks", "doctor", "webhooks")


def command(name: str) -> Command:
    """The module of a command; imported when it is wanted, because a server's rooms take a second to import."""
    return cast("Command", importlib.import_module(f"callwright.cli.{name}"))


def parser(names: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line: all of it, or as far as the commands `names`."""
    top = argparse.ArgumentParser(
        prog="callwright",
        description="A self-hosted voice platform that speaks the 8x8 Voice Callflows API over your own SIP trunk.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        wanted = command(name)
        wanted.add_arguments(commands.add_parser(name, help=wanted.HELP, description=wanted.HELP))
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors made on purpose become a sentence on stderr."""
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(words[:1] if words and words[0] in COMMANDS else COMMANDS).parse_args(words)
    try:
        return command(arguments.command).run(arguments)
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
