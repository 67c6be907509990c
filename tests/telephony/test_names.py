"""Trunks found by a real name server on loopback: NAPTR, SRV, A, AAAA, and its bad days."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.telephony.name_server import NameServer, NamesOf

from callwright.callflow.events import Answered, HungUp
from callwright.errors import TelephonyError
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import LoopbackLine, unused_port, unused_ports
from callwright.sip.streams import StreamAddress
from callwright.telemetry.clock import platform_clock
from callwright.telephony.ground import Ground
from callwright.telephony.line import TelephonySettings
from callwright.telephony.resolver import RESOLVED_FOR_SECONDS, Resolver
from callwright.telephony.trunk import Trunk

QUICK = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0)
NUMBER = "+6591234567"
DOMAIN = Trunk("t", "example.com", port_named=False)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def resolving(
    records: dict[tuple[str, str], list[str]], family: socket.AddressFamily = socket.AF_INET
) -> AsyncIterator[tuple[NameServer, Resolver, HandClock]]:
    async with NameServer().running() as server:
        server.records = records
        clock = HandClock()
        yield server, Resolver(family, clock, NamesOf(server)), clock


WHOLE = {
    ("example.com", "NAPTR"): [
        '20 50 "s" "SIP+D2U" "" _sip._udp.example.com.',
        '10 50 "s" "SIPS+D2T" "" _sips._tcp.example.com.',
        '5 50 "s" "E2U+sip" "" elsewhere.example.com.',
    ],
    ("_sips._tcp.example.com", "SRV"): ["10 0 5071 a.example.com.", "20 0 5072 b.example.com."],
    ("_sip._udp.example.com", "SRV"): ["10 0 5060 a.example.com."],
    ("a.example.com", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("b.example.com", "A"): ["192.0.2.3"],
}


async def test_naptr_chooses_the_transport_srv_the_servers_and_a_the_addresses() -> None:
    async with resolving(dict(WHOLE)) as (server, resolver, _):
        found = await resolver.resolve(DOMAIN)
        assert (found[0][1], found[2][1]) == (5071, 5072)
        assert set(found) == {
            StreamAddress(host, port, "TLS", "example.com")
            for host, port in (("192.0.2.1", 5071), ("192.0.2.2", 5071), ("192.0.2.3", 5072))
        }
        assert server.asked[:2] == ["NAPTR example.com", "SRV _sips._tcp.example.com"]


async def test_on_ipv6_the_same_domain_leads_to_its_aaaa() -> None:
    async with resolving(dict(WHOLE), socket.AF_INET6) as (_, resolver, _clock):
        assert await resolver.resolve(DOMAIN) == (StreamAddress("2001:db8::1", 5071, "TLS", "example.com"),)


async def test_without_naptr_srv_is_asked_for_each_transport() -> None:
    records = {("_sip._tcp.example.com", "SRV"): ["1 1 5080 a.example.com."], ("a.example.com", "A"): ["192.0.2.9"]}
    async with resolving(records) as (server, resolver, _):
        assert await resolver.resolve(DOMAIN) == (StreamAddress("192.0.2.9", 5080, "TCP"),)
        assert server.asked[:2] == ["NAPTR example.com", "SRV _sip._udp.example.com"]


async def test_without_either_the_domain_itself_is_the_server() -> None:
    async with resolving({("example.com", "A"): ["192.0.2.5"]}) as (_, resolver, _clock):
        assert await resolver.resolve(DOMAIN) == (("192.0.2.5", 5060),)


async def test_an_answer_that_is_cut_off_is_fetched_over_tcp() -> None:
    async with resolving(dict(WHOLE)) as (server, resolver, _):
        server.truncates = True
        assert len(await resolver.resolve(DOMAIN)) == 3
        assert "TCP SRV _sips._tcp.example.com" in server.asked


async def test_a_name_server_that_fails_on_srv_leaves_the_addresses() -> None:
    async with resolving({("example.com", "A"): ["192.0.2.5"]}) as (server, resolver, _):
        server.fails = {"_sip._udp.example.com", "_sip._tcp.example.com", "_sips._tcp.example.com"}
        assert await resolver.resolve(DOMAIN) == (("192.0.2.5", 5060),)


async def test_one_server_of_two_without_an_address_is_passed_over() -> None:
    records = dict(WHOLE)
    del records["a.example.com", "A"]
    async with resolving(records) as (_, resolver, _clock):
        assert await resolver.resolve(DOMAIN) == (StreamAddress("192.0.2.3", 5072, "TLS", "example.com"),)


@pytest.mark.parametrize("day", ["servfail", "unknown"])
async def test_a_name_that_leads_nowhere_is_an_error_in_words(day: str) -> None:
    async with resolving({}) as (server, resolver, _):
        server.fails = {"example.com"} if day == "servfail" else set()
        with pytest.raises(TelephonyError, match=r"trunk t: the name example\.com is not resolved"):
            await resolver.resolve(DOMAIN)


async def test_a_name_server_that_is_silent_is_waited_for_within_bounds_and_an_old_answer_is_used() -> None:
    async with resolving(dict(WHOLE)) as (server, resolver, clock):
        before = await resolver.resolve(DOMAIN)
        server.silent = True
        clock.now += RESOLVED_FOR_SECONDS + 1
        assert await resolver.resolve(DOMAIN) == before
        with pytest.raises(TelephonyError, match=r"example\.org"):
            await resolver.resolve(Trunk("other", "example.org", port_named=False))


async def test_new_records_are_seen_when_the_old_ones_have_aged() -> None:
    async with resolving({("example.com", "A"): ["192.0.2.5"]}) as (server, resolver, clock):
        await resolver.resolve(DOMAIN)
        server.records = {("example.com", "A"): ["192.0.2.6"]}
        assert await resolver.resolve(DOMAIN) == (("192.0.2.5", 5060),)
        clock.now += RESOLVED_FOR_SECONDS + 1
        assert await resolver.resolve(DOMAIN) == (("192.0.2.6", 5060),)
        assert resolver.known_hosts == {"192.0.2.6"}


async def test_srv_failover_between_addresses_of_their_own() -> None:
    """The first server's machine is there and its port refused; the second one takes the call."""
    carrier = Carrier("127.0.0.3", 0, platform_clock(), usual=QUICK)
    await carrier.start()
    try:
        async with NameServer().running() as server:
            server.records = {
                ("_sip._udp.example.com", "SRV"): [
                    f"1 1 {unused_port('127.0.0.2')} a.example.com.",
                    f"2 1 {carrier.address[1]} b.example.com.",
                ],
                ("a.example.com", "A"): ["127.0.0.2"],
                ("b.example.com", "A"): ["127.0.0.3"],
            }
            trunk = Trunk("srv", "example.com", port_named=False, transport="UDP")
            settings = TelephonySettings("127.0.0.1", 0, unused_ports(8), (trunk,))
            line = LoopbackLine(settings, platform_clock(), Ground(names=NamesOf(server)))
            await line.telephony.start()
            try:
                leg = line.dial(NUMBER)
                await line.until(leg, Answered)
                tried = [str(entry.fields["address"]) for entry in line.entries(leg, "telephony.trunk")]
                assert [place.partition(":")[0] for place in tried] == ["127.0.0.2", "127.0.0.3"]
                line.telephony.hang_up(leg)
                await line.until(leg, HungUp)
            finally:
                await line.telephony.stop()
    finally:
        await carrier.stop()
