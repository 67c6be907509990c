"""Events reach real receivers over real sockets, from a real store, on a clock that the test moves."""

import asyncio
import itertools
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from tests.webhooks.world import CUT_OFF, SECRET, START, World, answer, deliverer_of, until

from callwright.retries import GIVE_UP_SECONDS, WAITS
from callwright.storage.records import DeliveryState, WebhookKind
from callwright.storage.store import Store
from callwright.webhooks.delivery import (
    FAULT_PAUSE_SECONDS,
    IDLE_LOOK_SECONDS,
    MOST_PER_ENDPOINT,
    STORE_PAUSE_SECONDS,
    SWEEP_SECONDS,
    Deliverer,
)

# --- one event -------------------------------------------------------------------------------------------------------


async def test_an_event_arrives_unchanged_with_who_and_what_it_is(world: World) -> None:
    receiver = await world.receiver()
    await world.webhook(receiver.url, SECRET)
    await world.event("s1")
    delivery = await world.tried("s1", 1)
    (received,) = receiver.received
    assert received.path == "/hook?token=t0ken"
    assert received.body == b'{ "of":"s1"}'
    assert received.headers["content-type"] == "application/json"
    assert received.headers["authorization"] == SECRET
    assert received.headers["webhook-id"] == delivery.event_id
    assert delivery.state is DeliveryState.DELIVERED
    (attempt,) = delivery.attempts
    assert (attempt.number, attempt.host, attempt.status, attempt.error) == (1, "127.0.0.1", 200, None)


async def test_without_a_secret_there_is_no_authorization(world: World) -> None:
    receiver = await world.receiver()
    await world.webhook(receiver.url)
    await world.event("s1")
    await world.tried("s1", 1)
    assert "authorization" not in receiver.received[0].headers


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (answer(500), 500),
        (answer(404), 404),
        (answer(302, "location: /elsewhere\r\n"), 302),
        (CUT_OFF, None),
        (b"this is not HTTP\r\n\r\n", None),
    ],
)
async def test_a_failed_try_is_repeated_after_a_second_with_the_same_id_and_body(
    world: World, first: bytes, status: int | None
) -> None:
    receiver = await world.receiver(first)
    await world.webhook(receiver.url, SECRET)
    await world.event("s1")
    delivery = await world.tried("s1", 1)
    assert delivery.state is DeliveryState.DUE
    assert delivery.attempts[0].status == status
    assert (delivery.attempts[0].error is None) == (status is not None)
    await world.next_look(START + 1)
    delivery = await world.tried("s1", 2)
    assert delivery.state is DeliveryState.DELIVERED
    one, two = receiver.received
    assert (one.body, one.headers["webhook-id"], one.path) == (two.body, two.headers["webhook-id"], two.path)


async def test_a_receiver_that_is_always_down_is_tried_for_a_week_and_then_given_up(world: World) -> None:
    receiver = await world.receiver(*[answer(500)] * 50)
    await world.webhook(receiver.url)
    await world.event("s1")
    at = START
    for number, wait in enumerate(WAITS, start=1):
        assert (await world.tried("s1", number)).state is DeliveryState.DUE
        at += wait
        while world.clock.now < at:  # it looks every hour for events that are held; those looks are not tries
            await until(lambda: (world.clock.next_end() or 0) > world.clock.now)
            world.clock.advance_to(min(at, world.clock.next_end() or at))
    delivery = await world.tried("s1", len(WAITS) + 1)
    assert delivery.state is DeliveryState.EXHAUSTED
    expected = [START, *(START + total for total in itertools.accumulate(WAITS))]
    assert [attempt.at for attempt in delivery.attempts] == expected
    assert delivery.attempts[-1].at - START >= GIVE_UP_SECONDS
    assert len(receiver.received) == len(WAITS) + 1


async def test_a_port_that_nobody_listens_on_is_an_error_that_is_written_down(world: World) -> None:
    receiver = await world.receiver()
    silent = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    silent.close()
    await silent.wait_closed()
    await world.webhook(f"http://127.0.0.1:{port}/")
    await world.event("s1")
    (attempt,) = (await world.tried("s1", 1)).attempts
    assert attempt.status is None
    assert "refuses connections" in str(attempt.error)


