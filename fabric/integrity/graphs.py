"""The knowledge graph, made afresh from the records and compared quad by quad: the published snapshot and the store.

Stores on disk order quads alike, so two walks side by side find every difference in bounded memory. Oxigraph keeps six
orders of the same quads, and answers from any: each quad is looked up in those that the walk does not read.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pyoxigraph import DefaultGraph, NamedNode, Quad, Store
from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from fabric.graph.graph import Graph, covered_size
from fabric.graph.names import RECORD
from fabric.graph.progress import Progress
from fabric.graph.projection import PROGRESS, STORE, Projection, open_projection
from fabric.graph.snapshots import CURRENT, PURGED, current
from fabric.graph.source import Source
from fabric.store.schema import erasure, event

from .run import DAMAGED, Run, reason, require_room

_NUMBER: Final = re.compile(rb"(-1|0|[1-9][0-9]{0,17})\n\Z")
_SNAPSHOT: Final = re.compile(r"snap-[0-9]+-[0-9]+\Z")
ENGINE_FAILS: Final = (OSError, ValueError, RuntimeError)
"""What the engine raises for files it cannot make sense of; a block that fails its checksum is a RuntimeError."""

STORE_PLACE: Final = f"graph/{STORE}"
"""Where the projector's own store is said to lie."""

_FLOCK: Final = "hhqqi"
_LOOKS: Final = 20
"""Times that the published snapshot is looked up again because another one took its place."""

_LOOKED_AT: Final = 5_000
"""Quads after which progress is told."""

_FEW: Final = 2_000
"""Events up to which a graph is made in memory."""

Opened = tuple[str, Store]
"""A store by its place in the data folder."""


def open_graphs(run: Run, folder: Path, scratch: Path) -> list[Opened]:
    """The graphs of a folder, opened so that nothing can be written: the published snapshot and the projector's store.

    What cannot be opened is a fault. A store that a projector holds open is left to it: every snapshot is made of the
    store's own files, so what is wrong there shows in the next one. `scratch` is a new folder for links.
    """
    if not folder.is_dir():
        return []
    scratch.mkdir()
    places = [] if (snapshot := _snapshot(run, folder, scratch)) is None else [snapshot]
    if (folder / STORE).is_dir():
        if is_held(folder / STORE / "LOCK"):
            run.live = True
        else:
            places.append(folder / STORE)
    found: list[Opened] = []
    for path in places:
        try:
            found.append((f"graph/{path.name}", Store.read_only(str(path))))
        except ENGINE_FAILS as error:
            run.faults.note(
                "graph-unreadable", f"graph/{path.name}", f"expected a graph, got: {_told(error)}"
            )
    return found


def _snapshot(run: Run, folder: Path, scratch: Path) -> Path | None:
    """The published snapshot under links of our own: a projector that publishes others removes it meanwhile."""
    for _ in range(_LOOKS):
        name = _published(run, folder)
        if name is None:
            return None
        try:
            _link(folder / name, scratch / name)
        except FileNotFoundError:
            continue
        now = current(folder)
        if now is None or now.name == name:
            return scratch / name
    run.faults.note(
        "graph-unreadable", f"graph/{CURRENT}", "expected a snapshot that stays for a moment, got none"
    )
    return None


