"""`a=crypto` lines: what is understood, what is passed over (RFC 4568, RFC 6188)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.sip import crypto
from callwright.sip.crypto import SUITES, Crypto

KEY = bytes(range(30))
TEXT = base64.b64encode(KEY).decode()
LONG = base64.b64encode(bytes(46)).decode()
SUITE = "AES_CM_128_HMAC_SHA1_80"


@pytest.mark.parametrize("suite", SUITES)
def test_a_line_reads_as_it_was_written(suite: str) -> None:
    written = Crypto(7, suite, bytes(range(SUITES[suite])))
    assert crypto.parse(str(written)) == written


@pytest.mark.parametrize(
    "value",
    [
        f"1 {SUITE} inline:{TEXT}",
        f"1 {SUITE.lower()} INLINE:{TEXT}",
        f"1 {SUITE} inline:{TEXT}|2^48",
        f"1 {SUITE} inline:{TEXT}|2^20",
        f"1 {SUITE} inline:{TEXT}|1048576",
        f"1  {SUITE}  inline:{TEXT} WSH=64 -FUTURE=1",
    ],
)
def test_what_phones_write_is_understood(value: str) -> None:
    assert crypto.parse(value) == Crypto(1, SUITE, KEY)


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"1 {SUITE}",
        f"x {SUITE} inline:{TEXT}",
        f"1 F8_128_HMAC_SHA1_80 inline:{TEXT}",
        f"1 AEAD_AES_128_GCM inline:{TEXT}",
        f"1 {SUITE} sdp:{TEXT}",
        f"1 {SUITE} inline:{TEXT[:-4]}",
        f"1 {SUITE} inline:{LONG}",
        f"1 {SUITE} inline:",
        f"1 {SUITE} inline:éé",
        f"1 {SUITE} inline:{TEXT}|2^20|1:4",  # a master key identifier in each packet
        f"1 {SUITE} inline:{TEXT}|1:4",
        f"1 {SUITE} inline:{TEXT}|2^19",
        f"1 {SUITE} inline:{TEXT}|2^x",
        f"1 {SUITE} inline:{TEXT};inline:{TEXT}",
        f"1 {SUITE} inline:{TEXT} UNENCRYPTED_SRTP",
        f"1 {SUITE} inline:{TEXT} KDR=1",
    ],
)
def test_what_cannot_be_done_is_no_line(value: str) -> None:
    assert crypto.parse(value) is None


def test_keys_stay_out_of_what_is_printed() -> None:
    assert TEXT not in repr(Crypto(1, SUITE, KEY))
    assert str(KEY) not in repr(Crypto(1, SUITE, KEY))


@given(st.text(max_size=200))
def test_anything_is_a_line_or_none(value: str) -> None:
    line = crypto.parse(value)
    assert line is None or crypto.parse(str(line)) == line
