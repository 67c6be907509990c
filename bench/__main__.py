"""`python -m bench`: measure, print a table, write it to `bench/results/`, compare with what was there before."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from rich.console import Console

from bench import accept, concurrent_calls, contract_parse, full_session, idle, latency, report, sip_message, uncached
from bench.rig.machine import load_average
from bench.rig.result import Result
from bench.rig.rig import Rig

# In this order: a server that has done nothing comes before one that has.
MEASURES: dict[str, Callable[[Rig], Awaitable[Result]]] = {
    "sip_message": sip_message.measure,
    "contract_parse": contract_parse.measure,
    "idle": idle.measure,
    "latency": latency.measure,
    "uncached": uncached.measure,
    "concurrent_calls": concurrent_calls.measure,
    "full_session": full_session.measure,
    "accept": accept.measure,
}


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASURES, metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--quick", action="store_true", help="small numbers that prove nothing; nothing is written")
    parser.add_argument("--json", action="store_true", help="print the document instead of the table")
    arguments = parser.parse_args()
    load_before = load_average()
    before = report.values(report.last())
    names = [name for name in MEASURES if not arguments.only or name in arguments.only]
    results = asyncio.run(_measure(names, quick=arguments.quick))
    content = report.document(results, datetime.now(UTC).strftime("%Y-%m-%d"), load_before)
    if arguments.json:
        print(json.dumps(content, indent=1))
    else:
        report.show(Console(highlight=False), results, before)
    whole = len(names) == len(MEASURES) and not arguments.quick
    if whole:
        print(f"written to {report.write(content).relative_to(report.RESULTS.parent.parent)}", file=sys.stderr)
    return 0


async def _measure(names: list[str], *, quick: bool) -> list[Result]:
    rig = Rig(quick=quick)
    results = []
    try:
        for name in names:
            print(f"measuring {name} …", file=sys.stderr)
            results.append(await MEASURES[name](rig))
    finally:
        await rig.close()
    return results


if __name__ == "__main__":
    sys.exit(main())
