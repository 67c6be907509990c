"""What tests of whole calls share: a running node on real sockets, a customer of it, web servers, and its commands.

The nodes live as long as the test session, one of each kind in a worker; every test is a customer of its own there,
with its own sub-account, key, webhook and telephone numbers. Nothing here looks inside a room: it starts, sends,
listens and waits.
"""

import asyncio
import codecs
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import httpx
import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from callwright.audio import g711, wav
from callwright.node import Node
from callwright.settings import load
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier, Heard

T = TypeVar("T")
Json = dict[str, Any]
Samples = NDArray[np.int16]

PATIENCE_SECONDS = 60.0
"""How long something that must happen may take on a busy machine before the test says that it did not."""
CALLER = "+6531350000"
QUICKLY = Behaviour(answer_after_seconds=0.1)
PORTS_OF_A_WORKER = 2_000
PORTS_OF_A_NODE = 40
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class News:
    """Something happens from time to time; whoever waits looks again."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def tell(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    async def until(self, look: Callable[[], T | None]) -> T:
        """What `look` finds, as soon as it finds something."""
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (found := look()) is None:
                    news.clear()
                    await news.wait()
            return found
        finally:
            self._waiting.discard(news)


# --- the web: files to fetch, webhooks to receive ---------------------------------------------------------------------


@dataclass
class Page:
    """What a GET is answered with."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    release: asyncio.Event | None = None
    "the answer waits for it"


@dataclass(frozen=True)
class Posted:
    """A POST that arrived."""

    path: str
    headers: Mapping[str, str]
    body: Any


class Web:
    """A small HTTP server of the customer's: serves `pages`, keeps what is posted."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.fetched: list[str] = []
        self.posted: list[Posted] = []
        self.answers: list[int] = []
        "statuses of the next POSTs; 200 when it is empty"
        self.news = News()
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await self._exchange(reader, writer)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if method == "POST":
            self.posted.append(Posted(path, headers, json.loads(body)))
            page = Page(b"{}", self.answers.pop(0) if self.answers else 200)
        else:
            self.fetched.append(path)
            page = self.pages.get(path, Page(b"not here", 404))
        self.news.tell()
        if page.release is not None:
            await page.release.wait()
        lines = [f"HTTP/1.1 {page.status} Answer", f"Content-Length: {len(page.body)}"]
        lines += [f"{name}: {value}" for name, value in page.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + page.body)
        await writer.drain()


def check_summary(body: Json, session_id: str, sub_account: str) -> Json:
    """A session summary's form, field by field as contract §5 has it; returns the payload."""
    assert set(body) == {"payload", "namespace", "eventType", "description", "version"}
    assert (body["namespace"], body["eventType"], body["version"]) == ("VOICE", "SESSION_SUMMARY", 5)
    assert body["description"] == "Summary of a completed call session"
    payload: Json = body["payload"]
    required = {"sessionId", "subAccountId", "sessionStatus", "startTime", "endTime", "lastAction", "callCount"}
    assert required | {"details"} <= set(payload) <= required | {"details", "errorDetails", "clientRequestId"}
    assert (payload["sessionId"], payload["subAccountId"]) == (session_id, sub_account)
    assert payload["sessionStatus"] in {"COMPLETED", "NO_ANSWER", "BUSY", "CANCELED", "FAILED", "ERROR"}
    assert payload["lastAction"] in {"MAKE_CALL", "SAY", "PLAY_FILE", "SAY_AND_CAPTURE", "HANGUP"}
    assert SECONDS.fullmatch(payload["startTime"])
    assert SECONDS.fullmatch(payload["endTime"])
    assert ("errorDetails" in payload) == (payload["sessionStatus"] == "ERROR")
    if "errorDetails" in payload:
        assert {"errorMsg", "errorCode"} <= set(payload["errorDetails"]) <= {
            "errorMsg", "errorCode", "action", "callFlowRequestId",
        }  # fmt: skip
        assert isinstance(payload["errorDetails"]["errorCode"], int)
    assert payload["callCount"] == len(payload["details"])
    for leg in payload["details"].values():
        _check_leg(leg)
    return payload


