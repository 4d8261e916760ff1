"""The log's tables: what was staged, what was sequenced, the head, and how the log looked when it was signed.

The database holds the truth of the log; tile files are its projection. Nothing here is SQLite's own: the
same metadata is created on PostgreSQL. `seal`, `registry_change` and `checkpoint` are small indices over the
entries, so that finding a seal, a key's record or an old tree head never means reading the whole log.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

STAGED: Final = "staged"
SEQUENCED: Final = "sequenced"
REFUSED: Final = "refused"

# SQLite numbers rows by itself only in a column declared INTEGER; everywhere else the number needs 64 bits.
_row_id = BigInteger().with_variant(Integer, "sqlite")

entry: Final = Table(
    "entry",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False, comment="position in the log, from 0"),
    Column("leaf", LargeBinary(32), nullable=False, comment="SHA-256(0x00 || data)"),
    Column("data", LargeBinary(65_535), nullable=False, comment="DSSE envelope or seal, as it was hashed"),
)

statement: Final = Table(
    "statement",
    metadata,
    Column("id", _row_id, primary_key=True, autoincrement=True),
    Column("member", String(64), nullable=False),
    Column("statement_id", String(32), nullable=False, comment="`id` of the payload: once per member"),
    Column("type", String(32), nullable=False),
    Column("envelope", LargeBinary(65_535), comment="null once sequenced: the entry holds the same bytes"),
    Column("payload_sha256", LargeBinary(32), nullable=False),
    Column("idx", BigInteger, comment="position in the log; null until sequenced"),
    Column("state", String(16), nullable=False, default=STAGED),
    Column("rule", String(64), comment="stable name of the rule that refused it"),
    Column("reason", String(1000), comment="why it was refused, for the one who sent it"),
    Column("staged_at", BigInteger, nullable=False, comment="milliseconds since 1970, this node's clock"),
    UniqueConstraint("member", "statement_id"),
    UniqueConstraint("idx"),
    CheckConstraint(
        "(state = 'sequenced') = (idx IS NOT NULL) AND (state = 'refused') = (reason IS NOT NULL)",
        name="state",
    ),
)

is_waiting: Final = text("state = 'staged'")
"""Claims by flag. Written out, because a partial index serves only a condition it can see."""

# Claiming reads only what waits, however long the log has grown.
Index("ix_statement_waiting", statement.c.id, sqlite_where=is_waiting, postgresql_where=is_waiting)

head: Final = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("origin", String(512), nullable=False, comment="fixed at first start, never changed"),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    CheckConstraint("id = 1", name="single"),
)

seal: Final = Table(
    "seal",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False, comment="first entry it covers; it covers first <= i < idx"),
    Column("time", String(24), nullable=False),
    Column("changes_before", BigInteger, nullable=False, comment="registry statements before `first`"),
    Column("changes_after", BigInteger, nullable=False, comment="registry statements before `idx`"),
)

registry_change: Final = Table(
    "registry_change",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False, unique=True, comment="counts registry statements from 0"),
)

checkpoint: Final = Table(
    "checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("time", String(24), nullable=False, comment="time of the seal that ends it"),
    Column("note", LargeBinary, comment="as published; filled in by the transaction after the publication"),
)
