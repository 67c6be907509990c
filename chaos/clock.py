"""`python -m chaos.clock`: the wall clock jumps by hours and days while calls are up, phones ring and webhooks wait.

libfaketime tells the server's processes the time, and leaves the monotonic clock alone (Debian's package `faketime`).
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.table import Table
from tests.web import Request, respond, web_server

from chaos.outside import Phones, Trouble, Zygote, until
from chaos.served import LIVE, Served, conversations, message, serving

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
JUMPS: Final = (HOUR, -HOUR, DAY, -DAY)
RING_SECONDS: Final = 5.0
WAITS: Final = (1.0, 10.0)
"""Between the tries of a webhook: the promise of docs/webhooks.md, each up to a tenth longer."""
LATE_SECONDS: Final = 30.0
"""A machine may be slow; a timer that moved with the clock is off by an hour."""
EARLIEST: Final = 0.5
"""The part of its time after which a timer of a busy machine may seem to end: what it timed began late. One that moved
with the clock is over at once."""
MOST_SECONDS: Final = 90.0
TALK: Final = " ".join(("One, two, three, four, five.",) * 4)


def library() -> Path | None:
    """libfaketime, for programs with threads; None when it is not installed."""
    return next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


class WallClock:
    """What the server's processes are told that the time is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead_seconds = 0
        self.jump(0)

    def environment(self, preload: Path) -> dict[str, str]:
        """For those who are to believe it."""
        return {
            "LD_PRELOAD": str(preload),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, seconds: int) -> None:
        """By so much, from one moment to the next."""
        self.ahead_seconds += seconds
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{self.ahead_seconds:+d}\n")
        draft.rename(self._file)


@dataclass(frozen=True, slots=True)
class Try:
    """A webhook that came."""

    at: float
    "by our monotonic clock"
    stamp_error_seconds: float
    "its webhook-timestamp, less what the jumping clock said"


class Receiver:
    """A customer who refuses summaries until told otherwise, and notes when they came."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self.refusals = 0
        "how many tries of each event are refused"
        self.tries: dict[str, list[Try]] = {}
        "by session"
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Listen."""
        async with web_server(self._answer) as self.port:
            yield self

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        tries = self.tries.setdefault(json.loads(request.body)["payload"]["sessionId"], [])
        wall = time.time() + self._clock.ahead_seconds
        tries.append(Try(time.monotonic(), int(request.headers["webhook-timestamp"]) - wall))
        await respond(writer, b"{}", 500 if len(tries) <= self.refusals else 200)


@dataclass(slots=True)
class Jump:
    """What came of one."""

    seconds: int
    talk_error_seconds: float = 0.0
    "the length of a call that was up, less that of one in calm"
    ring_error_seconds: float = 0.0
    "how long it rang, less how long it may"
    retry_errors_seconds: list[float] = field(default_factory=list)
    "how much later than promised a webhook was tried again"
    stamp_error_seconds: float = 0.0
    "of the timestamp that was signed after the jump"
    faults: list[str] = field(default_factory=list)


