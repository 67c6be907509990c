"""Calls of a process that is gone: its agent is forgotten, and another one ends them from their memos."""

from typing import TYPE_CHECKING

import pytest

from callwright.errors import SipSyntaxError
from callwright.sip.digest import Challenge, Credentials
from callwright.sip.memo import SEQUENCE_GAP, Memo, decode_memos, encode_memos
from callwright.sip.message import Request
from callwright.sip.outputs import CallEnded, CallFailed, UnwantedAnswer
from callwright.sip.profile import AgentProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sip.conftest import Bench

    MakeBench = Callable[[AgentProfile], Bench]

ELSEWHERE = ("192.0.2.9", 5080)
CREDENTIALS = Credentials("alice", "secret")


def everybody(*_anything: object) -> bool:
    return True


@pytest.fixture
def heir(make_bench: "MakeBench") -> "Bench":
    """The agent of a process that was started at the same address after the first one died."""
    return make_bench(AgentProfile("192.0.2.1", 5060, may_call=everybody))


@pytest.fixture
def neighbour(make_bench: "MakeBench") -> "Bench":
    """The agent of another node, at an address of its own."""
    return make_bench(AgentProfile(*ELSEWHERE, may_call=everybody))


def memo_of(bench: "Bench") -> Memo:
    """What was written down of the bench's call, as it comes back from a row."""
    memo = bench.agent.memo(bench.call)
    assert memo is not None
    return decode_memos(encode_memos([memo]))[0]


def header(request: Request, name: str) -> str:
    return request.headers.get(name) or ""


# --- calls that we placed, not answered ------------------------------------------------------------------------------


def test_what_is_foreseen_of_a_call_is_what_its_invite_says(bench: "Bench") -> None:
    from callwright.sip.address import NameAddr, SipUri

    places = {
        "target": SipUri.parse("sip:15551234@192.0.2.2"),
        "next_hop": bench.peer,
        "from_": NameAddr("sip:caller@192.0.2.1"),
        "to": NameAddr("sip:15551234@192.0.2.2"),
    }
    foreseen = bench.agent.foresee(bench.call, "ourtag", **places)  # type: ignore[arg-type]  # a table of keywords
    bench.do(bench.agent.invite, bench.call, tag="ourtag", offer=b"", **places)
    assert bench.agent.memo(bench.call) == foreseen


def test_a_ringing_call_gets_the_cancel_of_its_own_invite(bench: "Bench", heir: "Bench") -> None:
    invite = bench.invite()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    cancel = heir.request()
    assert heir.lines == ["CANCEL"]
    assert cancel.uri == invite.uri
    assert heir.destinations == [bench.peer]
    for name in ("Via", "From", "To", "Call-ID"):
        assert header(cancel, name) == header(invite, name)
    assert header(cancel, "CSeq") == "1 CANCEL"


def test_the_cancelled_calls_487_is_acknowledged_and_ends_it(bench: "Bench", heir: "Bench") -> None:
    invite = bench.invite()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    heir.respond(heir.request(), 200, headers=())
    heir.respond(invite, 487, headers=())
    assert heir.lines == ["ACK"]
    assert header(heir.request(), "Via") == header(invite, "Via")
    assert heir.only(CallFailed).status == 487
    heir.respond(invite, 487, headers=())
    assert heir.lines == ["ACK"]  # said again, acknowledged again
    assert heir.told == []


def test_a_200_that_crosses_the_cancel_gets_ack_and_bye(bench: "Bench", heir: "Bench") -> None:
    invite = bench.invite()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    heir.respond(invite, 200, sdp=heir.answer)
    assert heir.lines == ["ACK", "BYE"]
    ack, bye = heir.request(0), heir.request(1)
    assert bye.uri == "sip:peer@192.0.2.2:5060"
    assert header(ack, "CSeq") == "1 ACK"
    assert "tag=peer" in header(bye, "To")
    heir.respond(invite, 200, sdp=heir.answer)
    assert heir.lines == ["ACK"]
    heir.respond(bye, 200, headers=())
    heir.only(CallFailed)


