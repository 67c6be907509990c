"""The network under the HTTP client: resolve, check every address, connect to the address that was checked.

Checking the text of a URL is useless (`2130706433`, `0177.0.0.1`, names that resolve to something else next time). Here
the name is resolved once per connection and the socket goes to the very address that passed the rule; TLS still
verifies the host name, which the HTTP client above hands to `start_tls`.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, TypeVar

import httpcore

from callwright.egress.address import Address, address_refusal
from callwright.errors import EgressError, EgressRefused

T = TypeVar("T")
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host name, in order of preference, as text; raises OSError when there are none."""

MOST_ADDRESSES_TRIED = 4
_RESOLVER_THREADS = 8


class SystemResolver:
    """The operating system's resolver on threads of its own, so that a slow name server holds up nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host`; OSError when it has none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _system_addresses, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Take no more names; threads in the middle of one end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses only.

    Raises EgressRefused when the rule refuses every address of the host, httpcore's ConnectError and ConnectTimeout
    when no allowed address answers.
    """

    def __init__(self, resolve: Resolver, *, allow_loopback: bool) -> None:
        self._resolve = resolve
        self._allow_loopback = allow_loopback
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A TCP stream to the first allowed address of `host` that answers within `timeout` seconds in all."""

        async def connect(address: Address, share: float | None) -> httpcore.AsyncNetworkStream:
            return _Stream(await self._sockets.connect_tcp(str(address), port, share, local_address, socket_options))

        return await self._first_that_answers(host, port, timeout, connect)

    async def connect_socket(self, host: str, port: int, timeout: float | None = None) -> socket.socket:
        """A plain non-blocking TCP socket, connected likewise; for protocols that bring their own streams."""

        async def connect(address: Address, share: float | None) -> socket.socket:
            return await _connected(address, port, share)

        return await self._first_that_answers(host, port, timeout, connect)

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the signature is httpcore's
        timeout: float | None = None,  # noqa: ARG002 - likewise
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - likewise
    ) -> httpcore.AsyncNetworkStream:
        """Never: a URL cannot name a Unix socket."""
        raise EgressRefused("Unix sockets are not connected to.")

    async def sleep(self, seconds: float) -> None:
        """Wait, on the loop's clock."""
        await asyncio.sleep(seconds)

    async def _first_that_answers(
        self, host: str, port: int, timeout: float | None, connect: Callable[[Address, float | None], Awaitable[T]]
    ) -> T:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout if timeout is not None else None
        allowed = await self._allowed_addresses(host, port, timeout)
        failure: Exception = httpcore.ConnectError(f"no address of {host} answered")
        for position, address in enumerate(allowed):
            share = None
            if until is not None:
                # A dead first address must leave time for the next one.
                share = max(0.0, until - loop.time()) / (len(allowed) - position)
            try:
                return await connect(address, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _allowed_addresses(self, host: str, port: int, timeout: float | None) -> Sequence[Address]:
        candidates = await self._candidates(host, port, timeout)
        refusals: list[str] = []
        allowed: list[Address] = []
        for address in candidates:
            reason = address_refusal(address, allow_loopback=self._allow_loopback)
            if reason is None:
                allowed.append(address)
            else:
                refusals.append(reason)
        if allowed:
            return _alternating(allowed)[:MOST_ADDRESSES_TRIED]
        if refusals:
            raise EgressRefused(f"The host {host} is not connected to: it is {refusals[0]}.")
        raise httpcore.ConnectError(f"the name {host} has no address")

    async def _candidates(self, host: str, port: int, timeout: float | None) -> Sequence[Address]:
        literal = _literal(host)
        if literal is not None:
            return [literal]
        try:
            async with asyncio.timeout(timeout):
                texts = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"the name {host} could not be resolved in time") from None
        except OSError as error:
            raise EgressError(f"The host name {host} cannot be resolved.") from error
        except UnicodeError as error:  # getaddrinfo encodes names itself and rejects empty and overlong labels so
            raise EgressRefused(f"{host} is not a host name.") from error
        return [ip_address(text) for text in texts]


class _Stream(httpcore.AsyncNetworkStream):
    """A stream that answers quickly whether something has come: every idle connection is asked at every request."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket = stream.get_extra_info("socket")
        self._poll = select.poll()
        self._poll.register(self._socket.fileno(), select.POLLIN)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At most `max_bytes`; empty at the end."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """The same connection with TLS on it."""
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` as httpcore means it: something has come, or the end; a closed one counts as readable."""
        if info == "is_readable":
            return self._socket.fileno() < 0 or bool(self._poll.poll(0))
        return self._stream.get_extra_info(info)


async def _connected(address: Address, port: int, timeout: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    kept = False
    try:
        connection.settimeout(0)
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
        kept = True
    except TimeoutError:
        raise httpcore.ConnectTimeout("no answer in time") from None
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    finally:
        if not kept:
            connection.close()
    return connection


def _system_addresses(host: str, port: int) -> list[str]:
    return [
        str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    ]


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _alternating(addresses: Sequence[Address]) -> list[Address]:
    """IPv6 and IPv4 in turn, each in its own order, starting with the first one's version (RFC 8305 §4)."""
    first = [address for address in addresses if address.version == addresses[0].version]
    second = [address for address in addresses if address.version != addresses[0].version]
    mixed: list[Address] = []
    for position in range(max(len(first), len(second))):
        mixed += first[position : position + 1] + second[position : position + 1]
    return mixed
