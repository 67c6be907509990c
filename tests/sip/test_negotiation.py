"""Offer and answer agree on one codec, one address and who may speak (RFC 3264)."""

import dataclasses

import pytest

from callwright.errors import SdpError
from callwright.sip import sdp
from callwright.sip.negotiation import Negotiated, make_answer, make_offer, read_answer
from callwright.sip.sdp import DIRECTIONS, Direction, SessionDescription

HEAD = "v=0\r\no=- 7 7 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"


def description(*lines: str, head: str = HEAD) -> SessionDescription:
    return sdp.parse((head + "".join(f"{line}\r\n" for line in lines)).encode())


def offer(direction: Direction = "sendrecv", codecs: tuple[str, ...] = ("PCMA", "PCMU")) -> SessionDescription:
    return make_offer("192.0.2.1", 4000, session_id=11, version=1, codecs=codecs, direction=direction)


def answer_to(offered: SessionDescription, direction: Direction = "sendrecv") -> tuple[SessionDescription, Negotiated]:
    return make_answer(offered, "192.0.2.1", 4000, session_id=5, version=3, direction=direction)


def test_an_offer_is_what_the_rfcs_want() -> None:
    assert sdp.serialize(offer()).decode().splitlines() == [
        "v=0",
        "o=- 11 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 8 0 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]


@pytest.mark.parametrize(("codecs", "port"), [((), 4000), (("SPEEX",), 4000), (("PCMU",), 0), (("PCMU",), 65_535)])
def test_an_impossible_offer_is_refused(codecs: tuple[str, ...], port: int) -> None:
    with pytest.raises(SdpError):
        make_offer("192.0.2.1", port, session_id=1, version=1, codecs=codecs)


def test_an_answer_is_read() -> None:
    answer = description(
        "m=audio 5000 RTP/AVP 0 97",
        "a=rtpmap:97 Telephone-Event/8000",
        "a=rtcp:6001 IN IP4 192.0.2.10",
        "a=ptime:30",
    )
    assert read_answer(offer(), answer) == Negotiated(
        host="192.0.2.9",
        port=5000,
        rtcp_port=6001,
        codec="PCMU",
        payload_type=0,
        event_payload_type=97,
        direction="sendrecv",
        ptime_ms=30,
        received={0: "PCMU", 101: "telephone-event"},
        rtcp_host="192.0.2.10",
    )


def test_the_answerers_first_choice_is_sent_and_all_it_kept_may_come() -> None:
    agreed = read_answer(offer(), description("m=audio 5000 RTP/AVP 0 8"))
    assert (agreed.codec, agreed.event_payload_type) == ("PCMU", None)
    assert agreed.received == {8: "PCMA", 0: "PCMU"}
    assert (agreed.rtcp_host, agreed.rtcp_port) == ("192.0.2.9", 5001)


def test_what_was_never_offered_is_passed_over() -> None:
    agreed = read_answer(offer(), description("m=audio 5000 RTP/AVP 18 101 13 8", "a=rtpmap:101 telephone-event/8000"))
    assert (agreed.codec, agreed.payload_type, agreed.event_payload_type) == ("PCMA", 8, 101)


def test_a_static_codec_under_a_number_of_its_own_is_understood() -> None:
    agreed = read_answer(offer(), description("m=audio 5000 RTP/AVP 110", "a=rtpmap:110 pcma/8000/1"))
    assert (agreed.codec, agreed.payload_type, agreed.received) == ("PCMA", 110, {8: "PCMA"})


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("m=audio 0 RTP/AVP 0",),
        ("m=video 5000 RTP/AVP 0",),
        ("m=video 0 RTP/AVP 0", "m=audio 5000 RTP/AVP 0"),
        ("m=audio 5000 RTP/SAVP 0",),
        ("m=audio 5000 RTP/AVP 18",),
        ("m=audio 5000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
        ("m=audio 5000 RTP/AVP x",),
        ("m=audio 65535 RTP/AVP 0",),
        ("m=audio 5000 RTP/AVP 0", "a=rtcp:1 IN IP4 nowhere/x"),
    ],
)
def test_an_answer_without_usable_audio_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(SdpError):
        read_answer(offer(), description(*lines))


def test_an_answer_to_an_offer_without_audio_is_refused() -> None:
    with pytest.raises(SdpError):
        read_answer(description("m=video 1 RTP/AVP 31"), description("m=audio 5000 RTP/AVP 0"))


SPEAKS, LISTENS = ("sendrecv", "sendonly"), ("sendrecv", "recvonly")


@pytest.mark.parametrize("ours", DIRECTIONS)
@pytest.mark.parametrize("theirs", DIRECTIONS)
def test_media_flows_where_one_speaks_and_the_other_listens(ours: Direction, theirs: Direction) -> None:
    agreed = read_answer(offer(ours), description("m=audio 5000 RTP/AVP 0", f"a={theirs}"))
    assert agreed.sends is (ours in SPEAKS and theirs in LISTENS)
    assert agreed.receives is (ours in LISTENS and theirs in SPEAKS)
    answer, agreed = answer_to(description("m=audio 5000 RTP/AVP 0", f"a={theirs}"), direction=ours)
    assert agreed.sends is (ours in SPEAKS and theirs in LISTENS)
    assert agreed.receives is (ours in LISTENS and theirs in SPEAKS)
    assert answer.direction_of(answer.media[0]) == agreed.direction


