"""Where a server is, by the records of its domain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from callwright.sip.resolution import Answers, Naptr, Place, Question, Srv, in_order, locate

Records = Mapping[tuple[str, str], Answers]
DOMAIN = "example.com"
FULL: Records = {
    ("NAPTR", DOMAIN): [
        Naptr(20, 10, "s", "SIP+D2U", "_sip._udp.example.com."),
        Naptr(10, 20, "s", "SIP+D2T", "_sip._tcp.example.com."),
        Naptr(10, 10, "S", "sips+d2t", "_sips._tcp.example.com."),
        Naptr(1, 1, "u", "E2U+sip", "!^.*$!sip:x@example.com!"),
        Naptr(5, 1, "s", "SIP+D2S", "_sip._sctp.example.com."),
    ],
    ("SRV", "_sips._tcp.example.com"): [Srv(1, 0, 5071, "a.example.com.")],
    ("SRV", "_sip._tcp.example.com"): [Srv(1, 0, 5070, "a.example.com.")],
    ("SRV", "_sip._udp.example.com"): [Srv(2, 0, 5062, "b.example.com."), Srv(1, 0, 5061, "a.example.com.")],
    ("ADDRESS", "a.example.com"): ["192.0.2.1", "192.0.2.2"],
    ("ADDRESS", "b.example.com"): ["192.0.2.3"],
    ("ADDRESS", DOMAIN): ["192.0.2.9"],
}


def find(
    records: Records,
    host: str = DOMAIN,
    port: int | None = None,
    transport: str = "",
    speaks: Sequence[str] = ("UDP", "TCP", "TLS"),
) -> tuple[list[Place], list[str]]:
    """The places, and what was asked for."""
    search, asked = locate(host, port, transport, speaks, Random(1).random), list[str]()
    try:
        question = next(search)
        while True:
            assert isinstance(question, Question)
            asked.append(f"{question.kind} {question.name}")
            answers = records.get((question.kind, question.name), [])
            question = search.send(answers)
    except StopIteration as end:
        return end.value, asked


@pytest.mark.parametrize(
    ("host", "port", "transport", "place"),
    [
        ("192.0.2.5", None, "", Place("192.0.2.5", 5060, "UDP")),
        ("192.0.2.5", None, "TLS", Place("192.0.2.5", 5061, "TLS")),
        ("2001:db8::5", 5070, "TCP", Place("2001:db8::5", 5070, "TCP")),
    ],
)
def test_an_address_is_where_it_says(host: str, port: int | None, transport: str, place: Place) -> None:
    assert find({}, host, port, transport) == ([place], [])


def test_a_port_asks_for_addresses_only() -> None:
    assert find(FULL, port=5080) == ([Place("192.0.2.9", 5080, "UDP")], ["ADDRESS example.com"])


def test_a_transport_asks_for_its_servers() -> None:
    places, asked = find(FULL, transport="UDP")
    assert [(place.host, place.port) for place in places] == [
        ("192.0.2.1", 5061), ("192.0.2.2", 5061), ("192.0.2.3", 5062),
    ]  # fmt: skip
    assert asked[0] == "SRV _sip._udp.example.com"


def test_the_domain_chooses_the_transport() -> None:
    places, _ = find(FULL)
    assert places == [Place("192.0.2.1", 5071, "TLS"), Place("192.0.2.2", 5071, "TLS")]
    assert find(FULL, speaks=("UDP",))[0][0] == Place("192.0.2.1", 5061, "UDP")


def test_without_naptr_our_own_preference_counts() -> None:
    records = {key: value for key, value in FULL.items() if key[0] != "NAPTR"}
    assert find(records, speaks=("TCP", "UDP"))[0][0] == Place("192.0.2.1", 5070, "TCP")


def test_without_any_records_the_domain_itself_is_the_server() -> None:
    places, asked = find({("ADDRESS", DOMAIN): ["192.0.2.9"]})
    assert places == [Place("192.0.2.9", 5060, "UDP")]
    assert asked == [
        "NAPTR example.com", "SRV _sip._udp.example.com", "SRV _sip._tcp.example.com", "SRV _sips._tcp.example.com",
        "ADDRESS example.com",
    ]  # fmt: skip
    assert find({("ADDRESS", DOMAIN): ["192.0.2.9"]}, transport="TLS")[0] == [Place("192.0.2.9", 5061, "TLS")]


def test_a_service_that_is_not_there_is_not_looked_for_elsewhere() -> None:
    records = {**FULL, ("SRV", "_sip._udp.example.com"): [Srv(0, 0, 0, ".")]}
    assert find(records, transport="UDP")[0] == []


def test_a_name_of_this_network_is_only_asked_for_addresses() -> None:
    assert find({("ADDRESS", "pbx"): ["192.0.2.4"]}, "PBX")[1] == ["ADDRESS pbx"]


def test_weights_share_the_calls() -> None:
    records = [Srv(1, 3, 1, "three"), Srv(1, 1, 1, "one"), Srv(1, 0, 1, "zero"), Srv(0, 0, 1, "first")]
    random, second = Random(7), Counter[str]()
    for _ in range(2000):
        order = in_order(records, random.random)
        assert order[0].target == "first"
        assert order[-1].target == "zero"
        assert len(order) == 4
        second[order[1].target] += 1
    assert second["three"] == pytest.approx(1500, abs=100)
    assert [record.target for record in in_order([Srv(1, 0, 1, "a"), Srv(1, 0, 1, "b")], lambda: 0.0)]
