"""An installation to talk to over real HTTP: the real application, server and store, and a board in memory."""

import asyncio
import dataclasses
import itertools
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest_asyncio
from tests.customers import PATIENCE_SECONDS

from callwright.api.app import Api, openapi_document
from callwright.api.deliveries import Tester
from callwright.api.feed import EventFeed
from callwright.api.http1 import ServerConnection
from callwright.api.platform import Platform
from callwright.api.server import serve_http
from callwright.api.verification_callbacks import VerificationCallbacks
from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import Callflow, MakeCall
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.contract.policy import RequestPolicy
from callwright.contract.webhooks import session_summary
from callwright.errors import TelephonyError
from callwright.node.trunks import Trunks
from callwright.settings import HostPort, load
from callwright.sip.outputs import Address, Replied
from callwright.storage.idempotency import Keep
from callwright.storage.store import Store
from callwright.telemetry.metrics import Metrics
from callwright.telemetry.trace import FieldValue, Trace, TraceEntry
from callwright.telephony.condition import TrunkReport
from callwright.telephony.trunk import Trunk

NOW = 1_750_000_000.0


class MemoryBoard:
    """Takes sessions into the store and lets a test play what happens to them."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._store = store
        self._traces: dict[str, Trace] = {}
        self._queues: dict[str, list[asyncio.Queue[TraceEntry | None]]] = {}
        self._changed = asyncio.Condition()
        self.accepted: list[tuple[str, str, Callflow]] = []
        self.hung_up: list[str] = []
        self.failure: Exception | None = None
        "raised by the next accept"

    async def accept(self, sub_account_id: str, callflow: Callflow, keep: Keep | None = None) -> str:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        session_id = str(uuid.uuid4())
        kept = None if keep is None else keep(session_id)
        await self._store.accept_session(session_id, sub_account_id, callflow, self._clock(), kept)
        self._traces[session_id] = Trace(session_id)
        self.accepted.append((session_id, sub_account_id, callflow))
        self.happen(session_id, "session.accepted")
        return session_id

    def happen(self, session_id: str, kind: str, **fields: FieldValue) -> None:
        self._traces[session_id].add(NOW, kind, **fields)
        for queue in self._queues.get(session_id, []):
            queue.put_nowait(self._traces[session_id].entries[-1])

    async def finish(self, session_id: str) -> None:
        _, sub_account_id, callflow = next(row for row in self.accepted if row[0] == session_id)
        call = callflow.actions[0]
        assert isinstance(call, MakeCall)
        leg = LegSummary(
            call_id=str(uuid.uuid4()),
            inbound=False,
            source=call.source,
            destination=call.destination,
            initiated_at=NOW,
            connected_at=NOW + 1,
            disconnected_at=NOW + 5,
            status=CallStatus.COMPLETED,
        )
        summary = SessionSummary(session_id, sub_account_id, CallStatus.COMPLETED, NOW, NOW + 5, "SAY", (leg,))
        body = session_summary(summary, reference_ids=self._store.reference_ids(sub_account_id))
        at = max(NOW + 5, self._clock())
        await self._store.finish_session(summary, json.dumps(body).encode(), self._traces.pop(session_id), at)
        for queue in self._queues.pop(session_id, []):
            queue.put_nowait(None)

    async def watch(self, session_id: str) -> AsyncIterator[TraceEntry]:
        if session_id not in self._traces:
            return
        queue: asyncio.Queue[TraceEntry | None] = asyncio.Queue()
        for entry in self._traces[session_id].entries:
            queue.put_nowait(entry)
        watchers = self._queues.setdefault(session_id, [])
        watchers.append(queue)
        await self._tell()
        try:
            while (entry_or_end := await queue.get()) is not None:
                yield entry_or_end
        finally:
            watchers.remove(queue)
            await self._tell()

    def hang_up(self, session_id: str) -> bool:
        if session_id not in self._traces:
            return False
        self.hung_up.append(session_id)
        return True

    async def until_watched_by(self, session_id: str, watchers: int) -> None:
        """Wait until so many watch a session."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: len(self._queues.get(session_id, [])) == watchers)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


