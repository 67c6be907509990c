import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from callwright.telephony.datagrams import Address, Datagrams, open_udp_socket


class Peer:
    """A Datagrams that keeps what it was told."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        udp = open_udp_socket(host, 0)
        self.address: Address = udp.getsockname()[:2]
        self.received: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.gone: asyncio.Queue[tuple[Address, str]] = asyncio.Queue()
        self.datagrams = Datagrams(
            udp,
            lambda data, source: self.received.put_nowait((data, source)),
            lambda address, reason: self.gone.put_nowait((address, reason)),
        )


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    yield made
    made.datagrams.close()


def unused_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        return int(udp.getsockname()[1])


async def test_a_datagram_arrives_with_its_source(peer: Peer) -> None:
    other = Peer()
    other.datagrams.send(b"hello", peer.address)
    assert await peer.received.get() == (b"hello", other.address)
    other.datagrams.close()


async def test_ipv6_works_alike() -> None:
    one, other = Peer("::1"), Peer("::1")
    other.datagrams.send(b"hello", one.address)
    assert await one.received.get() == (b"hello", other.address)
    one.datagrams.close()
    other.datagrams.close()


async def test_a_port_where_nobody_listens_is_told_by_its_address(peer: Peer) -> None:
    dead = ("127.0.0.1", unused_port())
    peer.datagrams.send(b"anybody?", dead)
    address, reason = await peer.gone.get()
    assert address == dead
    assert "refused" in reason


async def test_a_dead_peer_does_not_cost_a_living_one_its_datagram(peer: Peer) -> None:
    other = Peer()
    dead = ("127.0.0.1", unused_port())
    for _ in range(5):
        other.datagrams.send(b"anybody?", dead)
        other.datagrams.send(b"hello", peer.address)  # its error is already queued: loopback answers within the call
    assert [(await peer.received.get())[0] for _ in range(5)] == [b"hello"] * 5
    assert [(await other.gone.get())[0] for _ in range(5)] == [dead] * 5
    assert other.datagrams.unsent == 0
    other.datagrams.close()


async def test_an_unreachable_network_is_told_and_not_raised(peer: Peer) -> None:
    peer.datagrams.send(b"too far", ("203.0.113.1", 5060))  # a loopback source cannot leave the machine
    assert (await peer.gone.get())[0] == ("203.0.113.1", 5060)


async def test_a_datagram_that_is_too_long_is_told_and_not_raised(peer: Peer) -> None:
    peer.datagrams.send(b"x" * 70_000, peer.address)
    assert (await peer.gone.get())[0] == peer.address


async def test_closing_twice_is_closing(peer: Peer) -> None:
    peer.datagrams.close()
    peer.datagrams.close()


def test_a_taken_port_is_an_os_error() -> None:
    with open_udp_socket("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        open_udp_socket("127.0.0.1", first.getsockname()[1])