def _check_leg(leg: Json) -> None:
    """§5.3"""
    required = {
        "callId", "callDirection", "callType", "initiatedTimestamp", "disconnectedTimestamp", "source", "destination",
        "sourceFormat", "destinationFormat", "sourceCountryCode", "destinationCountryCode", "callStatus",
        "callDuration",
    }  # fmt: skip
    assert required <= set(leg) <= required | {"connectedTimestamp", "callQuality"}
    assert UUID.fullmatch(leg["callId"])
    assert (leg["callDirection"], leg["callType"]) == ("OUTBOUND", "PSTN")
    assert (leg["sourceFormat"], leg["destinationFormat"]) == ("MSISDN", "MSISDN")
    assert all(SECONDS.fullmatch(value) for name, value in leg.items() if name.endswith("Timestamp"))
    assert isinstance(leg["callDuration"], int)
    assert ("connectedTimestamp" in leg) == (leg["callStatus"] == "COMPLETED")
    if "connectedTimestamp" not in leg:
        assert leg["callDuration"] == 0
        assert "callQuality" not in leg
    if "callQuality" in leg:
        assert set(leg["callQuality"]) == {"mos", "packetLossRate", "jitter"}
        assert 1.0 <= leg["callQuality"]["mos"] <= 4.5
        assert 0.0 <= leg["callQuality"]["packetLossRate"] <= 1.0
        assert isinstance(leg["callQuality"]["jitter"], int)


# --- a customer -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Happened:
    """One entry of a session's trace, as the API gives it."""

    kind: str
    at: float
    fields: Json


class Story:
    """The trace of a session that is over."""

    def __init__(self, entries: list[Happened]) -> None:
        self.entries = entries

    @property
    def kinds(self) -> list[str]:
        return [happened.kind for happened in self.entries]

    def all(self, kind: str) -> list[Json]:
        return [happened.fields for happened in self.entries if happened.kind == kind]

    def only(self, kind: str) -> Json:
        """The fields of the one entry of a kind."""
        (fields,) = self.all(kind)
        return fields

    @property
    def ladder(self) -> list[str]:
        """The SIP messages: `→ INVITE`, `← 180 INVITE`."""
        steps = []
        for happened in self.entries:
            if happened.kind in ("sip.sent", "sip.received"):
                words = str(happened.fields["line"]).split()
                method = str(happened.fields["cseq"]).split()[-1]
                arrow = "→" if happened.kind == "sip.sent" else "←"
                steps.append(f"{arrow} {words[1]} {method}" if words[0] == "SIP/2.0" else f"{arrow} {words[0]}")
        return steps


