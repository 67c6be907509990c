"""What will happen in one simulation, drawn before it begins: clients, phones, receivers, and what goes wrong when.

Every number that is dialled stands in one request only, so that a phone that rings twice says whose fault it is.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from simulation.disk import OWN_NUMBER
from simulation.network import Quality
from simulation.phones import Manner
from simulation.receivers import Mood, Temper

FIRST_NUMBER = 6_581_000_000
MOMENTS = (
    "commit", "question", "post", "answer", "sent INVITE", "sent ACK", "sent BYE", "sent CANCEL", "sent 200", "got 100",
    "got 180", "got 200", "got 487", "got BYE", "got INVITE", "request", "playing",
)  # fmt: skip
"""At which a process is killed on purpose; `simulation.run` tells when they come."""
CODES = (404, 408, 480, 486, 503, 600, 603, 302)
FOR_EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Post:
    """A client's request for a call, `at` seconds from the beginning."""

    at: float
    body: bytes
    good: bool
    "whether it may be accepted"
    numbers: tuple[str, ...]
    "that it wants to be called"
    key: str = ""
    "Idempotency-Key: the client asks again until it is answered"
    hang_up_after: float | None = None
    "seconds from its acceptance to a request for the end"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls us."""

    at: float
    number: str
    destination: str
    manner: Manner
    node: int
    "that it reaches"


@dataclass(frozen=True, slots=True)
class Kill:
    """The end of a process, and when it is started again."""

    moment: str
    "one of MOMENTS"
    count: int
    "at the first, second … of them in the simulation"
    steps: int
    "that the process still takes afterwards"
    down_seconds: float


@dataclass(slots=True)
class Plan:
    """All of it."""

    posts: list[Post] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    manners: dict[str, Manner] = field(default_factory=dict)
    replies: list[tuple[int, bytes]] = field(default_factory=list)
    "to questions, in their order; nothing more to do when they run out"
    quality: Quality = field(default_factory=Quality)
    away: list[tuple[float, float]] = field(default_factory=list)
    loses_answers: bool = False
    tempers: dict[str, Temper] = field(default_factory=dict)
    unwanted: list[str] = field(default_factory=list)
    "kinds of webhooks that nobody registered"
    kills: list[Kill] = field(default_factory=list)
    pauses: list[tuple[float, float, int]] = field(default_factory=list)
    "when a process stands still, for how long, and which"
    stops: list[tuple[float, float, float, int]] = field(default_factory=list)
    "when a process is asked to stop, how long it may drain, when it is started again after that, and which"
    nodes: int = 1
    speech_fails: float = 0.0

    @property
    def ends_at(self) -> float:
        """After this nothing new is done to callwright."""
        times = [post.at + (post.hang_up_after or 0.0) for post in self.posts]
        times += [caller.at for caller in self.callers]
        times += [ends for _, ends in self.away]
        times += [at + seconds for at, seconds, _ in self.pauses]
        times += [at + drain + down for at, drain, down, _ in self.stops]
        return max(times, default=0.0)


class Numbers:
    """Numbers, each given out once."""

    def __init__(self) -> None:
        self._next = FIRST_NUMBER

    def new(self) -> str:
        """A number that nobody had before."""
        self._next += 1
        return f"+{self._next}"


def draw(chance: random.Random) -> Plan:
    """A plan by lot. Most have something go wrong, few everything at once."""
    plan, numbers = Plan(), Numbers()
    if chance.random() < 0.1:
        plan.nodes = chance.choice((2, 2, 2, 3))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        plan.posts.append(_post(chance, plan, numbers))
    if chance.random() < 0.25:
        number = numbers.new()
        called = OWN_NUMBER if chance.random() < 0.9 else numbers.new()
        plan.callers.append(
            Caller(chance.uniform(0.5, 15), number, called, _caller_manner(chance), chance.randrange(plan.nodes))
        )
    plan.replies = [_reply(chance, plan, numbers) for _ in range(4)]
    plan.quality = _quality(chance)
    for kind in ("VSS", "VCS", "VCA"):
        if chance.random() < 0.25:
            plan.tempers[kind] = _temper(chance)
        elif chance.random() < (0.5 if kind == "VCS" else 0.1):
            plan.unwanted.append(kind)
    if chance.random() < 0.5:
        for _ in range(chance.choice((1, 1, 2))):
            count = 1 + int(chance.expovariate(0.4))
            steps = chance.choice((0, 0, 1, 2, 3, chance.randint(4, 60)))
            plan.kills.append(Kill(chance.choice(MOMENTS), count, steps, chance.uniform(0.05, 8.0)))
    elif chance.random() < 0.3:
        plan.stops.append(
            (
                chance.uniform(1, 25),
                chance.choice((0.0, 2.0, 60.0)),
                chance.uniform(0.1, 4.0),
                chance.randrange(plan.nodes),
            )
        )
    if chance.random() < 0.1:
        plan.pauses.append((chance.uniform(0, 20), chance.uniform(0.1, 12.0), chance.randrange(plan.nodes)))
    _bad_database(chance, plan)
    if chance.random() < 0.1:
        plan.speech_fails = chance.choice((0.2, 1.0))
    return plan


def _quality(chance: random.Random) -> Quality:
    if chance.random() < 0.5:
        return Quality()
    return Quality(
        loss=chance.choice((0.0, 0.02, 0.1, 0.25)),
        doubled=chance.choice((0.0, 0.05, 0.2)),
        most_seconds=chance.choice((0.02, 0.1, 0.6)),
        tells_closed=chance.random() < 0.5,
    )


def _bad_database(chance: random.Random, plan: Plan) -> None:
    if chance.random() < 0.15:
        begins = chance.uniform(0, 20)
        plan.away.append((begins, begins + chance.choice((0.1, 1.0, 5.0, 20.0))))
        plan.loses_answers = not plan.kills and not plan.stops and chance.random() < 0.5


def _temper(chance: random.Random) -> Temper:
    begins = chance.uniform(0, 20)
    lasts = chance.choice((5.0, 30.0, 120.0, 120.0, 3_600.0))
    if chance.random() < 0.03:
        lasts = FOR_EVER
    moods: tuple[Mood, ...] = tuple(mood for mood in Mood if mood not in (Mood.WELL, Mood.GONE))
    chosen: list[Mood] = chance.sample(moods, chance.randint(1, 3))
    if chance.random() < 0.03:
        chosen.append(Mood.GONE)
    return Temper(begins, begins + lasts, tuple(chosen), chance.choice((0.3, 1.0)))


def _manner(chance: random.Random) -> Manner:
    kind = chance.random()
    if kind < 0.55:
        return Manner(
            rings_after=chance.choice((None, 0.1, 0.5)),
            early_media=chance.random() < 0.2,
            decides_after=chance.uniform(0.05, 6.0),
            hangs_up_after=chance.choice((None, None, chance.uniform(0.01, 8.0))),
            presses=tuple(
                (chance.uniform(0.2, 12.0), chance.choice("0123456789#*")) for _ in range(chance.randint(0, 4))
            ),
            vanishes_after=chance.choice((None,) * 9 + (chance.uniform(0, 15),)),
        )
    if kind < 0.75:
        return Manner(decides_after=chance.uniform(0.01, 4.0), status=chance.choice(CODES))
    if kind < 0.85:
        return Manner(decides_after=None, answers_cancel=chance.random() < 0.5)
    if kind < 0.9:
        return Manner(rings_after=None, decides_after=None, answers_cancel=chance.random() < 0.5)
    if kind < 0.95:
        return Manner(rings_after=None, decides_after=None, vanishes_after=0.0)
    return Manner(decides_after=chance.uniform(20.0, 30.0))  # about when nobody waits for it any longer


def _caller_manner(chance: random.Random) -> Manner:
    return Manner(
        decides_after=chance.choice((None, 40.0, chance.uniform(0.05, 5.0))),
        hangs_up_after=chance.choice((None, chance.uniform(0.1, 20.0))),
        presses=((chance.uniform(0.5, 6.0), "1"),) if chance.random() < 0.5 else (),
        vanishes_after=chance.choice((None,) * 9 + (chance.uniform(0, 15),)),
        never_acknowledges=chance.random() < 0.05,
    )


# --- callflows -------------------------------------------------------------------------------------------------------


def _make_call(chance: random.Random, plan: Plan, numbers: Numbers, called: list[str]) -> dict[str, Any]:
    number = numbers.new()
    plan.manners[number] = _manner(chance)
    called.append(number)
    return {"action": "makeCall", "params": {"source": OWN_NUMBER, "destination": number}}


def _say(chance: random.Random) -> dict[str, Any]:
    text = "Your parcel is here. " * chance.randint(1, 4)
    return {
        "action": "say",
        "params": {"text": text, "voiceProfile": "en-US-BenjaminRUS", "repetition": chance.choice((1, 1, 2))},
    }


def _capture(chance: random.Random) -> dict[str, Any]:
    params: dict[str, Any] = {
        "promptMessage": "Press one.",
        "voiceProfile": "en-US-BenjaminRUS",
        "minDigits": 1,
        "maxDigits": chance.choice((1, 4)),
        "overallTimeout": chance.choice((2_000, 8_000)),
        "noOfTries": chance.choice((1, 2)),
    }
    if chance.random() < 0.5:
        params |= {"successMessage": "Thank you.", "failureMessage": "That was nothing."}
    return {"action": "sayAndCapture", "params": params}


def _play(_: random.Random) -> dict[str, Any]:
    return {"action": "playFile", "params": {"fileUrl": "https://files.example.com/hello.mp3"}}


def _talk(chance: random.Random) -> list[dict[str, Any]]:
    making = (_say, _say, _capture, _play)
    flow = [chance.choice(making)(chance) for _ in range(chance.choice((1, 1, 2, 3)))]
    return [*flow, {"action": "hangup"}] if chance.random() < 0.3 else flow


def _post(chance: random.Random, plan: Plan, numbers: Numbers) -> Post:
    called: list[str] = []
    flow = [_make_call(chance, plan, numbers, called), *_talk(chance)]
    if chance.random() < 0.2:
        flow.insert(chance.randint(1, len(flow)), _make_call(chance, plan, numbers, called))
        flow = [entry for entry in flow if entry["action"] != "hangup"]
    at = chance.uniform(0.2, 12.0)
    good = chance.random() > 0.12
    wrong = chance.choice(({"action": "sing"}, {"action": "say", "params": {"text": 7}}, "say"))
    body: dict[str, Any] = {"callflow": flow if good else [*flow, wrong]}
    hang_up_after = chance.uniform(0.0, 15.0) if chance.random() < 0.2 else None
    return Post(
        at,
        json.dumps(body).encode(),
        good,
        tuple(called),
        f"key of {called[0]}" if chance.random() < 0.4 else "",
        hang_up_after,
    )


def _reply(chance: random.Random, plan: Plan, numbers: Numbers) -> tuple[int, bytes]:
    kind = chance.random()
    if kind < 0.1:
        answer = (chance.choice((404, 500, 302)), b"")
    elif kind < 0.2:
        answer = (200, chance.choice((b"", b"{", b"[]", b'{"callflow": [{"action": "sing"}]}')))
    elif kind < 0.4:
        answer = (200, b"{}")
    else:
        flow = _talk(chance)
        if chance.random() < 0.2:
            flow = [_make_call(chance, plan, numbers, [])]
        answer = (200, json.dumps({"callflow": flow}).encode())
    return answer
