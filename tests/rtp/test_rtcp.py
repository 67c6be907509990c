"""RTCP compounds (RFC 3550 §6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import RtpError
from callwright.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_middle,
    ntp_time,
    parse,
    serialize,
)

word = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(ReportBlock, word, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), word, word, word, word)
block_lists = st.lists(blocks, max_size=3).map(tuple)
reports: st.SearchStrategy[RtcpPacket] = st.builds(ReceiverReport, word, block_lists) | st.builds(
    SenderReport, word, st.integers(0, 2**64 - 1), word, word, word, block_lists
)
items = st.tuples(st.integers(1, 8), st.binary(max_size=20))
chunks = st.tuples(word, st.lists(items, max_size=3).map(tuple))
others: st.SearchStrategy[RtcpPacket] = st.builds(
    SourceDescription, st.lists(chunks, max_size=3).map(tuple)
) | st.builds(Goodbye, st.lists(word, max_size=3).map(tuple), st.binary(max_size=30))

RECEIVER_REPORT = bytes.fromhex("81c90007 00000001 00000002 40fffffe 00010203 00000004 00000005 00000006")


def test_a_receiver_report_on_the_wire_is_read() -> None:
    assert parse(RECEIVER_REPORT) == (ReceiverReport(1, (ReportBlock(2, 0x40, -2, 0x10203, 4, 5, 6),)),)


def test_a_sender_report_with_a_name_is_written_as_the_rfc_draws_it() -> None:
    compound = serialize(
        [SenderReport(1, 0x0000000200000003, 4, 5, 6), SourceDescription(((1, ((1, b"ab"),)),)), Goodbye((1,), b"x")]
    )
    assert compound == bytes.fromhex(
        "80c80006 00000001 00000002 00000003 00000004 00000005 00000006"
        "81ca0003 00000001 01026162 00000000"
        "81cb0002 00000001 01780000"
    )


@given(reports, st.lists(reports | others, max_size=4))
def test_what_is_written_is_read_again(first: RtcpPacket, rest: list[RtcpPacket]) -> None:
    assert parse(serialize([first, *rest])) == (first, *rest)


def test_packets_of_other_types_are_left_out() -> None:
    application = bytes.fromhex("80cc0002 00000001 6e616d65")
    assert parse(RECEIVER_REPORT + application + RECEIVER_REPORT) == parse(RECEIVER_REPORT) * 2


def test_padding_of_the_last_packet_is_taken_off() -> None:
    padded = bytes.fromhex("a1cb0002 00000001 00000004")
    assert parse(RECEIVER_REPORT + padded)[1] == Goodbye((1,))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"", "fewer", id="empty"),
        pytest.param(RECEIVER_REPORT[:7], "fewer", id="short"),
        pytest.param(RECEIVER_REPORT[:-4], "beyond", id="cut off"),
        pytest.param(RECEIVER_REPORT + b"\x80\xc9", "cut off", id="half a second header"),
        pytest.param(b"\x41" + RECEIVER_REPORT[1:], "version", id="version 1"),
        pytest.param(b"\x82" + RECEIVER_REPORT[1:], "shorter", id="more blocks than bytes"),
        pytest.param(bytes.fromhex("81cb0001 00000001"), "begins", id="BYE first"),
        pytest.param(bytes.fromhex("80c80001 00000001"), "cut off", id="a tiny sender report"),
        pytest.param(RECEIVER_REPORT + bytes.fromhex("81ca0002 00000001 01ff6162"), "cut off", id="item too long"),
        pytest.param(RECEIVER_REPORT + bytes.fromhex("81ca0002 00000001 01026162"), "no end", id="endless items"),
        pytest.param(RECEIVER_REPORT + bytes.fromhex("81cb0002 00000001 05787878"), "reason", id="reason too long"),
        pytest.param(b"\xa1" + RECEIVER_REPORT[1:] + RECEIVER_REPORT, "not the last", id="padding in the middle"),
        pytest.param(RECEIVER_REPORT + bytes.fromhex("a1cb0002 00000001 00000009"), "padding", id="padding too long"),
    ],
)
def test_what_is_no_compound_is_refused_whole(data: bytes, complaint: str) -> None:
    with pytest.raises(RtpError, match=complaint):
        parse(data)


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", b"\x81\xc9\x00\x01", RECEIVER_REPORT + b"\x81\xca", RECEIVER_REPORT + b"\xa2\xcb"):
        try:
            parse(start + data)
        except RtpError:
            continue


def test_a_compound_must_begin_with_a_report() -> None:
    with pytest.raises(RtpError):
        serialize([Goodbye((1,))])


@pytest.mark.parametrize("packet", [ReceiverReport(2**32), ReceiverReport(1, (ReportBlock(1, 256, 0, 0, 0),))])
def test_fields_that_do_not_fit_are_not_written(packet: ReceiverReport) -> None:
    with pytest.raises(RtpError):
        serialize([packet])


def test_losses_beyond_24_bits_stop_at_the_largest() -> None:
    compound = parse(serialize([ReceiverReport(1, (ReportBlock(2, 0, 2**24, 0, 0),))]))
    assert compound == (ReceiverReport(1, (ReportBlock(2, 0, 2**23 - 1, 0, 0),)),)


def test_ntp_time_counts_from_1900() -> None:
    assert ntp_time(0.5) == 2_208_988_800 << 32 | 1 << 31
    assert ntp_middle(0x1111_2222_3333_4444) == 0x2222_3333
