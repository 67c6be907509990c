"""An open store in a folder of its own, and sessions to put into it.

Tests that take a store run twice, on SQLite and on PostgreSQL, but for those that take `database`, the SQLite file.
"""

import inspect
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import Callflow, HangUp, MakeCall, Say
from callwright.callflow.summary import SessionSummary
from callwright.storage.store import Store

SUB_ACCOUNT = "riders_hq"


class HandClock:
    """Platform time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class OpenStore(Protocol):
    async def __call__(self, *, exclusive: bool = True, busy_timeout_seconds: float | None = None) -> Store: ...


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    takes = inspect.signature(metafunc.function).parameters
    if "kind" in metafunc.fixturenames and not {"database", "kind"} & takes.keys():
        metafunc.parametrize("kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "callwright.db"


@pytest.fixture
def url(kind: str, database: Path, request: pytest.FixtureRequest) -> str:
    """Of the test's one database: an SQLite file that is not there yet, or an empty database of a PostgreSQL server."""
    if kind == "sqlite":
        return f"sqlite:///{database}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def open_store(url: str, kind: str, database: Path, clock: HandClock) -> AsyncIterator[OpenStore]:
    """Opens stores on the test's one database, and closes them at the end."""
    opened: list[Store] = []
    patience = 0.9 if kind == "sqlite" else 120.0  # a busy machine is no failure

    async def open_one(*, exclusive: bool = True, busy_timeout_seconds: float | None = None) -> Store:
        store = await Store.open(
            url,
            folder=database.parent,
            clock=clock,
            exclusive=exclusive,
            busy_timeout_seconds=busy_timeout_seconds or patience,
        )
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore, kind: str, database: Path, empty_database: Path) -> Store:
    """A fresh store with the sub-account riders_hq."""
    database.parent.mkdir(mode=0o700)
    if kind == "sqlite":
        shutil.copy(empty_database, database)
    opened = await open_store()
    await opened.ensure_sub_account(SUB_ACCOUNT)
    return opened


@pytest.fixture
def flow() -> Callflow:
    return Callflow(
        (MakeCall("+6512345678", "+6587654321"), Say("Hello.", "en-US-JennyNeural"), HangUp()),
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        valid_until=1_800_000_900.25,
    )


@pytest.fixture
def summary_of() -> Callable[[str], SessionSummary]:
    def summary(session_id: str) -> SessionSummary:
        return SessionSummary(session_id, SUB_ACCOUNT, CallStatus.COMPLETED, 1.0, 9.5, "HANGUP", ())

    return summary


@pytest.fixture
def accept(store: Store, flow: Callflow, clock: HandClock) -> Callable[[str], Awaitable[None]]:
    async def accept_one(session_id: str) -> None:
        await store.accept_session(session_id, SUB_ACCOUNT, flow, clock())

    return accept_one