async def test_an_address_that_is_not_to_be_reached_is_an_error_that_is_written_down(world: World) -> None:
    await world.webhook("http://192.168.0.1/")
    await world.event("s1")
    (attempt,) = (await world.tried("s1", 1)).attempts
    assert attempt.status is None
    assert attempt.error


async def test_a_receiver_that_hangs_is_left_after_the_time_allowed(world: World) -> None:
    await world.restart(timeout_seconds=0.05)
    receiver = await world.receiver(gate_open=False)
    await world.webhook(receiver.url)
    await world.event("s1")
    (attempt,) = (await world.tried("s1", 1)).attempts
    assert attempt.status is None
    assert "did not" in str(attempt.error)


async def test_neither_secret_nor_path_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    receiver = await world.receiver(answer(500))
    await world.webhook(receiver.url, SECRET)
    await world.event("s1")
    await world.tried("s1", 1)
    await world.next_look(START + 1)
    await world.tried("s1", 2)
    told = [record.getMessage() for record in caplog.records if record.name == "callwright.webhooks.delivery"]
    assert [line.partition(" after ")[0] for line in told] == [
        "VSS to 127.0.0.1 answered 500",
        "VSS to 127.0.0.1 answered 200",
    ]
    assert "canary" not in caplog.text
    assert "t0ken" not in caplog.text


# --- what receivers ask for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_asks_to_be_left_alone_is_left_alone(world: World, status: int) -> None:
    receiver = await world.receiver(answer(status, "retry-after: 120\r\n"))
    await world.webhook(receiver.url)
    await world.event("s1")
    assert (await world.tried("s1", 1)).next_attempt_at == START + 120
    await world.event("s2")  # another event of the same endpoint waits, too
    await world.next_look(START + 120)
    await world.tried("s1", 2)
    await world.tried("s2", 1)
    _, *others = receiver.received
    assert len(others) == 2
    assert (await world.delivery("s2")).attempts[0].at == START + 120


async def test_an_endpoint_that_is_gone_is_switched_off_and_its_events_wait_for_a_new_one(world: World) -> None:
    receiver = await world.receiver(answer(410))
    await world.webhook(receiver.url, SECRET)
    await world.event("s1")
    assert (await world.tried("s1", 1)).state is DeliveryState.HELD
    webhook = await world.store.find_webhook("riders_hq", WebhookKind.VSS)
    assert webhook is not None
    assert not webhook.enabled
    await world.event("s2")
    assert (await world.delivery("s2")).state is DeliveryState.NO_ENDPOINT
    successor = await world.receiver()
    await world.webhook(successor.url)
    world.deliverer.wake()
    delivery = await world.tried("s1", 2)
    assert delivery.state is DeliveryState.DELIVERED
    assert [request.headers["webhook-id"] for request in successor.received] == [delivery.event_id]
    assert len(receiver.received) == 1


async def test_events_whose_webhook_does_not_come_back_are_given_up_after_a_week(world: World) -> None:
    await world.webhook("https://hooks.example.com/")
    await world.deliverer.stop()
    await world.event("s1")
    await world.store.delete_webhook("riders_hq", WebhookKind.VSS)
    world.clock.advance_to(START + GIVE_UP_SECONDS - 1)
    await world.deliverer.start()
    await until(lambda: world.clock.next_end() is not None)
    assert (await world.delivery("s1")).state is DeliveryState.HELD
    world.clock.advance_to(world.clock.next_end() or 0)
    await until(lambda: world.clock.next_end() is not None)
    assert (await world.delivery("s1")).state is DeliveryState.EXHAUSTED


# --- many endpoints --------------------------------------------------------------------------------------------------


