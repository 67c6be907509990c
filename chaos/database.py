"""`python -m chaos.database`: two servers on one PostgreSQL, which is restarted, killed and stopped under load.

Callflows are posted under Idempotency-Keys, at a steady rate, to either server; SIPp takes the calls and a web server
the summaries. One client in ten takes a 503 for an answer; all others ask again under their key until they are
accepted.
"""

import argparse
import asyncio
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.table import Table
from tests.postgres import Postgres

from chaos.outside import Customer, Phones, Trouble, Zygote, until
from chaos.served import LIVE, Answer, Conversation, Served, conversations, message, serving

PROMISED_SECONDS: Final = 2.0
"""A 503 comes within them."""
CALM_SECONDS: Final = 6.0
"""Between one bad moment and the next."""
AWAY_SECONDS: Final = 4.0
"""How long it is stopped, or stays dead."""
ACCEPT_SECONDS: Final = 180.0
"""How long a client asks again."""
SETTLE_SECONDS: Final = 120.0
ORPHAN_SECONDS: Final = 40.0
LONG: Final = " ".join(("One, two, three, four, five.",) * 8)
"""What a long call says: it lasts longer than the database is away."""
SLACK_SECONDS: Final = 0.5
"""By how much calls differ in length when nobody cuts them short: set-up, and the machine's other work."""
KINDS: Final = ("restarted", "killed", "stopped")
UNHURT: Final = "not hurt yet"
Result = TypeVar("Result")


@dataclass(slots=True)
class Post:
    """One callflow, and what its client was told."""

    number: str
    body: dict[str, Any]
    is_long: bool
    gives_up: bool
    "takes a 503 for an answer"
    session_id: str = ""
    was_refused: bool = False


@dataclass(slots=True)
class Moment:
    """One kind of bad moment, and the answers while it lasted."""

    kind: str
    times: int = 0
    away_seconds: float = 0.0
    "until the database answered again, together"
    calls_up: int = 0
    "when it began, together"
    refusals: int = 0
    "answers with HTTP 503"
    bare: int = 0
    "without Retry-After"
    slowest_seconds: float = 0.0
    "of those refusals"
    late: int = 0
    "refusals after more than two seconds"


@dataclass(slots=True)
class Outcome:
    """What came of it all."""

    moments: list[Moment]
    sessions: int = 0
    "accepted"
    refused: int = 0
    "clients that took a 503 for an answer"
    unanswered: int = 0
    "requests without any answer"
    lost: int = 0
    "accepted, and without a terminal record or its summary"
    told_twice: int = 0
    "two summaries that differ"
    dialled_twice: int = 0
    acted: int = 0
    "refused, and there nevertheless: sessions or calls that nobody was told of"
    cut_short: int = 0
    "calls that were up and ended before they were through"
    orphans: int = 0
    "phones that were left alone for more than 30 s"
    statuses: dict[str, int] = field(default_factory=dict)
    "of the terminal records; of those that are ERROR, the errorCode too"
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def broken(self) -> int:
        """How many promises were, but for those that a slow machine breaks (`Moment.late`)."""
        bare = sum(moment.bare for moment in self.moments)
        told = self.lost + self.told_twice + self.unanswered
        return bare + told + self.dialled_twice + self.acted + self.cut_short + self.orphans

    def is_bad(self) -> bool:
        """Whether any was."""
        return bool(self.broken() or sum(moment.late for moment in self.moments))


