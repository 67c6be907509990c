"""Responses whose connection broke go over a new one to the sent-by (RFC 3261 §18.2.2)."""

from typing import TYPE_CHECKING

from callwright.sip.message import Headers, Request
from callwright.sip.streams import StreamAddress

if TYPE_CHECKING:
    from tests.sip.conftest import Bench

ITS_OWN = StreamAddress("192.0.2.2", 40_000, "TCP", by_peer=True)
SENT_BY = StreamAddress("192.0.2.2", 5070, "TCP")


def over_tcp(request: Request, transport: str = "TCP") -> Request:
    via = (request.headers.get("Via") or "").replace("SIP/2.0/UDP 192.0.2.2:5060", f"SIP/2.0/{transport} pbx.test:5070")
    headers = Headers([("Via", via), *[(name, value) for name, value in request.headers if name != "Via"]])
    return Request(request.method, request.uri, headers, request.body)


def test_what_is_said_after_the_break_goes_to_the_sent_by(bench: "Bench") -> None:
    invite = over_tcp(bench.build("INVITE", sdp=bench.offer))
    bench.receive(invite, ITS_OWN)
    assert bench.destinations == [ITS_OWN]
    bench.do(bench.agent.transport_failed, ITS_OWN)
    assert bench.sent == []  # nothing was lost that matters
    bench.do(bench.agent.answer, bench.call, bench.answer)
    assert bench.lines == ["200 INVITE"]
    assert bench.destinations == [SENT_BY]
    assert not bench.destinations[0].by_peer  # type: ignore[attr-defined]  # it is a StreamAddress
    bench.wait(0.6)
    assert (bench.lines, bench.destinations) == (["200 INVITE"], [SENT_BY])


def test_a_refusal_that_may_be_lost_is_sent_again_once(bench: "Bench") -> None:
    bench.receive(over_tcp(bench.build("INVITE", sdp=bench.offer)), ITS_OWN)
    bench.do(bench.agent.reject, bench.call, 486)
    assert bench.destinations == [ITS_OWN]
    bench.do(bench.agent.transport_failed, ITS_OWN)
    assert (bench.lines, bench.destinations) == (["486 INVITE"], [SENT_BY])
    bench.do(bench.agent.transport_failed, SENT_BY)
    assert bench.sent == []
    assert bench.agent.counts["response undeliverable"] == 1


def test_over_tls_nobody_could_be_verified_there(bench: "Bench") -> None:
    source = StreamAddress("192.0.2.2", 40_000, "TLS", by_peer=True)
    bench.receive(over_tcp(bench.build("INVITE", sdp=bench.offer), "TLS"), source)
    bench.do(bench.agent.reject, bench.call, 486)
    bench.do(bench.agent.transport_failed, source)
    assert bench.sent == []
