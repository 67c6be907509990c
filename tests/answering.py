"""A customer's server for VCA, VCS and VRU in whole-call tests: it answers questions as it was told to, well or badly.

The answers are handed in beforehand, in their order; a question beyond them is answered `{}`. Bad answers are bytes on
a socket, because no HTTP library would let a server misbehave like that.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Self

from tests.customers import CALLER, Json, News, Posted
from tests.web import Request, respond, web_server

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Writes an answer, or does something else to whoever waits for one."""

VOICE = "en-IE-EmilyNeural"


# --- actions ----------------------------------------------------------------------------------------------------------


def make_call(number: str, source: str = CALLER, **more: object) -> Json:
    return {"action": "makeCall", "params": {"source": source, "destination": number, **more}}


def say(text: str) -> Json:
    return {"action": "say", "params": {"text": text, "voiceProfile": VOICE, "speed": 2}}


def ask(prompt: str, **more: object) -> Json:
    """sayAndCapture; one key unless told otherwise."""
    usual = {"voiceProfile": VOICE, "speed": 2, "minDigits": 1, "maxDigits": 1, "noOfTries": 1}
    return {"action": "sayAndCapture", "params": {"promptMessage": prompt, **usual, **more}}


HANGUP: Json = {"action": "hangup"}


# --- answers ----------------------------------------------------------------------------------------------------------


def body(content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Answering:
    """A whole answer."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await respond(writer, content, status, headers)

    return answer


def flow(*actions: Json, **more: object) -> Answering:
    """What to do next."""
    return body(json.dumps({"callflow": list(actions), **more}).encode())


def slow(seconds: float, then: Answering) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(writer)

    return answer


async def never(_: asyncio.StreamWriter) -> None:
    """Takes the question and says nothing."""
    await asyncio.Event().wait()


async def endless(writer: asyncio.StreamWriter) -> None:
    """Ten gigabytes, as long as somebody takes them."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


async def drips(writer: asyncio.StreamWriter) -> None:
    """A body that is always about to end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.5)


async def dies(writer: asyncio.StreamWriter) -> None:
    """Half an answer."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"callflow":[')
    await writer.drain()
    writer.close()


NOTHING = body(b"{}")


# --- the server -------------------------------------------------------------------------------------------------------


class Answerer:
    """Takes webhooks of every type on paths of their own, keeps them, answers questions."""

    def __init__(self, *answers: Answering) -> None:
        self.answers = list(answers)
        self.posted: list[Posted] = []
        self.news = News()
        self._port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        async with web_server(self._answer) as self._port:
            yield self

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        answer = NOTHING
        if request.path == "/vca" and self.answers:
            answer = self.answers.pop(0)
        self.posted.append(Posted(request.path, request.headers, json.loads(request.body), request.body))
        self.news.tell()
        await answer(writer)

    def of(self, path: str, session_id: str | None = None) -> list[Posted]:
        """What came on a path; of one session, if it is named."""
        posted = [each for each in self.posted if each.path == path]
        return [each for each in posted if session_id in (None, each.body["payload"]["sessionId"])]

    def questions(self, session_id: str) -> list[Json]:
        """The payloads of a session's VCA webhooks."""
        return [each.body["payload"] for each in self.of("/vca", session_id)]

    async def events(self, session_id: str, most: int) -> list[Json]:
        """The payloads of a session's VCS webhooks, in the order of their time, once that many are here."""

        def look() -> list[Json] | None:
            found = [each.body["payload"] for each in self.of("/vcs", session_id)]
            return found if len(found) >= most else None

        return sorted(await self.news.until(look), key=lambda payload: str(payload["timestamp"]))

    async def register(self, customer: Any, *kinds: str, **more: object) -> None:
        """Be the customer's webhook of these types: VCA, VCS, VRU."""
        for kind in kinds:
            content = {"type": kind, "url": self.url(f"/{kind.lower()}"), "httpAuthHeader": "Bearer mine", **more}
            answer = await customer.http.post("/webhooks", json=content)
            assert answer.status_code == 200, answer.text


_numbers = itertools.count(1)


def virtual_number() -> str:
    """A Singapore number that no other test of this process has."""
    return f"+653158{next(_numbers):04}"
