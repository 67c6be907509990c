"""What trunks are told of where we are: set addresses, and those that STUN servers see."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from callwright.callflow.events import Answered, HungUp
from callwright.settings import HostPort
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import LoopbackLine, own_host, unused_port, unused_ports
from callwright.sip import stun
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

QUICK = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0)
NUMBER = "+6591234567"
OUTSIDE = stun.Mapped("203.0.113.77", 40_123)


class StunServer(asyncio.DatagramProtocol):
    """Tells whoever asks that it is somewhere else."""

    def __init__(self) -> None:
        self.mapped: stun.Mapped | None = OUTSIDE
        self.asked = 0
        self.strays: list[bytes] = []
        "what is answered before the answer"
        self.lose = 0
        "of the first questions so many are lost"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.place = HostPort(*transport.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        assert stun.is_request(data)
        self.asked += 1
        if self.asked <= self.lose:
            return
        identity = stun.transaction_id(data)
        for stray in self.strays:
            self.transport.sendto(stray, source)
        if self.mapped is None:
            self.transport.sendto(stun.serialize_error(identity, 403, "Forbidden"), source)
        else:
            self.transport.sendto(stun.serialize_success(identity, self.mapped), source)


@asynccontextmanager
async def stun_server() -> AsyncIterator[StunServer]:
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        server.transport.close()
        await asyncio.sleep(0)  # closing takes a turn of the loop


@asynccontextmanager
async def line_to_carrier(
    trunk: Trunk | None = None, *, advertise: HostPort | None = None, server: HostPort | None = None
) -> AsyncIterator[LoopbackLine]:
    """A line whose one trunk is a carrier; `trunk` says what is special about it."""
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=QUICK)
    await carrier.start()
    host, port = carrier.address
    own = replace(trunk or Trunk("main", ""), host=host, port=port)
    settings = TelephonySettings(
        "127.0.0.1", 0, unused_ports(16), (own,), advertise=advertise, stun=server, stop_limit_seconds=1.0
    )
    line = LoopbackLine(settings, platform_clock())
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()
        await carrier.stop()


async def invite_of(line: LoopbackLine) -> str:
    """The text of an INVITE of a call that was answered."""
    leg = line.dial(NUMBER)
    await line.until(leg, Answered)
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)
    return str(line.entries(leg, "sip.sent")[0].fields["text"])


def told(invite: str) -> tuple[str, str, str, str]:
    """Via's and Contact's place, and the media's host and From's."""
    via = re.search(r"^Via: SIP/2.0/\w+ ([^;]+)", invite, re.MULTILINE)
    contact = re.search(r"^Contact: <sip:callwright@([^;>]+)", invite, re.MULTILINE)
    media = re.search(r"^c=IN IP4 (\S+)", invite, re.MULTILINE)
    caller = re.search(r"^From: <sip:[^@]+@([^>]+)>", invite, re.MULTILINE)
    assert via is not None
    assert contact is not None
    assert media is not None
    assert caller is not None
    return via[1], contact[1], media[1].strip(), caller[1]


async def test_without_anything_set_we_are_where_we_are_bound() -> None:
    async with line_to_carrier() as line:
        place = f"127.0.0.1:{line.telephony.address[1]}"
        assert told(await invite_of(line)) == (place, place, "127.0.0.1", "127.0.0.1")


async def test_an_advertised_address_stands_in_via_contact_and_media() -> None:
    async with line_to_carrier(advertise=HostPort("203.0.113.5", 5070)) as line:
        assert told(await invite_of(line)) == ("203.0.113.5:5070", "203.0.113.5:5070", "203.0.113.5", "203.0.113.5")


async def test_an_advertised_address_without_a_port_keeps_ours() -> None:
    async with line_to_carrier(advertise=HostPort("203.0.113.5", 0)) as line:
        place = f"203.0.113.5:{line.telephony.address[1]}"
        assert told(await invite_of(line)) == (place, place, "203.0.113.5", "203.0.113.5")


async def test_what_a_trunk_is_told_wins_over_what_all_are() -> None:
    own = Trunk("main", "", advertise=HostPort("198.51.100.9", 0), transport="TCP")
    async with line_to_carrier(own, advertise=HostPort("203.0.113.5", 5070)) as line:
        place = f"198.51.100.9:{line.telephony.address[1]}"
        assert told(await invite_of(line)) == (place, place, "198.51.100.9", "198.51.100.9")


async def test_the_built_in_carrier_is_on_this_machine() -> None:
    async with line_to_carrier(Trunk("main", "", built_in=True), advertise=HostPort("203.0.113.5", 5070)) as line:
        assert "203.0.113.5" not in await invite_of(line)


@pytest.mark.parametrize("of_the_trunk", [True, False])
async def test_a_stun_servers_answer_is_advertised(*, of_the_trunk: bool) -> None:
    async with stun_server() as server:
        server.lose = 1
        stranger = stun.serialize_success(bytes(12), stun.Mapped("198.51.100.66", 66))
        server.strays = [stranger, b"\0\1\0\0" + stranger[4:8] + bytes(11)]
        trunk = Trunk("main", "", stun=server.place if of_the_trunk else None)
        async with line_to_carrier(trunk, server=None if of_the_trunk else server.place) as line:
            place = f"{OUTSIDE.host}:{OUTSIDE.port}"
            assert told(await invite_of(line)) == (place, place, OUTSIDE.host, OUTSIDE.host)


async def test_over_connections_the_mapping_of_datagrams_says_no_port() -> None:
    async with (
        stun_server() as server,
        line_to_carrier(Trunk("main", "", transport="TCP"), server=server.place) as line,
    ):
        place = f"{OUTSIDE.host}:{line.telephony.address[1]}"
        assert told(await invite_of(line)) == (place, place, OUTSIDE.host, OUTSIDE.host)


async def test_a_server_that_refuses_leaves_us_where_we_are_bound(caplog: pytest.LogCaptureFixture) -> None:
    async with stun_server() as server:
        server.mapped = None
        async with line_to_carrier(server=server.place) as line:
            assert told(await invite_of(line))[2] == "127.0.0.1"
    assert "the STUN server refuses: 403 Forbidden; no address is advertised" in caplog.text


@contextmanager
def coturn(folder: Path) -> Iterator[HostPort]:
    """A real STUN server on loopback."""
    program = shutil.which("turnserver")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("coturn is not installed (Debian's coturn)")
        pytest.skip("coturn is not installed (Debian's coturn)")
    host, port = own_host(), unused_port(own_host())
    words = [program, "-n", "--stun-only", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout", "--no-stdout-log"]
    words += [f"--listening-ip={host}", f"--listening-port={port}", f"--pidfile={folder / 'pid'}", "--no-rfc5780"]
    words += [f"--userdb={folder / 'turndb'}"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            for _ in range(100):
                assert process.poll() is None, "coturn ended"
                asking.sendto(stun.serialize_request(bytes(12)), (host, port))
                try:
                    asking.recv(1024)
                except (TimeoutError, ConnectionRefusedError):
                    continue
                break
        yield HostPort(host, port)
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.real
async def test_coturn_sees_us_where_we_are(tmp_path: Path) -> None:
    with coturn(tmp_path) as server:
        async with line_to_carrier(server=server) as line:
            place = f"127.0.0.1:{line.telephony.address[1]}"
            assert told(await invite_of(line)) == (place, place, "127.0.0.1", "127.0.0.1")
            assert await line.telephony.seen_from_outside(server) == stun.Mapped(*line.telephony.address)
