"""`callwright serve`: the platform for production: no handset, no demo key, nothing allowed that is not listed."""

import argparse

from callwright.cli import run as run_command
from callwright.cli.options import add_settings, read_settings

HELP = "start callwright over your own trunk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM; returns the exit status. Refuses to start without an API key and a trunk."""
    return run_command.start(read_settings(arguments, development=False))
