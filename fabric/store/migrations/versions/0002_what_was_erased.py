"""Erasures, what they leave, and how long records are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("document", sa.Column("dropped_by", sa.BigInteger(), nullable=True))
    op.create_table(
        "erasure",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("statement", sa.BigInteger(), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("statement_id", sa.String(length=32), nullable=False),
        sa.Column("parties", sa.Text(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=True),
        sa.Column("swept", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("idx", name=op.f("uq_erasure_idx")),
        sa.UniqueConstraint("statement", name=op.f("uq_erasure_statement")),
    )
    op.create_table(
        "erased_by",
        sa.Column("record", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("erasure", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("record", "erasure", name=op.f("pk_erased_by")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "erased",
        sa.Column("record", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("whole", sa.SmallInteger(), nullable=False),
        sa.Column("parties", sa.Text(), nullable=False),
        sa.Column("partial", sa.Text(), nullable=True),
        sa.Column("remains", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("record", name=op.f("pk_erased")),
    )
    op.create_table(
        "erased_name",
        sa.Column("iri", sa.Text(), nullable=False),
        sa.Column("record", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("iri", "record", name=op.f("pk_erased_name")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "retention",
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_retention")),
    )


def downgrade() -> None:
    for table in ("retention", "erased_name", "erased", "erased_by", "erasure"):
        op.drop_table(table)
    with op.batch_alter_table("document", schema=None) as batch_op:
        batch_op.drop_column("dropped_by")
