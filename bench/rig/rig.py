"""The set-up that figures share: one server with an empty data folder, whose trunk is the sink.

Both start when a figure first asks for them. The server is `callwright run --trunk …`: the very program that users
start, without its built-in carrier, and allowed to fetch files from and report to this machine.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from bench.rig.http import Connection, request
from bench.rig.media import compiled
from bench.rig.trouble import ServerTrouble, UnexpectedAnswer

KEY = "cw_the-key-of-the-measurements"
SUB_ACCOUNT = "riders_hq"
START_SECONDS = 90.0
STOP_SECONDS = 20.0
MOST_OF_LOG = 4_000
PAIR_ATTEMPTS = 100
SOURCE = "+6512341234"
MESSAGE = "Hello, this is a test Voice Message."
VOICE = "en-IE-EmilyNeural"
Size = Literal["quick", "short", "whole"]
"""`quick` shows that everything works, and no number that means anything; `short` is for a first look."""
Number = TypeVar("Number", int, float)


class SinkProcess:
    """The callee."""

    def __init__(self, commands: asyncio.StreamWriter, answers: asyncio.StreamReader) -> None:
        self._commands, self._answers = commands, answers
        self.sip_port = self.rtp_port = 0

    @classmethod
    async def of(cls, process: asyncio.subprocess.Process) -> Self:
        """Take the ports from what it says first."""
        if process.stdin is None or process.stdout is None:
            raise ServerTrouble("the sink has no pipes")
        sink = cls(process.stdin, process.stdout)
        ports = await sink._answer()
        sink.sip_port, sink.rtp_port = ports["sip_port"], ports["rtp_port"]
        return sink

    async def ask(self, command: str) -> dict[str, Any]:
        """One command; its answer."""
        self._commands.write(command.encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        line = await self._answers.readline()
        if not line:
            raise ServerTrouble("the sink ended")
        document: dict[str, Any] = json.loads(line)
        return document


class Rig:
    """Starts what figures need, once."""

    def __init__(self, size: Size) -> None:
        self.size: Size = size
        self._closers = contextlib.AsyncExitStack()
        self._sink: SinkProcess | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._log = Path()
        self.http_port = self.sip_port = 0

    def sized(self, quick: Number, short: Number, whole: Number) -> Number:
        """How much of something at this size."""
        return {"quick": quick, "short": short, "whole": whole}[self.size]

    async def close(self) -> None:
        """End every process and remove the data folder."""
        await self._closers.aclose()

    async def sink(self) -> SinkProcess:
        """The callee, started when first asked for."""
        if self._sink is None:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.rig.sink", "127.0.0.1",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
            )  # fmt: skip
            self._closers.push_async_callback(end, process)
            self._sink = await SinkProcess.of(process)
        return self._sink

    async def trunk_port(self) -> int:
        """Where the server's calls go."""
        return (await self.sink()).sip_port

    async def server_pid(self) -> int:
        """The server's main process, started when first asked for."""
        if self._server is None:
            self._server = await self._start_server(await self.trunk_port())
        if self._server.returncode is not None:
            raise self._trouble(f"the server ended with status {self._server.returncode}")
        return self._server.pid

    async def connect(self) -> Connection:
        """A connection to the server."""
        await self.server_pid()
        return await Connection.open("127.0.0.1", self.http_port)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        """A connection to the server for a while."""
        connection = await self.connect()
        try:
            yield connection
        finally:
            await connection.close()

    def callflow(self, destination: str, *messages: dict[str, Any]) -> bytes:
        """A whole POST of a callflow; by default the tutorial's message."""
        dial = {"action": "makeCall", "params": {"source": SOURCE, "destination": destination}}
        flow = [dial, *(messages or (say(MESSAGE),)), {"action": "hangup"}]
        return request("POST", f"/api/v1/subaccounts/{SUB_ACCOUNT}/callflows", KEY, {"callflow": flow})

    def own(self, method: str, path: str, body: object = None) -> bytes:
        """A request to a path below the sub-account."""
        return request(method, f"/api/v1/subaccounts/{SUB_ACCOUNT}{path}", KEY, body)

    async def _start_server(self, trunk_port: int) -> asyncio.subprocess.Process:
        folder = Path(self._closers.enter_context(tempfile.TemporaryDirectory(prefix="callwright-bench-")))
        self.http_port, self.sip_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
        self._log = folder / "server.log"
        log = self._closers.enter_context(self._log.open("wb"))
        settings = {
            "HTTP": f"127.0.0.1:{self.http_port}",
            "SIP": f"127.0.0.1:{self.sip_port}",
            "DATA": str(folder / "data"),
            "API_KEY": KEY,
            "TRUNK": f"sip:127.0.0.1:{trunk_port}",
            "LOG_LEVEL": "warning",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLWRIGHT_")}
        environment = inherited | {f"CALLWRIGHT_{name}": value for name, value in settings.items()}
        # In the folder: a callwright.toml of whoever runs this must not take part.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "callwright", "run", stdout=log, stderr=log, env=environment, cwd=folder
        )
        self._closers.push_async_callback(end, process)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._is_ready():
                    if process.returncode is not None:
                        raise self._trouble(f"the server did not start; it ended with status {process.returncode}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise self._trouble(f"the server was not ready after {START_SECONDS:g} s") from None
        return process

    def _trouble(self, what: str) -> ServerTrouble:
        """What the server said of it goes to whoever started this; a result can be shown to anybody."""
        print(self._log.read_text()[-MOST_OF_LOG:], file=sys.stderr)
        return ServerTrouble(what)

    async def _is_ready(self) -> bool:
        try:
            connection = await Connection.open("127.0.0.1", self.http_port)
        except ConnectionRefusedError:
            return False
        answer = await connection.exchange(request("GET", "/readyz", KEY))
        await connection.close()
        return answer.status == 200


class CrowdRig(Rig):
    """The same with thousands of callees in place of the sink: a server and a crowd of its own."""

    def __init__(self, size: Size, message: bytes) -> None:
        """`message` is what callees are to hear, as PCMU."""
        super().__init__(size)
        self._message = message

    async def sink(self) -> SinkProcess:
        """The crowd, compiled and started when first asked for; ServerTrouble without a C compiler."""
        if self._sink is None:
            folder = Path(self._closers.enter_context(tempfile.TemporaryDirectory(prefix="callwright-crowd-")))
            frames = folder / "message"
            frames.write_bytes(self._message)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.rig.crowd", "127.0.0.1", await compiled(folder), str(frames),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
            )  # fmt: skip
            self._closers.push_async_callback(end, process)
            self._sink = await SinkProcess.of(process)
        return self._sink


