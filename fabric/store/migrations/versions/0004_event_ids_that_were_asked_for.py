"""Event IDs that a submitter asked the node for, and an index for the list of a member's jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("record", sa.Column("supplied_id", sa.Text(), nullable=True))
    asked_for = sa.text("supplied_id IS NOT NULL")
    op.create_index(
        "ix_record_supplied_id",
        "record",
        ["supplied_id"],
        sqlite_where=asked_for,
        postgresql_where=asked_for,
    )
    op.create_index("ix_job_member", "job", ["member", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_job_member", "job")
    op.drop_index("ix_record_supplied_id", "record")
    op.drop_column("record", "supplied_id")
