"""What is done against a line from outside, on real sockets: strangers, thieves of credentials, oversize."""

import ast
import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

import callwright.telephony
from callwright.callflow.events import NotAnswered
from callwright.callflow.outcome import CallStatus
from callwright.simulator.loopback import LoopbackLine, own_host, unused_ports
from callwright.sip.message import Request
from callwright.sip.outputs import Address
from callwright.sip.parse import parse, serialize
from callwright.sip.responses import response_to
from callwright.telemetry.clock import platform_clock
from callwright.telephony.ground import Ground
from callwright.telephony.line import TelephonySettings
from callwright.telephony.signalling import sip_token
from callwright.telephony.trunk import Trunk

HOST = own_host()
STRANGER = "127.0.0.2"
NUMBER = "+6591234567"
PATIENCE_SECONDS = 60.0
CHALLENGE = ("Proxy-Authenticate", 'Digest realm="example.com", nonce="f00d", qop="auth", algorithm=MD5')
REFUSALS = {
    "REGISTER": 405,
    "SUBSCRIBE": 405,
    "MESSAGE": 405,
    "PUBLISH": 405,
    "NOTIFY": 405,
    "REFER": 405,
    "XYZZY": 501,
    "BYE": 481,
    "INFO": 481,
    "UPDATE": 481,
    "PRACK": 481,
    "CANCEL": 481,
    "INVITE": 403,
    "OPTIONS": 200,
}


