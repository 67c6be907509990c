"""The tables, in types that SQLite and PostgreSQL both have. Times are unix seconds (platform time) everywhere.

`SCHEMA_REVISION` is the migration this code was written for; a database at another revision is migrated when it is
older and refused when it is unknown. A change here needs a new file in `migrations/versions/` (a test compares them).
"""

from typing import Final

from sqlalchemy import (
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
    text,
)

SCHEMA_REVISION: Final = "0001"

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
    PrimaryKeyConstraint("sub_account_id", "kind"),
)

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
    CheckConstraint("state IN ('ACCEPTED', 'DIALLED', 'FINISHED')", name="state"),
    CheckConstraint("(state = 'FINISHED') = (summary IS NOT NULL)", name="summary"),
)
Index("ix_sessions_accepted_at", sessions.c.accepted_at)
# Few sessions are open at a time; this index holds only them, so that recovery reads nothing else.
OPEN_SESSION = text("state <> 'FINISHED'")
Index("ix_sessions_open", sessions.c.accepted_at, sqlite_where=OPEN_SESSION, postgresql_where=OPEN_SESSION)

# What explain needs beyond the summary; apart from the sessions, which stay small.
traces = Table(
    "traces",
    metadata,
    Column("session_id", String(36), ForeignKey("sessions.session_id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),  # zlib of JSON, see records.py
)

# A row here means: an INVITE may have left for this leg. It is never dialled again.
dial_intents = Table(
    "dial_intents",
    metadata,
    Column("leg_id", String(64), primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.session_id"), nullable=False),
    Column("sip_call_id", String(255), nullable=False),
    Column("trunk", String(255), nullable=False),
    Column("dialled_at", Double, nullable=False),
)
Index("ix_dial_intents_session_id", dial_intents.c.session_id)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", String(36), primary_key=True),
    Column("event_id", String(64), nullable=False),
    Column("sub_account_id", String(64), ForeignKey("sub_accounts.sub_account_id"), nullable=False),
    Column("session_id", String(36), ForeignKey("sessions.session_id"), nullable=False),
    Column("kind", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("body", LargeBinary),
    Column("attempts", Integer, nullable=False),
    Column("due_since", Double),  # when the body was written
    Column("next_attempt_at", Double),
    CheckConstraint("state IN ('OWED', 'DUE', 'HELD', 'DELIVERED', 'EXHAUSTED', 'NO_ENDPOINT')", name="state"),
    CheckConstraint("state <> 'DUE' OR next_attempt_at IS NOT NULL", name="due"),
)
Index("ix_deliveries_session_id", deliveries.c.session_id)
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
