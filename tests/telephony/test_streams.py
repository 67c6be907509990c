"""Connections on real sockets: messages both ways, TLS that is what it says, limits, endings."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from callwright.errors import TelephonyError
from callwright.sip.outputs import Address
from callwright.sip.streams import StreamAddress, place_text
from callwright.telephony.streams import StreamLimits, Streams, open_tcp_socket
from callwright.telephony.tls import client_context, server_context

if TYPE_CHECKING:
    from tests.telephony.conftest import Authority

MESSAGE = b"OPTIONS sip:a@example.com SIP/2.0\r\nCall-ID: x\r\nContent-Length: 2\r\n\r\nhi"
PATIENCE = 60.0


@dataclass
class Side:
    """One user of streams and what it was told."""

    streams: Streams
    port: int
    received: "asyncio.Queue[tuple[bytes, Address]]" = field(default_factory=asyncio.Queue)
    gone: "asyncio.Queue[tuple[Address, str]]" = field(default_factory=asyncio.Queue)

    async def message(self) -> tuple[bytes, Address]:
        async with asyncio.timeout(PATIENCE):
            return await self.received.get()

    async def failure(self) -> tuple[Address, str]:
        async with asyncio.timeout(PATIENCE):
            return await self.gone.get()


@asynccontextmanager
async def side(
    *,
    host: str = "127.0.0.1",
    server: ssl.SSLContext | None = None,
    client: ssl.SSLContext | None = None,
    admits: Callable[[str], bool] = lambda _: True,
    limits: StreamLimits | None = None,
) -> AsyncIterator[Side]:
    made: list[Side] = []
    streams = Streams(
        lambda data, source: made[0].received.put_nowait((data, source)),
        lambda address, why: made[0].gone.put_nowait((address, why)),
        admits,
        lambda _: client,
        limits=limits,
    )
    tcp = open_tcp_socket(host, 0)
    made.append(Side(streams, tcp.getsockname()[1]))
    await streams.listen(tcp, "TLS" if server else "TCP", server)
    try:
        yield made[0]
    finally:
        streams.close()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_messages_go_both_ways_over_one_connection(host: str) -> None:
    async with side(host=host) as peer, side(host=host) as us:
        there = StreamAddress(host, peer.port, "TCP")
        for _ in range(3):
            us.streams.send(MESSAGE, there)
        sources = set()
        for _ in range(3):
            data, source = await peer.message()
            assert data == MESSAGE
            sources.add(source)
        (source,) = sources
        assert isinstance(source, StreamAddress)
        assert source.by_peer
        peer.streams.send(MESSAGE, source)
        assert await us.message() == (MESSAGE, there)
        assert (us.streams.connections, peer.streams.connections) == (1, 1)


async def test_a_port_where_nobody_listens_is_told() -> None:
    async with side() as us:
        with closing(open_tcp_socket("127.0.0.1", 0)) as held:
            there = StreamAddress("127.0.0.1", held.getsockname()[1], "TCP")
            us.streams.send(MESSAGE, there)
            address, why = await us.failure()
        assert (address, us.streams.connections) == (there, 0)
        assert "refused" in why.lower() or "connect" in why.lower()


async def test_a_peer_that_hangs_in_the_handshake_is_given_up() -> None:
    context = client_context()
    async with side(client=context, limits=StreamLimits(connect_seconds=0.1)) as us:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            there = StreamAddress("127.0.0.1", mute.getsockname()[1], "TLS", "trunk.example.com")
            us.streams.send(MESSAGE, there)
            assert await us.failure() == (there, "no answer in time")


async def test_a_connection_that_breaks_is_told_on_both_sides() -> None:
    async with side() as us:
        async with side() as peer:
            there = StreamAddress("127.0.0.1", peer.port, "TCP")
            us.streams.send(MESSAGE, there)
            await peer.message()
        assert (await us.failure())[0] == there


async def test_a_response_for_a_closed_connection_of_a_peer_connects_to_nobody() -> None:
    async with side() as us:
        us.streams.send(MESSAGE, StreamAddress("127.0.0.1", 9, "TCP", by_peer=True))
        assert "closed" in (await us.failure())[1]


async def test_strangers_are_cut_off_before_they_say_a_word() -> None:
    async with side(admits=lambda _: False) as us:
        reader, writer = await asyncio.open_connection("127.0.0.1", us.port)
        writer.write(MESSAGE)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        assert us.received.empty()


async def test_one_host_opens_so_many_connections_and_no_more() -> None:
    async with side(limits=StreamLimits(most_from_one_host=2)) as us:
        connections = [await asyncio.open_connection("127.0.0.1", us.port) for _ in range(3)]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connections[2][0].readexactly(1)
        connections[0][1].write(MESSAGE)
        await us.message()
        for _, writer in connections:
            writer.close()


async def test_pings_are_answered_and_garbage_closes() -> None:
    async with side() as us:
        reader, writer = await asyncio.open_connection("127.0.0.1", us.port)
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        writer.write(b"\r\n\r\n" * 1000)
        writer.write(b"\x16\x03\x01garbage")
        assert len(await reader.read()) <= 2 * 1000
        writer.close()
        assert us.streams.faults == 1


async def test_connections_that_we_opened_are_kept_alive_and_idle_ones_closed() -> None:
    limits = StreamLimits(keepalive_seconds=0.05, idle_seconds=0.4)
    async with side(limits=limits) as us:
        received: asyncio.Queue[bytes] = asyncio.Queue()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.put_nowait(await reader.readexactly(len(MESSAGE)))
            received.put_nowait(await reader.readexactly(4))
            received.put_nowait(await reader.read())
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        us.streams.send(MESSAGE, StreamAddress("127.0.0.1", server.sockets[0].getsockname()[1], "TCP"))
        async with asyncio.timeout(PATIENCE):
            assert await received.get() == MESSAGE
            assert await received.get() == b"\r\n\r\n"
            assert set(await received.get()) <= set(b"\r\n")
        server.close()
        await server.wait_closed()


# --- TLS -------------------------------------------------------------------------------------------------------------


def tls_address(port: int, name: str = "trunk.example.com") -> StreamAddress:
    return StreamAddress("127.0.0.1", port, "TLS", name)


async def test_a_trunk_that_proves_its_name_is_spoken_to(authority: "Authority") -> None:
    server = server_context(authority.certify("good", ["trunk.example.com"]))
    client = client_context(authority.file)
    async with side(server=server) as peer, side(client=client) as us:
        us.streams.send(MESSAGE, tls_address(peer.port))
        data, source = await peer.message()
        assert data == MESSAGE
        assert isinstance(source, StreamAddress)
        peer.streams.send(MESSAGE, source)
        assert (await us.message())[1] == tls_address(peer.port)
        assert place_text(source).startswith("TLS 127.0.0.1:")


@pytest.mark.parametrize(
    ("names", "days", "complaint"),
    [(["other.example.com"], 2, "mismatch"), (["trunk.example.com"], -1, "expired"), ([], 2, "mismatch")],
)
async def test_a_trunk_that_does_not_prove_its_name_is_not(
    authority: "Authority", names: list[str], days: int, complaint: str
) -> None:
    server = server_context(authority.certify(f"bad-{complaint}-{len(names)}", names, days=days))
    async with side(server=server) as peer, side(client=client_context(authority.file)) as us:
        us.streams.send(MESSAGE, tls_address(peer.port))
        address, why = await us.failure()
        assert address == tls_address(peer.port)
        assert "not trusted" in why
        assert complaint in why.lower()
        assert peer.received.empty()


async def test_an_unknown_authority_is_not_believed(authority: "Authority") -> None:
    server = server_context(authority.certify("unknown", ["trunk.example.com"]))
    async with side(server=server) as peer, side(client=client_context()) as us:
        us.streams.send(MESSAGE, tls_address(peer.port))
        assert "not trusted" in (await us.failure())[1]


async def test_a_trunk_may_ask_for_our_certificate(authority: "Authority") -> None:
    server = server_context(authority.certify("mutual", ["trunk.example.com"]), ca_file=authority.file)
    ours = client_context(authority.file, authority.certify("us", ["us.example.com"]))
    async with side(server=server) as peer:
        async with side(client=ours) as us:
            us.streams.send(MESSAGE, tls_address(peer.port))
            assert (await peer.message())[0] == MESSAGE
        async with side(client=client_context(authority.file)) as us:
            us.streams.send(MESSAGE, tls_address(peer.port))
            await us.failure()
            assert peer.received.empty()


async def test_old_tls_is_not_spoken(authority: "Authority") -> None:
    server = server_context(authority.certify("new", ["trunk.example.com"]))
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_2


async def test_plain_text_where_tls_is_spoken_ends_the_connection(authority: "Authority") -> None:
    server = server_context(authority.certify("plain", ["trunk.example.com"]))
    async with side(server=server) as peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        writer.write(MESSAGE)
        async with asyncio.timeout(PATIENCE):
            while await reader.read(1000):
                pass
        writer.close()
        assert peer.received.empty()


async def test_without_tls_settings_nothing_is_sent_in_the_clear() -> None:
    async with side() as us:
        us.streams.send(MESSAGE, tls_address(9))
        assert "no TLS" in (await us.failure())[1]


def test_files_that_cannot_be_used_are_named(authority: "Authority") -> None:
    nonsense = authority.folder / "nonsense.pem"
    nonsense.write_text("nonsense")
    makers: list[Callable[[], ssl.SSLContext]] = [
        lambda: client_context(str(nonsense)),
        lambda: client_context(str(authority.folder / "missing.pem")),
        lambda: client_context(certificate=str(nonsense)),
        lambda: server_context(str(nonsense)),
        lambda: server_context(authority.certify("keyless", []), str(nonsense)),
    ]
    for make in makers:
        with pytest.raises(TelephonyError, match="cannot be used"):
            make()
