"""Trunks on real sockets: transports, limits, groups, failover, registration."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from callwright.callflow.events import Answered, HungUp, NotAnswered
from callwright.callflow.outcome import CallStatus
from callwright.errors import ErrorCode, TrunksFull
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier, Login
from callwright.simulator.loopback import LoopbackLine, unused_port, unused_ports
from callwright.sip.message import Headers, Request
from callwright.sip.outputs import CallFailed
from callwright.sip.parse import parse, serialize
from callwright.sip.resolution import Answers, Naptr, Question, Srv
from callwright.sip.responses import response_to
from callwright.sip.streams import StreamAddress
from callwright.telemetry.clock import platform_clock
from callwright.telephony.admission import Admission
from callwright.telephony.line import TelephonySettings
from callwright.telephony.resolver import Resolver
from callwright.telephony.signalling import Listening
from callwright.telephony.trunk import CallerIdFormat, Trunk
from callwright.telephony.trunking import Trunking

if TYPE_CHECKING:
    from tests.telephony.conftest import Authority

QUICK = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0)
NUMBER = "+6591234567"


@asynccontextmanager
async def carrier_with(
    *, behaviour: Behaviour = QUICK, login: Login | None = None, tls: Listening | None = None
) -> AsyncIterator[Carrier]:
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=behaviour, login=login, tls=tls)
    await carrier.start()
    try:
        yield carrier
    finally:
        await carrier.stop()


@asynccontextmanager
async def line_over(*trunks: Trunk) -> AsyncIterator[LoopbackLine]:
    line = LoopbackLine(TelephonySettings("127.0.0.1", 0, unused_ports(16), trunks), platform_clock())
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()


async def until(look: Callable[[], bool]) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110  there is no event for it
            await asyncio.sleep(0.01)


async def call(line: LoopbackLine) -> str:
    """One whole call; returns its leg."""
    leg = line.dial(NUMBER)
    await line.until(leg, Answered)
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)
    return leg


# --- transports ------------------------------------------------------------------------------------------------------


async def test_a_call_over_tcp_with_digest() -> None:
    async with carrier_with(login=Login("example.com", "us", "secret")) as carrier:
        trunk = Trunk("tcp", *carrier.address, transport="TCP", username="us", password="secret")
        async with line_over(trunk) as line:
            leg = await call(line)
            assert line.ladder(leg)[:2] == ["→ INVITE", "← 100 INVITE"]
            sent = line.entries(leg, "sip.sent")
            assert all(str(entry.fields["peer"]).startswith("TCP ") for entry in sent)
            assert "Via: SIP/2.0/TCP" in str(sent[0].fields["text"])
            assert ";transport=tcp>" in str(sent[0].fields["text"])


async def test_a_call_over_tls_and_a_certificate_for_another_name(authority: "Authority") -> None:
    port = unused_port()
    listening = Listening("127.0.0.1", port, authority.certify("carrier", ["localhost"]))
    async with carrier_with(tls=listening):
        good = Trunk("tls", "localhost", port, transport="TLS", ca_file=authority.file)
        async with line_over(good) as line:
            leg = await call(line)
            assert str(line.entries(leg, "sip.sent")[0].fields["peer"]).startswith("TLS ")
        bad = Trunk("tls", "127.0.0.1", port, transport="TLS", ca_file=authority.file)
        async with line_over(bad) as line:
            end = await line.until(line.dial(NUMBER), NotAnswered)
            assert (end.status, end.sip_code) == (CallStatus.FAILED, 503)


@pytest.mark.parametrize("listens", [True, False])
async def test_a_large_invite_takes_a_connection_when_there_is_one(listens: bool) -> None:
    headers = (("X-Ballast", "x" * 900),)
    async with AsyncExitStack() as stack:
        if listens:
            carrier = await stack.enter_async_context(carrier_with())
            address = carrier.address
        else:  # the same carrier behind a port that takes datagrams only
            udp = DatagramsOnly()
            await stack.enter_async_context(udp.running())
            address = udp.address
        async with line_over(Trunk("auto", *address, headers=headers)) as line:
            leg = await call(line)
            first = [str(entry.fields["peer"]) for entry in line.entries(leg, "sip.sent")]
            assert first[0].startswith("TCP ")
            assert any(peer.startswith("127.") for peer in first) is not listens
        async with line_over(Trunk("udp", *address, headers=headers, transport="UDP")) as line:
            leg = await call(line)
            assert not str(line.entries(leg, "sip.sent")[0].fields["peer"]).startswith("TCP ")


class DatagramsOnly:
    """Answers every INVITE and BYE with 200; nobody listens for connections."""

    def __init__(self) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.setblocking(False)  # noqa: FBT003  positional only
        self.address: tuple[str, int] = self.udp.getsockname()
        self.requests: list[Request] = []
        self.status = 200
        self.headers: list[tuple[str, str]] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["DatagramsOnly"]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.udp, self._read)
        try:
            yield self
        finally:
            loop.remove_reader(self.udp)
            self.udp.close()

    def _read(self) -> None:
        data, source = self.udp.recvfrom(65_535)
        request = parse(data)
        if not isinstance(request, Request) or request.method == "ACK":
            return
        self.requests.append(request)
        body = request.body.replace(b"a=sendrecv", b"a=inactive") if self.status == 200 else b""
        extra = [("Contact", f"<sip:them@127.0.0.1:{self.address[1]}>"), *self.headers]
        extra += [("Content-Type", "application/sdp")] if body else []
        tag = "" if "tag=" in (request.headers.get("To") or "") else "them"
        answer = response_to(request, self.status, to_tag=tag, extra=extra, body=body)
        self.udp.sendto(serialize(answer), source)


# --- groups ----------------------------------------------------------------------------------------------------------


async def test_a_trunk_that_is_not_there_is_passed_over_and_then_tried_last() -> None:
    async with carrier_with() as carrier:
        dead = Trunk("dead", "127.0.0.1", unused_port(), group="g", priority=1)
        good = Trunk("good", *carrier.address, group="g", priority=2)
        async with line_over(dead, good) as line:
            leg = line.dial(NUMBER)
            await line.until(leg, Answered)
            assert [entry.fields["trunk"] for entry in line.entries(leg, "telephony.trunk")] == ["dead", "good"]
            assert line.telephony.route(NUMBER, "+6531350000").trunk == "good"
            line.telephony.hang_up(leg)


async def test_a_mute_trunk_is_passed_over_within_four_seconds() -> None:
    async with carrier_with() as carrier:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind(("127.0.0.1", 0))
            silent = Trunk("silent", "127.0.0.1", mute.getsockname()[1], group="g", priority=1)
            async with line_over(silent, Trunk("good", *carrier.address, group="g", priority=2)) as line:
                leg = line.dial(NUMBER)
                await line.until(leg, Answered)
                tried = line.entries(leg, "telephony.trunk")
                assert [entry.fields["trunk"] for entry in tried] == ["silent", "good"]
                assert tried[1].at - tried[0].at < 4.0
                assert tried[0].fields["sip_call_id"] != tried[1].fields["sip_call_id"]
                line.telephony.hang_up(leg)
                await line.until(leg, HungUp)


async def test_a_503_goes_on_and_its_retry_after_closes_the_trunk() -> None:
    async with AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(carrier_with())
        full = await stack.enter_async_context(DatagramsOnly().running())
        full.status, full.headers = 503, [("Retry-After", "60")]
        trunks = Trunk("full", *full.address, group="g"), Trunk("good", *carrier.address, group="g", priority=2)
        line = await stack.enter_async_context(line_over(*trunks))
        await call(line)
        assert len(full.requests) == 1
        await call(line)
        assert len(full.requests) == 1
        alone = await stack.enter_async_context(line_over(trunks[0]))
        assert (await alone.until(alone.dial(NUMBER), NotAnswered)).sip_code == 503
        end = await alone.until(alone.dial(NUMBER), NotAnswered)
        assert (end.status, end.error) == (CallStatus.ERROR, ErrorCode.TRUNK_CAPACITY)
        assert "Retry-After" in end.reason


async def test_busy_is_an_answer_and_goes_nowhere_else() -> None:
    async with carrier_with(behaviour=Behaviour(None, 0.0, reject_status=486)) as busy, carrier_with() as other:
        trunks = Trunk("busy", *busy.address, group="g"), Trunk("other", *other.address, group="g", priority=2)
        async with line_over(*trunks) as line:
            assert (await line.until(line.dial(NUMBER), NotAnswered)).status is CallStatus.BUSY
            assert other.calls_taken == 0


def trunking_of(*trunks: Trunk) -> Trunking:
    return Trunking(trunks, platform_clock(), lambda: "token")


def test_the_order_follows_priority_and_weight() -> None:
    heavy, light, never, last = (
        Trunk("heavy", "192.0.2.1", group="g", weight=9),
        Trunk("light", "192.0.2.2", group="g", weight=1),
        Trunk("never", "192.0.2.3", group="g", weight=0),
        Trunk("last", "192.0.2.4", group="g", priority=5),
    )
    other = Trunk("other", "192.0.2.5")
    trunking = trunking_of(last, heavy, light, never, other)
    orders = [[trunk.name for trunk in trunking.order(last)] for _ in range(400)]
    assert all(order[2:] == ["never", "last"] for order in orders)
    assert 300 < sum(order[0] == "heavy" for order in orders) < 400
    assert trunking.order(other) == [other]


@pytest.mark.parametrize(
    ("status", "local", "heard", "on"),
    [
        (503, True, False, True), (408, True, False, True), (408, True, True, False), (503, True, True, False),
        (503, False, True, True), (504, False, True, True), (502, False, False, True), (408, False, True, False),
        (500, False, False, False), (486, False, False, False), (404, False, False, False), (603, False, True, False),
    ],
)  # fmt: skip
def test_which_failures_go_on(status: int, local: bool, heard: bool, on: bool) -> None:
    trunk = Trunk("t", "192.0.2.1")
    failure = CallFailed("c", status, "", locally_generated=local, headers=Headers())
    assert trunking_of(trunk).goes_on(trunk, failure, was_heard=heard) is on


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_calls_beyond_the_limit_wait_their_turn() -> None:
    async with carrier_with() as carrier, line_over(Trunk("narrow", *carrier.address, max_calls=1)) as line:
        first = line.dial(NUMBER)
        await line.until(first, Answered)
        second, third = line.dial(NUMBER), line.dial(NUMBER)
        await asyncio.sleep(0.05)
        assert carrier.calls_taken == 1
        line.telephony.hang_up(second)
        assert (await line.until(second, NotAnswered)).status is CallStatus.CANCELED
        line.telephony.hang_up(first)
        await line.until(third, Answered)
        line.telephony.hang_up(third)
        await line.until(third, HungUp)


async def test_a_group_gives_the_call_to_whoever_has_room() -> None:
    async with carrier_with() as carrier:
        one = Trunk("one", *carrier.address, group="g", max_calls=1)
        two = Trunk("two", *carrier.address, group="g", max_calls=1, priority=1)
        async with line_over(one, two) as line:
            legs = [line.dial(NUMBER), line.dial(NUMBER)]
            for leg in legs:
                await line.until(leg, Answered)
            used = {str(entry.fields["trunk"]) for leg in legs for entry in line.entries(leg, "telephony.trunk")}
            assert used == {"one", "two"}


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_the_queue_is_in_order_bounded_and_patient_for_so_long() -> None:
    door = Admission("t", 1, 0, platform_clock(), most_waiting=2, longest_wait_seconds=0.05)
    await door.enter("a")
    order: list[str] = []

    async def wait(key: str) -> None:
        await door.enter(key)
        order.append(key)

    waiting = [asyncio.create_task(wait(key)) for key in ("b", "c")]
    await asyncio.sleep(0)
    with pytest.raises(TrunksFull, match="2 calls wait"):
        await door.enter("d")
    door.leave()
    await waiting[0]
    with pytest.raises(TrunksFull, match="no room"):
        await waiting[1]
    assert (order, door.calls, door.waiting) == (["b"], 1, 0)


async def test_a_rate_is_kept() -> None:
    clock = Hand()
    door = Admission("t", 0, 2, clock)
    taken = []
    for _ in range(40):
        taken.append(door.enter_at_once())
        clock.now += 0.125
    assert taken[:10] == [True, True, False, False, True, False, False, False, True, False]
    assert sum(taken) == 11
    other = asyncio.create_task(Admission("t", 0, 100, platform_clock()).enter("x"))
    await other


async def test_a_cancelled_wait_takes_no_room() -> None:
    door = Admission("t", 1, 0, platform_clock())
    await door.enter("a")
    waiting = asyncio.create_task(door.enter("b"))
    await asyncio.sleep(0)
    waiting.cancel()
    door.leave()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (door.calls, door.waiting) == (0, 0)
    assert door.enter_at_once()


# --- registration and health -----------------------------------------------------------------------------------------


async def test_a_registering_trunk_is_told_where_we_are_and_that_we_leave() -> None:
    async with DatagramsOnly().running() as registrar:
        trunk = Trunk("reg", *registrar.address, username="us", register_seconds=600, from_domain="x.test")
        async with line_over(trunk) as line:
            await until(lambda: line.telephony._trunking.registered("reg"))
            (register,) = registrar.requests
            assert register.method == "REGISTER"
            assert register.headers.get("Expires") == "600"
            assert "<sip:us@x.test>" in (register.headers.get("To") or "")
            port = line.telephony.address[1]
            assert register.headers.get("Contact") == f"<sip:callwright@127.0.0.1:{port}>"
        last = registrar.requests[-1]
        assert (last.method, last.headers.get("Expires")) == ("REGISTER", "0")
        assert last.headers.get("Call-ID") == register.headers.get("Call-ID")


async def test_options_find_out_who_is_there() -> None:
    async with DatagramsOnly().running() as there:
        here = Trunk("here", *there.address, group="g", priority=2, options_seconds=1)
        dead = Trunk("dead", "127.0.0.1", unused_port(), group="g", priority=1, options_seconds=1)
        async with line_over(dead, here) as line:
            await until(lambda: line.telephony.route(NUMBER, "+6531350000").trunk == "here")
            await until(lambda: bool(there.requests))
            assert there.requests[0].method == "OPTIONS"


# --- names -----------------------------------------------------------------------------------------------------------


class Names:
    """A name system with these records."""

    def __init__(self, records: dict[tuple[str, str], Answers]) -> None:
        self.records = records
        self.asked: list[str] = []

    async def ask(self, question: Question, family: socket.AddressFamily) -> Answers:
        self.asked.append(f"{question.kind} {question.name}")
        found = self.records.get((question.kind, question.name))
        if found is None and question.kind == "ADDRESS":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found or []


async def test_a_domain_is_followed_to_its_servers() -> None:
    names = Names(
        {
            ("NAPTR", "example.com"): [Naptr(1, 1, "s", "SIPS+D2T", "_sips._tcp.example.com.")],
            ("SRV", "_sips._tcp.example.com"): [Srv(1, 1, 5071, "a.example.com."), Srv(2, 1, 5072, "b.example.com.")],
            ("ADDRESS", "b.example.com"): ["192.0.2.2"],
        }
    )
    resolver = Resolver(socket.AF_INET, platform_clock(), names)
    found = await resolver.resolve(Trunk("t", "example.com", port_named=False))
    assert found == (StreamAddress("192.0.2.2", 5072, "TLS", "example.com"),)
    assert resolver.known_hosts == {"192.0.2.2"}


async def test_srv_failover_reaches_the_second_server() -> None:
    async with carrier_with() as carrier:
        trunk = Trunk("srv", "sip.example.com", port_named=False, transport="UDP")
        names = Names(
            {
                ("SRV", "_sip._udp.sip.example.com"): [
                    Srv(1, 1, unused_port(), "a.example.com."), Srv(2, 1, carrier.address[1], "b.example.com."),
                ],
                ("ADDRESS", "a.example.com"): ["127.0.0.1"],
                ("ADDRESS", "b.example.com"): ["127.0.0.1"],
            }
        )  # fmt: skip
        async with line_over(trunk) as line:
            line.telephony._trunking.use(Resolver(socket.AF_INET, platform_clock(), names))
            leg = line.dial(NUMBER)
            await line.until(leg, Answered)
            assert len(line.entries(leg, "telephony.trunk")) == 2
            line.telephony.hang_up(leg)


# --- numbers and identities ------------------------------------------------------------------------------------------


def test_numbers_are_written_as_the_trunk_reads_them() -> None:
    national = Trunk("n", "192.0.2.1", number_format=CallerIdFormat.NATIONAL, country="GB")
    assert national.number("+442071234567") == "02071234567"
    assert national.number("+6561234567") == "006561234567"
    rules = ((r"^\+65(\d+)$", r"9\1"), (r"^\+", "00"))
    rewriting = Trunk("r", "192.0.2.1", rewrite=rules)
    assert [rewriting.number(number) for number in ("+6561234567", "+4912345678")] == ["961234567", "004912345678"]
    assert rewriting.caller_number("+6561234567") == "+6561234567"


def test_identity_and_privacy() -> None:
    trunk = Trunk("p", "192.0.2.1", identity="P-Asserted-Identity", from_user="acct", from_domain="x.test")
    assert str(trunk.caller("+6561234567", "192.0.2.9")) == "<sip:acct@x.test>"
    headers = trunk.call_headers("+6561234567", "192.0.2.9", "s")
    assert headers == [("P-Asserted-Identity", "<sip:+6561234567@x.test>")]
    hidden = Trunk("h", "192.0.2.1", identity="P-Asserted-Identity", privacy="id", headers=(("X-A", "b"),))
    assert "anonymous.invalid" in str(hidden.caller("+6561234567", "192.0.2.9"))
    assert hidden.call_headers("+6561234567", "192.0.2.9", "s") == [
        ("P-Asserted-Identity", "<sip:+6561234567@192.0.2.9>"), ("Privacy", "id"), ("X-A", "b"),
    ]  # fmt: skip
    assert str(Trunk("f", "192.0.2.1").caller("+6561234567", "192.0.2.9")) == "<sip:+6561234567@192.0.2.9>"
