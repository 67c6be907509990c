"""HTTP to outside URLs, within budgets of time and size.

What is refused before a byte is sent: URLs that are no plain http or https ones (target.py), addresses outside the rule
(network.py). What is refused in an answer: any Content-Encoding (583 kB of gzip can be 1.16 GB of text), headers over
32 KiB (http1.py), bodies over the caller's limit: nothing past it is kept, and reading stops. Environment proxies,
cookies and netrc play no part.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from callwright.egress.address import other_port_refusal
from callwright.egress.http1 import Connection, Response
from callwright.egress.network import CheckedNetwork, Resolver, SystemResolver, in_time
from callwright.egress.pool import CONNECT_SECONDS, Pool
from callwright.egress.target import Target, checked_target, redirected
from callwright.errors import EgressError, EgressRefused

MOST_REDIRECTS = 3
MOST_ANSWER_BYTES = 64 * 1024
FIRST_BYTE_SECONDS = 2.0
FETCH_SECONDS = 10.0
POST_SECONDS = 15.0
STALL_SECONDS = 30.0
"""An upload ends when the server takes nothing, or answers nothing, for this long."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_OWN_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade", "expect")
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|")
"""RFC 9110 §5.1, §5.5."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that came whole, with status 200."""

    url: str
    "where it came from, after redirects"
    content_type: str | None
    body: bytes
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a POST or PUT; any status."""

    status: int
    headers: Mapping[str, str]
    "names in lower case; of repeated headers the first"
    body: bytes
    "at most as many bytes as the caller wanted, 65,536 unless told"
    truncated: bool
    "true when the server sent more body than was read"
    elapsed_seconds: float

    @property
    def accepted(self) -> bool:
        """A 2xx status. A redirect is a failure: a POST is not repeated elsewhere."""
        return 200 <= self.status < 300


class Egress:
    """The door. One policy and one connection pool for its whole life, so that no connection outlives its check.

    `allow_loopback` (development) admits 127.0.0.0/8 and ::1, nothing else that is private. `resolve` and `ssl_context`
    replace the system's resolver and the public certificate authorities; `first_byte_seconds` is from asking for a
    connection to the end of the answer's head, `fetch_seconds` for a whole fetch with its redirects.
    """

    def __init__(
        self,
        allow_loopback: bool,
        *,
        resolve: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        first_byte_seconds: float = FIRST_BYTE_SECONDS,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._first_byte_seconds = first_byte_seconds
        self._fetch_seconds = fetch_seconds
        self._system_resolver = SystemResolver()
        self._network = CheckedNetwork(resolve or self._system_resolver, allow_loopback=allow_loopback)
        self._pool = Pool(self._network, ssl_context)

    async def fetch(self, url: str, most_bytes: int) -> Fetched:
        """Get a file of at most `most_bytes`: 2 s to the first byte of each answer, 10 s in all, at most 3 redirects.

        EgressRefused when callwright will not go there; EgressError when the server does not answer 200 with the file.
        """
        began = asyncio.get_running_loop().time()
        async with in_time(self._fetch_seconds, _too_late("The server did not send the file", self._fetch_seconds)):
            target = checked_target(url)
            for _ in range(MOST_REDIRECTS + 1):
                answer = await self._get(target, most_bytes)
                if answer.status in _REDIRECTS:
                    target = redirected(target, answer.status, answer.headers.get("location"))
                    continue
                elapsed_seconds = asyncio.get_running_loop().time() - began
                content_type = answer.headers.get("content-type")
                return Fetched(target.url, content_type, bytes(answer.body), elapsed_seconds)
            raise EgressRefused(f"The server redirects more than {MOST_REDIRECTS} times.")

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        within_seconds: float = POST_SECONDS,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> Answer:
        """Post `body` and read the answer: 2 s to connect, `within_seconds` in all, no redirects, `most_bytes` read.

        `headers` may not set what HTTP itself needs (Host, Content-Length, Accept-Encoding ...). EgressRefused when
        callwright will not go there; EgressError when no whole answer comes.
        """
        began = asyncio.get_running_loop().time()
        target = checked_target(url)
        request = _head("POST", target, headers, len(body)) + body
        try:
            async with asyncio.timeout(within_seconds):
                connection = await self._pool.lend(target.origin)
                try:
                    connection.ask(request, most_bytes)
                    response = await connection.whole()
                finally:
                    self._pool.take_back(connection)
        except TimeoutError:
            raise EgressError(_too_late("The server did not answer", within_seconds)) from None
        return _answer(response, began)

    async def put(
        self,
        url: str,
        chunks: AsyncIterable[bytes],
        length: int,
        headers: Mapping[str, str],
        *,
        within_seconds: float,
        stall_seconds: float = STALL_SECONDS,
    ) -> Answer:
        """Put a body of `length` bytes that is read as it is sent: no redirects, at most 64 KiB of answer read.

        2 s to connect, `stall_seconds` without progress, `within_seconds` in all. EgressRefused when callwright will
        not go there or `chunks` are not `length` bytes; EgressError when no whole answer comes.
        """
        began = asyncio.get_running_loop().time()
        target = checked_target(url)
        head = _head("PUT", target, headers, length)
        async with in_time(within_seconds, _too_late("The server did not take the upload", within_seconds)):
            connection = await self._pool.lend(target.origin)
            try:
                connection.ask(head, MOST_ANSWER_BYTES)
                await connection.send(_exactly(chunks, length), stall_seconds)
                async with in_time(stall_seconds, f"The server {target.origin.host} did not answer in time."):
                    await connection.head()
                response = await connection.whole()
            finally:
                self._pool.take_back(connection)
        return _answer(response, began)

    async def connect(
        self, host: str, port: int, *, own_ports: Collection[int] = (), within_seconds: float = CONNECT_SECONDS
    ) -> socket.socket:
        """A connected, non-blocking TCP socket for a protocol that is not HTTP; the caller closes it.

        The same addresses are allowed as for HTTP. Ports below 1024 must be among `own_ports`, the protocol's own;
        above, those of other protocols are refused. EgressRefused when callwright will not go there; EgressError when
        nobody answers.
        """
        reason = other_port_refusal(port, own_ports)
        if reason is not None:
            raise EgressRefused(f"The port {port} is {reason}.")
        return await self._network.connect(host, port, within_seconds)

    async def aclose(self) -> None:
        """Close every connection; the door is not used afterwards."""
        self._pool.close()
        self._system_resolver.close()

    async def _get(self, target: Target, most_bytes: int) -> Response:
        """The answer to a GET: a redirect's head, or a whole file; EgressError for anything else."""
        connection: Connection | None = None
        try:
            async with in_time(self._first_byte_seconds, "The server did not begin to answer in time."):
                connection = await self._pool.lend(target.origin)
                connection.ask(_head("GET", target, {}, None), most_bytes)
                response = await connection.head()
            if response.status in _REDIRECTS:
                return response
            if response.status != 200:
                raise EgressError(f"The server answered with status {response.status}.")
            too_large = f"The file is larger than {most_bytes:,} bytes."
            declared = response.headers.get("content-length", "")
            if declared.isdigit() and int(declared) > most_bytes:
                raise EgressError(too_large)
            await connection.whole()
            if response.truncated:
                raise EgressError(too_large)
            return response
        finally:
            if connection is not None:
                self._pool.take_back(connection)