def say(text: str, repetition: int = 1) -> dict[str, Any]:
    """The action that speaks a text."""
    params = {"text": text, "voiceProfile": VOICE, "repetition": repetition, "speed": 1}
    return {"action": "say", "params": params}


def play(url: str, repetition: int = 1) -> dict[str, Any]:
    """The action that plays a file."""
    return {"action": "playFile", "params": {"fileUrl": url, "repetition": repetition}}


def number(index: int) -> str:
    """A destination for each call, so that the callee can tell them apart."""
    return f"+65{60_000_000 + index}"


async def accepted(connection: Connection, post: bytes) -> str:
    """Post a callflow; its session id."""
    answer = await connection.exchange(post)
    if answer.status != 200:
        raise UnexpectedAnswer(f"HTTP {answer.status}: {answer.body[:300]!r}")
    return str(json.loads(answer.body)["sessionId"])


async def finished(rig: Rig, session_id: str, limit_seconds: float = 60.0) -> dict[str, Any]:
    """Wait for a session's end; its summary."""
    async with asyncio.timeout(limit_seconds), rig.connected() as connection:
        while True:
            answer = await connection.exchange(rig.own("GET", f"/sessions/{session_id}"))
            document: dict[str, Any] = json.loads(answer.body)
            if document.get("summary"):
                return dict(document["summary"])
            await asyncio.sleep(0.02)


def free_port(kind: socket.SocketKind) -> int:
    """A port of the loopback on which nobody listens now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_port_pair() -> int:
    """An even UDP port of the loopback that is free, as is the one after it."""
    for _ in range(PAIR_ATTEMPTS):
        port = free_port(socket.SOCK_DGRAM) & ~1
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for one in (port, port + 1):
                probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("127.0.0.1", one))
            return port
    raise ServerTrouble("no two free UDP ports in a row")


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL when that does not help."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
