"""Lineage as one caller sees it, opened for the time of one answer: one read transaction, one tree size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, select

from fabric.capture.node import Node
from fabric.lineage import HolderOf
from fabric.trace import Coverage, TraceSource
from fabric.trace.catalogue import SqlCatalogue
from fabric.trace.sql import sql_source
from fabric.visibility.classes import visible_classes
from fabric.visibility.holders import Holders
from fabric.visibility.reader import Reader
from ledger.errors import NotFound
from ledger.log.database import read_head
from ledger.log.schema import seal
from ledger.shape import time_ms


@dataclass(frozen=True, slots=True)
class View:
    """One reader's view of the store: a connection in a read transaction and what may be seen through it.

    `classes` are the visible classes, None for a reader who sees everything; `source` answers traces, `catalogue`
    searches. All are about `coverage.size`.
    """

    connection: Connection
    classes: frozenset[int] | None
    coverage: Coverage
    source: TraceSource
    catalogue: SqlCatalogue
    holder_of: HolderOf


@contextmanager
def view(node: Node, reader: Reader, size: int | None = None) -> Iterator[View]:
    """A view at the head, or as known at an earlier tree `size`; raises NotFound for a size that was not reached."""
    holder_of = Holders(node.registry.identifiers).member_of
    with node.reading.connect() as connection:
        coverage = _coverage(connection, size)
        classes = None if reader.all else visible_classes(connection, reader)
        source = sql_source(connection, coverage, holder_of, classes=classes, below=size)
        catalogue = SqlCatalogue(connection, holder_of, classes=classes, below=size)
        yield View(connection, classes, coverage, source, catalogue, holder_of)


def _coverage(connection: Connection, size: int | None) -> Coverage:
    head = read_head(connection).size
    covered = head if size is None else size
    if not 2 <= covered <= head:
        raise NotFound(f"expected a tree size from 2 to {head}, got {covered}", rule="no-checkpoint")
    last = select(seal.c.time).where(seal.c.idx < covered).order_by(seal.c.idx.desc()).limit(1)
    return Coverage(covered, time_ms(connection.execute(last).scalar_one(), "seal") * 1000)
