"""Log exports over real HTTP (contract §11.1), written by the real exporter."""

import asyncio
import csv
import io
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from callwright.api.exports import Exporter
from callwright.callflow.outcome import CallQuality, CallStatus
from callwright.callflow.plan import Callflow, HangUp, MakeCall, Say
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.contract.log_csv import COLUMNS
from callwright.storage.records import ExportState
from callwright.telemetry.trace import Trace

if TYPE_CHECKING:
    from tests.api.conftest import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/subaccounts/riders_hq/messages/exports"
DAY = 86_400.0


@pytest_asyncio.fixture(loop_scope="module")
async def exporter(api: "Installation") -> AsyncIterator[Exporter]:
    """Not started yet; two sessions a piece."""
    made = Exporter(api.store, lambda: api.now, sessions_per_piece=2)
    yield made
    await made.stop()


async def past_calls(api: "Installation", count: int, at: float) -> list[str]:
    """Finished sessions of two legs each."""
    made = []
    for number in range(count):
        session_id, begun = str(uuid.uuid4()), at + number
        flow = Callflow((MakeCall("+6512341234", "+6512345678"), Say("Hello.", "en-US-JennyNeural"), HangUp()), "r")
        await api.store.accept_session(session_id, "riders_hq", flow, begun)
        legs = tuple(
            LegSummary(
                str(uuid.uuid4()), inbound=False, source="+6512341234", destination=destination, initiated_at=begun,
                connected_at=begun + 1, disconnected_at=begun + 8, status=CallStatus.COMPLETED, sip_code=200,
                quality=CallQuality(4.32, 0.0, 3),
            )
            for destination in ("+6512345678", "+442071234567")
        )  # fmt: skip
        summary = SessionSummary(session_id, "riders_hq", CallStatus.COMPLETED, begun, begun + 8, "HANGUP", legs)
        await api.store.finish_session(summary, b"{}", Trace(session_id), begun + 8)
        made.append(session_id)
    return made


async def start(api: "Installation", **body: object) -> str:
    answer = await api.client.post(PATH, json=body, headers=api.as_rider())
    assert answer.status_code == 202
    job_id: str = answer.json()["jobId"]
    return job_id


async def show(api: "Installation", job_id: str) -> Any:
    answer = await api.client.get(f"{PATH}/{job_id}", headers=api.as_rider())
    assert answer.status_code == 200
    return answer.json()


