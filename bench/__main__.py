"""`python -m bench`: measure, print a table beside the last committed result, write it to `bench/results/`.

A measurement that fails is reported with its reason, and the others still run; the exit status is 1 then.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from rich.console import Console

from bench import accept, concurrent_calls, contract_parse, full_session, idle, latency, report, sip_message, uncached
from bench.peers import installed
from bench.peers.installed import Peer
from bench.rig.machine import load_average
from bench.rig.result import Failure, Result
from bench.rig.rig import Rig, Size
from bench.rig.trouble import Attempt

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
LIMIT_SECONDS = 1_500.0
"""For one measurement: thousands of calls on a busy machine take half of it."""


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASURES, metavar="NAME", help=", ".join(MEASURES))
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--short", action="store_true", help="fewer of everything, for a first look; nothing is written")
    sizes.add_argument("--quick", action="store_true", help="small numbers that prove nothing; nothing is written")
    parser.add_argument(
        "--peers", action="store_true", help="give other programs the same work, as far as there are any"
    )
    parser.add_argument("--json", action="store_true", help="print the document instead of the table")
    arguments = parser.parse_args()
    load_before = load_average()
    before = report.committed()
    names = [name for name in MEASURES if not arguments.only or name in arguments.only]
    size: Size = "quick" if arguments.quick else "short" if arguments.short else "whole"
    results = asyncio.run(_measure(names, size))
    peers = asyncio.run(installed.measure(size)) if arguments.peers else []
    content = report.document(results, datetime.now(UTC).strftime("%Y-%m-%d"), load_before, peers)
    if arguments.json:
        print(json.dumps(content, indent=1))
    else:
        report.show(Console(highlight=False), results, before, peers)
    if len(names) == len(MEASURES) and size == "whole":
        print(f"written to {report.write(content).relative_to(report.RESULTS.parent.parent)}", file=sys.stderr)
    return _tell_failures(results, peers)


def _tell_failures(results: list[Result], peers: list[Peer]) -> int:
    """One line each; the exit status."""
    everyone = [*results, *(peer.result for peer in peers if peer.result is not None)]
    failures = [(result.name, failure) for result in everyone for failure in result.failures]
    for name, failure in failures:
        what = name if name == failure.name else f"{name}: {failure.name}"
        print(f"failed: {what}: {failure.reason}", file=sys.stderr)
    return 1 if failures else 0


async def _measure(names: list[str], size: Size) -> list[Result]:
    """One after the other on one server; after one that failed, on a fresh one."""
    results: list[Result] = []
    rig = Rig(size)
    try:
        for name in names:
            print(f"measuring {name} …", file=sys.stderr)
            failures: list[Failure] = []
            with Attempt(name, failures):
                async with asyncio.timeout(LIMIT_SECONDS):
                    results.append(await MEASURES[name](rig))
            if failures:
                results.append(Result(name, (), failures=tuple(failures)))
            if results[-1].failures:
                await rig.close()
                rig = Rig(size)
    finally:
        await rig.close()
    return results


if __name__ == "__main__":
    sys.exit(main())
