"""Nodes and what they have, events in order, answers to repeated requests, webhook secrets, and trunks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _nodes()
    _events()
    _idempotency()
    _secrets()
    _trunks()


def _nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("node_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.CheckConstraint("state IN ('LIVE', 'DRAINING', 'GONE')", name=op.f("ck_nodes_state")),
        sa.PrimaryKeyConstraint("node_id", name="pk_nodes"),
    )
    for table in ("sessions", "deliveries", "recordings", "exports"):
        op.add_column(table, sa.Column("node_id", sa.String(length=36)))
    for table in ("deliveries", "exports"):
        op.add_column(table, sa.Column("lease_until", sa.Double()))
    op.add_column("sessions", sa.Column("hang_up_at", sa.Double()))
    op.add_column("dial_intents", sa.Column("dialog", sa.Text()))
    is_open = sa.text("state <> 'FINISHED'")
    op.create_index("ix_sessions_open_of_node", "sessions", ["node_id"], sqlite_where=is_open, postgresql_where=is_open)


def _events() -> None:
    op.add_column("sub_accounts", sa.Column("last_event", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("sub_accounts", sa.Column("followed_until", sa.Double()))
    op.create_index("ix_deliveries_event_id", "deliveries", ["event_id"])
    op.create_table(
        "events",
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("session_id", sa.String(length=36)),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _of_sub_account("events"),
        sa.PrimaryKeyConstraint("sub_account_id", "number", name="pk_events"),
    )
    op.create_index("ix_events_at", "events", ["at"])


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("node_id", sa.String(length=36)),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.Text()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("session_id", sa.String(length=36)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('RUNNING', 'DONE')", name=op.f("ck_idempotency_state")),
        sa.CheckConstraint("(state = 'DONE') = (status IS NOT NULL)", name=op.f("ck_idempotency_status")),
        _of_sub_account("idempotency"),
        sa.PrimaryKeyConstraint("sub_account_id", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


def _secrets() -> None:
    op.create_table(
        "webhook_secrets",
        sa.Column("secret_id", sa.String(length=36), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=3), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        _of_sub_account("webhook_secrets"),
        sa.PrimaryKeyConstraint("secret_id", name="pk_webhook_secrets"),
    )
    op.create_index("ix_webhook_secrets_sub_account_id", "webhook_secrets", ["sub_account_id", "kind"])
    op.create_table(
        "secrets_check",
        sa.Column("check_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("check_id", name="pk_secrets_check"),
    )


def _trunks() -> None:
    op.create_table(
        "trunks",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_trunks"),
    )


def _of_sub_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["sub_account_id"], ["sub_accounts.sub_account_id"], name=f"fk_{table}_sub_account_id"
    )
