"""Whether an answer was given again; columns go that nobody wrote. Nodes of the version before do without them too."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("idempotency", sa.Column("given_again_at", sa.Double()))
    op.drop_column("idempotency", "node_id")
    op.drop_column("idempotency", "headers")
