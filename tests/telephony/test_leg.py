from dataclasses import replace

import pytest

from callwright.callflow.events import HungUp, NotAnswered
from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.errors import ErrorCode, SdpError
from callwright.sip.crypto import SUITES
from callwright.sip.negotiation import Negotiated, SrtpKeys
from callwright.sip.outputs import CallFailed
from callwright.telemetry.trace import Trace
from callwright.telephony import leg as legs
from callwright.telephony.leg import Leg, Stage
from callwright.telephony.media.stream import Direction, LocalMedia, Srtp, StreamReport
from callwright.telephony.trunk import Trunk

AGREED = Negotiated(
    host="192.0.2.7",
    port=4000,
    rtcp_port=4001,
    codec="PCMU",
    payload_type=0,
    event_payload_type=97,
    direction="sendrecv",
    ptime_ms=20,
    received={0: "PCMU", 101: "telephone-event"},
    rtcp_host="192.0.2.7",
)
REPORT = StreamReport(500, 400, 4, 0.01, 2.6, 4.2, 0, 0, 0, 0)


@pytest.fixture
def leg() -> Leg:
    return Leg("leg-1", "+6531350000", "+6512345678", Trunk("t", "192.0.2.1"), "call-1", Trace("s"), Stage.CALLING)


def failed(status: int, *, locally_generated: bool = False) -> CallFailed:
    return CallFailed("call-1", status, "why", locally_generated)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (486, CallStatus.BUSY),
        (600, CallStatus.BUSY),
        (480, CallStatus.NO_ANSWER),
        (408, CallStatus.NO_ANSWER),
        (487, CallStatus.FAILED),
        (302, CallStatus.FAILED),
        (404, CallStatus.FAILED),
        (503, CallStatus.FAILED),
        (603, CallStatus.FAILED),
    ],
)
def test_what_the_peer_said_decides(leg: Leg, status: int, expected: CallStatus) -> None:
    leg.was_heard = True
    assert legs.not_answered(leg, failed(status), 5.0) == NotAnswered(5.0, "leg-1", expected, status, "why")


def test_a_timeout_after_ringing_is_no_answer(leg: Leg) -> None:
    leg.was_heard = True
    assert legs.not_answered(leg, failed(408, locally_generated=True), 5.0).status is CallStatus.NO_ANSWER


def test_a_timeout_after_nothing_at_all_is_a_dead_trunk(leg: Leg) -> None:
    end = legs.not_answered(leg, failed(408, locally_generated=True), 5.0)
    assert (end.status, end.sip_code) == (CallStatus.FAILED, 408)
    assert end.reason == "trunk t does not answer: why"


@pytest.mark.parametrize("status", [486, 487, 503])
def test_our_hang_up_is_a_cancelled_call_whatever_crossed_it(leg: Leg, status: int) -> None:
    leg.hang_up_wanted = True
    assert legs.not_answered(leg, failed(status), 5.0).status is CallStatus.CANCELED


def test_what_telephony_gave_up_on_says_why(leg: Leg) -> None:
    leg.given_up = (503, "the media process is gone")
    end = legs.not_answered(leg, failed(487, locally_generated=True), 5.0)
    assert end == NotAnswered(5.0, "leg-1", CallStatus.FAILED, 503, "the media process is gone")


def test_a_leg_that_was_never_dialled_is_our_error(leg: Leg) -> None:
    end = legs.could_not_dial(leg, 5.0, ErrorCode.TRUNK_CAPACITY, "no port")
    assert (end.status, end.sip_code, end.error) == (CallStatus.ERROR, None, ErrorCode.TRUNK_CAPACITY)


def test_who_hung_up(leg: Leg) -> None:
    leg.stage = Stage.UP
    assert legs.hung_up(leg, 5.0, by_peer=True, reason="") == HungUp(5.0, "leg-1", HungUpBy.THEM)
    assert legs.hung_up(leg, 5.0, by_peer=False, reason="no ACK") == HungUp(5.0, "leg-1", HungUpBy.NETWORK, "no ACK")
    leg.hang_up_wanted = True
    assert legs.hung_up(leg, 5.0, by_peer=False, reason="") == HungUp(5.0, "leg-1", HungUpBy.US)
    leg.given_up = (503, "media gone")
    assert legs.hung_up(leg, 5.0, by_peer=False, reason="") == HungUp(5.0, "leg-1", HungUpBy.NETWORK, "media gone")


def test_an_answer_that_nothing_can_be_heard_with_is_none(leg: Leg) -> None:
    leg.given_up = (488, "no codec")
    assert legs.hung_up(leg, 5.0, by_peer=False, reason="") == NotAnswered(
        5.0, "leg-1", CallStatus.FAILED, 488, "no codec"
    )


