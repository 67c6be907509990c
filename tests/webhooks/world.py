"""One installation that delivers: a real store on a clock that the test moves, and real receivers over real sockets."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import Callflow, HangUp
from callwright.callflow.summary import SessionSummary
from callwright.egress import Egress
from callwright.storage.records import StoredDelivery, WebhookKind
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace
from callwright.webhooks.delivery import SWEEP_SECONDS, Deliverer

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
        async with asyncio.timeout(60):
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
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for lies in threads and sockets
            await asyncio.sleep(0.002)


async def open_store(folder: Path, clock: VirtualClock, busy_timeout_seconds: float = 0.9) -> Store:
    url = f"sqlite:///{folder}/callwright.db"
    return await Store.open(url, clock=clock, busy_timeout_seconds=busy_timeout_seconds)


def deliverer_of(store: Store, egress: Egress, clock: VirtualClock, timeout_seconds: float = 15.0) -> Deliverer:
    """A deliverer that looks only when it was woken or something is due: a week of idle looks would take a minute."""
    return Deliverer(
        store,
        egress.post,
        clock,
        sleep=clock.sleep,
        jitter=lambda: 0.0,
        timeout_seconds=timeout_seconds,
        idle_look_seconds=SWEEP_SECONDS,
    )
