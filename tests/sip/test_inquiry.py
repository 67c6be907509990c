"""Requests outside of any call."""

from typing import TYPE_CHECKING

import pytest

from callwright.sip.address import NameAddr, SipUri
from callwright.sip.digest import Challenge, Credentials
from callwright.sip.outputs import Replied

if TYPE_CHECKING:
    from tests.sip.conftest import Bench


def ask(bench: "Bench", method: str = "OPTIONS", credentials: Credentials | None = None) -> None:
    bench.do(
        bench.agent.ask,
        "health",
        method,
        target=SipUri.parse("sip:192.0.2.2"),
        next_hop=bench.peer,
        from_=NameAddr("sip:us@192.0.2.1"),
        to=NameAddr("sip:192.0.2.2"),
        call_id="ask-1",
        sequence=10,
        headers=[("Expires", "60")],
        credentials=credentials,
    )


def test_an_answer_is_told_once(bench: "Bench") -> None:
    ask(bench)
    request = bench.request()
    assert (request.method, request.headers.get("CSeq"), request.headers.get("Expires")) == (
        "OPTIONS",
        "10 OPTIONS",
        "60",
    )
    bench.respond(request, 200)
    told = bench.only(Replied)
    assert (told.call_id, told.status, told.locally_generated) == ("health", 200, False)
    bench.respond(request, 200)
    assert bench.told == []


def test_silence_is_told_after_the_transaction_gave_up(bench: "Bench") -> None:
    ask(bench)
    bench.wait(33)
    assert bench.lines == ["OPTIONS"] * 10
    told = bench.only(Replied)
    assert (told.status, told.locally_generated) == (408, True)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_challenge_is_met_once(bench: "Bench", rounds: int) -> None:
    ask(bench, "REGISTER", Credentials("us", "secret"))
    for number in range(rounds):
        challenge = ("WWW-Authenticate", str(Challenge("example.com", f"n{number}", qop=("auth",))))
        bench.respond(bench.request(), 401, headers=[challenge])
    if rounds == 1:
        request = bench.request()
        assert request.headers.get("CSeq") == "11 REGISTER"
        assert 'username="us"' in (request.headers.get("Authorization") or "")
        bench.respond(request, 200)
    assert bench.only(Replied).status == (200 if rounds == 1 else 401)
