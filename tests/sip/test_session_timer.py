"""Sessions that expire unless somebody refreshes them (RFC 4028), and peers that are gone."""

from typing import TYPE_CHECKING

import pytest

from callwright.sip.message import Headers, Request
from callwright.sip.outputs import CallAnswered, CallEnded, CallFailed
from callwright.sip.session_timer import SessionExpires, least_seconds, read_session_expires

if TYPE_CHECKING:
    from tests.sip.conftest import Bench

PEER_CONTACT = ("Contact", "<sip:peer@192.0.2.2:5060>")
WITH_UPDATE = ("Allow", "INVITE, ACK, BYE, UPDATE")
TIMER = ("Supported", "timer")


def talk(bench: "Bench", *headers: tuple[str, str]) -> Request:
    invite = bench.invite()
    bench.respond(invite, 200, sdp=bench.answer, headers=[PEER_CONTACT, *headers])
    return invite


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1800", SessionExpires(1800)),
        (" 90 ; refresher=UAC;x=y", SessionExpires(90, "uac")),
        ("90;refresher=both", SessionExpires(90)),
        ("99999999", SessionExpires(86_400)),
        ("-1", None),
        ("", None),
    ],
)
def test_session_expires_is_read(text: str, read: SessionExpires | None) -> None:
    assert read_session_expires(Headers([("Session-Expires", text)])) == read


def test_min_se_is_never_below_the_rfcs() -> None:
    assert [least_seconds(Headers([("Min-SE", text)])) for text in ("30", "x", "300;a=b")] == [90, 90, 300]


# --- we refresh ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refresher", ["200;refresher=uac", "200"])
def test_the_refresher_sends_update_after_half_of_the_interval(bench: "Bench", refresher: str) -> None:
    talk(bench, ("Session-Expires", refresher), WITH_UPDATE)
    for _ in range(3):
        bench.wait(99)
        assert bench.lines == []
        bench.wait(1)
        update = bench.request()
        assert (update.method, update.body) == ("UPDATE", b"")
        assert update.headers.get("Session-Expires") == "200;refresher=uac"
        bench.respond(update, 200, headers=[("Session-Expires", "200;refresher=uac")])
        assert bench.told == []


def test_a_peer_without_update_gets_a_re_invite_with_the_same_description(bench: "Bench") -> None:
    talk(bench, ("Session-Expires", "200;refresher=uac"))
    bench.wait(100)
    invite = bench.request()
    assert (invite.method, invite.body) == ("INVITE", bench.offer)
    bench.respond(invite, 200, sdp=bench.answer, headers=[PEER_CONTACT, ("Session-Expires", "200;refresher=uac")])
    assert bench.lines == ["ACK"]
    bench.wait(100)
    assert bench.lines == ["INVITE"]


@pytest.mark.parametrize("status", [491, 500, 503])
def test_a_refresh_that_is_refused_for_now_is_tried_again(bench: "Bench", status: int) -> None:
    talk(bench, ("Session-Expires", "200;refresher=uac"), WITH_UPDATE)
    bench.wait(100)
    bench.respond(bench.request(), status)
    bench.wait(3)
    assert bench.lines == ["UPDATE"]


def test_a_peer_that_wants_a_longer_interval_gets_it(bench: "Bench") -> None:
    talk(bench, ("Session-Expires", "200;refresher=uac"), WITH_UPDATE)
    bench.wait(100)
    bench.respond(bench.request(), 422, headers=[("Min-SE", "600")])
    bench.wait(3)
    update = bench.request()
    assert (update.headers.get("Session-Expires"), update.headers.get("Min-SE")) == ("600;refresher=uac", "600")


@pytest.mark.parametrize("status", [481, 408])
def test_a_peer_that_lost_the_call_ends_it(bench: "Bench", status: int) -> None:
    talk(bench, ("Session-Expires", "200;refresher=uac"), WITH_UPDATE)
    bench.wait(100)
    bench.respond(bench.request(), status)
    bench.respond(bench.request(), 200)
    assert bench.only(CallEnded).reason == f"the peer lost the call: {status}"


def test_an_unanswered_refresh_ends_the_call(bench: "Bench") -> None:
    talk(bench, ("Session-Expires", "90;refresher=uac"), WITH_UPDATE)
    bench.wait(150)
    assert "BYE" in bench.lines
    assert isinstance(bench.told[-1], CallEnded)


def test_an_interval_too_small_for_the_callee_is_asked_for_again(bench: "Bench") -> None:
    invite = bench.invite()
    bench.respond(invite, 422, headers=[("Min-SE", "3600")])
    again = bench.request()
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("3600", "3600")
    assert again.headers.get("CSeq") == "2 INVITE"
    bench.respond(again, 422, headers=[("Min-SE", "3600")])
    assert bench.only(CallFailed).status == 422


def test_without_an_agreement_nothing_expires(bench: "Bench") -> None:
    talk(bench)
    bench.wait(100_000)
    assert bench.lines == []


