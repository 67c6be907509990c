"""Whole calls between us and a scripted callee, every one under every rate of loss, repetition and reordering.

A scenario says what both people do and what the network does to messages; how the call must end for us; and it must
leave nothing behind. The callee is our own user agent, misbehaving by what happens to its messages on the way.
"""

import heapq
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest

from callwright.sip.address import NameAddr, SipUri
from callwright.sip.agent import UserAgent
from callwright.sip.outputs import (
    Address,
    CallAnswered,
    CallEnded,
    CallFailed,
    ChangeOffered,
    IncomingCall,
    Output,
    Received,
    Transmit,
)
from callwright.sip.profile import AgentProfile
from callwright.sip.responses import REASONS
from callwright.sip.streams import StreamAddress, transport_of

US, THEM = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
OFFER, ANSWER, CHANGE = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n", b"v=0\r\ns=change\r\n"
LOSSES = (0.0, 0.01, 0.05, 0.10)
CALL = "call-1"

Wish = Callable[[UserAgent, float, str], list[Output]]
Tamper = Callable[[bytes], list[bytes]]


def untouched(data: bytes) -> list[bytes]:
    return [data]


@dataclass(frozen=True)
class Scenario:
    """One story."""

    name: str
    ends: frozenset[str]
    "how it may end for us: `failed 486`, `ended by them`, `ended by us`"
    they: Sequence[tuple[float, Wish]] = ()
    "what the callee does, seconds after the call came"
    we: Sequence[tuple[float, Wish]] = ()
    "what we do, seconds after dialling"
    to_us: Tamper = untouched
    "what becomes of each of their messages"
    to_them: Tamper = untouched
    transport: str = "UDP"
    breaks_at: float | None = None
    "when the connection is reset"
    session_seconds: int = 1800
    runs_seconds: float = 400.0
    answered: bool | None = None
    "whether we are told of an answer; None: either"
    requires: tuple[tuple[str, str], ...] = field(default=())
    "further headers of our INVITE"


# --- what people do --------------------------------------------------------------------------------------------------


def ring(status: int = 180, sdp: bytes | None = None) -> Wish:
    return lambda agent, now, name: agent.ring(now, name, status, sdp)


def answer(agent: UserAgent, now: float, name: str) -> list[Output]:
    return agent.answer(now, name, ANSWER)


def reject(status: int, *headers: tuple[str, str]) -> Wish:
    return lambda agent, now, name: agent.reject(now, name, status, headers=headers)


def hang_up(agent: UserAgent, now: float, name: str) -> list[Output]:
    return agent.hang_up(now, name)


def change(agent: UserAgent, now: float, name: str) -> list[Output]:
    return agent.change(now, name, CHANGE)


def probe(agent: UserAgent, now: float, name: str) -> list[Output]:
    return agent.probe(now, name, 8.0)


def info(agent: UserAgent, now: float, name: str) -> list[Output]:
    return agent.send_info(now, name, "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n")


# --- what happens on the way -----------------------------------------------------------------------------------------


def drops(pattern: str, most: int = 10**6) -> Callable[[], Tamper]:
    """Messages whose start line and CSeq match never arrive, the first `most` of them."""

    def make() -> Tamper:
        left = [most]

        def tamper(data: bytes) -> list[bytes]:
            text = data.decode()
            rows = text.split("\r\n")
            line = rows[0] + " / " + next((row for row in rows if row.startswith("CSeq")), "")
            if left[0] and re.search(pattern, line):
                left[0] -= 1
                return []
            return [data]

        return tamper

    return make


def forked() -> Tamper:
    """Every answer to the INVITE comes from a second phone too."""

    def tamper(data: bytes) -> list[bytes]:
        if not data.startswith(b"SIP/2.0 ") or b" INVITE\r\n" not in data or data.startswith(b"SIP/2.0 100"):
            return [data]
        return [data, re.sub(rb"(?m)^(To: .*;tag=)(\S+)", rb"\1second-\2", data)]

    return tamper


