"""3xx: followed inside the trunk, for the same number or one like it, and never round in circles."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from callwright.callflow.events import Answered, HungUp, NotAnswered
from callwright.callflow.outcome import CallStatus
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import LoopbackLine, unused_ports
from callwright.sip.address import SipUri
from callwright.sip.message import Headers, Request
from callwright.sip.parse import parse, serialize
from callwright.sip.responses import response_to
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.redirection import contacts_of, may_stand_for
from callwright.telephony.trunk import Trunk

NUMBER = "+6591234567"
QUICK = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0)


class Redirector:
    """Answers every INVITE with a 302."""

    def __init__(self) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.setblocking(False)  # noqa: FBT003  positional only
        self.address: tuple[str, int] = self.udp.getsockname()
        self.contacts: list[str] = []
        self.asked: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Redirector"]:
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
        if request.method == "INVITE":
            self.asked.append(request.uri)
            extra = [("Contact", contact) for contact in self.contacts]
            self.udp.sendto(serialize(response_to(request, 302, to_tag="them", extra=extra)), source)


@asynccontextmanager
async def world() -> AsyncIterator[tuple[Redirector, Carrier, LoopbackLine]]:
    """A line over a trunk that only redirects, and a carrier at the same host."""
    async with AsyncExitStack() as stack:
        redirector = await stack.enter_async_context(Redirector().running())
        carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=QUICK)
        await carrier.start()
        stack.push_async_callback(carrier.stop)
        trunk = Trunk("main", *redirector.address, max_calls=1)
        line = LoopbackLine(TelephonySettings("127.0.0.1", 0, unused_ports(8), (trunk,)), platform_clock())
        await line.telephony.start()
        stack.push_async_callback(line.telephony.stop)
        yield redirector, carrier, line


@pytest.mark.parametrize("user", [NUMBER, "+6598887777"])
async def test_a_redirection_inside_the_trunk_is_followed(user: str) -> None:
    async with world() as (redirector, carrier, line):
        port = carrier.address[1]
        redirector.contacts = [
            "<mailto:somebody@example.com>",
            "<sip:+6591234567@192.0.2.1>;q=1.0",
            f"<sip:{user}@127.0.0.1:{port}>;q=0.5",
            f"<sip:+6591234567@localhost:{port + 1}>;q=0.1",
        ]
        leg = line.dial(NUMBER)
        await line.until(leg, Answered)
        assert carrier.calls_taken == 1
        (entry,) = line.entries(leg, "telephony.redirected")
        assert (entry.fields["followed"], entry.fields["contact"]) == (True, f"sip:{user}@127.0.0.1:{port}")
        second = line.dial(NUMBER)  # the limit of one call still holds
        line.telephony.hang_up(leg)
        await line.until(leg, HungUp)
        await line.until(second, Answered)


async def test_a_name_of_the_trunks_host_is_followed() -> None:
    async with world() as (redirector, carrier, line):
        redirector.contacts = [f"<sip:{NUMBER}@localhost:{carrier.address[1]}>"]
        await line.until(line.dial(NUMBER), Answered)


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:+6591234567@192.0.2.1>",
        "<sip:+6591234567@nowhere.invalid>",
        "<sip:+442071234567@127.0.0.1:PORT>",
        "<sip:+6519001234567@127.0.0.1:PORT>",
        "<sip:00442071234567@127.0.0.1:PORT>",
        "<sip:operator@127.0.0.1:PORT>",
        "<sip:+6591234567@127.0.0.1:PORT;transport=tcp>",
        "<sips:+6591234567@127.0.0.1:PORT>",
        "<tel:+6591234567>",
    ],
)
async def test_a_redirection_elsewhere_is_reported(contact: str) -> None:
    async with world() as (redirector, carrier, line):
        redirector.contacts = [contact.replace("PORT", str(carrier.address[1]))]
        leg = line.dial(NUMBER)
        end = await line.until(leg, NotAnswered)
        assert (end.status, end.sip_code) == (CallStatus.FAILED, 302)
        assert carrier.calls_taken == 0
        assert line.entries(leg, "telephony.redirected")[0].fields["followed"] is False


async def test_circles_and_endless_ways_end() -> None:
    async with world() as (redirector, _, line):
        host, port = redirector.address
        redirector.contacts = [f"<sip:{NUMBER}@{host}:{port}>"]
        leg = line.dial(NUMBER)
        assert (await line.until(leg, NotAnswered)).sip_code == 302
        assert len(redirector.asked) == 1
        assert line.entries(leg, "telephony.redirected")[0].fields["reason"] == "it goes round in circles"
        redirector.asked.clear()
        redirector.contacts = [f"<sip:+659888777{number}@{host}:{port}>" for number in range(9)]
        assert (await line.until(line.dial(NUMBER), NotAnswered)).sip_code == 302
        assert len(redirector.asked) == 6


def test_contacts_are_sorted_and_bounded() -> None:
    lines = [("Contact", f"<sip:{number}@192.0.2.1>;q=0.{number}") for number in range(1, 10)] * 3
    assert [uri.user for uri in contacts_of(Headers(lines))] == ["9", "8", "7", "6", "5", "4", "3", "2", "1", "1"]
    assert contacts_of(Headers([("Contact", "<sip:a@x>;q=nan"), ("Contact", "<sip:b@x>;q=2"), ("Contact", "*")])) == []
    assert contacts_of(None) == []


def test_only_the_same_user_or_a_number_of_the_same_country_stands_for_it() -> None:
    asked = SipUri.parse("sip:91234567@192.0.2.1")
    assert may_stand_for(SipUri.parse("sip:91234567@192.0.2.2"), asked, NUMBER)
    assert may_stand_for(SipUri.parse("sip:+6598887777;npdi@192.0.2.2"), asked, NUMBER)
    assert not may_stand_for(SipUri.parse("sip:98887777@192.0.2.2"), asked, NUMBER)
    assert not may_stand_for(SipUri.parse("sip:192.0.2.2"), asked, NUMBER)
