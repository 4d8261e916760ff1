"""Which records an answer rests on: all that deriving it read, as one reader may see them at one tree size.

The trace is derived once from the store by readers that take notes. Whatever they gave, and nothing else, has to
be disclosed for somebody without the store to derive the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fabric.compliance.course import occurrences_of
from fabric.lineage import Contradiction, Fact, HolderOf, Sort, ThingKey
from fabric.lineage.creation import SHOWN_LINE
from fabric.lineage.fact import INPUT
from fabric.lineage.reader import SqlReader
from fabric.store.bodies import LINKS, StoredBody
from fabric.store.bulk import select_in
from fabric.store.records import StoredCapture, StoredRecord, load_capture
from fabric.store.schema import record as record_table
from fabric.trace import Coverage, Question, trace
from fabric.trace.catalogue import SqlCatalogue
from fabric.trace.derived import DerivedSource
from fabric.trace.search import product_of
from fabric.trace.source import ErasedRecords, LinkRow, Thing
from fabric.visibility.classes import visible_classes
from fabric.visibility.reader import Reader
from ledger.errors import InvalidInput, NotFound

Item = TypeVar("Item")

_EVENTS: Final = 'SELECT record, seq, void_by, void_seq, "class" AS whole, partial, event_id FROM event WHERE record IN ({in})'
_RIVALS: Final = "SELECT record FROM lineage_loser WHERE event_id IN ({in})"
_NAMED: Final = (
    f"SELECT l.record, t.id, t.iri, t.kind, {SHOWN_LINE} AS shown FROM line l JOIN thing t ON t.id = l.thing"
    " JOIN event e ON e.record = l.record WHERE l.record IN ({in})"
)
_LINKS: Final = 'SELECT thing, other, statement, seq, "class" AS visible FROM same WHERE thing IN ({in})'
_PRODUCTS: Final = "SELECT id, iri FROM thing WHERE iri IN ({in})"
_MASTERS: Final = (
    "SELECT m.record, m.thing, m.member, m.seq, r.position FROM master m JOIN record r ON r.id = m.record"
    " WHERE m.thing IN ({in})"
)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The records of an answer in the order of the log, with whether the reader sees each whole.

    Of a record that was erased in part, everything that stays is disclosed where the reader sees it whole.

    `document` is the trace as the store gives it, hidden parts included; `links` are the `same` links it read.
    """

    document: Mapping[str, Any]
    records: tuple[tuple[StoredRecord, bool], ...]
    links: tuple[StoredBody, ...] = ()


@dataclass(slots=True)
class _Notes:
    """The numbers of all records that were read, and the ids of the statements of all links."""

    read: set[int] = field(default_factory=set)
    links: set[LinkRow] = field(default_factory=set)

    def facts(self, found: Iterable[Fact]) -> list[Fact]:
        facts = list(found)
        self.read.update(fact.record for fact in facts)
        return facts


class _NotedReader:
    """A `FactReader` that takes notes."""

    def __init__(self, reader: SqlReader, notes: _Notes) -> None:
        self._reader, self._notes = reader, notes

    def facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        return self._notes.facts(self._reader.facts_of(things))

    def whole_facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        return self._notes.facts(self._reader.whole_facts_of(things))

    def departures_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        return self._notes.facts(self._reader.departures_of(things))

    def runs(self, keys: Collection[tuple[str, str]]) -> Iterable[Fact]:
        return self._notes.facts(self._reader.runs(keys))


