"""callwright as a program for whole-call tests: started, read, signalled, ended; and the ports that nobody else has."""

import asyncio
import codecs
import contextlib
import itertools
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.customers import PATIENCE_SECONDS, Customer, News, Web

PORTS_OF_A_WORKER = 2_000
PORTS_OF_A_NODE = 40
SINGLE_PORTS_OF_A_WORKER = 500

_node_numbers = itertools.count()
_port_numbers = itertools.count(os.getpid())


def _worker() -> int:
    """The number of this process among those that share the tests."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def unused_port() -> int:
    """A port of the loopback address that nobody has now, for UDP and for TCP, and that nobody is given by chance.

    What the system hands out will not do for a program that is killed and started again, nor for an address where
    nobody shall be: somebody else may be given it meanwhile. And a port that a TCP connection had cannot be listened on
    for a minute after it, though it is free for UDP; after thousands of requests that is one port in twelve.
    """
    first = 2_000 + _worker() % 6 * SINGLE_PORTS_OF_A_WORKER
    for number in itertools.islice(_port_numbers, SINGLE_PORTS_OF_A_WORKER):
        port = first + number % SINGLE_PORTS_OF_A_WORKER
        with contextlib.suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port from {first} on is free")


def own_rtp_ports() -> str:
    """A range of RTP ports for one node, below the ports that the system hands out, apart from other workers'."""
    place = next(_node_numbers) % (PORTS_OF_A_WORKER // PORTS_OF_A_NODE)
    first = 10_000 + _worker() * PORTS_OF_A_WORKER + place * PORTS_OF_A_NODE
    return f"{first}-{first + PORTS_OF_A_NODE - 1}"


@dataclass(frozen=True)
class Ended:
    """A program that ran to its end."""

    status: int
    out: str
    err: str


class Program:
    """A running program: what it has said so far, signals, its end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._news = News()
        self.out = ""
        self.err = ""
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            asyncio.create_task(self._read(process.stdout, "out")),
            asyncio.create_task(self._read(process.stderr, "err")),
        ]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        return self._process.returncode is not None

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end inside a character
        while piece := await stream.read(65_536):
            setattr(self, name, getattr(self, name) + decoder.decode(piece))
            self._news.tell()
        self._news.tell()

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until its standard output or error matches: whole lines, because a read may end inside one."""

        def look() -> re.Match[str] | None:
            is_over = all(reader.done() for reader in self._readers)
            for said in (self.out, self.err):
                found = re.search(pattern, said if is_over else said[: said.rfind("\n") + 1])
                if found is not None:
                    return found
            if is_over:
                raise AssertionError(f"it ended without {pattern!r}:\n{self.out}\n{self.err}")
            return None

        try:
            return await self._news.until(look)
        except TimeoutError:
            raise AssertionError(f"it did not say {pattern!r}, but this:\n{self.out}\n{self.err}") from None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def end(self) -> Ended:
        """Wait for its end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            status = await self._process.wait()
            await asyncio.gather(*self._readers)
        return Ended(status, self.out, self.err)

    async def kill(self) -> None:
        """End it whatever it does, and wait."""
        if not self.is_over:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self.end()
        print(f"--- what {self.pid} said ---\n{self.out}\n{self.err}")  # noqa: T201  pytest shows it of tests that fail


class Shell:
    """Starts programs in a folder of their own, with a clean environment; ends those that still run."""

    def __init__(self, folder: Path, stack: AsyncExitStack, database: str | None = None) -> None:
        """`database` is the URL of a PostgreSQL database that nodes started here use."""
        self.folder = folder
        self._stack = stack
        self._database = {} if database is None else {"CALLWRIGHT_DATABASE": database}

    async def start(self, *command: str, **environment: str) -> Program:
        """Start a program."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLWRIGHT_")}
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**inherited, "COLUMNS": "200", "PYTHONUNBUFFERED": "1", **self._database, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        program = Program(process)
        self._stack.push_async_callback(program.kill)
        return program

    async def close(self) -> None:
        """End what still runs."""
        await self._stack.aclose()

    async def callwright(self, *arguments: str, **environment: str) -> Program:
        """Start `callwright …`."""
        return await self.start(sys.executable, "-m", "callwright", *arguments, **environment)

    async def ended(self, *arguments: str, **environment: str) -> Ended:
        """Run `callwright …` to its end."""
        return await (await self.callwright(*arguments, **environment)).end()

    async def platform(self, *arguments: str, command: str = "run", **environment: str) -> "Platform":
        """Start `callwright run …` on ports of its own and wait until it is ready."""
        ports = [] if "CALLWRIGHT_HTTP" in environment else ["--http", "127.0.0.1:0"]
        ports += ["--sip", "127.0.0.1:0", "--rtp-ports", own_rtp_ports(), "--speech-workers", "1"]
        program = await self.callwright(command, *ports, *arguments, **environment)
        address = (await program.says(r"HTTP +http://(\S+)"))[1]
        key = (await program.says(r"API key +(\S+)"))[1] if command == "run" else None
        if command == "run":
            await program.says("Ctrl-C stops")
        return Platform(program, address, key)


@dataclass(frozen=True)
class Platform:
    """A running `callwright run` or `callwright serve`."""

    program: Program
    address: str
    key: str | None

    @contextlib.asynccontextmanager
    async def customer(self, sub_account: str = "riders_hq", key: str | None = None) -> AsyncIterator[Customer]:
        """Somebody with a key, whose summaries are delivered."""
        async with Web().serving() as web:
            customer = Customer(f"http://{self.address}", sub_account, key or self.key or "", web)
            async with customer.http:
                await customer.want_summaries()
                yield customer
