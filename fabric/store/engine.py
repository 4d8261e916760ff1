"""Engines for the node's one database, shared with the log: one writer, and readers that cannot write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, event

from ledger.log.engine import reader_engine
from ledger.log.engine import writer_engine as log_writer_engine

CACHE_KIB: Final = 65_536
"""Commitments, event IDs and IRIs arrive in no order: their indices want to stay in memory."""

CHECKPOINT_PAGES: Final = 4_000
"""Pages in the WAL before they are copied back; a page that many captures touch is then copied once."""


def writer_engine(database: Path | str) -> Engine:
    """The engine that writes, as the log has it, with room for the record store's indices."""
    engine = log_writer_engine(database)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")


__all__ = ["reader_engine", "writer_engine"]