class _NotedCatalogue:
    """A `Catalogue` that takes notes."""

    def __init__(self, catalogue: SqlCatalogue, notes: _Notes) -> None:
        self._catalogue, self._notes = catalogue, notes

    def find(self, iri: str) -> tuple[Thing, Sort] | None:
        return self._catalogue.find(iri)

    def sorts(self, things: Collection[Thing]) -> Mapping[Thing, Sort]:
        return self._catalogue.sorts(things)

    def iris(self, things: Collection[Thing]) -> Mapping[Thing, str]:
        return self._catalogue.iris(things)

    def records(self, records: Collection[int]) -> Mapping[int, str]:
        self._notes.read.update(records)
        return self._catalogue.records(records)

    def serials(self, lots: Collection[Thing]) -> Iterable[Thing]:
        return self._catalogue.serials(lots)

    def mentions(self, things: Collection[Thing]) -> Iterable[Fact]:
        return self._notes.facts(self._catalogue.mentions(things))

    def at_places(self, places: Collection[str], from_us: int, until_us: int) -> Iterable[Fact]:
        return self._notes.facts(self._catalogue.at_places(places, from_us, until_us))

    def conflicts(self, things: Collection[Thing]) -> Iterator[Contradiction]:
        for clash in self._catalogue.conflicts(things):
            self._notes.read.update(clash.records)
            yield clash

    def voided(self, things: Collection[Thing]) -> Iterable[tuple[Fact, str]]:
        found = list(self._catalogue.voided(things))
        self._notes.facts(fact for fact, _ in found)
        return found

    def links(self, things: Collection[Thing]) -> Iterable[LinkRow]:
        found = self._catalogue.links(things)
        self._notes.links.update(found)
        return found

    def hidden(self, things: Collection[Thing]) -> tuple[int, frozenset[Thing]] | None:
        return self._catalogue.hidden(things)

    def erased(self, things: Collection[Thing]) -> ErasedRecords:
        return self._catalogue.erased(things)


def gather(
    connection: Connection, reader: Reader, question: Question, coverage: Coverage, holder_of: HolderOf
) -> Gathered:
    """The records that the answer to a question rests on. Raises what `fabric.trace.trace` raises."""
    read = _Reading(connection, reader, coverage, holder_of)
    found = trace(question, read.source)
    document = found.as_json()
    read.makers({hit.node for hit in found.hits() if hit.kind == "lot"})
    return Gathered(document, read.records(), read.links())


def gather_lot(
    connection: Connection, reader: Reader, lot: str, coverage: Coverage, holder_of: HolderOf
) -> Gathered:
    """The records that the completeness of one lot rests on; no trace.

    Raises NotFound, in the same words for an unknown lot and a hidden one; InvalidInput for what is no lot.
    """
    read = _Reading(connection, reader, coverage, holder_of)
    found = read.source.find(lot)
    if found is None:
        raise NotFound(f"no visible record names {lot}")
    thing, sort = found
    if sort is not Sort.LOT:
        raise InvalidInput(f"expected a lot, got {lot}", rule="not-a-lot")
    read.makers({thing})
    return Gathered({}, read.records())


class _Reading:
    """One reader's view of the store at one tree size, with notes of all that is read through `source`."""

    def __init__(
        self, connection: Connection, reader: Reader, coverage: Coverage, holder_of: HolderOf
    ) -> None:
        self._connection = connection
        self._notes = _Notes()
        classes = None if reader.all else visible_classes(connection, reader)
        self._sight = _Sight(connection, classes, coverage.size)
        limits: dict[str, Any] = {"classes": classes, "below": coverage.size}
        self._facts = _NotedReader(SqlReader(connection, holder_of, **limits), self._notes)
        catalogue = _NotedCatalogue(SqlCatalogue(connection, holder_of, **limits), self._notes)
        self.source = DerivedSource(coverage, self._facts, catalogue, holder_of)

    def makers(self, lots: Collection[Thing]) -> None:
        """Read the events of lots and of what went into them, where the rules look too."""
        whole = list(self._facts.whole_facts_of(lots))
        runs = {(fact.member, fact.transformation_id) for fact in whole if fact.transformation_id is not None}
        whole += self._facts.runs({(member, name) for member, name in runs if name is not None})
        inputs = {
            line.thing
            for fact in whole
            for line in fact.lines
            if line.role == INPUT and line.sort is Sort.LOT
        }
        occurrences_of({*lots, *inputs}, self.source)

    def links(self) -> tuple[StoredBody, ...]:
        """All links that were read, in the order of the log."""
        rows = select_in(self._connection, _LINKS, {link[0] for link in self._notes.links})
        seen = [row for row in rows if (row.thing, row.other, row.statement) in self._notes.links]
        found = LINKS.at(self._connection, {row.seq for row in seen if self._sight.shows_link(row)})
        return tuple(sorted(found, key=lambda one: one.seq or 0))

    def records(self) -> tuple[tuple[StoredRecord, bool], ...]:
        """All that was read, and the master data of what it names."""
        events = self._sight.events(self._notes.read)
        masters = self._sight.masters(events)
        return tuple(_stored(self._connection, {**events, **dict.fromkeys(masters, True)}))


