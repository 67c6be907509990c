import socket

import pytest

from callwright.errors import TelephonyError
from callwright.sip.message import Headers, Request
from callwright.telephony import signalling
from callwright.telephony.signalling import Gate, bind_sip, readable_text, sip_token

TRUNK = ("192.0.2.1", 5060)
STRANGER = ("198.51.100.7", 5060)
OPTIONS = Request("OPTIONS", "sip:192.0.2.9", Headers())


def test_a_taken_port_names_the_setting_that_moves_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TelephonyError, match=rf"127\.0\.0\.1:{port}.*in use.*--sip, CALLWRIGHT_SIP"):
            bind_sip("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("203.0.113.1", 5060), ("127.0.0.1", 70_000)])
def test_an_address_that_is_not_ours_names_the_setting_too(host: str, port: int) -> None:
    with pytest.raises(TelephonyError, match="--sip"):
        bind_sip(host, port)


def test_tokens_differ() -> None:
    tokens = {sip_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.isalnum() and len(token) >= 16 for token in tokens)


@pytest.mark.parametrize(
    "line",
    [
        'Authorization: Digest username="us", response="f00d"',
        'Proxy-Authorization: Digest username="us",\r\n response="f00d",\r\n\tqop=auth',
        'authorization : Digest response="f00d"',
        'PROXY-AUTHORIZATION:Digest response="f00d"',
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:f00df00d",
    ],
)
def test_a_record_holds_no_secret(line: str) -> None:
    text = readable_text(f"INVITE sip:x SIP/2.0\r\n{line}\r\nVia: SIP/2.0/UDP h\r\n\r\n".encode())
    assert "f00d" not in text
    assert "(not recorded)" in text
    assert "\r\nVia: SIP/2.0/UDP h\r\n" in text


def test_a_challenge_is_recorded() -> None:
    line = 'Proxy-Authenticate: Digest realm="r", nonce="n"'
    assert line in readable_text(f"SIP/2.0 407 Proxy Authentication Required\r\n{line}\r\n\r\n".encode())


def test_what_is_not_text_is_recorded_all_the_same_and_not_for_ever() -> None:
    assert readable_text(b"\xff\xfe") == "\ufffd\ufffd"
    assert len(readable_text(b"x" * 60_000)) <= signalling.LONGEST_RECORDED_TEXT + 1


def test_only_those_who_are_let_in_may_speak() -> None:
    gate = Gate(lambda host: host == TRUNK[0])
    assert gate.may_call(TRUNK, OPTIONS)
    assert gate.within_budget(0.0, TRUNK)
    assert not gate.may_call(STRANGER, OPTIONS)
    assert not gate.within_budget(0.0, STRANGER)


def test_a_flood_gets_its_budget_and_no_more() -> None:
    gate = Gate(lambda _: True, datagrams_per_second=10.0, burst_seconds=2.0)
    assert sum(gate.within_budget(100.0, TRUNK) for _ in range(50)) == 20
    assert sum(gate.within_budget(100.5, TRUNK) for _ in range(50)) == 5
    assert gate.within_budget(100.5, STRANGER)  # another's flood costs nobody else anything


def test_one_host_has_one_budget_whatever_ports_it_sends_from() -> None:
    gate = Gate(lambda _: True, datagrams_per_second=1.0, burst_seconds=1.0)
    assert [gate.within_budget(0.0, ("192.0.2.1", port)) for port in (5060, 5061)] == [True, False]


def test_whom_we_ask_has_a_budget_that_others_at_its_host_cannot_use_up() -> None:
    gate = Gate(lambda _: True, datagrams_per_second=10.0, others_per_second=2.0, burst_seconds=1.0)
    gate.ask(TRUNK)
    assert sum(gate.within_budget(0.0, (TRUNK[0], port)) for port in range(10_000, 10_100)) == 2
    assert sum(gate.within_budget(0.0, TRUNK) for _ in range(50)) == 10


def test_a_line_knows_only_so_many_whom_it_asked() -> None:
    gate = Gate(lambda _: True, datagrams_per_second=10.0, others_per_second=1.0, burst_seconds=1.0)
    for port in range(signalling.MOST_SOURCES + 1):
        gate.ask((TRUNK[0], port))
    assert sum(gate.within_budget(0.0, (TRUNK[0], 0)) for _ in range(5)) == 1  # forgotten: one of the others
    assert sum(gate.within_budget(0.0, (TRUNK[0], 1)) for _ in range(5)) == 5
    strict = Gate(lambda host: host == TRUNK[0])
    strict.ask(STRANGER)
    assert not strict.within_budget(0.0, STRANGER)


def test_budgets_are_bounded() -> None:
    gate = Gate(lambda _: True)
    for number in range(3 * signalling.MOST_SOURCES):
        gate.within_budget(0.0, (f"source-{number}", 5060))
    assert len(gate._budgets) == signalling.MOST_SOURCES