class Customer:
    """Somebody with a key: sends callflows by HTTP and receives the summaries on a web server."""

    def __init__(self, base_url: str, sub_account: str, key: str, web: Web) -> None:
        self.sub_account = sub_account
        self.key = key
        self.web = web
        self.http = httpx.AsyncClient(
            base_url=f"{base_url}/api/v1/subaccounts/{sub_account}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_SECONDS,
            trust_env=False,
        )

    async def want_summaries(self) -> None:
        """Register the web server for VSS."""
        url = self.web.url("/vss")
        answer = await self.http.post("/webhooks", json={"type": "VSS", "url": url, "httpAuthHeader": "Basic Zm9v"})
        assert answer.status_code == 200, answer.text

    async def send(self, *actions: Json, **more: object) -> str:
        """Post a callflow; checks the answer's form (contract §1.5) and returns the session id."""
        answer = await self.http.post("/callflows", json={"callflow": list(actions), **more})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert set(body) == {
            "sessionId", "sessionStatus", "callFlowRequestId", "statusCode", "statusMessage",
        } | {"validUntil"} & set(more)  # fmt: skip
        assert (body["sessionStatus"], body["statusCode"], body["statusMessage"]) == ("CREATED", 1, "Created")
        assert UUID.fullmatch(body["callFlowRequestId"])
        session_id: str = body["sessionId"]
        assert UUID.fullmatch(session_id)
        return session_id

    async def say(self, number: str, text: str, **more: object) -> str:
        """Call a number, say something and hang up; returns the session id."""
        params = {"text": text, "voiceProfile": "en-IE-EmilyNeural", **more}
        return await self._message(number, {"action": "say", "params": params})

    async def play(self, number: str, url: str, **more: object) -> str:
        """Call a number, play a file and hang up; returns the session id."""
        return await self._message(number, {"action": "playFile", "params": {"fileUrl": url, **more}})

    async def _message(self, number: str, message: Json) -> str:
        call = {"action": "makeCall", "params": {"source": CALLER, "destination": number}}
        return await self.send(call, message, {"action": "hangup"})

    def summaries_of(self, session_id: str) -> list[Posted]:
        return [posted for posted in self.web.posted if posted.body["payload"]["sessionId"] == session_id]

    async def summary(self, session_id: str) -> Json:
        """Wait for the session's summary, check its form and return its payload."""
        posted = await self.web.news.until(lambda: next(iter(self.summaries_of(session_id)), None))
        assert posted.path == "/vss"
        assert posted.headers["content-type"] == "application/json"
        assert posted.headers["authorization"] == "Basic Zm9v"
        assert posted.headers["webhook-id"]
        return check_summary(posted.body, session_id, self.sub_account)

    async def happenings(self, session_id: str) -> AsyncGenerator[Happened, None]:
        """What happened so far and what happens, until the session is over."""
        async with self.http.stream("GET", f"/sessions/{session_id}/events") as answer:
            assert answer.status_code == 200
            name = ""
            async for line in answer.aiter_lines():
                what, _, value = line.partition(": ")
                if what == "event":
                    name = value
                elif what == "data" and name == "trace":
                    data = json.loads(value)
                    yield Happened(data["kind"], data["at"], data["fields"])

    async def until(self, session_id: str, kind: str) -> Happened:
        """Follow a session until something of `kind` happens."""
        async with contextlib.aclosing(self.happenings(session_id)) as happenings:
            async for happened in happenings:
                if happened.kind == kind:
                    return happened
        raise AssertionError(f"the session ended without {kind}")

    async def story(self, session_id: str) -> Story:
        """The whole trace; of a finished session it comes from the store."""
        return Story([happened async for happened in self.happenings(session_id)])


# --- nodes in this process --------------------------------------------------------------------------------------------


class Site:
    """A node, what its handset heard, and its customers."""

    def __init__(self, node: Node, data: Path) -> None:
        self.node = node
        self.data = data
        self.base_url = f"http://{node.http.address}"
        self.heard: dict[str, Heard] = {}
        self.news = News()
        self._numbers = itertools.count(1)

    @property
    def carrier(self) -> Carrier:
        assert self.node.carrier is not None
        return self.node.carrier

    def hear(self, heard: Heard) -> None:
        self.heard[heard.session_id] = heard
        self.news.tell()

    def phone(self, behaviour: Behaviour = QUICKLY) -> str:
        """A new number, and what its callee does."""
        number = f"+658{next(self._numbers):03}7777"
        self.carrier.behave(number, behaviour)
        return number

    async def recording(self, session_id: str) -> Samples:
        """What the callee heard, once the call is over."""
        heard = await self.news.until(lambda: self.heard.get(session_id))
        assert heard.path is not None
        sound = wav.parse(heard.path.read_bytes())
        assert sound.sample_rate == 8000
        return sound.samples

    def prompt(self, key: str, encoding: str = "PCMU") -> Samples:
        """The prompt whose content key begins with `key`, as it is sent."""
        (path,) = (self.data / "prompts").glob(f"{key}*.{encoding.lower()}")
        return g711.decode(encoding, path.read_bytes())

    @contextlib.asynccontextmanager
    async def customer(self, sub_account: str | None = None) -> AsyncIterator[Customer]:
        """Somebody new, whose summaries are delivered."""
        name = sub_account or f"customer-{next(self._numbers)}"
        await self.node.store.ensure_sub_account(name)
        key = await self.node.store.create_key(name, "test")
        async with Web().serving() as web:
            customer = Customer(self.base_url, name, key, web)
            async with customer.http:
                await customer.want_summaries()
                yield customer


