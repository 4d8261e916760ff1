"""The database at one moment, as a file of its own: what a check reads, while the node goes on writing.

Whatever the database is, the copy is SQLite: of SQLite it is the pages as they are, damage included; of another
database its rows, read in one transaction. So a check has one dialect, holds nothing that a writer waits for, and
derives in a scratch file beside it. Disk space is the price: as much again as the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, select
from sqlalchemy.pool import QueuePool

from fabric.store.schema import metadata
from ledger.errors import Unavailable
from ledger.log.engine import reader_engine
from ledger.log.schema import metadata as log_metadata

from .run import require_room

_PORTION: Final = 2_000
VERSION_TABLE: Final = "alembic_version"


class Unreadable(Exception):
    """The database is there, and cannot be read as one: that is damage, not absence."""


def is_file(database: Path | str) -> bool:
    """Whether a database is an SQLite file."""
    return isinstance(database, Path) or "://" not in database or database.startswith("sqlite")


def file_of(database: Path | str) -> Path:
    """The file of an SQLite database."""
    if isinstance(database, Path):
        return database
    return Path(database.partition("///")[2].partition("?")[0] if "://" in database else database)


def take(database: Path | str, copy: Path) -> None:
    """Copy a database as it is at one moment. Raises Unavailable when it is not there, Unreadable when it is damaged."""
    if is_file(database):
        _take_file(file_of(database), copy)
        return
    engine = reader_engine(database, pool_size=1)
    try:
        with engine.connect() as connection:
            take_rows(connection, copy)
    finally:
        engine.dispose()


def _take_file(database: Path, copy: Path) -> None:
    """One read of all pages. It holds the write-ahead log for as long as it takes; writers go on, their log grows."""
    if not database.is_file():
        raise Unavailable(f"expected a database at {database}, got none")
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
            target.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        require_room(error)
        raise Unreadable(str(error)) from error


def take_rows(source: Connection, copy: Path) -> None:
    """Copy every table of the log and the fabric row by row, in the transaction of `source`."""
    target = create_engine(f"sqlite:///{copy}")
    try:
        log_metadata.create_all(target)
        metadata.create_all(target)
        there = set(inspect(source).get_table_names())
        with target.begin() as connection:
            for table in (*log_metadata.sorted_tables, *metadata.sorted_tables):
                if table.name in there:
                    _copy_table(source, connection, table)
            if VERSION_TABLE in there:
                found = source.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()
                connection.exec_driver_sql(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)")
                for name in found:
                    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES (?)", (name,))
    finally:
        target.dispose()


def _copy_table(source: Connection, target: Connection, table: Table) -> None:
    options = {"stream_results": True, "yield_per": _PORTION}
    found = source.execute(select(table), execution_options=options)
    for portion in found.partitions():
        target.execute(table.insert(), [dict(row._mapping) for row in portion])


def copy_engine(copy: Path, *attached: tuple[str, Path]) -> Engine:
    """An engine over a copy that nobody writes. Text that is no UTF-8 is read with its bytes spelled out."""
    engine = create_engine(
        f"sqlite:///file:{quote(str(copy))}?mode=ro&uri=true",
        poolclass=QueuePool,
        pool_size=4,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.text_factory = spelled
        for name, path in attached:
            connection.execute(f"ATTACH ? AS {name}", (str(path),))

    return engine


def spelled(raw: bytes) -> str:
    """Text of a column; bytes that are no UTF-8 stand as escapes, so that they differ from what belongs there."""
    return raw.decode("utf-8", "backslashreplace")


def structure(copy: Path, most: int) -> Iterator[str]:
    """What SQLite itself finds wrong with pages and indices of a copy, in its own words."""
    with closing(sqlite3.connect(f"file:{quote(str(copy))}?mode=ro", uri=True)) as connection:
        connection.text_factory = spelled
        try:
            for (line,) in connection.execute(f"PRAGMA integrity_check({int(most)})"):
                if line != "ok":
                    yield str(line)
        except sqlite3.DatabaseError as error:
            yield str(error)


def programs(copy: Path) -> Iterator[str]:
    """Triggers and views: Loomark has none, and one could change what others read or write."""
    with closing(sqlite3.connect(f"file:{quote(str(copy))}?mode=ro", uri=True)) as connection:
        connection.text_factory = spelled
        query = "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index')"
        for kind, name in connection.execute(query):
            yield f"{kind} {name}"
