"""A call that the trunk sends back to us: through Kamailio, with digest, over each transport; and to SIPp's echo."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.needs import need
from tests.telephony.kamailio_peer import kamailio, need_kamailio

from callwright.doctor.examine import Wish, examine
from callwright.doctor.finding import Finding, Level
from callwright.simulator.loopback import own_host, unused_port, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

if TYPE_CHECKING:
    from tests.telephony.conftest import Authority

pytestmark = pytest.mark.real

WISH = Wish("+6591234567", "+6531350000", tone_seconds=0.5)


async def looked_at(trunk: Trunk, sip_port: int) -> list[Finding]:
    settings = TelephonySettings("127.0.0.1", sip_port, unused_ports(8), ())
    return [finding async for finding in examine(trunk, settings, WISH, platform_clock())]


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_both_ends_hear_each_other_through_kamailio(
    tmp_path: Path, authority: "Authority", transport: str
) -> None:
    need_kamailio()
    ours = unused_port()
    certificate = authority.certify(f"loop-{transport}", ["localhost"], days=90)
    async with kamailio(tmp_path, ours, certificate) as (sip_port, tls_port):
        port = tls_port if transport == "TLS" else sip_port
        trunk = Trunk(
            "kamailio", "localhost", port, username="us", password="open sesame", transport=transport,
            ca_file=authority.file,
        )  # fmt: skip
        found = await looked_at(trunk, ours)
    assert [finding for finding in found if finding.level is not Level.OK] == []
    texts = [finding.text for finding in found]
    assert "each end hears the other's tone" in texts
    assert any(text.endswith("keys that were played as tones came through: 147") for text in texts)


async def test_a_wrong_password_at_kamailio(tmp_path: Path, authority: "Authority") -> None:
    need_kamailio()
    ours = unused_port()
    async with kamailio(tmp_path, ours, authority.certify("loop-wrong", ["localhost"])) as (sip_port, _):
        found = await looked_at(Trunk("k", "localhost", sip_port, username="us", password="no", transport="UDP"), ours)
    (failure,) = [finding for finding in found if finding.level is Level.FAILURE]
    assert (failure.check, failure.mend) == ("call", "username and password")


async def test_an_echo_of_sipps(tmp_path: Path) -> None:
    program = need("sipp")
    host, port = own_host(), unused_port(own_host())
    words = [program, "-sn", "uas", "-i", host, "-p", str(port), "-mi", host, "-mp", str(unused_port(host) & ~1)]
    words += ["-rtp_echo", "-nostdin"]
    process = await asyncio.create_subprocess_exec(*words, cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL)
    try:
        found = await looked_at(Trunk("sipp", host, port), 0)
    finally:
        process.kill()
        await process.wait()
    texts = {finding.check: finding for finding in found}
    assert texts["sound"].text == "our tone came back: sound goes both ways"
    assert texts["keys"].level is Level.WARNING  # its scenario has no telephone-events
