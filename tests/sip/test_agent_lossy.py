"""Two agents over a network that loses, repeats and reorders: every call ends, once, and nothing is left behind."""

import heapq
from collections import Counter
from collections.abc import Callable
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

CALLER = ("192.0.2.1", 5060)
CALLEE = ("192.0.2.2", 5060)
TARGET = SipUri.parse("sip:15551234@192.0.2.2")
OFFER, ANSWER, CHANGE = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n", b"v=0\r\ns=change\r\n"
SEEDS = 120
CALLS = 2


class World:
    """Two agents, their people, the wire between them, and the time."""

    def __init__(self, seed: int, loss: float) -> None:
        self.random = Random(seed)
        self.loss = loss
        self.now = 1_000_000.0
        self.told: dict[tuple[Address, str], list[Output]] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        numbers = Random(seed)
        self.agents = {
            address: UserAgent(
                AgentProfile(*address, may_call=lambda _source, _request: True),
                lambda: f"{numbers.getrandbits(64):016x}",
            )
            for address in (CALLER, CALLEE)
        }

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, action))

    def wish(self, seconds: float, address: Address, wish: Callable[[UserAgent, float], list[Output]]) -> None:
        self.after(seconds, lambda: self.carry(address, wish(self.agents[address], self.now)))

    def carry(self, address: Address, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self.post(address, output)
            elif not isinstance(output, Received):
                self.told.setdefault((address, output.call_id), []).append(output)
                self.react(address, output)

    def post(self, source: Address, sent: Transmit) -> None:
        if sent.destination not in self.agents:
            raise AssertionError(f"sent to {sent.destination}: {sent.data!r}")
        copies = 0 if self.random.random() < self.loss else 2 if self.random.random() < self.loss / 2 else 1
        for _ in range(copies):
            delay = 0.02 + (self.random.random() * 0.9 if self.random.random() < self.loss else 0)
            self.after(delay, lambda: self.deliver(source, sent))

    def deliver(self, source: Address, sent: Transmit) -> None:
        self.carry(sent.destination, self.agents[sent.destination].receive(self.now, sent.data, source))

    def react(self, address: Address, output: Output) -> None:
        name = output.call_id
        if isinstance(output, IncomingCall):
            self.wish(self.random.random() * 2, address, lambda agent, now: agent.ring(now, name))
            what = self.random.random()
            if what < 0.7:
                self.wish(self.random.random() * 8, address, lambda agent, now: agent.answer(now, name, ANSWER))
            elif what < 0.9:
                self.wish(self.random.random() * 8, address, lambda agent, now: agent.reject(now, name, 486))
            if self.random.random() < 0.4:
                self.wish(self.random.random() * 30, address, lambda agent, now: agent.hang_up(now, name))
            if self.random.random() < 0.3:
                self.wish(self.random.random() * 20, address, lambda agent, now: agent.change(now, name, CHANGE))
        elif isinstance(output, ChangeOffered):
            if self.random.random() < 0.7:
                self.wish(0.1, address, lambda agent, now: agent.accept_change(now, name, ANSWER))
            else:
                self.wish(0.1, address, lambda agent, now: agent.refuse_change(now, name))

    def call(self, name: str) -> None:
        def invite(agent: UserAgent, now: float) -> list[Output]:
            return agent.invite(
                now,
                name,
                target=TARGET,
                next_hop=CALLEE,
                from_=NameAddr("sip:caller@192.0.2.1"),
                to=NameAddr(str(TARGET)),
                offer=OFFER,
            )

        self.wish(0, CALLER, invite)
        self.wish(0.05 + self.random.random() * 30, CALLER, lambda agent, now: agent.hang_up(now, name))
        if self.random.random() < 0.3:
            self.wish(self.random.random() * 20, CALLER, lambda agent, now: agent.change(now, name, CHANGE))

    def run(self) -> None:
        """Until nothing waits any more."""
        ends_at = self.now + 1000
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


@pytest.mark.parametrize("loss", [0, 0.05, 0.2])
def test_every_call_ends_once_and_leaves_nothing_behind(loss: float) -> None:
    ends: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = World(seed, loss)
        for number in range(CALLS):
            world.call(f"call-{number}")
        world.run()
        for agent in world.agents.values():
            assert (agent.calls, agent.transactions, agent.deadline) == (0, 0, None), seed
        assert {name for address, name in world.told if address == CALLER} == {"call-0", "call-1"}
        for outputs in world.told.values():
            endings = [output for output in outputs if isinstance(output, CallEnded | CallFailed)]
            assert endings == [outputs[-1]], (seed, outputs)
            assert sum(isinstance(output, CallAnswered) for output in outputs) <= 1
            ends[f"{type(outputs[-1]).__name__} {getattr(outputs[-1], 'status', '')}".strip()] += 1
    # Every kind of end was seen: the seeds exercise what they should.
    assert {"CallEnded", "CallFailed 486", "CallFailed 487"} <= ends.keys()
    assert ends.keys() <= {"CallEnded", "CallFailed 486", "CallFailed 487", "CallFailed 408", "CallFailed 603"}


@pytest.mark.parametrize("loss", [0, 0.2])
def test_a_silent_callee_never_keeps_a_call_forever(loss: float) -> None:
    world = World(7, loss)
    world.agents[CALLEE] = UserAgent(AgentProfile(*CALLEE, within_budget=lambda _now, _source: False), lambda: "0")
    world.call("call-0")
    world.run()
    last = world.told[CALLER, "call-0"][-1]
    assert isinstance(last, CallFailed)
    assert last.locally_generated
    assert (world.agents[CALLER].calls, world.agents[CALLER].transactions) == (0, 0)
