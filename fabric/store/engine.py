"""Engines for the node's one database, shared with the log: one writer, and readers that cannot write."""

from __future__ import annotations

from ledger.log.engine import reader_engine, writer_engine

__all__ = ["reader_engine", "writer_engine"]