class _Day:
    """The server whose clock jumps, and those who notice."""

    def __init__(self, served: Served, clock: WallClock, receiver: Receiver, phones: Phones, folder: Path) -> None:
        self._served = served
        self._clock = clock
        self._receiver = receiver
        self._phones = phones
        self._folder = folder
        self._count = 0
        self._calm_seconds = 0.0

    async def begin(self) -> None:
        """Two calls in calm: the first waits for speech to be made, the second says how long such a call is."""
        for _ in range(2):
            number, session = await self._post("1", TALK)
            await until(lambda session=session: session in self._receiver.tries, MOST_SECONDS, "the summary")  # type: ignore[misc]  # the default is the point
            self._calm_seconds = conversations(self._folder)[number][0].seconds

    async def jump(self, seconds: int, refusals: int) -> Jump:
        """Jump while a call is up, a phone rings and a webhook waits for its next try."""
        found = Jump(seconds)
        self._receiver.refusals = refusals
        _, waiting = await self._post("1", "One.")
        await until(lambda: waiting in self._receiver.tries, MOST_SECONDS, "the first try of a webhook")
        up = len(self._phones.calls())
        talking, _ = await self._post("1", TALK)
        ringing, rung = await self._post("4", "One.")
        await until(lambda: len(self._phones.calls()) == up + 2, MOST_SECONDS, "the calls")
        self._clock.jump(seconds)
        accepted = await self._valid_until(found)
        await until(lambda: len(self._receiver.tries[waiting]) > refusals, MOST_SECONDS, "the last try of the webhook")
        await until(lambda: all(call.ending for call in self._phones.calls()), MOST_SECONDS, "the end of the calls")
        await until(lambda: {rung, *accepted} <= self._receiver.tries.keys(), MOST_SECONDS, "the summaries")
        calls = conversations(self._folder)
        found.talk_error_seconds = calls[talking][0].seconds - self._calm_seconds
        found.ring_error_seconds = calls[ringing][0].seconds - RING_SECONDS
        gaps = [later.at - sooner.at for sooner, later in itertools.pairwise(self._receiver.tries[waiting])]
        found.retry_errors_seconds = [gap - wait for gap, wait in zip(gaps, WAITS, strict=False)]
        # Those accepted after the jump: a try of the one that waited may have come before it.
        stamps = [one.stamp_error_seconds for session in accepted for one in self._receiver.tries[session]]
        found.stamp_error_seconds = max(stamps, key=abs, default=0.0)
        self._judge(found)
        return found

    async def _valid_until(self, found: Jump) -> list[str]:
        """What the server knew when it started counts: a minute from then on is to come, and a minute ago is over.

        The sessions that were accepted; what should have been and was not is a fault.
        """
        accepted = []
        for minutes, wanted in ((1, 200), (-1, 422)):
            until_then = datetime.fromtimestamp(time.time() + 60 * minutes, UTC)
            body = self._body("1", "One.")[1]
            body["validUntil"] = until_then.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            answer = await self._served.ask("POST", "/callflows", body)
            if answer.status != wanted or (wanted == 422 and answer.body["statusCode"] != -1015):
                found.faults.append(f"valid until {minutes} minutes from now: HTTP {answer.status} {answer.body}")
            elif wanted == 200:
                accepted.append(str(answer.body["sessionId"]))
        return accepted

    def _judge(self, found: Jump) -> None:
        errors = {
            "a call": (self._calm_seconds, found.talk_error_seconds),
            "ringing": (RING_SECONDS, found.ring_error_seconds),
        }
        for index, error in enumerate(found.retry_errors_seconds):
            errors[f"try {index + 2}"] = WAITS[index], error
        for name, (wanted, error) in errors.items():
            if not -EARLIEST * wanted < error < LATE_SECONDS:
                found.faults.append(f"{name}: {error:+.1f} s off")
        if abs(found.stamp_error_seconds) > LATE_SECONDS:
            found.faults.append(f"a signature's timestamp is {found.stamp_error_seconds:+.1f} s off the wall clock")

    def _body(self, kind: str, text: str) -> tuple[str, dict[str, object]]:
        self._count += 1
        number = f"+658{kind}{self._count:06}"
        return number, message(number, text=text)

    async def _post(self, kind: str, text: str) -> tuple[str, str]:
        number, body = self._body(kind, text)
        return number, str((await self._served.must("POST", "/callflows", body))["sessionId"])


async def bad_day(folder: Path, jumps: Sequence[int], refusals: int) -> list[Jump]:
    """One jump after the other, each webhook being refused `refusals` times."""
    preload = library()
    if preload is None:
        raise Trouble("libfaketime is missing: scripts/install-peers installs it")
    clock = WallClock(folder / "faketime")
    async with AsyncExitStack() as stack:
        zygote = await stack.enter_async_context(Zygote.started(sys.executable, clock.environment(preload)))
        phones = await stack.enter_async_context(Phones.started(folder))
        receiver = await stack.enter_async_context(Receiver(clock).serving())
        more = {"ring-timeout-seconds": int(RING_SECONDS)}
        served = await stack.enter_async_context(serving(zygote, folder, phones.port, more))
        await served.must("POST", "/webhooks", {"type": "VSS", "url": f"http://127.0.0.1:{receiver.port}/vss"})
        day = _Day(served, clock, receiver, phones, folder)
        await day.begin()
        found = [await day.jump(seconds, refusals) for seconds in jumps]
        await until(lambda: all(call.ending for call in phones.calls()), MOST_SECONDS, "the end of the calls")
        unfinished = [session for session, status in (await served.sessions()).items() if status == LIVE]
        if unfinished:
            found[-1].faults.append(f"sessions without an end: {unfinished}")
    return found


def show(jumps: Sequence[Jump]) -> None:
    """A table for people; faults below."""
    table = Table("the wall clock jumped (s)", "call (s off)", "ringing", "next tries", "timestamp")
    for jump in jumps:
        numbers = (jump.talk_error_seconds, jump.ring_error_seconds)
        retries = " ".join(f"{error:+.2f}" for error in jump.retry_errors_seconds)
        stamp = f"{jump.stamp_error_seconds:+.1f}"
        table.add_row(f"{jump.seconds:+,}", *(f"{number:+.2f}" for number in numbers), retries, stamp)
    console = Console()
    console.print(table)
    for jump in jumps:
        for fault in jump.faults:
            console.print(f"{jump.seconds:+d}: {fault}", markup=False, highlight=False)


def main() -> int:
    """Run as the command line says; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="chaos.clock", description="Have the wall clock jump, and measure.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--keep", type=Path, help="folder for logs, kept")
    known = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callwright-chaos-") as temporary:
        folder = known.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        jumps = asyncio.run(bad_day(folder, JUMPS, len(WAITS)))
    show(jumps)
    if known.json:
        known.json.write_text(json.dumps([asdict(jump) for jump in jumps], indent=1) + "\n")
    return int(any(jump.faults for jump in jumps))


if __name__ == "__main__":
    sys.exit(main())