async def test_endpoints_that_hang_slow_nobody_else(world: World) -> None:
    hanging = [await world.receiver(gate_open=False) for _ in range(3)]
    sound = await world.receiver()
    for number, receiver in enumerate(hanging):
        await world.webhook(receiver.url, sub_account=f"hanging-{number}")
        for event in range(20):
            await world.event(f"h{number}-{event}", f"hanging-{number}")
    await world.webhook(sound.url)
    for event in range(60):
        await world.event(f"s{event}")
    for event in range(60):
        assert (await world.tried(f"s{event}", 1)).state is DeliveryState.DELIVERED
    assert len(sound.received) == 60
    assert [len(receiver.received) for receiver in hanging] == [1, 1, 1]


async def test_an_endpoint_that_answers_gets_several_at_once_but_not_all(world: World) -> None:
    receiver = await world.receiver(gate_open=False)
    receiver.free = 1
    await world.webhook(receiver.url)
    await world.deliverer.stop()
    for event in range(MOST_PER_ENDPOINT * 3):
        await world.event(f"s{event}")
    await world.deliverer.start()
    await until(lambda: receiver.at_once == MOST_PER_ENDPOINT)
    receiver.open_gate.set()
    for event in range(MOST_PER_ENDPOINT * 3):
        await world.tried(f"s{event}", 1)
    assert receiver.most_at_once == MOST_PER_ENDPOINT
    assert len(receiver.received) == MOST_PER_ENDPOINT * 3


async def test_of_two_hundred_events_each_arrives_once(world: World) -> None:
    receivers = [await world.receiver() for _ in range(4)]
    for number, receiver in enumerate(receivers):
        await world.webhook(receiver.url, sub_account=f"sub-{number}")
    await asyncio.gather(*(world.event(f"s{event}", f"sub-{event % 4}") for event in range(200)))
    for event in range(200):
        await world.tried(f"s{event}", 1)
    bodies = [request.body for receiver in receivers for request in receiver.received]
    assert len(bodies) == len(set(bodies)) == 200


async def test_an_endpoint_whose_secret_does_not_open_holds_nobody_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = await world.receiver()
    await world.webhook(receiver.url, SECRET, sub_account="locked_out")
    await world.deliverer.stop()
    await world.event("s1", "locked_out")
    (world.folder / "secrets.key").unlink()
    await world.restart()
    await world.webhook(receiver.url)
    await world.event("s2")
    assert (await world.tried("s2", 1)).state is DeliveryState.DELIVERED
    assert (await world.delivery("s1")).state is DeliveryState.DUE
    assert "cannot be read" in caplog.text
    assert len(receiver.received) == 1
    await world.store.rotate_secret("locked_out", WebhookKind.VSS, 0)
    await world.webhook(receiver.url, sub_account="locked_out")
    world.clock.advance_to(START + FAULT_PAUSE_SECONDS)
    assert (await world.tried("s1", 1)).state is DeliveryState.DELIVERED


# --- bad days --------------------------------------------------------------------------------------------------------


async def test_what_was_due_before_a_restart_is_sent_after_it(world: World) -> None:
    receiver = await world.receiver(answer(500))
    await world.webhook(receiver.url)
    await world.event("s1")
    first = await world.tried("s1", 1)
    await world.restart()
    await world.next_look(START + 1)
    assert (await world.tried("s1", 2)).event_id == first.event_id
    assert len(receiver.received) == 2


async def test_an_event_cut_off_by_a_stop_is_sent_again_with_the_same_id(world: World) -> None:
    receiver = await world.receiver(gate_open=False)
    await world.webhook(receiver.url)
    await world.event("s1")
    await until(lambda: len(receiver.received) == 1)
    await world.restart()
    receiver.open_gate.set()
    assert (await world.tried("s1", 1)).state is DeliveryState.DELIVERED
    one, two = receiver.received
    assert one.headers["webhook-id"] == two.headers["webhook-id"]


async def test_stopping_waits_for_what_is_on_the_way(world: World) -> None:
    receiver = await world.receiver(gate_open=False)
    await world.webhook(receiver.url)
    await world.event("s1")
    await until(lambda: len(receiver.received) == 1)
    stopping = asyncio.create_task(world.deliverer.stop(limit_seconds=20))
    await asyncio.sleep(0)
    await world.event("s2")
    receiver.open_gate.set()
    await stopping
    assert (await world.delivery("s1")).state is DeliveryState.DELIVERED
    assert (await world.delivery("s2")).attempts == ()


