"""From sequenced records to the graph: one pass after another, each up to the head, or as far as a pass goes.

    projection = open_projection(folder, source)
    while projection.advance():
        projection.publish()

A pass writes the records that are new below the head, then the older ones whose class, partial sight or void state
changed since the covered size, then states the size it covers. The first pass on a graph that others left compares
all records instead: the store may have been rebuilt. Doing any part of it again changes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pyoxigraph import Store

from .graph import Graph
from .names import record_iri
from .pairs import affected_by, affected_things, handovers_of, iris_of, things_of
from .progress import Progress
from .snapshots import Snapshot, current, publish, purged, state_purged
from .source import Erased, Placed, Source

BATCH: Final = 2_000
"""Records written at once."""

PASS: Final = 4 * BATCH
"""Event records of one pass at about most: what a long backlog has covered so far can be published."""

_STRETCH: Final = 20_000
STORE: Final = "store"
NEW: Final = "store.new"
OLD: Final = "store.old"
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
        # The last erasure that the store, but not yet every snapshot, has forgotten.
        self._erased: int | None = None

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
        if self._source.size() == self.covered and self._erasures(self.covered) is None:
            return False
        head = self._source.end_of(self.covered, PASS)
        if not self._progress.agree_on_classes(self._source.classes()):
            self._compares_all = True
        if not (self._write_new(head, is_stopping) and self._write_moved(head, is_stopping)):
            return False
        erased = self._write_erased(head)
        self._compares_all = False
        self._graph.drop_unused_classes()
        self._graph.cover(head)
        if erased is not None:
            self._renew()
            self._erased = erased
        return True

    def publish(self, *, anew: bool = False) -> Snapshot:
        """Publish the graph as it covers a size; nothing when that size is published already, unless `anew`."""
        published = current(self._folder)
        size = self.covered
        is_new = published is None or published.size != size or self._erased is not None
        if published is not None and not (is_new or anew):
            return published
        if self._erased is None:
            return publish(self._graph.store, self._folder, size)
        # Older snapshots hold what was erased; only once they are gone is it noted that nothing does.
        published = publish(self._graph.store, self._folder, size, kept=1)
        state_purged(self._folder, self._erased)
        self._progress.note_purged(self._erased)
        self._erased = None
        return published

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

    def _erasures(self, head: int) -> tuple[int, int] | None:
        """The log indices of erasures below a head that the files have not forgotten: after one, up to another."""
        purged = self._progress.purged()
        after = max(-1 if purged is None else purged, -1 if self._erased is None else self._erased)
        last = min(self._source.last_erasure(), head - 1)
        return (after, last) if last > after else None

    def _write_erased(self, head: int) -> int | None:
        """Take out what was erased since the last time; gives the log index of the last erasure, None without one."""
        span = self._erasures(head)
        if span is None:
            return None
        found = self._source.erased(*span)
        for start in range(0, len(found), BATCH):
            self._take_back(found[start : start + BATCH])
        return span[1]

    def _take_back(self, erased: Sequence[Erased]) -> None:
        names = {record_iri(one.commitment): one for one in erased}
        things = {name for one in erased for name in one.names}
        things |= {thing for record in names for thing in self._graph.handed_over(record)}
        now: dict[str, list[Placed]] = {record: [] for record in names}
        commitments = [one.commitment for one in erased]
        for placed in (*self._source.events_named(commitments), *self._source.masters_named(commitments)):
            now[placed.iri].append(placed)
        self._graph.replace(now, self._source.events_named)
        engine = self._source.engine
        affected = affected_by(engine, things_of(engine, things))
        lines = list(handovers_of(engine, affected))
        self._graph.add([], self._graph.settle_handovers({*things, *iris_of(engine, affected)}, lines))

    def _renew(self) -> None:
        """Copy what the store says into a new one: a store keeps on disk, and in its dictionary, what it deleted."""
        fresh = self._folder / NEW
        shutil.rmtree(fresh, ignore_errors=True)
        copy = Store(str(fresh))
        copy.bulk_extend(self._graph.store)
        copy.flush()
        # A store has no method to close it: its lock goes with its last reference.
        del copy, self._graph
        swap_in(self._folder)
        self._graph = Graph(self._folder / STORE)

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
    if not (folder / STORE).exists():
        swap_in(folder)
    for left in (NEW, OLD):
        _clear(folder / left)
    graph, progress = Graph(folder / STORE), Progress(folder / PROGRESS)
    if not graph.is_of_this_mapping() or max(graph.covered(), progress.reached()) > source.size():
        progress.close()
        del graph
        _remove(folder)
        graph, progress = Graph(folder / STORE), Progress(folder / PROGRESS)
        graph.cover(0)
    if progress.purged() is None and graph.covered() == 0 and progress.reached() == 0:
        # What is written from now on was never erased before now; snapshots of an earlier graph may hold what was.
        clean = source.last_erasure() if current(folder) is None else -1
        if clean > purged(folder):
            state_purged(folder, clean)
        progress.note_purged(clean)
    elif (progress.purged() or -1) > purged(folder):
        # The file is what is told to others, and survives a power cut; notes may not, in whatever order.
        progress.note_purged(purged(folder))
    return Projection(folder, graph, progress, source)


def swap_in(folder: Path) -> None:
    """Put the new store in the place of the old one. Dying between the steps, the next start ends what was begun."""
    store, fresh, old = folder / STORE, folder / NEW, folder / OLD
    if not fresh.exists():
        return
    if store.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(store, old)
    os.replace(fresh, store)
    _clear(old)


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
        return projection.publish(anew=True)
    finally:
        projection.close()


def _clear(old: Path) -> None:
    """Remove a store that may hold what was erased. Raises OSError: nobody may say that it is gone then."""
    if old.exists():
        shutil.rmtree(old)


def _remove(folder: Path) -> None:
    """Remove what the projector writes; published snapshots stay."""
    shutil.rmtree(folder / STORE, ignore_errors=True)
    for suffix in ("", "-wal", "-shm"):
        (folder / (PROGRESS + suffix)).unlink(missing_ok=True)


def _commitment(record: Placed) -> bytes:
    return bytes.fromhex(record.iri.rpartition(":")[2])