def test_nothing_is_acknowledged_before_the_dialog_is_kept(bench: "Bench", make_bench: "MakeBench") -> None:
    """A callee that has its ACK is silent: who ends between ACK and BYE must leave behind what names the dialog."""
    first = make_bench(AgentProfile("192.0.2.1", 5060, may_call=everybody, hold_acks=True))
    invite = bench.invite()
    first.do(first.agent.end_orphan, "orphan", memo_of(bench))
    cancel = first.request()
    first.respond(invite, 200, sdp=first.answer)
    assert first.only(UnwantedAnswer).call_id == "orphan"
    kept = first.agent.memo("orphan")
    assert kept is not None
    first.respond(invite, 200, sdp=first.answer)
    first.respond(cancel, 481, headers=())
    assert (first.lines, first.told) == ([], [])  # nothing yet, and it is not over
    first.do(first.agent.release_ack, "orphan")
    assert first.lines == ["ACK", "BYE"]
    second = make_bench(AgentProfile("192.0.2.1", 5060, may_call=everybody, hold_acks=True))
    second.do(second.agent.end_orphan, "orphan", decode_memos(encode_memos([kept]))[0])
    assert second.lines == ["ACK", "BYE"]
    for name in ("From", "To", "Call-ID"):
        assert header(second.request(), name) == header(first.request(), name)


def test_the_bye_comes_behind_whatever_was_asked_in_the_dialog_before(bench: "Bench", heir: "Bench") -> None:
    """The process that is gone may have sent PRACKs: a lower CSeq than theirs is answered with 500 (§12.2.2)."""
    invite = bench.invite()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    heir.respond(invite, 200, sdp=heir.answer)
    assert int(header(heir.request(1), "CSeq").split()[0]) > SEQUENCE_GAP


def test_the_bye_is_repeated_until_it_is_answered(bench: "Bench", heir: "Bench") -> None:
    invite = bench.invite()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    heir.respond(heir.request(), 481, headers=())
    heir.respond(invite, 200, sdp=heir.answer)
    heir.wait(2.0)
    assert heir.lines == ["BYE", "BYE"]


def test_a_cancel_that_nobody_knows_an_invite_for_ends_it(bench: "Bench", heir: "Bench") -> None:
    bench.invite()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    heir.respond(heir.request(), 481, headers=())
    heir.only(CallFailed)
    heir.wait(100.0)
    assert heir.lines == []
    assert heir.agent.transactions == 0


def test_invites_that_answered_a_challenge_are_cancelled_too(bench: "Bench", heir: "Bench") -> None:
    first = bench.invite(CREDENTIALS)
    memo = memo_of(bench)
    bench.respond(first, 401, headers=(("WWW-Authenticate", str(Challenge("example.com", "n", qop=("auth",)))),))
    second = bench.request()
    assert header(second, "CSeq") == "2 INVITE"
    heir.do(heir.agent.end_orphan, "orphan", memo, CREDENTIALS, 3)
    assert heir.lines == ["CANCEL"] * 3
    first_cancel, second_cancel, third_cancel = heir.request(0), heir.request(1), heir.request(2)
    assert header(second_cancel, "Via") == header(second, "Via")
    heir.respond(first_cancel, 200, headers=(), tag="early")
    heir.respond(third_cancel, 481, headers=(), tag="")
    heir.respond(second_cancel, 200, headers=())
    assert heir.told == []
    heir.respond(second, 487, headers=())
    assert heir.lines == ["ACK"]
    heir.only(CallFailed)


def test_a_neighbour_cancels_in_the_name_of_the_first_and_hears_the_answer(bench: "Bench", neighbour: "Bench") -> None:
    invite = bench.invite()
    neighbour.do(neighbour.agent.end_orphan, "orphan", memo_of(bench))
    cancel = neighbour.request()
    assert header(cancel, "Via") == header(invite, "Via")
    neighbour.respond(cancel, 200, headers=())
    assert neighbour.told == []
    # The 487 went to the address that is dead; should the callee have picked up, this ends it.
    neighbour.wait(2.0)
    assert neighbour.lines == ["BYE"]
    bye = neighbour.request()
    assert "tag=peer" in header(bye, "To")
    assert header(bye, "Via").startswith("SIP/2.0/UDP 192.0.2.9:5080;")
    neighbour.respond(bye, 481, headers=())
    neighbour.only(CallFailed)


def test_a_bye_that_is_challenged_is_said_again_with_credentials(bench: "Bench", neighbour: "Bench") -> None:
    bench.talk()
    neighbour.do(neighbour.agent.end_orphan, "orphan", memo_of(bench), CREDENTIALS)
    bye = neighbour.request()
    challenge = ("Proxy-Authenticate", str(Challenge("example.com", "n", qop=("auth",))))
    neighbour.respond(bye, 407, headers=(challenge,))
    assert neighbour.lines == ["BYE"]
    assert 'username="alice"' in header(neighbour.request(), "Proxy-Authorization")
    neighbour.respond(neighbour.request(), 200, headers=())
    neighbour.only(CallEnded)


