"""STUN against the sample messages of RFC 5769, and against broken ones."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import SipSyntaxError
from callwright.sip import stun

IDENTITY = bytes.fromhex("b7e7a701bc34d686fa87dfae")

# RFC 5769 §2.2 and §2.3: SOFTWARE "test vector" padded with a space, MESSAGE-INTEGRITY, FINGERPRINT.
IPV4_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
IPV6_RESPONSE = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)


@pytest.mark.parametrize(
    ("response", "host"),
    [(IPV4_RESPONSE, "192.0.2.1"), (IPV6_RESPONSE, "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_the_sample_responses_of_rfc_5769(response: bytes, host: str) -> None:
    assert stun.is_stun(response)
    assert stun.transaction_id(response) == IDENTITY
    assert stun.parse_response(response, IDENTITY) == stun.Mapped(host, 32853)


def test_the_samples_address_is_written_as_the_rfc_writes_it() -> None:
    written = stun.serialize_success(IDENTITY, stun.Mapped("192.0.2.1", 32853))
    assert bytes.fromhex("002000080001a147e112a643") in written
    written = stun.serialize_success(IDENTITY, stun.Mapped("2001:db8:1234:5678:11:2233:4455:6677", 32853))
    assert bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9") in written


def test_a_request_is_a_header_and_a_fingerprint() -> None:
    request = stun.serialize_request(IDENTITY)
    assert request[:20] == bytes.fromhex("000100082112a442") + IDENTITY
    assert request[20:24] == bytes.fromhex("80280004")
    assert len(request) == 28
    assert stun.is_request(request)
    assert not stun.is_request(IPV4_RESPONSE)
    assert not stun.is_request(request[:-1] + b"!")


@given(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)),
    st.integers(0, 65535),
    st.binary(min_size=stun.ID_BYTES, max_size=stun.ID_BYTES),
)
def test_what_a_server_writes_is_read_again(
    host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, identity: bytes
) -> None:
    mapped = stun.Mapped(str(host), port)
    assert stun.parse_response(stun.serialize_success(identity, mapped), identity) == mapped


def test_an_error_is_told_in_its_words() -> None:
    with pytest.raises(stun.StunRefused, match="403 Not you"):
        stun.parse_response(stun.serialize_error(IDENTITY, 403, "Not you"), IDENTITY)


def test_an_old_servers_plain_address_will_do() -> None:
    body = struct.pack("!HHBBH4s", stun.MAPPED_ADDRESS, 8, 0, 1, 5060, bytes((203, 0, 113, 9)))
    message = stun.HEADER.pack(stun.BINDING_SUCCESS, len(body), stun.COOKIE, IDENTITY) + body
    assert stun.parse_response(message, IDENTITY) == stun.Mapped("203.0.113.9", 5060)


def attribute(number: int, value: bytes) -> bytes:
    body = struct.pack("!HH", number, len(value)) + value + bytes(-len(value) % 4)
    return stun.HEADER.pack(stun.BINDING_SUCCESS, len(body), stun.COOKIE, IDENTITY) + body


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"SIP/2.0 200 OK\r\n\r\n", "no STUN"),
        (b"", "no STUN"),
        (IPV4_RESPONSE[:-4], "length"),
        (IPV4_RESPONSE + b"\0\0\0\0", "length"),
        (IPV4_RESPONSE[:-1] + b"\x97", "fingerprint"),
        (stun.serialize_success(bytes(12), stun.Mapped("192.0.2.1", 1)), "another"),
        (stun.serialize_request(IDENTITY), "no answer"),
        (stun.HEADER.pack(stun.BINDING_SUCCESS, 0, stun.COOKIE, IDENTITY), "without an address"),
        (attribute(0x0077, b"????"), "must be understood"),
        (attribute(stun.XOR_MAPPED_ADDRESS, b"\0\3\0\0\0\0\0\0"), "family"),
        (attribute(stun.XOR_MAPPED_ADDRESS, b"\0\2\0\0\0\0\0\0"), "family"),
        (attribute(stun.XOR_MAPPED_ADDRESS, b""), "family"),
        (stun.HEADER.pack(stun.BINDING_SUCCESS, 4, stun.COOKIE, IDENTITY) + b"\0\x20\0\x08", "cut off"),
        (stun.HEADER.pack(stun.BINDING_SUCCESS, 160, stun.COOKIE, IDENTITY) + b"\x80\x22\0\0" * 40, "too many"),
    ],
)
def test_what_is_no_answer_is_refused(message: bytes, complaint: str) -> None:
    with pytest.raises(SipSyntaxError, match=complaint):
        stun.parse_response(message, IDENTITY)


@given(st.binary(max_size=120))
def test_nothing_breaks_the_parser(data: bytes) -> None:
    for message in (data, stun.HEADER.pack(stun.BINDING_SUCCESS, len(data), stun.COOKIE, IDENTITY) + data):
        try:
            stun.parse_response(message, IDENTITY)
        except SipSyntaxError:
            continue
