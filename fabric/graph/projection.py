"""From sequenced records to the graph: one pass after another, each up to the head, or as far as a pass goes.

    projection = open_projection(folder, source)
    while projection.advance():
        projection.publish()

A pass writes the records that are new below the head, then the older ones whose class, partial sight or void state
changed since the covered size, then states the size it covers. The first pass on a graph that others left compares
all records instead: the store may have been rebuilt. Doing any part of it again changes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pyoxigraph import Store

from .graph import Graph
from .pairs import affected_things, handovers_of, iris_of
from .progress import Progress
from .snapshots import Snapshot, current, publish
from .source import Placed, Source

BATCH: Final = 2_000
"""Records written at once."""

PASS: Final = 4 * BATCH
"""Event records of one pass at about most: what a long backlog has covered so far can be published."""

_STRETCH: Final = 20_000
STORE: Final = "store"
PROGRESS: Final = "progress.db"


class Projection:
    """The graph of one folder and the database it follows. One thread."""

    def __init__(self, folder: Path, graph: Graph, progress: Progress, source: Source) -> None:
        self._folder = folder
        self._graph = graph
        self._progress = progress
        self._source = source
        self._compares_all = graph.covered() > 0 or progress.reached() > 0
        # After a crash the last batch may be in the graph although no note says so.
        self._certain = False

    @property
    def covered(self) -> int:
        """The tree size that the graph covers."""
        return self._graph.covered()

    @property
    def store(self) -> Store:
        """The store that is written; for reading it in this thread."""
        return self._graph.store

    def advance(self, is_stopping: Callable[[], bool] = lambda: False) -> bool:
        """One pass. True when the covered size moved; False when there was nothing to do, or it was stopped."""
        if self._source.size() == self.covered:
            return False
        head = self._source.end_of(self.covered, PASS)
        if not self._progress.agree_on_classes(self._source.classes()):
            self._compares_all = True
        if not (self._write_new(head, is_stopping) and self._write_moved(head, is_stopping)):
            return False
        self._compares_all = False
        self._graph.drop_unused_classes()
        self._graph.cover(head)
        return True

    def publish(self) -> Snapshot:
        """Publish the graph as it covers a size; nothing when that size is published already."""
        published = current(self._folder)
        size = self.covered
        if published is not None and published.size == size:
            return published
        return publish(self._graph.store, self._folder, size)

    def close(self) -> None:
        """Close notes and store; this object is of no use afterwards."""
        self._progress.close()
        # A store has no method to close it: its lock goes with its last reference.
        del self._graph

    def _write_new(self, head: int, is_stopping: Callable[[], bool]) -> bool:
        start = self._progress.reached()
        # Claims never change, so writing one again is harmless.
        for _, records in self._source.new_masters(start, head, BATCH):
            self._graph.add(self._source.masters(records))
        for last, records in self._source.new_events(start, head, BATCH):
            if is_stopping():
                return False
            found = self._source.events(records)
            self._write(found, self._pairs(records))
            # Records of one capture may be split between batches: its index is not done yet.
            self._progress.note([one.place for one in found if one.place], min(last, head))
        # A pass that a crash cut short may have reached further than this one goes.
        self._progress.note([], max(start, head))
        self._certain = True
        return True

    def _write(self, records: Sequence[Placed], pairs: list[str]) -> None:
        if self._certain:
            self._graph.add(records, pairs)
            return
        fresh = [one for one in records if not self._graph.holds(one.iri)]
        self._graph.add(fresh, pairs)
        written = {one.iri for one in fresh}
        self._replace([one for one in records if one.iri not in written])

    def _replace(self, records: Sequence[Placed]) -> None:
        # A signed capture that was submitted again has its records twice under one name.
        named: dict[str, list[Placed]] = {one.iri: [] for one in records}
        for one in self._source.events_named(map(_commitment, records)):
            named[one.iri].append(one)
        if named:
            self._graph.replace(named, self._source.events_named)

    def _write_moved(self, head: int, is_stopping: Callable[[], bool]) -> bool:
        for moved in self._all_moved(head) if self._compares_all else self._moved(head):
            if is_stopping():
                return False
            found = self._source.events(moved)
            self._replace(found)
            self._graph.add([], self._pairs(moved))
            self._progress.note([one.place for one in found if one.place])
        return True

    def _moved(self, head: int) -> Iterator[list[int]]:
        """Records that were changed since the covered size and are not written so yet."""
        for places in self._source.touched(self.covered, head, BATCH):
            moved = self._progress.differing(places)
            if moved:
                yield moved

    def _all_moved(self, head: int) -> Iterator[list[int]]:
        """Records that are not written as the store has them, by comparing every one with the notes."""
        after = 0
        while True:
            places = self._source.places(after, head, _STRETCH)
            moved = self._progress.moved(places)
            if not places:
                return
            for start in range(0, len(moved), BATCH):
                yield moved[start : start + BATCH]
            after = places[-1].record

    def _pairs(self, records: Sequence[int]) -> list[str]:
        """The hand-overs that records bear upon, as lines to be added; those that hold no more are taken back."""
        engine = self._source.engine
        things = affected_things(engine, records)
        return self._graph.settle_handovers(iris_of(engine, things), list(handovers_of(engine, things)))


def open_projection(folder: Path, source: Source) -> Projection:
    """Open the graph of a folder, making it anew when another mapping made it or the database is behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    graph, progress = Graph(folder / STORE), Progress(folder / PROGRESS)
    if not graph.is_of_this_mapping() or max(graph.covered(), progress.reached()) > source.size():
        progress.close()
        del graph
        _remove(folder)
        graph, progress = Graph(folder / STORE), Progress(folder / PROGRESS)
        graph.cover(0)
    return Projection(folder, graph, progress, source)


def rebuild(folder: Path, source: Source, progress: Callable[[int], None] | None = None) -> Snapshot:
    """Make the graph of a folder from scratch and publish it; the old snapshot serves until then.

    Needs the node's lock: no projector may run. `progress` is called with the size that is covered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove(folder)
    projection = open_projection(folder, source)
    try:
        while projection.advance():
            if progress is not None:
                progress(projection.covered)
        projection.store.optimize()
        return publish(projection.store, folder, projection.covered)
    finally:
        projection.close()


def _remove(folder: Path) -> None:
    """Remove what the projector writes; published snapshots stay."""
    shutil.rmtree(folder / STORE, ignore_errors=True)
    for suffix in ("", "-wal", "-shm"):
        (folder / (PROGRESS + suffix)).unlink(missing_ok=True)


def _commitment(record: Placed) -> bytes:
    return bytes.fromhex(record.iri.rpartition(":")[2])
