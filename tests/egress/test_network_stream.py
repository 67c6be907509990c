"""Whether something has come on an idle connection, asked the quick way."""

import asyncio
import sys
from collections.abc import Sequence

from callwright.egress.network import CheckedNetwork


async def resolve(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def test_an_idle_connection_is_readable_once_something_came_or_it_is_closed() -> None:
    writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: writers.put_nowait(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    stream = await CheckedNetwork(resolve, allow_loopback=True).connect_tcp("customer.example.com", port, 5.0)
    peer = await writers.get()
    assert stream.get_extra_info("is_readable") is False
    assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
    await stream.write(b"question")
    peer.close()  # the end of the stream is something that came
    async with asyncio.timeout(5):
        while not stream.get_extra_info("is_readable"):  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0)
    await stream.aclose()
    assert stream.get_extra_info("is_readable") is True
    server.close()


def test_the_http_client_does_not_search_the_path_at_each_request() -> None:
    assert "sniffio" in sys.modules