def _link(folder: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for path in folder.iterdir():
        try:
            os.link(path, to / path.name)
        except FileNotFoundError:
            raise
        except OSError:
            # Another file system has no links to this one.
            shutil.copyfile(path, to / path.name)


def _published(run: Run, folder: Path) -> str | None:
    """The name of the published snapshot; a fault where there are graphs and the pointer leads to none."""
    try:
        found = current(folder)
    except (OSError, ValueError):
        found = None
    there = {path.name for path in folder.iterdir() if _SNAPSHOT.match(path.name)}
    if found is not None and found.name in there:
        text = (folder / CURRENT).read_text(encoding="ascii")
        newest = max(there, key=lambda name: int(name.rpartition("-")[2]))
        if text == f"{found.name}\n" and (found.name == newest or is_held(folder / STORE / "LOCK")):
            return found.name
    if (folder / CURRENT).exists() or there:
        run.faults.note(
            "graph-pointer", f"graph/{CURRENT}", "expected the name of the newest snapshot, got another"
        )
    return None if found is None or found.name not in there else found.name


def is_held(lock: Path) -> bool:
    """Whether some process holds the store, by the lock that RocksDB keeps on it; asking takes no lock."""
    try:
        import fcntl

        with lock.open("rb") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            told = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except (ImportError, OSError, struct.error):
        return False
    return bool(told[0] != fcntl.F_UNLCK)


def sizes(run: Run, opened: list[Opened]) -> dict[int, list[Opened]]:
    """Graphs by the tree size that they say they cover; what cannot say it is a fault."""
    found: dict[int, list[Opened]] = {}
    for place, store in opened:
        try:
            size = covered_size(store)
        except ENGINE_FAILS as error:
            run.faults.note("graph-unreadable", place, f"expected a graph, got: {_told(error)}")
            continue
        named = re.match(r"graph/snap-([0-9]+)-", place)
        if named is not None and int(named[1]) != size:
            run.faults.note(
                "graph-size", place, f"expected it to cover size {named[1]}, as its name says, got {size}"
            )
        found.setdefault(size, []).append((place, store))
    return found


def caught_up(run: Run, folder: Path, source: Engine, scratch: Path) -> Store | None:
    """A copy of the projector's store in `scratch`, brought up to the head as the next start would; None after a fault."""
    try:
        shutil.copytree(folder / STORE, scratch / STORE)
        for suffix in ("", "-wal"):
            if (notes := folder / (PROGRESS + suffix)).is_file():
                shutil.copyfile(notes, scratch / notes.name)
        projection = open_projection(scratch, Source(source))
        try:
            while projection.advance():
                run.progress("graph caught up", projection.covered, projection.covered)
        finally:
            projection.close()
        return Store.read_only(str(scratch / STORE))
    except (*ENGINE_FAILS, *DAMAGED, sqlite3.DatabaseError, SQLAlchemyError) as error:
        require_room(error)
        run.faults.note(
            "graph-unreadable", STORE_PLACE, f"expected a graph to go on from, got: {_told(error)}"
        )
        return None


def compare(run: Run, source: Engine, scratch: Path, graphs: list[Opened]) -> None:
    """Make the graph that the database of `source` gives, and compare others of its size with it."""
    try:
        projection = _empty(run, Source(source), scratch)
    except (*DAMAGED, SQLAlchemyError) as error:
        run.faults.note("underivable", "graph", f"expected records to make it from, got: {reason(error)}")
        return
    try:
        while projection.advance():
            run.progress("graph made", projection.covered, projection.covered)
        for place, store in graphs:
            _Walk(run, place, projection.store, store).run()
    except (*DAMAGED, SQLAlchemyError) as error:
        run.faults.note("underivable", "graph", f"expected records to make it from, got: {reason(error)}")
    finally:
        projection.close()


def _empty(run: Run, source: Source, scratch: Path) -> Projection:
    if run.total(event) > _FEW:
        return open_projection(scratch, source)
    scratch.mkdir()
    graph = Graph()
    graph.cover(0)
    return Projection(scratch, graph, Progress(scratch / PROGRESS), source)


class _Walk:
    """A graph beside the one it should be."""

    def __init__(self, run: Run, place: str, right: Store, store: Store) -> None:
        self._run = run
        self._place = place
        self._right = right
        self._store = store

    def run(self) -> None:
        """Compare all quads, then the orders that the walk did not read."""
        try:
            count = self._quads()
            self._orders()
        except ENGINE_FAILS as error:
            self._run.faults.note(
                "graph-unreadable", self._place, f"expected to read all of it, got: {_told(error)}"
            )
            return
        self._run.count["quads"] = self._run.count.get("quads", 0) + count

    def _quads(self) -> int:
        right, got = iter(self._right), iter(self._store)
        one, two = next(right, None), next(got, None)
        count = steps = 0
        while one is not None or two is not None:
            if one == two:
                count += 1
                one, two = next(right, None), next(got, None)
            elif two is None or (one is not None and one not in self._store):
                self._fault(one, "expected a quad that the records give, got none")
                one = next(right, None)
            elif two not in self._right:
                self._fault(two, "expected no such quad, got one")
                two = next(got, None)
            elif one is not None:
                # Both know both: a graph in memory keeps them in another order.
                count += 1
                one = next(right, None)
            else:
                two = next(got, None)
            steps += 1
            if steps % _LOOKED_AT == 0:
                self._run.progress(f"{self._place} compared", count, count)
        return count

    def _orders(self) -> None:
        """Each quad by subject, by object, and by both in its graph; all by predicate, and by predicate in a graph."""
        predicates: dict[Any, int] = {}
        inside: dict[tuple[Any, Any], int] = {}
        for number, quad in enumerate(self._right, 1):
            subject, predicate, value, graph = quad.subject, quad.predicate, quad.object, quad.graph_name
            predicates[predicate] = predicates.get(predicate, 0) + 1
            inside[predicate, graph] = inside.get((predicate, graph), 0) + 1
            found = self._store.quads_for_pattern
            ways = (
                found(subject, predicate, None, None),
                found(subject, None, value, None),
                found(subject, None, value, graph),
            )
            if not all(quad in set(way) for way in ways):
                self._fault(quad, "expected to find a quad by all of its parts, got none by some")
            if number % _LOOKED_AT == 0:
                self._run.progress(f"{self._place} looked up", number, number)
        for predicate, count in predicates.items():
            self._count(count, predicate, None)
        for (predicate, graph), count in inside.items():
            self._count(count, predicate, graph)

    def _count(self, right: int, predicate: NamedNode, graph: NamedNode | DefaultGraph | None) -> None:
        count = sum(1 for _ in self._store.quads_for_pattern(None, predicate, None, graph))
        if count != right:
            self._run.faults.note(
                "graph-quad",
                f"{self._place} predicate {predicate}",
                f"expected {right} quads by it, got {count}",
            )

    def _fault(self, quad: Quad | None, message: str) -> None:
        if quad is None:
            return
        # A literal may be content of a record, which a report does not show.
        self._run.faults.note(
            "graph-quad",
            f"{self._place} {quad.subject} {quad.predicate}",
            message,
            record=_record(quad),
        )


def check_purged(run: Run, folder: Path) -> None:
    """The line that says up to which erasure no file of the graph holds anything: it has to name an erasure, or none."""
    try:
        said = (folder / PURGED).read_bytes()
    except FileNotFoundError:
        return
    with run.engine.connect() as connection:
        stated = {-1, *connection.execute(select(erasure.c.idx).where(erasure.c.idx.is_not(None))).scalars()}
    number = int(said) if _NUMBER.match(said) else None
    if number in stated or (run.live and number is not None and number >= run.head):
        return
    run.faults.note(
        "graph-purged", f"graph/{PURGED}", "expected the log index of an erasure, got something else"
    )


def check_notes(run: Run, folder: Path, connection: Connection, covered: int | None) -> None:
    """The projector's notes of where it put each record: they decide what it writes again.

    `connection` has the fresh projections of the head. Notes of a projector that is behind are held to what did not
    change since.
    """
    path = folder / PROGRESS
    place = f"graph/{PROGRESS}"
    if not path.is_file():
        if covered and (folder / STORE).is_dir():
            run.faults.note("graph-notes", place, "expected the notes that go with a store, got none")
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as notes:
            for (line,) in notes.execute("PRAGMA integrity_check(20)"):
                if line != "ok":
                    run.faults.note("graph-notes", place, f"expected whole pages, got: {line}"[:300])
            classes = dict(notes.execute("SELECT id, members FROM class"))
            reached = notes.execute("SELECT size FROM reached").fetchone()
            placed = notes.execute("SELECT record, class, partial, void_by FROM placed ORDER BY record")
            _compare_notes(run, place, connection, reached, classes, placed, covered)
    except (sqlite3.DatabaseError, *DAMAGED) as error:
        run.faults.note("graph-notes", place, f"expected a database of notes, got: {_told(error)}")


def _compare_notes(
    run: Run,
    place: str,
    connection: Connection,
    reached: Any,
    classes: dict[Any, Any],
    placed: Iterator[Any],
    covered: int | None,
) -> None:
    head = int(connection.exec_driver_sql("SELECT size FROM head").scalar() or 0)
    size = 0 if reached is None else reached[0]
    if not isinstance(size, int) or size < 0 or (size > head and not run.live):
        run.faults.note("graph-notes", place, f"expected it to have reached at most {head}, got {size}")
        return
    if covered is not None and size < covered:
        run.faults.note("graph-notes", place, f"expected it to have reached {covered}, got {size}")
    known = dict(map(tuple, connection.exec_driver_sql('SELECT id, members FROM "class"')))
    for number, members in classes.items():
        if number in known and known[number] != members:
            run.faults.note(
                "graph-notes", f"{place} class {number}", "expected the members of it, got others"
            )
    query = (
        'SELECT e.record, e."class", e.partial, e.void_by FROM event e WHERE e.seq < ? AND NOT EXISTS'
        " (SELECT 1 FROM stored.touched t WHERE t.record = e.record AND t.seq >= ?) ORDER BY e.record"
    )
    settled = size if covered is None else covered
    right = iter(connection.exec_driver_sql(query, (min(size, head), settled)))
    here = next(placed, None)
    for row in right:
        while here is not None and here[0] < row[0]:
            here = next(placed, None)
        if here is None or tuple(here) != tuple(row):
            found = connection.exec_driver_sql(
                "SELECT lower(hex(commitment)) FROM record WHERE id = ?", (row[0],)
            ).scalar()
            run.faults.note(
                "graph-notes",
                f"{place} record {found}",
                "expected where it belongs, got another place",
                record=found,
            )


def _record(quad: Quad) -> str | None:
    for node in (quad.subject, quad.object):
        if isinstance(node, NamedNode) and node.value.startswith(RECORD):
            return node.value[len(RECORD) :].partition("#")[0]
    return None


def _told(error: BaseException) -> str:
    """What an engine says of a damaged file, without the folder it lies in."""
    return re.sub(r"/\S*/", "", str(error) or type(error).__name__)[:200]
