"""What offer and answer make of SRTP, wide-band codecs, their events, and a shared port."""

from collections.abc import Sequence

import pytest

from callwright.errors import SdpError
from callwright.sip import crypto, sdp
from callwright.sip.crypto import SUITES, Crypto
from callwright.sip.negotiation import Negotiated, Protection, Srtp, make_answer, make_offer, read_answer
from callwright.sip.sdp import SessionDescription

HEAD = "v=0\r\no=- 7 7 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
OURS = {suite: bytes([number]) * size for number, (suite, size) in enumerate(SUITES.items(), 1)}
THEIRS = {suite: bytes([100 + number]) * size for number, (suite, size) in enumerate(SUITES.items(), 1)}
BEST = "AES_CM_128_HMAC_SHA1_80"
LINE = f"a=crypto:{Crypto(4, BEST, THEIRS[BEST])}"
ALL = ("PCMU", "PCMA", "G722", "OPUS")


def description(*lines: str) -> SessionDescription:
    return sdp.parse((HEAD + "".join(f"{line}\r\n" for line in lines)).encode())


def offer(srtp: Srtp = "off", codecs: Sequence[str] = ("PCMU",)) -> SessionDescription:
    protection = Protection(srtp, {} if srtp == "off" else OURS)
    return make_offer("192.0.2.1", 4000, session_id=1, version=1, codecs=codecs, protection=protection)


def answer(
    offered: SessionDescription, srtp: Srtp = "off", codecs: Sequence[str] = ALL
) -> tuple[SessionDescription, Negotiated]:
    protection = Protection(srtp, {} if srtp == "off" else THEIRS)
    return make_answer(offered, "192.0.2.9", 5000, session_id=2, version=1, codecs=codecs, protection=protection)


def reparsed(made: SessionDescription) -> SessionDescription:
    return sdp.parse(sdp.serialize(made))


# --- SRTP ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("srtp", "protocol", "lines"), [("off", "RTP/AVP", 0), ("optional", "RTP/AVP", 4), ("required", "RTP/SAVP", 4)]
)
def test_an_offer_says_whether_srtp_is_wanted(srtp: Srtp, protocol: str, lines: int) -> None:
    (media,) = reparsed(offer(srtp)).media
    assert media.protocol == protocol
    assert [(line.suite, line.key) for line in crypto.lines(media.attributes)] == list(OURS.items())[:lines]


WISHES: tuple[Srtp, ...] = ("off", "optional", "required")


@pytest.mark.parametrize("theirs", WISHES)
@pytest.mark.parametrize("ours", WISHES)
def test_two_sides_that_keep_to_this_agree_on_srtp_whenever_both_can(ours: Srtp, theirs: Srtp) -> None:
    offered = offer(ours)
    if {ours, theirs} == {"off", "required"}:
        with pytest.raises(SdpError, match="SRTP"):
            answer(reparsed(offered), theirs)
        return
    made, agreed = answer(reparsed(offered), theirs)
    read = read_answer(offered, reparsed(made))
    if "off" in (ours, theirs):
        assert agreed.srtp is read.srtp is None
        return
    assert agreed.srtp is not None
    assert read.srtp is not None
    assert (agreed.srtp.suite, read.srtp.suite) == (BEST, BEST)
    assert (read.srtp.sending, read.srtp.receiving) == (OURS[BEST], THEIRS[BEST])
    assert (agreed.srtp.sending, agreed.srtp.receiving) == (THEIRS[BEST], OURS[BEST])
    assert made.media[0].protocol == offered.media[0].protocol


def test_the_offerers_first_suite_that_we_can_do_is_taken_under_its_tag() -> None:
    lines = (
        "a=crypto:1 AEAD_AES_256_GCM inline:AAAA",
        f"a=crypto:{Crypto(9, 'AES_256_CM_HMAC_SHA1_32', bytes(46))}",
        LINE,
    )
    made, agreed = answer(description("m=audio 4000 RTP/SAVP 0", *lines), "required")
    assert agreed.srtp is not None
    assert (agreed.srtp.suite, agreed.srtp.receiving) == ("AES_256_CM_HMAC_SHA1_32", bytes(46))
    assert crypto.lines(made.media[0].attributes) == [Crypto(9, agreed.srtp.suite, THEIRS[agreed.srtp.suite])]


@pytest.mark.parametrize("first", ["RTP/AVP", "RTP/SAVP"])
def test_of_two_streams_the_encrypted_one_is_taken(first: str) -> None:
    streams = {"RTP/AVP": ("m=audio 4000 RTP/AVP 0",), "RTP/SAVP": ("m=audio 4002 RTP/SAVP 0", LINE)}
    second = next(protocol for protocol in streams if protocol != first)
    offered = description(*streams[first], *streams[second])
    made, agreed = answer(offered, "optional")
    assert agreed.srtp is not None
    assert [(media.protocol, media.port) for media in made.media] == [
        (protocol, 5000 if protocol == "RTP/SAVP" else 0) for protocol in (first, second)
    ]
    made, agreed = answer(offered, "off")
    assert agreed.srtp is None
    assert [media.port for media in made.media] == [5000 if p == "RTP/AVP" else 0 for p in (first, second)]


