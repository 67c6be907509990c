"""The world around a victim: SIPp as its callees, a customer's web server, HTTP requests, and what they saw."""

import asyncio
import json
import os
import random
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.peers import PeerTrouble, start_sipp
from tests.web import Request, respond, web_server

CALLEE = Path(__file__).parent / "callee.xml"
CLICK_MS = 1
ENDINGS = ("ended", "left", "cancelled", "orphan")


class Trouble(Exception):
    """The harness itself cannot go on."""


_candidates = iter(random.sample(range(5_000, 10_000), 5_000))


def free_port() -> int:
    """A port of the loopback that nobody has now, UDP or TCP, and that the system gives to nobody who asks for any.

    The second matters: between a victim and the next one its port is free for a moment.
    """
    for port in _candidates:
        with suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port
    raise Trouble("no port is free")


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait; Trouble when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the world does not say when it changes
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise Trouble(f"{what} did not come about in {seconds:g} s") from None


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One call as the callee saw it."""

    number: str
    call_id: str
    ending: str
    "ended (our BYE), left (its own BYE), cancelled, orphan (nobody said anything for 31 s); empty: still up"


class Phones:
    """SIPp, and the log that it writes."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    @classmethod
    @asynccontextmanager
    async def started(cls, folder: Path) -> AsyncIterator[Self]:
        """One SIPp for any number of calls."""
        port, media = free_port(), free_port() & ~1
        log = folder / "calls.log"
        try:
            process = await start_sipp(
                "sipp", CALLEE, port, folder, "-mi", "127.0.0.1", "-mp", str(media),
                "-trace_logs", "-log_file", str(log), "-timer_resol", "10", "-default_behaviors", "none",
            )  # fmt: skip
        except (PeerTrouble, TimeoutError) as trouble:
            raise Trouble(f"SIPp did not start: {trouble}") from trouble
        try:
            yield cls(port, log)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def calls(self) -> list[CallSeen]:
        """Every call so far."""
        begun: dict[tuple[str, str], str] = {}
        if self._log.exists():
            for line in self._log.read_text(errors="replace").splitlines():
                _, what, number, call_id = line.split(" ", 3)
                key = (number, call_id)
                begun[key] = what if what in ENDINGS else begun.get(key, "")
        return [CallSeen(number, call_id, ending) for (number, call_id), ending in begun.items()]


class Customer:
    """A web server that takes summaries, counts them, and answers questions with a hang-up."""

    def __init__(self) -> None:
        self.summaries: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        "session → (webhook-id, body) of every delivery"
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Listen."""
        async with web_server(self._answer) as self.port:
            yield self

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        answer = b"{}"
        if request.path == "/vss":
            session_id = json.loads(request.body)["payload"]["sessionId"]
            self.summaries[session_id].append((request.headers["webhook-id"], request.body))
        elif request.path == "/vca":
            answer = b'{"callflow": [{"action": "hangup"}]}'
        await respond(writer, answer)


async def request(
    port: int, method: str, path: str, key: str, body: object = None, more: str = "", seconds: float = 5.0
) -> tuple[int, Any] | None:
    """One HTTP request on a connection of its own: status and JSON, or None when nobody answered to the end."""
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n{more}\r\n"
    )
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(head.encode() + data)
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    head_bytes, separator, content = answer.partition(b"\r\n\r\n")
    if not separator:
        return None
    try:
        return int(head_bytes.split(b" ", 2)[1]), json.loads(content or b"null")
    except ValueError:
        return None


class Zygote:
    """The process that victims are forked from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._pids: asyncio.Queue[int] = asyncio.Queue()
        self.endings: dict[int, int] = {}
        "pid → exit status, negative when a signal ended it"
        self._asking = asyncio.Lock()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def started(cls, executable: str, environment: dict[str, str]) -> AsyncIterator[Self]:
        """Load the program once."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLWRIGHT_")}
        process = await asyncio.create_subprocess_exec(
            executable, "-m", "chaos.victim", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**inherited, **environment},
        )  # fmt: skip
        zygote = cls(process)
        try:
            yield zygote
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()
            await zygote._reader

    async def fork(self, arguments: list[str], log: Path, point: str | None = None, nth: int = 1) -> int:
        """Start a victim; its pid."""
        if self._process.stdin is None:
            raise Trouble("the zygote has no pipe")
        order = {"point": point, "nth": nth, "arguments": arguments, "log": str(log)}
        async with self._asking:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
            return await self._pids.get()

    async def _read(self) -> None:
        if self._process.stdout is None:
            return
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "pid" in said:
                self.endings.pop(said["pid"], None)  # the kernel gives the number of a dead one again
                self._pids.put_nowait(said["pid"])
            else:
                self.endings[said["ended"]] = said["status"]
