"""Verifications at rest: one waits per destination, guesses count one by one, codes are sealed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from callwright.contract.otp_request import VerificationRequest, parse_verification
from callwright.contract.otp_session import Verification, VerificationStatus, ask_again, begin
from callwright.contract.platform_errors import PlatformCode
from callwright.errors import ContractError
from callwright.storage.store import Store

CODE = "804615"
NOW = 1_800_000_000.0
Decide = Callable[[Verification | None], Verification]


@pytest.fixture
def request_() -> VerificationRequest:
    return parse_verification(b'{"channel": "call", "destination": "+6587654321"}')


@pytest.fixture
def decide(request_: VerificationRequest) -> Callable[[str, float], Decide]:
    """What a request at a moment makes of the verification that waits."""

    def at(session_id: str, now: float) -> Decide:
        def decided(current: Verification | None) -> Verification:
            if current is None:
                return begin(request_, "riders_hq", session_id, CODE, now)
            return ask_again(current, request_, "111111", now)

        return decided

    return at


async def ask(store: Store, decide: Decide) -> Verification:
    return await store.ask_verification("riders_hq", "+6587654321", decide)


async def test_a_verification_is_begun_asked_for_again_and_verified(
    store: Store, decide: Callable[[str, float], Decide]
) -> None:
    begun = await ask(store, decide("v1", NOW))
    assert (begun.status, begun.sent_at) == (VerificationStatus.WAITING, NOW)
    again = await ask(store, decide("v2", NOW + 20))
    assert (again.session_id, again.code, again.sent_at) == ("v1", CODE, NOW + 20)
    judged = await store.check_verification("riders_hq", "v1", CODE, NOW + 30)
    assert judged is not None
    assert judged.status is VerificationStatus.VERIFIED
    assert (await ask(store, decide("v3", NOW + 40))).session_id == "v3"


async def test_asking_too_early_writes_nothing_and_fails_nobody_else(
    store: Store, decide: Callable[[str, float], Decide]
) -> None:
    begun = await ask(store, decide("v1", NOW))
    refused, account = await asyncio.gather(
        ask(store, decide("v1", NOW + 1)), store.ensure_sub_account("beside"), return_exceptions=True
    )
    assert isinstance(refused, ContractError)
    assert refused.status_code == PlatformCode.RESENT_TOO_EARLY
    assert account is None
    assert await store.check_verification("riders_hq", "v1", None, NOW + 1) == begun


async def test_guesses_at_the_same_time_count_one_by_one(store: Store, decide: Callable[[str, float], Decide]) -> None:
    await ask(store, decide("v1", NOW))
    guesses = [store.check_verification("riders_hq", "v1", f"{number:06}", NOW + 1) for number in range(20)]
    judged = [each for each in await asyncio.gather(*guesses) if each is not None]
    assert [each.attempt for each in judged] == [1, 2, 3, 4, *[5] * 16]
    assert judged[-1].status is VerificationStatus.FAILED
    late = await store.check_verification("riders_hq", "v1", CODE, NOW + 2)
    assert late is not None
    assert late.status is VerificationStatus.FAILED


async def test_a_verification_is_its_sub_accounts_own(store: Store, decide: Callable[[str, float], Decide]) -> None:
    await ask(store, decide("v1", NOW))
    assert await store.check_verification("other", "v1", CODE, NOW) is None
    assert await store.check_verification("riders_hq", "v9", CODE, NOW) is None


async def test_a_code_is_nowhere_in_the_data_folder(
    store: Store, decide: Callable[[str, float], Decide], database: Path
) -> None:
    begun = await ask(store, decide("v1", NOW))
    assert CODE not in repr(begun)
    await store.close()
    written = b"".join(path.read_bytes() for path in database.parent.iterdir())
    assert CODE.encode() not in written
