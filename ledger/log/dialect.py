"""Many rows in one call, and the few words that SQLite and PostgreSQL say differently: the one place that knows.

Statements are written once, with `?` for each value, and these words in braces:

| written | means |
|---|---|
| `IN {keys}` | in one set of keys, passed as one parameter |
| `{keys:bigint} AS p` | the same as a table of one column, `p.value`; joined by `{join}` |
| `{all}x{end}` | the values of a column as one JSON array |
| `{list}(x, y)` | one JSON array of these values |
| `{text:x}` | the text of UTF-8 bytes |

SQLite gets one prepared statement run for each row; PostgreSQL gets a set of rows at once: by COPY where they are
new, and as arrays where they change or go. Nothing here begins or ends a transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import Integer, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

SQLITE: Final = "sqlite"
FEW: Final = 8
"""Up to so many new rows go to PostgreSQL as values: beginning a COPY costs two exchanges more."""

_WORDS: Final = {
    True: {
        "IN {keys}": "IN (SELECT value FROM json_each(?))",
        "{join}": "CROSS JOIN",
        "{all}": "json_group_array(",
        "{end}": ")",
        "{list}": "json_array",
    },
    False: {
        "IN {keys}": "= ANY(?)",
        "{join}": "JOIN",
        "{all}": "coalesce(json_agg(",
        "{end}": "), '[]')::text",
        "{list}": "json_build_array",
    },
}
_TABLE: Final = re.compile(r"\{keys:([a-z]+)\} AS ([a-z]+)")
_TEXT: Final = re.compile(r"\{text:([a-z._]+)\}")


def is_sqlite(connection: Connection) -> bool:
    """Whether a connection speaks to SQLite; else it is PostgreSQL."""
    return connection.dialect.name == SQLITE


@lru_cache(maxsize=512)
def rendered(statement: str, sqlite: bool) -> str:
    """A statement in the words and the parameter style of one of the two."""
    for word, said in _WORDS[sqlite].items():
        statement = statement.replace(word, said)
    if sqlite:
        return _TEXT.sub(r"CAST(\1 AS TEXT)", _TABLE.sub(r"json_each(?) AS \2", statement))
    statement = _TABLE.sub(r"unnest(?::\1[]) AS \2(value)", statement)
    return _TEXT.sub(r"convert_from(\1, 'UTF8')", statement).replace("%", "%%").replace("?", "%s")


def key_set(keys: Sequence[Any], sqlite: bool) -> Any:
    """The parameter that stands for a set of keys (numbers, texts, or bytes on PostgreSQL); not for none."""
    if sqlite:
        return orjson.dumps(keys).decode()
    return _numbers(keys) if type(keys[0]) is int else list(keys)


def insert_rows(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert tuples in the order of `columns`; nothing happens for no rows."""
    if not rows:
        return
    if is_sqlite(connection):
        connection.exec_driver_sql(_insert(table.name, columns, "?"), list(rows))
    elif len(rows) <= FEW:
        connection.exec_driver_sql(_insert(table.name, columns, "%s", len(rows)), _flat(rows))
    else:
        _copy(connection, table.name, columns, rows)


def update_rows(
    connection: Connection,
    table: Table,
    values: tuple[str, ...],
    keys: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    fixed: str = "",
    only: str = "",
) -> None:
    """Set `values` of the rows that have these `keys`; each tuple has values, then keys.

    `fixed` is set besides, in SQL; `only` is a condition that a row must meet.
    """
    if rows:
        sqlite = is_sqlite(connection)
        _run(connection, _update(table, values, keys, fixed, only, sqlite), table, values + keys, rows)