async def until_over(api: "Installation", job_id: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            state = await show(api, job_id)
            if state["status"] not in {"queued", "running"}:
                return state
            await asyncio.sleep(0.01)


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert tuple(rows.fieldnames or ()) == COLUMNS
    return list(rows)


async def test_a_job_becomes_a_file_that_needs_no_key(api: "Installation", exporter: Exporter) -> None:
    api.pass_time(30 * DAY)
    sessions = await past_calls(api, 5, api.now - 2 * DAY)
    job_id = await start(api)
    assert api.woken[-1] == "exports"
    assert await show(api, job_id) == {"status": "queued"}
    await exporter.start()
    state = await until_over(api, job_id)
    assert state["status"] == "succeeded"
    (link,) = state["data"]
    assert link.startswith(f"http://{api.address}/api/v1/subaccounts/riders_hq/messages/download/")
    rows = rows_of(await api.client.get(link))
    assert [row["SessionId"] for row in rows] == [session_id for session_id in sessions for _ in range(2)]
    first = rows[0]
    assert (first["DestinationCountryCode"], first["DurationInSec"], first["SipStatus"], first["MOS"]) == (
        "65", "7", "200", "4.32",
    )  # fmt: skip
    assert (first["TTSLength"], first["Product"], first["CallStatus"]) == ("6", "Voice Messaging", "COMPLETED")
    assert rows[1]["DestinationCountry"] == "United Kingdom"
    wrong = link.replace("riders_hq", "other_co")
    assert (await api.client.get(wrong)).status_code == 404
    assert (await api.client.get(link[:-1])).status_code == 404


async def test_a_job_that_meets_what_cannot_be_read_fails_and_the_next_is_done(
    api: "Installation", exporter: Exporter
) -> None:
    api.pass_time(90 * DAY)
    (session_id,) = await past_calls(api, 1, api.now - 2 * DAY)
    spoilt = f"UPDATE sessions SET summary = 'x' WHERE session_id = '{session_id}'"
    await api.store._changes.run(lambda connection: connection.exec_driver_sql(spoilt))
    bad, good = await start(api), await start(api, **{"from": "2001-01-01", "to": "2001-02-01"})
    await exporter.start()
    assert await until_over(api, bad) == {"status": "failed"}
    assert await until_over(api, good) == {"status": "empty"}
    api.pass_time(30 * DAY)  # out of the way of the others


async def test_a_limit_counts_rows(api: "Installation", exporter: Exporter) -> None:
    api.pass_time(30 * DAY)
    await past_calls(api, 5, api.now - 2 * DAY)
    job_id = await start(api, limit=3)
    await exporter.start()
    (link,) = (await until_over(api, job_id))["data"]
    assert len(rows_of(await api.client.get(link))) == 3


async def test_a_span_without_calls_is_empty(api: "Installation", exporter: Exporter) -> None:
    job_id = await start(api, **{"from": "2001-01-01", "to": "2001-02-01"})
    await exporter.start()
    assert await until_over(api, job_id) == {"status": "empty"}


async def test_a_job_that_was_cut_off_is_done_by_the_next_process(api: "Installation", exporter: Exporter) -> None:
    api.pass_time(30 * DAY)
    await past_calls(api, 1, api.now - 2 * DAY)
    job_id = await start(api)
    started = await api.store.start_next_export()
    assert started is not None
    await api.store.add_export_piece(started.job_id, 0, "half a li")
    await exporter.start()
    (link,) = (await until_over(api, job_id))["data"]
    assert len(rows_of(await api.client.get(link))) == 2


async def test_who_waits_is_woken(api: "Installation", exporter: Exporter) -> None:
    await exporter.start()
    await asyncio.sleep(0)
    job_id = await start(api, **{"from": "2001-01-01", "to": "2001-02-01"})
    exporter.wake()
    assert await until_over(api, job_id) == {"status": "empty"}


async def test_a_cancelled_job_is_cancelled(api: "Installation", exporter: Exporter) -> None:
    job_id = await start(api)
    answer = await api.client.delete(f"{PATH}/{job_id}", headers=api.as_rider())
    assert (answer.status_code, answer.content) == (204, b"")
    assert await show(api, job_id) == {"status": "cancelled"}
    again = await api.client.delete(f"{PATH}/{job_id}", headers=api.as_rider())
    assert again.status_code == 204
    other = await start(api, **{"from": "2001-01-01", "to": "2001-02-01"})
    await exporter.start()
    await until_over(api, other)
    assert await show(api, job_id) == {"status": "cancelled"}


async def test_a_link_works_for_a_month(api: "Installation", exporter: Exporter) -> None:
    api.pass_time(60 * DAY)
    await past_calls(api, 1, api.now - 2 * DAY)
    job_id = await start(api)
    await exporter.start()
    (link,) = (await until_over(api, job_id))["data"]
    assert (await api.client.get(link)).status_code == 200
    api.pass_time(32 * DAY)
    assert (await api.client.get(link)).status_code == 404
    assert await show(api, job_id) == {"status": "succeeded"}


async def test_a_file_that_is_taken_away_while_it_is_read_does_not_pass_for_whole(
    api: "Installation", exporter: Exporter
) -> None:
    export = await api.store.create_export("riders_hq", 1.0, 2.0, 0)
    assert export is not None
    while (job := await api.store.start_next_export()) is not None:
        for number in range(20):  # more than lies on the way between the two
            await api.store.add_export_piece(job.job_id, number, "x" * 2_000_000)
        await api.store.finish_export(job.job_id, ExportState.SUCCEEDED, api.now + DAY)
    link = f"/api/v1/subaccounts/riders_hq/messages/download/{export.token}"

    async def read_and_cancel() -> None:
        async with api.client.stream("GET", link) as answer:
            pieces = answer.aiter_raw()
            await anext(pieces)
            await api.client.delete(f"{PATH}/{export.job_id}", headers=api.as_rider())
            async for _ in pieces:
                pass

    with pytest.raises(httpx.RemoteProtocolError):
        await read_and_cancel()


@pytest.mark.parametrize("job_id", ["x", str(uuid.UUID(int=0)), "foreign"])
async def test_unknown_and_foreign_jobs_answer_alike(api: "Installation", job_id: str) -> None:
    if job_id == "foreign":
        job_id = await start(api)
    path = f"/api/v1/subaccounts/other_co/messages/exports/{job_id}"
    for method in ("GET", "DELETE"):
        answer = await api.client.request(method, path, headers=api.as_rider(api.other_key))
        assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (404, 4018, "Invalid jobId")


@pytest.mark.parametrize("body", [{"from": "x"}, {"limit": -1}, {"from": "2025-01-02", "to": "2025-01-01"}, []])
async def test_a_bad_span_is_refused(api: "Installation", body: object) -> None:
    answer = await api.client.post(PATH, json=body, headers=api.as_rider())
    assert (answer.status_code, answer.json()["code"]) == (400, 1000)


async def test_a_proxy_that_ends_tls_makes_the_link_https(api: "Installation", exporter: Exporter) -> None:
    api.pass_time(90 * DAY)
    await past_calls(api, 1, api.now - 2 * DAY)
    job_id = await start(api)
    await exporter.start()
    await until_over(api, job_id)
    headers = api.as_rider() | {"x-forwarded-proto": "https", "host": "voice.example.com"}
    (link,) = (await api.client.get(f"{PATH}/{job_id}", headers=headers)).json()["data"]
    assert link.startswith("https://voice.example.com/api/v1/")