SETTINGS = """
[trunks.fixed]
uri = "sip:192.0.2.1"
username = "us"
password = "open sesame"
"""


class MemoryLine:
    """Carries no calls, and knows over which trunks it would."""

    def __init__(self) -> None:
        self.trunks: tuple[Trunk, ...] = ()
        self.closed_until: float | None = None
        self.widened: list[Sequence[str]] = []
        "in which codecs prompts were asked for, each time"

    async def change_trunks(self, trunks: Sequence[Trunk]) -> None:
        self.trunks = tuple(trunks)

    def trunk_reports(self) -> list[TrunkReport]:
        return [
            TrunkReport(
                one.name,
                calls=2,
                waiting=1,
                is_healthy=True,
                is_registered=None,
                closed_until=self.closed_until,
                options="200 OK",
                registration="",
            )
            for one in self.trunks
        ]

    async def ask_trunk(self, name: str) -> list[tuple[Address, Replied]]:
        if name == "nowhere":
            raise TelephonyError("the name does not resolve")
        return [
            (("192.0.2.1", 5060), Replied("1", 200, "OK", locally_generated=False)),
            (("192.0.2.2", 5060), Replied("2", 408, "no response", locally_generated=True)),
        ]


@dataclass(frozen=True, slots=True)
class Told:
    """A callback's receiver takes everything."""

    status: int = 200
    body: bytes = b"thanks"


@dataclass
class Installation:
    """What a test may look at and turn."""

    client: httpx.AsyncClient
    address: HostPort
    hasty_address: HostPort
    "the same, for tests that wait until it is tired of waiting for a body"
    store: Store
    board: MemoryBoard
    platform: Platform
    key: str
    "of riders_hq"
    other_key: str
    "of another sub-account"
    read_only_key: str
    admin_key: str
    line: "MemoryLine"
    revoked_key: str
    policies: dict[str, RequestPolicy] = field(default_factory=dict)
    draining: bool = False
    trouble: str | None = None
    metrics_readers: str = "loopback"
    moment: list[float] = field(default_factory=lambda: [NOW])
    "the time, for the store too"
    woken: list[str] = field(default_factory=list)
    "deliveries or exports, as often as they were woken"
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    "what was posted to callback URLs"
    tested: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    "test events: URL, body, headers"
    test_failures: list[Exception] = field(default_factory=list)
    "raised by the next of them"

    @property
    def now(self) -> float:
        """Platform time; moves only when a test passes some."""
        return self.moment[0]

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self.moment[0] += seconds

    async def turn(self) -> None:
        """Let whatever runs beside go on a little."""
        await asyncio.sleep(0.02)

    def as_rider(self, key: str | None = None) -> dict[str, str]:
        return {"authorization": f"Bearer {key or self.key}"}

    async def raw(self, data: bytes, *, then_close: bool = False, hasty: bool = False) -> bytes:
        """Send bytes as they are and read until the server closes."""
        address = self.hasty_address if hasty else self.address
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(data)
            await writer.drain()
            if then_close:
                writer.write_eof()
            return await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()
            await writer.wait_closed()


DESCRIBED: list[tuple[re.Pattern[str], dict[str, Any]]] = [
    (re.compile("(?:" + re.sub(r"\{\w+\}", "[^/]+", path).replace(".", r"\.") + ")"), operations)
    for path, operations in cast("dict[str, Any]", openapi_document()["paths"]).items()
]