class _Sight:
    """Which records one reader may be shown, at one tree size."""

    def __init__(self, connection: Connection, classes: Collection[int] | None, below: int) -> None:
        self._connection, self._classes, self._below = connection, classes, below

    def events(self, read: Collection[int]) -> dict[int, bool]:
        """For each record, those that contradict it and what voids it: whether it may be shown in full."""
        rows = list(select_in(self._connection, _EVENTS, read))
        # Who sees a record in part is not told its eventID: nothing may be found by it.
        names = {row.event_id for row in rows if self._sees(row.whole)} - {None}
        more = {row.record for row in select_in(self._connection, _RIVALS, names)}
        more |= {row.void_by for row in rows if self._is_void(row) and self._sees(row.whole)}
        rows += select_in(self._connection, _EVENTS, more - set(read))
        return {row.record: self._sees(row.whole) for row in rows if self._shows(row)}

    def masters(self, events: Mapping[int, bool]) -> set[int]:
        """The newest master data of each member about whatever these events, each in full or in part, name.

        Who sees a lot or serial named sees the master data of its product, too.
        """
        rows = select_in(self._connection, _NAMED, events)
        named = [row for row in rows if events[row.record] or row.shown]
        products = {product_of(row.iri) for row in named if row.kind in ("lot", "serial")} - {None}
        things = {row.id for row in named}
        things |= {row.id for row in select_in(self._connection, _PRODUCTS, products)}
        newest: dict[tuple[int, str], tuple[int, int, int]] = {}
        for row in select_in(self._connection, _MASTERS, things):
            if row.seq < self._below:
                key, place = (row.thing, row.member), (row.seq, row.position, row.record)
                newest[key] = max(place, newest.get(key, place))
        return {number for _, _, number in newest.values()}

    def shows_link(self, row: Any) -> bool:
        """Whether a row of a link may be shown."""
        return row.seq < self._below and self._sees(row.visible)

    def _sees(self, class_id: int | None) -> bool:
        return self._classes is None or class_id in self._classes

    def _shows(self, row: Any) -> bool:
        # What voids a record names it by its event ID, which a record shown in part does not show.
        shown = self._sees(row.whole) or (self._sees(row.partial) and not self._is_void(row))
        return row.seq < self._below and shown

    def _is_void(self, row: Any) -> bool:
        return row.void_seq is not None and row.void_seq < self._below


def _stored(connection: Connection, wanted: Mapping[int, bool]) -> list[tuple[StoredRecord, bool]]:
    """The records themselves, in the order of the log; those that were erased are left out."""
    captures: dict[int, StoredCapture] = {}
    found = []
    for part in _chunks(sorted(wanted)):
        for row in connection.execute(select(record_table).where(record_table.c.id.in_(part))):
            if row.body is None:
                continue
            if row.capture not in captures:
                captures[row.capture] = load_capture(connection, row.capture)
            capture = captures[row.capture]
            stored = StoredRecord(
                row.id, capture, row.position, row.kind, row.event_id, row.commitment, row.salt, row.body
            )
            found.append((stored, wanted[row.id]))
    found.sort(key=lambda one: (one[0].capture.idx or 0, one[0].position))
    return found


def _chunks(items: list[Item], size: int = 500) -> Iterator[list[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


__all__ = ["Gathered", "gather", "gather_lot"]
