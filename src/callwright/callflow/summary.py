"""The one terminal record of a session, from which the VSS webhook (contract §5) and every report are made."""

from dataclasses import dataclass

from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """Why a session is ERROR (§4)."""

    code: ErrorCode
    action: str | None = None
    "record name of the action that failed, such as SAY"
    call_flow_request_id: str | None = None
    reason: str = ""
    "words for people; not part of the contract's wire form"


@dataclass(frozen=True, slots=True)
class LegSummary:
    """One leg (§5.3)."""

    call_id: str
    "UUID; the leg id inside"
    inbound: bool
    source: str
    destination: str
    initiated_at: float
    connected_at: float | None
    disconnected_at: float
    status: CallStatus
    sip_code: int | None = None
    reason: str = ""
    hung_up_by: HungUpBy | None = None
    codec: str | None = None
    quality: CallQuality | None = None

    @property
    def duration_seconds(self) -> int:
        """Connected whole seconds, 0 if never connected."""
        return 0 if self.connected_at is None else round(self.disconnected_at - self.connected_at)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """The whole session (§5.2)."""

    session_id: str
    sub_account_id: str
    status: CallStatus
    started_at: float
    ended_at: float
    last_action: str
    "record name of the last action that was begun"
    legs: tuple[LegSummary, ...]
    error: ErrorDetails | None = None
    client_request_id: str | None = None