@pytest.mark.parametrize(
    ("srtp", "lines", "why"),
    [
        ("off", ("m=audio 4000 RTP/SAVP 0", LINE), 'srtp = "off"'),
        ("required", ("m=audio 4000 RTP/AVP 0",), 'srtp = "required"'),
        ("required", ("m=audio 4000 RTP/SAVP 0", "a=crypto:1 X inline:AAAA"), "no usable key"),
        ("optional", ("m=audio 4000 RTP/SAVP 0",), "nothing in common"),
        ("required", ("m=audio 4000 RTP/SAVP 18", LINE), "nothing in common"),
        ("required", ("m=audio 4000 UDP/TLS/RTP/SAVP 0", "a=fingerprint:sha-256 00"), "no usable key"),
    ],
)
def test_an_offer_that_srtp_keeps_us_from_taking_is_refused_with_the_reason(
    srtp: Srtp, lines: tuple[str, ...], why: str
) -> None:
    with pytest.raises(SdpError, match=why):
        answer(description(*lines), srtp)


OURS_AT_4 = f"a=crypto:{Crypto(1, BEST, THEIRS[BEST])}"


@pytest.mark.parametrize(
    ("srtp", "lines", "is_encrypted"),
    [
        ("optional", ("m=audio 5000 RTP/AVP 0",), False),
        ("optional", ("m=audio 5000 RTP/AVP 0", OURS_AT_4), True),
        ("optional", ("m=audio 5000 RTP/SAVP 0", OURS_AT_4), True),  # what some make of it
        ("optional", ("m=audio 5000 RTP/AVP 0", LINE), False),  # tag 4 was another suite
        ("required", ("m=audio 5000 RTP/SAVP 0", OURS_AT_4), True),
        ("required", ("m=audio 5000 RTP/SAVP 0",), None),
        ("required", ("m=audio 5000 RTP/SAVP 0", LINE), None),
        ("required", ("m=audio 5000 RTP/AVP 0", OURS_AT_4), None),
        ("required", ("m=audio 5000 RTP/AVP 0",), None),
        ("off", ("m=audio 5000 RTP/SAVP 0", OURS_AT_4), None),
        ("off", ("m=audio 5000 RTP/AVP 0", OURS_AT_4), False),
    ],
)
def test_an_answer_is_taken_for_what_it_says_of_srtp(
    srtp: Srtp, lines: tuple[str, ...], is_encrypted: bool | None
) -> None:
    if is_encrypted is None:
        with pytest.raises(SdpError):
            read_answer(offer(srtp), description(*lines))
    else:
        assert (read_answer(offer(srtp), description(*lines)).srtp is not None) is is_encrypted


def test_keys_stay_out_of_what_is_printed() -> None:
    _, agreed = answer(description("m=audio 4000 RTP/SAVP 0", LINE), "required")
    assert repr(THEIRS[BEST])[2:-1] not in repr(agreed)


# --- codecs and events --------------------------------------------------------------------------------------------


def test_every_codec_is_offered_with_events_at_its_clock() -> None:
    assert sdp.serialize(offer(codecs=("OPUS", "G722", "PCMA"))).decode().splitlines()[5:] == [
        "m=audio 4000 RTP/AVP 107 9 8 110 101",
        "a=rtpmap:107 opus/48000/2",
        "a=fmtp:107 maxplaybackrate=16000;sprop-maxcapturerate=16000",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:110 0-16",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]


@pytest.mark.parametrize("codec", ALL)
def test_two_sides_agree_on_each_codec_and_its_events(codec: str) -> None:
    offered = offer(codecs=(codec, *(other for other in ALL if other != codec)))
    made, agreed = answer(reparsed(offered))
    read = read_answer(offered, reparsed(made))
    clock, name = (48_000, "telephone-event/48000") if codec == "OPUS" else (8000, "telephone-event")
    for one in (agreed, read):
        assert one.codec == codec
        assert one.event_clock_rate == clock
        assert list(one.received.values()) == [codec, name]
        assert one.event_payload_type == list(one.received)[1]


def test_each_side_is_sent_opus_under_its_own_number() -> None:
    read = read_answer(offer(codecs=("OPUS",)), description("m=audio 5000 RTP/AVP 96", "a=rtpmap:96 opus/48000"))
    assert (read.codec, read.payload_type, read.received) == ("OPUS", 96, {107: "OPUS"})


def test_opus_with_events_at_8000_hz_takes_those() -> None:
    offered = description("m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 telephone-event/8000")
    made, agreed = answer(offered)
    assert (agreed.event_payload_type, agreed.event_clock_rate) == (97, 8000)
    assert agreed.received == {96: "OPUS", 97: "telephone-event"}
    assert made.media[0].attribute("ptime") == "20"


def test_an_answer_promises_the_packet_time_that_it_was_asked_for() -> None:
    made, agreed = answer(description("m=audio 4000 RTP/AVP 0", "a=ptime:40"))
    assert (agreed.ptime_ms, made.media[0].attribute("ptime")) == (40, "40")


# --- RTCP on the RTP port -----------------------------------------------------------------------------------------


def test_a_shared_port_is_accepted_when_it_is_offered() -> None:
    made, agreed = answer(description("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"))
    assert agreed.rtcp_mux
    assert made.media[0].attribute("rtcp-mux") is not None


def test_a_port_is_not_shared_unasked() -> None:
    made, agreed = answer(description("m=audio 4000 RTP/AVP 0"))
    assert not agreed.rtcp_mux
    assert made.media[0].attribute("rtcp-mux") is None
    assert not read_answer(offer(), description("m=audio 4000 RTP/AVP 0", "a=rtcp-mux")).rtcp_mux
