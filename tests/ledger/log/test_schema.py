"""The log's tables are the same on both databases, and the engines keep their promises."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from ledger.log import schema
from ledger.log.engine import reader_engine, writer_engine

from .node import Node, capture


def test_every_table_can_be_created_on_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    tables = [str(CreateTable(table).compile(dialect=dialect)) for table in schema.metadata.sorted_tables]
    indices = [
        str(CreateIndex(index).compile(dialect=dialect))
        for table in schema.metadata.sorted_tables
        for index in table.indexes
    ]
    assert len(tables) == 6
    assert any("WHERE state = 'staged'" in index for index in indices)
    assert any("id BIGSERIAL" in table for table in tables)


def test_the_writer_is_durable_and_deletes_securely(tmp_path: Path) -> None:
    engine = writer_engine(tmp_path / "a b.db")
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "secure_delete", "mmap_size")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "mmap_size": 0}
    assert (tmp_path / "a b.db").exists()


def test_claiming_what_waits_uses_the_index_of_what_waits(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.found("farm")
    node.sequence(*[capture(i) for i in range(50)])
    with node.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT id, envelope FROM statement WHERE state = 'staged' ORDER BY id LIMIT 5"
        ).all()
    node.stop()
    assert "ix_statement_waiting" in str(plan)


def test_a_database_is_the_same_by_path_and_by_url(tmp_path: Path) -> None:
    by_path = writer_engine(tmp_path / "loomark.db")
    schema.metadata.create_all(by_path)
    by_path.dispose()
    by_url = reader_engine(f"sqlite:///{tmp_path / 'loomark.db'}")
    assert set(inspect(by_url).get_table_names()) == set(schema.metadata.tables)
    by_url.dispose()
