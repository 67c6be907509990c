"""Accepted and owed are one; a leg is dialled once; a session ends once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from callwright.callflow.plan import Callflow
from callwright.callflow.summary import SessionSummary
from callwright.errors import StorageError
from callwright.storage.records import DeliveryState, SessionState, WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace

Accept = Callable[[str], Awaitable[None]]
SummaryOf = Callable[[str], SessionSummary]
HOOK = "https://hooks.example.com/vss?token=t0ken"


def trace_of(session_id: str) -> Trace:
    trace = Trace(session_id)
    trace.add(1.5, "event.Ringing", leg_id="leg", early_media=False, sip_code=180, reason=None)
    return trace


async def test_an_accepted_session_is_there_with_the_event_it_owes(
    store: Store, accept: Accept, flow: Callflow
) -> None:
    await accept("s1")
    session = await store.find_session("s1")
    assert session is not None
    assert (session.state, session.callflow, session.summary) == (SessionState.ACCEPTED, flow, None)
    (owed,) = await store.deliveries_of("s1")
    assert (owed.state, owed.kind, owed.body, owed.attempts) == (DeliveryState.OWED, "VSS", None, ())
    assert owed.event_id.startswith("evt_")
    assert await store.delivery_lanes() == ()


async def test_a_session_of_an_unknown_sub_account_or_with_a_used_id_leaves_nothing(
    store: Store, accept: Accept, flow: Callflow
) -> None:
    await accept("s1")
    with pytest.raises(StorageError):
        await store.accept_session("s2", "nobody", flow, 1.0)
    with pytest.raises(StorageError):
        await accept("s1")
    assert await store.find_session("s2") is None
    assert len(await store.deliveries_of("s1")) == 1
    assert await store.deliveries_of("s2") == ()


async def test_a_leg_is_written_before_it_is_dialled_and_only_once(store: Store, accept: Accept) -> None:
    await accept("s1")
    await store.record_dial_intent("s1", "leg-1", "call-id@192.0.2.1", "carrier", 12.5)
    with pytest.raises(StorageError):
        await store.record_dial_intent("s1", "leg-1", "other@192.0.2.1", "carrier", 13.5)
    session = await store.find_session("s1")
    assert session is not None
    assert session.state is SessionState.DIALLED
    (intent,) = session.dial_intents
    assert (intent.leg_id, intent.sip_call_id, intent.trunk, intent.dialled_at) == (
        "leg-1", "call-id@192.0.2.1", "carrier", 12.5,
    )  # fmt: skip


async def test_nothing_is_dialled_for_a_finished_or_unknown_session(
    store: Store, accept: Accept, summary_of: SummaryOf
) -> None:
    await accept("s1")
    await store.finish_session(summary_of("s1"), b"{}", trace_of("s1"), 20.0)
    for session_id in ("s1", "s2"):
        with pytest.raises(StorageError, match="nothing may be dialled"):
            await store.record_dial_intent(session_id, f"leg-{session_id}", "id", "carrier", 21.0)
    session = await store.find_session("s1")
    assert session is not None
    assert session.dial_intents == ()


async def test_a_session_finishes_once_and_keeps_its_first_record(
    store: Store, accept: Accept, summary_of: SummaryOf
) -> None:
    await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None)
    await accept("s1")
    assert await store.finish_session(summary_of("s1"), b'{"first":1}', trace_of("s1"), 20.0)
    later = replace(summary_of("s1"), last_action="SAY")
    assert not await store.finish_session(later, b'{"second":1}', Trace("s1"), 30.0)
    session = await store.find_session("s1")
    assert session is not None
    assert (session.state, session.summary, session.finished_at) == (SessionState.FINISHED, summary_of("s1"), 20.0)
    assert await store.find_trace("s1") == trace_of("s1")
    (due,) = await store.deliveries_of("s1")
    assert (due.state, due.body, due.next_attempt_at) == (DeliveryState.DUE, b'{"first":1}', 20.0)


async def test_of_many_who_finish_a_session_at_once_one_does(
    store: Store, accept: Accept, summary_of: SummaryOf
) -> None:
    await accept("s1")
    outcomes = await asyncio.gather(
        *(store.finish_session(summary_of("s1"), b"%d" % n, Trace("s1"), 20.0 + n) for n in range(50))
    )
    assert sum(outcomes) == 1
    (delivery,) = await store.deliveries_of("s1")
    assert delivery.body == b"%d" % outcomes.index(True)


async def test_finishing_an_unknown_session_is_an_error(store: Store, summary_of: SummaryOf) -> None:
    with pytest.raises(StorageError, match="no session"):
        await store.finish_session(summary_of("s1"), b"{}", Trace("s1"), 20.0)
    assert await store.find_trace("s1") is None


@pytest.mark.parametrize("enabled", [None, False])
async def test_without_an_enabled_webhook_a_summary_has_no_endpoint(
    store: Store, accept: Accept, summary_of: SummaryOf, enabled: bool | None
) -> None:
    if enabled is not None:
        await store.put_webhook("riders_hq", WebhookKind.VSS, HOOK, None, enabled=enabled)
    await store.put_webhook("riders_hq", WebhookKind.VCS, HOOK, None)
    await accept("s1")
    await store.finish_session(summary_of("s1"), b"{}", Trace("s1"), 20.0)
    (delivery,) = await store.deliveries_of("s1")
    assert (delivery.state, delivery.next_attempt_at) == (DeliveryState.NO_ENDPOINT, None)
    assert await store.delivery_lanes() == ()


async def test_unfinished_sessions_are_those_without_a_record_with_what_was_dialled(
    store: Store, accept: Accept, summary_of: SummaryOf
) -> None:
    for session_id in ("s1", "s2", "s3"):
        await accept(session_id)
    await store.record_dial_intent("s2", "leg-2", "id-2", "carrier", 5.0)
    await store.finish_session(summary_of("s1"), b"{}", Trace("s1"), 20.0)
    unfinished = await store.unfinished_sessions()
    assert [(session.session_id, len(session.dial_intents)) for session in unfinished] == [("s2", 1), ("s3", 0)]


async def test_recent_sessions_come_newest_first_and_no_more_than_asked(store: Store, flow: Callflow) -> None:
    for number in range(5):
        await store.accept_session(f"s{number}", "riders_hq", flow, float(number))
    assert [session.session_id for session in await store.recent_sessions(3)] == ["s4", "s3", "s2"]
    assert await store.recent_sessions(0) == ()
    assert await store.recent_sessions(-1) == ()


async def test_what_is_unknown_is_none(store: Store) -> None:
    assert await store.find_session("s1") is None
    assert await store.find_trace("s1") is None
    assert await store.deliveries_of("s1") == ()


async def test_a_closed_store_says_so(store: Store, accept: Accept) -> None:
    await store.close()
    with pytest.raises(StorageError, match="closed"):
        await store.find_session("s1")
    with pytest.raises(StorageError, match="closed"):
        await accept("s1")
