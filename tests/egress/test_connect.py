"""Plain connections through the door: the same addresses as for HTTP, other ports."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence

import pytest

from callwright.egress import Egress
from callwright.egress.address import other_port_refusal
from callwright.errors import EgressError, EgressRefused


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    door = Egress(allow_loopback=True)
    yield door
    await door.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_a_connection_is_made_and_handed_over(egress: Egress, host: str) -> None:
    came = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()
        came.set()

    server = await asyncio.start_server(talk, host, 0, family=socket.AF_INET6 if host == "::1" else socket.AF_INET)
    async with server:
        connection = await egress.connect(host, server.sockets[0].getsockname()[1])
        with connection:
            assert connection.gettimeout() == 0
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, b"hello")
            assert await loop.sock_recv(connection, 100) == b"hello"
            await came.wait()


async def test_nobody_there_is_said(egress: Egress) -> None:
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(EgressError, match=r"No connection to 127\.0\.0\.1: it refuses connections\."):
            await egress.connect("127.0.0.1", taken.getsockname()[1])


async def test_a_name_server_that_hangs_is_not_waited_for() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    egress = Egress(allow_loopback=True, resolve=resolve)
    with pytest.raises(EgressError, match="did not accept a connection in time"):
        await egress.connect("slow.example.com", 22, own_ports=(22,), within_seconds=0.05)
    await egress.aclose()


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (["127.0.0.1"], "a loopback address"),
        (["10.1.2.3", "192.168.0.1"], "a private address"),
        (["169.254.169.254"], "a link-local address"),
        (["::ffff:127.0.0.1"], "an IPv4-mapped address"),
        (["64:ff9b::7f00:1"], "a NAT64 address"),
    ],
)
async def test_it_is_the_address_that_is_checked_not_the_name(addresses: list[str], reason: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    egress = Egress(allow_loopback=False, resolve=resolve)
    with pytest.raises(EgressRefused, match=f"sftp.example.com is not connected to: it is {reason}"):
        await egress.connect("sftp.example.com", 22, own_ports=(22,))
    await egress.aclose()


async def test_an_address_that_is_refused_is_passed_over_for_one_that_is_not() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1", "127.0.0.1"]

    egress = Egress(allow_loopback=True, resolve=resolve)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        with await egress.connect("both.example.com", server.sockets[0].getsockname()[1]) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
    await egress.aclose()


@pytest.mark.parametrize("port", [0, -1, 65_536, 21, 25, 80, 443, 3306, 6379, 5060])
async def test_other_protocols_ports_are_not_reached(egress: Egress, port: int) -> None:
    with pytest.raises(EgressRefused, match=f"The port {port} is "):
        await egress.connect("192.0.2.1", port, own_ports=(22,))


def test_a_protocols_own_port_and_free_high_ports_are_allowed() -> None:
    assert other_port_refusal(22, (22,)) is None
    assert other_port_refusal(2222, (22,)) is None
    assert other_port_refusal(22, ()) is not None
