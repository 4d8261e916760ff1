"""Many rows in one call, past SQLAlchemy's per-row work, in the parameter style of either database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.engine import Connection

CHUNK: Final = 500
"""Values in one IN list: SQLite's smallest build-time limit on parameters is 999."""


def insert_rows(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert tuples in the order of `columns`; nothing happens for no rows."""
    if rows:
        connection.exec_driver_sql(_insert(table.name, columns, _mark(connection)), list(rows))


def select_in(connection: Connection, statement: str, values: Iterable[Any], *leading: Any) -> Iterator[Any]:
    """Rows of a SELECT, chunk by chunk: `{in}` stands for an IN list, and each `?` before it for one of `leading`."""
    wanted = list(values)
    mark = _mark(connection)
    text = statement.replace("?", mark)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        yield from connection.exec_driver_sql(
            text.replace("{in}", ",".join([mark] * len(part))), (*leading, *part)
        )


def execute_rows(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement written with `?` once for each tuple."""
    if rows:
        connection.exec_driver_sql(statement.replace("?", _mark(connection)), list(rows))


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


@lru_cache(maxsize=64)
def _insert(table: str, columns: tuple[str, ...], mark: str) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES ({", ".join([mark] * len(columns))})'
