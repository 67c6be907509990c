"""The tables, in types that SQLite and PostgreSQL both have. Times are unix seconds (platform time) everywhere.

`SCHEMA_REVISION` is the migration this code was written for; a database at another revision is migrated when it is
older and refused when it is unknown. A change here needs a new file in `migrations/versions/` (a test compares them).
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)

SCHEMA_REVISION: Final = "0004"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

sub_accounts = Table(
    "sub_accounts",
    metadata,
    Column("sub_account_id", String(64), primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("last_event", BigInteger, nullable=False, server_default=text("0")),  # the newest number in `events`
    Column("followed_until", Double),  # until when news are written for those who follow the events
)

# Processes that share this database. A node lives as long as it moves its lease on; who is late is GONE, for good, and
# what was its own is taken over. The others have in `node_id` whose they are, null: nobody's yet.
nodes = Table(
    "nodes",
    metadata,
    Column("node_id", String(36), primary_key=True),  # new at every start
    Column("name", String(100), nullable=False),
    Column("url", Text),  # how the other nodes reach its HTTP; null: not at all
    Column("started_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("state", String(8), nullable=False),
    CheckConstraint("state IN ('LIVE', 'DRAINING', 'GONE')", name="state"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(36), primary_key=True),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the key's text, hexadecimal
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
)

# A counter per thing that processes keep in memory: who sees another number than last time reads the thing anew.
editions = Table(
    "editions",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("number", Integer, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("kind", String(3), nullable=False),
    Column("url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("http_auth_header", LargeBinary),  # sealed by secrets_box
    Column("updated_at", Double, nullable=False),
    Column("payload_version", Integer, nullable=False, server_default=text("3")),
    PrimaryKeyConstraint("sub_account_id", "kind"),
)

# Numbers that people call to reach a sub-account, and that its calls may show.
virtual_numbers = Table(
    "virtual_numbers",
    metadata,
    Column("msisdn", String(16), primary_key=True),  # E.164 with +; of one sub-account at a time
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("reference_id", String(36), nullable=False),
    Column("country", String(2)),
    Column("status", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    CheckConstraint("status IN ('Active', 'Unhealthy', 'Expiring', 'Inactive')", name="status"),
)
Index("ix_virtual_numbers_sub_account_id", virtual_numbers.c.sub_account_id, virtual_numbers.c.msisdn)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("state", String(8), nullable=False),
    Column("call_flow_request_id", String(64), nullable=False),
    Column("callflow", Text, nullable=False),  # JSON, see records.py
    Column("accepted_at", Double, nullable=False),
    Column("valid_until", Double),
    Column("finished_at", Double),
    Column("status", String(32)),
    Column("summary", Text),  # JSON, see records.py
    Column("destination", String(255)),  # of the first leg
    Column("node_id", String(36)),  # who carries it out
    Column("hang_up_at", Double),  # when somebody asked another node to end it
    CheckConstraint("state IN ('ACCEPTED', 'DIALLED', 'FINISHED')", name="state"),
    CheckConstraint("(state = 'FINISHED') = (summary IS NOT NULL)", name="summary"),
)
Index("ix_sessions_accepted_at", sessions.c.accepted_at)
# Few sessions are open at a time; this index holds only them, so that recovery reads nothing else.
OPEN_SESSION = text("state <> 'FINISHED'")
Index("ix_sessions_open", sessions.c.accepted_at, sqlite_where=OPEN_SESSION, postgresql_where=OPEN_SESSION)
Index("ix_sessions_open_of_node", sessions.c.node_id, sqlite_where=OPEN_SESSION, postgresql_where=OPEN_SESSION)
# Lists of one sub-account's sessions, newest first: all, of one status (none yet: live), or to one number.
Index("ix_sessions_of", sessions.c.sub_account_id, sessions.c.accepted_at, sessions.c.session_id)
Index(
    "ix_sessions_of_status",
    sessions.c.sub_account_id,
    sessions.c.status,
    sessions.c.accepted_at,
    sessions.c.session_id,
)
Index(
    "ix_sessions_of_destination",
    sessions.c.sub_account_id,
    sessions.c.destination,
    sessions.c.accepted_at,
    sessions.c.session_id,
)

# Whom further legs call, for lists of the sessions to one number. Few sessions have any: a row for each first leg
# would cost every acceptance a statement more.
session_destinations = Table(
    "session_destinations",
    metadata,
    Column("sub_account_id", String(64), nullable=False),
    Column("destination", String(255), nullable=False),
    Column("accepted_at", Double, nullable=False),
    Column("session_id", String(36), ForeignKey("sessions.session_id"), nullable=False),
    PrimaryKeyConstraint("sub_account_id", "destination", "accepted_at", "session_id"),
)

# What explain needs beyond the summary; apart from the sessions, which stay small.
traces = Table(
    "traces",
    metadata,
    Column("session_id", String(36), ForeignKey("sessions.session_id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),  # zlib of JSON, see records.py
)

# A row here means: an INVITE may have left for this leg (it is never dialled again), or one came (inbound).
dial_intents = Table(
    "dial_intents",
    metadata,
    Column("leg_id", String(64), primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.session_id"), nullable=False),
    Column("sip_call_id", String(255), nullable=False),
    Column("trunk", String(255), nullable=False),
    Column("dialled_at", Double, nullable=False),
    Column("source", String(255)),
    Column("destination", String(255)),
    Column("inbound", Boolean, nullable=False, server_default=false()),
    Column("dialog", Text),  # JSON: what it takes to end the leg by CANCEL or BYE when its process is gone
)
Index("ix_dial_intents_session_id", dial_intents.c.session_id)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", String(36), primary_key=True),
    Column("event_id", String(64), nullable=False),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("session_id", String(36), ForeignKey("sessions.session_id")),  # null: of no session (VNU)
    Column("kind", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("body", LargeBinary),
    Column("attempts", Integer, nullable=False),
    Column("due_since", Double),  # when the body was written
    Column("next_attempt_at", Double),
    Column("node_id", String(36)),  # who is sending it
    Column("lease_until", Double),  # until when nobody else does
    CheckConstraint("state IN ('OWED', 'DUE', 'HELD', 'DELIVERED', 'EXHAUSTED', 'NO_ENDPOINT')", name="state"),
    CheckConstraint("state <> 'DUE' OR next_attempt_at IS NOT NULL", name="due"),
)
Index("ix_deliveries_session_id", deliveries.c.session_id)
Index("ix_deliveries_event_id", deliveries.c.event_id)
# Delivered rows pile up; these two hold only what is still to do, in the order in which it is asked for.
DUE_DELIVERY = text("state = 'DUE'")
HELD_DELIVERY = text("state = 'HELD'")
Index(
    "ix_deliveries_due",
    deliveries.c.sub_account_id,
    deliveries.c.kind,
    deliveries.c.next_attempt_at,
    sqlite_where=DUE_DELIVERY,
    postgresql_where=DUE_DELIVERY,
)
Index(
    "ix_deliveries_held",
    deliveries.c.sub_account_id,
    deliveries.c.kind,
    sqlite_where=HELD_DELIVERY,
    postgresql_where=HELD_DELIVERY,
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", String(36), ForeignKey("deliveries.delivery_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("host", String(255), nullable=False),  # the host alone: paths and queries may hold secrets
    Column("status", Integer),
    Column("error", Text),
    Column("elapsed_ms", Integer, nullable=False),
    PrimaryKeyConstraint("delivery_id", "number"),
)

# Where a sub-account's recordings are pushed to.
recording_push_configs = Table(
    "recording_push_configs",
    metadata,
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), primary_key=True),
    Column("protocol", String(8), nullable=False),
    Column("host", String(255), nullable=False),
    Column("port", Integer),
    Column("username", Text, nullable=False),
    Column("password", LargeBinary, nullable=False),  # sealed by secrets_box
    Column("path", Text, nullable=False),
    Column("audio_format", String(4), nullable=False),
    Column("updated_at", Double, nullable=False),
    CheckConstraint("protocol IN ('S3', 'SFTP', 'LOCAL')", name="protocol"),
    CheckConstraint("audio_format IN ('mp3', 'wav')", name="audio_format"),
)

# PROCESSING without `next_attempt_at` is being recorded; with it, waits to be pushed.
recordings = Table(
    "recordings",
    metadata,
    Column("recording_id", String(36), primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.session_id"), nullable=False),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("leg_id", String(64), nullable=False),
    Column("state", String(24), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("duration_seconds", Double),
    Column("path", Text),  # of the spooled file
    Column("external_url", Text),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Double),
    Column("last_error", Text),
    Column("delivery_id", String(36)),  # of the event that tells of its end
    Column("node_id", String(36)),  # which data folder has the file: its `home.id`, the same at every start
    CheckConstraint(
        "state IN ('PROCESSING', 'PROCESSING_FAILED', 'UPLOAD_COMPLETED', 'UPLOAD_FAILED')",
        name="state",
    ),
)
Index("ix_recordings_session_id", recordings.c.session_id)
OPEN_RECORDING = text("state = 'PROCESSING'")
Index("ix_recordings_open", recordings.c.next_attempt_at, sqlite_where=OPEN_RECORDING, postgresql_where=OPEN_RECORDING)

# Jobs that write sessions out as a table, and what they wrote, in pieces.
exports = Table(
    "exports",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("begins_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("most_rows", Integer, nullable=False),  # 0: all
    Column("created_at", Double, nullable=False),
    Column("token_digest", String(64), nullable=False, unique=True),  # SHA-256 of the link's secret, hexadecimal
    Column("token", LargeBinary, nullable=False),  # the link's secret, sealed by secrets_box
    Column("expires_at", Double),
    Column("node_id", String(36)),  # who is writing it
    Column("lease_until", Double),  # until when nobody else does
    CheckConstraint(
        "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'empty', 'error')", name="state"
    ),
)
OPEN_EXPORT = text("state IN ('queued', 'running')")
Index("ix_exports_open", exports.c.created_at, sqlite_where=OPEN_EXPORT, postgresql_where=OPEN_EXPORT)
Index("ix_exports_sub_account_id", exports.c.sub_account_id, exports.c.created_at)

export_pieces = Table(
    "export_pieces",
    metadata,
    Column("job_id", String(36), ForeignKey("exports.job_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # zlib of the text
    PrimaryKeyConstraint("job_id", "number"),
)

# One-time codes that were spoken to somebody.
verifications = Table(
    "verifications",
    metadata,
    Column("session_id", String(36), primary_key=True),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("destination", String(16), nullable=False),
    Column("code", LargeBinary, nullable=False),  # sealed by secrets_box
    Column("status", String(8), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("sent_at", Double, nullable=False),
    Column("resending_interval_seconds", Integer, nullable=False),
    CheckConstraint("status IN ('WAITING', 'VERIFIED', 'FAILED', 'EXPIRED')", name="status"),
)
WAITING_VERIFICATION = text("status = 'WAITING'")
Index(
    "ix_verifications_waiting",
    verifications.c.sub_account_id,
    verifications.c.destination,
    sqlite_where=WAITING_VERIFICATION,
    postgresql_where=WAITING_VERIFICATION,
)

# What happened to a sub-account, to be read in order: `number` counts from 1 without gaps, in the order of commits.
events = Table(
    "events",
    metadata,
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("session_id", String(36)),
    Column("at", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("sub_account_id", "number"),
)
Index("ix_events_at", events.c.at)  # for taking old ones away

# Answers to requests that came with an Idempotency-Key.
idempotency = Table(
    "idempotency",
    metadata,
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("key", String(255), nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of method, path and body, hexadecimal
    Column("state", String(8), nullable=False),  # always DONE: nothing is written before there is an answer
    Column("status", Integer),
    Column("body", LargeBinary),
    Column("session_id", String(36)),  # that the request made
    Column("created_at", Double, nullable=False),
    Column("given_again_at", Double),  # first to another try of the request: from then on it is not taken back
    CheckConstraint("state IN ('RUNNING', 'DONE')", name="state"),
    CheckConstraint("(state = 'DONE') = (status IS NOT NULL)", name="status"),
    PrimaryKeyConstraint("sub_account_id", "key"),
)
Index("ix_idempotency_created_at", idempotency.c.created_at)

# What webhooks are signed with; two of one kind while they are changed.
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("secret_id", String(36), primary_key=True),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("kind", String(3), nullable=False),
    Column("secret", LargeBinary, nullable=False),  # sealed by secrets_box
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),  # null: the one to stay
)
Index("ix_webhook_secrets_sub_account_id", webhook_secrets.c.sub_account_id, webhook_secrets.c.kind)

# Trunks that were made while running; those in settings are not here.
trunks = Table(
    "trunks",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("settings", Text, nullable=False),  # JSON of its table; secrets are sealed by secrets_box
    Column("updated_at", Double, nullable=False),
)

# A text sealed with the key of this database's secrets, so that a node with another key notices at once.
secrets_check = Table(
    "secrets_check",
    metadata,
    Column("check_id", Integer, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)
