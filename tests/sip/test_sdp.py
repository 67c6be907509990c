"""Session descriptions are read as real phones write them, and written as RFC 8866 wants them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import SdpError
from callwright.sip.sdp import (
    DIRECTIONS,
    MOST_BYTES,
    MOST_FORMATS,
    MOST_LINES,
    MOST_MEDIA,
    Codec,
    Connection,
    Direction,
    MediaDescription,
    Origin,
    SessionDescription,
    parse,
    serialize,
)

HEAD = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\n"
AUDIO = "m=audio 4000 RTP/AVP 0 8\r\n"
PHONE = (
    b"v=0\r\no=phone 3747 461 IN IP4 192.0.2.30\r\ns=a call\r\ni=info\r\nu=http://example.com\r\ne=a@example.com\r\n"
    b"b=AS:84\r\nt=0 0\r\nr=7d 1h 0 25h\r\nk=clear:x\r\na=X-nat:0\r\na=sendonly\r\n"
    b"m=audio 4004 RTP/AVP 96 0 18 101\r\nc=IN IP4 192.0.2.31\r\nb=TIAS:64000\r\na=rtcp:4005 IN IP4 192.0.2.31\r\n"
    b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    b"a=ptime:20\r\na=ssrc:123 cname:x\r\nm=video 0 RTP/AVP 31\r\n"
)


def test_a_phones_description_is_read() -> None:
    session = parse(PHONE)
    assert session.origin == Origin("192.0.2.30", 3747, 461, "phone")
    assert session.name == "a call"
    assert session.connection is None
    audio, video = session.media
    assert (audio.kind, audio.port, audio.protocol) == ("audio", 4004, "RTP/AVP")
    assert session.connection_of(audio) == Connection("192.0.2.31")
    assert session.direction_of(audio) == "sendonly"
    assert audio.codecs() == {
        96: Codec("opus", 48000, 2),
        0: Codec("PCMU", 8000),
        18: Codec("G729", 8000),
        101: Codec("telephone-event", 8000),
    }
    assert list(audio.codecs()) == [96, 0, 18, 101]
    assert (audio.fmtp(96), audio.fmtp(101), audio.fmtp(0)) == ("useinbandfec=1", "0-16", None)
    assert (audio.attribute("ptime"), audio.attribute("X-nat"), session.attribute("X-nat")) == ("20", None, "0")
    assert ("ssrc", "123 cname:x") in audio.attributes
    assert video.port == 0


def test_the_medias_own_connection_and_direction_win() -> None:
    session = parse(
        f"{HEAD}c=IN IP4 192.0.2.1\r\na=inactive\r\n{AUDIO}c=IN IP6 2001:db8::1\r\na=recvonly\r\n{AUDIO}".encode()
    )
    assert [session.connection_of(media) for media in session.media] == [
        Connection("2001:db8::1"),
        Connection("192.0.2.1"),
    ]
    assert [session.direction_of(media) for media in session.media] == ["recvonly", "inactive"]


def test_bare_line_feeds_and_stray_spaces_are_read() -> None:
    session = parse(
        b"v=0\no=- 1 2 IN IP4 192.0.2.1  \ns= \nc=IN IP4 192.0.2.1\nt=0 0\n\nm=audio  4000 RTP/AVP 0 \na=sendrecv \n"
    )
    assert session.media[0].formats == ["0"]
    assert session.direction_of(session.media[0]) == "sendrecv"


@pytest.mark.parametrize(
    "line",
    ["a=rtpmap:0", "a=rtpmap:x PCMU/8000", "a=rtpmap:128 x/8000", "a=rtpmap", "a=rtpmap:0 PCMU", "a=rtpmap:0 a/b/c/d"],
)
def test_an_unreadable_rtpmap_is_passed_over(line: str) -> None:
    audio = parse(f"{HEAD}c=IN IP4 192.0.2.1\r\n{AUDIO}{line}\r\n".encode()).media[0]
    assert audio.codecs() == {0: Codec("PCMU", 8000), 8: Codec("PCMA", 8000)}


def test_a_payload_type_that_nothing_explains_is_no_codec() -> None:
    assert parse(f"{HEAD}c=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 96 0\r\n".encode()).media[0].codecs().keys() == {0}


def test_a_refused_medium_needs_no_address() -> None:
    assert parse(f"{HEAD}m=audio 0 RTP/AVP 0\r\n".encode()).media[0].connection is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=1\r\no=- 1 2 IN IP4 192.0.2.1\r\n",
        "o=- 1 2 IN IP4 192.0.2.1\r\nv=0\r\n",
        "v=0\r\ns=-\r\n",
        "v=0\r\no=- 1 2 IN IP4\r\n",
        "v=0\r\no=- x 2 IN IP4 192.0.2.1\r\n",
        "v=0\r\no=- -1 2 IN IP4 192.0.2.1\r\n",
        "v=0\r\no=- 18446744073709551616 2 IN IP4 192.0.2.1\r\n",
        "v=0\r\no=- 1 2 ATM IP4 192.0.2.1\r\n",
        HEAD + "garbage\r\n",
        HEAD + "a\r\n",
        HEAD + "t=0\r\n",
        HEAD + "t=0 x\r\n",
        HEAD + "a=x\ry\r\n",
        HEAD + "a=x\0y\r\n",
        HEAD + AUDIO,
        HEAD + "c=IN IP4 192.0.2.256\r\n",
        HEAD + "c=IN IP4 2001:db8::1\r\n",
        HEAD + "c=IN IP6 192.0.2.1\r\n",
        HEAD + "c=IN IP5 192.0.2.1\r\n",
        HEAD + "c=IN IP6 2001:db8:::1\r\n",
        HEAD + "c=IN IP4\r\n",
        HEAD + "c=IN IP4 192.0.2.1/x\r\n",
        HEAD + "c=IN IP4 host/../x y\r\n",
        HEAD + "m=audio\r\n",
        HEAD + "m=audio 1 RTP/AVP\r\n",
        HEAD + "m=audio -1 RTP/AVP 0\r\n",
        HEAD + "m=audio 65536 RTP/AVP 0\r\n",
        HEAD + "m=audio x RTP/AVP 0\r\n",
        HEAD + "m=au(dio 0 RTP/AVP 0\r\n",
        HEAD + "m=audio 0 RTP//AVP 0\r\n",
        HEAD + "m=audio 0 RTP/AVP " + "0 " * (MOST_FORMATS + 1) + "\r\n",
        HEAD + "m=audio 0 RTP/AVP 0\r\n" * (MOST_MEDIA + 1),
        HEAD + "a=x\r\n" * MOST_LINES,
        HEAD + "a=" + "x" * MOST_BYTES + "\r\n",
    ],
)
def test_a_broken_description_is_refused(text: str) -> None:
    with pytest.raises(SdpError):
        parse(text.encode())


@pytest.mark.parametrize("formats", ["128", "-1", "x", "0 x", "9" * 5_000])
def test_payload_types_are_numbers(formats: str) -> None:
    media = parse(f"{HEAD}m=audio 0 RTP/AVP {formats}\r\n".encode()).media[0]
    with pytest.raises(SdpError):
        media.codecs()


@pytest.mark.parametrize(
    ("line", "host"), [("IN IP4 224.2.1.1/127/3", "224.2.1.1"), ("IN IP4 media.example.com", "media.example.com")]
)
def test_multicast_and_names_are_read(line: str, host: str) -> None:
    assert parse(f"{HEAD}c={line}\r\n".encode()).connection == Connection(host)


@pytest.mark.parametrize(("host", "unspecified"), [("0.0.0.0", True), ("::", True), ("192.0.2.1", False)])
def test_the_old_hold_address_is_told(host: str, unspecified: bool) -> None:
    assert Connection(host).is_unspecified is unspecified


def test_a_description_is_written_in_the_order_of_the_rfc() -> None:
    audio = MediaDescription(
        "audio", 4000, "RTP/AVP", ["0"], Connection("2001:db8::1"), [("rtpmap", "0 PCMU/8000"), ("sendrecv", None)]
    )
    session = SessionDescription(Origin("192.0.2.1", 1, 2), [audio], "x", Connection("192.0.2.1"), [("tool", "y")])
    assert serialize(session) == (
        b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=x\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=tool:y\r\n"
        b"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
    )


def test_nothing_can_be_smuggled_into_a_description() -> None:
    with pytest.raises(SdpError):
        serialize(SessionDescription(Origin("192.0.2.1", 1, 2), name="x\r\na=sendonly"))


WORDS = st.text("abcXYZ019-._", min_size=1, max_size=10)
HOSTS = st.ip_addresses().map(str)
ATTRIBUTES = st.lists(st.tuples(WORDS, st.none() | WORDS), max_size=4)
MEDIA = st.builds(
    MediaDescription,
    st.sampled_from(["audio", "video", "image"]),
    st.integers(0, 65_535),
    st.sampled_from(["RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVPF", "udptl"]),
    st.lists(st.integers(0, 127).map(str), min_size=1, max_size=6),
    st.none() | st.builds(Connection, HOSTS),
    ATTRIBUTES,
)


@given(
    st.builds(
        SessionDescription,
        st.builds(Origin, HOSTS, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), WORDS),
        st.lists(MEDIA, max_size=3),
        WORDS,
        st.builds(Connection, HOSTS),
        ATTRIBUTES,
    )
)
def test_a_description_survives_the_wire(session: SessionDescription) -> None:
    assert parse(serialize(session)) == session


@given(st.sampled_from(DIRECTIONS), st.none() | st.sampled_from(DIRECTIONS))
def test_a_direction_is_found_wherever_it_stands(of_session: Direction, of_media: Direction | None) -> None:
    media = f"{AUDIO}a={of_media}\r\n" if of_media else AUDIO
    session = parse(f"{HEAD}c=IN IP4 192.0.2.1\r\na={of_session}\r\n{media}".encode())
    assert session.direction_of(session.media[0]) == (of_media or of_session)
