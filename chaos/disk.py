"""`python -m chaos.disk`: the disk under the data folder is filled while calls are up, and has room again later.

The folder lies on a tmpfs of a few MiB, which takes root to mount. Nothing is restarted.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from chaos.outside import Customer, Phones, Trouble, Zygote, until
from chaos.served import LIVE, Served, conversations, message, serving

MOST_ACCEPTED: Final = 2_000
"""What may still fit into the room that the database has already, before it is refused."""
MOST_SECONDS: Final = 60.0
TALK: Final = " ".join(("One, two, three, four, five.",) * 4)
NEW: Final = "These words were never spoken before the disk was full."


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    calls_up: int = 0
    "when the disk became full"
    accepted: int = 0
    "before it, while the last room was used up, and afterwards"
    accepted_when_full: int = 0
    refused: int = 0
    "with HTTP 503 and Retry-After, for want of room"
    slowest_seconds: float = 0.0
    "of those answers"
    recovered_seconds: float = 0.0
    "from the moment when there was room again to the next callflow that was accepted"
    lost: int = 0
    "accepted, and without a terminal record or its one summary"
    acted: int = 0
    "refused, and dialled or recorded nevertheless"
    cut_short: int = 0
    "calls that were up, and did not last as long as others"
    left_alone: int = 0
    "phones that got no BYE"
    statuses: dict[str, int] = field(default_factory=dict)
    "of the terminal records"
    faults: list[str] = field(default_factory=list)

    def is_bad(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.faults)


def can_mount() -> bool:
    """Whether this user may mount a tmpfs here."""
    with tempfile.TemporaryDirectory(prefix="callwright-disk-") as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
    return done.returncode == 0


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Path]:
    """A folder on a disk of this size. Trouble when this user may not mount one."""
    with tempfile.TemporaryDirectory(prefix="callwright-disk-") as name:
        options = f"size={mebibytes}m"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", name], capture_output=True, check=False)
        if done.returncode:
            raise Trouble(f"a small disk cannot be mounted (that takes root): {done.stderr.decode().strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def fill(path: Path) -> None:
    """Write a file until nothing more fits on its disk."""
    with path.open("ab", buffering=0) as file:
        for piece in (bytes(65_536), bytes(4_096), bytes(1)):
            try:
                while file.write(piece) == len(piece):
                    pass
            except OSError:
                continue


class _Day:
    """The server on that disk, and what its clients were told."""

    def __init__(self, served: Served, outcome: Outcome) -> None:
        self.served = served
        self._outcome = outcome
        self.accepted: dict[str, str] = {}
        "number → session"
        self.refused: list[str] = []
        self._numbers = iter(range(1_000_000))

    async def post(self, text: str = "One.", *more: str) -> str:
        """One callflow; its number, empty when it was refused."""
        number = f"+6581{next(self._numbers):06}"
        body = message(number, text=text)
        body["callflow"][2:2] = [message(number, text=later)["callflow"][1] for later in more]
        answer = await self.served.ask("POST", "/callflows", body, f"key-{number}")
        if answer.status == 200:
            self.accepted[number] = answer.body["sessionId"]
            return number
        self.refused.append(number)
        self._outcome.slowest_seconds = max(self._outcome.slowest_seconds, answer.seconds)
        if answer.status != 503 or not answer.headers.get("retry-after", "").isdigit():
            self._outcome.faults.append(f"refused with HTTP {answer.status} {answer.headers} {answer.body}")
        return ""

    async def use_up(self, refusals: int) -> None:
        """Post until so many in a row are refused."""
        row, before = 0, len(self.accepted)
        while row < refusals:
            row = 0 if await self.post() else row + 1
            self._outcome.accepted_when_full = len(self.accepted) - before
            if self._outcome.accepted_when_full > MOST_ACCEPTED:
                raise Trouble("the disk does not become full")

    async def recover(self) -> None:
        """Post until one is accepted."""
        begun = time.monotonic()
        while not await self.post():
            if time.monotonic() > begun + MOST_SECONDS:
                raise Trouble("nothing is accepted though there is room again")
            await asyncio.sleep(0.1)
        self._outcome.recovered_seconds = time.monotonic() - begun


async def bad_day(folder: Path, mebibytes: int, calls: int, refusals: int) -> Outcome:
    """Fill the disk while `calls` are up, be refused `refusals` times, make room, and count."""
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(small_disk(mebibytes))
        zygote = await stack.enter_async_context(Zygote.started(sys.executable, {}))
        phones = await stack.enter_async_context(Phones.started(folder))
        customer = await stack.enter_async_context(Customer().serving())
        # What the settings name lies on the small disk; the log and what phones write do not.
        served = await stack.enter_async_context(serving(zygote, folder, phones.port, {"data": disk / "data"}))
        await served.must("POST", "/webhooks", {"type": "VSS", "url": f"http://127.0.0.1:{customer.port}/vss"})
        day = _Day(served, outcome)

        def told() -> bool:
            return all(customer.summaries.get(session) for session in day.accepted.values())

        def down() -> bool:
            return all(call.ending for call in phones.calls())

        calm = ""
        for _ in range(2):  # the first one waits for speech to be made
            calm = await day.post(TALK)
            await day.post()
            await until(told, MOST_SECONDS, "the first summaries")
        length = conversations(folder)[calm][0].seconds
        before = len(phones.calls())
        talking = [await day.post(TALK) for _ in range(calls)]
        await day.post(TALK, NEW)  # what is to be said has no room either: it may end as ERROR, but end it does
        await until(lambda: len(phones.calls()) == before + calls + 1, MOST_SECONDS, "the calls")
        fill(disk / "filler")
        outcome.calls_up = sum(not call.ending for call in phones.calls())
        await day.use_up(refusals)
        outcome.refused = len(day.refused)
        await until(down, MOST_SECONDS, "the end of the calls, the disk being full,")
        os.truncate(disk / "filler", 0)
        await day.recover()
        await until(told, MOST_SECONDS, "the summaries")
        await until(down, MOST_SECONDS, "the end of the calls")
        _reckon(outcome, day, await served.sessions(), customer, folder, dict.fromkeys(talking, length))
    return outcome


def _reckon(
    outcome: Outcome, day: _Day, listed: dict[str, str], customer: Customer, folder: Path, lengths: dict[str, float]
) -> None:
    calls = conversations(folder)
    outcome.accepted = len(day.accepted)
    for number, session in day.accepted.items():
        status, told = listed.get(session, LIVE), set(customer.summaries.get(session, []))
        outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
        mine = calls.get(number, [])
        if status == LIVE or len(told) != 1 or len(mine) > 1:
            outcome.lost += 1
            outcome.faults.append(f"{session}: record {status}, {len(told)} summaries, {len(mine)} calls")
        outcome.left_alone += sum(call.ending not in ("ended", "cancelled") for call in mine)
        if number in lengths and (not mine or mine[0].seconds < lengths[number] - 0.5):
            outcome.cut_short += 1
            outcome.faults.append(f"{session}: {mine} instead of {lengths[number]:.1f} s")
    strangers = set(listed) - set(day.accepted.values())
    outcome.acted = len(strangers) + sum(number in calls for number in day.refused)
    if outcome.acted or outcome.left_alone:
        outcome.faults.append(f"{outcome.acted} refused ones acted, {outcome.left_alone} phones were left alone")


def show(outcome: Outcome) -> None:
    """A table for people; faults below."""
    table = Table("disk full", "")
    for name, value in asdict(outcome).items():
        if isinstance(value, int | float):
            table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.2f}")
    for status, number in outcome.statuses.items():
        table.add_row(f"ended as {status}", f"{number:,}")
    console = Console()
    console.print(table)
    for fault in outcome.faults[:50]:
        console.print(fault, markup=False, highlight=False)


def main() -> int:
    """Run as the command line says; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="chaos.disk", description="Fill the disk under the data folder, and count.")
    parser.add_argument("--mib", type=int, default=12, help="size of the disk")
    parser.add_argument("--calls", type=int, default=20, help="up when it becomes full")
    parser.add_argument("--refusals", type=int, default=200, help="until there is room again")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--keep", type=Path, help="folder for logs, kept")
    known = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callwright-chaos-") as temporary:
        folder = known.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(bad_day(folder, known.mib, known.calls, known.refusals))
    show(outcome)
    if known.json:
        known.json.write_text(json.dumps(asdict(outcome), indent=1) + "\n")
    return int(outcome.is_bad())


if __name__ == "__main__":
    sys.exit(main())
