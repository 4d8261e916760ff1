"""What the graph is made from: sequenced records as stored, with who may see them (read-only SQL).

Every method reads in short transactions of its own: a long one would hold the write-ahead log of SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Engine

from fabric.epcis.contexts import PACKAGED, ContextTable
from fabric.lineage.creation import shown_units
from fabric.store.bulk import fetch, select_in
from fabric.store.erasures import erased_between, last_erasure, names_of
from fabric.visibility.classes import load as load_classes
from ledger.log.sequencer import BATCH as SEQUENCED

from .mapping import About, Statements, record_statements
from .names import MASTER, class_iri, record_iri

_SIZE: Final = "SELECT size FROM head"
_NEW: Final = (
    "SELECT record, seq FROM {table} WHERE seq >= ? AND seq < ? AND (seq > ? OR record > ?)"
    " ORDER BY seq, record LIMIT ?"
)
_PLACED: Final = (
    'SELECT record, "class", partial, void_by FROM event WHERE record > ? AND seq < ? ORDER BY record LIMIT ?'
)
_BEYOND: Final = "SELECT seq FROM event WHERE seq >= ? ORDER BY seq LIMIT 1 OFFSET ?"
_TOUCHED: Final = (
    'SELECT t.seq, e.record, e."class", e.partial, e.void_by FROM touched t JOIN event e ON e.record = t.record'
    " WHERE t.seq >= ? AND t.seq < ? AND e.seq < ? AND (t.seq > ? OR t.record > ?) ORDER BY t.seq, t.record LIMIT ?"
)
_EVENTS: Final = (
    'SELECT e.record, e.seq, e.member, e."class" AS class_id, e.partial, r.commitment, r.body,'
    " e.void_by AS void_number, v.commitment AS void_by, d.commitment AS duplicate_of"
    " FROM event e JOIN record r ON r.id = e.record LEFT JOIN record v ON v.id = e.void_by"
    " LEFT JOIN record d ON d.id = e.duplicate_of WHERE e.record IN ({in})"
)
_MASTERS: Final = (
    "SELECT m.record, m.seq, m.member, r.commitment, r.body, d.commitment AS duplicate_of"
    " FROM master m JOIN record r ON r.id = m.record LEFT JOIN record d ON d.id = r.duplicate_of"
    " WHERE m.record IN ({in})"
)
_BY_COMMITMENT: Final = (
    "SELECT e.record FROM record r JOIN event e ON e.record = r.id WHERE r.commitment IN ({in})"
)
_MASTER_BY_COMMITMENT: Final = (
    "SELECT m.record FROM record r JOIN master m ON m.record = r.id WHERE r.commitment IN ({in})"
)
_SEAL: Final = "SELECT time FROM seal WHERE idx > ? ORDER BY idx LIMIT 1"
_LONGEST_PLAN: Final = 2 * SEQUENCED + 1
"""Entries of one transaction: its statements, each with a seal at most, and the last seal."""


class Place(NamedTuple):
    """Where a record belongs: the numbers of its classes, and the record that voids it."""

    record: int
    class_id: int
    partial: int | None
    void_by: int | None


class Erased(NamedTuple):
    """A record of which something was erased, and the things that this had named, as far as others name them."""

    commitment: bytes
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and what it says in each graph that it belongs to; `classes` are the members behind the graphs."""

    record: int
    iri: str
    graphs: Mapping[str, Statements]
    classes: Mapping[str, frozenset[str]]
    place: Place | None

    def lines(self) -> str:
        """Everything as N-Quads."""
        return "".join([said.lines(graph) for graph, said in self.graphs.items()])


