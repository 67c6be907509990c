"""What the store hands out, and how a callflow, a summary and a trace become text and come back without loss.

A callflow is written as `{"actions": [["SAY", {…}], …], …}`: the record name of each action with its fields by their
names in `callflow/plan.py`. Fields added later with a default read old rows; unknown fields are ignored.
"""

import zlib
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from callwright.callflow.plan import ACTION_NAMES, Action, Callflow
from callwright.callflow.summary import SessionSummary
from callwright.errors import StorageError
from callwright.telemetry.trace import FieldValue, Trace

ACTION_TYPES: dict[str, type[Action]] = {name: kind for kind, name in ACTION_NAMES.items()}
TRACE_COMPRESSION = 1
"""zlib level: the first level already gives a sixth of the size, the ninth costs eight times as much."""


class SessionState(StrEnum):
    """How far a session got."""

    ACCEPTED = "ACCEPTED"
    "nothing was dialled"
    DIALLED = "DIALLED"
    "an INVITE may have left"
    FINISHED = "FINISHED"
    "its one terminal record is written"


class DeliveryState(StrEnum):
    """Where an event is on its way to the customer."""

    OWED = "OWED"
    "its session is not finished; there is no body yet"
    DUE = "DUE"
    "to be sent at `next_attempt_at`"
    HELD = "HELD"
    "the webhook was deleted, disabled or answered 410 while the event was due; goes on when there is one again"
    DELIVERED = "DELIVERED"
    "answered 2xx"
    EXHAUSTED = "EXHAUSTED"
    "given up after the last try"
    NO_ENDPOINT = "NO_ENDPOINT"
    "nobody wanted it: no enabled webhook when the session finished"


class WebhookKind(StrEnum):
    """The event types that a webhook can be registered for (contract §8.1)."""

    VSS = "VSS"
    VCS = "VCS"
    VCA = "VCA"
    VRU = "VRU"
    VNU = "VNU"


class RecordingState(StrEnum):
    """How far a recording is, in the contract's words (§9.4)."""

    PROCESSING = "PROCESSING"
    "being recorded, or waiting to be uploaded"
    PROCESSING_FAILED = "PROCESSING_FAILED"
    UPLOAD_COMPLETED = "UPLOAD_COMPLETED"
    UPLOAD_FAILED = "UPLOAD_FAILED"
    CALLBACK_COMPLETED = "CALLBACK_COMPLETED"
    "uploaded, and its VRU was taken; worked out from the event, never written"
    CALLBACK_FAILED = "CALLBACK_FAILED"
    "uploaded, and its VRU was given up; worked out from the event, never written"


class ExportState(StrEnum):
    """How far an export job is (contract §11.1)."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EMPTY = "empty"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class DialIntent:
    """An INVITE that was about to leave, written before it did; or one that came (inbound)."""

    leg_id: str
    session_id: str
    sip_call_id: str
    trunk: str
    dialled_at: float
    source: str | None = None
    "None in rows of earlier versions"
    destination: str | None = None
    inbound: bool = False
    dialog: str = ""
    "what it takes to end the leg without its process; empty in rows of earlier versions"


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One session as it stands in the database."""

    session_id: str
    sub_account_id: str
    state: SessionState
    callflow: Callflow
    accepted_at: float
    finished_at: float | None
    summary: SessionSummary | None
    "the terminal record, once it is FINISHED"
    dial_intents: tuple[DialIntent, ...]
    "in the order of dialling"
    hang_up_at: float | None = None
    "when somebody asked for its end"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a sub-account wants one kind of event."""

    sub_account_id: str
    kind: WebhookKind
    url: str
    enabled: bool
    http_auth_header: str | None = field(repr=False)
    "sent verbatim as Authorization; a secret"
    payload_version: int = 3
    "where a VCA carries digits, 1 to 3 (contract §13 row 6)"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, without its text."""

    key_id: str
    sub_account_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: float
    last_used_at: float | None
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class Lane:
    """An endpoint that has something due, and when its first try is to be."""

    sub_account_id: str
    kind: str
    first_due_at: float


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One event to send, with the endpoint as it is now."""

    delivery_id: str
    event_id: str
    "the same on every try"
    sub_account_id: str
    session_id: str
    "empty for an event that belongs to no session"
    kind: str
    url: str
    http_auth_header: str | None = field(repr=False)
    body: bytes
    attempts: int
    "tries made so far"
    tries: int
    "those since it was due, or was to be sent again"
    next_attempt_at: float


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One try."""

    number: int
    "1 is the first"
    at: float
    host: str
    status: int | None
    "HTTP status, None when no answer came"
    error: str | None
    elapsed_ms: int

    @property
    def succeeded(self) -> bool:
        """The receiver took it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One event with all its tries."""

    delivery_id: str
    event_id: str
    session_id: str
    "empty for an event that belongs to no session"
    kind: str
    state: DeliveryState
    body: bytes | None
    next_attempt_at: float | None
    attempts: tuple[DeliveryAttempt, ...]


