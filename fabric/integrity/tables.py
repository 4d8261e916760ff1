"""Whether the database has the tables, columns and indices of this version, and pages that hold together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Inspector, Table, UniqueConstraint, inspect

from fabric.store import migrate
from fabric.store.schema import metadata
from ledger.log.fault import KEPT_OF_A_RULE, Faults
from ledger.log.schema import metadata as log_metadata

from .moment import VERSION_TABLE, programs, structure

_OURS: Final = {table.name: table for table in (*log_metadata.sorted_tables, *metadata.sorted_tables)}


def check_pages(copy: Path, faults: Faults) -> None:
    """Pages, and indices against their tables, as SQLite checks them; and that nothing in the file runs by itself."""
    for line in structure(copy, KEPT_OF_A_RULE):
        faults.note("database-page", "database", f"expected whole pages and indices, got: {line}"[:300])
    for name in programs(copy):
        faults.note("database-shape", name, "expected tables and indices only, got something that runs")


def check_shape(engine: Engine, faults: Faults) -> None:
    """Tables, columns and indices are those that this version makes."""
    found = inspect(engine)
    names = set(found.get_table_names()) - {VERSION_TABLE, "sqlite_sequence"}
    for name in sorted(_OURS.keys() - names):
        faults.note("database-shape", f"table {name}", "expected this table, got none")
    for name in sorted(names - _OURS.keys()):
        faults.note("database-shape", f"table {name}", "expected no such table, got one")
    for name in sorted(names & _OURS.keys()):
        for what in _differences(found, _OURS[name]):
            faults.note("database-shape", f"table {name}", what)
    with engine.connect() as connection:
        versions = set(connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars())
    head = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations")).get_current_head()
    if versions != {head}:
        faults.note("database-shape", VERSION_TABLE, f"expected revision {head}, got another")


def _differences(found: Inspector, table: Table) -> Iterator[str]:
    right = {column.name: (column.nullable, _family(column.type)) for column in table.c}
    told = {one["name"]: (one["nullable"], _family(one["type"])) for one in found.get_columns(table.name)}
    if told != right:
        names = sorted({name for name, _ in told.items() ^ right.items()})
        yield f"expected this version's columns, got others: {', '.join(names)}"
    key = [column.name for column in table.primary_key]
    if found.get_pk_constraint(table.name)["constrained_columns"] != key:
        yield f"expected the primary key {', '.join(key)}, got another"
    unique = {
        tuple(column.name for column in one.columns)
        for one in table.constraints
        if isinstance(one, UniqueConstraint)
    }
    if {tuple(one["column_names"]) for one in found.get_unique_constraints(table.name)} != unique:
        yield "expected this version's unique columns, got others"
    wanted = {
        (str(one.name), tuple(column.name for column in one.columns), bool(one.unique))
        for one in table.indexes
    }
    indices = {
        (str(one["name"]), tuple(map(str, one["column_names"])), bool(one["unique"]))
        for one in found.get_indexes(table.name)
        if not one.get("duplicates_constraint")
    }
    for name in sorted({one[0] for one in wanted ^ indices}):
        yield f"expected this version's indices, got a difference in {name}"


def _family(kind: object) -> str:
    """What a type holds, in words that both databases share."""
    visit = getattr(kind, "__visit_name__", "")
    name = str(visit).lower()
    if "int" in name:
        return "number"
    if "blob" in name or "binary" in name or "bytea" in name:
        return "bytes"
    return "text" if any(word in name for word in ("char", "text", "string")) else name