def test_hold_is_mirrored() -> None:
    answer, agreed = answer_to(description("m=audio 5000 RTP/AVP 0", "a=sendonly"))
    assert answer.direction_of(answer.media[0]) == "recvonly"
    assert not agreed.sends


def test_nothing_is_sent_to_the_old_hold_address() -> None:
    held = HEAD.replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0")
    lines = ("m=audio 5000 RTP/AVP 0", "a=sendrecv")
    answer, agreed = answer_to(description(*lines, head=held))
    assert (agreed.direction, answer.direction_of(answer.media[0])) == ("recvonly", "recvonly")
    assert read_answer(offer(), description(*lines, head=held)).direction == "recvonly"


def test_an_offer_is_answered_in_its_own_order_and_numbers() -> None:
    offered = description(
        "m=audio 5000 RTP/AVP 18 110 0 96", "a=rtpmap:110 PCMA/8000", "a=rtpmap:96 telephone-event/8000"
    )
    answer, agreed = answer_to(offered)
    assert sdp.serialize(answer).decode().splitlines()[5:] == [
        "m=audio 4000 RTP/AVP 110 96",
        "a=rtpmap:110 PCMA/8000",
        "a=rtpmap:96 telephone-event/8000",
        "a=fmtp:96 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]
    assert agreed == Negotiated(
        host="192.0.2.9",
        port=5000,
        rtcp_port=5001,
        codec="PCMA",
        payload_type=110,
        event_payload_type=96,
        direction="sendrecv",
        ptime_ms=20,
        received={110: "PCMA", 96: "telephone-event"},
        rtcp_host="192.0.2.9",
    )


def test_everything_but_the_first_usable_audio_is_refused_with_port_0() -> None:
    offered = description(
        "m=video 6000 RTP/AVP 31",
        "m=audio 6002 RTP/SAVP 0",
        "m=audio 0 RTP/AVP 0",
        "m=audio 6004 RTP/AVP 18",
        "m=audio 6006 RTP/AVP 8 0",
        "m=audio 6008 RTP/AVP 0",
        "m=image 6010 udptl t38",
    )
    answer, agreed = answer_to(offered)
    assert [(media.kind, media.port, media.protocol) for media in answer.media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 0, "RTP/SAVP"),
        ("audio", 0, "RTP/AVP"),
        ("audio", 0, "RTP/AVP"),
        ("audio", 4000, "RTP/AVP"),
        ("audio", 0, "RTP/AVP"),
        ("image", 0, "udptl"),
    ]
    assert (agreed.port, agreed.codec, agreed.event_payload_type) == (6006, "PCMA", None)
    assert sdp.parse(sdp.serialize(answer)) == answer


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("m=audio 5000 RTP/AVP 18",),
        ("m=audio 0 RTP/AVP 0",),
        ("m=audio 5000 RTP/SAVP 0",),
        ("m=video 5000 RTP/AVP 31",),
        ("m=audio 5000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
        ("m=audio 5000 RTP/AVP 99", "a=rtpmap:99 PCMU/16000"),
    ],
)
def test_an_offer_with_nothing_in_common_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(SdpError):
        answer_to(description(*lines))


def test_only_configured_codecs_are_accepted() -> None:
    with pytest.raises(SdpError):
        make_answer(description("m=audio 5000 RTP/AVP 0"), "192.0.2.1", 4000, session_id=1, version=1, codecs=("PCMA",))


def test_the_answer_repeats_the_offers_times() -> None:
    answer, _ = answer_to(description("m=audio 5000 RTP/AVP 0", head=HEAD.replace("t=0 0", "t=3149328700 0")))
    assert b"\r\nt=3149328700 0\r\n" in sdp.serialize(answer)


@pytest.mark.parametrize(
    ("attributes", "ptime_ms"),
    [
        ((), 20),
        (("a=ptime:10",), 10),
        (("a=ptime:60",), 60),
        (("a=ptime:20.0",), 20),
        (("a=ptime:25",), 20),
        (("a=ptime:0",), 20),
        (("a=ptime:200",), 60),
        (("a=ptime:x",), 20),
        (("a=ptime:40", "a=maxptime:30"), 30),
        (("a=maxptime:10",), 10),
        (("a=maxptime:150",), 20),
        (("a=ptime",), 20),
    ],
)
def test_the_packet_time_is_what_the_peer_wants_within_reason(attributes: tuple[str, ...], ptime_ms: int) -> None:
    assert read_answer(offer(), description("m=audio 5000 RTP/AVP 0", *attributes)).ptime_ms == ptime_ms


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("codecs", [("PCMU",), ("PCMA", "PCMU")])
def test_both_sides_agree_with_each_other(host: str, codecs: tuple[str, ...]) -> None:
    offered = sdp.parse(sdp.serialize(make_offer(host, 4000, session_id=1, version=1, codecs=codecs)))
    answer, theirs = make_answer(offered, host, 5000, session_id=2, version=1)
    ours = read_answer(offered, sdp.parse(sdp.serialize(answer)))
    assert (ours.codec, ours.host, ours.port, ours.rtcp_port) == (codecs[0], host, 5000, 5001)
    assert dataclasses.replace(ours, port=4000, rtcp_port=4001) == theirs
