"""Numbers, recordings, exports, verifications, inbound legs, session lists, and events that belong to no session."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _widened()
    _destinations()
    _events_of_no_session()
    _numbers()
    _recordings()
    _exports()
    _verifications()


def _widened() -> None:
    op.add_column("webhooks", sa.Column("payload_version", sa.Integer(), nullable=False, server_default=sa.text("3")))
    op.add_column("sessions", sa.Column("destination", sa.String(length=255)))
    op.create_index("ix_sessions_of", "sessions", ["sub_account_id", "accepted_at", "session_id"])
    op.create_index("ix_sessions_of_status", "sessions", ["sub_account_id", "status", "accepted_at", "session_id"])
    op.create_index(
        "ix_sessions_of_destination", "sessions", ["sub_account_id", "destination", "accepted_at", "session_id"]
    )
    op.add_column("dial_intents", sa.Column("source", sa.String(length=255)))
    op.add_column("dial_intents", sa.Column("destination", sa.String(length=255)))
    op.add_column("dial_intents", sa.Column("inbound", sa.Boolean(), nullable=False, server_default=sa.false()))


def _destinations() -> None:
    op.create_table(
        "session_destinations",
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("destination", sa.String(length=255), nullable=False),
        sa.Column("accepted_at", sa.Double(), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.session_id"], name="fk_session_destinations_session_id"),
        sa.PrimaryKeyConstraint(
            "sub_account_id", "destination", "accepted_at", "session_id", name="pk_session_destinations"
        ),
    )
    # The first version dialled one leg a session.
    connection = op.get_bind()
    for session_id, callflow in connection.execute(sa.text("SELECT session_id, callflow FROM sessions")).all():
        called = [action["destination"] for name, action in json.loads(callflow)["actions"] if name == "MAKE_CALL"]
        connection.execute(
            sa.text("UPDATE sessions SET destination = :called WHERE session_id = :session_id"),
            {"called": called[0], "session_id": session_id},
        )


def _events_of_no_session() -> None:
    """Let `deliveries.session_id` be null. SQLite cannot change a column, so both tables are written anew there.

    The table that refers is dropped before the one it refers to: otherwise dropping that one would count as deleting
    what is referred to. Renaming takes the reference along.
    """
    if op.get_context().dialect.name != "sqlite":
        op.alter_column("deliveries", "session_id", nullable=True)
        return
    _new_deliveries()
    op.execute("INSERT INTO new_deliveries SELECT * FROM deliveries")
    op.execute("INSERT INTO new_delivery_attempts SELECT * FROM delivery_attempts")
    op.drop_table("delivery_attempts")
    op.drop_table("deliveries")
    op.rename_table("new_deliveries", "deliveries")
    op.rename_table("new_delivery_attempts", "delivery_attempts")
    for name, columns, state in (
        ("ix_deliveries_due", ["sub_account_id", "kind", "next_attempt_at"], "DUE"),
        ("ix_deliveries_held", ["sub_account_id", "kind"], "HELD"),
    ):
        op.create_index(name, "deliveries", columns, sqlite_where=sa.text(f"state = '{state}'"))
    op.create_index("ix_deliveries_session_id", "deliveries", ["session_id"])


def _new_deliveries() -> None:
    op.create_table(
        "new_deliveries",
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=36)),
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
    op.create_table(
        "new_delivery_attempts",
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("elapsed_ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["new_deliveries.delivery_id"], name="fk_delivery_attempts_delivery_id"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name="pk_delivery_attempts"),
    )


def _numbers() -> None:
    op.create_table(
        "virtual_numbers",
        sa.Column("msisdn", sa.String(length=16), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("reference_id", sa.String(length=36), nullable=False),
        sa.Column("country", sa.String(length=2)),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "status IN ('Active', 'Unhealthy', 'Expiring', 'Inactive')", name=op.f("ck_virtual_numbers_status")
        ),
        _of_sub_account("virtual_numbers"),
        sa.PrimaryKeyConstraint("msisdn", name="pk_virtual_numbers"),
    )
    op.create_index("ix_virtual_numbers_sub_account_id", "virtual_numbers", ["sub_account_id", "msisdn"])


def _recordings() -> None:
    op.create_table(
        "recording_push_configs",
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("protocol", sa.String(length=8), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer()),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("audio_format", sa.String(length=4), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("protocol IN ('S3', 'SFTP', 'LOCAL')", name=op.f("ck_recording_push_configs_protocol")),
        sa.CheckConstraint("audio_format IN ('mp3', 'wav')", name=op.f("ck_recording_push_configs_audio_format")),
        _of_sub_account("recording_push_configs"),
        sa.PrimaryKeyConstraint("sub_account_id", name="pk_recording_push_configs"),
    )
    op.create_table(
        "recordings",
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("leg_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("duration_seconds", sa.Double()),
        sa.Column("path", sa.Text()),
        sa.Column("external_url", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Double()),
        sa.Column("last_error", sa.Text()),
        sa.Column("delivery_id", sa.String(length=36)),
        sa.CheckConstraint(
            "state IN ('PROCESSING', 'PROCESSING_FAILED', 'UPLOAD_COMPLETED', 'UPLOAD_FAILED')",
            name=op.f("ck_recordings_state"),
        ),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.session_id"], name="fk_recordings_session_id"),
        _of_sub_account("recordings"),
        sa.PrimaryKeyConstraint("recording_id", name="pk_recordings"),
    )
    op.create_index("ix_recordings_session_id", "recordings", ["session_id"])
    _partial_index("ix_recordings_open", "recordings", ["next_attempt_at"], "state = 'PROCESSING'")


def _exports() -> None:
    op.create_table(
        "exports",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("begins_at", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.Column("most_rows", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'empty', 'error')",
            name=op.f("ck_exports_state"),
        ),
        _of_sub_account("exports"),
        sa.PrimaryKeyConstraint("job_id", name="pk_exports"),
        sa.UniqueConstraint("token_digest", name="uq_exports_token_digest"),
    )
    _partial_index("ix_exports_open", "exports", ["created_at"], "state IN ('queued', 'running')")
    op.create_index("ix_exports_sub_account_id", "exports", ["sub_account_id", "created_at"])
    op.create_table(
        "export_pieces",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["exports.job_id"], name="fk_export_pieces_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_export_pieces"),
    )


def _verifications() -> None:
    op.create_table(
        "verifications",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("sub_account_id", sa.String(length=64), nullable=False),
        sa.Column("destination", sa.String(length=16), nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column("resending_interval_seconds", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('WAITING', 'VERIFIED', 'FAILED', 'EXPIRED')", name=op.f("ck_verifications_status")
        ),
        _of_sub_account("verifications"),
        sa.PrimaryKeyConstraint("session_id", name="pk_verifications"),
    )
    _partial_index("ix_verifications_waiting", "verifications", ["sub_account_id", "destination"], "status = 'WAITING'")


def _of_sub_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["sub_account_id"], ["sub_accounts.sub_account_id"], name=f"fk_{table}_sub_account_id"
    )


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
