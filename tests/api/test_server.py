"""The server itself: starting, stopping, impatience with slow clients; health and metrics."""

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from callwright.api.asgi import Receive, Scope, Send
from callwright.api.exchange import json_reply
from callwright.api.http1 import ServerConnection
from callwright.api.server import serve_http
from callwright.api.stream import EventStream, frame
from callwright.errors import SettingsError
from callwright.settings import HostPort

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.api.conftest import Installation

ANY_PORT = HostPort("127.0.0.1", 0)


class Impatient(ServerConnection):
    """A protocol for tests that wait for its patience to end."""

    head_seconds = 0.1


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is always the same."""
    await json_reply(200, {"hello": "world"})(scope, receive, send)


async def exchange(address: HostPort, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_taken_port_is_an_error_that_names_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}: .*--http HOST:PORT or CALLWRIGHT_HTTP"):
            await serve_http(hello, HostPort("127.0.0.1", port))


async def test_an_address_of_another_machine_is_an_error_too() -> None:
    with pytest.raises(SettingsError, match="--http"):
        await serve_http(hello, HostPort("192.0.2.1", 0))


async def test_the_server_starts_anew_on_the_port_it_left() -> None:
    first = await serve_http(hello, ANY_PORT)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{first.address}/")).json() == {"hello": "world"}
    await first.stop()
    await first.stop()
    second = await serve_http(hello, first.address)
    assert second.address == first.address
    await second.stop()


async def test_it_listens_on_ipv6() -> None:
    server = await serve_http(hello, HostPort("::1", 0))
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{server.address}/")).status_code == 200
    await server.stop()


async def test_stopping_waits_for_answers_under_way() -> None:
    going = asyncio.Event()
    released = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        going.set()
        await released.wait()
        await hello(scope, receive, send)

    server = await serve_http(slow, ANY_PORT)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = asyncio.create_task(client.get(f"http://{server.address}/"))
        await going.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        released.set()
        assert (await answer).status_code == 200
        await stopping
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(server.address.host, server.address.port)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b""], id="nothing at all"),
        pytest.param([b"GET / HTTP/1.1\r\nHost: x\r\n"], id="half a head"),
        pytest.param([b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HT"], id="half a second head"),
        pytest.param(
            [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", b"123"], id="half a body after the answer"
        ),
    ],
)
async def test_a_client_that_keeps_the_server_waiting_is_dropped(pieces: list[bytes]) -> None:
    server = await serve_http(hello, ANY_PORT, protocol=Impatient)
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    first, *rest = pieces
    writer.write(first)
    for piece in rest:
        await reader.readuntil(b'{"hello":"world"}')
        writer.write(piece)
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    await writer.wait_closed()
    await server.stop()


async def test_a_quiet_connection_between_requests_is_kept() -> None:
    server = await serve_http(hello, ANY_PORT, protocol=Impatient)
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(b'{"hello":"world"}'))
        await asyncio.sleep(0.25)  # longer than a head may take
    writer.close()
    await writer.wait_closed()
    await server.stop()


async def test_a_slow_answer_is_not_mistaken_for_a_slow_client() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.3)
        await hello(scope, receive, send)

    server = await serve_http(slow, ANY_PORT, protocol=Impatient)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{server.address}/")).status_code == 200
    await server.stop()


async def test_more_connections_than_allowed_are_turned_away(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "callwright.api")
    server = await serve_http(hello, ANY_PORT, most_connections=2)
    idle = [await asyncio.open_connection(server.address.host, server.address.port) for _ in range(2)]
    answer = await exchange(server.address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"503 Service Unavailable" in answer
    for _, writer in idle:
        writer.close()
        await writer.wait_closed()
    await server.stop()


async def test_a_quiet_stream_is_kept_alive_with_comments() -> None:
    released = asyncio.Event()

    async def frames() -> "AsyncGenerator[bytes, None]":
        yield frame("one", {})
        await released.wait()
        yield frame("two", {})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await EventStream(frames(), keep_alive_seconds=0.02)(scope, receive, send)

    server = await serve_http(app, ANY_PORT)
    lines = []
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", f"http://{server.address}/") as answer,
    ):
        async for line in answer.aiter_lines():
            lines.append(line)
            if line.startswith(":"):
                released.set()
    await server.stop()
    events = [line for line in lines if line.startswith("event")]
    assert events == ["event: one", "event: two"]
    assert ": still here" in lines


# --- health and metrics ----------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
async def test_health_and_readiness(api: "Installation") -> None:
    assert (await api.client.get("/healthz")).json() == {"status": "ok"}
    ready = await api.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    api.trouble = "the media process is down"
    not_ready = await api.client.get("/readyz")
    assert not_ready.status_code == 503
    assert not_ready.json() == {"status": "not ready", "reason": "the media process is down"}
    api.trouble = None
    api.draining = True
    draining = await api.client.get("/readyz")
    healthy = await api.client.get("/healthz")
    api.draining = False
    assert (draining.status_code, draining.json()["status"]) == (503, "draining")
    assert healthy.status_code == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_metrics_count_answers(api: "Installation") -> None:
    await api.client.get("/healthz")
    page = await api.client.get("/metrics")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'callwright_http_answers_total{route="healthz",status="200"}' in page.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
async def test_metrics_are_not_for_those_behind_a_proxy(api: "Installation", header: str) -> None:
    assert (await api.client.get("/metrics", headers={header: "192.0.2.7"})).status_code == 404
