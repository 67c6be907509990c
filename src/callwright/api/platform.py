"""What the API asks of the rest of callwright. The real rooms fit as they are; tests hand in others."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from callwright.api.deliveries import Tester
from callwright.api.feed import EventFeed
from callwright.api.verification_callbacks import VerificationCallbacks
from callwright.callflow.plan import Callflow
from callwright.contract.policy import RequestPolicy
from callwright.contract.trunks import TrunkEntry, TrunkTried
from callwright.errors import CallwrightError
from callwright.storage.idempotency import Keep
from callwright.storage.store import Store
from callwright.telemetry.clock import Clock
from callwright.telemetry.metrics import Metrics
from callwright.telemetry.trace import TraceEntry


class Board(Protocol):
    """Runs sessions: `switchboard.board.Switchboard`."""

    async def accept(self, sub_account_id: str, callflow: Callflow, keep: Keep | None = None) -> str:
        """Session id, durable, with what `keep` says of it. BusyError or StorageError: nothing was done."""

    def watch(self, session_id: str) -> AsyncIterator[TraceEntry]:
        """What happened so far and what happens until the record is durable; nothing if the session is not live."""

    def hang_up(self, session_id: str) -> bool:
        """Ask for the end of a live session; False when it is not live."""


class NoSuchTrunk(CallwrightError):
    """There is no trunk of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no trunk {name}")


class TrunkOfSettings(CallwrightError):
    """The trunk stands in the settings, and is changed there only."""

    def __init__(self, name: str, file_name: str) -> None:
        super().__init__(f"the trunk {name} stands in {file_name}: change it there, or choose another name")


class TrunkDesk(Protocol):
    """Who knows all trunks: `node.trunks.Trunks`."""

    def entries(self) -> list[TrunkEntry]:
        """All of them, with their state here."""

    def entry(self, name: str) -> TrunkEntry:
        """One of them; NoSuchTrunk."""

    async def put(self, name: str, table: Mapping[str, object], *, keep_password: bool = False) -> TrunkEntry:
        """Store one, or replace it. TrunkOfSettings, SettingsError."""

    async def remove(self, name: str) -> None:
        """Take one away. TrunkOfSettings, NoSuchTrunk."""

    async def ask(self, name: str) -> list[TrunkTried]:
        """OPTIONS to each of its addresses. NoSuchTrunk, TelephonyError."""


async def _nobody(_: str) -> None:
    """Nobody waits."""


@dataclass(frozen=True, slots=True)
class Platform:
    """All that the routes need; one per process."""

    board: Board
    store: Store
    policy_for: Callable[[str], RequestPolicy]
    "how a sub-account's requests are read"
    clock: Clock
    new_uuid: Callable[[], str]
    "for callFlowRequestId; a UUID"
    trouble: Callable[[], Awaitable[str | None]]
    "what keeps the process from taking calls, in words for operators; None when it is ready"
    draining: Callable[[], bool]
    "the process stops: no new calls"
    trunks: TrunkDesk
    tester: Tester
    "tries webhooks out"
    feed: EventFeed
    "the followers of events"
    verification_callbacks: VerificationCallbacks
    "told what became of verifications"
    wake_deliveries: Callable[[], None] = lambda: None
    "told when events that were held may go on"
    wake_exports: Callable[[], None] = lambda: None
    "told when an export job was queued"
    wake_recordings: Callable[[str], Awaitable[None]] = _nobody
    "told the sub-account whose recordings have a new place to go"
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    "for one-time codes; from a source that nobody can guess"
    metrics: Metrics = field(default_factory=Metrics)
    body_seconds: float = 10.0
    "how long a request's body may take to arrive"
    repeatable: set[tuple[str, str]] = field(default_factory=set)
    "sub-account and Idempotency-Key of the requests that are under way"
    metrics_readers: str = "loopback"
    "who may read /metrics: loopback, any or off"
