"""Every way to write an inside address: none of them leads to a connection. A listener counts."""

import re
import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial

import pytest

from callwright.egress import Egress
from callwright.errors import EgressError, EgressRefused

# Hosts that all mean loopback, "this machine" or the metadata service to some parser or resolver.
HOSTS = re.findall(
    r"\S+",
    """
    127.0.0.1 127.0.0.2 127.1 127.0.1 127.255.255.254 0 0.0.0.0 0.0 00.0.0.0 2130706433 017700000001 0x7f000001
    0x7F.0.0.1 0177.0.0.1 0177.0.0.01 0177.1 0x7f.1 0x7f.0x0.0x0.0x1 127.0.0.1. 0127.0.0.1 00000177.0.0.1
    127.000.000.001 127.0x1 2130706434 [::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001]
    [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [64:ff9b::127.0.0.1]
    [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1] [2001:0:7f00:1::] [fe80::1]
    [fec0::1] [fc00::1] [fd00:ec2::254] [ff02::1] [::ffff:0:7f00:1] [100::1] localhost localhost. LOCALHOST
    LocalHost 169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 0xa9.0xfe.0xa9.0xfe 169.254.43518
    169.16689662 [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [64:ff9b::a9fe:a9fe] [::169.254.169.254]
    168.63.129.16 100.100.100.200 192.0.0.192 10.0.0.1 172.16.0.1 192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255
    240.0.0.1 ①②⑦.⓪.⓪.① 127。0。0。1 １２７.0.0.1 127．0．0．1 ⑯⑨。②⑤④。⑯⑨｡②⑤④ ｌｏｃａｌｈｏｓｔ
    """,
)
SHAPES = [
    "http://user@127.0.0.1:{port}/",
    "http://user:password@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\t/",
    "\thttp://127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\r\n:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "///127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "http://[::1]:{port}%40example.com/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http://127.0.0.1%2eexample.com:{port}/",
    "http://:{port}/",
    "http://",
    "",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1:{port}/etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/info",
    "data:audio/wav;base64,AAAA",
    "jar:http://127.0.0.1:{port}/!/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:22/",
    "http://127.0.0.1:+{port}/",
]


# Where loopback is allowed these are ordinary loopback URLs with a fragment or a query.
ORDINARY = ("http://127.0.0.1:{port}#@example.com/", "http://127.0.0.1:{port}?@example.com/")


class Listener:
    """IPv4 and IPv6 sockets on one port of every local address, never accepted from by anybody but the test."""

    def __init__(self) -> None:
        self._v6 = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self._v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._v6.bind(("::", 0))
        self._v6.listen(64)
        self._v6.settimeout(0)
        self.port: int = self._v6.getsockname()[1]

    def connects(self) -> int:
        count = 0
        while True:
            try:
                self._v6.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def close(self) -> None:
        self._v6.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()


async def inside_resolver(host: str, port: int) -> Sequence[str]:
    """What the system would say of these hosts, numeric spellings included, without asking any name server."""
    if host.lower().rstrip(".") == "localhost":
        return ["127.0.0.1", "::1"]
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)]


async def test_a_listener_sees_a_connection_when_there_is_one(listener: Listener) -> None:
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, listener.port)):
            assert listener.connects() == 1


async def test_no_spelling_of_an_inside_address_is_connected_to(listener: Listener) -> None:
    egress = Egress(allow_loopback=False, resolve=inside_resolver)
    urls = [f"http://{host}:{listener.port}/" for host in HOSTS] + [
        shape.format(port=listener.port) for shape in SHAPES
    ]
    assert len(urls) >= 110
    unresolved = []
    for url in urls:
        for attempt in (partial(egress.fetch, url, 1000), partial(egress.post, url, b"x", {})):
            with pytest.raises(EgressError) as failure:
                await attempt()
            if not isinstance(failure.value, EgressRefused):
                unresolved.append(str(failure.value))
    assert listener.connects() == 0
    # What no resolver understands is an error like any other: it never got as far as the rule.
    assert all("cannot be resolved" in sentence for sentence in unresolved), unresolved
    assert len(unresolved) < len(urls) // 4
    await egress.aclose()


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ORDINARY])
async def test_a_crooked_url_is_refused_even_where_loopback_is_allowed(listener: Listener, shape: str) -> None:
    egress = Egress(allow_loopback=True, resolve=inside_resolver)
    with pytest.raises(EgressError):
        await egress.fetch(shape.format(port=listener.port), 1000)
    assert listener.connects() == 0
    await egress.aclose()


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1", "fc00::1", "0.0.0.0"]
)
async def test_allowing_loopback_allows_nothing_else(address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [address]

    egress = Egress(allow_loopback=True, resolve=resolve)
    with pytest.raises(EgressRefused):
        await egress.fetch("http://files.example.com:8080/", 1000)
    await egress.aclose()


async def test_a_name_that_is_rebound_is_checked_at_each_connection(listener: Listener) -> None:
    answers = iter([["8.8.4.4", "127.0.0.1"], ["127.0.0.1"]])
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [address for address in next(answers) if address.startswith("127.")]

    egress = Egress(allow_loopback=False, resolve=resolve)
    for _ in range(2):
        with pytest.raises(EgressRefused, match="loopback"):
            await egress.fetch(f"http://rebind.example.com:{listener.port}/", 1000)
    assert asked == ["rebind.example.com"] * 2
    assert listener.connects() == 0
    await egress.aclose()


async def test_a_refusal_does_not_tell_the_inside_address() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["10.20.30.40"]

    egress = Egress(allow_loopback=False, resolve=resolve)
    with pytest.raises(EgressRefused) as refused:
        await egress.fetch("http://inside.example.com/", 1000)
    assert "10.20.30.40" not in str(refused.value)
    assert "a private address" in str(refused.value)
    await egress.aclose()
