"""What the API asks of the rest of callwright. The real rooms fit as they are; tests hand in others."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from callwright.api.feed import EventFeed
from callwright.api.verification_callbacks import VerificationCallbacks
from callwright.callflow.plan import Callflow
from callwright.contract.policy import RequestPolicy
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
