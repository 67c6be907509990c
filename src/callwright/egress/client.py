"""HTTP to outside URLs, within budgets of time and size.

What is refused before a byte is sent: schemes other than http and https, user names and passwords in URLs, ports of
other protocols (address.py), addresses outside the rule (network.py), a step back from https to http in a redirect.
What is refused in an answer: any Content-Encoding (583 kB of gzip can be 1.16 GB of text), headers over 32 KiB, bodies
over the caller's limit: reading stops at most 64 KiB past it. Environment proxies, cookies and netrc play no part.
"""

import asyncio
import functools
import re
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import httpcore
import httpx

from callwright.egress.address import other_port_refusal, port_refusal
from callwright.egress.network import CheckedNetwork, Resolver, SystemResolver
from callwright.errors import EgressError, EgressRefused

MOST_REDIRECTS = 3
MOST_URL_LENGTH = 4096
MOST_HEADER_BYTES = 32 * 1024
MOST_ANSWER_BYTES = 64 * 1024
CONNECT_SECONDS = 2.0
FIRST_BYTE_SECONDS = 2.0
FETCH_SECONDS = 10.0
POST_SECONDS = 15.0
STALL_SECONDS = 30.0
"""An upload ends when the server takes nothing, or answers nothing, for this long."""
MOST_CONNECTIONS = 256
MOST_IDLE_CONNECTIONS = 32
IDLE_SECONDS = 15.0

_USER_AGENT = "callwright"
_ABSOLUTE_URL = re.compile(r"https?://(?P<authority>[^/?#\\]+)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::[0-9]{0,5})?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_OWN_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade", "expect")
)


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


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class _Upload:
    """A body that is read as it is sent."""

    chunks: AsyncIterable[bytes]
    length: int
    stall_seconds: float


