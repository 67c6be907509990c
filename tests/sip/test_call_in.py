"""Incoming calls: ringing, answering until the ACK, refusing, being cancelled."""

from typing import TYPE_CHECKING

import pytest

from callwright.sip.message import Request
from callwright.sip.outputs import CallConfirmed, CallEnded, CallFailed, IncomingCall

if TYPE_CHECKING:
    from tests.sip.conftest import Bench


def test_a_call_comes_in_with_its_offer_and_gets_a_100_at_once(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer))
    call = bench.only(IncomingCall)
    assert (call.call_id, call.sdp, call.source) == (bench.call, bench.offer, bench.peer)
    assert bench.lines == ["100 INVITE"]
    assert "tag=" not in (bench.response().headers.get("To") or "")


def test_a_repeated_invite_gets_the_latest_answer_again_and_is_no_second_call(bench: "Bench") -> None:
    invite = bench.build("INVITE", sdp=bench.offer)
    bench.receive(invite)
    bench.do(bench.agent.ring, bench.call)
    ringing = bench.sent
    bench.receive(invite)
    assert (bench.sent, bench.told) == (ringing, [])


def test_answers_in_a_dialog_carry_the_same_tag_and_our_contact(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer, headers=[("Record-Route", "<sip:192.0.2.9;lr>")]))
    bench.do(bench.agent.ring, bench.call, 183, b"v=0\r\ns=early\r\n")
    early = bench.response()
    assert (early.status, early.body) == (183, b"v=0\r\ns=early\r\n")
    bench.do(bench.agent.answer, bench.call, bench.answer)
    final = bench.response()
    assert (final.status, final.body) == (200, bench.answer)
    assert early.headers.get("To") == final.headers.get("To")
    for response in (early, final):
        assert response.headers.get("Contact") == "<sip:callwright@192.0.2.1:5060>"
        assert response.headers.get("Record-Route") == "<sip:192.0.2.9;lr>"
        assert response.headers.get("Content-Type") == "application/sdp"


def test_an_answer_is_repeated_until_its_ack_comes(bench: "Bench") -> None:
    invite = bench.answered_call()
    bench.wait(1.6)
    assert bench.lines == ["200 INVITE"] * 2
    bench.acknowledge(invite)
    assert bench.only(CallConfirmed).sdp is None
    bench.wait(60)
    assert bench.lines == []
    bench.acknowledge(invite)
    assert bench.told == []


def test_an_answer_that_is_never_acknowledged_ends_in_a_bye(bench: "Bench") -> None:
    bench.answered_call()
    bench.wait(32)
    assert bench.lines == ["200 INVITE"] * 10 + ["BYE"]
    bench.respond(bench.request(), 481)
    ended = bench.only(CallEnded)
    assert (ended.by_peer, ended.reason) == (False, "the answer was never acknowledged")


def test_a_caller_without_an_offer_gets_ours_and_answers_in_its_ack(bench: "Bench") -> None:
    invite = bench.build("INVITE")
    bench.receive(invite)
    assert bench.only(IncomingCall).sdp is None
    bench.do(bench.agent.answer, bench.call, bench.offer)
    bench.our_tag = (bench.response().headers.get("To") or "").partition("tag=")[2]
    bench.acknowledge(invite, sdp=bench.answer)
    assert bench.only(CallConfirmed).sdp == bench.answer


def test_hanging_up_before_the_ack_says_bye_only_after_it(bench: "Bench") -> None:
    invite = bench.answered_call()
    bench.do(bench.agent.hang_up, bench.call)
    assert bench.sent == []
    bench.acknowledge(invite)
    assert (bench.lines, bench.told) == (["BYE"], [])
    bench.respond(bench.request(), 200)
    assert bench.only(CallEnded).by_peer is False


def test_a_bye_that_overtakes_the_ack_ends_the_call_and_the_repetitions(bench: "Bench") -> None:
    bench.answered_call()
    bench.ask_in_call("BYE")
    assert bench.lines == ["200 BYE"]
    assert bench.only(CallEnded).by_peer is True
    bench.wait(60)
    assert bench.lines == []


def test_a_refusal_is_repeated_until_its_ack_comes(bench: "Bench") -> None:
    invite = bench.build("INVITE", sdp=bench.offer)
    bench.receive(invite)
    bench.do(bench.agent.reject, bench.call, 486, "Out For Lunch", [("Retry-After", "60")])
    assert (bench.response().reason, bench.response().headers.get("Retry-After")) == ("Out For Lunch", "60")
    failed = bench.only(CallFailed)
    assert (failed.status, failed.locally_generated) == (486, True)
    bench.wait(1)
    assert bench.lines == ["486 INVITE"]
    ack = bench.build("ACK", our_tag="x", number=int((invite.headers.get("CSeq") or "").split()[0]))
    ack.headers.set("Via", invite.headers.get("Via") or "")
    bench.receive(ack)
    bench.wait(60)
    assert bench.lines == []
    assert bench.agent.transactions == 0


