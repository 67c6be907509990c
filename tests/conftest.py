"""What tests of whole calls share: running nodes on real sockets, customers of them, and a shell for the commands.

The nodes live as long as the test session, one of each kind in a worker; every test is a customer of its own there,
with its own sub-account, key, webhook and telephone numbers. Nothing here looks inside a room: it starts, sends,
listens and waits. Tests take fixtures from here and import types only.
"""

import contextlib
import functools
import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from tests.customers import Customer, News, Page, Web
from tests.postgres import Postgres
from tests.postgres import programs as postgres_programs
from tests.programs import Shell, own_rtp_ports, unused_port

from callwright.audio import g711, wav
from callwright.node import Node
from callwright.settings import load
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier, Heard
from callwright.storage.opening import open_database
from callwright.storage.schema import SCHEMA_REVISION

Samples = NDArray[np.int16]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever runs the tests in the background has Ctrl-C ignored, and programs that we start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

QUICKLY = Behaviour(answer_after_seconds=0.1)


# --- databases -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL server of this test process, whose databases are gone with it."""
    if postgres_programs() is None and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is missing; scripts/install-peers installs it")
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def empty_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database there whose schema is up to date. To be copied: `postgres.create(empty_postgres)`."""
    name = postgres.create()
    folder = tmp_path_factory.mktemp("empty-postgres")
    open_database(postgres.url(name), folder, exclusive=False, busy_timeout_seconds=30.0).close()
    return name


@pytest.fixture(scope="session")
def spare_postgres() -> list[str]:
    """Names of databases there that are as empty. Making one takes ten times as long as emptying it."""
    return []


@pytest.fixture
def postgres_url(postgres: Postgres, empty_postgres: str, spare_postgres: list[str]) -> Iterator[str]:
    """The URL of a test's own database."""
    name = spare_postgres.pop() if spare_postgres else postgres.create(empty_postgres)
    yield postgres.url(name)
    if postgres.empty(name) == SCHEMA_REVISION:
        spare_postgres.append(name)
    else:
        postgres.drop(name)


class Databases:
    """For each data folder its database, as the flag of a node; nothing for the SQLite file in the folder."""

    def __init__(self, make: Callable[[], str] | None) -> None:
        self._make = make
        self._urls: dict[Path, str] = {}

    def flags(self, data: Path) -> dict[str, str]:
        if self._make is None:
            return {}
        if data not in self._urls:
            self._urls[data] = self._make()
        return {"database": self._urls[data]}


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The databases of whole nodes, of the kind that `--database` asks for."""
    if request.config.getoption("--database") == "sqlite":
        return Databases(None)
    server: Postgres = request.getfixturevalue("postgres")
    empty: str = request.getfixturevalue("empty_postgres")
    return Databases(lambda: server.url(server.create(empty)))


# --- nodes in this process --------------------------------------------------------------------------------------------


class Site:
    """A node, what its handset heard, and its customers."""

    def __init__(self, node: Node, data: Path) -> None:
        self.node = node
        self.data = data
        self.base_url = f"http://{node.http.address}"
        self.heard: dict[str, Heard] = {}
        self.heard_at: dict[tuple[str, str], Heard] = {}
        "by session and number, for sessions with several phones"
        self.news = News()
        self._numbers = itertools.count(1)

    @property
    def where(self) -> list[str]:
        """The flags with which commands find its database."""
        database = self.node.settings.database
        return ["--data", str(self.data), *(["--database", database.reveal()] if database is not None else [])]

    @property
    def carrier(self) -> Carrier:
        assert self.node.carrier is not None
        return self.node.carrier

    def hear(self, heard: Heard) -> None:
        self.heard[heard.session_id] = heard
        self.heard_at[heard.session_id, heard.number] = heard
        self.news.tell()

    def phone(self, behaviour: Behaviour = QUICKLY) -> str:
        """A new number, and what its callee does."""
        number = f"+658{next(self._numbers):03}7777"
        self.carrier.behave(number, behaviour)
        return number

    async def recording(self, session_id: str, number: str | None = None) -> Samples:
        """What the callee heard, once the call is over; of several phones the one with this number."""
        if number is None:
            heard = await self.news.until(lambda: self.heard.get(session_id))
        else:
            heard = await self.news.until(lambda: self.heard_at.get((session_id, number)))
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


@pytest.fixture
def own_port() -> int:
    """An even UDP port with a free one behind it."""
    while True:
        first = unused_port()
        if first % 2 == 0 and unused_port() == first + 1:
            return first


@contextlib.asynccontextmanager
async def open_one_site(databases: Databases, data: Path, toml: str = "", **flags: str) -> AsyncIterator[Site]:
    """Start a development node on ports of its own."""
    everywhere = {"http": "127.0.0.1:0", "sip": "127.0.0.1:0", "rtp_ports": own_rtp_ports(), "speech_workers": "1"}
    if "database" not in flags:
        everywhere |= databases.flags(data)
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


@pytest.fixture(scope="session")
def open_site(databases: Databases) -> OpenSite:
    return functools.partial(open_one_site, databases)


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
async def site(tmp_path_factory: pytest.TempPathFactory, open_site: OpenSite) -> AsyncIterator[Site]:
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
async def trunk_site(tmp_path_factory: pytest.TempPathFactory, open_site: OpenSite) -> AsyncIterator[TrunkSite]:
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


# --- the command line ------------------------------------------------------------------------------------------------


class OpenShell(Protocol):
    """Makes a shell in a folder."""

    def __call__(self, folder: Path, stack: AsyncExitStack) -> Shell: ...


@pytest.fixture(scope="session")
def shell_in(databases: Databases) -> OpenShell:
    """For fixtures that outlive a test."""

    def open_shell(folder: Path, stack: AsyncExitStack) -> Shell:
        return Shell(folder, stack, databases.flags(folder).get("database"))

    return open_shell


@pytest_asyncio.fixture(loop_scope="session")
async def shell(tmp_path: Path, shell_in: OpenShell) -> AsyncIterator[Shell]:
    async with AsyncExitStack() as stack:
        yield shell_in(tmp_path, stack)


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_the_tester() -> Iterator[None]:
    """Settings in the environment of whoever runs the tests are not part of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CALLWRIGHT_")]:
            patch.delenv(name)
        yield
