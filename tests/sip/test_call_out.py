"""Outgoing calls: how they are set up, refused, cancelled, challenged, and what happens when messages cross."""

from typing import TYPE_CHECKING

import pytest

from callwright.sip.digest import Challenge, Credentials, parse_authorization, verify
from callwright.sip.outputs import (
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProceeding,
    CallRinging,
    Received,
)

if TYPE_CHECKING:
    from tests.sip.conftest import Bench

CREDENTIALS = Credentials("alice", "secret")
CHALLENGE = Challenge("example.com", "nonce-1", qop=("auth",))


def asks(challenge: Challenge) -> tuple[tuple[str, str], ...]:
    return (("WWW-Authenticate", str(challenge)),)


def test_an_invite_says_who_we_are_and_what_we_do(bench: "Bench") -> None:
    invite = bench.invite(headers=[("P-Asserted-Identity", "<sip:caller@example.com>")])
    assert invite.uri == "sip:15551234@192.0.2.2"
    assert invite.headers.get("Via") == "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKtoken2.1"
    assert invite.headers.get("Contact") == "<sip:callwright@192.0.2.1:5060>"
    assert invite.headers.get("User-Agent") == "callwright"
    assert invite.headers.get("P-Asserted-Identity") == "<sip:caller@example.com>"
    assert invite.headers.get("Max-Forwards") == "70"
    assert invite.headers.get("Supported") == "100rel, timer"
    assert invite.headers.get("Session-Expires") == "1800"
    assert (invite.headers.get("Allow") or "").split(", ")[0] == "INVITE"
    assert invite.body == bench.offer
    assert bench.destinations == [bench.peer]


def test_a_call_of_the_same_name_cannot_be_placed_twice(bench: "Bench") -> None:
    bench.invite()
    with pytest.raises(ValueError, match="runs already"):
        bench.invite()


def test_ringing_and_answering_are_told_in_order(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 100, tag="")
    bench.only(CallProceeding)
    bench.respond(invite, 180)
    assert bench.only(CallRinging) == CallRinging(bench.call, 180, "Ringing", None)
    bench.respond(invite, 180)
    assert bench.told == []
    bench.respond(invite, 183, sdp=b"v=0\r\ns=early\r\n")
    assert bench.only(CallRinging).sdp == b"v=0\r\ns=early\r\n"
    bench.respond(invite, 200, sdp=bench.answer)
    assert bench.only(CallAnswered).sdp == bench.answer
    assert bench.lines == ["ACK"]
    assert bench.request().uri == "sip:peer@192.0.2.2:5060"
    assert bench.request().headers.get("CSeq") == "1 ACK"
    assert bench.request().headers.get("Via") != invite.headers.get("Via")


def test_an_answer_without_sdp_takes_what_the_same_phone_said_while_ringing(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 183, sdp=b"v=0\r\ns=early\r\n")
    bench.respond(invite, 200)
    assert bench.only(CallAnswered).sdp == b"v=0\r\ns=early\r\n"


def test_each_repeated_200_is_acknowledged_with_the_same_bytes(bench: "Bench") -> None:
    invite = bench.talk()
    first = bench.sent
    bench.respond(invite, 200, sdp=bench.answer)
    assert bench.sent == first
    assert bench.told == []


def test_a_200_repeated_after_our_bye_is_still_acknowledged(bench: "Bench") -> None:
    invite = bench.talk()
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(bench.request(), 200)
    bench.only(CallEnded)
    bench.respond(invite, 200, sdp=bench.answer)
    assert bench.lines == ["ACK"]


