"""The door of the user agent: who is let in, what is refused without keeping anything, and what is bounded."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from callwright.sip.message import Request
from callwright.sip.outputs import Address, IncomingCall, Transmit
from callwright.sip.parse import parse
from callwright.sip.profile import AgentProfile

if TYPE_CHECKING:
    from tests.sip.conftest import Bench

    MakeBench = Callable[[AgentProfile], Bench]

US = AgentProfile("192.0.2.1", 5060)


def everybody(_source: Address, _request: Request) -> bool:
    return True


OPEN = replace(US, may_call=everybody)


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE", "REGISTER", "SUBSCRIBE", "NONSENSE"])
def test_strangers_all_get_the_same_403_and_leave_no_trace(make_bench: "MakeBench", method: str) -> None:
    bench = make_bench(US)
    request = bench.build(method)
    bench.receive(request)
    first = bench.response()
    assert (first.status, first.reason) == (403, "Forbidden")
    assert "Allow" not in first.headers
    assert (bench.agent.calls, bench.agent.transactions, bench.agent.deadline) == (0, 0, None)
    bench.receive(request)
    assert bench.response() == first  # the same tag too


def test_the_source_and_the_request_decide_who_may_call(make_bench: "MakeBench") -> None:
    def from_trunk(source: Address, request: Request) -> bool:
        return source[0] == "192.0.2.2" and "callwright" in request.uri

    bench = make_bench(replace(US, may_call=from_trunk))
    bench.receive(bench.build("INVITE", sdp=bench.offer), source=("203.0.113.5", 5060))
    assert bench.lines == ["403 INVITE"]
    bench.receive(bench.build("INVITE", sdp=bench.offer))
    bench.only(IncomingCall)


def test_options_say_what_we_do(bench: "Bench") -> None:
    bench.receive(bench.build("OPTIONS"))
    answer = bench.response()
    assert answer.status == 200
    assert answer.headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK"
    assert answer.headers.get("Supported") == "100rel, timer"
    assert "application/sdp" in (answer.headers.get("Accept") or "")
    assert answer.headers.get("Server") == "callwright"
    assert bench.agent.transactions == 0


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "REFER", "MESSAGE", "PUBLISH"])
def test_methods_that_we_do_not_do_get_405_and_the_list(bench: "Bench", method: str) -> None:
    bench.receive(bench.build(method))
    assert bench.lines == [f"405 {method}"]
    assert "INVITE" in (bench.response().headers.get("Allow") or "")


def test_an_unknown_method_gets_501(bench: "Bench") -> None:
    bench.receive(bench.build("DANCE"))
    assert bench.lines == ["501 DANCE"]


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE"])
def test_what_needs_a_dialog_gets_481_without_one(bench: "Bench", method: str) -> None:
    bench.receive(bench.build(method))
    bench.receive(bench.build(method, our_tag="unknown"))
    assert bench.lines == [f"481 {method}"]


def test_a_stray_ack_is_dropped(bench: "Bench") -> None:
    bench.receive(bench.build("ACK"))
    bench.receive(bench.build("ACK", our_tag="unknown"))
    assert (bench.sent, bench.agent.counts["stray ACK"]) == ([], 2)


def test_a_required_extension_gets_420_and_its_name(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer, headers=[("Require", "100rel, replaces, path")]))
    assert (bench.lines, bench.response().headers.get("Unsupported")) == (["420 INVITE"], "replaces, path")


def test_a_body_of_another_kind_gets_415_and_what_we_read(bench: "Bench") -> None:
    invite = bench.build("INVITE", headers=[("Content-Type", "text/plain")])
    invite.body = b"hello"
    bench.receive(invite)
    assert bench.lines == ["415 INVITE"]
    assert bench.response().headers.get("Accept") == "application/sdp"


def test_the_same_request_on_another_way_gets_482(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", number=7, sdp=bench.offer))
    bench.receive(bench.build("INVITE", number=7, sdp=bench.offer))
    assert bench.lines == ["482 INVITE"]
    assert bench.agent.calls == 1


def test_a_request_on_its_last_hop_is_taken(bench: "Bench") -> None:
    invite = bench.build("INVITE", sdp=bench.offer)
    invite.headers.set("Max-Forwards", "0")
    bench.receive(invite)
    bench.only(IncomingCall)


# Limits


def test_calls_beyond_the_limit_get_503_and_when_to_come_back(make_bench: "MakeBench") -> None:
    bench = make_bench(replace(OPEN, most_calls=1, retry_after_seconds=7))
    bench.receive(bench.build("INVITE", call_id="one", sdp=bench.offer))
    bench.receive(bench.build("INVITE", call_id="two", sdp=bench.offer))
    assert (bench.lines, bench.response().headers.get("Retry-After")) == (["503 INVITE"], "7")
    assert bench.agent.calls == 1


def test_transactions_beyond_the_limit_get_503_but_a_bye_is_heard(make_bench: "MakeBench") -> None:
    bench = make_bench(replace(OPEN, most_transactions=1))
    invite = bench.answered_call()
    bench.acknowledge(invite)
    bench.ask_in_call("INFO")
    assert bench.lines == ["503 INFO"]
    bench.receive(bench.build("INVITE", call_id="two", sdp=bench.offer))
    assert bench.lines == ["503 INVITE"]
    bench.ask_in_call("BYE")
    assert bench.lines == ["200 BYE"]


def test_a_source_over_its_budget_is_not_even_read(make_bench: "MakeBench") -> None:
    bench = make_bench(replace(OPEN, within_budget=lambda _now, source: source != bench.peer))
    bench.take(bench.agent.receive(bench.now, b"\xff not SIP", bench.peer))
    assert (bench.sent, dict(bench.agent.counts)) == ([], {"over budget": 1})


# Broken input


def test_a_broken_request_gets_400(bench: "Bench") -> None:
    request = bench.build("INVITE", sdp=bench.offer)
    request.headers.remove("CSeq")
    bench.receive(request)
    assert bench.response().status == 400
    assert bench.destinations == [bench.peer]
    assert bench.agent.counts["broken request"] == 1


def test_a_broken_via_is_answered_to_where_it_came_from(bench: "Bench") -> None:
    request = bench.build("OPTIONS")
    request.headers.set("Via", "nonsense")
    bench.receive(request, source=("203.0.113.5", 40000))
    assert (bench.response().status, bench.destinations) == (400, [("203.0.113.5", 40000)])


def test_a_broken_ack_is_not_answered(bench: "Bench") -> None:
    request = bench.build("ACK")
    request.headers.remove("CSeq")
    bench.receive(request)
    assert bench.sent == []


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\x00\x00"])
def test_keepalives_are_ignored(bench: "Bench", data: bytes) -> None:
    bench.take(bench.agent.receive(bench.now, data, bench.peer))
    assert (bench.sent, bench.told, dict(bench.agent.counts)) == ([], [], {})


@pytest.mark.parametrize("data", [b"\xff" * 40, b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 999\r\n\r\n", b"INVITE"])
def test_noise_is_counted_and_dropped(bench: "Bench", data: bytes) -> None:
    bench.take(bench.agent.receive(bench.now, data, bench.peer))
    assert (bench.sent, dict(bench.agent.counts)) == ([], {"not SIP": 1})


# Where answers go


def test_answers_go_to_the_port_a_request_came_from_when_it_asks_so(bench: "Bench") -> None:
    bench.receive(bench.build("OPTIONS"), source=("203.0.113.5", 40000))
    assert bench.destinations == [("203.0.113.5", 40000)]
    via = bench.response().headers.get("Via") or ""
    assert "received=203.0.113.5" in via
    assert "rport=40000" in via


def test_answers_go_to_the_port_in_the_via_otherwise(bench: "Bench") -> None:
    request = bench.build("OPTIONS")
    request.headers.set("Via", "SIP/2.0/UDP proxy.example.com:5070;branch=z9hG4bKx")
    bench.receive(request, source=("203.0.113.5", 40000))
    assert bench.destinations == [("203.0.113.5", 5070)]
    assert "received=203.0.113.5" in (bench.response().headers.get("Via") or "")


def test_every_via_goes_back_in_order(bench: "Bench") -> None:
    request = bench.build("OPTIONS")
    request.headers.set("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1, SIP/2.0/TCP a.example.com;branch=z9hG4bK2")
    request.headers.add("Via", "SIP/2.0/UDP b.example.com;branch=z9hG4bK3")
    bench.receive(request)
    hops = bench.response().headers.values("Via")
    assert [hop.rpartition("branch=")[2] for hop in hops] == ["z9hG4bK1", "z9hG4bK2", "z9hG4bK3"]


def test_a_peer_without_branches_is_recognised_by_its_call(bench: "Bench") -> None:
    invite = bench.build("INVITE", branch="old", sdp=bench.offer)
    bench.receive(invite)
    bench.do(bench.agent.reject, bench.call, 486)
    bench.receive(invite)
    assert bench.lines == ["486 INVITE"]
    ack = bench.build("ACK", branch="old", our_tag="x", number=int((invite.headers.get("CSeq") or "").split()[0]))
    bench.receive(ack)
    bench.wait(60)
    assert (bench.lines, bench.agent.transactions) == ([], 0)


def test_an_ipv6_agent_writes_brackets(make_bench: "MakeBench") -> None:
    bench = make_bench(AgentProfile("2001:db8::1", 5060))
    invite = bench.invite()
    assert (invite.headers.get("Via") or "").startswith("SIP/2.0/UDP [2001:db8::1]:5060;")
    assert invite.headers.get("Contact") == "<sip:callwright@[2001:db8::1]:5060>"


def test_outputs_name_their_call(bench: "Bench") -> None:
    bench.talk()
    outputs = bench.agent.hang_up(bench.now, bench.call)
    assert [(type(output), output.call_id) for output in outputs] == [(Transmit, bench.call)]
    assert isinstance(outputs[0], Transmit)
    assert parse(outputs[0].data).headers.get("Call-ID") == bench.call


@pytest.mark.parametrize("wish", ["hang_up", "ring"])
def test_wishes_for_calls_that_are_over_do_nothing(bench: "Bench", wish: str) -> None:
    assert getattr(bench.agent, wish)(bench.now, "gone") == []


def test_a_tick_too_early_does_nothing(bench: "Bench") -> None:
    bench.invite()
    bench.do(bench.agent.tick)
    assert (bench.sent, bench.told) == ([], [])
