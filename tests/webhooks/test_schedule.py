"""What an answer to a webhook means, and how long it asks to be left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.webhooks.schedule import Verdict, asked_wait_seconds, judge

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED), (202, Verdict.DELIVERED), (204, Verdict.DELIVERED), (299, Verdict.DELIVERED),
        (100, Verdict.RETRY), (199, Verdict.RETRY), (300, Verdict.RETRY), (301, Verdict.RETRY), (304, Verdict.RETRY),
        (308, Verdict.RETRY), (400, Verdict.RETRY), (404, Verdict.RETRY), (410, Verdict.GONE), (429, Verdict.RETRY),
        (500, Verdict.RETRY), (503, Verdict.RETRY), (599, Verdict.RETRY),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, verdict: Verdict) -> None:
    assert judge(status) is verdict


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120), (" 7 ", 7), ("0", 0), ("999999999", 86_400), ("Fri, 15 Jan 2027 08:02:00 GMT", 120),
        ("Fri, 15 Jan 2027 08:02:00 -0000", 120), ("Fri, 15 Jan 2027 09:02:00 +0100", 120),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0), ("Fri, 15 Jan 2038 07:00:00 GMT", 86_400),
        ("", 0), ("soon", 0), ("-5", 0), ("1.5", 0), ("²", 0), ("Fri, 99 Jan 2027 08:02:00 GMT", 0),
        ("9" * 5000, 86_400), ("Fri, 15 Jan 2027 08:02:00 +99999999999999", 0), ("Fri, 15 Jan 0000 08:02:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400), ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_a_date_and_rubbish_as_nothing(asked: str, seconds: float) -> None:
    for status in (429, 503):
        assert asked_wait_seconds(status, {"retry-after": asked}, NOW) == seconds
    assert asked_wait_seconds(429, {"Retry-After": asked}, NOW) == seconds


@pytest.mark.parametrize("status", [200, 301, 500, 410])
def test_other_answers_do_not_ask_for_a_wait(status: int) -> None:
    assert asked_wait_seconds(status, {"retry-after": "120"}, NOW) == 0
    assert asked_wait_seconds(429, {}, NOW) == 0


@given(st.text(max_size=40))
def test_no_header_breaks_the_reading(asked: str) -> None:
    assert 0 <= asked_wait_seconds(503, {"retry-after": asked}, NOW) <= 86_400
