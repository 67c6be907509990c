"""Running calls: BYE and its races, re-INVITE, UPDATE, INFO, OPTIONS, the order of requests."""

from typing import TYPE_CHECKING

import pytest

from callwright.errors import SipSyntaxError
from callwright.sip.digest import Credentials
from callwright.sip.info import digit_body, parse_digit
from callwright.sip.outputs import (
    CallEnded,
    ChangeConfirmed,
    ChangeOffered,
    ChangeRefused,
    DigitByInfo,
)

if TYPE_CHECKING:
    from tests.sip.conftest import Bench

CHANGED = b"v=0\r\ns=changed\r\n"


# BYE


def test_the_peers_bye_ends_the_call_with_its_reason(bench: "Bench") -> None:
    bench.talk()
    bye = bench.ask_in_call("BYE", headers=[("Reason", "Q.850;cause=16")])
    assert bench.lines == ["200 BYE"]
    assert bench.only(CallEnded) == CallEnded(bench.call, by_peer=True, reason="Q.850;cause=16")
    bench.receive(bye)
    assert (bench.lines, bench.told) == (["200 BYE"], [])


def test_our_bye_ends_the_call_when_it_is_answered(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.hang_up, bench.call, "Q.850;cause=16")
    bye = bench.request()
    assert (bye.method, bye.uri, bye.headers.get("CSeq")) == ("BYE", "sip:peer@192.0.2.2:5060", "2 BYE")
    assert bye.headers.get("Reason") == "Q.850;cause=16"
    bench.do(bench.agent.hang_up, bench.call)
    assert (bench.sent, bench.told) == ([], [])
    bench.respond(bye, 200)
    assert bench.only(CallEnded).by_peer is False


@pytest.mark.parametrize("status", [481, 408, 500, 603])
def test_any_final_answer_to_our_bye_ends_the_call(bench: "Bench", status: int) -> None:
    bench.talk()
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(bench.request(), status)
    bench.only(CallEnded)


def test_a_bye_that_nobody_answers_ends_the_call_after_timer_f(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.hang_up, bench.call)
    bench.wait(32)
    assert bench.only(CallEnded).reason == "BYE: no response"


def test_a_bye_into_a_dead_network_ends_the_call(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.hang_up, bench.call)
    bench.do(bench.agent.transport_failed, bench.peer)
    bench.only(CallEnded)


def test_byes_that_cross_are_both_answered_and_the_call_ends_once(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.hang_up, bench.call)
    ours = bench.request()
    bench.ask_in_call("BYE")
    assert bench.lines == ["200 BYE"]
    assert bench.only(CallEnded).by_peer is False
    bench.respond(ours, 200)
    assert bench.told == []


