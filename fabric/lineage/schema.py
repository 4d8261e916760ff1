"""The lineage tables: what `derive` gave, ready for reach and for answers about 100,000 things.

All are projections of `event` and `line` (`fabric.store.schema`). Hot tables are clustered by what they are asked
by. `summary` holds one JSON text a thing (layout in docs/spec/lineage.md), because answers read whole
things and every touch replaces them: one row written, one row read.

Nodes are integers: a thing is its own id; the others are negative, their kind in the two low bits of the
magnitude (`fabric.lineage.node`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table, Text, text

from fabric.store.schema import event, metadata

VERSION: Final = 2
"""Version of everything this package projects; another one in `projection` means: rebuild."""

edge: Final = Table(
    "lineage_edge",
    metadata,
    Column("src", BigInteger, primary_key=True, autoincrement=False),
    Column("dst", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False, comment="EdgeKind"),
    Column(
        "record",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="whose statement it is: a record, or a link of kind SAME",
    ),
    Column("inferred", SmallInteger, nullable=False),
    Index("ix_lineage_edge_back", "dst", "src", "kind", "inferred"),
    sqlite_with_rowid=False,
)

interval: Final = Table(
    "lineage_interval",
    metadata,
    Column("parent", BigInteger, primary_key=True, autoincrement=False),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("child", BigInteger, nullable=False),
    Column("filling", BigInteger, comment="node; null for a parent that is material"),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, comment="null: open"),
    Column("inferred_from_us", BigInteger, comment="null: stated throughout"),
    Column("quantity", Text, comment="exact decimal last inside; null: unknown"),
    Column("unit", Text),
    Column("opened_by", BigInteger, nullable=False),
    Column("closed_by", BigInteger),
    Index("ix_lineage_interval_child", "child", "parent", "n"),
    sqlite_with_rowid=False,
)

filling: Final = Table(
    "lineage_filling",
    metadata,
    Column("carrier", BigInteger, primary_key=True, autoincrement=False),
    Column("node", BigInteger, primary_key=True, autoincrement=False),
    Column("from_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, comment="null: open"),
    Column("inferred_from_us", BigInteger, comment="null: stated throughout"),
    Column("put_out", SmallInteger, nullable=False),
    Column("opened_by", BigInteger, nullable=False),
    Column("closed_by", BigInteger),
    sqlite_with_rowid=False,
)

summary: Final = Table(
    "lineage_summary",
    metadata,
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False, comment="JSON, docs/spec/lineage.md"),
)

contradiction: Final = Table(
    "lineage_contradiction",
    metadata,
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "scope",
        SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="0 thing, 1 parent, 2 eventID; 3, 4: named by one of another thing or parent",
    ),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("things", Text, nullable=False, comment="JSON array of thing ids"),
    Column("records", Text, nullable=False, comment="JSON array of record ids"),
    Column("detail", Text, nullable=False),
    sqlite_with_rowid=False,
)

loser: Final = Table(
    "lineage_loser",
    metadata,
    Column("record", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False, index=True),
    Column("counts", SmallInteger, nullable=False, comment="0: the holder of the place says otherwise"),
    comment="live records that share an eventID with one of other content",
)

TABLES: Final = (edge, interval, filling, summary, contradiction, loser)
"""Emptied by a rebuild, in this order."""

# What a transformationID names is looked up when another event of the run arrives.
Index(
    "ix_lineage_run",
    event.c.transformation_id,
    event.c.member,
    sqlite_where=text("transformation_id IS NOT NULL"),
    postgresql_where=text("transformation_id IS NOT NULL"),
)
