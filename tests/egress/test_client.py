"""The door against real servers on loopback: good ones, broken ones and hostile ones."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from callwright.egress import Egress
from callwright.egress.target import checked_target, redirected
from callwright.errors import EgressError, EgressRefused

LIMIT = 100_000
Serve = Callable[..., Any]


def response(body: bytes = b"hello", *, status: str = "200 OK", headers: str = "") -> bytes:
    length = "" if "content-length" in headers.lower() or "chunked" in headers else f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{headers}\r\n".encode() + body


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    door = Egress(allow_loopback=True)
    yield door
    await door.aclose()


@pytest.fixture
async def hasty() -> AsyncIterator[Egress]:
    """A door with short budgets: tests of slowness need not wait for the real 2 s and 10 s."""
    door = Egress(allow_loopback=True, first_byte_seconds=0.15, fetch_seconds=0.4)
    yield door
    await door.aclose()


async def test_a_file_is_fetched(egress: Egress, serve: Serve) -> None:
    server = await serve(response(b"sound", headers="Content-Type: audio/mpeg\r\n"))
    fetched = await egress.fetch(server.url("/a.mp3?x=1#part"), LIMIT)
    assert fetched.body == b"sound"
    assert fetched.content_type == "audio/mpeg"
    head = server.requests[0].lower()
    assert head.startswith(b"get /a.mp3?x=1 http/1.1\r\n")
    assert b"accept-encoding: identity" in head
    assert f"host: 127.0.0.1:{server.port}".encode() in head


async def test_a_file_is_fetched_over_ipv6_loopback(egress: Egress, serve: Serve) -> None:
    server = await serve(response(b"six"), "::1")
    assert (await egress.fetch(server.url(), LIMIT)).body == b"six"
    assert f"host: [::1]:{server.port}".encode() in server.requests[0].lower()


async def test_connections_are_used_again(egress: Egress, serve: Serve) -> None:
    server = await serve(response())
    for _ in range(5):
        await egress.fetch(server.url(), LIMIT)
        await egress.post(server.url(), b"{}", {})
    assert (server.connects, len(server.requests)) == (1, 10)


async def test_a_stricter_door_does_not_use_the_connections_of_a_laxer_one(egress: Egress, serve: Serve) -> None:
    server = await serve(response())
    await egress.fetch(server.url(), LIMIT)
    strict = Egress(allow_loopback=False)
    with pytest.raises(EgressRefused):
        await strict.fetch(server.url(), LIMIT)
    assert len(server.requests) == 1
    await strict.aclose()


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
async def test_redirects_are_followed_three_times(egress: Egress, serve: Serve, status: str) -> None:
    server = await serve(response(b"there"))
    for _ in range(3):
        server = await serve(response(b"", status=f"{status} Go", headers=f"Location: {server.url('/next')}\r\n"))
    assert (await egress.fetch(server.url(), LIMIT)).body == b"there"
    fourth = await serve(response(b"", status=f"{status} Go", headers=f"Location: {server.url()}\r\n"))
    with pytest.raises(EgressRefused, match="more than 3 times"):
        await egress.fetch(fourth.url(), LIMIT)


async def test_a_relative_redirect_is_followed(egress: Egress, serve: Serve) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        moved = server.requests[-1].startswith(b"GET /a/x ")
        writer.write(response(b"", status="302 Found", headers="Location: ../b/c.wav\r\n") if moved else response(b"c"))
        await writer.drain()

    server = await serve(talk)
    fetched = await egress.fetch(server.url("/a/x"), LIMIT)
    assert fetched.body == b"c"
    assert fetched.url == server.url("/b/c.wav")


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::ffff:169.254.169.254]/",
        "http://user:pw@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "http://127.0.0.1:25/",
        "//0.0.0.0:8000/",
        "http://" + "a" * 5000 + ".example.com/",
        "http://[not-an-address]/",
    ],
)
async def test_a_redirect_to_a_forbidden_place_is_refused(egress: Egress, serve: Serve, location: str) -> None:
    server = await serve(response(b"", status="302 Found", headers=f"Location: {location}\r\n"))
    with pytest.raises(EgressRefused):
        await egress.fetch(server.url(), LIMIT)


async def test_a_redirect_without_a_target_is_an_error(egress: Egress, serve: Serve) -> None:
    server = await serve(response(b"", status="302 Found"))
    with pytest.raises(EgressError, match="says not where"):
        await egress.fetch(server.url(), LIMIT)


@pytest.mark.parametrize(
    "status", ["204 No Content", "206 Partial", "304 Not Modified", "401 No", "404 Not Found", "500 X"]
)
async def test_another_status_than_200_is_an_error_that_names_it(egress: Egress, serve: Serve, status: str) -> None:
    server = await serve(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(EgressError, match=status[:3]):
        await egress.fetch(server.url(), LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x-unknown"])
async def test_a_compressed_answer_is_refused_unread(egress: Egress, serve: Serve, encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    server = await serve(response(bomb, headers=f"Content-Encoding: {encoding}\r\n"))
    with pytest.raises(EgressError, match="compressed"):
        await egress.fetch(server.url(), LIMIT)
    with pytest.raises(EgressError, match="compressed"):
        await egress.post(server.url(), b"{}", {})


async def test_an_identity_encoding_is_accepted(egress: Egress, serve: Serve) -> None:
    server = await serve(response(headers="Content-Encoding: identity\r\n"))
    assert (await egress.fetch(server.url(), LIMIT)).body == b"hello"


async def test_a_file_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(egress: Egress, serve: Serve) -> None:
    server = await serve(response(bytes(LIMIT)))
    assert len((await egress.fetch(server.url(), LIMIT)).body) == LIMIT
    with pytest.raises(EgressError, match="larger than 99,999 bytes"):
        await egress.fetch(server.url(), LIMIT - 1)


async def test_a_declared_size_over_the_limit_ends_it_before_the_body(egress: Egress, serve: Serve) -> None:
    server = await serve(response(b"", headers="Content-Length: 999999999999999999\r\n"))
    with pytest.raises(EgressError, match="larger than"):
        await egress.fetch(server.url(), LIMIT)


@pytest.mark.parametrize("framing", ["", "Transfer-Encoding: chunked\r\n"])
async def test_an_endless_body_is_stopped_at_the_limit(egress: Egress, serve: Serve, framing: str) -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(0)
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n".encode())
        piece = bytes(16_384)
        while True:
            writer.write(b"4000\r\n" + piece + b"\r\n" if framing else piece)
            await writer.drain()
            sent += len(piece)

    server = await serve(talk)
    with pytest.raises(EgressError, match="larger than"):
        await egress.fetch(server.url(), LIMIT)
    await asyncio.sleep(0.02)
    assert sent < LIMIT + 8_000_000  # what fits into socket buffers, not more


async def test_a_body_that_drips_is_ended_by_the_total_budget(
    hasty: Egress,
    serve: Serve,
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    server = await serve(talk)
    with pytest.raises(EgressError, match="did not send the file in time"):
        await hasty.fetch(server.url(), LIMIT)
    with pytest.raises(EgressError, match=r"did not answer in time \(0.3 seconds\)"):
        await hasty.post(server.url(), b"{}", {}, within_seconds=0.3)


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"X-More: 1\r\n"])
async def test_a_head_that_never_ends_is_ended_by_the_first_byte_budget(
    hasty: Egress,
    serve: Serve,
    drip: bytes,
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if drip.startswith(b"X"):
            writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(drip)
            await writer.drain()
            await asyncio.sleep(0.02)

    server = await serve(talk)
    with pytest.raises(EgressError, match="did not begin to answer in time"):
        await hasty.fetch(server.url(), LIMIT)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(60)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 5_000_000,
    ],
)
async def test_huge_headers_are_an_error(egress: Egress, serve: Serve, head: bytes) -> None:
    server = await serve(head)
    with pytest.raises(EgressError):
        await egress.fetch(server.url(), LIMIT)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_breaks_off_or_is_not_http_is_an_error(
    egress: Egress, serve: Serve, answer: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    server = await serve(talk)
    with pytest.raises(EgressError):
        await egress.fetch(server.url(), LIMIT)
    with pytest.raises(EgressError):
        await egress.post(server.url(), b"{}", {})


async def test_bytes_past_the_declared_length_are_not_taken(egress: Egress, serve: Serve) -> None:
    server = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more")
    assert (await egress.fetch(server.url(), LIMIT)).body == b"hello"


async def test_nobody_listening_is_an_error_that_says_so(egress: Egress, serve: Serve) -> None:
    server = await serve(b"")
    port = server.port + 1 if server.port < 65_000 else server.port - 1
    with pytest.raises(EgressError, match="refuses connections"):
        await egress.fetch(f"http://127.0.0.1:{port}/", LIMIT)


async def test_a_name_without_address_is_an_error_that_names_it() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    egress = Egress(allow_loopback=False, resolve=resolve)
    with pytest.raises(EgressError, match=r"gone\.example\.com cannot be resolved"):
        await egress.fetch("http://gone.example.com/", LIMIT)
    await egress.aclose()


async def test_a_resolver_that_hangs_is_ended_by_the_budget() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    egress = Egress(allow_loopback=False, resolve=resolve, first_byte_seconds=0.15)
    with pytest.raises(EgressError, match="in time"):
        await egress.fetch("http://slow.example.com/", LIMIT)
    await egress.aclose()


async def test_the_next_address_is_tried_when_the_first_is_dead(serve: Serve) -> None:
    server = await serve(response(b"second"))

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1", "::1", "127.0.0.1"]

    egress = Egress(allow_loopback=True, resolve=resolve)
    assert (await egress.fetch(f"http://dual.example.com:{server.port}/", LIMIT)).body == b"second"
    assert b"host: dual.example.com" in server.requests[0].lower()
    await egress.aclose()


async def test_proxies_of_the_environment_play_no_part(
    egress: Egress, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = await serve(response(b"proxy")), await serve(response(b"direct"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url())
    assert (await egress.fetch(server.url(), LIMIT)).body == b"direct"
    assert proxy.connects == 0


async def test_a_post_brings_back_the_answer(egress: Egress, serve: Serve) -> None:
    server = await serve(response(b'{"ok":1}', status="202 Accepted", headers="Retry-After: 7\r\nX-A: 1\r\nX-A: 2\r\n"))
    answer = await egress.post(
        server.url("/hook"), b'{"a":1}', {"Content-Type": "application/json", "Authorization": "Bearer x"}
    )
    assert (answer.status, answer.accepted, answer.body, answer.truncated) == (202, True, b'{"ok":1}', False)
    assert (answer.headers["retry-after"], answer.headers["x-a"]) == ("7", "1")
    assert answer.elapsed_seconds >= 0
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook HTTP/1.1")
    assert b"content-type: application/json" in head.lower()
    assert b"authorization: bearer x" in head.lower()
    assert body == b'{"a":1}'


async def test_a_post_does_not_follow_a_redirect(egress: Egress, serve: Serve) -> None:
    target = await serve(response())
    server = await serve(response(b"", status="307 Go", headers=f"Location: {target.url()}\r\n"))
    answer = await egress.post(server.url(), b"{}", {})
    assert (answer.status, answer.accepted) == (307, False)
    assert target.connects == 0


async def test_a_caller_may_want_a_longer_answer_to_a_post(egress: Egress, serve: Serve) -> None:
    server = await serve(response(b"x" * 300_000))
    whole = await egress.post(server.url(), b"{}", {}, most_bytes=300_000)
    assert (len(whole.body), whole.truncated) == (300_000, False)
    cut = await egress.post(server.url(), b"{}", {}, most_bytes=299_999)
    assert (len(cut.body), cut.truncated) == (299_999, True)


async def test_a_long_answer_to_a_post_is_cut(egress: Egress, serve: Serve) -> None:
    server = await serve(response(b"z" * 200_000))
    answer = await egress.post(server.url(), b"{}", {})
    assert (len(answer.body), answer.truncated, answer.accepted) == (65_536, True, True)


async def test_the_door_is_clean_after_many_broken_exchanges(egress: Egress, serve: Serve) -> None:
    broken = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    good = await serve(response())
    gone = [egress.post(broken.url(), b"{}", {}, within_seconds=0.2) for _ in range(50)]
    assert all(isinstance(result, EgressError) for result in await asyncio.gather(*gone, return_exceptions=True))
    waiting = asyncio.create_task(egress.post(broken.url(), b"{}", {}))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await egress.post(good.url(), b"{}", {})).accepted
    assert egress._pool.connections == 1


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Accept-Encoding", "Connection"])
async def test_headers_that_are_callwrights_own_are_refused(egress: Egress, serve: Serve, name: str) -> None:
    server = await serve(response())
    with pytest.raises(EgressRefused, match=name):
        await egress.post(server.url(), b"{}", {name: "x"})
    assert server.connects == 0


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "☃", "a\x00b"])
async def test_a_header_cannot_smuggle_another(egress: Egress, serve: Serve, value: str) -> None:
    server = await serve(response())
    with pytest.raises(EgressRefused):
        await egress.post(server.url(), b"{}", {"X-Key": value})
    assert server.requests == []


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for a DNS name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"


async def test_tls_is_verified_by_host_name_though_the_address_is_connected(tmp_path: Path) -> None:
    certificate_path, key_path = certificate(tmp_path, "files.example.com")
    names: list[str | None] = []
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate_path, key_path)
    serving.sni_callback = lambda _socket, name, _context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate_path))

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"secret"))
        await writer.drain()
        writer.close()

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    egress = Egress(allow_loopback=True, resolve=resolve, ssl_context=trusting)
    assert (await egress.fetch(f"https://files.example.com:{port}/", LIMIT)).body == b"secret"
    assert names == ["files.example.com"]
    for host in ("other.example.com", "127.0.0.1"):
        with pytest.raises(EgressError, match="certificate is not valid"):
            await egress.fetch(f"https://{host}:{port}/", LIMIT)
    public = Egress(allow_loopback=True, resolve=resolve)
    with pytest.raises(EgressError, match="certificate is not valid"):
        await public.fetch(f"https://files.example.com:{port}/", LIMIT)
    server.close()
    await server.wait_closed()
    await egress.aclose()
    await public.aclose()


def test_a_step_back_from_https_to_http_is_refused() -> None:
    with pytest.raises(EgressRefused, match="from https to http"):
        redirected(checked_target("https://files.example.com/a"), 302, "http://files.example.com/b")