def test_a_request_after_the_end_gets_481(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("BYE")
    bench.ask_in_call("INFO")
    assert bench.lines == ["481 INFO"]


# re-INVITE and UPDATE from the peer


def test_a_reinvite_is_offered_and_its_answer_repeated_until_the_ack(bench: "Bench") -> None:
    bench.talk()
    reinvite = bench.ask_in_call("INVITE", sdp=CHANGED)
    assert bench.lines == ["100 INVITE"]
    assert bench.only(ChangeOffered).sdp == CHANGED
    bench.do(bench.agent.accept_change, bench.call, bench.answer)
    assert (bench.response().status, bench.response().body) == (200, bench.answer)
    bench.wait(0.6)
    assert bench.lines == ["200 INVITE"]
    bench.acknowledge(reinvite)
    bench.wait(60)
    assert (bench.lines, bench.told) == ([], [])


def test_a_reinvite_moves_the_peers_target(bench: "Bench") -> None:
    bench.talk()
    reinvite = bench.build("INVITE", our_tag=bench.our_tag, sdp=CHANGED)
    reinvite.headers.set("Contact", "<sip:moved@192.0.2.8:5080>")
    bench.receive(reinvite)
    bench.do(bench.agent.accept_change, bench.call, bench.answer)
    bench.acknowledge(reinvite)
    bench.do(bench.agent.hang_up, bench.call)
    assert (bench.request().uri, bench.destinations) == ("sip:moved@192.0.2.8:5080", [("192.0.2.8", 5080)])


def test_a_reinvite_whose_answer_is_never_acknowledged_ends_the_call(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INVITE", sdp=CHANGED)
    bench.do(bench.agent.accept_change, bench.call, bench.answer)
    bench.wait(32)
    assert bench.lines[-1] == "BYE"


def test_a_refused_reinvite_leaves_the_call_running(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INVITE", sdp=CHANGED)
    bench.do(bench.agent.refuse_change, bench.call)
    assert bench.lines == ["488 INVITE"]
    assert bench.agent.calls == 1


def test_a_reinvite_that_nobody_decides_on_is_refused(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INVITE", sdp=CHANGED)
    bench.wait(32)
    assert "488 INVITE" in bench.lines


def test_a_reinvite_without_an_offer_gets_our_current_one(bench: "Bench") -> None:
    bench.talk()
    reinvite = bench.ask_in_call("INVITE")
    assert (bench.response().status, bench.response().body) == (200, bench.offer)
    bench.acknowledge(reinvite, sdp=CHANGED)
    assert bench.only(ChangeConfirmed).sdp == CHANGED


def test_a_second_reinvite_before_the_first_is_answered_gets_500_and_retry_after(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INVITE", sdp=CHANGED)
    bench.ask_in_call("INVITE", sdp=CHANGED)
    assert bench.lines == ["500 INVITE"]
    assert bench.response().headers.get("Retry-After") is not None


def test_a_cancelled_reinvite_gets_487_and_the_call_goes_on(bench: "Bench") -> None:
    bench.talk()
    reinvite = bench.ask_in_call("INVITE", sdp=CHANGED)
    cancel = bench.build("CANCEL", our_tag=bench.our_tag, number=int((reinvite.headers.get("CSeq") or "").split()[0]))
    cancel.headers.set("Via", reinvite.headers.get("Via") or "")
    bench.receive(cancel)
    assert bench.lines == ["200 CANCEL", "487 INVITE"]
    bench.do(bench.agent.accept_change, bench.call, bench.answer)
    assert (bench.sent, bench.agent.calls) == ([], 1)


def test_our_bye_answers_the_peers_open_reinvite_with_487(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INVITE", sdp=CHANGED)
    bench.do(bench.agent.hang_up, bench.call)
    assert bench.lines == ["487 INVITE", "BYE"]


def test_an_update_is_offered_and_answered_without_an_ack(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("UPDATE", sdp=CHANGED)
    assert bench.only(ChangeOffered).sdp == CHANGED
    bench.do(bench.agent.accept_change, bench.call, bench.answer)
    assert (bench.lines, bench.response().body) == (["200 UPDATE"], bench.answer)
    bench.wait(31)
    assert bench.lines == []


def test_an_update_without_an_offer_is_answered_at_once(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("UPDATE")
    assert (bench.lines, bench.told) == (["200 UPDATE"], [])


# re-INVITE from us


def test_our_change_is_confirmed_and_acknowledged(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.change, bench.call, CHANGED)
    reinvite = bench.request()
    assert (reinvite.method, reinvite.headers.get("CSeq"), reinvite.body) == ("INVITE", "2 INVITE", CHANGED)
    bench.respond(reinvite, 200, sdp=bench.answer)
    assert bench.only(ChangeConfirmed).sdp == bench.answer
    ack = bench.sent
    assert bench.request().headers.get("CSeq") == "2 ACK"
    bench.respond(reinvite, 200, sdp=bench.answer)
    assert (bench.sent, bench.told) == (ack, [])


def test_our_refused_change_leaves_the_call_running(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.change, bench.call, CHANGED)
    bench.respond(bench.request(), 488)
    assert bench.only(ChangeRefused).status == 488
    assert (bench.lines, bench.agent.calls) == (["ACK"], 1)
    bench.ask_in_call("INVITE")
    assert bench.response().body == bench.offer


def test_a_change_that_finds_the_peer_gone_ends_the_call(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.change, bench.call, CHANGED)
    bench.respond(bench.request(), 481)
    assert bench.only(ChangeRefused).status == 481
    assert bench.lines == ["ACK", "BYE"]


def test_changes_that_cross_get_491(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.change, bench.call, CHANGED)
    ours = bench.request()
    bench.ask_in_call("INVITE", sdp=CHANGED)
    assert (bench.lines, bench.told) == (["491 INVITE"], [])
    bench.respond(ours, 491)
    assert bench.only(ChangeRefused).status == 491


def test_a_change_while_the_peers_is_open_is_refused_here(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INVITE", sdp=CHANGED)
    bench.do(bench.agent.change, bench.call, CHANGED)
    assert (bench.sent, bench.only(ChangeRefused).status) == ([], 491)


def test_a_200_to_a_change_that_arrives_after_the_end_is_acknowledged(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.change, bench.call, CHANGED)
    reinvite = bench.request()
    bench.ask_in_call("BYE")
    bench.respond(reinvite, 200, sdp=bench.answer)
    assert (bench.lines, bench.told) == (["ACK"], [])


# INFO, OPTIONS and what is refused


@pytest.mark.parametrize(
    ("content_type", "body", "digit", "duration_ms"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5", 160),
        ("application/dtmf-relay", b"Signal= #\nDuration= 250", "#", 250),
        ("application/dtmf-relay", b"Signal=a", "A", None),
        ("application/dtmf", b"*", "*", None),
    ],
)
def test_a_digit_by_info_is_told_once(
    bench: "Bench", content_type: str, body: bytes, digit: str, duration_ms: int | None
) -> None:
    bench.talk()
    info = bench.build("INFO", our_tag=bench.our_tag, headers=[("Content-Type", content_type)])
    info.body = body
    bench.receive(info)
    assert bench.only(DigitByInfo) == DigitByInfo(bench.call, digit, duration_ms)
    assert bench.lines == ["200 INFO"]
    bench.receive(info)
    assert (bench.lines, bench.told) == (["200 INFO"], [])


@pytest.mark.parametrize("body", [b"Signal=", b"Signal=12", b"Duration=100", b"xyz", b"\xff\xfe"])
def test_an_info_without_a_digit_gets_400(bench: "Bench", body: bytes) -> None:
    bench.talk()
    info = bench.build("INFO", our_tag=bench.our_tag, headers=[("Content-Type", "application/dtmf-relay")])
    info.body = body
    bench.receive(info)
    assert (bench.lines, bench.told) == (["400 INFO"], [])


def test_an_empty_info_is_answered(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INFO")
    assert (bench.lines, bench.told) == (["200 INFO"], [])


def test_an_info_of_another_kind_gets_415(bench: "Bench") -> None:
    bench.talk()
    info = bench.build("INFO", our_tag=bench.our_tag, headers=[("Content-Type", "text/plain")])
    info.body = b"hello"
    bench.receive(info)
    assert bench.lines == ["415 INFO"]


def test_a_key_sent_by_info_can_be_read_again(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.send_info, bench.call, "application/dtmf-relay", digit_body("#", 160))
    info = bench.request()
    assert (info.method, info.headers.get("Content-Type")) == ("INFO", "application/dtmf-relay")
    assert info.headers.get("CSeq") == "2 INFO"
    assert parse_digit(info.body) == ("#", 160)
    bench.respond(info, 200)
    assert (bench.sent, bench.told) == ([], [])
    with pytest.raises(SipSyntaxError):
        digit_body("12", 160)


def test_an_info_that_the_peer_does_not_understand_changes_nothing(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.send_info, bench.call, "application/dtmf", b"1")
    bench.respond(bench.request(), 415)
    assert (bench.sent, bench.told, bench.agent.calls) == ([], [], 1)


def test_an_info_to_a_peer_that_lost_the_call_ends_it(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.send_info, bench.call, "application/dtmf", b"1")
    bench.respond(bench.request(), 481)
    assert bench.lines == ["BYE"]
    bench.respond(bench.request(), 481)
    assert bench.only(CallEnded) == CallEnded(bench.call, by_peer=False, reason="the peer lost the call: 481")


def test_an_info_that_nobody_answers_ends_the_call(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.send_info, bench.call, "application/dtmf", b"1")
    bench.wait(32.5)
    assert bench.lines[-1] == "BYE"


def test_a_challenged_info_is_proved_and_sent_again(bench: "Bench") -> None:
    bench.respond(bench.invite(Credentials("ann", "secret")), 200, sdp=bench.answer)
    bench.do(bench.agent.send_info, bench.call, "application/dtmf", b"1")
    challenge = ("WWW-Authenticate", 'Digest realm="trunk", nonce="n1", algorithm=SHA-256, qop="auth"')
    bench.respond(bench.request(), 401, headers=[challenge])
    assert bench.lines == ["INFO"]
    assert "Authorization" in [name for name, _ in bench.request().headers]
    assert bench.request().body == b"1"


def test_an_info_before_the_answer_is_not_sent(bench: "Bench") -> None:
    bench.invite()
    bench.do(bench.agent.send_info, bench.call, "application/dtmf", b"1")
    assert bench.sent == []
    assert bench.agent.counts["wish against the call's state"] == 1
    bench.do(bench.agent.send_info, "nobody", "application/dtmf", b"1")
    assert bench.sent == []


@pytest.mark.parametrize("method", ["REFER", "MESSAGE", "NOTIFY", "SUBSCRIBE"])
def test_a_method_that_we_do_not_do_gets_405_and_the_list(bench: "Bench", method: str) -> None:
    bench.talk()
    bench.ask_in_call(method)
    assert bench.lines == [f"405 {method}"]
    assert "INVITE" in (bench.response().headers.get("Allow") or "")
    assert bench.agent.calls == 1


def test_options_in_a_call_are_answered(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("OPTIONS")
    assert bench.lines == ["200 OPTIONS"]


def test_a_required_extension_that_we_lack_gets_420(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INVITE", sdp=CHANGED, headers=[("Require", "100rel, replaces")])
    assert (bench.lines, bench.response().headers.get("Unsupported")) == (["420 INVITE"], "replaces")


def test_a_bye_with_a_strange_body_still_ends_the_call(bench: "Bench") -> None:
    bench.talk()
    bye = bench.build("BYE", our_tag=bench.our_tag, headers=[("Content-Type", "text/plain")])
    bye.body = b"so long"
    bench.receive(bye)
    bench.only(CallEnded)


# Order and identity


def test_a_request_out_of_order_gets_500(bench: "Bench") -> None:
    bench.talk()
    bench.ask_in_call("INFO")
    bench.receive(bench.build("INFO", our_tag=bench.our_tag, number=1))
    assert bench.lines == ["500 INFO"]


@pytest.mark.parametrize("wrong", [{"tag": "stranger"}, {"call_id": "other"}, {"our_tag": "guess"}])
def test_a_request_with_a_wrong_dialog_gets_481(bench: "Bench", wrong: dict[str, str]) -> None:
    bench.talk()
    right = {"our_tag": bench.our_tag, "tag": "peer", "call_id": bench.call}
    right.update(wrong)
    bench.receive(bench.build("BYE", our_tag=right["our_tag"], tag=right["tag"], call_id=right["call_id"]))
    assert (bench.lines, bench.told) == (["481 BYE"], [])
    assert bench.agent.calls == 1