@functools.cache
def _public_authorities() -> ssl.SSLContext:
    """Read once: it takes as long as twenty requests."""
    return httpx.create_ssl_context(trust_env=False)


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
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or _public_authorities(),
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=self._network,
        )

    async def fetch(self, url: str, most_bytes: int) -> Fetched:
        """Get a file of at most `most_bytes`: 2 s to the first byte of each answer, 10 s in all, at most 3 redirects.

        EgressRefused when callwright will not go there; EgressError when the server does not answer 200 with the file.
        """
        began = asyncio.get_running_loop().time()
        async with _budget(self._fetch_seconds, "The server did not send the file in time"):
            target = _checked_url(url)
            for _ in range(MOST_REDIRECTS + 1):
                async with self._exchange("GET", target, {}, b"", self._first_byte_seconds) as response:
                    if response.status in _REDIRECTS:
                        target = _redirected(target, response)
                        continue
                    if response.status != 200:
                        raise EgressError(f"The server answered with status {response.status}.")
                    body = await _whole_body(response, most_bytes)
                    elapsed_seconds = asyncio.get_running_loop().time() - began
                    return Fetched(str(target), response.headers.get("content-type"), body, elapsed_seconds)
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
        _refuse_own_headers(headers)
        began = asyncio.get_running_loop().time()
        async with _budget(within_seconds, "The server did not answer in time"):
            target = _checked_url(url)
            async with self._exchange("POST", target, headers, body, within_seconds) as response:
                read, truncated = await _start_of_body(response, most_bytes)
                elapsed_seconds = asyncio.get_running_loop().time() - began
                return Answer(response.status, response.headers, read, truncated, elapsed_seconds)

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
        _refuse_own_headers(headers)
        began = asyncio.get_running_loop().time()
        async with _budget(within_seconds, "The server did not take the upload in time"):
            target = _checked_url(url)
            upload = _Upload(_exactly(chunks, length), length, stall_seconds)
            async with self._exchange("PUT", target, headers, upload, within_seconds) as response:
                read, truncated = await _start_of_body(response, MOST_ANSWER_BYTES)
                elapsed_seconds = asyncio.get_running_loop().time() - began
                return Answer(response.status, response.headers, read, truncated, elapsed_seconds)

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
        try:
            return await self._network.connect_socket(host, port, within_seconds)
        except httpcore.TimeoutException as error:
            raise EgressError(f"The server {host} did not accept a connection in time.") from error
        except httpcore.ConnectError as error:
            raise EgressError(f"No connection to {host}: {_cause(error)}.") from error

    async def aclose(self) -> None:
        """Close every connection; the door is not used afterwards."""
        await self._pool.aclose()
        self._system_resolver.close()

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        body: "bytes | _Upload",
        first_byte_seconds: float,
    ) -> AsyncIterator[_Response]:
        """One request and the head of its answer; the body is read by the caller, or dropped with the connection."""
        sent = {"accept": "*/*", "user-agent": _USER_AGENT} | {name.lower(): value for name, value in headers.items()}
        sent["accept-encoding"] = "identity"
        timeouts = {"connect": CONNECT_SECONDS, "pool": CONNECT_SECONDS}
        if isinstance(body, _Upload):
            timeouts |= {"write": body.stall_seconds, "read": body.stall_seconds}
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=_request_headers(url, sent, body.length if isinstance(body, _Upload) else len(body)),
            content=body.chunks if isinstance(body, _Upload) else body,
            extensions={"timeout": timeouts},
        )
        try:
            async with asyncio.timeout(first_byte_seconds):
                received = await self._pool.handle_async_request(request)
            try:
                yield _Response(received.status, _checked_headers(received.headers), received.aiter_stream())
            finally:
                await received.aclose()
        except TimeoutError:
            raise EgressError("The server did not begin to answer in time.") from None
        except httpcore.PoolTimeout as error:
            raise EgressError("Too many connections are open to answer this request.") from error
        except httpcore.WriteTimeout as error:
            raise EgressError(f"The server {url.host} stopped taking what was sent.") from error
        except httpcore.ReadTimeout as error:
            raise EgressError(f"The server {url.host} did not answer in time.") from error
        except httpcore.TimeoutException as error:
            raise EgressError(f"The server {url.host} did not accept a connection in time.") from error
        except httpcore.ConnectError as error:
            raise EgressError(f"No connection to {url.host}: {_cause(error)}.") from error
        except httpcore.LocalProtocolError as error:
            raise EgressRefused(f"The request cannot be sent: {error}.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
            raise EgressError("The connection broke before the whole answer came.") from error


@asynccontextmanager
async def _budget(seconds: float, complaint: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise EgressError(f"{complaint} ({seconds:g} seconds).") from None


def _checked_url(text: str) -> httpx.URL:
    """The URL as it will be used; there is one parser, so nobody reads another host out of it."""
    if len(text) > MOST_URL_LENGTH:
        raise EgressRefused(f"The URL is longer than {MOST_URL_LENGTH} characters.")
    if any(character <= " " or character in "\\\x7f" for character in text):
        raise EgressRefused("The URL holds a space, a backslash or a control character.")
    absolute = _ABSOLUTE_URL.match(text)
    if absolute is None:
        raise EgressRefused("Only complete http and https URLs are used.")
    if "@" in absolute["authority"]:
        raise EgressRefused("A URL with a user name or password is not used.")
    if not _HOST_AND_PORT.fullmatch(absolute["authority"]):
        raise EgressRefused("The URL's host and port cannot be read.")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise EgressRefused(f"The URL cannot be read: {error}.") from error
    if url.scheme not in _DEFAULT_PORTS or url.userinfo or not url.host:
        raise EgressRefused("The URL cannot be read.")
    reason = port_refusal(url.port if url.port is not None else _DEFAULT_PORTS[url.scheme])
    if reason is not None:
        raise EgressRefused(f"The URL's port {url.port} is {reason}.")
    return url


def _redirected(url: httpx.URL, response: _Response) -> httpx.URL:
    location = response.headers.get("location")
    if location is None:
        raise EgressError(f"The server answered with status {response.status} but says not where to go.")
    if len(location) > MOST_URL_LENGTH:
        raise EgressRefused("The server redirects to a URL that is too long.")
    try:
        target = url.join(location)
    except httpx.InvalidURL as error:
        raise EgressRefused("The server redirects to a URL that cannot be read.") from error
    if url.scheme == "https" and target.scheme == "http":
        raise EgressRefused("The server redirects from https to http.")
    try:
        return _checked_url(str(target.copy_with(fragment=None)))
    except EgressRefused as error:
        raise EgressRefused(f"The server redirects to a URL that is refused. {error}") from error


def _refuse_own_headers(headers: Mapping[str, str]) -> None:
    own = next((name for name in headers if name.lower() in _OWN_HEADERS), None)
    if own is not None:
        raise EgressRefused(f"The header {own} is set by callwright itself.")


def _request_headers(url: httpx.URL, headers: Mapping[str, str], length: int) -> list[tuple[bytes, bytes]]:
    try:
        listed = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    except UnicodeEncodeError as error:
        raise EgressRefused("A header holds characters that HTTP cannot carry.") from error
    own = [(b"host", url.netloc)]
    if length:
        own.append((b"content-length", str(length).encode()))
    return own + listed


def _checked_headers(raw: list[tuple[bytes, bytes]]) -> Mapping[str, str]:
    if sum(len(name) + len(value) for name, value in raw) > MOST_HEADER_BYTES:
        raise EgressError(f"The answer's headers are larger than {MOST_HEADER_BYTES} bytes.")
    headers: dict[str, str] = {}
    for name, value in raw:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    encodings = [value.decode("latin-1").strip() for name, value in raw if name.lower() == b"content-encoding"]
    foreign = next((encoding for encoding in encodings if encoding.lower() not in ("", "identity")), None)
    if foreign is not None:
        raise EgressError(f"The answer is compressed ({foreign[:40]}), which was not asked for.")
    return headers


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


async def _whole_body(response: _Response, most_bytes: int) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most_bytes:
        raise EgressError(f"The file is larger than {most_bytes:,} bytes.")
    body, truncated = await _start_of_body(response, most_bytes)
    if truncated:
        raise EgressError(f"The file is larger than {most_bytes:,} bytes.")
    return body


async def _start_of_body(response: _Response, most_bytes: int) -> tuple[bytes, bool]:
    body = bytearray()
    async with aclosing(response.chunks) as chunks:  # type: ignore[type-var]  # an async generator, typed as an iterator
        async for chunk in chunks:
            body += chunk
            if len(body) > most_bytes:
                return bytes(body[:most_bytes]), True
    return bytes(body), False


def _cause(error: BaseException) -> str:
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
