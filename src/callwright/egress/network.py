"""The network under the HTTP client: resolve, check every address, connect to the address that was checked.

Checking the text of a URL is useless (`2130706433`, `0177.0.0.1`, names that resolve to something else next time). Here
the name is resolved once per connection and the socket goes to the very address that passed the rule; TLS still
verifies the host name, which the pool above it hands over.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import ip_address

from callwright.egress.address import Address, address_refusal
from callwright.errors import EgressError, EgressRefused

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


class CheckedNetwork:
    """Connects to allowed addresses only."""

    def __init__(self, resolve: Resolver, *, allow_loopback: bool) -> None:
        self._resolve = resolve
        self._allow_loopback = allow_loopback

    async def connect(self, host: str, port: int, within_seconds: float) -> socket.socket:
        """A non-blocking TCP socket to the first allowed address of `host` that answers within the time, in all.

        EgressRefused when the rule refuses every address of the host, EgressError when no allowed address answers.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + within_seconds
        too_late = f"The server {host} did not accept a connection in time."
        async with in_time(within_seconds, too_late):
            allowed = await self._allowed_addresses(host, port)
        failure: OSError = OSError("no address answered")
        for position, address in enumerate(allowed):
            # A dead first address must leave time for the next one.
            share = max(0.0, until - loop.time()) / (len(allowed) - position)
            try:
                return await _connected(address, port, share)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise EgressError(too_late) from failure
        raise EgressError(f"No connection to {host}: {cause(failure)}.") from failure

    async def _allowed_addresses(self, host: str, port: int) -> Sequence[Address]:
        refusals: list[str] = []
        allowed: list[Address] = []
        for address in await self._candidates(host, port):
            reason = address_refusal(address, allow_loopback=self._allow_loopback)
            if reason is None:
                allowed.append(address)
            else:
                refusals.append(reason)
        if allowed:
            return _alternating(allowed)[:MOST_ADDRESSES_TRIED]
        if refusals:
            raise EgressRefused(f"The host {host} is not connected to: it is {refusals[0]}.")
        raise EgressError(f"No connection to {host}: the name has no address.")

    async def _candidates(self, host: str, port: int) -> Sequence[Address]:
        literal = _literal(host)
        if literal is not None:
            return [literal]
        try:
            texts = await self._resolve(host, port)
        except OSError as error:
            raise EgressError(f"The host name {host} cannot be resolved.") from error
        except UnicodeError as error:  # getaddrinfo encodes names itself and rejects empty and overlong labels so
            raise EgressRefused(f"{host} is not a host name.") from error
        return [ip_address(text) for text in texts]


@asynccontextmanager
async def in_time(seconds: float, complaint: str) -> AsyncIterator[None]:
    """EgressError with the complaint when what is done here takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise EgressError(complaint) from None


def cause(error: BaseException) -> str:
    """The innermost reason, in words for people and without addresses."""
    innermost = error
    while (deeper := innermost.__cause__ or innermost.__context__) is not None:
        innermost = deeper
    if isinstance(innermost, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({innermost.verify_message})"
    if isinstance(innermost, ssl.SSLError):
        return "the TLS handshake failed"
    if isinstance(innermost, ConnectionRefusedError):
        return "it refuses connections"
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror[:1].lower() + innermost.strerror[1:]
    return str(error) or "it does not answer"


async def _connected(address: Address, port: int, within_seconds: float) -> socket.socket:
    """OSError, TimeoutError among them, when nobody answers."""
    connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        async with asyncio.timeout(within_seconds):
            await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException:
        connection.close()
        raise
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