class Peer:
    """A SIP socket that does nothing by itself."""

    def __init__(self, host: str) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.udp.bind((host, 0))
        self.address: Address = self.udp.getsockname()

    async def receive(self) -> str:
        """The next message."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return (await asyncio.get_running_loop().sock_recv(self.udp, 65_535)).decode()

    async def asked(self, method: str) -> Request:
        """The next request of a method."""
        while True:
            message = parse((await self.receive()).encode())
            if isinstance(message, Request) and message.method == method:
                return message

    async def proven(self) -> Request:
        """The next INVITE with a proof of the password."""
        while (invite := await self.asked("INVITE")).headers.get("Proxy-Authorization") is None:
            pass
        return invite

    async def final(self) -> str:
        """The next final answer."""
        while (answer := await self.receive()).startswith("SIP/2.0 1"):
            pass
        return answer

    def send(self, data: bytes, destination: Address) -> None:
        self.udp.sendto(data, destination)

    def answer(self, request: Request, status: int, destination: Address, *extra: tuple[str, str]) -> None:
        self.send(serialize(response_to(request, status, to_tag="them", extra=extra)), destination)

    def request(self, method: str, *extra: str, body: str = "", length: str | None = None) -> bytes:
        """A request with nothing missing."""
        host, port = self.address
        lines = [
            f"{method} sip:callwright@{HOST} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{sip_token()};rport",
            "Max-Forwards: 70",
            "From: <sip:somebody@example.com>;tag=1",
            "To: <sip:callwright@example.com>",
            f"Call-ID: {sip_token()}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:somebody@{host}:{port}>",
            *extra,
            f"Content-Length: {len(body) if length is None else length}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def heard_nothing(self) -> bool:
        """Nothing came so far."""
        try:
            self.udp.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False


@contextmanager
def peer(host: str) -> Iterator[Peer]:
    made = Peer(host)
    try:
        yield made
    finally:
        made.udp.close()


@asynccontextmanager
async def line_to(trunk: Peer) -> AsyncIterator[LoopbackLine]:
    """A line whose trunk is that peer; it has credentials for the realm example.com, or whatever asks for them."""
    known = Trunk("t", *trunk.address, username="us", password="s3cret")
    settings = TelephonySettings(HOST, 0, unused_ports(8, HOST), (known,), stop_limit_seconds=0.1)
    line = LoopbackLine(settings, platform_clock())
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()


async def is_well(line: LoopbackLine, trunk: Peer) -> bool:
    """The next good request is answered: all that came before it was read."""
    while True:  # what answers came before are of no interest here
        request = trunk.request("OPTIONS")
        call_id = request.partition(b"Call-ID: ")[2].partition(b"\r\n")[0].decode()
        trunk.send(request, line.telephony.address)
        while call_id not in (answer := await trunk.final()):
            pass
        return answer.startswith("SIP/2.0 200 ")


@pytest.mark.parametrize(("method", "status"), REFUSALS.items())
async def test_every_method_outside_a_call_is_refused_to_trunks_unless_it_is_listed(method: str, status: int) -> None:
    with peer(HOST) as trunk:
        async with line_to(trunk) as line:
            trunk.send(trunk.request(method), line.telephony.address)
            answer = await trunk.final()
            assert answer.startswith(f"SIP/2.0 {status} ")
            assert ("\r\nAllow: " in answer) == (status in (405, 501, 200))
            assert line.telephony.legs == 0


async def test_strangers_get_no_answer_to_any_method() -> None:
    with peer(HOST) as trunk, peer(STRANGER) as stranger:
        async with line_to(trunk) as line:
            for method in REFUSALS:
                stranger.send(stranger.request(method), line.telephony.address)
                stranger.send(stranger.request(method, "Authorization: Digest username=us"), line.telephony.address)
            assert await is_well(line, trunk)
            assert stranger.heard_nothing()
            assert line.telephony.transactions == 0
            assert line.calls.empty()


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "BYE"])
async def test_a_challenge_on_a_request_that_somebody_sent_us_is_never_answered(method: str) -> None:
    challenge = ": ".join(CHALLENGE)
    with peer(HOST) as trunk:
        async with line_to(trunk) as line:
            trunk.send(trunk.request(method, challenge, challenge.replace("Proxy", "WWW")), line.telephony.address)
            answer = await trunk.final()
            assert "uthorization" not in answer
            assert await is_well(line, trunk)


async def test_a_challenge_of_a_stranger_for_our_own_request_is_never_answered() -> None:
    with peer(HOST) as trunk, peer(STRANGER) as thief:
        async with line_to(trunk) as line:
            leg = line.dial(NUMBER)
            invite = await trunk.asked("INVITE")
            thief.answer(invite, 407, line.telephony.address, CHALLENGE)
            assert await is_well(line, trunk)
            assert thief.heard_nothing()
            trunk.answer(invite, 486, line.telephony.address)
            assert (await line.until(leg, NotAnswered)).status is CallStatus.BUSY
            assert "uthorization" not in str(line.traces[leg].entries)


async def test_a_challenge_from_another_port_of_the_trunk_is_answered_to_the_trunk_alone() -> None:
    with peer(HOST) as trunk, peer(HOST) as neighbour:
        async with line_to(trunk) as line:
            leg = line.dial(NUMBER)
            neighbour.answer(await trunk.asked("INVITE"), 407, line.telephony.address, CHALLENGE)
            proven = await trunk.proven()
            assert neighbour.heard_nothing()
            trunk.answer(proven, 486, line.telephony.address)
            assert (await line.until(leg, NotAnswered)).status is CallStatus.BUSY


async def test_a_redirection_carries_nothing_to_another_host() -> None:
    with peer(HOST) as trunk, peer(STRANGER) as thief:
        async with line_to(trunk) as line:
            leg = line.dial(NUMBER)
            trunk.answer(await trunk.asked("INVITE"), 407, line.telephony.address, CHALLENGE)
            proven = await trunk.proven()
            host, port = thief.address
            trunk.answer(proven, 302, line.telephony.address, ("Contact", f"<sip:{NUMBER}@{host}:{port}>"))
            assert (await line.until(leg, NotAnswered)).sip_code == 302
            assert thief.heard_nothing()


@pytest.mark.parametrize(
    "extra",
    [
        {"length": "9" * 30},
        {"length": "4294967297"},
        {"length": "-1"},
        {"body": "v=0\r\n" + "a=x\r\n" * 12_000},
        {"extra": ["X-More: y"] * 3_000},
        {"extra": ["Authorization: Digest " + ", ".join(f'p{number}="\\\\\\""' for number in range(3_000))]},
        {"extra": ["Via: SIP/2.0/UDP " + ",".join(["192.0.2.1"] * 4_000)]},
        {"extra": ["Record-Route: " + ",".join(["<sip:192.0.2.1;lr>"] * 2_000)]},
        {"extra": ["From: " + "<" * 20_000]},
    ],
)
async def test_what_is_too_much_is_refused_and_leaves_nothing(extra: dict[str, object]) -> None:
    more = extra.get("extra", [])
    assert isinstance(more, list)
    body, length = extra.get("body", ""), extra.get("length")
    with peer(HOST) as trunk:
        async with line_to(trunk) as line:
            trunk.send(
                trunk.request("INVITE", *more, body=str(body), length=None if length is None else str(length)),
                line.telephony.address,
            )
            assert await is_well(line, trunk)
            assert line.telephony.legs == 0
            assert line.telephony.streams == 0
            assert line.calls.empty()


async def test_who_has_a_trunks_address_only_cannot_shout_the_trunk_down() -> None:
    with peer(HOST) as trunk, peer(HOST) as neighbour:
        async with line_to(trunk) as line:
            leg = line.dial(NUMBER)
            invite = await trunk.asked("INVITE")
            exchange = line.telephony._exchange
            assert exchange.signalling is not None
            for _ in range(20_000):
                exchange.signalling.receive(b"noise", neighbour.address)
            unread = exchange.agent.counts["over budget"]
            assert unread > 0
            for _ in range(5_000):
                exchange.signalling.receive(b"noise", trunk.address)
            assert exchange.agent.counts["over budget"] == unread
            trunk.answer(invite, 486, line.telephony.address)
            assert (await line.until(leg, NotAnswered)).status is CallStatus.BUSY


async def test_a_call_holds_a_stream_and_transactions_and_gives_them_back() -> None:
    with peer(HOST) as trunk:
        async with line_to(trunk) as line:
            leg = line.dial(NUMBER)
            invite = await trunk.asked("INVITE")
            assert (line.telephony.streams, line.telephony.transactions) == (1, 1)
            trunk.answer(invite, 486, line.telephony.address)
            await line.until(leg, NotAnswered)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while line.telephony.streams:  # noqa: ASYNC110 - what is counted tells nobody
                    await asyncio.sleep(0.01)
        assert (line.telephony.streams, line.telephony.transactions) == (0, 0)


# --- what nobody may guess --------------------------------------------------------------------------------------------


async def test_what_identifies_a_call_is_different_in_every_call() -> None:
    seen: Counter[str] = Counter()
    with peer(HOST) as trunk:
        async with line_to(trunk) as line:
            for _ in range(5):
                leg = line.dial(NUMBER)
                invite = await trunk.asked("INVITE")
                headers = invite.headers
                branch = str(headers.get("Via")).partition("branch=")[2]
                tag = str(headers.get("From")).partition("tag=")[2]
                assert len(branch.removeprefix("z9hG4bK")) >= 16
                assert len(tag) >= 16
                seen.update((branch, tag, str(headers.get("Call-ID"))))
                trunk.answer(invite, 486, line.telephony.address)
                await line.until(leg, NotAnswered)
    assert set(seen.values()) == {1}
    assert len(seen) == 15


def test_every_place_of_a_token_takes_every_value() -> None:
    tokens = [sip_token() for _ in range(2_000)]
    assert len(set(tokens)) == len(tokens)
    for place in zip(*tokens, strict=True):
        assert set(place) == set("0123456789abcdef")  # to miss one has odds of 16 × (15/16)^2000


def test_a_real_line_stands_on_the_systems_own_chance() -> None:
    ground = Ground()
    assert ground.token is sip_token
    assert isinstance(ground.chance, random.SystemRandom)


ROOM = Path(callwright.telephony.__file__).parent


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOM)))
def test_nothing_here_draws_from_chance_that_can_be_foreseen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            assert node.attr in ("Random", "SystemRandom"), f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert not (node.func.attr == "Random" and ast.unparse(node.func) == "random.Random"), (
                f"{path.name}:{node.lineno} makes a generator that can be foreseen"
            )
        if isinstance(node, ast.ImportFrom):
            assert node.module != "random", f"{path.name}:{node.lineno}"