# --- calls that we placed, answered ----------------------------------------------------------------------------------


def test_an_answered_call_gets_ack_and_bye_in_its_dialog(bench: "Bench", heir: "Bench") -> None:
    invite = bench.invite()
    route = ("Record-Route", "<sip:192.0.2.3;lr>")
    bench.respond(invite, 200, sdp=bench.answer, headers=(route, ("Contact", "<sip:peer@192.0.2.4:5070>")))
    last = bench.agent.send_info(bench.now, bench.call, "application/dtmf", b"5")
    assert last
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    assert heir.lines == ["ACK", "BYE"]
    ack, bye = heir.request(0), heir.request(1)
    assert heir.destinations == [("192.0.2.3", 5060)] * 2
    assert header(ack, "CSeq") == "1 ACK"
    assert bye.uri == "sip:peer@192.0.2.4:5070"
    assert header(bye, "From") == header(invite, "From")
    assert int(header(bye, "CSeq").split()[0]) > 2  # above whatever was sent after the memo
    heir.respond(bye, 200, headers=())
    heir.only(CallEnded)


def test_what_the_peer_asks_meanwhile_is_answered(bench: "Bench", heir: "Bench") -> None:
    bench.talk()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    heir.receive(heir.build("BYE", our_tag=bench.our_tag))
    assert heir.lines == ["200 BYE"]
    heir.only(CallEnded)
    heir.receive(heir.build("INVITE", our_tag=bench.our_tag, sdp=heir.offer))
    assert heir.lines == ["481 INVITE"]


def test_a_late_200_to_an_earlier_life_gets_ack_and_bye_without_any_memo(bench: "Bench", heir: "Bench") -> None:
    invite = bench.invite()
    heir.respond(invite, 200, sdp=heir.answer)
    assert heir.lines == ["BYE", "ACK"]  # in this order: who ends between them leaves a callee that repeats its 200
    assert heir.told == []
    bye = heir.request(0)
    heir.respond(invite, 200, sdp=heir.answer)
    assert heir.lines == ["ACK"]
    heir.respond(bye, 200, headers=())
    assert heir.told == []  # nobody asked for it
    assert heir.agent.calls == 0


def test_a_stranger_makes_nobody_say_bye(bench: "Bench", make_bench: "MakeBench") -> None:
    closed = make_bench(AgentProfile("192.0.2.1", 5060))
    closed.respond(bench.invite(), 200, sdp=closed.answer)
    assert closed.sent == []


# --- the ACK waits for the memo --------------------------------------------------------------------------------------


def test_an_ack_that_is_held_back_leaves_when_it_is_released(make_bench: "MakeBench") -> None:
    holding = make_bench(AgentProfile("192.0.2.1", 5060, hold_acks=True))
    invite = holding.invite()
    holding.respond(invite, 200, sdp=holding.answer)
    assert holding.sent == []
    assert holding.told
    holding.respond(invite, 200, sdp=holding.answer)
    assert holding.sent == []
    holding.do(holding.agent.release_ack, holding.call)
    assert holding.lines == ["ACK"]
    holding.respond(invite, 200, sdp=holding.answer)
    assert holding.lines == ["ACK"]
    holding.do(holding.agent.release_ack, holding.call)
    assert holding.sent == []


def test_the_bye_waits_for_an_ack_that_is_held_back(make_bench: "MakeBench") -> None:
    holding = make_bench(AgentProfile("192.0.2.1", 5060, hold_acks=True))
    holding.respond(holding.invite(), 200, sdp=holding.answer)
    holding.do(holding.agent.hang_up, holding.call)
    assert holding.sent == []
    holding.only(UnwantedAnswer)
    holding.do(holding.agent.hang_up, holding.call)
    assert (holding.sent, holding.told) == ([], [])
    holding.do(holding.agent.release_ack, holding.call)
    assert holding.lines == ["ACK", "BYE"]
    holding.respond(holding.request(), 200, headers=())
    holding.only(CallEnded)