class Source:
    """One database as the projector reads it."""

    def __init__(self, engine: Engine, contexts: ContextTable = PACKAGED) -> None:
        self._engine = engine
        self._contexts = contexts

    @property
    def engine(self) -> Engine:
        """The engine that everything is read through."""
        return self._engine

    def size(self) -> int:
        """The committed tree size; 0 before the log exists."""
        with self._engine.connect() as connection:
            return int(connection.exec_driver_sql(_SIZE).scalar() or 0)

    def classes(self) -> dict[int, frozenset[str]]:
        """The visibility classes by number."""
        with self._engine.connect() as connection:
            return load_classes(connection)

    def new_events(self, start: int, end: int, most: int) -> Iterator[tuple[int, list[int]]]:
        """Event records with `start` <= log index < `end` in order: at most `most` at once, with the last index."""
        yield from self._new("event", start, end, most)

    def new_masters(self, start: int, end: int, most: int) -> Iterator[tuple[int, list[int]]]:
        """Master-data records, as `new_events`."""
        yield from self._new("master", start, end, most)

    def _new(self, table: str, start: int, end: int, most: int) -> Iterator[tuple[int, list[int]]]:
        query, last = _NEW.replace("{table}", table), (start, -1)
        while True:
            with self._engine.connect() as connection:
                rows = fetch(connection, query, last[0], end, *last, most)
            if not rows:
                return
            last = (rows[-1][1], rows[-1][0])
            yield last[0], [record for record, _ in rows]

    def places(self, after: int, end: int, most: int) -> list[Place]:
        """Where the next event records above number `after` belong, those with a log index below `end`."""
        with self._engine.connect() as connection:
            return [Place(*row) for row in fetch(connection, _PLACED, after, end, most)]

    def end_of(self, start: int, most: int) -> int:
        """A tree size above log index `start` below which there are about so many more event records, or the head."""
        with self._engine.connect() as connection:
            rows = fetch(connection, _BEYOND, start, most)
        return self.size() if not rows else int(rows[0][0]) + 1

    def touched(self, start: int, end: int, most: int) -> Iterator[list[Place]]:
        """Where event records below log index `end` belong whose class or void state changed since `start`.

        Those that changed up to `end` are all among them, and a few that changed after it; one that changes while
        this runs comes again later.
        """
        last = (start, -1)
        # A record is marked with the last index of the transaction that changed it.
        until = end + _LONGEST_PLAN
        while True:
            with self._engine.connect() as connection:
                rows = fetch(connection, _TOUCHED, last[0], until, end, *last, most)
            if not rows:
                return
            last = (rows[-1][0], rows[-1][1])
            yield [Place(*row[1:]) for row in rows]

    def events(self, records: Sequence[int]) -> list[Placed]:
        """What these event records say, in no order; erased ones say nothing any more."""
        with self._engine.connect() as connection:
            rows = list(select_in(connection, _EVENTS, records))
            classes = load_classes(connection)
        return [self._event(row, classes) for row in rows]

    def masters(self, records: Sequence[int]) -> list[Placed]:
        """What these master-data records claim."""
        with self._engine.connect() as connection:
            rows = list(select_in(connection, _MASTERS, records))
            times = {index: fetch(connection, _SEAL, index) for index in {row.seq for row in rows}}
        return [self._master(row, next((time for (time,) in times[row.seq]), None)) for row in rows]

    def events_named(self, commitments: Iterable[bytes]) -> list[Placed]:
        """What the event records with these commitments say."""
        with self._engine.connect() as connection:
            records = [record for (record,) in select_in(connection, _BY_COMMITMENT, commitments)]
        return self.events(records)

    def masters_named(self, commitments: Iterable[bytes]) -> list[Placed]:
        """What the master-data records with these commitments claim."""
        with self._engine.connect() as connection:
            records = [record for (record,) in select_in(connection, _MASTER_BY_COMMITMENT, commitments)]
        return self.masters(records)

    def last_erasure(self) -> int:
        """The log index of the last erasure; -1 before the first."""
        with self._engine.connect() as connection:
            return last_erasure(connection)

    def erased(self, after: int, until: int) -> list[Erased]:
        """The records of erasures with `after` < log index <= `until`."""
        with self._engine.connect() as connection:
            return [
                Erased(commitment, frozenset(names_of(connection, record)))
                for record, commitment in erased_between(connection, after, until)
            ]

    def _event(self, row: Any, classes: Mapping[int, frozenset[str]]) -> Placed:
        about = About(
            record_iri(row.commitment), row.member, row.seq, _record(row.void_by), _record(row.duplicate_of)
        )
        place = Place(row.record, row.class_id, row.partial, row.void_number)
        if row.body is None:
            return Placed(row.record, about.record, {}, {}, place)
        committed = orjson.loads(row.body)
        whole = class_iri(classes[row.class_id])
        graphs = {whole: record_statements(committed, about, self._contexts)}
        seen_by = {whole: classes[row.class_id]}
        if row.partial is not None:
            part = class_iri(classes[row.partial])
            graphs[part] = self._shown(committed, about)
            seen_by[part] = classes[row.partial]
        return Placed(row.record, about.record, graphs, seen_by, place)

    def _shown(self, committed: Mapping[str, Any], about: About) -> Statements:
        """Only the units that a hand-over shows; not what voids it, which its readers may not see."""
        about = replace(about, voided_by=None, duplicate_of=None, partly=True)
        return record_statements(shown_units(committed), about, self._contexts)

    def _master(self, row: Any, time: str | None) -> Placed:
        iri = record_iri(row.commitment)
        if row.body is None:
            return Placed(row.record, iri, {}, {}, None)
        about = About(iri, row.member, row.seq, None, _record(row.duplicate_of), time)
        said = record_statements(orjson.loads(row.body), about, self._contexts)
        return Placed(row.record, iri, {MASTER: said}, {}, None)


def _record(commitment: bytes | None) -> str | None:
    return None if commitment is None else record_iri(commitment)


__all__ = ["Erased", "Place", "Placed", "Source"]
