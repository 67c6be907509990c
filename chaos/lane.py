"""One data folder whose process is killed over and over, and the reckoning afterwards."""

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from chaos.outside import CallSeen, Customer, Phones, Trouble, Zygote, free_port, request, until

LIVE: Final = "IN_PROGRESS"
KEY: Final = "cw_the-key-of-the-chaos-harness"
ACCOUNT: Final = "riders_hq"
SOURCE: Final = "+6512341234"
VOICE: Final = "en-IE-EmilyNeural"
READY_SECONDS: Final = 40.0
REACH_SECONDS: Final = 8.0
"""How long a victim has to reach its point; one that does not is asked to do more."""
SETTLE_SECONDS: Final = 75.0
ANSWERS, RINGS, LEAVES = "1", "4", "7"
"""The digit after +658 says what the phone does (callee.xml)."""
MOST_WISHES: Final = 6
"""Rounds of callflows for one victim."""


@dataclass(slots=True)
class Post:
    """One callflow, posted as often as needed under one Idempotency-Key."""

    key: str
    numbers: tuple[str, ...]
    body: dict[str, Any]
    session_id: str = ""
    "empty until an answer came"


@dataclass(slots=True)
class Tally:
    """What came of the kills at one point."""

    point: str
    kills: int = 0
    sessions: int = 0
    "accepted while it was aimed at"
    lost: int = 0
    "accepted, and without a terminal record or its summary"
    twice: int = 0
    "with two records, two summaries that differ, or a leg that was dialled twice"
    orphans: int = 0
    "phones that were left alone for more than 30 s"
    faults: list[str] = field(default_factory=list)


