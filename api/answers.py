"""Lineage as one caller sees it, opened for the time of one answer: one read transaction, one tree size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, select

from fabric.capture.node import Node
from fabric.epcis.identifiers import Position, canonical_thing
from fabric.lineage import HolderOf
from fabric.trace import Coverage, TraceSource
from fabric.trace.catalogue import SqlCatalogue
from fabric.trace.search import resolve
from fabric.trace.sql import sql_source
from fabric.visibility.classes import visible_classes
from fabric.visibility.holders import Holders
from fabric.visibility.reader import Reader
from ledger.errors import Conflict, Finding, InvalidInput, NotFound
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


def meant(text: str, seen: View) -> str:
    """The canonical IRI of the one visible thing that `text` names: an IRI, a lot, serial, carrier or document number.

    Raises Conflict (rule `several-things`) where it can mean several; its findings name each. Where nothing visible
    has the name it is given as an IRI, for the question to be refused like one about any unknown thing.
    """
    iri = canonical(text)
    if seen.source.find(iri) is not None:
        return iri
    found = resolve(text, seen.catalogue, seen.source)
    if found.thing is not None:
        return found.thing
    if found.candidates:
        findings = [Finding(None, "", "several-things", "one thing", one.thing) for one in found.candidates]
        raise Conflict(
            f"{len(findings)} things go by this name; name one of them", findings, "several-things"
        )
    return iri


def canonical(text: str) -> str:
    """The canonical IRI of a thing as somebody typed it; what names no GS1 key is itself."""
    try:
        return canonical_thing(text, Position.EPC).iri
    except InvalidInput:
        return text
