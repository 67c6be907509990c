"""For all rooms: how many examples property tests try, and a database whose schema is there already."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from callwright.storage.store import Store

# `make test` tries few examples, always the same ones; `make fuzz` very many and new ones.
# No deadline: a busy machine is no failure. No database: what failed once becomes an `@example` or a file in tests/.
settings.register_profile("short", deadline=None, database=None, derandomize=True, max_examples=40)
settings.register_profile(
    "fuzz", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("short")  # `--hypothesis-profile=fuzz` comes later, and wins


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="which database whole nodes run on (tests of the store run on both, always)",
    )


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file as a store leaves it that was opened and closed. To be copied: migrating takes twenty times as
    long as opening what is up to date."""
    path = tmp_path_factory.mktemp("empty") / "callwright.db"

    async def make() -> None:
        await (await Store.open(f"sqlite:///{path}")).close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # and leave the tests' loops alone
        runner.run(make())
    return path