def rewritten(pattern: bytes, replacement: bytes) -> Callable[[], Tamper]:
    return lambda: lambda data: [re.sub(pattern, replacement, data)]


def scenario(
    name: str,
    ends: str,
    *,
    to_us: Callable[[], Tamper] = lambda: untouched,
    to_them: Callable[[], Tamper] = lambda: untouched,
    **more: object,
) -> Callable[[], Scenario]:
    """A scenario, made anew for each run: tampering remembers."""
    return lambda: Scenario(
        name,
        frozenset(ends.split(", ")),
        to_us=to_us(),
        to_them=to_them(),
        **more,  # type: ignore[arg-type]  # rows of a table
    )


TALK = [(0.2, ring()), (1.0, answer)]
FINALS = [status for status in REASONS if status >= 300 and status != 422]
SCENARIOS = [
    *[scenario(f"refused with {status}", f"failed {status}", they=[(0.5, reject(status))]) for status in FINALS],
    *[
        scenario(f"rings, then {status}", f"failed {status}", they=[(0.2, ring()), (2, reject(status))])
        for status in (302, 403, 404, 408, 410, 480, 484, 486, 487, 488, 500, 502, 503, 504, 600, 603, 604, 606)
    ],
    scenario("busy with Retry-After", "failed 486", they=[(0.1, reject(486, ("Retry-After", "60")))]),
    scenario("they hang up", "ended by them", they=[*TALK, (5, hang_up)], answered=True),
    scenario("we hang up", "ended by us", they=TALK, we=[(6, hang_up)], answered=True),
    scenario("answered at once", "ended by us", they=[(0, answer)], we=[(6, hang_up)], answered=True),
    scenario("both hang up", "ended by us, ended by them", they=[*TALK, (5, hang_up)], we=[(5, hang_up)]),
    scenario("100 only, for ever", "failed 480, failed 487"),
    scenario("100 only, and we give up", "failed 487", we=[(20, hang_up)]),
    scenario("rings for ever, and we give up", "failed 487", they=[(0.1, ring())], we=[(30, hang_up)]),
    scenario("rings for ever, and nobody gives up", "failed 480, failed 487", they=[(0.1, ring())]),
    scenario(
        "rings again and again", "failed 486", they=[*[(n, ring(180 + n % 4)) for n in range(20)], (21, reject(486))]
    ),
    scenario("hung up before any answer", "failed 487", we=[(0.001, hang_up)]),
    scenario(
        "cancelled while the 200 is on its way", "failed 487, ended by us", they=[(1, answer)], we=[(1.0, hang_up)]
    ),
    scenario(
        "cancelled, but the CANCEL never arrives",
        "failed 487",
        they=[(0.1, ring()), (10, answer)],
        we=[(2, hang_up)],
        to_them=drops("^CANCEL"),
        answered=False,
    ),
    scenario("the first ACK is lost", "ended by us", they=TALK, we=[(20, hang_up)], to_them=drops("^ACK", 1)),
    scenario("no ACK arrives", "ended by them", they=TALK, to_them=drops("^ACK"), answered=True),
    scenario(
        "the first 200 is lost", "ended by us", they=TALK, we=[(20, hang_up)], to_us=drops("^SIP/2.0 200.*INVITE", 1)
    ),
    scenario("no 200 arrives", "failed 487, failed 408", they=TALK, to_us=drops("^SIP/2.0 200.*INVITE")),
    scenario("the 100 is lost", "ended by us", they=TALK, we=[(9, hang_up)], to_us=drops("^SIP/2.0 100")),
    scenario("every 18x is lost", "ended by us", they=TALK, we=[(9, hang_up)], to_us=drops("^SIP/2.0 18")),
    scenario("nobody is there", "failed 408", to_them=drops("")),
    scenario("nobody is heard", "failed 408", they=TALK, to_us=drops(""), answered=False),
    scenario("nobody is heard, and we give up", "failed 487", to_us=drops(""), we=[(5, hang_up)]),
    scenario("our BYE is never answered", "ended by us", they=TALK, we=[(5, hang_up)], to_us=drops("BYE")),
    scenario("their BYE is lost twice", "ended by them", they=[*TALK, (5, hang_up)], to_us=drops("^BYE", 2)),
    scenario("the CANCEL's 200 is lost", "failed 487", they=[(0.1, ring())], we=[(3, hang_up)], to_us=drops("CANCEL$")),
    scenario("no 487 comes", "failed 487", they=[(0.1, ring())], we=[(3, hang_up)], to_us=drops("^SIP/2.0 487")),
    scenario("our ACK of a refusal is lost", "failed 486", they=[(1, reject(486))], to_them=drops("^ACK", 2)),
    scenario("early media", "ended by us", they=[(0.1, ring(183, ANSWER)), (3, answer)], we=[(9, hang_up)]),
    scenario("early media, then busy", "failed 486", they=[(0.1, ring(183, ANSWER)), (5, reject(486))]),
    scenario("early media, cancelled", "failed 487", they=[(0.1, ring(183, ANSWER))], we=[(5, hang_up)]),
    scenario(
        "early media, and no PRACK arrives", "failed 504", they=[(0.1, ring(183, ANSWER))], to_them=drops("^PRACK")
    ),
    scenario(
        "the first PRACKs are lost",
        "ended by us",
        they=[(0.1, ring(183, ANSWER)), (2, answer)],
        we=[(20, hang_up)],
        to_them=drops("^PRACK", 2),
        answered=True,
    ),
    scenario(
        "PRACKs are never answered",
        "ended by us",
        they=[(0.1, ring(183, ANSWER)), (2, answer)],
        we=[(20, hang_up)],
        to_us=drops("PRACK$"),
        answered=True,
    ),
    scenario(
        "two reliable answers",
        "ended by us",
        we=[(30, hang_up)],
        answered=True,
        they=[(0.1, ring(183, ANSWER)), (0.2, ring(183, ANSWER)), (1, ring(181, ANSWER)), (2, answer)],
    ),
    scenario(
        "no reliable answers",
        "ended by us",
        they=[(0.1, ring(183, ANSWER)), (3, answer)],
        we=[(9, hang_up)],
        to_them=rewritten(rb"100rel, ", b""),
    ),
    scenario("forked", "ended by us", they=TALK, we=[(9, hang_up)], to_us=forked, answered=True),
    scenario("forked, cancelled", "failed 487", they=[(0.1, ring())], we=[(5, hang_up)], to_us=forked),
    scenario(
        "forked with early media",
        "ended by us",
        they=[(0.1, ring(183, ANSWER)), (3, answer)],
        we=[(30, hang_up)],
        to_us=forked,
    ),
    scenario("they hold", "ended by us", they=[*TALK, (5, change)], we=[(40, hang_up)]),
    scenario("we hold", "ended by us", they=TALK, we=[(5, change), (40, hang_up)]),
    scenario("both hold", "ended by us", they=[*TALK, (5, change)], we=[(5, change), (60, hang_up)]),
    scenario(
        "they hold again and again",
        "ended by them",
        they=[*TALK, *[(n, change) for n in range(5, 30, 3)], (60, hang_up)],
    ),
    scenario("we hang up while they hold", "ended by us", they=[*TALK, (5, change)], we=[(5.01, hang_up)]),
    scenario(
        "they hang up while we hold", "ended by them, ended by us", they=[*TALK, (5.0, hang_up)], we=[(5.0, change)]
    ),
    scenario(
        "our hold is never answered", "ended by us", they=TALK, we=[(5, change)], to_us=drops("[3-9] INVITE|2 INVITE")
    ),
    scenario("keys by INFO", "ended by us", they=TALK, we=[*[(5 + n, info) for n in range(5)], (60, hang_up)]),
    scenario(
        "keys by INFO that nobody answers", "ended by us", they=TALK, we=[(5, info)], to_us=drops("INFO$|OPTIONS$")
    ),
    scenario("a sign of life", "ended by us", they=TALK, we=[(9, probe), (60, hang_up)]),
    scenario("no sign of life", "ended by us", they=TALK, we=[(9, probe)], to_us=drops("OPTIONS$")),
    scenario("a long call is refreshed", "ended by us", they=TALK, we=[(390, hang_up)], session_seconds=90),
    scenario(
        "a long call without UPDATE",
        "ended by us",
        they=TALK,
        we=[(390, hang_up)],
        session_seconds=90,
        to_us=rewritten(rb"UPDATE, ", b""),
    ),
    scenario(
        "nobody refreshes",
        "ended by us, ended by them",
        they=TALK,
        session_seconds=90,
        to_them=drops("^UPDATE"),
        runs_seconds=200.0,
    ),
    scenario("no session timer at all", "ended by us", they=TALK, we=[(390, hang_up)], session_seconds=0),
    scenario(
        "an interval too small, less than allowed named",
        "ended by us",
        they=TALK,
        session_seconds=30,
        to_us=rewritten(rb"Min-SE: 90", b"Min-SE: 20"),
    ),
    scenario("an interval too small, then larger", "ended by us", they=TALK, we=[(20, hang_up)], session_seconds=30),
    scenario("an extension that nobody has", "failed 420", requires=(("Require", "replaces"),)),
    scenario(
        "an unanswerable challenge", "failed 401", they=[(0.2, reject(401, ("WWW-Authenticate", "Basic realm=x")))]
    ),
    *[
        scenario(f"over TCP: {name}", ends, transport="TCP", **more)
        for name, ends, more in (
            ("we hang up", "ended by us", {"they": TALK, "we": [(6, hang_up)]}),
            ("they hang up", "ended by them", {"they": [*TALK, (5, hang_up)]}),
            ("busy", "failed 486", {"they": [(1, reject(486))]}),
            ("cancelled", "failed 487", {"they": [(0.1, ring())], "we": [(5, hang_up)]}),
            ("early media", "ended by us", {"they": [(0.1, ring(183, ANSWER)), (2, answer)], "we": [(9, hang_up)]}),
            ("reset before any answer", "failed 503", {"breaks_at": 0.01, "they": TALK}),
            ("reset while it rings", "failed 487, failed 480", {"breaks_at": 0.5, "they": [(0.2, ring())]}),
            (
                "reset before our BYE is answered",
                "ended by us",
                {"breaks_at": 6.01, "they": TALK, "we": [(6, hang_up)], "to_us": drops("BYE$")},
            ),
            ("nobody answers", "failed 408", {"to_us": drops("")}),
        )
    ],
]