class Lane:
    """A data folder, its phones and its customer."""

    def __init__(self, zygote: Zygote, folder: Path, phones: Phones, customer: Customer, chance: random.Random) -> None:
        self._zygote = zygote
        self._folder = folder
        self._phones = phones
        self._customer = customer
        self._chance = chance
        self._http = free_port()
        self._sip = free_port()
        self._rtp = 20_000 + 200 * (self._http % 60)
        self._posts: list[Post] = []
        self._of_point: dict[str, str] = {}
        "idempotency key → point that was aimed at"
        self._pid = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, zygote: Zygote, folder: Path, seed: int, database: str | None = None) -> AsyncIterator[Self]:
        """A new one."""
        folder.mkdir(parents=True)  # noqa: ASYNC240  once, before anything waits
        async with AsyncExitStack() as stack:
            phones = await stack.enter_async_context(Phones.started(folder))
            customer = await stack.enter_async_context(Customer().serving())
            lane = cls(zygote, folder, phones, customer, random.Random(seed))  # noqa: S311  a game
            lane._database = database
            stack.push_async_callback(lane._end)
            yield lane

    _database: str | None = None

    def _arguments(self) -> list[str]:
        settings = {
            "http": f"127.0.0.1:{self._http}",
            "sip": f"127.0.0.1:{self._sip}",
            "data": self._folder / "data",
            "api-key": KEY,
            "trunk": f"sip:127.0.0.1:{self._phones.port}",
            "speech-workers": 1,
            "rtp-ports": f"{self._rtp}-{self._rtp + 199}",
            "ring-timeout-seconds": 20,
            "log-level": "warning",
            "recordings-folder": self._folder / "recordings",
        }
        if self._database:
            settings["database"] = self._database
        return ["run", *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]

    async def prepare(self) -> None:
        """A first start that nobody kills: the folder, the webhooks, the spoken words."""
        (self._folder / "recordings").mkdir()
        await self._start(None, 1)
        for kind in ("VSS", "VCA"):
            wanted = {"type": kind, "url": f"http://127.0.0.1:{self._customer.port}/{kind.lower()}"}
            await self._must("POST", "/webhooks", wanted)
        await self._must(
            "POST", "/recording-push-config",
            {"protocol": "LOCAL", "host": "", "username": "", "password": "", "path": "calls", "audioFormat": "wav"},
        )  # fmt: skip
        self._wish("prepare")
        await self._deliver()
        await self._settle()
        await self._end()

    async def kill_at(self, point: str, told: Callable[[], None]) -> bool:
        """Start a victim that dies there, and have it make calls until it does; False when it never got there."""
        nth = self._chance.randint(1, 12 if "commit" in point else 3)
        await self._start(point, nth, may_die=True)
        for _ in range(MOST_WISHES):
            if not self._is_alive():
                break
            self._wish(point)
            await self._deliver()
            await self._gone(REACH_SECONDS if nth == 1 else REACH_SECONDS / 2)
        if self._is_alive():
            await self._end()
            return False
        told()
        return True

    async def reckon(self, points: Sequence[str]) -> list[Tally]:
        """Start once more, let everything come to its end, and count."""
        await self._start(None, 1)
        await self._deliver()
        await self._settle()
        await self._phones_down()
        tallies = {point: Tally(point) for point in points}
        seen: dict[str, list[CallSeen]] = defaultdict(list)
        for call in self._phones.calls():
            seen[call.number].append(call)
        listed = await self._all_sessions()
        for post in self._posts:
            tally = tallies.get(self._of_point[post.key])
            if tally is not None:
                tally.sessions += 1
                self._judge(post, tally, listed, [call for number in post.numbers for call in seen[number]])
        strangers = set(listed) - {post.session_id for post in self._posts}
        if strangers:
            tallies[points[0]].twice += len(strangers)
            tallies[points[0]].faults.append(f"sessions that nobody was told of: {sorted(strangers)}")
        await self._end()
        return list(tallies.values())

    def _judge(self, post: Post, tally: Tally, listed: dict[str, str], calls: list[CallSeen]) -> None:
        name = f"{post.session_id or post.key} to {post.numbers[0]}"
        told = self._customer.summaries.get(post.session_id, [])
        if listed.get(post.session_id, LIVE) == LIVE or not told:
            tally.lost += 1
            tally.faults.append(f"{name}: record {listed.get(post.session_id)}, {len(told)} summaries")
        if len(set(told)) > 1:
            tally.twice += 1
            tally.faults.append(f"{name}: {len(set(told))} different summaries")
        for number in post.numbers:
            attempts = {call.call_id for call in calls if call.number == number}
            if len(attempts) > 1:
                tally.twice += 1
                tally.faults.append(f"{name}: {number} was dialled {len(attempts)} times")
        for call in calls:
            if call.ending in ("orphan", ""):
                tally.orphans += 1
                tally.faults.append(f"{name}: the phone {call.number} was left alone ({call.ending or 'still up'})")

    # What is asked for

    def _wish(self, point: str) -> None:
        """Four callflows: a message, a question, a recorded bridge, and a phone that rings on and is given up."""
        first = 5 * len(self._posts) // 4

        def number(index: int, kind: str) -> str:
            return f"+658{kind}{first + index:06}"

        def dial(to: str, **more: object) -> dict[str, object]:
            return {"action": "makeCall", "params": {"source": SOURCE, "destination": to, **more}}

        words = {"text": "One.", "voiceProfile": VOICE, "speed": 2, "repetition": 1}
        say = {"action": "say", "params": words}
        keys = {
            "promptMessage": "One.",
            "voiceProfile": VOICE,
            "speed": 2,
            "minDigits": 1,
            "maxDigits": 1,
            "noOfTries": 1,
        }
        ask = {"action": "sayAndCapture", "params": keys}
        hang_up = {"action": "hangup"}
        a, b, c, d, e = (
            number(index, ending) for index, ending in enumerate((ANSWERS, ANSWERS, ANSWERS, LEAVES, RINGS))
        )
        flows = [
            ((a,), [dial(a), say, hang_up]),
            ((b,), [dial(b), ask]),
            ((c, d), [dial(c, callRecording=True), dial(d), hang_up]),
            ((e,), [dial(e), say, hang_up]),
        ]
        for numbers, flow in flows:
            post = Post(f"key-{len(self._posts)}", numbers, {"callflow": flow})
            self._posts.append(post)
            self._of_point[post.key] = point

    async def _deliver(self) -> None:
        """Post what has no answer yet, under its key; ask the phones that ring on to be given up."""
        waiting = [post for post in self._posts if not post.session_id]
        await asyncio.gather(*(self._post(post) for post in waiting))
        ringing = [post for post in self._posts[-4:] if post.session_id and post.numbers[0].startswith(f"+658{RINGS}")]
        for post in ringing:
            await asyncio.sleep(0.15)
            await request(self._http, "DELETE", f"/api/v1/subaccounts/{ACCOUNT}/sessions/{post.session_id}", KEY)

    async def _post(self, post: Post) -> None:
        path, more = f"/api/v1/subaccounts/{ACCOUNT}/callflows", f"Idempotency-Key: {post.key}\r\n"
        answer = await request(self._http, "POST", path, KEY, post.body, more)
        if answer is None or answer[0] in (409, 503):
            return  # it died, or does not know yet: the next process is asked again
        if answer[0] != 200:
            raise Trouble(f"a callflow was refused: {answer}")
        post.session_id = answer[1]["sessionId"]

    # The victim

    async def _start(self, point: str | None, nth: int, *, may_die: bool = False) -> None:
        self._pid = await self._zygote.fork(self._arguments(), self._folder / "server.log", point, nth)
        give_up_at = time.monotonic() + READY_SECONDS
        while True:
            answer = await request(self._http, "GET", "/readyz", KEY, seconds=2.0)
            if answer is not None and answer[0] == 200:
                return
            if not self._is_alive():
                if may_die:
                    return  # it was killed while it took up what the one before had left
                raise Trouble(f"the server ended: {self._log_end()}")
            if time.monotonic() > give_up_at:
                raise Trouble(f"the server does not get ready: {self._log_end()}")
            await asyncio.sleep(0.02)

    def _is_alive(self) -> bool:
        status = self._zygote.endings.get(self._pid)
        if status is not None and status != -signal.SIGKILL and self._pid:
            raise Trouble(f"the server ended by itself with status {status}: {self._log_end()}")
        return status is None

    def _log_end(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")[-3_000:]

    async def _gone(self, seconds: float) -> None:
        give_up_at = time.monotonic() + seconds
        while self._is_alive() and time.monotonic() < give_up_at:  # noqa: ASYNC110  it may have no time to tell
            await asyncio.sleep(0.02)

    async def _end(self) -> None:
        """SIGKILL too: whatever it was doing, the next one takes it up."""
        if self._pid and self._zygote.endings.get(self._pid) is None:
            os.kill(self._pid, signal.SIGKILL)
            await until(lambda: self._pid in self._zygote.endings, 20, "the victim's end")
        self._pid = 0

    # The end

    async def _must(self, method: str, path: str, body: object = None) -> Any:
        answer = await request(self._http, method, f"/api/v1/subaccounts/{ACCOUNT}{path}", KEY, body)
        if answer is None or answer[0] != 200:
            raise Trouble(f"{method} {path}: {answer}")
        return answer[1]

    async def _settle(self) -> None:
        """Until every post has an answer and every session its summary, or too long."""
        give_up_at = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < give_up_at:
            await self._deliver()
            if all(post.session_id and self._customer.summaries.get(post.session_id) for post in self._posts):
                return
            await asyncio.sleep(0.2)

    async def _phones_down(self) -> None:
        """Until no phone is up; one that nobody talks to says after 31 s that it is an orphan."""
        give_up_at = time.monotonic() + 40.0
        while time.monotonic() < give_up_at and any(not call.ending for call in self._phones.calls()):  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.2)

    async def _all_sessions(self) -> dict[str, str]:
        """Every session → its status, IN_PROGRESS without a terminal record."""
        found: dict[str, str] = {}
        path = "/sessions?limit=200"
        while path:
            page = await self._must("GET", path)
            for session in page["sessions"]:
                found[session["sessionId"]] = session["status"]
            path = f"/sessions?limit=200&page={page['nextPage']}" if page.get("nextPage") else ""
        return found