async def test_settling_sends_all_that_is_due_however_many_go_to_one_endpoint(world: World) -> None:
    receiver = await world.receiver(answer(200), answer(200), answer(500))
    await world.webhook(receiver.url)
    sessions = [f"s{number}" for number in range(1, 3 * MOST_PER_ENDPOINT)]
    for session_id in sessions:
        await world.event(session_id)
    assert await world.deliverer.settle(limit_seconds=20)
    await world.deliverer.stop(limit_seconds=0)
    states = [(await world.delivery(session_id)).state for session_id in sessions]
    assert states.count(DeliveryState.DUE) == 1, "the one that was refused waits for its next try"
    assert states.count(DeliveryState.DELIVERED) == len(sessions) - 1
    assert len(receiver.received) == len(sessions)


async def test_settling_does_not_wait_for_a_receiver_that_hangs(world: World) -> None:
    receiver = await world.receiver(gate_open=False)
    await world.webhook(receiver.url)
    assert await world.deliverer.settle(limit_seconds=20)
    await world.event("s1")
    assert not await world.deliverer.settle(limit_seconds=0.05)


async def test_while_the_database_is_locked_a_try_waits_to_be_written_and_is_not_repeated(world: World) -> None:
    await world.restart(busy_timeout_seconds=0.01)
    receiver = await world.receiver(gate_open=False)
    await world.webhook(receiver.url)
    await world.event("s1")
    await until(lambda: len(receiver.received) == 1)
    other = sqlite3.connect(world.folder / "callwright.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    receiver.open_gate.set()
    await until(lambda: world.clock.next_end() == START + STORE_PAUSE_SECONDS)
    assert (await world.delivery("s1")).attempts == ()
    other.execute("ROLLBACK")
    other.close()
    world.clock.advance_to(START + STORE_PAUSE_SECONDS)
    assert (await world.tried("s1", 1)).state is DeliveryState.DELIVERED
    assert len(receiver.received) == 1


async def test_a_defect_in_the_door_does_not_become_a_storm(world: World, caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def defective(url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> "Nothing":
        nonlocal calls
        calls += 1
        raise ZeroDivisionError

    deliverer = Deliverer(world.store, defective, world.clock, sleep=world.clock.sleep, idle_look_seconds=SWEEP_SECONDS)
    await world.deliverer.stop()
    await world.webhook("https://hooks.example.com/")
    await world.event("s1")
    await deliverer.start()
    await until(lambda: world.clock.next_end() == START + 60)
    assert calls == 1
    assert "ZeroDivisionError" in caplog.text
    world.clock.advance_to(START + 60)
    await until(lambda: world.clock.next_end() == START + 120)
    assert calls == 2
    await deliverer.stop()


@dataclass(frozen=True, slots=True)
class Nothing:
    """An answer that never comes."""

    status: int
    headers: Mapping[str, str]


async def test_an_event_that_another_process_owes_is_seen_within_seconds(world: World) -> None:
    receiver = await world.receiver()
    await world.store.ensure_sub_account("riders_hq")
    await world.store.put_webhook("riders_hq", WebhookKind.VNU, receiver.url, None)
    await world.deliverer.stop()
    world.deliverer = Deliverer(world.store, world.egress.post, world.clock, sleep=world.clock.sleep)
    await world.deliverer.start()
    await until(lambda: world.clock.next_end() == START + IDLE_LOOK_SECONDS)
    other = await Store.open(f"sqlite:///{world.folder}/callwright.db", clock=world.clock, exclusive=False)
    await other.add_number("riders_hq", "+6531580000")
    await other.close()
    assert not receiver.received
    world.clock.advance_to(START + IDLE_LOOK_SECONDS)
    await until(lambda: bool(receiver.received))
    assert b"+6531580000" in receiver.received[0].body


async def test_waking_and_stopping_a_deliverer_that_does_not_run_is_harmless(world: World) -> None:
    idle = deliverer_of(world.store, world.egress, world.clock)
    idle.wake()
    await idle.stop()