def test_an_answer_that_crosses_our_cancel_is_kept_before_it_is_acknowledged(make_bench: "MakeBench") -> None:
    holding = make_bench(AgentProfile("192.0.2.1", 5060, hold_acks=True))
    invite = holding.invite()
    holding.respond(invite, 180)
    holding.do(holding.agent.hang_up, holding.call)
    holding.respond(invite, 200, sdp=holding.answer)
    assert holding.sent == []
    holding.only(UnwantedAnswer)
    assert memo_of(holding).answered
    holding.respond(invite, 200, sdp=holding.answer)
    assert (holding.sent, holding.told) == ([], [])
    holding.do(holding.agent.release_ack, holding.call)
    assert holding.lines == ["ACK", "BYE"]
    holding.respond(holding.request(), 200, headers=())
    assert holding.only(CallFailed).status == 487


# --- calls to us -----------------------------------------------------------------------------------------------------


def test_a_caller_that_hears_ringing_gets_503(bench: "Bench", heir: "Bench") -> None:
    invite = bench.build("INVITE", sdp=bench.offer)
    bench.receive(invite)
    bench.do(bench.agent.ring, bench.call)
    our_tag = header_tag(bench.response().headers.get("To"))
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    assert heir.lines == ["503 INVITE"]
    response = heir.response()
    assert response.headers.get(
        "Via",
    ) == bench.response().headers.get("Via")
    assert header_tag(response.headers.get("To")) == our_tag
    assert response.headers.all("To") == [bench.response().headers.get("To")]
    heir.wait(0.6)
    assert heir.lines == ["503 INVITE"]  # until its ACK is here
    number, branch = int((invite.headers.get("CSeq") or "").split()[0]), (invite.headers.get("Via") or "")
    heir.receive(heir.build("ACK", our_tag=our_tag, number=number, branch=branch.rpartition("branch=")[2]))
    heir.wait(10.0)
    assert "BYE" not in heir.lines
    heir.only(CallFailed)


def test_a_caller_that_was_answered_gets_bye_when_it_ignores_the_503(bench: "Bench", neighbour: "Bench") -> None:
    bench.answered_call()
    neighbour.do(neighbour.agent.end_orphan, "orphan", memo_of(bench))
    assert neighbour.lines == ["503 INVITE"]
    neighbour.wait(2.0)
    bye = next(message for message in neighbour.sent if isinstance(message, Request))
    assert bye.method == "BYE"
    assert header_tag(header(bye, "From")) == bench.our_tag
    neighbour.respond(bye, 200, headers=())
    neighbour.only(CallEnded)


def test_a_caller_that_acknowledged_our_200_gets_bye_at_once(bench: "Bench", heir: "Bench") -> None:
    bench.acknowledge(bench.answered_call())
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    assert heir.lines == ["BYE"]
    assert heir.request().uri == "sip:peer@192.0.2.2:5060"
    heir.respond(heir.request(), 200, headers=())
    heir.only(CallEnded)


def test_a_caller_that_leaves_before_our_bye_is_told_200(bench: "Bench", heir: "Bench") -> None:
    bench.answered_call()
    heir.do(heir.agent.end_orphan, "orphan", memo_of(bench))
    heir.receive(heir.build("BYE", our_tag=bench.our_tag))
    assert heir.lines == ["200 BYE"]
    heir.only(CallFailed)


# -- rows -------------------------------------------------------------------------------------------------------------


def test_our_own_calls_are_no_orphans(bench: "Bench") -> None:
    bench.talk()
    bench.do(bench.agent.end_orphan, "orphan", memo_of(bench))
    assert bench.sent == []
    assert bench.agent.calls == 1


@pytest.mark.parametrize("text", ["", "{}", "[{}]", '[{"call_id": 5}]'])
def test_a_row_that_is_no_memo_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError, match="no memo"):
        decode_memos(text)


def test_a_memo_over_a_connection_comes_back_with_its_transport(make_bench: "MakeBench") -> None:
    memo = Memo(
        call_id="c", local="<sip:a@b>;tag=t", remote="<sip:c@d>", target="sip:c@d", host="192.0.2.2", port=5061,
        transport="TLS", server_name="sip.example.com",
    )  # fmt: skip
    place = decode_memos(encode_memos([memo]))[0].place
    assert repr(place) == "StreamAddress('192.0.2.2', 5061, 'TLS', 'sip.example.com')"


def header_tag(value: str | None) -> str:
    return (value or "").rpartition("tag=")[2]
