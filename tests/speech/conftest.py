"""Doors to loopback, prompts with real workers, one of each kind, and a server that plays a speech service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from callwright.egress import Egress
from callwright.speech.prompts import Prompts
from callwright.telemetry.trace import Trace


class Hands:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def trace() -> Trace:
    return Trace("session")


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    door = Egress(allow_loopback=True)
    yield door
    await door.aclose()


@pytest.fixture
async def prompts(tmp_path: Path, egress: Egress, clock: Hands) -> AsyncIterator[Prompts]:
    """Not started: each test pays only for the workers it uses."""
    made = Prompts(tmp_path / "prompts", egress, clock, workers=1)
    (tmp_path / "prompts").mkdir()
    yield made
    await made.stop()


@dataclass
class Asked:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    "names in lower case"
    body: bytes


@dataclass
class Says:
    """An answer; `after` seconds, and cut off in the middle of its body if `broken`."""

    status: int = 200
    body: bytes = b""
    content_type: str = "audio/basic"
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    broken: bool = False


class SpeechService:
    """Answers POSTs in the order of `answers`, the last one again and again; an answer may depend on the request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: Sequence[Says | Callable[[Asked], Says]] = [Says(500)]
        self.port = 0
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for talk in tuple(self._talks):
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)
            await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._talks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in rest)}
        asked = Asked(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(asked)
        says = answer if isinstance(answer, Says) else answer(asked)
        await asyncio.sleep(says.after)
        head = {"Content-Type": says.content_type, "Content-Length": str(len(says.body))} | says.headers
        lines = (f"HTTP/1.1 {says.status} Said", *(f"{name}: {value}" for name, value in head.items()), "", "")
        writer.write("\r\n".join(lines).encode())
        writer.write(says.body[: len(says.body) // 2] if says.broken else says.body)
        await writer.drain()
        if says.broken:
            raise ConnectionResetError


@pytest.fixture
def says() -> type[Says]:
    return Says


@pytest.fixture
async def service() -> AsyncIterator[SpeechService]:
    serving = SpeechService()
    await serving.serve()
    yield serving
    await serving.stop()


@pytest.fixture
async def services() -> AsyncIterator[Callable[[], SpeechService]]:
    """Makes more of them; each is served by the test."""
    made: list[SpeechService] = []

    def make() -> SpeechService:
        made.append(SpeechService())
        return made[-1]

    yield make
    for serving in made:
        await serving.stop()
