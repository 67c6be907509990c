"""`python -m soak flood` and `python -m soak leak`: long runs, a table, and exit status 1 when a promise is broken."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime

from rich.console import Console

from soak import flood, leak
from soak.verdict import as_text


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    flooding = commands.add_parser("flood", help="hostile SIP while calls talk")
    flooding.add_argument("--seconds", type=float, default=600.0)
    flooding.add_argument("--rate", type=float, default=10_000.0, help="messages a second")
    flooding.add_argument("--calls", type=int, default=50, help="that live through it")
    leaking = commands.add_parser("leak", help="session after session, with SIPp as callee")
    leaking.add_argument("--seconds", type=float, default=600.0)
    leaking.add_argument("--rate", type=float, default=200.0, help="new sessions a second")
    for command in (flooding, leaking):
        command.add_argument("--json", action="store_true", help="print the document instead of the table")
        command.add_argument("--quick", action="store_true", help="short looks; how late things came is not judged")
    known = parser.parse_args()
    if known.command == "flood":
        soaking = flood.soak(flood.Plan(known.seconds, known.rate, known.calls, known.quick))
    else:
        soaking = leak.soak(leak.Plan(known.seconds, known.rate, known.quick))
    verdict = asyncio.run(soaking)
    if known.json:
        print(as_text(verdict.document(datetime.now(UTC).strftime("%Y-%m-%d"))), end="")
    else:
        verdict.show(Console(highlight=False))
    return 0 if verdict.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
