"""Provisional answers that must arrive (RFC 3262), as caller and as callee."""

from typing import TYPE_CHECKING

import pytest

from callwright.sip.message import Headers, Request, Response
from callwright.sip.outputs import CallAnswered, CallConfirmed, CallFailed, CallRinging, ChangeOffered
from callwright.sip.reliable import RAck, read_rack, rseq_of

if TYPE_CHECKING:
    from tests.sip.conftest import Bench

PEER_CONTACT = ("Contact", "<sip:peer@192.0.2.2:5060>")
REQUIRE, SUPPORTED = ("Require", "100rel"), ("Supported", "timer, 100rel")


def reliable(rseq: int) -> list[tuple[str, str]]:
    return [PEER_CONTACT, REQUIRE, ("RSeq", str(rseq))]


# --- as caller -------------------------------------------------------------------------------------------------------


def test_a_reliable_ringing_is_acknowledged_and_told(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 183, sdp=bench.answer, headers=reliable(7))
    prack = bench.request()
    assert (prack.method, prack.headers.get("RAck"), prack.headers.get("CSeq")) == ("PRACK", "7 1 INVITE", "2 PRACK")
    assert prack.uri == "sip:peer@192.0.2.2:5060"
    assert bench.told[-1] == CallRinging(bench.call, 183, "Session Progress", bench.answer)
    bench.respond(prack, 200)
    bench.respond(invite, 200, sdp=b"")
    assert bench.only(CallAnswered).sdp == bench.answer
    bench.do(bench.agent.hang_up, bench.call)
    assert bench.request().headers.get("CSeq") == "3 BYE"


def test_repetitions_and_gaps_are_neither_acknowledged_nor_told(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180, headers=reliable(7))
    bench.respond(invite, 180, headers=reliable(7))
    assert (bench.sent, bench.told) == ([], [])
    bench.respond(invite, 183, headers=reliable(9))
    assert (bench.sent, bench.told) == ([], [])
    bench.respond(invite, 183, headers=reliable(8))
    assert bench.request().headers.get("RAck") == "8 1 INVITE"


def test_a_prack_is_repeated_until_it_is_answered(bench: "Bench") -> None:
    bench.respond(bench.invite(), 180, headers=reliable(1))
    bench.wait(1.6)
    assert bench.lines == ["PRACK", "PRACK"]


def test_each_fork_counts_for_itself(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180, tag="one", headers=reliable(5))
    bench.respond(invite, 180, tag="two", headers=reliable(90))
    assert bench.request().headers.get("RAck") == "90 1 INVITE"


def test_a_cancelled_call_still_acknowledges(bench: "Bench") -> None:
    invite = bench.invite()
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(invite, 180, headers=reliable(1))
    assert bench.lines == ["CANCEL", "PRACK"]
    assert bench.told == []


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (100, [REQUIRE, ("RSeq", "1")]),
        (180, [("RSeq", "1")]),
        (180, [REQUIRE]),
        (180, [REQUIRE, ("RSeq", "0")]),
        (180, [REQUIRE, ("RSeq", "x")]),
        (200, [REQUIRE, ("RSeq", "1")]),
    ],
)
def test_what_is_not_reliable_has_no_number(status: int, lines: list[tuple[str, str]]) -> None:
    assert rseq_of(Response(status, "", Headers(lines))) is None


@pytest.mark.parametrize("text", ["", "1 INVITE", "x 1 INVITE", "1 x INVITE", "1 2 3 4", "-1 1 INVITE"])
def test_a_broken_rack_is_none(text: str) -> None:
    assert read_rack(Request("PRACK", "sip:x", Headers([("RAck", text)]))) is None
    assert read_rack(Request("PRACK", "sip:x", Headers([("RAck", "5 1  INVITE")]))) == RAck(5, 1, "INVITE")


# --- as callee -------------------------------------------------------------------------------------------------------


def ring(bench: "Bench", headers: list[tuple[str, str]], status: int = 183, sdp: bytes | None = b"v=0\r\n") -> Request:
    invite = bench.build("INVITE", sdp=bench.offer, headers=headers)
    bench.receive(invite)
    bench.do(bench.agent.ring, bench.call, status, sdp)
    bench.our_tag = (bench.response().headers.get("To") or "").partition("tag=")[2]
    return invite


def prack(bench: "Bench", invite: Request, rseq: str | None = None) -> None:
    rseq = bench.rseq if rseq is None else rseq
    rack = ("RAck", f"{rseq} {invite.headers.get('CSeq')}")
    bench.receive(bench.build("PRACK", our_tag=bench.our_tag, headers=[rack]))


def test_early_media_is_sent_reliably_to_whoever_can(bench: "Bench") -> None:
    invite = ring(bench, [SUPPORTED])
    ringing = bench.response()
    assert (ringing.status, ringing.headers.get("Require")) == (183, "100rel")
    bench.rseq = ringing.headers.get("RSeq") or ""
    assert 0 < int(bench.rseq) < 2**31
    bench.wait(1.6)
    assert bench.lines == ["183 INVITE", "183 INVITE"]
    prack(bench, invite)
    assert bench.lines == ["200 PRACK"]
    bench.wait(20)
    assert bench.lines == []


