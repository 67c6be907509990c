"""SRTP against a second implementation, made here of AES and HMAC, which is held against the RFCs' own vectors."""

import hmac
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.errors import RtpError
from callwright.rtp import packet, rtcp
from callwright.rtp.packet import RtpPacket
from callwright.rtp.srtp import LARGEST_PACKET, MASTER_BYTES, WINDOW_PACKETS, Opener, Refused, Sealer

SSRC = 0xCAFEBABE
SUITES = sorted(MASTER_BYTES)


def key_of(suite: str, seed: int = 1) -> bytes:
    return bytes((seed * 7 + number * 13) & 0xFF for number in range(MASTER_BYTES[suite]))


# --- the second implementation (RFC 3711 §4) ----------------------------------------------------------------------


def keystream(key: bytes, initial: int, size: int) -> bytes:
    counter = Cipher(algorithms.AES(key), modes.CTR(initial.to_bytes(16, "big"))).encryptor()
    return counter.update(bytes(size))


def derived(master: bytes, label: int, size: int) -> bytes:
    key, salt = master[:-14], int.from_bytes(master[-14:], "big")
    return keystream(key, (salt ^ (label << 48)) << 16, size)


def encrypted(master: bytes, first_label: int, ssrc: int, index: int, data: bytes) -> bytes:
    key, salt = derived(master, first_label, len(master) - 14), derived(master, first_label + 2, 14)
    initial = (int.from_bytes(salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
    return bytes(a ^ b for a, b in zip(data, keystream(key, initial, len(data)), strict=True))


def sealed_rtp(suite: str, master: bytes, sent: bytes, roll_over: int = 0) -> bytes:
    sequence, ssrc = struct.unpack_from("!2xH4xI", sent)
    body = sent[:12] + encrypted(master, 0, ssrc, roll_over << 16 | sequence, sent[12:])
    tag = hmac.digest(derived(master, 1, 20), body + struct.pack("!I", roll_over), "sha1")
    return body + tag[: 4 if suite.endswith("_32") else 10]


def sealed_rtcp(master: bytes, sent: bytes, index: int) -> bytes:
    (ssrc,) = struct.unpack_from("!4xI", sent)
    body = sent[:8] + encrypted(master, 3, ssrc, index, sent[8:]) + struct.pack("!I", 1 << 31 | index)
    return body + hmac.digest(derived(master, 4, 20), body, "sha1")[:10]


@pytest.mark.parametrize(
    ("master", "keys"),
    [
        (  # RFC 3711 §B.3
            "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6",
            (
                "C61E7A93744F39EE10734AFE3FF7A087",
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4",
                "30CBBC08863D8C85D49DB34A9AE1",
            ),
        ),
        (  # RFC 6188 §7.2
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2",
            (
                "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
                "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
                "fa31791685ca444a9e07c6c64e93",
            ),
        ),
    ],
)
def test_the_second_implementation_derives_the_keys_of_the_rfcs(master: str, keys: tuple[str, ...]) -> None:
    for label, key in enumerate(keys):
        assert derived(bytes.fromhex(master), label, len(key) // 2) == bytes.fromhex(key)


# --- ours against it ----------------------------------------------------------------------------------------------


def rtp(sequence: int, payload: bytes = b"sound" * 32, ssrc: int = SSRC) -> bytes:
    return packet.serialize(RtpPacket(0, sequence, 160 * sequence, ssrc, payload))


@pytest.mark.parametrize("suite", SUITES)
def test_packets_are_sealed_as_the_rfcs_say(suite: str) -> None:
    sealer = Sealer(suite, key_of(suite))
    for sequence in (65_533, 65_534, 65_535):
        assert sealer.rtp(rtp(sequence)) == sealed_rtp(suite, key_of(suite), rtp(sequence))
    assert sealer.rtp(rtp(0)) == sealed_rtp(suite, key_of(suite), rtp(0), roll_over=1)


@pytest.mark.parametrize("suite", SUITES)
def test_what_others_seal_is_opened(suite: str) -> None:
    opener = Opener(suite, key_of(suite))
    assert opener.rtp(sealed_rtp(suite, key_of(suite), rtp(65_535))) == rtp(65_535)
    assert opener.rtp(sealed_rtp(suite, key_of(suite), rtp(3), roll_over=1)) == rtp(3)
    assert opener.rtp(sealed_rtp(suite, key_of(suite), rtp(1), roll_over=1)) == rtp(1)


REPORT = rtcp.serialize(
    [rtcp.SenderReport(SSRC, 1 << 60, 160, 5, 800), rtcp.SourceDescription(((SSRC, ((rtcp.CNAME, b"us"),)),))]
)


@pytest.mark.parametrize("suite", SUITES)
def test_reports_are_sealed_and_opened_as_the_rfcs_say(suite: str) -> None:
    key = key_of(suite)
    assert Sealer(suite, key).rtcp(REPORT) == sealed_rtcp(key, REPORT, 1)
    opener = Opener(suite, key)
    assert opener.rtcp(sealed_rtcp(key, REPORT, 9)) == REPORT
    assert opener.rtcp(sealed_rtcp(key, REPORT, 9)) is Refused.REPLAYED
    assert opener.rtcp(sealed_rtcp(key_of(suite, 2), REPORT, 10)) is Refused.UNAUTHENTIC
    assert opener.rtcp(REPORT[:7]) is Refused.MALFORMED


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_not_what_was_sealed_is_refused(suite: str) -> None:
    sealer, opener = Sealer(suite, key_of(suite)), Opener(suite, key_of(suite))
    sealed = sealer.rtp(rtp(1))
    for position in (1, 3, 7, 11, 12, 40, len(sealed) - 1):
        tampered = bytearray(sealed)
        tampered[position] ^= 1
        assert opener.rtp(bytes(tampered)) is Refused.UNAUTHENTIC, position
    assert Opener(suite, key_of(suite, 2)).rtp(sealed) is Refused.UNAUTHENTIC
    assert opener.rtp(rtp(1)) is Refused.UNAUTHENTIC  # never sealed at all
    assert opener.rtp(sealed) == rtp(1)
    assert opener.rtp(sealed) is Refused.REPLAYED


def test_a_packet_from_too_long_ago_is_refused_and_one_that_is_merely_late_is_not() -> None:
    suite = SUITES[0]
    sealer, opener = Sealer(suite, key_of(suite)), Opener(suite, key_of(suite))
    sealed = [sealer.rtp(rtp(number)) for number in range(WINDOW_PACKETS + 2)]
    assert opener.rtp(sealed[-1]) == rtp(WINDOW_PACKETS + 1)
    assert opener.rtp(sealed[0]) is Refused.REPLAYED
    assert opener.rtp(sealed[2]) == rtp(2)


def test_a_number_is_sealed_once() -> None:
    sealer = Sealer(SUITES[0], key_of(SUITES[0]))
    sealer.rtp(rtp(1))
    with pytest.raises(RtpError, match="cannot seal"):
        sealer.rtp(rtp(1, b"another"))
    with pytest.raises(RtpError, match="cannot seal"):
        sealer.rtp(rtp(2, bytes(1500)))
    with pytest.raises(RtpError, match="cannot seal"):
        sealer.rtcp(b"")


def test_sources_under_one_key_have_counters_of_their_own() -> None:
    suite = SUITES[0]
    opener = Opener(suite, key_of(suite))
    for ssrc in (1, 2):
        assert opener.rtp(sealed_rtp(suite, key_of(suite), rtp(5, ssrc=ssrc))) == rtp(5, ssrc=ssrc)


@pytest.mark.parametrize(
    ("suite", "size"), [("AES_CM_128_HMAC_SHA1_80", 29), ("AES_256_CM_HMAC_SHA1_80", 30), ("AEAD_AES_128_GCM", 28)]
)
def test_what_is_no_suite_or_key_is_said(suite: str, size: int) -> None:
    for make in (Sealer, Opener):
        with pytest.raises(RtpError, match=suite):
            make(suite, bytes(size))


@settings(max_examples=300)
@given(st.binary(max_size=1600), st.sampled_from(SUITES))
def test_whatever_comes_is_refused_and_nothing_breaks(data: bytes, suite: str) -> None:
    opener = Opener(suite, key_of(suite))
    assert isinstance(opener.rtp(data), Refused)
    assert isinstance(opener.rtcp(data), Refused)
    sealed = sealed_rtp(suite, key_of(suite), rtp(9))
    assert opener.rtp(sealed) == rtp(9)
    assert opener.rtp(bytes(LARGEST_PACKET + 1)) is Refused.MALFORMED
