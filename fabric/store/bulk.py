"""Many rows in one call, past SQLAlchemy's per-row work, in the words of either database (`ledger.log.dialect`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy.engine import Connection, CursorResult

from ledger.log.dialect import (
    delete_rows,
    insert_rows,
    is_sqlite,
    key_set,
    rendered,
    replace_rows,
    update_rows,
)

CHUNK: Final = 500
"""Values in one IN list: SQLite's smallest build-time limit on parameters is 999."""


def select_in(connection: Connection, statement: str, values: Iterable[Any], *leading: Any) -> Iterator[Any]:
    """Rows of a SELECT: `IN ({in})` stands for a list of values, and each `?` before it for one of `leading`."""
    wanted = list(values)
    if not is_sqlite(connection):
        if wanted:
            text = rendered(statement.replace("IN ({in})", "IN {keys}").replace("{in}", "?"), False)
            yield from connection.exec_driver_sql(text, (*leading, key_set(wanted, False)))
        return
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        yield from connection.exec_driver_sql(
            statement.replace("{in}", ",".join(["?"] * len(part))), (*leading, *part)
        )


def select_keys(connection: Connection, statement: str, keys: Iterable[Any], *more: Any) -> list[Any]:
    """Rows of a SELECT in which `{keys}` stands for one set of keys, passed as one parameter; `more` follow it."""
    wanted = list(keys)
    if not wanted:
        return []
    sqlite = is_sqlite(connection)
    parameters = (key_set(wanted, sqlite), *more)
    return _plain_rows(connection.exec_driver_sql(rendered(statement, sqlite), parameters))


def execute_keys(connection: Connection, statement: str, keys: Iterable[Any]) -> None:
    """Run a DELETE or UPDATE in which `{keys}` stands for one set of keys."""
    wanted = list(keys)
    if wanted:
        sqlite = is_sqlite(connection)
        connection.exec_driver_sql(rendered(statement, sqlite), (key_set(wanted, sqlite),))


def fetch(connection: Connection, statement: str, *values: Any) -> list[Any]:
    """Rows of a SELECT written with `?`."""
    return list(connection.exec_driver_sql(rendered(statement, is_sqlite(connection)), values))


def execute_rows(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement written with `?` once for each tuple."""
    if rows:
        connection.exec_driver_sql(rendered(statement, is_sqlite(connection)), list(rows))


def _plain_rows(result: CursorResult[Any]) -> list[Any]:
    """All rows as the driver's own tuples: SQLAlchemy's cost more than the query here."""
    cursor = result.cursor
    return [] if cursor is None else list(cursor.fetchall())


__all__ = [
    "delete_rows",
    "execute_keys",
    "execute_rows",
    "fetch",
    "insert_rows",
    "replace_rows",
    "select_in",
    "select_keys",
    "update_rows",
]
