"""Trunks that come, change and go while a line runs and calls are up."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from callwright.callflow.events import Answered, HungUp, NotAnswered
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.errors import TelephonyError
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import EndedWithout, LoopbackLine, own_host, unused_port, unused_ports
from callwright.sip.message import Request
from callwright.sip.parse import parse, serialize
from callwright.sip.responses import response_to
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.signalling import Listening
from callwright.telephony.trunk import Trunk

if TYPE_CHECKING:
    from tests.telephony.conftest import Authority

QUICK = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0)
NUMBER = "+6591234567"


@asynccontextmanager
async def carrier_with(behaviour: Behaviour = QUICK, tls: Listening | None = None) -> AsyncIterator[Carrier]:
    # On an address of its own: trunks are told apart by it.
    carrier = Carrier(own_host(), 0, platform_clock(), usual=behaviour, tls=tls)
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


async def test_a_trunk_that_is_added_takes_calls_at_once() -> None:
    async with carrier_with() as carrier, line_over() as line:
        with pytest.raises(TelephonyError, match="none is configured"):
            line.telephony.route(NUMBER, "+6531350000")
        await line.telephony.change_trunks([Trunk("new", *carrier.address)])
        leg = line.dial(NUMBER)
        await line.until(leg, Answered)
        (report,) = line.telephony.trunk_reports()
        assert (report.name, report.calls, report.is_healthy, report.is_registered) == ("new", 1, True, None)


@pytest.mark.parametrize("altered", [True, False])
async def test_a_call_outlives_its_trunk(*, altered: bool) -> None:
    """The carrier's BYE still counts, and its address is a stranger's once the call is over."""
    behaviour = replace(QUICK, hang_up_after_answer_seconds=0.5)
    async with carrier_with(behaviour) as carrier:
        trunk = Trunk("main", *carrier.address)
        async with line_over(trunk) as line:
            leg = line.dial(NUMBER)
            await line.until(leg, Answered)
            await line.telephony.change_trunks([replace(trunk, host="127.0.0.2", max_calls=1)] if altered else [])
            assert (await line.until(leg, HungUp)).by is HungUpBy.THEM
            with contextlib.suppress(TelephonyError, EndedWithout):  # nobody is at 127.0.0.2
                await line.until(line.dial(NUMBER), Answered)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind((own_host(), 0))
                stranger.setblocking(False)  # noqa: FBT003  positional only
                words = f"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {own_host()}:9;rport;branch=z9hG4bKx\r\n"
                words += "From: <sip:a@b>;tag=1\r\nTo: <sip:x>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
                stranger.sendto(words.encode(), line.telephony.address)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await asyncio.get_running_loop().sock_recv(stranger, 4096)


async def test_another_limit_lets_those_in_that_wait() -> None:
    async with carrier_with() as carrier:
        trunk = Trunk("main", *carrier.address, max_calls=1)
        async with line_over(trunk) as line:
            first, second = line.dial(NUMBER), line.dial(NUMBER)
            await line.until(first, Answered)
            assert line.telephony.trunk_reports()[0].waiting == 1
            await line.telephony.change_trunks([replace(trunk, max_calls=2)])
            await line.until(second, Answered)
            assert line.telephony.trunk_reports()[0].calls == 2


async def test_a_call_that_waits_for_a_trunk_that_goes_is_still_called_over_it() -> None:
    async with carrier_with() as carrier:
        trunk = Trunk("main", *carrier.address, max_calls=1)
        async with line_over(trunk) as line:
            first, second = line.dial(NUMBER), line.dial(NUMBER)
            await line.until(first, Answered)
            await line.telephony.change_trunks([])
            line.telephony.hang_up(first)
            await line.until(second, Answered)


class Registrar:
    """Says 200 to everything, and keeps it."""

    def __init__(self) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.setblocking(False)  # noqa: FBT003  positional only
        self.address: tuple[str, int] = self.udp.getsockname()
        self.registered: list[tuple[str, str]] = []
        "Expires and Contact of each REGISTER"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Registrar"]:
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
        assert isinstance(request, Request)
        if request.method == "REGISTER":
            self.registered.append((request.headers.get("Expires") or "", request.headers.get("Contact") or ""))
        self.udp.sendto(serialize(response_to(request, 200, to_tag="them")), source)


async def test_registrations_come_and_go_with_their_trunks() -> None:
    async with Registrar().running() as registrar, line_over() as line:
        trunk = Trunk("reg", *registrar.address, username="us", register_seconds=600)
        await line.telephony.change_trunks([trunk])
        await until(lambda: bool(line.telephony.trunk_reports()[0].is_registered))
        assert line.telephony.trunk_reports()[0].registration == "200 OK"
        await line.telephony.change_trunks([trunk])  # the same again changes nothing
        assert [expires for expires, _ in registrar.registered] == ["600"]
        await line.telephony.change_trunks([replace(trunk, register_seconds=300)])
        await until(lambda: bool(line.telephony.trunk_reports()[0].is_registered))
        assert [expires for expires, _ in registrar.registered] == ["600", "0", "300"]
        await line.telephony.change_trunks([])
        assert [expires for expires, _ in registrar.registered] == ["600", "0", "300", "0"]


async def test_unusable_certificates_change_nothing() -> None:
    async with carrier_with() as carrier:
        good = Trunk("main", *carrier.address)
        async with line_over(good) as line:
            with pytest.raises(TelephonyError, match=r"no-such\.pem cannot be used"):
                await line.telephony.change_trunks([replace(good, transport="TLS", ca_file="no-such.pem")])
            await line.until(line.dial(NUMBER), Answered)


async def test_two_trunks_at_one_name_with_authorities_of_their_own(
    authority: "Authority", other_authority: "Authority"
) -> None:
    """Each connection is judged by its own trunk's authority, also when both lead to the same port."""
    port = unused_port(own_host())
    listening = Listening(own_host(), port, authority.certify("shared", ["localhost", own_host()]))
    async with carrier_with(tls=listening):
        right = Trunk("right", own_host(), port, transport="TLS", ca_file=authority.file)
        wrong = replace(right, name="wrong", ca_file=other_authority.file)
        for order in ((right, wrong), (wrong, right)):
            async with line_over(*order) as line:
                legs = {}
                for trunk in order:
                    await line.telephony.change_trunks([trunk, *[one for one in order if one is not trunk]])
                    legs[trunk.name] = line.dial(NUMBER)
                await line.until(legs["right"], Answered)
                end = await line.until(legs["wrong"], NotAnswered)
                assert (end.status, end.sip_code) == (CallStatus.FAILED, 503)