# --- the world -------------------------------------------------------------------------------------------------------


class World:
    """Both agents, what their people do, the wire between them, and the time."""

    def __init__(self, story: Scenario, seed: int, loss: float) -> None:
        self.story, self.random, self.loss, self.now = story, Random(seed), loss, 1_000_000.0
        self.told: list[Output] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        numbers = Random(seed)

        def agent(address: Address) -> UserAgent:
            seconds = story.session_seconds
            profile = AgentProfile(*address, may_call=lambda _source, _request: True, session_seconds=seconds)
            return UserAgent(profile, lambda: f"{numbers.getrandbits(64):016x}")

        self.agents = {US: agent(US), THEM: agent(THEM)}

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, action))

    def wish(self, seconds: float, address: Address, wish: Wish, name: str) -> None:
        self.after(seconds, lambda: self.carry(address, wish(self.agents[address], self.now, name)))

    def carry(self, address: Address, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Transmit():
                    self.post(address, output)
                case Received():
                    pass
                case IncomingCall(call_id=name):
                    for seconds, wish in self.story.they:
                        self.wish(seconds, address, wish, name)
                case ChangeOffered(call_id=name):
                    self.wish(0.1, address, lambda agent, now, name: agent.accept_change(now, name, ANSWER), name)
                case _ if address == US:
                    self.told.append(output)

    def post(self, source: Address, sent: Transmit) -> None:
        where = (sent.destination[0], sent.destination[1])
        tamper = self.story.to_us if where == US else self.story.to_them
        transport = transport_of(sent.destination)
        reliable = transport != "UDP"
        came_from: Address = StreamAddress(*source, transport) if reliable else source
        for data in tamper(sent.data):
            loss = 0.0 if reliable else self.loss
            copies = 0 if self.random.random() < loss else 2 if self.random.random() < loss else 1
            for _ in range(copies):
                delay = 0.02 + (self.random.random() * 0.6 if self.random.random() < loss else 0)
                self.after(delay, partial(self.deliver, where, data, came_from))

    def deliver(self, where: Address, data: bytes, source: Address) -> None:
        self.carry(where, self.agents[where].receive(self.now, data, source))

    def call(self) -> None:
        story = self.story
        hop = THEM if story.transport == "UDP" else StreamAddress(*THEM, story.transport)

        def invite(agent: UserAgent, now: float, name: str) -> list[Output]:
            return agent.invite(
                now, name, target=SipUri("192.0.2.2", "15551234"), next_hop=hop, offer=OFFER,
                from_=NameAddr("sip:us@192.0.2.1"), to=NameAddr("sip:15551234@192.0.2.2"), extra_headers=story.requires,
            )  # fmt: skip

        self.wish(0, US, invite, CALL)
        for seconds, wish in story.we:
            self.wish(seconds, US, wish, CALL)
        if story.breaks_at is not None:
            for address, other in ((US, THEM), (THEM, US)):
                gone = StreamAddress(*other, story.transport)
                self.after(story.breaks_at, partial(self.reset, address, gone))
        # Whatever story was told, somebody hangs up in the end.
        for address in (US, THEM):
            self.after(story.runs_seconds, partial(self.sweep, address))

    def reset(self, address: Address, gone: Address) -> None:
        self.carry(address, self.agents[address].transport_failed(self.now, gone))

    def sweep(self, address: Address) -> None:
        agent = self.agents[address]
        for name in tuple(agent._calls):
            self.carry(address, agent.hang_up(self.now, name))

    def run(self) -> None:
        ends_at = self.now + 2000
        while True:
            deadlines = [(agent.deadline, address) for address, agent in self.agents.items()]
            due = min(((at, address) for at, address in deadlines if at is not None), default=None)
            if self._queue and (due is None or self._queue[0][0] <= due[0]):
                self.now, _, action = heapq.heappop(self._queue)
                action()
            elif due is not None:
                self.now = max(self.now, due[0])
                self.carry(due[1], self.agents[due[1]].tick(self.now))
            else:
                return
            assert self.now < ends_at, "something never ends"


def ending(outputs: list[Output]) -> str:
    match outputs[-1]:
        case CallFailed(status=status):
            return f"failed {status}"
        case CallEnded(by_peer=by_peer):
            return "ended by them" if by_peer else "ended by us"
        case other:
            return type(other).__name__


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("make", SCENARIOS, ids=[make().name for make in SCENARIOS])
def test_every_story_ends_as_it_should_and_leaves_nothing_behind(make: Callable[[], Scenario], loss: float) -> None:
    for seed in range(1 if loss == 0 else 3):
        world = World(make(), seed, loss)
        world.call()
        world.run()
        assert ending(world.told) in world.story.ends, (seed, world.told)
        assert sum(isinstance(output, CallEnded | CallFailed) for output in world.told) == 1
        if world.story.answered is not None:
            assert any(isinstance(output, CallAnswered) for output in world.told) is world.story.answered
        for agent in world.agents.values():
            assert (agent.calls, agent.transactions, agent.deadline) == (0, 0, None)


def test_there_are_enough_of_them() -> None:
    assert len({make().name for make in SCENARIOS}) == len(SCENARIOS) >= 120