def test_every_arrived_message_is_told_for_the_record(bench: "Bench") -> None:
    invite = bench.invite()
    numbers = dict(invite.headers)
    data = (
        f"SIP/2.0 180 Ringing\r\nVia: {numbers['Via']}\r\nFrom: {numbers['From']}\r\nTo: {numbers['To']};tag=p\r\n"
        f"Call-ID: {numbers['Call-ID']}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    outputs = bench.agent.receive(bench.now, data.encode(), bench.peer)
    assert outputs[0] == Received(bench.call, "SIP/2.0 180 Ringing", "1 INVITE", bench.peer)


@pytest.mark.parametrize(("status", "reason"), [(486, "Busy Here"), (404, "Not Found"), (503, "Service Unavailable")])
def test_a_refusal_is_acknowledged_and_told_with_its_headers(bench: "Bench", status: int, reason: str) -> None:
    invite = bench.invite()
    bench.respond(invite, status, headers=[("Retry-After", "30")])
    failed = bench.only(CallFailed)
    assert (failed.status, failed.reason, failed.locally_generated) == (status, reason, False)
    assert failed.headers is not None
    assert failed.headers.get("Retry-After") == "30"
    ack = bench.request()
    assert ack.headers.get("Via") == invite.headers.get("Via")
    assert (ack.uri, ack.headers.get("CSeq")) == (invite.uri, "1 ACK")
    assert "tag=peer" in (ack.headers.get("To") or "")
    bench.respond(invite, status)
    assert (bench.lines, bench.told) == (["ACK"], [])


def test_a_redirect_fails_the_call_and_says_where_to(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 302, headers=[("Contact", "<sip:other@example.com>")])
    headers = bench.only(CallFailed).headers
    assert headers is not None
    assert headers.get("Contact") == "<sip:other@example.com>"


def test_silence_fails_the_call_with_408_of_our_own(bench: "Bench") -> None:
    bench.invite()
    bench.wait(32)
    assert bench.lines == ["INVITE"] * 6
    failed = bench.only(CallFailed)
    assert (failed.status, failed.locally_generated) == (408, True)


def test_a_dead_network_fails_the_call_with_503_of_our_own(bench: "Bench") -> None:
    bench.invite()
    bench.do(bench.agent.transport_failed, bench.peer)
    failed = bench.only(CallFailed)
    assert (failed.status, failed.locally_generated) == (503, True)
    assert (bench.agent.calls, bench.agent.transactions, bench.agent.deadline) == (0, 0, None)


def test_a_dead_network_elsewhere_is_no_concern(bench: "Bench") -> None:
    bench.invite()
    bench.do(bench.agent.transport_failed, ("192.0.2.99", 5060))
    assert bench.told == []


# CANCEL


def test_a_cancel_waits_for_the_first_provisional_answer(bench: "Bench") -> None:
    invite = bench.invite()
    bench.do(bench.agent.hang_up, bench.call, "Q.850;cause=16")
    assert bench.sent == []
    bench.respond(invite, 100, tag="")
    cancel = bench.request()
    assert (cancel.method, cancel.uri, cancel.headers.get("CSeq")) == ("CANCEL", invite.uri, "1 CANCEL")
    assert cancel.headers.get("Via") == invite.headers.get("Via")
    assert cancel.headers.get("Reason") == "Q.850;cause=16"
    assert bench.told == []


def test_a_cancelled_call_ends_with_the_487(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.do(bench.agent.hang_up, bench.call)
    cancel = bench.request()
    bench.do(bench.agent.hang_up, bench.call)
    assert bench.sent == []
    bench.respond(cancel, 200)
    assert bench.told == []
    bench.respond(invite, 487)
    assert (bench.only(CallFailed).status, bench.lines) == (487, ["ACK"])


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(invite, 200, sdp=bench.answer)
    assert bench.lines == ["ACK", "BYE"]
    bye = bench.request()
    bench.respond(invite, 200, sdp=bench.answer)
    assert bench.lines == ["ACK"]
    assert bench.told == []  # the callee's phone is still up
    bench.respond(bye, 200)
    failed = bench.only(CallFailed)
    assert (failed.status, failed.locally_generated) == (487, True)


def test_a_200_that_crosses_the_cancel_is_hung_up_until_the_callee_hears_it(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(invite, 200, sdp=bench.answer)
    bench.wait(31.9)
    assert bench.lines.count("BYE") == 10
    assert bench.told == []
    bench.wait(0.2)
    assert bench.only(CallFailed).status == 487


def test_a_200_without_any_1xx_after_hanging_up_is_acknowledged_and_hung_up(bench: "Bench") -> None:
    invite = bench.invite()
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(invite, 200, sdp=bench.answer)
    assert bench.lines == ["ACK", "BYE"]
    bench.respond(bench.request(), 200)
    assert bench.only(CallFailed).status == 487


def test_a_busy_that_crosses_the_cancel_is_told_as_busy(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(invite, 486)
    assert bench.only(CallFailed).status == 486


def test_a_cancel_that_nobody_answers_is_given_up_after_64_t1(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.do(bench.agent.hang_up, bench.call)
    bench.wait(31.9)
    assert bench.told == []
    bench.wait(0.2)
    failed = bench.only(CallFailed)
    assert (failed.status, failed.locally_generated, failed.reason) == (487, True, "no answer to CANCEL")
    assert (bench.agent.calls, bench.agent.transactions) == (0, 0)


def test_a_cancel_answered_without_a_final_response_is_given_up_too(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(bench.request(), 200)
    bench.respond(invite, 180)
    bench.wait(32)
    assert bench.only(CallFailed).status == 487


def test_hanging_up_on_a_silent_peer_ends_when_the_invite_times_out(bench: "Bench") -> None:
    bench.invite()
    bench.do(bench.agent.hang_up, bench.call)
    bench.wait(32)
    assert "CANCEL" not in bench.lines
    assert bench.only(CallFailed).status == 487


def test_ringing_without_end_is_cancelled_at_the_setup_limit(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.wait(241)
    assert bench.lines[0] == "CANCEL"
    bench.wait(32)
    assert bench.only(CallFailed).status == 487


# Forks


def test_the_first_of_two_answering_phones_wins_and_the_other_is_hung_up(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180, tag="kitchen")
    bench.respond(invite, 180, tag="office")
    assert bench.only(CallRinging).status == 180
    bench.respond(invite, 200, tag="office", sdp=bench.answer)
    bench.only(CallAnswered)
    other = [("Contact", "<sip:kitchen@192.0.2.3:5070>")]
    bench.respond(invite, 200, tag="kitchen", sdp=bench.answer, headers=other)
    assert (bench.lines, bench.told) == (["ACK", "BYE"], [])
    assert bench.destinations == [("192.0.2.3", 5070)] * 2
    assert "tag=kitchen" in (bench.request().headers.get("To") or "")
    bye = bench.request()
    bench.respond(invite, 200, tag="kitchen", sdp=bench.answer, headers=other)
    assert bench.lines == ["ACK"]
    bench.respond(bye, 200)
    assert (bench.told, bench.agent.calls) == ([], 1)


def test_forks_beyond_the_limit_are_not_kept(bench: "Bench") -> None:
    invite = bench.invite()
    for number in range(20):
        bench.respond(invite, 180, tag=f"phone{number}")
    assert bench.agent.counts["fork beyond the limit"] == 12


def test_a_bye_before_the_200_is_answered_and_takes_the_call_back(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.ask_in_call("BYE")
    assert bench.lines == ["200 BYE", "CANCEL"]
    bench.respond(invite, 487)
    assert bench.only(CallFailed).status == 487


def test_an_update_with_an_offer_while_ours_is_unanswered_gets_491(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 180)
    bench.ask_in_call("UPDATE", sdp=bench.offer)
    assert bench.lines == ["491 UPDATE"]
    bench.respond(invite, 200, sdp=bench.answer)
    bench.only(CallAnswered)


# Digest


def test_a_challenge_is_answered_with_a_new_branch_and_sequence(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.respond(invite, 401, headers=asks(CHALLENGE))
    assert bench.lines == ["ACK", "INVITE"]
    assert bench.told == []
    again = bench.request()
    assert again.headers.get("CSeq") == "2 INVITE"
    assert again.headers.get("Via") != invite.headers.get("Via")
    assert again.headers.get("From") == invite.headers.get("From")
    assert again.headers.get("To") == invite.headers.get("To")
    assert again.body == bench.offer
    proof = parse_authorization(again.headers.get("Authorization") or "")
    assert proof.uri == again.uri
    assert verify(proof, CHALLENGE, "secret", "INVITE", again.body)
    bench.respond(again, 200, sdp=bench.answer)
    bench.only(CallAnswered)
    assert bench.request().headers.get("Authorization") == again.headers.get("Authorization")
    assert bench.request().headers.get("CSeq") == "2 ACK"
    bench.do(bench.agent.hang_up, bench.call)
    assert bench.request().headers.get("CSeq") == "3 BYE"


def test_a_proxy_and_then_the_server_may_both_ask(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.respond(invite, 407, headers=[("Proxy-Authenticate", str(CHALLENGE))])
    again = bench.request()
    bench.respond(again, 401, headers=asks(Challenge("other.example.com", "nonce-2")))
    third = bench.request()
    assert third.headers.get("Proxy-Authorization") == again.headers.get("Proxy-Authorization")
    assert parse_authorization(third.headers.get("Authorization") or "").realm == "other.example.com"


def test_a_wrong_password_is_tried_once(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.respond(invite, 401, headers=asks(CHALLENGE))
    bench.respond(bench.request(), 401, headers=asks(Challenge("example.com", "nonce-2", qop=("auth",))))
    assert (bench.only(CallFailed).status, bench.lines) == (401, ["ACK"])


def test_a_stale_nonce_is_renewed_once(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.respond(invite, 401, headers=asks(CHALLENGE))
    bench.respond(bench.request(), 401, headers=asks(Challenge("example.com", "nonce-2", stale=True)))
    assert bench.lines == ["ACK", "INVITE"]
    bench.respond(bench.request(), 401, headers=asks(Challenge("example.com", "nonce-3", stale=True)))
    assert bench.only(CallFailed).status == 401


def test_the_same_nonce_is_never_answered_twice(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.respond(invite, 401, headers=asks(CHALLENGE))
    bench.respond(bench.request(), 401, headers=asks(Challenge("example.com", "nonce-1", stale=True)))
    assert bench.only(CallFailed).status == 401


def test_a_challenge_without_credentials_fails_the_call(bench: "Bench") -> None:
    bench.respond(bench.invite(), 401, headers=asks(CHALLENGE))
    assert (bench.only(CallFailed).status, bench.lines) == (401, ["ACK"])


def test_a_challenge_for_another_realm_is_not_answered(bench: "Bench") -> None:
    invite = bench.invite(Credentials("alice", "secret", realm="trunk.example.com"))
    bench.respond(invite, 401, headers=asks(CHALLENGE))
    assert (bench.only(CallFailed).status, bench.lines) == (401, ["ACK"])


def test_a_challenge_from_another_host_than_was_asked_is_not_answered(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.respond(invite, 401, headers=asks(CHALLENGE), source=("203.0.113.9", 5060))
    assert (bench.only(CallFailed).status, bench.lines) == (401, ["ACK"])


@pytest.mark.parametrize("value", ["Basic realm=x", "Digest realm", 'Digest realm="a"', ""])
def test_a_challenge_that_cannot_be_read_fails_the_call(bench: "Bench", value: str) -> None:
    bench.respond(bench.invite(CREDENTIALS), 401, headers=[("WWW-Authenticate", value)])
    assert bench.only(CallFailed).status == 401


def test_a_challenged_call_that_was_hung_up_is_not_tried_again(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(invite, 401, headers=asks(CHALLENGE))
    assert (bench.only(CallFailed).status, bench.lines) == (401, ["ACK"])


def test_a_challenged_bye_is_said_again_with_the_proof(bench: "Bench") -> None:
    invite = bench.invite(CREDENTIALS)
    bench.respond(invite, 200, sdp=bench.answer)
    bench.do(bench.agent.hang_up, bench.call)
    bench.respond(bench.request(), 401, headers=asks(CHALLENGE))
    assert (bench.lines, bench.told) == (["BYE"], [])
    assert bench.request().headers.get("CSeq") == "3 BYE"
    proof = parse_authorization(bench.request().headers.get("Authorization") or "")
    assert verify(proof, CHALLENGE, "secret", "BYE", b"")
    bench.respond(bench.request(), 200)
    bench.only(CallEnded)


def test_a_challenge_inside_a_request_is_never_answered(bench: "Bench") -> None:
    bench.invite(CREDENTIALS)
    bench.receive(bench.build("INVITE", call_id="stranger", sdp=bench.offer, headers=asks(CHALLENGE)))
    for message in bench.sent:
        assert "Authorization" not in message.headers
        assert "Proxy-Authorization" not in message.headers


# Responses that belong to nothing


def test_a_response_with_a_foreign_branch_is_dropped_and_counted(bench: "Bench") -> None:
    invite = bench.invite()
    invite.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKforeign")
    bench.respond(invite, 200, sdp=bench.answer)
    assert (bench.sent, bench.told, bench.agent.counts["stray response"]) == ([], [], 1)


def test_a_response_for_another_address_is_dropped_and_counted(bench: "Bench") -> None:
    invite = bench.invite()
    via = invite.headers.get("Via") or ""
    invite.headers.set("Via", via.replace("192.0.2.1", "192.0.2.7"))
    bench.respond(invite, 200, sdp=bench.answer)
    assert (bench.told, bench.agent.counts["stray response"]) == ([], 1)


def test_a_broken_response_is_dropped_and_counted(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 200, headers=[("Contact", "<sip:")])
    assert (bench.told, bench.agent.counts["broken response"]) == ([], 1)
