"""A server that stays up while its days are bad, a client that measures its answers, and how long its calls were."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chaos.outside import Trouble, Zygote, free_port, until

KEY: Final = "cw_the-key-of-the-chaos-harness"
ACCOUNT: Final = "riders_hq"
SOURCE: Final = "+6512341234"
VOICE: Final = "en-IE-EmilyNeural"
READY_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 15.0
"""For one answer; callwright promises all of them in less."""
MOST_TRIES: Final = 10
LIVE: Final = "IN_PROGRESS"
RTP_PORTS: Final = 800


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    "HTTP; 0 when nobody answered"
    headers: Mapping[str, str]
    "names in lower case"
    body: Any
    "JSON, read; None when there is none"
    seconds: float
    "from the first byte of the request to the last of the answer, by the monotonic clock"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One call as SIPp's log has it."""

    ending: str
    "as in `outside.CallSeen`"
    seconds: float
    "from its INVITE to its end; 0 while it is up"


@dataclass(slots=True)
class Served:
    """A running server."""

    http: int
    pid: int
    data: Path
    zygote: Zygote = field(repr=False)

    async def ask(self, method: str, path: str, body: object = None, key: str = "") -> Answer:
        """A request below the sub-account; `key` is its Idempotency-Key."""
        return await ask(self.http, method, f"/api/v1/subaccounts/{ACCOUNT}{path}", body, key)

    async def must(self, method: str, path: str, body: object = None) -> Any:
        """The answer's body; Trouble unless it is a 200. A machine that is too busy is asked again."""
        answer = await self.ask(method, path, body)
        for _ in range(MOST_TRIES):
            if answer.status != 503:
                break
            await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            answer = await self.ask(method, path, body)
        if answer.status != 200:
            raise Trouble(f"{method} {path}: HTTP {answer.status} {answer.body}")
        return answer.body

    async def sessions(self) -> dict[str, str]:
        """Every session → its status, IN_PROGRESS without a terminal record."""
        found: dict[str, str] = {}
        path = "/sessions?limit=200"
        while path:
            page = await self.must("GET", path)
            for session in page["sessions"]:
                found[session["sessionId"]] = session["status"]
            path = f"/sessions?limit=200&page={page['nextPage']}" if page.get("nextPage") else ""
        return found

    def is_up(self) -> bool:
        """Whether the process runs."""
        return self.pid not in self.zygote.endings


async def ask(port: int, method: str, path: str, body: object = None, key: str = "") -> Answer:
    """One request on a connection of its own."""
    data = b"" if body is None else json.dumps(body).encode()
    once = f"Idempotency-Key: {key}\r\n" if key else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n{once}"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    begun = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(head.encode() + data)
                said = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        said = b""
    elapsed = time.monotonic() - begun
    start, separator, content = said.partition(b"\r\n\r\n")
    if not separator:
        return Answer(0, {}, None, elapsed)
    first, *lines = start.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split(" ", 2)[1]), headers, json.loads(content or b"null"), elapsed)


@asynccontextmanager
async def serving(zygote: Zygote, folder: Path, trunk_port: int, more: Mapping[str, object]) -> AsyncIterator[Served]:
    """A server of `folder`/data that dials 127.0.0.1:`trunk_port`; killed at the end. `more` are settings."""
    http, first = free_port(), _room_for_rtp()
    settings: dict[str, object] = {
        "http": f"127.0.0.1:{http}",
        "sip": f"127.0.0.1:{free_port()}",
        "data": folder / "data",
        "api-key": KEY,
        "trunk": f"sip:127.0.0.1:{trunk_port}",
        "speech-workers": 1,
        "rtp-ports": f"{first}-{first + RTP_PORTS - 1}",
        "log-level": "warning",
        **more,
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    log = folder / "server.log"
    served = Served(http, await zygote.fork(["run", *words], log), folder / "data", zygote)
    try:
        give_up_at = time.monotonic() + READY_SECONDS
        while (await ask(http, "GET", "/readyz")).status != 200:
            if not served.is_up() or time.monotonic() > give_up_at:
                raise Trouble(f"the server does not get ready: {log.read_text(errors='replace')[-3_000:]}")
            await asyncio.sleep(0.05)
        yield served
        if not served.is_up():
            raise Trouble(f"the server ended by itself: {log.read_text(errors='replace')[-3_000:]}")
    finally:
        if served.is_up():
            os.kill(served.pid, signal.SIGKILL)
            await until(lambda: not served.is_up(), 20, "the server's end")


def _room_for_rtp() -> int:
    """The first of many UDP ports, below those that the kernel hands out."""
    for first in range(12_000, 32_000 - RTP_PORTS, RTP_PORTS):
        try:
            for port in range(first, first + RTP_PORTS, RTP_PORTS // 8):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        if first not in _GIVEN:
            _GIVEN.add(first)
            return first
    raise Trouble("no room for RTP ports")


_GIVEN: Final[set[int]] = set()


def message(number: str, repetition: int = 1, text: str = "One.", **more: object) -> dict[str, Any]:
    """The body of a request: call, say, hang up."""
    call = {"source": SOURCE, "destination": number, **more}
    words = {"text": text, "voiceProfile": VOICE, "speed": 2, "repetition": repetition}
    return {
        "callflow": [
            {"action": "makeCall", "params": call},
            {"action": "say", "params": words},
            {"action": "hangup"},
        ]
    }


def conversations(folder: Path) -> dict[str, list[Conversation]]:
    """For each number the calls to it, from the log of the SIPp in `folder`."""
    log = folder / "calls.log"
    begun: dict[tuple[str, str], int] = {}
    ended: dict[tuple[str, str], tuple[str, int]] = {}
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        tick, what, number, call_id = line.split(" ", 3)
        if what == "invite":
            begun.setdefault((number, call_id), int(tick))
        else:
            ended[number, call_id] = what, int(tick)
    found: dict[str, list[Conversation]] = {}
    for (number, call_id), at in begun.items():
        ending, until_tick = ended.get((number, call_id), ("", at))
        found.setdefault(number, []).append(Conversation(ending, (until_tick - at) / 1_000))
    return found
