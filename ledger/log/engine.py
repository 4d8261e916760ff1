"""Engines for the log's database: one that writes, others that can only read.

Everything that is SQLite's own (pragmas, how a transaction begins, read-only opening) lives here; the rest of
the log speaks SQLAlchemy Core. On SQLite exactly one connection writes and checkpoints the WAL: versions
before 3.51.3 can corrupt a WAL database that several connections write, and Pythons ship older ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.pool import QueuePool

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a connection waits for a lock before it gives up; only recovery after a crash should wait at all."""

_WRITER_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "mmap_size=0",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
)
_READER_PRAGMAS: Final = ("mmap_size=0", f"busy_timeout={BUSY_TIMEOUT_MS}")


def writer_engine(database: Path | str) -> Engine:
    """The engine that writes: a path means SQLite, anything else is an SQLAlchemy URL.

    On SQLite the pool holds one connection, and a transaction takes the write lock when it begins, so that it
    cannot fail half-way on somebody else's lock.
    """
    if isinstance(database, str) and not _is_sqlite(database):
        return create_engine(database, pool_pre_ping=True)
    return _sqlite_engine(
        f"file:{_quoted(database)}?uri=true", _WRITER_PRAGMAS, "BEGIN IMMEDIATE", pool_size=1
    )


def reader_engine(database: Path | str, *, pool_size: int = 8) -> Engine:
    """An engine whose connections cannot write. Keep no read transaction over a second: it holds the WAL."""
    if isinstance(database, str) and not _is_sqlite(database):
        options = {"options": "-c default_transaction_read_only=on"}
        return create_engine(database, pool_pre_ping=True, pool_size=pool_size, connect_args=options)
    return _sqlite_engine(
        f"file:{_quoted(database)}?mode=ro&uri=true", _READER_PRAGMAS, "BEGIN", pool_size=pool_size
    )


def _is_sqlite(url: str) -> bool:
    return "://" not in url or make_url(url).get_backend_name() == "sqlite"


def _quoted(database: Path | str) -> str:
    path = make_url(database).database if isinstance(database, str) and "://" in database else str(database)
    return quote(path or "")


def _sqlite_engine(address: str, pragmas: tuple[str, ...], begin: str, *, pool_size: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{address}",
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # The driver's own BEGIN comes too late (at the first write) and never before a SELECT.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        # Straight to the driver: going through SQLAlchemy costs as much as the short reads it begins.
        driver: Any = connection.connection.driver_connection
        driver.execute(begin)

    return engine