@dataclass(frozen=True, slots=True)
class VirtualNumber:
    """A number that people call to reach a sub-account, and that its calls may show."""

    msisdn: str
    "E.164 with +"
    sub_account_id: str
    reference_id: str
    "names it in webhooks"
    country: str | None
    "ISO 3166-1 alpha-2"
    status: str
    "Active, Unhealthy, Expiring or Inactive"
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Where a sub-account's recordings are pushed to (contract §9.3)."""

    protocol: str
    "S3, SFTP or LOCAL"
    host: str
    port: int | None
    username: str
    password: str = field(repr=False)
    path: str
    audio_format: str = "mp3"
    "mp3 or wav"


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """One recording as it stands."""

    recording_id: str
    session_id: str
    sub_account_id: str
    leg_id: str
    state: RecordingState
    started_at: float
    duration_seconds: float | None
    path: str | None
    "of the spooled file"
    external_url: str | None
    "None until it is uploaded"
    attempts: int
    "tries to upload so far"
    next_attempt_at: float | None
    "None: still being recorded, or over"
    last_error: str | None


@dataclass(frozen=True, slots=True)
class StoredExport:
    """One export job."""

    job_id: str
    sub_account_id: str
    state: ExportState
    begins_at: float
    "sessions accepted at this moment or later"
    ends_at: float
    "and before this one"
    most_rows: int
    "0: all"
    created_at: float
    expires_at: float | None
    "when the link stops working; None until it works"
    token: str = field(repr=False)
    "the secret of the download link"


@dataclass(frozen=True, slots=True)
class _FlowRecord:
    actions: tuple[tuple[str, msgspec.Raw], ...]
    call_flow_request_id: str
    valid_until: float | None = None
    client_action_id: str | None = None
    client_request_id: str | None = None
    dtmf_callback_url: str | None = None


@dataclass(frozen=True, slots=True)
class _TraceRecord:
    entries: tuple[tuple[float, str, dict[str, FieldValue]], ...]


def _encode(record: object) -> bytes:
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError as error:  # half a surrogate pair, which has no UTF-8 form
        raise StorageError(f"text that is not Unicode cannot be stored: {error.reason}") from error


def encode_callflow(callflow: Callflow) -> str:
    """Callflow → JSON text. Raises StorageError for text that has no UTF-8 form."""
    return _encode(
        _FlowRecord(
            actions=tuple((ACTION_NAMES[type(action)], msgspec.Raw(_encode(action))) for action in callflow.actions),
            call_flow_request_id=callflow.call_flow_request_id,
            valid_until=callflow.valid_until,
            client_action_id=callflow.client_action_id,
            client_request_id=callflow.client_request_id,
            dtmf_callback_url=callflow.dtmf_callback_url,
        )
    ).decode()


def decode_callflow(text: str) -> Callflow:
    """JSON text → callflow. Raises StorageError when the text is not one of ours."""
    try:
        record = msgspec.json.decode(text, type=_FlowRecord)
        actions = tuple(msgspec.json.decode(raw, type=ACTION_TYPES[name]) for name, raw in record.actions)
    except (msgspec.DecodeError, KeyError) as error:
        raise StorageError(f"a stored callflow cannot be read: {error}") from error
    return Callflow(
        actions=actions,
        call_flow_request_id=record.call_flow_request_id,
        valid_until=record.valid_until,
        client_action_id=record.client_action_id,
        client_request_id=record.client_request_id,
        dtmf_callback_url=record.dtmf_callback_url,
    )


def encode_summary(summary: SessionSummary) -> str:
    """Summary → JSON text."""
    return _encode(summary).decode()


def decode_summary(text: str) -> SessionSummary:
    """JSON text → summary. Raises StorageError when the text is not one of ours."""
    try:
        return msgspec.json.decode(text, type=SessionSummary)
    except msgspec.DecodeError as error:
        raise StorageError(f"a stored summary cannot be read: {error}") from error


def encode_trace(trace: Trace) -> bytes:
    """What the trace holds now → JSON (not compressed yet: that is left to a thread that may take its time)."""
    return b'{"entries":' + trace.as_json() + b"}"


def compress_trace(encoded: bytes) -> bytes:
    """JSON → zlib."""
    return zlib.compress(encoded, TRACE_COMPRESSION)


def decode_trace(session_id: str, body: bytes) -> Trace:
    """Zlib of JSON → trace. Raises StorageError when the bytes are not ours."""
    try:
        record = msgspec.json.decode(zlib.decompress(body), type=_TraceRecord)
    except (msgspec.DecodeError, zlib.error) as error:
        raise StorageError(f"the stored trace of {session_id} cannot be read: {error}") from error
    trace = Trace(session_id)
    for at, kind, fields in record.entries:
        trace.add(at, kind, **fields)
    return trace