def _head(method: str, target: Target, headers: Mapping[str, str], length: int | None) -> bytes:
    """Request line and headers; no Content-Length when `length` is None. EgressRefused for headers not to be sent."""
    sent = {"accept": "*/*", "user-agent": "callwright"}
    for name, value in headers.items():
        key = name.lower()
        if key in _OWN_HEADERS:
            raise EgressRefused(f"The header {name} is set by callwright itself.")
        if not _NAME.fullmatch(key) or not _VALUE.fullmatch(value):
            raise EgressRefused(f"The request cannot be sent: its header {key!r} holds what HTTP cannot carry.")
        sent[key] = value
    lines = [f"{method} {target.path} HTTP/1.1", f"host: {target.host_header}"]
    if length is not None:
        lines.append(f"content-length: {length}")
    lines += [f"{name}: {value}" for name, value in sent.items()]
    lines.append("accept-encoding: identity\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _answer(response: Response, began: float) -> Answer:
    elapsed_seconds = asyncio.get_running_loop().time() - began
    return Answer(response.status, response.headers, bytes(response.body), response.truncated, elapsed_seconds)


def _too_late(complaint: str, seconds: float) -> str:
    return f"{complaint} in time ({seconds:g} seconds)."


async def _exactly(chunks: AsyncIterable[bytes], length: int) -> AsyncIterator[bytes]:
    """The body, found out when it is not as long as was said: a file that changes while it is sent."""
    left = length
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise EgressRefused(f"The upload is not {length:,} bytes long.")