def test_a_refusal_that_is_never_acknowledged_is_counted(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer))
    bench.do(bench.agent.reject, bench.call, 486)
    bench.wait(60)
    assert bench.agent.counts["refusal never acknowledged"] == 1


def test_a_cancel_gets_200_and_its_invite_487(bench: "Bench") -> None:
    invite = bench.build("INVITE", sdp=bench.offer)
    bench.receive(invite)
    bench.do(bench.agent.ring, bench.call)
    tag = bench.response().headers.get("To")
    bench.receive(cancel_of(bench, invite))
    assert bench.lines == ["200 CANCEL", "487 INVITE"]
    assert {response.headers.get("To") for response in bench.sent} == {tag}
    failed = bench.only(CallFailed)
    assert (failed.status, failed.locally_generated) == (487, False)


def test_a_cancel_after_the_answer_changes_nothing(bench: "Bench") -> None:
    invite = bench.answered_call()
    bench.receive(cancel_of(bench, invite))
    assert (bench.lines, bench.told) == (["200 CANCEL"], [])
    bench.acknowledge(invite)
    bench.only(CallConfirmed)


def test_a_cancel_for_nothing_gets_481(bench: "Bench") -> None:
    bench.receive(bench.build("CANCEL"))
    assert bench.lines == ["481 CANCEL"]


def test_a_bye_instead_of_a_cancel_ends_a_ringing_call(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer))
    bench.do(bench.agent.ring, bench.call)
    bench.our_tag = (bench.response().headers.get("To") or "").partition("tag=")[2]
    bench.ask_in_call("BYE")
    assert bench.lines == ["200 BYE", "487 INVITE"]
    assert bench.only(CallFailed).status == 487


def test_an_unheeded_call_is_refused_at_the_setup_limit(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer))
    bench.wait(240)
    assert bench.lines == ["480 INVITE"]
    assert bench.only(CallFailed).status == 480


def test_hanging_up_a_ringing_call_declines_it(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer))
    bench.do(bench.agent.hang_up, bench.call)
    assert bench.lines == ["603 INVITE"]
    bench.do(bench.agent.hang_up, bench.call)
    assert (bench.sent, bench.told) == ([], [])


def test_wishes_against_the_state_are_counted_and_do_nothing(bench: "Bench") -> None:
    bench.answered_call()
    bench.do(bench.agent.ring, bench.call)
    bench.do(bench.agent.answer, bench.call, bench.answer)
    bench.do(bench.agent.reject, bench.call, 486)
    assert bench.sent == []
    assert bench.agent.counts["wish against the call's state"] == 3


def test_a_placed_call_cannot_be_answered(bench: "Bench") -> None:
    bench.invite()
    bench.do(bench.agent.answer, bench.call, bench.answer)
    assert (bench.sent, bench.agent.counts["wish against the call's state"]) == ([], 1)


@pytest.mark.parametrize("status", [100, 200, 486])
def test_only_provisional_statuses_ring(bench: "Bench", status: int) -> None:
    with pytest.raises(ValueError, match="provisional"):
        bench.agent.ring(bench.now, bench.call, status)


@pytest.mark.parametrize("status", [100, 200, 700])
def test_only_final_refusals_refuse(bench: "Bench", status: int) -> None:
    with pytest.raises(ValueError, match="refuse"):
        bench.agent.reject(bench.now, bench.call, status)


def test_two_callers_with_the_same_call_id_are_two_calls(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", tag="one", sdp=bench.offer))
    bench.receive(bench.build("INVITE", tag="two", sdp=bench.offer))
    second = bench.only(IncomingCall).call_id
    assert second.startswith(bench.call + ";")
    bench.do(bench.agent.answer, second, bench.answer)
    assert "tag=two" in (bench.response().headers.get("From") or "")


def test_a_call_of_ours_that_comes_back_to_us_is_a_call_of_its_own(bench: "Bench") -> None:
    invite = bench.invite()
    invite.headers.insert_first("Via", "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKproxy")
    bench.receive(invite)
    assert bench.only(IncomingCall).call_id != bench.call
    assert bench.agent.calls == 2


def cancel_of(bench: "Bench", invite: Request) -> Request:
    """The caller's CANCEL for its INVITE."""
    number = int((invite.headers.get("CSeq") or "").split()[0])
    cancel = bench.build("CANCEL", number=number)
    cancel.headers.set("Via", invite.headers.get("Via") or "")
    return cancel
