"""Trunks on the wire: our own endpoint, for administrators. A trunk has the keys that `[trunks.NAME]` has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callwright.contract.envelope import read_object
from callwright.contract.timestamps import iso_seconds
from callwright.errors import ContractError

FROM_SETTINGS, FROM_DATABASE = "settings", "database"


@dataclass(frozen=True, slots=True)
class TrunkState:
    """How a trunk is doing on the node that was asked."""

    calls: int
    waiting: int
    healthy: bool
    registered: bool | None
    "None: it needs no registration"
    closed_until: float | None
    "it asked for no calls until then, platform time"
    options: str
    registration: str


@dataclass(frozen=True, slots=True)
class TrunkEntry:
    """A trunk, whence it is, and how it is doing."""

    name: str
    source: str
    "FROM_SETTINGS: it cannot be changed here; FROM_DATABASE"
    table: Mapping[str, object]
    "without its password"
    has_password: bool
    updated_at: float | None
    problem: str
    "why it takes no calls; empty when it may"
    state: TrunkState | None
    "None: it takes no calls"


@dataclass(frozen=True, slots=True)
class TrunkTried:
    """What an address of a trunk answered to OPTIONS."""

    address: str
    status: int
    reason: str
    answered: bool


def parse_trunk(body: bytes) -> dict[str, object]:
    """The table in `body`; ContractError 422 unless it is a JSON object, 413 above 256 KiB."""
    return dict(read_object(body, lambda words: ContractError(422, 422, words or "the body is no JSON")).values)


def trunk_body(entry: TrunkEntry) -> dict[str, object]:
    """One trunk."""
    state = entry.state
    return {
        "name": entry.name,
        "source": entry.source,
        "settings": dict(entry.table),
        "hasPassword": entry.has_password,
        "updatedAt": None if entry.updated_at is None else iso_seconds(entry.updated_at),
        "problem": entry.problem or None,
        "state": None
        if state is None
        else {
            "healthy": state.healthy,
            "registered": state.registered,
            "calls": state.calls,
            "waiting": state.waiting,
            "closedUntil": None if state.closed_until is None else iso_seconds(state.closed_until),
            "options": state.options or None,
            "registration": state.registration or None,
        },
    }


def trunk_list(entries: Sequence[TrunkEntry]) -> dict[str, object]:
    """All of them, the first to be called in front."""
    return {"trunks": [trunk_body(entry) for entry in entries]}


def trunk_tried(name: str, tried: Sequence[TrunkTried], problem: str) -> dict[str, object]:
    """What became of OPTIONS; `problem` says why there was nobody to ask."""
    return {
        "name": name,
        "answers": any(one.answered for one in tried),
        "problem": problem or None,
        "addresses": [
            {"address": one.address, "status": one.status, "reason": one.reason, "answered": one.answered}
            for one in tried
        ],
    }
