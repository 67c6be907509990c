"""Doors to loopback and prompts with real workers, one of each kind."""

from collections.abc import AsyncIterator
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
