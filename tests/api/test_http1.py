"""HTTP/1.1 byte by byte: what clients may do to a connection, and what they get."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator

import pytest

from callwright.api.asgi import ASGIApp, Receive, Scope, Send
from callwright.api.exchange import Reply, json_reply
from callwright.api.http1 import MOST_HEAD_BYTES, MOST_UNREAD_BYTES
from callwright.api.server import serve_http
from callwright.settings import HostPort

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers what it was asked."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    told = [scope["method"], scope["path"], scope["query_string"].decode(), body.decode("latin-1")]
    await json_reply(200, told)(scope, receive, send)


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[HostPort]:
    server = await serve_http(app, HostPort("127.0.0.1", 0), grace_seconds=0.2)
    try:
        yield server.address
    finally:
        await server.stop()


async def said(app: ASGIApp, *pieces: bytes) -> bytes:
    """All that the server says to these pieces, until it closes."""
    async with serving(app) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        await writer.wait_closed()
        return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def bodies(answer: bytes) -> list[bytes]:
    return re.findall(rb"\[.*?\]", answer)


async def test_requests_that_come_at_once_are_answered_in_turn() -> None:
    async def slow_at_first(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.02 if scope["path"] == "/1" else 0)
        await tell(scope, receive, send)

    first = b"POST /1?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    second = b"POST /%32 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n"
    answer = await said(slow_at_first, first + second + LAST)
    assert bodies(answer) == [b'["POST","/1","a=b","abc"]', b'["POST","/2","","de"]', b'["GET","/last","",""]']


async def test_a_request_is_read_however_it_is_cut() -> None:
    request = b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    for cut in range(1, len(request), 3):
        assert bodies(await said(tell, request[:cut], request[cut:])) == [b'["POST","/1","","abc"]']


async def test_an_absolute_target_is_its_path() -> None:
    answer = await said(tell, LAST.replace(b"/last", b"http://example.com/a/b?c"))
    assert bodies(answer) == [b'["GET","/a/b","c",""]']


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: 1\r\n 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * MOST_HEAD_BYTES + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * MOST_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * MOST_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    ],
)
async def test_what_cannot_be_read_is_refused_and_the_connection_ends(head: bytes, status: int) -> None:
    answer = await said(tell, head)
    assert statuses(answer) == [status]
    assert b"connection: close\r\n" in answer


@pytest.mark.parametrize("line", [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_head_without_an_end_is_not_read_for_ever(line: bytes) -> None:
    assert statuses(await said(tell, line, *[b"y" * 4096] * 8)) == [431]


async def test_what_came_whole_before_something_broken_is_answered() -> None:
    answer = await said(tell, GET + GET + b"nonsense\r\n\r\n" + GET)
    assert statuses(answer) == [200, 200]
    assert answer.count(b"connection: close") == 1


async def test_another_protocol_is_not_switched_to() -> None:
    request = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert bodies(await said(tell, request + b"\x81\x05hello")) == [b'["GET","/a","",""]']


async def test_who_waits_for_a_100_gets_one_when_the_body_is_wanted() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    async with serving(tell) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert bodies(await reader.read()) == [b'["POST","/","","ok"]']
        writer.close()


async def test_an_old_client_is_answered_and_left() -> None:
    answer = await said(tell, b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert bodies(answer) == [b'["GET","/old","",""]']
    assert b"connection: close" in answer


async def test_an_answer_of_unknown_length_comes_in_chunks_its_head_at_once() -> None:
    released = asyncio.Event()

    async def stream(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await released.wait()
        for piece in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async with serving(stream) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(GET)
        assert b"transfer-encoding: chunked" in await reader.readuntil(b"\r\n\r\n")
        released.set()
        assert await reader.readexactly(21) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        assert answer.endswith(b"\r\n\r\nonetwo")
        assert b"chunked" not in answer
        writer.close()


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_some_answers_have_no_body(method: bytes, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Reply(status, b"body")(scope, receive, send)

    answer = await said(app, LAST.replace(b"GET", method))
    assert answer.endswith(b"\r\n\r\n")
    assert (b"content-length: 4" in answer) == (method == b"HEAD")


async def test_the_answer_to_a_body_nobody_wants_arrives_though_the_client_still_sends() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await Reply(413, b"too large", headers={b"connection": b"close"})(scope, receive, send)

    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    answer = await said(refuse, head, *[b"y" * 100_000] * 3)
    assert answer.endswith(b"too large")


async def test_a_body_is_read_no_faster_than_it_is_taken() -> None:
    sent, released = 0, asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await released.wait()
        await tell(scope, receive, send)

    async with serving(slow) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.transport.set_write_buffer_limits(0)
        length = 50_000_000
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length)

        async def pour() -> None:
            nonlocal sent
            while sent < length:
                writer.write(b"y" * 1_000_000)
                await writer.drain()
                sent += 1_000_000

        pouring = asyncio.create_task(pour())
        await asyncio.sleep(0.1)
        assert sent < MOST_UNREAD_BYTES + 20_000_000  # what fits into socket buffers, not more
        released.set()
        await pouring
        assert len(await reader.read()) > length
        writer.close()


@pytest.mark.parametrize("begun", [False, True])
async def test_an_application_that_breaks_is_reported(begun: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Scope, __: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError

    caplog.set_level(logging.CRITICAL, "callwright.api.http1")
    answer = await said(broken, GET)
    assert statuses(answer) == ([200] if begun else [500])
    assert b"0\r\n\r\n" not in answer  # no part passes for the whole


async def test_a_client_that_is_gone_is_told_of_and_written_to_in_vain() -> None:
    seen = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await json_reply(200, [])(scope, receive, send)
        seen.set()

    async with serving(app) as address:
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(GET)
        writer.close()
        await asyncio.wait_for(seen.wait(), 60)


async def test_stopping_cuts_off_what_takes_longer_than_the_grace() -> None:
    begun = asyncio.Event()

    async def endless(_: Scope, __: Receive, ___: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with serving(endless) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(GET)
        await begun.wait()
    assert await reader.read() == b""
    writer.close()
