"""How many connections there are, and for how long."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from callwright.egress import pool as pools
from callwright.egress.network import CheckedNetwork
from callwright.egress.pool import MOST_CONNECTIONS, MOST_IDLE_CONNECTIONS, Pool
from callwright.egress.target import Origin
from callwright.errors import EgressError

Serve = Callable[..., Any]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def resolve(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool(CheckedNetwork(resolve, allow_loopback=True), None)
    yield made
    made.close()


@pytest.fixture
async def port(serve: Serve) -> int:
    """Of a server that answers everything with nothing."""
    server = await serve(ANSWER)
    return int(server.port)


def origin(name: str, port: int) -> Origin:
    return Origin(is_secure=False, host=f"{name}.example.com", port=port)


async def used(pool: Pool, place: Origin) -> int:
    """Ask once; the identity of the connection that it took."""
    connection = await pool.lend(place)
    connection.ask(b"GET / HTTP/1.1\r\n\r\n", 100)
    await connection.whole()
    pool.take_back(connection)
    return id(connection)


async def test_origins_do_not_share_connections(pool: Pool, port: int) -> None:
    first, other = origin("a", port), origin("b", port)
    assert await used(pool, first) == await used(pool, first)
    assert await used(pool, other) != await used(pool, first)
    assert pool.connections == 2


async def test_few_connections_rest(pool: Pool, port: int) -> None:
    for index in range(MOST_IDLE_CONNECTIONS + 5):
        await used(pool, origin(f"n{index}", port))
    assert pool.connections == MOST_IDLE_CONNECTIONS


async def test_a_connection_that_was_given_back_unused_is_closed(pool: Pool, port: int) -> None:
    connection = await pool.lend(origin("a", port))
    pool.take_back(connection)
    assert pool.connections == 0


async def test_one_that_rested_for_long_is_not_trusted(pool: Pool, port: int) -> None:
    place = origin("a", port)
    first = await pool.lend(place)
    first.ask(b"GET / HTTP/1.1\r\n\r\n", 100)
    await first.whole()
    pool.take_back(first)
    first.idle_since -= pools.IDLE_SECONDS
    second = await pool.lend(place)
    assert second is not first
    pool.take_back(second)
    assert pool.connections == 0


async def test_who_finds_the_pool_full_waits_for_a_place(pool: Pool, port: int) -> None:
    place = origin("a", port)
    lent = [await pool.lend(place) for _ in range(MOST_CONNECTIONS)]
    waiting = asyncio.create_task(pool.lend(place))
    await asyncio.sleep(0)
    assert not waiting.done()
    for connection in lent:
        pool.take_back(connection)
    pool.take_back(await waiting)


async def test_a_place_is_free_again_when_nobody_could_be_connected_to() -> None:
    refused = Pool(CheckedNetwork(resolve, allow_loopback=False), None)
    for _ in range(MOST_CONNECTIONS + 1):
        with pytest.raises(EgressError):
            await refused.lend(origin("a", 8080))
    assert refused.connections == 0
