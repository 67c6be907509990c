"""Uploads through the door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from callwright.egress import Egress
from callwright.errors import EgressError, EgressRefused

Serve = Callable[..., Any]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: x\r\n\r\ndone"


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    door = Egress(allow_loopback=True)
    yield door
    await door.aclose()


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_body_is_put_as_it_is_read(egress: Egress, serve: Serve) -> None:
    server = await serve(OK)
    answer = await egress.put(
        server.url("/a%3Ab?c"), pieces(b"one", b"two"), 6, {"content-type": "audio/mpeg"}, within_seconds=5
    )
    assert (answer.status, answer.accepted, answer.body, answer.headers["etag"]) == (200, True, b"done", "x")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /a%3Ab?c HTTP/1.1\r\n")
    assert b"content-length: 6" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert body == b"onetwo"


@pytest.mark.parametrize("chunks", [(b"one",), (b"one", b"two", b"three")], ids=["short", "long"])
async def test_a_body_of_another_length_is_refused(egress: Egress, serve: Serve, chunks: tuple[bytes, ...]) -> None:
    server = await serve(OK)
    with pytest.raises(EgressRefused, match="The upload is not 6 bytes long"):
        await egress.put(server.url(), pieces(*chunks), 6, {}, within_seconds=5)


async def test_a_redirect_is_an_answer_and_not_followed(egress: Egress, serve: Serve) -> None:
    other = await serve(OK)
    server = await serve(f"HTTP/1.1 307 No\r\nLocation: {other.url()}\r\nContent-Length: 0\r\n\r\n".encode())
    answer = await egress.put(server.url(), pieces(b"x"), 1, {}, within_seconds=5)
    assert (answer.status, answer.accepted) == (307, False)
    assert other.connects == 0


async def test_an_answer_before_the_whole_body_is_heard(egress: Egress) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await reader.read(1_000_000)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        answer = await egress.put(url, pieces(b"x" * 100_000), 100_000, {}, within_seconds=5)
    assert answer.status == 403


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_server_that_takes_nothing_ends_the_upload(egress: Egress) -> None:
    left = asyncio.Event()

    async def take_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await left.wait()
        writer.close()

    server = await asyncio.start_server(take_nothing, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        chunk = b"x" * 1_000_000
        with pytest.raises(EgressError, match="stopped taking what was sent"):
            await egress.put(url, pieces(*[chunk] * 40), 40_000_000, {}, within_seconds=30, stall_seconds=0.2)
        left.set()


async def test_a_server_that_answers_nothing_ends_the_upload(egress: Egress, serve: Serve) -> None:
    server = await serve(hang)
    with pytest.raises(EgressError, match="did not answer in time"):
        await egress.put(server.url(), pieces(b"x"), 1, {}, within_seconds=30, stall_seconds=0.1)
    with pytest.raises(EgressError, match="in time"):
        await egress.put(server.url(), pieces(b"x"), 1, {}, within_seconds=0.1)


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://169.254.169.254/x", "http://[::ffff:127.0.0.1]/", "ftp://192.0.2.1/", "http://a:b@c/"],
)
async def test_what_is_inside_is_not_reached(egress: Egress, url: str) -> None:
    with pytest.raises(EgressRefused):
        await egress.put(url, pieces(b"x"), 1, {}, within_seconds=5)


async def test_headers_of_http_itself_are_not_the_callers(egress: Egress) -> None:
    with pytest.raises(EgressRefused, match="Content-Length"):
        await egress.put("http://192.0.2.1/", pieces(b"x"), 1, {"Content-Length": "9"}, within_seconds=5)
