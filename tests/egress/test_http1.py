"""Connections that are used again, and what a server may do to them between and within answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from callwright.egress import Egress
from callwright.egress.http1 import MOST_BARREN_BYTES
from callwright.errors import EgressError

Serve = Callable[..., Any]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    door = Egress(allow_loopback=True)
    yield door
    await door.aclose()


async def one_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0]) if lengths else 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200\r\ncontent-length:2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
    ids=["100", "103", "bare line feeds", "no reason", "chunks with a trailer"],
)
async def test_an_answer_is_read_however_it_is_cut_and_the_connection_used_again(
    egress: Egress, serve: Serve, answer: bytes
) -> None:
    pieces = [answer]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            await one_request(reader)

    server = await serve(talk)
    for cut in range(len(answer)):
        pieces[:] = [answer[:cut], answer[cut:]]
        said = await egress.post(server.url(), b"{}", {})
        assert (said.status, said.body) == (200, b"ok")
    assert server.connects == 1


async def test_a_body_that_only_the_end_delimits_is_whole_at_the_end(egress: Egress, serve: Serve) -> None:
    server = await serve(talk_once(b"HTTP/1.1 200 OK\r\n\r\nto the end"))
    assert (await egress.post(server.url(), b"{}", {})).body == b"to the end"
    assert (await egress.fetch(server.url(), 1000)).body == b"to the end"
    assert server.connects == 2


def talk_once(answer: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


@pytest.mark.parametrize(
    "more",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"and more", b"\x00"],
    ids=["another answer", "words", "a zero"],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one piece", "later"])
async def test_what_nobody_asked_for_is_never_the_next_answer(
    egress: Egress, serve: Serve, *, more: bytes, at_once: bool
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + more if at_once else OK)
        if not at_once:
            await asyncio.sleep(0.01)
            writer.write(more)
        await reader.read()

    server = await serve(talk)
    for _ in range(2):
        answer = await egress.post(server.url(), b"{}", {})
        assert (answer.status, answer.body) == (200, b"ok")
        if not at_once:
            await asyncio.sleep(0.05)
    assert server.connects == 2


async def test_a_server_that_left_meanwhile_is_connected_to_anew(egress: Egress, serve: Serve) -> None:
    left = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()
        left.set()

    server = await serve(talk)
    for _ in range(20):
        left.clear()
        assert (await egress.post(server.url(), b"{}", {})).body == b"ok"
        await left.wait()
    assert server.connects == 20


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"])
async def test_a_connection_that_the_server_wants_to_close_is_not_used_again(
    egress: Egress, serve: Serve, head: bytes
) -> None:
    server = await serve(head + b"Content-Length: 0\r\n\r\n")
    for _ in range(3):
        assert (await egress.post(server.url(), b"{}", {})).status == 200
    assert server.connects == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    ],
)
async def test_an_answer_whose_end_nobody_can_tell_is_an_error(egress: Egress, serve: Serve, answer: bytes) -> None:
    server = await serve(answer)
    with pytest.raises(EgressError, match="broke"):
        await egress.post(server.url(), b"{}", {})


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 " + b"y" * 100,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"y" * 100,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"y" * 100,
    ],
    ids=["reason", "header", "chunk extension", "trailer"],
)
async def test_a_line_without_an_end_is_not_read_for_ever(egress: Egress, serve: Serve, start: bytes) -> None:
    sent = 0

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(0)
        writer.write(start)
        while True:
            writer.write(b"y" * 4096)
            await writer.drain()
            sent += 4096

    server = await serve(talk)
    with pytest.raises(EgressError, match="headers are larger"):
        await egress.post(server.url(), b"{}", {})
    await asyncio.sleep(0.02)
    assert sent < MOST_BARREN_BYTES + 8_000_000  # what fits into socket buffers, not more


async def test_a_switch_of_protocols_is_an_answer_that_ends_the_connection(egress: Egress, serve: Serve) -> None:
    server = await serve(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    for _ in range(2):
        assert (await egress.post(server.url(), b"{}", {})).status == 101
    assert server.connects == 2


async def test_a_body_is_announced_even_when_it_is_empty(egress: Egress, serve: Serve) -> None:
    server = await serve(OK)
    await egress.post(server.url(), b"", {})
    await egress.fetch(server.url(), 100)
    posted, got = (request.lower() for request in server.requests)
    assert b"content-length: 0\r\n" in posted
    assert b"content-length" not in got
