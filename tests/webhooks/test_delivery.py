"""Events reach real receivers over real sockets, from a real store, on a clock that the test moves."""

import asyncio
import heapq
import itertools
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import Callflow, HangUp
from callwright.callflow.summary import SessionSummary
from callwright.egress import Egress
from callwright.retries import GIVE_UP_SECONDS, WAITS
from callwright.storage.records import DeliveryState, StoredDelivery, WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace
from callwright.webhooks.delivery import MOST_PER_ENDPOINT, STORE_PAUSE_SECONDS, Deliverer

START = 1_800_000_000.0
SECRET = "Basic canary-5f1c9e=="


class VirtualClock:
    """Time that jumps from one sleeper's end to the next when the test says so."""

    def __init__(self) -> None:
        self.now = START
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        awoken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), awoken))
        await awoken

    def next_end(self) -> float | None:
        """When the first sleeper wakes, if anybody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def advance_to(self, at: float) -> None:
        """Move time and wake everybody whose sleep is over."""
        self.now = at
        while (end := self.next_end()) is not None and end <= at:
            heapq.heappop(self._sleepers)[2].set_result(None)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


def answer(status: int, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} Whatever\r\n{headers}content-length: 2\r\nconnection: close\r\n\r\n{{}}".encode()


CUT_OFF = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"


@dataclass(slots=True)
class Receiver:
    """A customer's server on loopback: answers as told, then always 200."""

    answers: list[bytes] = field(default_factory=list)
    open_gate: asyncio.Event = field(default_factory=asyncio.Event)
    "nothing is answered before"
    free: int = 0
    "... except the first so many requests"
    received: list[Received] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=t0ken"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.received.append(Received(head[0].split()[1], headers, body))
            if len(self.received) > self.free:
                await self.open_gate.wait()
            writer.write(self.answers.pop(0) if self.answers else answer(200))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side gave up
        finally:
            self.at_once -= 1
            writer.close()


@dataclass(slots=True)
class World:
    """One installation: a store, a deliverer, and the receivers around it."""

    folder: Path
    clock: VirtualClock
    egress: Egress
    stack: AsyncExitStack
    store: Store
    deliverer: Deliverer

    async def receiver(self, *answers: bytes, gate_open: bool = True) -> Receiver:
        """A new server; with its gate shut it hangs."""
        receiver = Receiver(list(answers))
        if gate_open:
            receiver.open_gate.set()
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        receiver.port = server.sockets[0].getsockname()[1]

        async def close() -> None:
            receiver.open_gate.set()
            server.close()
            await until(lambda: receiver.at_once == 0)

        self.stack.push_async_callback(close)
        return receiver

    async def webhook(self, url: str, secret: str | None = None, sub_account: str = "riders_hq") -> None:
        await self.store.ensure_sub_account(sub_account)
        await self.store.put_webhook(sub_account, WebhookKind.VSS, url, secret)

    async def event(self, session_id: str, sub_account: str = "riders_hq") -> None:
        """A session that was accepted and has finished."""
        await self.store.accept_session(session_id, sub_account, Callflow((HangUp(),), "r"), self.clock())
        summary = SessionSummary(session_id, sub_account, CallStatus.COMPLETED, 1.0, 2.0, "HANGUP", ())
        body = f'{{ "of":"{session_id}"}}'.encode()
        assert await self.store.finish_session(summary, body, Trace(session_id), self.clock())
        self.deliverer.wake()

    async def delivery(self, session_id: str) -> StoredDelivery:
        (delivery,) = await self.store.deliveries_of(session_id)
        return delivery

    async def tried(self, session_id: str, times: int) -> StoredDelivery:
        """Wait until so many tries are written down."""
        async with asyncio.timeout(20):
            while len((delivery := await self.delivery(session_id)).attempts) < times:  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.002)
        return delivery

    async def next_look(self, at: float) -> None:
        """Wait until the deliverer sleeps to that time, then make it that time."""
        await until(lambda: self.clock.next_end() == at)
        self.clock.advance_to(at)

    async def restart(self, *, timeout_seconds: float = 15.0, busy_timeout_seconds: float = 0.9) -> None:
        """Stop everything and start anew on the same data."""
        await self.deliverer.stop(limit_seconds=0)
        await self.store.close()
        self.store = await open_store(self.folder, self.clock, busy_timeout_seconds)
        self.deliverer = deliverer_of(self.store, self.egress, self.clock, timeout_seconds)
        await self.deliverer.start()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for lies in threads and sockets
            await asyncio.sleep(0.002)


async def open_store(folder: Path, clock: VirtualClock, busy_timeout_seconds: float = 0.9) -> Store:
    url = f"sqlite:///{folder}/callwright.db"
    return await Store.open(url, clock=clock, busy_timeout_seconds=busy_timeout_seconds)


def deliverer_of(store: Store, egress: Egress, clock: VirtualClock, timeout_seconds: float = 15.0) -> Deliverer:
    return Deliverer(store, egress.post, clock, sleep=clock.sleep, jitter=lambda: 0.0, timeout_seconds=timeout_seconds)


@pytest.fixture
async def world(tmp_path: Path, empty_database: Path) -> AsyncIterator[World]:
    shutil.copy(empty_database, tmp_path / "callwright.db")
    clock = VirtualClock()
    egress = Egress(allow_loopback=True)
    store = await open_store(tmp_path, clock)
    async with AsyncExitStack() as stack:
        world = World(tmp_path, clock, egress, stack, store, deliverer_of(store, egress, clock))
        await world.deliverer.start()
        yield world
        await world.deliverer.stop(limit_seconds=0)
        await world.store.close()
        await egress.aclose()


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
    await world.webhook(receiver.url)
    await world.deliverer.stop()
    await world.event("s1", "locked_out")
    await world.event("s2")
    (world.folder / "secrets.key").unlink()
    await world.restart()
    assert (await world.tried("s2", 1)).state is DeliveryState.DELIVERED
    assert (await world.delivery("s1")).state is DeliveryState.DUE
    assert "cannot be read" in caplog.text
    assert len(receiver.received) == 1


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

    deliverer = Deliverer(world.store, defective, world.clock, sleep=world.clock.sleep)
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


async def test_waking_and_stopping_a_deliverer_that_does_not_run_is_harmless(world: World) -> None:
    idle = deliverer_of(world.store, world.egress, world.clock)
    idle.wake()
    await idle.stop()
