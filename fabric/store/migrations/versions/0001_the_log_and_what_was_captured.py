"""The log, and what was captured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _entries()
    _found_in_the_log()
    _statements()
    _documents()
    _captures()
    _jobs()
    _records()
    _beside()


def _entries() -> None:
    """The log as it was sequenced: its entries, and the head."""
    op.create_table(
        "entry",
        sa.Column(
            "idx", sa.BigInteger(), autoincrement=False, nullable=False, comment="position in the log, from 0"
        ),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False, comment="SHA-256(0x00 || data)"),
        sa.Column(
            "data",
            sa.LargeBinary(length=65535),
            nullable=False,
            comment="DSSE envelope or seal, as it was hashed",
        ),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_entry")),
    )
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "origin", sa.String(length=512), nullable=False, comment="fixed at first start, never changed"
        ),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_head_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_head")),
    )


def _found_in_the_log() -> None:
    """What finds seals and registry statements among the entries, and the archive of heads."""
    op.create_table(
        "seal",
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "first",
            sa.BigInteger(),
            nullable=False,
            comment="first entry it covers; it covers first <= i < idx",
        ),
        sa.Column("time", sa.String(length=24), nullable=False),
        sa.Column(
            "changes_before", sa.BigInteger(), nullable=False, comment="registry statements before `first`"
        ),
        sa.Column(
            "changes_after", sa.BigInteger(), nullable=False, comment="registry statements before `idx`"
        ),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_seal")),
    )
    op.create_table(
        "registry_change",
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="counts registry statements from 0"),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_registry_change")),
        sa.UniqueConstraint("number", name=op.f("uq_registry_change_number")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("time", sa.String(length=24), nullable=False, comment="time of the seal that ends it"),
        sa.Column(
            "note",
            sa.LargeBinary(),
            nullable=True,
            comment="as published; filled in by the transaction after the publication",
        ),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoint")),
    )


def _statements() -> None:
    """What was staged, and what became of it."""
    op.create_table(
        "statement",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column(
            "statement_id",
            sa.String(length=32),
            nullable=False,
            comment="`id` of the payload: once per member",
        ),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column(
            "envelope",
            sa.LargeBinary(length=65535),
            nullable=True,
            comment="null once sequenced: the entry holds the same bytes",
        ),
        sa.Column("payload_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=True, comment="position in the log; null until sequenced"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column(
            "rule", sa.String(length=64), nullable=True, comment="stable name of the rule that refused it"
        ),
        sa.Column(
            "reason",
            sa.String(length=1000),
            nullable=True,
            comment="why it was refused, for the one who sent it",
        ),
        sa.Column(
            "staged_at", sa.BigInteger(), nullable=False, comment="milliseconds since 1970, this node's clock"
        ),
        sa.CheckConstraint(
            "(state = 'sequenced') = (idx IS NOT NULL) AND (state = 'refused') = (reason IS NOT NULL)",
            name=op.f("ck_statement_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement")),
        sa.UniqueConstraint("idx", name=op.f("uq_statement_idx")),
        sa.UniqueConstraint("member", "statement_id", name=op.f("uq_statement_member_statement_id")),
    )
    with op.batch_alter_table("statement", schema=None) as batch_op:
        batch_op.create_index(
            "ix_statement_waiting",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'staged'"),
            postgresql_where=sa.text("state = 'staged'"),
        )


def _documents() -> None:
    """What was submitted, as it was submitted."""
    op.create_table(
        "document",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False, comment="of the bytes as submitted"),
        sa.Column("media_type", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes as submitted"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="the submitted bytes, zlib"),
        sa.Column(
            "received_at",
            sa.BigInteger(),
            nullable=False,
            comment="milliseconds since 1970, this node's clock",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document")),
        sa.UniqueConstraint("member", "sha256", name=op.f("uq_document_member_sha256")),
    )


def _captures() -> None:
    """What was signed of it and stands in the log, or will."""
    op.create_table(
        "capture",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.BigInteger(), nullable=False, comment="row of the log's statement table"),
        sa.Column(
            "custody", sa.SmallInteger(), nullable=False, comment="1: the node signed, 0: the member did"
        ),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False, comment="the header record included"),
        sa.Column(
            "idx", sa.BigInteger(), nullable=True, comment="log index, null until its records are projected"
        ),
        sa.Column(
            "created_at",
            sa.BigInteger(),
            nullable=False,
            comment="milliseconds since 1970, this node's clock",
        ),
        sa.ForeignKeyConstraint(["document"], ["document.id"], name=op.f("fk_capture_document")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capture")),
        sa.UniqueConstraint("idx", name=op.f("uq_capture_idx")),
        sa.UniqueConstraint("statement", name=op.f("uq_capture_statement")),
    )


def _jobs() -> None:
    """Under which names its submitter asks for it."""
    op.create_table(
        "job",
        sa.Column(
            "id", sa.String(length=32), nullable=False, comment="random hex, the name the submitter knows"
        ),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("document", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "capture",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="null when every record was a duplicate",
        ),
        sa.Column(
            "notes",
            sa.Text(),
            nullable=True,
            comment="JSON: warnings and duplicates; null when there are none",
        ),
        sa.Column(
            "created_at",
            sa.BigInteger(),
            nullable=False,
            comment="milliseconds since 1970, this node's clock",
        ),
        sa.ForeignKeyConstraint(["capture"], ["capture.id"], name=op.f("fk_job_capture")),
        sa.ForeignKeyConstraint(["document"], ["document.id"], name=op.f("fk_job_document")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("ix_job_capture", ["capture"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_document"), ["document"], unique=False)


def _records() -> None:
    """The records of captures."""
    op.create_table(
        "record",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("capture", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="in the capture; 0 is the header record"),
        sa.Column("kind", sa.SmallInteger(), nullable=False, comment="0 header, 1 master data, 2 event"),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True, comment="as submitted; null when the event has none"),
        sa.Column(
            "declares", sa.SmallInteger(), nullable=False, comment="1: it carries an error declaration"
        ),
        sa.Column(
            "duplicate_of",
            sa.BigInteger(),
            nullable=True,
            comment="record id, when a member-signed capture repeats one",
        ),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="equal-body digest of the duplicates rule",
        ),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=True, comment="record salt; null once erased"),
        sa.Column(
            "body",
            sa.LargeBinary(),
            nullable=True,
            comment="RFC 8785 bytes of the committed form; null once erased",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record")),
    )
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.create_index("ix_record_capture", ["capture", "position"], unique=True)
        batch_op.create_index("ix_record_commitment", ["commitment"], unique=False)
        batch_op.create_index(
            "ix_record_digest",
            ["digest"],
            unique=False,
            sqlite_where=sa.text("event_id IS NULL AND kind > 0"),
            postgresql_where=sa.text("event_id IS NULL AND kind > 0"),
        )
        batch_op.create_index(
            "ix_record_event_id",
            ["event_id"],
            unique=False,
            sqlite_where=sa.text("event_id IS NOT NULL"),
            postgresql_where=sa.text("event_id IS NOT NULL"),
        )


def _beside() -> None:
    """What is neither: credentials, and the bodies of links."""
    op.create_table(
        "credential",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False, comment="operator or member"),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 of the API key"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sa.UniqueConstraint("hash", name=op.f("uq_credential_hash")),
    )
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_credential_member"), ["member"], unique=False)
    op.create_table(
        "link",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("statement", sa.BigInteger(), nullable=False, comment="row of the log's statement table"),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column(
            "statement_id",
            sa.String(length=32),
            nullable=False,
            comment="`id` of the payload: once per member",
        ),
        sa.Column(
            "parties",
            sa.Text(),
            nullable=False,
            comment="who may see it: sorted member ids, separated by one space",
        ),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="RFC 8785 bytes"),
        sa.Column("idx", sa.BigInteger(), nullable=True, comment="log index, null until it is projected"),
        sa.Column(
            "created_at",
            sa.BigInteger(),
            nullable=False,
            comment="milliseconds since 1970, this node's clock",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("idx", name=op.f("uq_link_idx")),
        sa.UniqueConstraint("statement", name=op.f("uq_link_statement")),
    )


def downgrade() -> None:
    # Indices go with their tables; what refers to a table goes before it.
    for table in ("link", "job", "capture", "record", "document", "credential"):
        op.drop_table(table)
    for table in ("statement", "seal", "registry_change", "head", "entry", "checkpoint"):
        op.drop_table(table)