async def check_answer_is_described(answer: httpx.Response) -> None:
    """Every answer of every test is one that the OpenAPI document has, with the media type that it has."""
    path, method = answer.request.url.path, answer.request.method.lower()
    for pattern, operations in DESCRIBED:
        if pattern.fullmatch(path) and method in operations:
            described = operations[method]["responses"]
            assert str(answer.status_code) in described, f"{method} {path} answers {answer.status_code}: not described"
            media_types = described[str(answer.status_code)].get("content", {"": None})
            assert answer.headers.get("content-type", "").partition(";")[0] in media_types or answer.status_code == 204
            return


class PatientProtocol(ServerConnection):
    """The server's protocol when this machine may be busier than any client is slow."""

    head_seconds = PATIENCE_SECONDS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: "object") -> AsyncIterator[Installation]:
    moment = [NOW]
    folder = tmp_path_factory.mktemp("data")  # type: ignore[attr-defined]  # pytest's own type is not public
    store = await Store.open(f"sqlite:///{Path(folder) / 'callwright.db'}", clock=lambda: moment[0])
    await store.ensure_sub_account("riders_hq")
    await store.ensure_sub_account("other_co")
    key, other_key = await store.create_key("riders_hq", "test"), await store.create_key("other_co", "test")
    read_only_key = await store.create_key("riders_hq", "reader", ["read"])
    admin_key = await store.create_key("riders_hq", "operator", ["admin"])
    revoked_key = await store.create_key("riders_hq", "old")
    await store.revoke_key(next(row.key_id for row in await store.list_keys() if row.name == "old"))
    board = MemoryBoard(store, lambda: moment[0])
    numbers = itertools.count(1)

    async def trouble() -> str | None:
        return installation.trouble

    async def post(url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> Told:
        installation.told.append((url, json.loads(body)))
        return Told()

    async def post_test(url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> Told:
        installation.tested.append((url, body, dict(headers)))
        if installation.test_failures:
            raise installation.test_failures.pop()
        return Told()

    async def sleep(seconds: float) -> None:
        end = installation.now + seconds
        while installation.now < end:  # noqa: ASYNC110 - time moves when a test says so
            await asyncio.sleep(0.005)

    callbacks = VerificationCallbacks(store, post, lambda: moment[0], sleep=sleep)
    line = MemoryLine()
    settings = load(SETTINGS, {}, {"data": str(folder)})
    trunks = Trunks(settings, store, asyncio.sleep)
    await trunks.load()
    trunks.follow(line, line.widened.append)
    feed = EventFeed(store)
    store.on_event = feed.notice
    platform = Platform(
        board=board,
        trunks=trunks,
        store=store,
        policy_for=lambda name: installation.policies.get(name, RequestPolicy()),
        clock=lambda: installation.now,
        new_uuid=lambda: str(uuid.UUID(int=next(numbers))),
        trouble=trouble,
        draining=lambda: installation.draining,
        tester=Tester(post_test, lambda: installation.now, time.time, lambda: f"evt_{next(numbers)}"),
        feed=feed,
        verification_callbacks=callbacks,
        wake_deliveries=lambda: installation.woken.append("deliveries"),
        wake_exports=lambda: installation.woken.append("exports"),
        body_seconds=PATIENCE_SECONDS,
    )
    server = await serve_http(Api(platform), HostPort("127.0.0.1", 0), grace_seconds=1, protocol=PatientProtocol)
    hasty = Api(dataclasses.replace(platform, body_seconds=0.3, metrics=Metrics()))
    hasty_server = await serve_http(hasty, HostPort("127.0.0.1", 0), grace_seconds=1)
    hooks = {"response": [check_answer_is_described]}
    base_url = f"http://{server.address}"
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, event_hooks=hooks) as client:
        installation = Installation(
            client,
            server.address,
            hasty_server.address,
            store,
            board,
            platform,
            key,
            other_key,
            read_only_key,
            admin_key,
            line,
            revoked_key,
        )
        installation.moment = moment
        yield installation
    await trunks.stop()
    await feed.stop()
    await server.stop()
    await hasty_server.stop()
    await callbacks.stop()
    await store.close()