def test_the_media_plane_takes_keys_under_our_own_number() -> None:
    remote = legs.remote_media(AGREED, None)
    assert (remote.address, remote.port, remote.rtcp_port) == ("192.0.2.7", 4000, 4001)
    assert (remote.codec, remote.payload_type, remote.event_payload_type) == ("PCMU", 0, 101)
    assert legs.remote_media(replace(AGREED, received={0: "PCMU"}), None).event_payload_type is None


@pytest.mark.parametrize("part", [{"host": "media.example.com"}, {"rtcp_host": "media.example.com"}])
def test_media_at_a_name_is_not_taken(part: dict[str, str]) -> None:
    with pytest.raises(SdpError, match="address is needed"):
        legs.remote_media(replace(AGREED, **part), None)  # type: ignore[arg-type]  # mypy checks ** against every field


def test_hold_by_the_unspecified_address_is_the_former_address() -> None:
    former = legs.remote_media(AGREED, None)
    held = legs.remote_media(replace(AGREED, host="0.0.0.0", direction="recvonly"), former)
    assert held == replace(former, direction=Direction.RECVONLY)
    with pytest.raises(SdpError, match=r"0\.0\.0\.0"):
        legs.remote_media(replace(AGREED, host="0.0.0.0"), None)


def test_a_leg_cannot_describe_a_stream_that_it_has_not(leg: Leg) -> None:
    with pytest.raises(SdpError, match="no stream"):
        leg.offer()


def test_quality_is_what_was_received() -> None:
    assert legs.quality_of(REPORT) == CallQuality(4.2, 0.01, 3)
    assert legs.quality_of(replace(REPORT, mos=None)) is None
    assert legs.quality_of(None) is None


def test_the_trace_gets_every_figure() -> None:
    fields = legs.report_fields(REPORT)
    assert (fields["sent"], fields["received"], fields["lost"], fields["mos"]) == (500, 400, 4, 4.2)


def test_the_media_plane_learns_what_may_be_heard_and_how_it_is_encrypted() -> None:
    received = {9: "G722", 0: "PCMU", 101: "telephone-event", 110: "telephone-event/48000"}
    agreed = replace(
        AGREED, codec="G722", payload_type=9, ptime_ms=40, received=received, srtp=SrtpKeys("S", b"ours", b"theirs")
    )
    remote = legs.remote_media(agreed, None, symmetric=True)
    assert (remote.sounds, remote.event_payload_type) == ({9: "G722", 0: "PCMU"}, 101)
    assert (remote.ptime_ms, remote.srtp, remote.symmetric) == (40, Srtp("S", b"ours", b"theirs"), True)


def test_events_that_a_peer_sends_run_on_the_clock_of_its_codec() -> None:
    received = {101: "telephone-event", 107: "OPUS", 110: "telephone-event/48000"}
    remote = legs.remote_media(replace(AGREED, codec="OPUS", payload_type=96, received=received), None)
    assert (remote.event_payload_type, remote.heard_event_clock_rate) == (110, 48_000)
    del received[110]
    remote = legs.remote_media(replace(AGREED, codec="OPUS", payload_type=96, received=received), None)
    assert (remote.event_payload_type, remote.heard_event_clock_rate) == (101, 8000)


def test_keys_are_made_for_every_suite_unless_srtp_is_off() -> None:
    assert legs.fresh_srtp_keys(Trunk("t", "192.0.2.1"), bytes) == {}
    keys = legs.fresh_srtp_keys(Trunk("t", "192.0.2.1", srtp="optional"), bytes)
    assert {suite: len(key) for suite, key in keys.items()} == dict(SUITES)


def test_a_leg_offers_and_answers_with_its_own_keys(leg: Leg) -> None:
    leg.trunk = Trunk("t", "192.0.2.1", srtp="required")
    leg.local = LocalMedia("192.0.2.5", 4000)
    with pytest.raises(KeyError):
        leg.offer()
    leg.srtp_keys = legs.fresh_srtp_keys(leg.trunk, lambda size: bytes([size]) * size)
    offer = leg.offer()
    answerer = Leg("leg-2", "", "", leg.trunk, "call-2", Trace("s"), srtp_keys=legs.fresh_srtp_keys(leg.trunk, bytes))
    answerer.local = leg.local
    _, agreed = answerer.answer(offer)
    assert agreed.srtp is not None
    assert (agreed.srtp.sending, agreed.srtp.receiving) == (bytes(30), bytes([30]) * 30)
    assert bytes([30]) * 30 not in repr(leg).encode()
