"""Story: `callwright serve` is the platform for production: it refuses to start half set up, allows what is listed."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.telemetry.clock import platform_clock

if TYPE_CHECKING:
    from tests.programs import Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def carrier() -> AsyncIterator[Carrier]:
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=Behaviour(answer_after_seconds=0.1))
    await carrier.start()
    yield carrier
    await carrier.stop()


async def test_it_refuses_without_keys_then_without_a_trunk_and_serves_with_both(
    shell: "Shell", carrier: Carrier
) -> None:
    place = ["--http", "127.0.0.1:0", "--sip", "127.0.0.1:0"]
    trunk = ["--trunk", "sip:{}:{}".format(*carrier.address)]
    without_key = await shell.ended("serve", *place, *trunk)
    assert (without_key.status, without_key.out) == (2, "")
    assert "callwright keys create" in without_key.err

    key = (await shell.ended("keys", "create", "shop")).out.strip()
    without_trunk = await shell.ended("serve", *place)
    assert (without_trunk.status, without_trunk.out) == (2, "")
    assert "--trunk" in without_trunk.err

    (shell.folder / "callwright.toml").write_text(
        f"""
        [trunks.main]
        uri = "sip:{carrier.address[0]}:{carrier.address[1]}"
        [subaccounts.shop]
        caller_ids = ["+6531350000"]
        destinations = ["+65"]
        """
    )
    platform = await shell.platform("--config", "callwright.toml", command="serve")
    assert key not in platform.program.out
    assert "curl" not in platform.program.out
    async with platform.customer("shop", key) as shop:
        session_id = await shop.say("+6581234567", "One.")
        # A summary to a loopback address is refused in production, so the session itself is asked.
        story = await shop.story(session_id)
        assert story.only("session.finished")["status"] == "COMPLETED"
        assert story.only("telephony.trunk")["trunk"] == "main"
        not_listed = await shop.http.post(
            "/callflows",
            json={
                "callflow": [
                    {"action": "makeCall", "params": {"source": "+6599999999", "destination": "+6581234567"}},
                    {"action": "hangup"},
                ]
            },
        )
        assert (not_listed.status_code, not_listed.json()["statusCode"]) == (422, -1014)
        abroad = await shop.story(await shop.say("+442071234567", "One."))
        assert abroad.only("session.finished")["error"] == -2004
        local_file = await shop.story(await shop.play("+6581234567", shop.web.url("/message.wav")))
        assert local_file.only("session.finished")["error"] == -2006
        assert shop.web.fetched == []
        assert shop.web.posted == []
    assert carrier.calls_taken == 1


async def test_without_any_table_nothing_is_allowed(shell: "Shell", carrier: Carrier) -> None:
    key = (await shell.ended("keys", "create", "shop")).out.strip()
    trunk = "sip:{}:{}".format(*carrier.address)
    platform = await shell.platform("--trunk", trunk, command="serve")
    async with platform.customer("shop", key) as shop:
        call = {"action": "makeCall", "params": {"source": "+6531350000", "destination": "+6581234567"}}
        answer = await shop.http.post("/callflows", json={"callflow": [call, {"action": "hangup"}]})
        assert (answer.status_code, answer.json()["statusCode"]) == (422, -1014)
    assert carrier.calls_taken == 0
