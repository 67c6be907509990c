"""How often a callback is tried, and when a database that is away is asked again."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from callwright.api.verification_callbacks import WAITS_SECONDS, VerificationCallbacks
from callwright.contract.otp_session import Verification, VerificationStatus
from callwright.errors import EgressError, EgressRefused, StorageUnavailable

NOW = 1_750_000_000.0
URL = "https://hooks.example.com/t0ken"
WAITING = Verification("0" * 32, "riders_hq", "+6512345678", "4711", VerificationStatus.WAITING, 0, NOW + 60, NOW, 10)
VERIFIED = replace(WAITING, status=VerificationStatus.VERIFIED)


@dataclass(frozen=True, slots=True)
class Said:
    status: int


class World:
    """A receiver and a store that answer as told; sleeping moves the time."""

    def __init__(self, *answers: Said | EgressError) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.slept: list[float] = []
        self.now = NOW
        self.store_is_away = 0
        self.callbacks = VerificationCallbacks(self, self.post, lambda: self.now, sleep=self.sleep)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> Said:
        assert url == URL
        self.bodies.append(body)
        answer = self.answers.pop(0)
        if isinstance(answer, EgressError):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def check_verification(
        self, sub_account_id: str, session_id: str, code: str | None, now: float
    ) -> Verification | None:
        if self.store_is_away:
            self.store_is_away -= 1
            raise StorageUnavailable("locked")
        return replace(WAITING, status=VerificationStatus.EXPIRED)

    async def settled(self) -> None:
        """Let every errand come to its end."""
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("answers", "waits"),
    [
        ([Said(204)], []),
        ([Said(500), Said(200)], [WAITS_SECONDS[0]]),
        ([EgressError("reset"), Said(302), Said(200)], [*WAITS_SECONDS]),
        ([Said(500), EgressError("reset"), Said(404)], [*WAITS_SECONDS]),
        ([EgressRefused("inside")], []),
    ],
)
async def test_a_callback_is_tried_three_times_at_most(
    answers: list[Said | EgressError], waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    world = World(*answers)
    world.callbacks.not_placed(VERIFIED, URL)
    await world.settled()
    assert (world.answers, world.slept) == ([], waits)
    assert {json.loads(body)["status"] for body in world.bodies} == {"VERIFIED"}
    assert "t0ken" not in caplog.text
    assert ("hooks.example.com" in caplog.text) == (answers[-1] not in (Said(200), Said(204)))


async def test_an_end_is_looked_for_until_the_database_is_back() -> None:
    world = World(Said(200))
    world.store_is_away = 3
    world.callbacks.watch(WAITING, URL)
    await world.settled()
    assert world.slept == [60.0, 1.0, 1.0, 1.0]
    assert [json.loads(body)["status"] for body in world.bodies] == ["EXPIRED"]
    world.callbacks.note(VERIFIED)
    await world.settled()
    assert len(world.bodies) == 1


async def test_without_a_url_nothing_is_waited_for_or_told() -> None:
    world = World()
    world.callbacks.watch(WAITING, None)
    world.callbacks.note(VERIFIED)
    world.callbacks.not_placed(WAITING, None)
    await world.settled()
    assert (world.slept, world.bodies) == ([], [])


async def test_stopping_tells_nothing_more() -> None:
    world = World()
    world.callbacks.watch(WAITING, URL)
    world.callbacks.not_placed(WAITING, None)
    await world.callbacks.stop()
    await world.settled()
    assert world.bodies == []
