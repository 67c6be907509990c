"""When a trunk is registered with, and for how long."""

import pytest

from callwright.sip.message import Headers
from callwright.sip.registration import Registration, RegistrationState, granted_seconds, retry_after_seconds

CONTACT = "sip:callwright@192.0.2.1:5060"


def registered(headers: Headers, expires: int = 3600) -> Registration:
    registration = Registration(1000.0, CONTACT, expires)
    registration.asked()
    registration.answered(1000.0, 200, "OK", headers, 0.5)
    return registration


def test_it_asks_at_once_and_again_before_the_registrar_forgets() -> None:
    fresh = Registration(1000.0, CONTACT, 3600)
    assert [fresh.deadline] == [1000.0]
    fresh.asked()
    assert [fresh.deadline] == [None]
    known = registered(Headers([("Contact", f"<{CONTACT}>;expires=600")]))
    assert known.state is RegistrationState.REGISTERED
    assert known.good_until == 1600.0
    assert known.deadline == 1540.0


@pytest.mark.parametrize("granted", [60, 30, 5, 1])
def test_a_short_registration_is_refreshed_in_time(granted: int) -> None:
    deadline = registered(Headers([("Expires", str(granted))])).deadline
    assert deadline is not None
    assert 1000.0 + granted / 2 <= deadline <= max(1001.0, 1000.0 + granted * 0.9)


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([("Contact", f"<sip:other@192.0.2.7>;expires=9, <{CONTACT}>;expires=120")], 120),
        ([("Contact", f"<{CONTACT}>"), ("Expires", "300")], 300),
        ([("Contact", f"<{CONTACT}>")], 3600),
        ([("Contact", "<sip:other@192.0.2.7>;expires=9"), ("Expires", "240")], 240),
        ([("Contact", "<mailto:a@example.com>, <tel:+65>")], 3600),
        ([("Contact", "<broken")], 3600),
        ([], 3600),
    ],
)
def test_the_registrar_says_for_how_long(lines: list[tuple[str, str]], seconds: int) -> None:
    assert granted_seconds(Headers(lines), CONTACT, 3600) == seconds


def test_423_asks_at_once_for_longer_and_never_in_a_circle() -> None:
    registration = Registration(0.0, CONTACT, 60)
    registration.answered(5.0, 423, "Interval Too Brief", Headers([("Min-Expires", "1800")]), 0.5)
    assert (registration.expires, registration.deadline) == (1800, 5.0)
    registration.answered(6.0, 423, "Interval Too Brief", Headers([("Min-Expires", "1800")]), 0.5)
    assert registration.deadline is not None
    assert registration.deadline > 6.0


def test_failures_wait_longer_and_longer_and_a_retry_after_is_kept() -> None:
    registration, now, waits = Registration(0.0, CONTACT, 60), 0.0, []
    for _ in range(10):
        registration.answered(now, 403, "Forbidden", Headers(), 0.5)
        assert registration.deadline is not None
        waits.append(registration.deadline - now)
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == 300
    registration.answered(now, 503, "Service Unavailable", Headers([("Retry-After", "500 (full);duration=9")]), 0.5)
    assert registration.deadline == 500
    registration.answered(now, 408, "no response", None, 0.5)
    assert registration.state is RegistrationState.WAITING


def test_a_failed_refresh_keeps_what_the_registrar_still_knows() -> None:
    registration = registered(Headers())
    registration.answered(2000.0, 503, "", None, 0.0)
    assert registration.state.value == "registered"
    registration.answered(4700.0, 503, "", None, 0.0)
    assert registration.state.value == "waiting"


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("18000;duration=3600", 3600), ("x", None), ("-1", None)])
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(Headers([("Retry-After", text)])) == seconds
