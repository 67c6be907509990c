"""Calls through Kamailio, which nobody here wrote, as a trunk: digest, UDP, TCP and TLS, Record-Route."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.telephony.kamailio_peer import kamailio, need_kamailio

from callwright.callflow.events import Answered, HungUp, NotAnswered, Ringing
from callwright.callflow.outcome import CallStatus
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import LoopbackLine, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

if TYPE_CHECKING:
    from tests.telephony.conftest import Authority

NUMBER = "+6591234567"

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True, scope="module")
def _kamailio_is_installed() -> None:
    need_kamailio()


@asynccontextmanager
async def behind_kamailio(
    folder: Path, authority: "Authority", behaviour: Behaviour, transport: str, password: str = "open sesame"
) -> AsyncIterator[LoopbackLine]:
    clock = platform_clock()
    carrier = Carrier("127.0.0.1", 0, clock, usual=behaviour)
    await carrier.start()
    try:
        certificate = authority.certify(f"kamailio-{transport}", ["localhost"])
        async with kamailio(folder, carrier.address[1], certificate) as (sip_port, tls_port):
            port = tls_port if transport == "TLS" else sip_port
            trunk = Trunk(
                "kamailio", "localhost", port, username="us", password=password, transport=transport,
                ca_file=authority.file,
            )  # fmt: skip
            line = LoopbackLine(TelephonySettings("127.0.0.1", 0, unused_ports(8), (trunk,)), clock)
            await line.telephony.start()
            try:
                yield line
            finally:
                await line.telephony.stop()
    finally:
        await carrier.stop()


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_calls_through_kamailio(tmp_path: Path, authority: "Authority", transport: str) -> None:
    usual = Behaviour(ring_after_seconds=0.1, answer_after_seconds=0.3)
    async with behind_kamailio(tmp_path, authority, usual, transport) as line:
        for _ in range(3):
            leg = line.dial(NUMBER)
            await line.until(leg, Answered)
            line.telephony.hang_up(leg)
            await line.until(leg, HungUp)
            ladder = line.ladder(leg)
            assert "← 407 INVITE" in ladder
            assert ladder[-2:] == ["→ BYE", "← 200 BYE"]
            peers = {str(entry.fields["peer"]) for entry in line.entries(leg, "sip.sent")}
            assert all(peer.startswith(f"{transport} ") for peer in peers) is (transport != "UDP")


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_the_callee_hangs_up_through_kamailio(tmp_path: Path, authority: "Authority", transport: str) -> None:
    usual = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0, hang_up_after_answer_seconds=0.3)
    async with behind_kamailio(tmp_path, authority, usual, transport) as line:
        leg = line.dial(NUMBER)
        assert (await line.until(leg, HungUp)).by.value.lower() == "them"


async def test_a_wrong_password_fails_at_kamailio(tmp_path: Path, authority: "Authority") -> None:
    async with behind_kamailio(tmp_path, authority, Behaviour(), "TCP", "wrong") as line:
        end = await line.until(line.dial(NUMBER), NotAnswered)
        assert (end.status, end.sip_code) == (CallStatus.FAILED, 407)


async def test_a_cancelled_call_through_kamailio(tmp_path: Path, authority: "Authority") -> None:
    async with behind_kamailio(tmp_path, authority, Behaviour(0.0, None), "TCP") as line:
        leg = line.dial(NUMBER)
        await line.until(leg, Ringing)
        line.telephony.hang_up(leg)
        assert (await line.until(leg, NotAnswered)).status is CallStatus.CANCELED
        assert "→ CANCEL" in line.ladder(leg)
