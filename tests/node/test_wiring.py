"""What the settings of a sub-account become in the rooms."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from callwright.callflow.outcome import CallStatus
from callwright.callflow.plan import HangUp, MakeCall, Say
from callwright.callflow.summary import LegSummary, SessionSummary
from callwright.contract.policy import OAS_DEFAULTS
from callwright.contract.request import parse_callflow
from callwright.errors import ContractError
from callwright.node import wiring
from callwright.settings import load
from callwright.storage.store import Store

NOW = 1_750_000_000.0
SETTINGS = load(
    """
    [subaccounts.old_fashioned]
    caller_ids = ["*"]
    capture_defaults = "oas"
    strict_digit_timeout = true
    coerce_numbers = true
    accept_old_shapes = true
    capital_leg_keys = true

    [subaccounts.modern]
    caller_ids = ["*"]
    """,
    {},
    {},
)
EARLY = {"source": "+6512341234", "destination": "+6512345678", "text": "Hi", "voiceProfile": "en-IE-EmilyNeural"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'callwright.db'}", clock=lambda: NOW)
    for account in SETTINGS.sub_accounts:
        await store.ensure_sub_account(account.name)
    yield store
    await store.close()


def summary_of(sub_account_id: str) -> SessionSummary:
    leg = LegSummary(
        call_id="leg-1",
        inbound=False,
        source="+6531580000",
        destination="+6512345678",
        initiated_at=NOW,
        connected_at=None,
        disconnected_at=NOW + 5,
        status=CallStatus.NO_ANSWER,
    )
    return SessionSummary("s-1", sub_account_id, CallStatus.NO_ANSWER, NOW, NOW + 5, "MAKE_CALL", (leg,))


async def test_every_choice_of_a_sub_account_reaches_how_its_requests_are_read(store: Store) -> None:
    policy_for = wiring.policies(SETTINGS, store)
    old, modern = policy_for("old_fashioned"), policy_for("modern")
    assert old.capture == OAS_DEFAULTS
    assert old.strict_digit_timeout
    assert old.coerce_numbers
    assert old.accept_old_shapes
    assert modern.capture != OAS_DEFAULTS
    assert not any((modern.strict_digit_timeout, modern.coerce_numbers, modern.accept_old_shapes))


async def test_the_early_shape_is_taken_from_whom_it_is_allowed(store: Store) -> None:
    policy_for = wiring.policies(SETTINGS, store)
    body = json.dumps({"callflow": [{"action": "say", "params": EARLY}]}).encode()
    callflow = parse_callflow(body, policy_for("old_fashioned"), NOW, "r-1")
    assert [type(action) for action in callflow.actions] == [MakeCall, Say, HangUp]
    with pytest.raises(ContractError) as refused:
        parse_callflow(body, policy_for("modern"), NOW, "r-2")
    assert refused.value.status_code == -1013


async def test_a_summary_has_the_sub_accounts_leg_keys_and_virtual_numbers(store: Store) -> None:
    number = await store.add_number("old_fashioned", "+6531580000")
    await store.find_number("+6531580000")
    body_of = wiring.summary_body(SETTINGS, store)
    old: Any = body_of(summary_of("old_fashioned"))["payload"]
    modern: Any = body_of(summary_of("modern"))["payload"]
    assert old["details"]["CallA"]["sourceRefId"] == number.reference_id
    assert list(modern["details"]) == ["callA"]
    assert "sourceRefId" not in modern["details"]["callA"], "it is another's number"
