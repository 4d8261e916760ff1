"""A small database for lineage: captures facts as the store would, each batch in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

from fabric.epcis.identifiers import Position, read_name
from fabric.lineage import Fact, HolderOf
from fabric.lineage.memory import nobody
from fabric.lineage.schema import TABLES
from fabric.lineage.sql import NewFact, index_facts, names_of
from fabric.store.bulk import insert_rows
from fabric.store.schema import capture as capture_table
from fabric.store.schema import document, event, line, metadata, record, same, thing, touched

_RECORD = ("id", "capture", "position", "kind", "member", "event_id", "declares", "commitment", "digest")
_RANK = {"lot": 0, "serial": 1, "class": 2, "place": 3}


@cache
def _database() -> Engine:
    """One database in memory for all tests of a process: creating its tables takes long."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    tables = [event, line, record, same, thing, touched, capture_table, document, *TABLES]
    metadata.create_all(engine, tables=tables)
    return engine


def fresh_database() -> Connection:
    """A connection to an empty database in memory; there is one at a time."""
    connection = _database().connect()
    for table in (event, line, record, same, thing, touched, *TABLES):
        connection.exec_driver_sql(f"DELETE FROM {table.name}")
    connection.commit()
    return connection


def capture(
    connection: Connection,
    facts: Sequence[Fact],
    holder_of: HolderOf = nobody,
    classes: Mapping[int, int] | None = None,
) -> None:
    """Store records and index them in one transaction; `classes` are visibility classes by record."""
    ids = _intern(connection, facts)
    rows = [
        (
            fact.record,
            fact.record,
            1,
            2,
            fact.member,
            fact.event_id,
            int(fact.declares),
            fact.commitment,
            fact.content,
        )
        for fact in facts
    ]
    insert_rows(connection, record, _RECORD, rows)
    index_facts(
        connection, [NewFact(fact, (classes or {}).get(fact.record, 1)) for fact in facts], ids, holder_of
    )
    connection.commit()


def _intern(connection: Connection, facts: Sequence[Fact]) -> dict[str, int]:
    known = {iri: number for number, iri in connection.exec_driver_sql("SELECT id, iri FROM thing")}
    missing = sorted({name for fact in facts for name in names_of(fact)} - known.keys())
    fresh = {iri: number for number, iri in enumerate(missing, len(known) + 1)}
    rows = [(number, iri, _kind(iri)) for iri, number in fresh.items()]
    insert_rows(connection, thing, ("id", "iri", "kind"), rows)
    return known | fresh


def _kind(iri: str) -> str:
    return read_name(iri, Position.EPC)[0].kind.value


__all__ = ["capture", "fresh_database"]
