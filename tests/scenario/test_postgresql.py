"""Story: a node whose database is PostgreSQL, which is restarted while people talk."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from tests.customers import CALLER
from tests.postgres import Postgres

from callwright.simulator.behaviour import Behaviour

if TYPE_CHECKING:
    from tests.conftest import OpenSite, Site
    from tests.customers import Customer

pytestmark = pytest.mark.asyncio

LONG = "One two three four five six seven eight nine ten. " * 3


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One that may be stopped."""
    server = Postgres(is_durable=True)
    yield server
    server.remove()


@pytest_asyncio.fixture
async def site(server: Postgres, open_site: "OpenSite", tmp_path: Path) -> "AsyncIterator[Site]":
    async with open_site(tmp_path, database=server.url(server.create())) as running:
        yield running


async def asked(customer: "Customer", number: str) -> httpx.Response:
    """The answer to a request for a call."""
    call = {"action": "makeCall", "params": {"source": CALLER, "destination": number}}
    return await customer.http.post("/callflows", json={"callflow": [call, {"action": "hangup"}]})


async def asked_until_taken(customer: "Customer", number: str) -> str:
    """The id of the session, once the database is back."""
    for _ in range(300):
        answer = await asked(customer, number)
        if answer.status_code == 200:
            return str(answer.json()["sessionId"])
        assert answer.status_code == 503
        await asyncio.sleep(0.1)
    raise AssertionError("the database is not found again")


async def test_calls_go_on_while_the_database_is_away_and_are_told_of_when_it_is_back(
    site: "Site", server: Postgres
) -> None:
    async with site.customer() as customer:
        number = site.phone(Behaviour(answer_after_seconds=0.1))
        session_id = await customer.say(number, LONG)
        await customer.until(session_id, "event.Answered")
        await asyncio.to_thread(server.stop)
        answer = await asked(customer, number)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await customer.http.get(f"/sessions/{session_id}")).status_code == 503
        assert len(await site.recording(session_id)) > 8_000  # heard to the end, by somebody who then hung up
        assert customer.summaries_of(session_id) == []
        server.start()
        summary = await customer.summary(session_id)
        assert summary["sessionStatus"] == "COMPLETED"
        later = await asked_until_taken(customer, number)
        assert (await customer.summary(later))["sessionStatus"] == "COMPLETED"
        assert len(customer.summaries_of(session_id)) == 1
