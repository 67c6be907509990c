"""What is over is freed at once: a circle of references would stay until the collector looks at old objects."""

import gc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from callwright.sip.call import Call
from callwright.sip.profile import AgentProfile
from callwright.sip.transactions.layer import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from tests.sip.conftest import Bench

LONGEST_SECONDS = 400.0
"""Longer than any transaction or set-up takes."""
TRANSACTION_SECONDS = 40.0
"""Longer than any transaction takes, and far less than a set-up may."""


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collector while the test runs."""
    gc.disable()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.enable()


def living() -> list[object]:
    """Calls and transactions that were made since and are in memory, wherever they are known."""
    return [one for one in gc.get_objects() if isinstance(one, Call | ClientTransaction | ServerTransaction)]


def incoming_refused(bench: "Bench") -> None:
    invite = bench.build("INVITE", sdp=bench.offer)
    bench.receive(invite)
    bench.do(bench.agent.reject, bench.call, 486)
    branch = (invite.headers.get("Via") or "").rpartition("branch=")[2]
    number = int((invite.headers.get("CSeq") or "").split()[0])
    bench.receive(bench.build("ACK", our_tag="any", number=number, branch=branch))


def incoming_refused_and_never_acknowledged(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer))
    bench.do(bench.agent.reject, bench.call, 486)


def incoming_cancelled(bench: "Bench") -> None:
    invite = bench.build("INVITE", sdp=bench.offer)
    bench.receive(invite)
    bench.do(bench.agent.ring, bench.call)
    branch = (invite.headers.get("Via") or "").rpartition("branch=")[2]
    number = int((invite.headers.get("CSeq") or "").split()[0])
    bench.receive(bench.build("CANCEL", number=number, branch=branch))


def incoming_that_the_caller_hangs_up(bench: "Bench") -> None:
    bench.acknowledge(bench.answered_call())
    bench.receive(bench.build("BYE", our_tag=bench.our_tag))


def incoming_that_we_hang_up(bench: "Bench") -> None:
    bench.acknowledge(bench.answered_call())
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(bench.request(), 200)


def incoming_and_never_acknowledged(bench: "Bench") -> None:
    bench.answered_call()


def incoming_that_nobody_picks_up(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer))


def outgoing_refused(bench: "Bench") -> None:
    bench.respond(bench.invite(), 486)


def outgoing_that_nobody_answers(bench: "Bench") -> None:
    bench.invite()


def outgoing_cancelled(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(bench.request(), 200)
    bench.respond(invite, 487)


def outgoing_that_we_hang_up(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(bench.request(), 200)


def outgoing_that_the_callee_hangs_up_after_a_change(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.change, bench.call, bench.offer)
    bench.respond(bench.request(), 200, sdp=bench.answer)
    change = bench.ask_in_call("INVITE", sdp=bench.offer)
    bench.do(bench.agent.accept_change, bench.call, bench.answer)
    bench.acknowledge(change)
    bench.ask_in_call("BYE")


def outgoing_whose_peer_has_no_address(bench: "Bench") -> None:
    bench.invite()
    bench.take(bench.agent.transport_failed(bench.now, bench.peer))


STORIES = (
    incoming_refused,
    incoming_refused_and_never_acknowledged,
    incoming_cancelled,
    incoming_that_the_caller_hangs_up,
    incoming_that_we_hang_up,
    incoming_and_never_acknowledged,
    incoming_that_nobody_picks_up,
    outgoing_refused,
    outgoing_that_nobody_answers,
    outgoing_cancelled,
    outgoing_that_we_hang_up,
    outgoing_that_the_callee_hangs_up_after_a_change,
    outgoing_whose_peer_has_no_address,
)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_nothing_of_a_call_that_is_over_waits_for_the_collector(
    story: "Callable[[Bench], None]", make_bench: "Callable[[AgentProfile], Bench]"
) -> None:
    bench = make_bench(AgentProfile("192.0.2.1", 5060, may_call=lambda *_: True))
    story(bench)
    bench.wait(LONGEST_SECONDS)
    bench.wait(0)  # and what was told of it is forgotten
    assert living() == []


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "story", [incoming_refused, incoming_that_the_caller_hangs_up, outgoing_that_we_hang_up], ids=lambda it: it.__name__
)
def test_nothing_of_a_call_that_is_over_waits_for_its_time(
    story: "Callable[[Bench], None]", make_bench: "Callable[[AgentProfile], Bench]"
) -> None:
    bench = make_bench(AgentProfile("192.0.2.1", 5060, may_call=lambda *_: True))
    bench.receive(bench.build("INVITE", call_id="waits", tag="other", sdp=bench.offer))
    waiting = living()
    bench.wait(1)
    story(bench)
    bench.wait(TRANSACTION_SECONDS)
    bench.wait(0)
    assert living() == waiting
