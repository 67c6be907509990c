"""A request that asks a database that is away several things is refused in time, not after a full wait for each."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from tests.jumping import JumpingLoop, tell

from callwright.api.asgi import ASGIApp
from callwright.api.errors import Edge, problem_form
from callwright.api.exchange import Exchange, json_reply
from callwright.api.platform import Platform
from callwright.callflow.plan import Callflow
from callwright.storage.transactions import Transactions
from callwright.switchboard.board import Switchboard
from callwright.telemetry.metrics import Metrics

LIMIT_SECONDS, ANSWER_SECONDS = 1.8, 1.35
Endpoint = Callable[[Exchange], Awaitable[ASGIApp]]


class Database:
    """Two queues into a database; each answer waits until it is let through."""

    def __init__(self) -> None:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        self.questions = Transactions(engine, "questions", LIMIT_SECONDS)
        self.changes = Transactions(engine, "changes", LIMIT_SECONDS)
        self.answers = threading.Event()
        self.commits = threading.Event()
        self.taken_back: list[str] = []

    async def ask(self) -> None:
        await self.questions.run(lambda _: self.answers.wait())

    async def change(self) -> None:
        await self.changes.run(lambda _: self.commits.wait(), undo=lambda _: self.taken_back.append("change"))

    async def accept_session(self, *_: object) -> None:
        """As the store does."""
        await self.change()


@asynccontextmanager
async def opened() -> AsyncIterator[Database]:
    database = Database()
    try:
        yield database
    finally:
        database.answers.set()
        database.commits.set()
        await database.questions.close()
        await database.changes.close()


class Client:
    """One request, and what it was answered."""

    def __init__(self, endpoint: Endpoint, came_at: float, body: "asyncio.Future[bytes] | None" = None) -> None:
        platform = SimpleNamespace(
            store=SimpleNamespace(answer_seconds=ANSWER_SECONDS), new_uuid=lambda: "r1", body_seconds=60.0
        )
        counted = Metrics().counter("answers", "answers", ("route", "status"))
        edge = Edge("route", endpoint, problem_form, cast("Platform", platform), counted)
        self.status = 0
        self.retry_after: bytes | None = None
        self._body = body
        scope: Any = {"type": "http", "headers": [], "came_at": came_at}
        self.task = asyncio.ensure_future(edge(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        body = b"" if self._body is None else await self._body
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.retry_after = dict(message["headers"]).get(b"retry-after")
        else:
            assert isinstance(json.loads(message["body"]), dict)


async def through(gate: threading.Event, done: Callable[[], bool]) -> None:
    gate.set()
    while not done():  # noqa: ASYNC110 - the thread says nothing when it is through
        await asyncio.sleep(0)


def test_the_second_question_waits_for_what_the_first_has_left() -> None:
    async def story(loop: JumpingLoop) -> None:
        asked: list[str] = []

        async def endpoint(_: Exchange) -> ASGIApp:
            await database.ask()
            asked.append("question")
            await database.change()
            return json_reply(200, {})

        async with opened() as database:
            client = Client(endpoint, came_at=loop.time())
            await loop.skip(0.8)
            await through(database.answers, lambda: bool(asked))
            await loop.skip(0.5)
            assert client.status == 0
            await loop.skip(0.1)
            assert (client.status, client.retry_after) == (503, b"5")

    tell(story)


def test_time_on_the_way_to_the_route_counts() -> None:
    async def story(loop: JumpingLoop) -> None:
        async def endpoint(_: Exchange) -> ASGIApp:
            await database.ask()
            return json_reply(200, {})

        async with opened() as database:
            client = Client(endpoint, came_at=loop.time() - 0.6)
            await loop.skip(0.8)
            assert client.status == 503

    tell(story)


def test_the_time_that_a_client_takes_for_its_body_does_not_count() -> None:
    async def story(loop: JumpingLoop) -> None:
        async def endpoint(exchange: Exchange) -> ASGIApp:
            assert await exchange.body() == b"{}"
            await database.ask()
            return json_reply(200, {})

        async with opened() as database:
            body: asyncio.Future[bytes] = loop.create_future()
            client = Client(endpoint, came_at=loop.time(), body=body)
            await loop.skip(5.0)
            body.set_result(b"{}")
            await loop.skip(1.3)
            assert client.status == 0
            await loop.skip(0.1)
            assert client.status == 503

    tell(story)


def test_an_acceptance_is_refused_in_time_and_taken_back_when_it_is_written_after_all() -> None:
    async def story(loop: JumpingLoop) -> None:
        async with opened() as database:
            nobody: Any = None  # whoever is asked once a session has begun; this one never does
            board = Switchboard(
                nobody, nobody, cast("Any", database), customers=nobody, recordings=nobody, rules_for=nobody,
                encode_summary=nobody, clock=loop.time, new_id=lambda: "s1", on_owed=nobody, watcher_for=nobody,
            )  # fmt: skip

            async def endpoint(_: Exchange) -> ASGIApp:
                await board.accept("riders_hq", Callflow((), "r1"))
                return json_reply(200, {})

            client = Client(endpoint, came_at=loop.time())
            await loop.skip(1.3)
            assert client.status == 0
            await loop.skip(0.1)
            assert client.status == 503
            await through(database.commits, lambda: bool(database.taken_back))
            assert board.live_sessions == 0

    tell(story)


def test_an_answer_that_is_sent_for_long_has_no_limit() -> None:
    async def story(loop: JumpingLoop) -> None:
        async with opened() as database:

            async def stream(_scope: Any, _receive: Any, send: Any) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await loop.skip(9.0)
                database.answers.set()
                await database.ask()
                await send({"type": "http.response.body", "body": b"{}"})

            async def endpoint(_: Exchange) -> ASGIApp:
                return stream

            await Client(endpoint, came_at=loop.time()).task

    tell(story)