class Database:
    """PostgreSQL on a thread of its own: it ends with the thread that started it, and starting it takes a while."""

    def __init__(self, thread: ThreadPoolExecutor, server: Postgres) -> None:
        self._thread = thread
        self._server = server

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator["Database"]:
        """One that keeps its promises: fsync and full pages."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            server = await loop.run_in_executor(thread, lambda: Postgres(is_durable=True))
            try:
                yield cls(thread, server)
            finally:
                await loop.run_in_executor(thread, server.remove)

    async def create(self) -> str:
        """A new database; its URL."""
        return self._server.url(await self._do(self._server.create))

    async def hurt(self, kind: str, seconds: float) -> None:
        """Restart, kill -9 or stop it; returns when it is back."""
        match kind:
            case "restarted":
                await self._do(lambda: self._server.stop(signal.SIGINT))
                await self._do(self._server.start)
            case "killed":
                await self._do(self._server.kill)
                await asyncio.sleep(seconds)
                await self._do(self._server.start)
            case _:
                await self._do(self._server.freeze)
                await asyncio.sleep(seconds)
                await self._do(self._server.thaw)

    async def _do(self, what: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, what)


class Clients:
    """Those who post callflows to the servers, and what they were told."""

    def __init__(self, servers: Sequence[Served], outcome: Outcome, chance: random.Random) -> None:
        self._servers = itertools.cycle(servers)
        self._outcome = outcome
        self._chance = chance
        self.posts: list[Post] = []
        self.moment = Moment(UNHURT)
        "the latest bad one; a busy machine may be too slow even before"

    async def post(self, count: int, rate: float) -> None:
        """`count` callflows, `rate` a second, each until its client is content."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for index in range(count):
                await asyncio.sleep(max(0.0, begun + index / rate - time.monotonic()))
                group.create_task(self._insist(self._new()))

    async def post_one(self, *, is_long: bool) -> Post:
        """One that is accepted."""
        post = self._new(is_long=is_long, gives_up=False)
        await self._insist(post)
        return post

    def _new(self, *, is_long: bool | None = None, gives_up: bool | None = None) -> Post:
        long = self._chance.random() < 0.25 if is_long is None else is_long
        number = f"+6581{len(self.posts):06}"
        post = Post(
            number,
            message(number, text=LONG if long else "One."),
            is_long=long,
            gives_up=self._chance.random() < 0.1 if gives_up is None else gives_up,
        )
        self.posts.append(post)
        return post

    async def _insist(self, post: Post) -> None:
        give_up_at = time.monotonic() + ACCEPT_SECONDS
        while time.monotonic() < give_up_at:
            moment = self.moment
            answer = await next(self._servers).ask("POST", "/callflows", post.body, f"key-{post.number}")
            if answer.status == 200:
                post.session_id = answer.body["sessionId"]
                return
            if answer.status == 0:
                self._outcome.unanswered += 1
            elif answer.status == 503:
                self._note(answer, moment)
                if post.gives_up:
                    post.was_refused = True
                    return
            elif answer.status != 409:  # the one before is not known to have ended yet
                raise Trouble(f"a callflow was refused: HTTP {answer.status} {answer.body}")
            await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
        raise Trouble(f"the callflow to {post.number} is not accepted")

    def _note(self, answer: Answer, moment: Moment) -> None:
        moment.refusals += 1
        moment.slowest_seconds = max(moment.slowest_seconds, answer.seconds)
        if answer.seconds > PROMISED_SECONDS:
            moment.late += 1
        if not answer.headers.get("retry-after", "").isdigit():
            moment.bare += 1
            self._outcome.faults.append(f"a 503 without Retry-After: {answer.headers}")


async def bad_days(
    folder: Path, sessions: int, rate: float, seed: int, *, calm_seconds: float, away_seconds: float
) -> Outcome:
    """Run it, count, and say what came of it."""
    begun = time.monotonic()
    outcome = Outcome([Moment(kind) for kind in KINDS])
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.started())
        url = await database.create()
        zygote = await stack.enter_async_context(Zygote.started(sys.executable, {}))
        phones = await stack.enter_async_context(Phones.started(folder))
        customer = await stack.enter_async_context(Customer().serving())
        servers = [
            await stack.enter_async_context(_node(zygote, folder, name, phones.port, url)) for name in ("one", "two")
        ]
        wanted = {"type": "VSS", "url": f"http://127.0.0.1:{customer.port}/vss"}
        await servers[0].must("POST", "/webhooks", wanted)
        await asyncio.sleep(3.0)  # the other node looks every two
        clients = Clients(servers, outcome, random.Random(seed))  # noqa: S311  a game
        for is_long in (False, True):
            await clients.post_one(is_long=is_long)
        await until(lambda: len(phones.calls()) == 2, SETTLE_SECONDS, "the first calls, and their speech")
        calm = {is_long: await clients.post_one(is_long=is_long) for is_long in (False, True)}
        await _settled(clients.posts, customer)
        lengths = {is_long: conversations(folder)[post.number][0].seconds for is_long, post in calm.items()}
        load = asyncio.create_task(clients.post(sessions - len(clients.posts), rate))
        bad = tuple(outcome.moments)
        outcome.moments.insert(0, clients.moment)
        for moment in itertools.cycle(bad):
            await asyncio.wait([load], timeout=calm_seconds)
            if load.done():
                break
            await _hurt(database, moment, clients, phones, away_seconds)
        await load
        await _settled(clients.posts, customer)
        await _phones_down(phones)
        listed = await servers[0].sessions()
        reckon(outcome, clients.posts, customer.summaries, listed, conversations(folder), lengths)
    outcome.seconds = time.monotonic() - begun
    return outcome


@asynccontextmanager
async def _node(zygote: Zygote, folder: Path, name: str, trunk_port: int, url: str) -> AsyncIterator[Served]:
    own = folder / name
    (own / "data").mkdir(parents=True)
    first = folder / "one" / "data" / "secrets.key"
    if name != "one":
        shutil.copy(first, own / "data" / "secrets.key")
    async with serving(zygote, own, trunk_port, {"database": url}) as served:
        yield served


async def _hurt(database: Database, moment: Moment, clients: Clients, phones: Phones, away_seconds: float) -> None:
    moment.times += 1
    moment.calls_up += sum(not call.ending for call in phones.calls())
    clients.moment = moment
    begun = time.monotonic()
    await database.hurt(moment.kind, away_seconds)
    moment.away_seconds += time.monotonic() - begun


