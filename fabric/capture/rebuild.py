"""Projections made anew from sequenced records: same code, same order, equal outcome.

Rebuilding is one transaction: a reader sees the old projections until the new ones are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from fabric.store.bodies import LINKS
from fabric.store.migrate import create_projections, drop_projections, mark_projections, stale_projections
from fabric.store.schema import capture
from ledger.registry import Registry

from .indexing import VERSIONS, Indexer, load_indexables

BATCH_RECORDS: Final = 4096

Progress = Callable[[int, int], None]
"""Called with the number of captures done, and of all."""


def needs_rebuild(engine: Engine) -> bool:
    """Whether the stored projections are of other versions than this Loomark's."""
    with engine.connect() as connection:
        return bool(stale_projections(connection, VERSIONS))


def rebuild(engine: Engine, registry: Registry, progress: Progress | None = None) -> int:
    """Drop all projections and project every sequenced capture again; gives how many. Needs the lock."""
    with engine.begin() as connection:
        drop_projections(connection)
        create_projections(connection)
        done = project_all(connection, Indexer(registry), progress)
        mark_projections(connection, VERSIONS)
    return done


def project_all(connection: Connection, indexer: Indexer, progress: Progress | None = None) -> int:
    """Project every sequenced capture, and then every link, into empty tables; gives how many captures."""
    done = 0
    waiting = list(_sequenced(connection))
    for batch in _batches(waiting):
        read = {one.capture.statement: one for one in load_indexables(connection, batch)}
        indexer.project(connection, [read[row] for row in batch])
        done += len(batch)
        if progress is not None:
            progress(done, len(waiting))
    indexer.project_links(connection, LINKS.sequenced(connection))
    indexer.name_seers(connection)
    return done


def _sequenced(connection: Connection) -> Iterator[tuple[int, int]]:
    query = (
        select(capture.c.statement, capture.c.records)
        .where(capture.c.idx.is_not(None))
        .order_by(capture.c.idx)
    )
    for row in connection.execute(query):
        yield row.statement, row.records


def _batches(waiting: list[tuple[int, int]]) -> Iterator[list[int]]:
    batch: list[int] = []
    weight = 0
    for statement, count in waiting:
        batch.append(statement)
        weight += count
        if weight >= BATCH_RECORDS:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
