"""Story: an operator adds a trunk from another process while the platform runs, and takes it away again."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.storage.place import open_store
from callwright.telemetry.clock import platform_clock

if TYPE_CHECKING:
    from tests.conftest import OpenSite

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBER = "+6582227777"


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
