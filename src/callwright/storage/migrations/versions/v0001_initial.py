"""The first schema: accounts, keys, webhooks, sessions, what was dialled, and what is owed."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _accounts()
    _sessions()
    _deliveries()


def _accounts() -> None:
    op.create_table(
        "editions",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_editions"),
    )
    op.create_table(
        "sub_accounts",
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sub_account_id", name="pk_sub_accounts"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.ForeignKeyConstraint(["sub_account_id"], ["sub_accounts.sub_account_id"], name="fk_api_keys_sub_account_id"),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_table(
        "webhooks",
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=3), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("http_auth_header", sa.LargeBinary()),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["sub_account_id"], ["sub_accounts.sub_account_id"], name="fk_webhooks_sub_account_id"),
        sa.PrimaryKeyConstraint("sub_account_id", "kind", name="pk_webhooks"),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("call_flow_request_id", sa.String(length=64), nullable=False),
        sa.Column("callflow", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.Double(), nullable=False),
        sa.Column("valid_until", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.Column("status", sa.String(length=32)),
        sa.Column("summary", sa.Text()),
        sa.CheckConstraint("(state = 'FINISHED') = (summary IS NOT NULL)", name=op.f("ck_sessions_summary")),
        sa.CheckConstraint("state IN ('ACCEPTED', 'DIALLED', 'FINISHED')", name=op.f("ck_sessions_state")),
        sa.ForeignKeyConstraint(["sub_account_id"], ["sub_accounts.sub_account_id"], name="fk_sessions_sub_account_id"),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_accepted_at", "sessions", ["accepted_at"])
    op.create_index(
        "ix_sessions_open",
        "sessions",
        ["accepted_at"],
        sqlite_where=sa.text("state <> 'FINISHED'"),
        postgresql_where=sa.text("state <> 'FINISHED'"),
    )
    op.create_table(
        "dial_intents",
        sa.Column("leg_id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("sip_call_id", sa.String(length=255), nullable=False),
        sa.Column("trunk", sa.String(length=255), nullable=False),
        sa.Column("dialled_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.session_id"], name="fk_dial_intents_session_id"),
        sa.PrimaryKeyConstraint("leg_id", name="pk_dial_intents"),
    )
    op.create_index("ix_dial_intents_session_id", "dial_intents", ["session_id"])
    op.create_table(
        "traces",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.session_id"], name="fk_traces_session_id"),
        sa.PrimaryKeyConstraint("session_id", name="pk_traces"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_since", sa.Double()),
        sa.Column("next_attempt_at", sa.Double()),
        sa.CheckConstraint("state <> 'DUE' OR next_attempt_at IS NOT NULL", name=op.f("ck_deliveries_due")),
        sa.CheckConstraint(
            "state IN ('OWED', 'DUE', 'HELD', 'DELIVERED', 'EXHAUSTED', 'NO_ENDPOINT')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.session_id"], name="fk_deliveries_session_id"),
        sa.ForeignKeyConstraint(
            ["sub_account_id"], ["sub_accounts.sub_account_id"], name="fk_deliveries_sub_account_id"
        ),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_deliveries"),
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["sub_account_id", "kind", "next_attempt_at"],
        sqlite_where=sa.text("state = 'DUE'"),
        postgresql_where=sa.text("state = 'DUE'"),
    )
    op.create_index(
        "ix_deliveries_held",
        "deliveries",
        ["sub_account_id", "kind"],
        sqlite_where=sa.text("state = 'HELD'"),
        postgresql_where=sa.text("state = 'HELD'"),
    )
    op.create_index("ix_deliveries_session_id", "deliveries", ["session_id"])
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("elapsed_ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.delivery_id"], name="fk_delivery_attempts_delivery_id"),
        sa.PrimaryKeyConstraint("delivery_id", "number", name="pk_delivery_attempts"),
    )