@pytest.mark.parametrize(("headers", "sdp"), [([], b"v=0\r\n"), ([SUPPORTED], None)])
def test_otherwise_ringing_is_sent_once(bench: "Bench", headers: list[tuple[str, str]], sdp: bytes | None) -> None:
    ring(bench, headers, 180, sdp)
    assert bench.response().headers.get("RSeq") is None
    bench.wait(5)
    assert bench.lines == []


def test_the_200_waits_for_the_prack_of_early_media(bench: "Bench") -> None:
    invite = ring(bench, [SUPPORTED])
    bench.rseq = bench.response().headers.get("RSeq") or ""
    bench.do(bench.agent.answer, bench.call, bench.answer)
    assert bench.sent == []
    prack(bench, invite)
    assert bench.lines == ["200 PRACK", "200 INVITE"]
    bench.acknowledge(invite)
    bench.only(CallConfirmed)


def test_the_200_does_not_wait_for_a_ringing_without_description(bench: "Bench") -> None:
    invite = ring(bench, [REQUIRE], 180, None)
    bench.do(bench.agent.answer, bench.call, bench.answer)
    assert bench.lines == ["200 INVITE"]
    bench.acknowledge(invite)
    bench.wait(5)
    assert bench.lines == []


def test_a_second_ringing_waits_for_the_first_to_be_acknowledged(bench: "Bench") -> None:
    invite = ring(bench, [REQUIRE], 180, None)
    bench.rseq = first = bench.response().headers.get("RSeq") or ""
    bench.do(bench.agent.ring, bench.call, 183, bench.answer)
    assert bench.sent == []
    prack(bench, invite)
    assert bench.lines == ["200 PRACK", "183 INVITE"]
    assert bench.response().headers.get("RSeq") == str(int(first) + 1)


def test_a_prack_for_something_else_gets_481(bench: "Bench") -> None:
    invite = ring(bench, [SUPPORTED])
    bench.rseq = bench.response().headers.get("RSeq") or ""
    prack(bench, invite, "12345")
    assert bench.lines == ["481 PRACK"]
    prack(bench, invite)
    prack(bench, invite)
    assert bench.lines == ["481 PRACK"]


def test_without_any_prack_the_call_is_refused(bench: "Bench") -> None:
    ring(bench, [SUPPORTED])
    bench.wait(33)
    assert bench.lines.count("183 INVITE") == 6
    assert "504 INVITE" in bench.lines
    assert bench.only(CallFailed).status == 504


def test_a_cancel_stops_the_repetition(bench: "Bench") -> None:
    invite = ring(bench, [SUPPORTED])
    branch = (invite.headers.get("Via") or "").rpartition("branch=")[2]
    number = int((invite.headers.get("CSeq") or "").split()[0])
    bench.receive(bench.build("CANCEL", number=number, branch=branch))
    assert bench.lines == ["200 CANCEL", "487 INVITE"]
    bench.wait(3)
    assert "183 INVITE" not in bench.lines


# --- an offer in the PRACK (RFC 3262 §5) -----------------------------------------------------------------------------


def prack_with_offer(bench: "Bench", invite: Request) -> None:
    rack = ("RAck", f"{bench.rseq} {invite.headers.get('CSeq')}")
    bench.receive(bench.build("PRACK", our_tag=bench.our_tag, headers=[rack], sdp=b"v=0\r\ns=another\r\n"))


def test_an_offer_in_a_prack_is_answered_in_its_200_and_the_call_waits_for_that(bench: "Bench") -> None:
    invite = ring(bench, [SUPPORTED])
    bench.rseq = bench.response().headers.get("RSeq") or ""
    bench.do(bench.agent.answer, bench.call, bench.answer)
    prack_with_offer(bench, invite)
    assert bench.sent == []
    assert bench.only(ChangeOffered).sdp == b"v=0\r\ns=another\r\n"
    bench.do(bench.agent.accept_change, bench.call, b"v=0\r\ns=ours\r\n")
    assert bench.lines == ["200 PRACK", "200 INVITE"]
    assert bench.response(0).body == b"v=0\r\ns=ours\r\n"
    assert bench.response(0).headers.get("Content-Type") == "application/sdp"


def test_an_offer_in_a_prack_that_is_refused_leaves_the_session_as_it_is(bench: "Bench") -> None:
    invite = ring(bench, [SUPPORTED])
    bench.rseq = bench.response().headers.get("RSeq") or ""
    bench.do(bench.agent.answer, bench.call, bench.answer)
    prack_with_offer(bench, invite)
    bench.do(bench.agent.refuse_change, bench.call)
    assert bench.lines == ["488 PRACK", "200 INVITE"]


def test_an_offer_before_the_answer_to_the_former_one_is_not_the_callers_turn(bench: "Bench") -> None:
    invite = ring(bench, [REQUIRE], 180, None)
    bench.rseq = bench.response().headers.get("RSeq") or ""
    prack_with_offer(bench, invite)
    assert bench.lines == ["491 PRACK"]
    assert bench.told == []


def test_a_caller_that_leaves_with_its_offer_unanswered_gets_every_answer(bench: "Bench") -> None:
    invite = ring(bench, [SUPPORTED])
    bench.rseq = bench.response().headers.get("RSeq") or ""
    prack_with_offer(bench, invite)
    branch = (invite.headers.get("Via") or "").rpartition("branch=")[2]
    number = int((invite.headers.get("CSeq") or "").split()[0])
    bench.receive(bench.build("CANCEL", number=number, branch=branch))
    assert sorted(bench.lines) == ["200 CANCEL", "487 INVITE", "487 PRACK"]
