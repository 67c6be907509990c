"""Customers' servers: they take webhooks, answer questions, and have bad days. And the way to them.

`Wire` is what a process has instead of `Egress`: the same answers and the same errors, in virtual time.
"""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from callwright.egress.client import Answer
from callwright.errors import EgressError
from simulation.loop import ProcessLoop
from simulation.world import World


class Mood(Enum):
    """What becomes of one request."""

    WELL = auto()
    "taken, and 200"
    SLOW = auto()
    "taken, and 200 after some seconds"
    FAILS = auto()
    "500"
    REFUSES = auto()
    "no connection"
    BREAKS = auto()
    "taken, and the connection is reset before the answer"
    HANGS = auto()
    "no answer at all"
    BUSY = auto()
    "429 with Retry-After"
    GONE = auto()
    "410"


@dataclass(frozen=True, slots=True)
class Temper:
    """How a receiver behaves: a bad day, and what it does on it; well before and after."""

    bad_from: float = 0.0
    bad_until: float = 0.0
    moods: tuple[Mood, ...] = (Mood.WELL,)
    share: float = 0.0
    "of requests on a bad day that find one of the moods"

    def moved(self, beginning: float) -> "Temper":
        """The same, in platform time."""
        return replace(self, bad_from=beginning + self.bad_from, bad_until=beginning + self.bad_until)


@dataclass(frozen=True, slots=True)
class Taken:
    """One request that reached a receiver."""

    at: float
    kind: str
    event_id: str
    session_id: str
    body: bytes
    mood: Mood

    @property
    def accepted(self) -> bool:
        """Whether the receiver said that it has it, and nobody came between."""
        return self.mood in (Mood.WELL, Mood.SLOW)


@dataclass(slots=True)
class Receivers:
    """All servers of the one customer."""

    world: World
    tempers: Mapping[str, Temper]
    "by kind of webhook"
    reply: Callable[[dict[str, Any]], tuple[int, bytes]]
    "what a question (VCA) is answered with: status and body"
    taken: list[Taken] = field(default_factory=list)
    on_taken: Callable[[Taken], None] = lambda _: None
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = self.world.lots("receivers")

    def mood(self, kind: str) -> Mood:
        """How the next request will be met."""
        temper = self.tempers.get(kind, Temper())
        if temper.bad_from <= self.world.now < temper.bad_until and self._chance.random() < temper.share:
            return self._chance.choice(temper.moods)
        return Mood.WELL

    def take(self, kind: str, body: bytes, headers: Mapping[str, str], mood: Mood) -> tuple[int, bytes]:
        """A request arrived whole."""
        payload = json.loads(body)["payload"]
        taken = Taken(self.world.now, kind, headers.get("webhook-id", ""), str(payload.get("sessionId")), body, mood)
        self.taken.append(taken)
        self.on_taken(taken)
        return self.reply(payload) if kind == "VCA" else (200, b"")


class Wire:
    """A process's door out: `Egress.post`."""

    def __init__(self, world: World, loop: ProcessLoop, receivers: Receivers, moment: Callable[[str], None]) -> None:
        self._world = world
        self._loop = loop
        self._receivers = receivers
        self._moment = moment
        self._chance = world.lots(f"wire {world.steps}")
        self._posts = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> Answer:
        """Post, and wait for the answer; EgressError when none comes in time."""
        kind = url.rpartition("/")[2].upper()
        mood = self._receivers.mood(kind)
        began, self._posts = self._world.now, self._posts + 1
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self._world.tell("webhook", f"{kind} leaves, and will find a receiver that is {mood.name.lower()}")
        self._moment("post")
        channel = f"http {self._posts}"
        self._world.after(self._delay(), self._arrive, kind, body, dict(headers), mood, answered, channel, began)
        try:
            async with asyncio.timeout(within_seconds):
                return await answered
        except TimeoutError:
            raise EgressError(f"no answer within {within_seconds:g} s") from None

    def _delay(self) -> float:
        return self._chance.uniform(0.002, 0.06)

    def _arrive(  # one request
        self,
        kind: str,
        body: bytes,
        headers: dict[str, str],
        mood: Mood,
        answered: "asyncio.Future[Answer]",
        channel: str,
        began: float,
    ) -> None:
        status, text, extra = 200, b"", {}
        if mood is not Mood.REFUSES:
            status, text = self._receivers.take(kind, body, headers, mood)
        delay = self._delay()
        match mood:
            case Mood.HANGS:
                return
            case Mood.REFUSES | Mood.BREAKS:
                self._loop.arrive(self._world.now + delay, channel, _break_off, answered)
                return
            case Mood.FAILS:
                status = 500
            case Mood.GONE:
                status = 410
            case Mood.BUSY:
                status, extra = 429, {"retry-after": str(self._chance.randint(1, 120))}
            case Mood.SLOW:
                delay += self._chance.uniform(1.0, 14.0)
            case Mood.WELL:
                pass
        answer = Answer(status, extra, text, truncated=False, elapsed_seconds=self._world.now + delay - began)
        self._loop.arrive(self._world.now + delay, channel, self._settle, answered, answer)

    def _settle(self, answered: "asyncio.Future[Answer]", answer: Answer) -> None:
        self._moment("answer")
        if not answered.done():
            answered.set_result(answer)


def _break_off(answered: "asyncio.Future[Answer]") -> None:
    if not answered.done():
        answered.set_exception(EgressError("the connection was reset"))
