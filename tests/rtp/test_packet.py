"""RTP packets (RFC 3550 §5.1, §5.3.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import RtpError
from callwright.rtp.packet import HeaderExtension, RtpPacket, parse, serialize

PLAIN = bytes.fromhex("80 80 1234 89abcdef 01020304") + b"sound"

extensions = st.builds(
    HeaderExtension,
    st.integers(0, 0xFFFF),
    st.integers(0, 20).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n)),
)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127).filter(lambda kind: not 64 <= kind < 96),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none() | extensions,
    padding_bytes=st.integers(0, 255),
)


def test_the_fields_of_a_packet_on_the_wire_are_read() -> None:
    assert parse(PLAIN) == RtpPacket(0, 0x1234, 0x89ABCDEF, 0x01020304, b"sound", marker=True)


def test_csrcs_extension_and_padding_are_read() -> None:
    data = bytes.fromhex("b2 08 0001 00000002 00000003  0000000a 0000000b  bede 0001 01020304") + b"xy" + b"\0\0\3"
    assert parse(data) == RtpPacket(
        8, 1, 2, 3, b"xy", csrcs=(10, 11), extension=HeaderExtension(0xBEDE, b"\1\2\3\4"), padding_bytes=3
    )


@given(packets)
def test_what_is_written_is_read_again(packet: RtpPacket) -> None:
    assert parse(serialize(packet)) == packet


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"", "fewer", id="empty"),
        pytest.param(PLAIN[:11], "fewer", id="cut off"),
        pytest.param(b"\x40" + PLAIN[1:], "version 1", id="version 1"),
        pytest.param(b"\x80\xc8" + PLAIN[2:], "RTCP", id="a sender report"),
        pytest.param(b"\x8f" + PLAIN[1:], "CSRC", id="more CSRCs than bytes"),
        pytest.param(b"\x90" + PLAIN[1:12] + b"\0\0", "cut off", id="half an extension header"),
        pytest.param(b"\x90" + PLAIN[1:12] + b"\0\0\0\2abcd", "longer", id="extension beyond the end"),
        pytest.param(b"\xa0" + PLAIN[1:12] + b"\0", "padding", id="padding of 0"),
        pytest.param(b"\xa0" + PLAIN[1:12] + b"a\3", "padding", id="padding into the header"),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(RtpError, match=complaint):
        parse(data)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse(b"\x80" + data)
        parse(data)
    except RtpError:
        pass


@pytest.mark.parametrize(
    "packet",
    [
        RtpPacket(128, 0, 0, 0, b""),
        RtpPacket(0, 0x1_0000, 0, 0, b""),
        RtpPacket(0, 0, -1, 0, b""),
        RtpPacket(0, 0, 0, 0, b"", csrcs=tuple(range(16))),
        RtpPacket(0, 0, 0, 0, b"", extension=HeaderExtension(0, b"abc")),
        RtpPacket(0, 0, 0, 0, b"", padding_bytes=256),
    ],
)
def test_fields_that_do_not_fit_are_not_written(packet: RtpPacket) -> None:
    with pytest.raises(RtpError):
        serialize(packet)