def unused_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port of the loopback address that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def own_port() -> int:
    """An even UDP port with a free one behind it."""
    while True:
        first = unused_port() & ~1
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for port in (first, first + 1):
                held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            return first


_node_numbers = itertools.count()


def own_rtp_ports() -> str:
    """A range of RTP ports for one node, below the ports that the system hands out, apart from other workers'."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    place = next(_node_numbers) % (PORTS_OF_A_WORKER // PORTS_OF_A_NODE)
    first = 10_000 + worker * PORTS_OF_A_WORKER + place * PORTS_OF_A_NODE
    return f"{first}-{first + PORTS_OF_A_NODE - 1}"


@contextlib.asynccontextmanager
async def open_site(data: Path, toml: str = "", **flags: str) -> AsyncIterator[Site]:
    """Start a development node on ports of its own."""
    everywhere = {"http": "127.0.0.1:0", "sip": "127.0.0.1:0", "rtp_ports": own_rtp_ports(), "speech_workers": "1"}
    settings = load(toml, {}, {**everywhere, "data": str(data), **flags}, development=True)
    heard_early: list[Heard] = []
    hear: list[Callable[[Heard], None]] = [heard_early.append]
    node = await Node.start(settings, on_heard=lambda heard: hear[0](heard))
    site = Site(node, data)
    hear[0] = site.hear
    try:
        yield site
    finally:
        await node.stop(0.0)


class OpenSite(Protocol):
    """Starts a node of a test's own."""

    def __call__(self, data: Path, toml: str = "", **flags: str) -> contextlib.AbstractAsyncContextManager[Site]: ...


@pytest.fixture(name="open_site")
def _open_site() -> OpenSite:
    return open_site


SHARED_SETTINGS = """
ring_timeout_seconds = 5

[subaccounts.narrow]
caller_ids = ["+6531350000"]
destinations = ["+65"]
"""


@pytest.fixture
def page() -> type[Page]:
    """What a customer's web server answers with."""
    return Page


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node as `callwright run` starts it, with the built-in carrier."""
    async with open_site(tmp_path_factory.mktemp("site"), SHARED_SETTINGS) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def customer(site: Site) -> AsyncIterator[Customer]:
    async with site.customer() as somebody:
        yield somebody


@dataclass(frozen=True)
class TrunkSite:
    """A node whose calls go to 127.0.0.1 at `port`, where a test puts whom it likes, or nobody."""

    site: Site
    port: int


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def trunk_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TrunkSite]:
    port = unused_port()
    toml = f"""
        ring_timeout_seconds = 5
        [trunks.peer]
        uri = "sip:127.0.0.1:{port}"
        username = "callwright"
        password = "open sesame"
    """
    async with open_site(tmp_path_factory.mktemp("trunk-site"), toml) as running:
        yield TrunkSite(running, port)


@pytest_asyncio.fixture(loop_scope="session")
async def trunk_customer(trunk_site: TrunkSite) -> AsyncIterator[Customer]:
    async with trunk_site.site.customer() as somebody:
        yield somebody


# --- callwright as a program ------------------------------------------------------------------------------------------


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
        """Wait until its standard output or error matches."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.out) or re.search(pattern, self.err)
            if found is None and all(reader.done() for reader in self._readers):
                raise AssertionError(f"it ended without {pattern!r}:\n{self.out}\n{self.err}")
            return found

        return await self._news.until(look)

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


class Shell:
    """Starts programs in a folder of their own, with a clean environment; ends those that still run."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack

    async def start(self, *command: str, **environment: str) -> Program:
        """Start a program."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLWRIGHT_")}
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**inherited, "COLUMNS": "200", "PYTHONUNBUFFERED": "1", **environment},
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


@pytest.fixture(scope="session")
def shell_in() -> type[Shell]:
    """For fixtures that outlive a test."""
    return Shell


@pytest_asyncio.fixture(loop_scope="session")
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with AsyncExitStack() as stack:
        yield Shell(tmp_path, stack)


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_the_tester() -> Iterator[None]:
    """Settings in the environment of whoever runs the tests are not part of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CALLWRIGHT_")]:
            patch.delenv(name)
        yield