# --- the peer refreshes ----------------------------------------------------------------------------------------------


def test_a_session_that_the_peer_does_not_refresh_ends_shortly_before_it_expires(bench: "Bench") -> None:
    talk(bench, ("Session-Expires", "300;refresher=uas"))
    bench.wait(267)
    assert bench.lines == []
    bench.wait(1)
    assert bench.lines == ["BYE"]
    assert "session expired" in (bench.request().headers.get("Reason") or "")
    bench.respond(bench.request(), 200)
    assert "refreshed" in bench.only(CallEnded).reason


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_refresh_of_the_peer_is_answered_and_counts(bench: "Bench", method: str) -> None:
    talk(bench, ("Session-Expires", "300;refresher=uas"))
    bench.wait(200)
    bench.ask_in_call(method, headers=[("Session-Expires", "300;refresher=uac"), TIMER])
    answer = bench.response()
    assert (answer.status, answer.headers.get("Session-Expires")) == (200, "300;refresher=uac")
    assert answer.headers.get("Require") == "timer"
    if method == "INVITE":
        number = int((answer.headers.get("CSeq") or "").split()[0])
        bench.receive(bench.build("ACK", our_tag=bench.our_tag, number=number, sdp=bench.answer))
    bench.wait(267)
    assert bench.lines == []
    bench.wait(1)
    assert bench.lines[0] == "BYE"


# --- as callee -------------------------------------------------------------------------------------------------------


def answered(bench: "Bench", *headers: tuple[str, str]) -> None:
    invite = bench.build("INVITE", sdp=bench.offer, headers=headers)
    bench.receive(invite)
    bench.do(bench.agent.answer, bench.call, bench.answer)
    bench.our_tag = (bench.response().headers.get("To") or "").partition("tag=")[2]


@pytest.mark.parametrize(
    ("headers", "expires", "require"),
    [
        ([("Session-Expires", "600"), TIMER], "600;refresher=uac", "timer"),
        ([("Session-Expires", "600;refresher=uas"), TIMER], "600;refresher=uas", None),
        ([("Session-Expires", "600")], "600;refresher=uas", None),
        ([TIMER], None, None),
    ],
)
def test_our_200_says_who_refreshes(
    bench: "Bench", headers: list[tuple[str, str]], expires: str | None, require: str | None
) -> None:
    answered(bench, *headers)
    ok = bench.response()
    assert (ok.headers.get("Session-Expires"), ok.headers.get("Require")) == (expires, require)


def test_a_callee_that_refreshes_does(bench: "Bench") -> None:
    answered(bench, ("Session-Expires", "200;refresher=uas"), TIMER, WITH_UPDATE)
    bench.acknowledge(bench.build("INVITE", number=100))
    bench.wait(100)
    assert bench.lines == ["UPDATE"]


def test_an_interval_too_small_for_us_gets_422_and_ours(bench: "Bench") -> None:
    bench.receive(bench.build("INVITE", sdp=bench.offer, headers=[("Session-Expires", "60"), TIMER]))
    assert (bench.lines, bench.response().headers.get("Min-SE")) == (["422 INVITE"], "90")


# --- peers that are gone -------------------------------------------------------------------------------------------


def test_a_peer_without_a_sign_of_life_is_hung_up(bench: "Bench") -> None:
    talk(bench)
    bench.do(bench.agent.probe, bench.call, 8.0)
    assert bench.lines == ["OPTIONS"]
    bench.wait(7.9)
    assert "BYE" not in bench.lines
    bench.wait(0.1)
    assert bench.lines == ["BYE"]
    assert "gone" in bench.only(CallEnded).reason  # at once, not when nobody answered the BYE either
    bench.wait(40)
    assert (set(bench.lines), bench.told) == ({"OPTIONS", "BYE"}, [])


@pytest.mark.parametrize("status", [200, 404, 405, 501])
def test_any_answer_is_a_sign_of_life(bench: "Bench", status: int) -> None:
    talk(bench)
    bench.do(bench.agent.probe, bench.call, 8.0)
    bench.respond(bench.request(), status)
    bench.wait(100)
    assert bench.lines == []


def test_a_request_of_the_peer_is_a_sign_of_life(bench: "Bench") -> None:
    talk(bench)
    bench.do(bench.agent.probe, bench.call, 8.0)
    bench.ask_in_call("OPTIONS")
    bench.wait(20)
    assert "BYE" not in bench.lines


def test_a_peer_that_lost_the_call_is_hung_up_at_once(bench: "Bench") -> None:
    invite = talk(bench)
    assert invite.method == "INVITE"
    bench.do(bench.agent.probe, bench.call, 8.0)
    bench.respond(bench.request(), 481)
    assert bench.lines == ["BYE"]


def test_a_200_still_counts_when_a_timer_is_under_way(bench: "Bench") -> None:
    bench.respond(bench.invite(), 200, sdp=bench.answer, headers=[PEER_CONTACT, ("Session-Expires", "garbage")])
    bench.only(CallAnswered)
