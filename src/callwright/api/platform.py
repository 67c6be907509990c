"""What the API asks of the rest of callwright. The real rooms fit as they are; tests hand in others."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from callwright.callflow.plan import Callflow
from callwright.contract.policy import RequestPolicy
from callwright.storage.records import ApiKey, StoredSession, Webhook, WebhookKind
from callwright.telemetry.clock import Clock
from callwright.telemetry.metrics import Metrics
from callwright.telemetry.trace import Trace, TraceEntry


class Board(Protocol):
    """Runs sessions: `switchboard.board.Switchboard`."""

    async def accept(self, sub_account_id: str, callflow: Callflow) -> str:
        """Session id, durable. BusyError or StorageError: nothing was done."""

    def watch(self, session_id: str) -> AsyncIterator[TraceEntry]:
        """What happened so far and what happens until the record is durable; nothing if the session is not live."""

    def hang_up(self, session_id: str) -> bool:
        """Ask for the end of a live session; False when it is not live."""


class Records(Protocol):
    """Keeps what must survive: `storage.store.Store`."""

    async def find_key(self, text: str) -> ApiKey | None:
        """The live key with this text, of whichever sub-account."""

    async def put_webhook(
        self, sub_account_id: str, kind: WebhookKind, url: str, http_auth_header: str | None, *, enabled: bool = True
    ) -> Webhook:
        """Register, or replace what is registered for that kind."""

    async def list_webhooks(self, sub_account_id: str) -> tuple[Webhook, ...]:
        """What is registered."""

    async def delete_webhook(self, sub_account_id: str, kind: WebhookKind) -> Webhook | None:
        """Take away; what it was, None when there was none."""

    async def find_session(self, session_id: str) -> StoredSession | None:
        """One session, live or finished."""

    async def find_trace(self, session_id: str) -> Trace | None:
        """The trace of a finished session."""


@dataclass(frozen=True, slots=True)
class Platform:
    """All that the routes need; one per process."""

    board: Board
    store: Records
    policy_for: Callable[[str], RequestPolicy]
    "how a sub-account's requests are read"
    clock: Clock
    new_uuid: Callable[[], str]
    "for callFlowRequestId; a UUID"
    trouble: Callable[[], Awaitable[str | None]]
    "what keeps the process from taking calls, in words for operators; None when it is ready"
    draining: Callable[[], bool]
    "the process stops: no new calls"
    metrics: Metrics = field(default_factory=Metrics)
    body_seconds: float = 10.0
    "how long a request's body may take to arrive"
    metrics_readers: str = "loopback"
    "who may read /metrics: loopback, any or off"