def delete_rows(
    connection: Connection, table: Table, keys: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Delete the rows that have these keys."""
    if rows:
        _run(connection, _delete(table, keys, is_sqlite(connection)), table, keys, rows)


def replace_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    key: str,
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Insert tuples; where a row has the same `key`, it takes the other columns. No key comes twice."""
    if rows:
        _run(connection, _replace(table, columns, key, is_sqlite(connection)), table, columns, rows)


def _run(
    connection: Connection,
    statement: str,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    if is_sqlite(connection):
        connection.exec_driver_sql(statement, list(rows))
        return
    arrays = zip(columns, zip(*rows, strict=True), strict=True)
    connection.exec_driver_sql(statement, tuple([_array(table, name, column) for name, column in arrays]))


def _array(table: Table, name: str, values: Sequence[Any]) -> Any:
    return _numbers(values) if isinstance(table.c[name].type, Integer) else list(values)


def _numbers(values: Sequence[Any]) -> str:
    """Numbers and NULLs as an array, at a tenth of what the driver takes for a list."""
    return "{" + orjson.dumps(values).decode()[1:-1] + "}"


def _flat(rows: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple([value for row in rows for value in row])


def _copy(
    connection: Connection, table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
) -> None:
    driver: Any = connection.connection.driver_connection
    statement, errors = f'COPY "{table}" ({_names(columns)}) FROM STDIN', connection.dialect.loaded_dbapi
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except errors.Error as error:
        # Raised past SQLAlchemy, which would have made these of it.
        kind = OperationalError if isinstance(error, errors.OperationalError) else DBAPIError
        raise kind(statement, None, error) from error


def _names(columns: Iterable[str]) -> str:
    return ", ".join([f'"{name}"' for name in columns])


@lru_cache(maxsize=256)
def _insert(table: str, columns: tuple[str, ...], mark: str, count: int = 1) -> str:
    row = f"({', '.join([mark] * len(columns))})"
    return f'INSERT INTO "{table}" ({_names(columns)}) VALUES {", ".join([row] * count)}'


@lru_cache(maxsize=64)
def _update(
    table: Table, values: tuple[str, ...], keys: tuple[str, ...], fixed: str, only: str, sqlite: bool
) -> str:
    also = f" AND {only}" if only else ""
    more = f", {fixed}" if fixed else ""
    if sqlite:
        sets = ", ".join([f'"{name}" = ?' for name in values])
        return f'UPDATE "{table.name}" SET {sets}{more} WHERE {_equal(keys)}{also}'
    sets = ", ".join([f'"{name}" = v.c{number}' for number, name in enumerate(values)])
    given = _rows(table, values + keys)
    return (
        f'UPDATE "{table.name}" AS t SET {sets}{more} FROM {given} WHERE {_joined(keys, len(values))}{also}'
    )


@lru_cache(maxsize=64)
def _delete(table: Table, keys: tuple[str, ...], sqlite: bool) -> str:
    if sqlite:
        return f'DELETE FROM "{table.name}" WHERE {_equal(keys)}'
    return f'DELETE FROM "{table.name}" AS t USING {_rows(table, keys)} WHERE {_joined(keys, 0)}'


@lru_cache(maxsize=64)
def _replace(table: Table, columns: tuple[str, ...], key: str, sqlite: bool) -> str:
    sets = ", ".join([f'"{name}" = excluded."{name}"' for name in columns if name != key])
    given = f"VALUES ({', '.join('?' * len(columns))})"
    if not sqlite:
        given = f"SELECT * FROM {_rows(table, columns)}"
    into = f'INSERT INTO "{table.name}" ({_names(columns)})'
    return f'{into} {given} ON CONFLICT ("{key}") DO UPDATE SET {sets}'


def _equal(keys: Iterable[str]) -> str:
    return " AND ".join([f'"{name}" = ?' for name in keys])


def _joined(keys: Iterable[str], first: int) -> str:
    return " AND ".join([f't."{name}" = v.c{number}' for number, name in enumerate(keys, first)])


def _rows(table: Table, columns: Sequence[str]) -> str:
    """Arrays of the columns' types, side by side, as the table `v` of columns `c0`, `c1`, …"""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    arrays = [f"%s::{table.c[name].type.compile(dialect)}[]" for name in columns]
    return f"unnest({', '.join(arrays)}) AS v({', '.join([f'c{n}' for n in range(len(columns))])})"