async def _settled(posts: Sequence[Post], customer: Customer) -> None:
    """Until every session has its summary, or too long."""
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < give_up_at:
        if all(customer.summaries.get(post.session_id) for post in posts if post.session_id):
            return
        await asyncio.sleep(0.2)


async def _phones_down(phones: Phones) -> None:
    """Until no phone is up; one that nobody talks to says after 31 s that it is an orphan."""
    give_up_at = time.monotonic() + ORPHAN_SECONDS
    while any(not call.ending for call in phones.calls()) and time.monotonic() < give_up_at:  # noqa: ASYNC110  they do not tell
        await asyncio.sleep(0.2)


def reckon(
    outcome: Outcome,
    posts: Sequence[Post],
    summaries: dict[str, list[tuple[str, bytes]]],
    listed: dict[str, str],
    calls: dict[str, list[Conversation]],
    lengths: dict[bool, float],
) -> None:
    """Hold what clients were told against what phones, receivers and records say."""
    for post in posts:
        name = f"{post.session_id or 'refused'} to {post.number}"
        mine = calls.get(post.number, [])
        if len(mine) > 1:
            outcome.dialled_twice += 1
            outcome.faults.append(f"{name}: was dialled {len(mine)} times")
        for call in mine:
            if call.ending in ("orphan", ""):
                outcome.orphans += 1
                outcome.faults.append(f"{name}: the phone was left alone ({call.ending or 'still up'})")
        if not post.session_id:
            outcome.refused += 1
            if mine:
                outcome.acted += 1
                outcome.faults.append(f"{name}: was dialled though it was refused")
            continue
        outcome.sessions += 1
        _judge(outcome, name, listed.get(post.session_id, LIVE), summaries.get(post.session_id, []))
        if post.is_long and mine and mine[0].seconds < lengths[True] - SLACK_SECONDS:
            outcome.cut_short += 1
            outcome.faults.append(f"{name}: lasted {mine[0].seconds:.1f} s instead of {lengths[post.is_long]:.1f}")
    strangers = set(listed) - {post.session_id for post in posts}
    outcome.acted += len(strangers)
    if strangers:
        outcome.faults.append(f"sessions that nobody was told of: {sorted(strangers)}")
    accepted = [post.session_id for post in posts if post.session_id]
    ends = Counter(_end(listed.get(session, "nothing"), summaries.get(session, [])) for session in accepted)
    outcome.statuses = dict(sorted(ends.items()))


def _end(status: str, told: Sequence[tuple[str, bytes]]) -> str:
    details = json.loads(told[0][1])["payload"].get("errorDetails") if told else None
    return status if details is None else f"{status} {details['errorCode']}: {details['errorMsg']}"


def _judge(outcome: Outcome, name: str, status: str, told: Sequence[tuple[str, bytes]]) -> None:
    if status == LIVE or not told:
        outcome.lost += 1
        outcome.faults.append(f"{name}: record {status}, {len(told)} summaries")
    if len(set(told)) > 1:
        outcome.told_twice += 1
        outcome.faults.append(f"{name}: {len(set(told))} different summaries")


def show(outcome: Outcome) -> None:
    """Two tables for people; faults below."""
    console = Console()
    moments = Table("PostgreSQL was", "times", "away (s)", "calls up", "503", "slowest (s)", "> 2 s", "bare")
    for moment in outcome.moments:
        away, up = (total / max(1, moment.times) for total in (moment.away_seconds, moment.calls_up))
        numbers = (f"{away:.1f}", f"{up:.0f}", f"{moment.refusals:,}", f"{moment.slowest_seconds:.2f}")
        moments.add_row(moment.kind, str(moment.times), *numbers, str(moment.late), str(moment.bare))
    console.print(moments)
    counted = Table("", "")
    for name, value in asdict(outcome).items():
        if isinstance(value, int):
            counted.add_row(name.replace("_", " "), f"{value:,}")
    for status, number in outcome.statuses.items():
        counted.add_row(f"ended as {status}", f"{number:,}")
    console.print(counted)
    for fault in outcome.faults[:50]:
        console.print(fault, markup=False, highlight=False)


def main() -> int:
    """Run as the command line says; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="chaos.database", description="Hurt PostgreSQL under load, and count.")
    parser.add_argument("--sessions", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=15.0, help="sessions a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--keep", type=Path, help="folder for logs, kept")
    known = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callwright-chaos-") as temporary:
        folder = known.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(
            bad_days(
                folder, known.sessions, known.rate, known.seed, calm_seconds=CALM_SECONDS, away_seconds=AWAY_SECONDS
            )
        )
    show(outcome)
    if known.json:
        known.json.write_text(json.dumps(asdict(outcome), indent=1) + "\n")
    return int(outcome.is_bad())


if __name__ == "__main__":
    sys.exit(main())
