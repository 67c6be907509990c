"""Calls that come in, and lists of sessions: pages without gaps or repeats, whatever happens between them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import Callflow, MakeCall
from callwright.callflow.summary import SessionSummary
from callwright.contract.session_list import PagePosition, SessionQuery
from callwright.errors import StorageError
from callwright.storage.records import DeliveryState, SessionState
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace

SummaryOf = Callable[[str], SessionSummary]
VIRTUAL, CALLER, PARTNER = "+6531580000", "+6587654321", "+6590001111"


async def came_in(store: Store, session_id: str = "s1", at: float = 10.0) -> None:
    await store.accept_incoming(session_id, "riders_hq", f"leg-{session_id}", CALLER, VIRTUAL, "call-id", "carrier", at)


async def ids(store: Store, wanted: SessionQuery) -> list[str]:
    return [session.session_id for session in await store.list_sessions("riders_hq", wanted)]


async def test_a_call_that_came_in_is_a_session_with_its_leg_and_the_summary_it_owes(store: Store) -> None:
    await came_in(store)
    (session,) = await store.unfinished_sessions()
    assert (session.state, session.callflow.actions, session.accepted_at) == (SessionState.DIALLED, (), 10.0)
    (leg,) = session.dial_intents
    assert (leg.inbound, leg.source, leg.destination, leg.dialled_at) == (True, CALLER, VIRTUAL, 10.0)
    (owed,) = await store.deliveries_of("s1")
    assert (owed.kind, owed.state) == ("VSS", DeliveryState.OWED)


async def test_a_call_that_came_in_may_be_bridged_and_its_legs_are_known_after_a_crash(store: Store) -> None:
    await came_in(store)
    await store.record_dial_intent("s1", "leg-2", "call-id-2", "carrier", 12.0, VIRTUAL, PARTNER)
    (session,) = await store.unfinished_sessions()
    assert [(leg.inbound, leg.source, leg.destination) for leg in session.dial_intents] == [
        (True, CALLER, VIRTUAL),
        (False, VIRTUAL, PARTNER),
    ]
    assert await ids(store, SessionQuery(destination=PARTNER)) == ["s1"]
    assert await ids(store, SessionQuery(destination=VIRTUAL)) == ["s1"]
    assert await ids(store, SessionQuery(destination=CALLER)) == []


async def test_a_call_is_taken_once_and_for_a_sub_account_that_exists(store: Store) -> None:
    await came_in(store)
    with pytest.raises(StorageError):
        await came_in(store)
    with pytest.raises(StorageError):
        await store.accept_incoming("s2", "nobody", "leg", CALLER, VIRTUAL, "call-id", "carrier", 10.0)
    assert await store.find_session("s2") is None


@pytest.fixture
async def history(store: Store, summary_of: SummaryOf) -> Store:
    """Six sessions: s0 to s3 COMPLETED or BUSY in turn, s4 and s5 live; s1 and s2 accepted in the same moment."""
    for number, at in enumerate((10.0, 20.0, 20.0, 30.0, 40.0, 50.0)):
        callee = f"+658765432{number % 2}"
        flow = Callflow((MakeCall("+6512345678", callee), MakeCall("+6512345678", PARTNER)), "r")
        await store.accept_session(f"s{number}", "riders_hq", flow, at)
        if number < 4:
            status = (CallStatus.COMPLETED, CallStatus.BUSY)[number % 2]
            summary = replace(summary_of(f"s{number}"), status=status)
            await store.finish_session(summary, b"{}", Trace(f"s{number}"), at + 5)
    await store.ensure_sub_account("other")
    await store.accept_session("x", "other", Callflow((MakeCall("+6512345678", PARTNER),), "r"), 25.0)
    return store


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SessionQuery(), "s5 s4 s3 s2 s1 s0"),
        (SessionQuery(limit=2), "s5 s4"),
        (SessionQuery(status="IN_PROGRESS"), "s5 s4"),
        (SessionQuery(status="BUSY"), "s3 s1"),
        (SessionQuery(status="FAILED"), ""),
        (SessionQuery(from_at=20.0, to_at=40.0), "s3 s2 s1"),
        (SessionQuery(destination="+6587654320"), "s4 s2 s0"),
        (SessionQuery(destination="+6587654320", status="COMPLETED"), "s2 s0"),
        (SessionQuery(destination=PARTNER, from_at=20.0, to_at=40.0, limit=2), "s3 s2"),
        (SessionQuery(after=PagePosition(20.0, "s2")), "s1 s0"),
        (SessionQuery(destination=PARTNER, after=PagePosition(20.0, "s2")), "s1 s0"),
        (SessionQuery(after=PagePosition(10.0, "s0")), ""),
    ],
)
async def test_a_list_holds_what_was_asked_for_newest_first(
    history: Store, wanted: SessionQuery, expected: str
) -> None:
    assert await ids(history, wanted) == expected.split()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 7), destination=st.sampled_from([None, PARTNER]))
async def test_pages_hold_every_session_once(history: Store, limit: int, destination: str | None) -> None:
    seen: list[str] = []
    wanted = SessionQuery(limit=limit, destination=destination)
    while page := await history.list_sessions("riders_hq", wanted):
        seen += [session.session_id for session in page]
        wanted = replace(wanted, after=PagePosition(page[-1].accepted_at, page[-1].session_id))
    assert seen == ["s5", "s4", "s3", "s2", "s1", "s0"]


async def test_first_and_further_legs_to_one_number_are_one_list(store: Store) -> None:
    own = "+6512345678"
    flows = {
        "first": (MakeCall(own, PARTNER),),
        "further": (MakeCall(own, CALLER), MakeCall(own, PARTNER)),
        "both": (MakeCall(own, PARTNER), MakeCall(own, PARTNER)),
        "neither": (MakeCall(own, CALLER),),
    }
    for at, (session_id, actions) in enumerate(flows.items()):
        await store.accept_session(session_id, "riders_hq", Callflow(actions, "r"), float(at))
        await store.record_dial_intent(session_id, f"{session_id}-1", "c", "t", 1.0, own, actions[0].destination)
        for action in actions[1:]:
            await store.record_dial_intent(session_id, f"{session_id}-2", "c", "t", 2.0, own, action.destination)
    seen, wanted = [], SessionQuery(destination=PARTNER, limit=1)
    while page := await store.list_sessions("riders_hq", wanted):
        seen += [session.session_id for session in page]
        wanted = replace(wanted, after=PagePosition(page[-1].accepted_at, page[-1].session_id))
    assert seen == ["both", "further", "first"]


async def test_finished_sessions_come_oldest_first_and_from_a_span_of_time(history: Store) -> None:
    first = await history.finished_sessions("riders_hq", 0.0, 99.0, None, 2)
    assert [session.session_id for session in first] == ["s0", "s1"]
    rest = await history.finished_sessions("riders_hq", 0.0, 99.0, (20.0, "s1"), 9)
    assert [session.session_id for session in rest] == ["s2", "s3"]
    span = await history.finished_sessions("riders_hq", 20.0, 30.0, None, 9)
    assert [session.session_id for session in span] == ["s1", "s2"]
