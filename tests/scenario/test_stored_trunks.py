"""Story: an operator adds a trunk from another process while the platform runs, and takes it away again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from callwright.audio import wav
from callwright.callflow.events import Answered
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import LoopbackLine, own_host, unused_ports
from callwright.sip.negotiation import Srtp
from callwright.storage.place import open_store
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

if TYPE_CHECKING:
    from tests.conftest import OpenSite, Site
    from tests.customers import Customer

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = "+6582227777"
PATIENCE_SECONDS = 40


async def test_calls_go_over_a_trunk_as_soon_as_it_is_stored(open_site: "OpenSite", tmp_path: Path) -> None:
    outside = Carrier("127.0.0.1", 0, platform_clock(), usual=Behaviour(answer_after_seconds=0.1))
    await outside.start()
    try:
        async with open_site(tmp_path) as site, site.customer() as customer:

            async def trunk_of_a_call() -> object:
                session_id = await customer.say(NUMBER, "One.")
                assert (await customer.summary(session_id))["sessionStatus"] == "COMPLETED"
                return (await customer.story(session_id)).only("telephony.trunk")["trunk"]

            async def until_carried_by(*names: str) -> None:
                async with asyncio.timeout(60):
                    while [report.name for report in site.node.telephony.trunk_reports()] != list(names):  # noqa: ASYNC110  another process tells nobody
                        await asyncio.sleep(0.05)

            assert await trunk_of_a_call() == "built-in"
            elsewhere = await open_store(site.node.settings, exclusive=False)
            try:
                host, port = outside.address
                await elsewhere.put_trunk("outside", {"uri": f"sip:{host}:{port}"})
                await until_carried_by("outside")
                assert await trunk_of_a_call() == "outside"
                assert outside.calls_taken == 1
                await elsewhere.remove_trunk("outside")
                await until_carried_by("built-in")
            finally:
                await elsewhere.close()
            assert await trunk_of_a_call() == "built-in"
    finally:
        await outside.stop()


# --- what no trunk spoke at the start ---------------------------------------------------------------------------------


@asynccontextmanager
async def exchange(site: "Site", codecs: tuple[str, ...], srtp: Srtp) -> AsyncIterator[LoopbackLine]:
    """Another exchange that speaks those codecs, and takes calls from the node."""
    host, port = site.node.telephony.address
    node = Trunk("node", host, port, codecs=codecs, srtp=srtp)
    line = LoopbackLine(TelephonySettings(own_host(), 0, unused_ports(8, own_host()), (node,)), platform_clock())
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()


async def heard_by(line: LoopbackLine, customer: "Customer", path: Path) -> tuple[np.ndarray, str]:
    """What the exchange hears of a message, and the session's id."""
    session_id = await customer.say(NUMBER, "One, two, three, four.")
    async with asyncio.timeout(PATIENCE_SECONDS):
        leg = (await line.take()).leg_id
        line.telephony.pick_up(leg)
        await line.until(leg, Answered)
    line.telephony.record(leg, "r", path)
    assert (await customer.summary(session_id))["sessionStatus"] == "COMPLETED"
    await line.recordings.get()
    return wav.parse(await asyncio.to_thread(path.read_bytes)).samples, session_id


@pytest.mark.parametrize(("codec", "srtp"), [("G722", "off"), ("OPUS", "required"), ("PCMU", "required")])
async def test_a_trunk_that_speaks_what_none_spoke_before_does_so_at_once(
    open_site: "OpenSite", tmp_path: Path, codec: str, srtp: Srtp
) -> None:
    async with open_site(tmp_path) as site, site.customer() as customer:
        admin = {"Authorization": f"Bearer {await site.node.store.create_key(customer.sub_account, 'ops', ['admin'])}"}
        before = await customer.say(site.phone(), "One, two, three, four.")
        assert (await customer.summary(before))["sessionStatus"] == "COMPLETED"
        async with exchange(site, (codec,), srtp) as line, httpx.AsyncClient(base_url=site.base_url) as http:
            host, port = line.telephony.address
            table = {"uri": f"sip:{host}:{port}", "codecs": [codec], "srtp": srtp}
            answer = await http.put("/api/v1/trunks/other", json=table, headers=admin)
            assert answer.status_code == 200, answer.text
            sound, session_id = await heard_by(line, customer, tmp_path / "heard.wav")
            media = (await customer.story(session_id)).only("telephony.media")
    assert media["codec"] == codec
    assert bool(media.get("srtp")) == (srtp == "required")
    assert float(np.abs(sound.astype(np.int32)).max()) > 3_000, "speech was heard"
