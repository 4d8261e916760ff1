"""From sequenced captures to projections, inside the transaction that gave them their indices.

Every projection is therefore always exactly at the head, and a capture that was refused has none. What a fresh
capture needs is remembered from its preparation; after a crash, and in a rebuild, it is read from the stored
records: the same rows follow either way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from sqlalchemy.engine import Connection

from fabric.epcis.event import read_event
from fabric.epcis.link import parse_link
from fabric.lineage.fact import Fact
from fabric.lineage.same import NewSame, index_links
from fabric.lineage.schema import VERSION as LINEAGE_VERSION
from fabric.lineage.sql import NewFact, index_facts
from fabric.store.bodies import ERASURES, LINKS, Bodies, StoredBody
from fabric.store.bulk import fetch, insert_rows, select_in, update_rows
from fabric.store.erasures import seers
from fabric.store.records import StoredCapture, load_capture, load_captures
from fabric.store.schema import EVENT, MASTER, capture, declared, master
from fabric.store.things import Interner, Sitting, smaller_kind
from fabric.visibility import Holders, Sides, parties
from fabric.visibility.arrivals import Arrivals, NewRecord, Stated
from fabric.visibility.classes import Classes
from fabric.visibility.handover import Own, Part, is_creation, is_packing
from fabric.visibility.index import NO_SIDES, VisibilityIndex
from fabric.visibility.index import VERSION as VISIBILITY_VERSION
from fabric.visibility.listing import family_of, list_again, list_families, list_moved, list_things
from ledger.log.plan import Sequenced
from ledger.registry import Registry

from .erasure import Eraser
from .packed import MasterRow, Packed, fact_from, master_row, pack, tell_things

STORE_VERSION: Final = 2
VERSIONS: Final = {"store": STORE_VERSION, "lineage": LINEAGE_VERSION, "visibility": VISIBILITY_VERSION}
"""Versions of the projections; a database with others is rebuilt before it is used."""

_MASTER: Final = ("record", "seq", "thing", "member", "type")
_DECLARED: Final = ("iri", "record")
_ALWAYS_US: Final = -(2**62)
_RECORDS: Final = "SELECT id, position, kind, commitment, digest, body, duplicate_of FROM record WHERE capture IN ({in}) ORDER BY position"


@dataclass(frozen=True, slots=True)
class Indexable:
    """A capture on its way into the projections: its records follow `first` in order of position.

    `commitments` and `digests` (of the duplicates rule) have one a record; `masters` follow the header record,
    `events` follow them, None in the place of those that were erased. `duplicates` maps a record to the one that
    it repeats.
    """

    capture: StoredCapture
    first: int
    commitments: Sequence[bytes]
    masters: Sequence[MasterRow | None]
    events: Sequence[Packed | None]
    duplicates: Mapping[int, int]
    digests: Sequence[bytes]

    def placed(self) -> Iterator[tuple[int, Packed]]:
        """The events with their positions."""
        for position, event in enumerate(self.events, 1 + len(self.masters)):
            if event is not None:
                yield position, event


class Indexer:
    """Writes the projections of sequenced captures; give `on_sequenced` to the sequencer.

    After each committed sequencing call `committed`; after a rollback `forget`.
    """

    def __init__(self, registry: Registry) -> None:
        self._interner = Interner()
        self._sitting: Sitting | None = None
        self._classes = Classes()
        self._visibility = VisibilityIndex(self._classes)
        self._holders = Holders(registry.identifiers)
        self._identifiers = registry.identifiers
        self._waiting: dict[int, Indexable] = {}
        self._done: list[int] = []
        self._has_erased = False

    def remember(self, fresh: Indexable) -> None:
        """Keep what was prepared until its statement is sequenced."""
        self._waiting[fresh.capture.statement] = fresh

    def drop(self, statements: Iterable[int]) -> None:
        """Let go of captures whose statements were refused."""
        for row in statements:
            self._waiting.pop(row, None)

    def on_sequenced(self, connection: Connection, sequenced: Sequence[Sequenced]) -> None:
        """Project the captures among the sequenced statements, in the order of their indices."""
        indices = {one.row: one.index for one in sequenced if one.envelope.statement.type == "capture"}
        self._follow(connection, sequenced[-1].registry)
        unknown = [row for row in indices if row not in self._waiting]
        known = self._waiting | {one.capture.statement: one for one in load_indexables(connection, unknown)}
        placed = [place(known[row], index) for row, index in indices.items() if row in known]
        marks = [(one.capture.idx, one.capture.id) for one in placed]
        update_rows(connection, capture, ("idx",), ("id",), marks)
        self.project(connection, placed)
        self._index_links(connection, sequenced)
        self._erase(connection, sequenced)
        self._done = list(indices)

    def committed(self) -> None:
        """The transaction of the last `on_sequenced` is durable: what it taught may be kept."""
        self.drop(self._done)
        self._done = []
        if self._has_erased:
            # What the caches know may be among what was erased, and things that were deleted have no number now.
            self.forget()
        if self._sitting is not None:
            self._sitting.keep()
            self._sitting = None

    def forget(self) -> None:
        """The transaction was rolled back: nothing it taught is true."""
        self._interner.clear()
        self._sitting = None
        self._classes.clear()
        self._visibility.moved()
        self._done = []
        self._has_erased = False

    def _follow(self, connection: Connection, registry: Registry) -> None:
        """Recompute the classes of records that name an identifier whose holder changed."""
        if registry.identifiers == self._identifiers:
            return
        holders = Holders(registry.identifiers)
        self._visibility.reassign(connection, self._holders, holders)
        list_moved(connection, self._visibility.moved())
        self._identifiers, self._holders = registry.identifiers, holders

    def _index_links(self, connection: Connection, sequenced: Sequence[Sequenced]) -> None:
        self.project_links(connection, _taken(connection, LINKS, "link", sequenced))

    def _erase(self, connection: Connection, sequenced: Sequence[Sequenced]) -> None:
        """Carry out erasures, after everything that the same transaction brings: it may be what they name."""
        found = _taken(connection, ERASURES, "erasure", sequenced)
        eraser = Eraser(self._visibility, self._holders, self._project_again)
        for one in sorted(found, key=lambda one: one.seq or 0):
            eraser.run(connection, one)
            list_moved(connection, self._visibility.moved())
            self._has_erased = True

    def _project_again(self, connection: Connection, number: int) -> None:
        """Write the rows of one record from what stays of it."""
        row = fetch(connection, "SELECT capture FROM record WHERE id = ?", number)[0]
        found = load_capture(connection, row[0])
        if found.idx is not None:
            self.project(connection, [_load(connection, found, only=number)])

    def name_seers(self, connection: Connection) -> None:
        """Give a class to those who saw what was erased: by it a reader is told that there was something."""
        self._visibility.own_classes(connection, seers(connection))

    def project_links(self, connection: Connection, links: Sequence[StoredBody]) -> None:
        """Write the rows of links that have their index: both things, both edges, who may see them."""
        if not links:
            return
        sitting = self._sitting = self._sitting or self._interner.sitting(connection)
        bodies = [parse_link(one.value()) for one in links]
        told: dict[str, str] = {}
        for body in bodies:
            told |= {thing.iri: thing.kind.value for thing in (body.one, body.other)}
        ids = sitting.ids(told)
        classes = self._classes.ids(connection, [one.parties for one in links])
        new = [
            NewSame(
                one.id,
                ids[body.one.iri],
                ids[body.other.iri],
                -1 if one.seq is None else one.seq,
                one.statement_id,
                classes[one.parties],
            )
            for one, body in zip(links, bodies, strict=True)
        ]
        index_links(connection, new)

    def project(self, connection: Connection, captures: Sequence[Indexable]) -> None:
        """Write the rows of captures that have their index: things, lines, classes, derived relations."""
        if not captures:
            return
        sitting = self._sitting = self._sitting or self._interner.sitting(connection)
        told: dict[str, str] = {}
        for one in captures:
            for row in one.masters:
                if row is not None:
                    told[row[1]] = smaller_kind(row[2], told.get(row[1], row[2]))
            for _, event in one.placed():
                tell_things(event, told)
        ids = sitting.ids(told)
        rows = [row for one in captures for row in _event_rows(one, ids, self._holders)]
        classes = self._visibility.own_classes(connection, {row.own for row, _, _ in rows})
        new = [NewFact(fact, classes[row.own], None, duplicate) for row, fact, duplicate in rows]
        index_facts(connection, new, ids, self._holders.member_of)
        arrivals = Arrivals(
            [row for row, _, _ in rows], lambda number: _own(number, captures, ids), sitting.first_new
        )
        self._visibility.add(connection, arrivals, ids, self._holders)
        self._list(connection, captures, new, ids, told)
        list_again(connection, sitting.contested)
        insert_rows(connection, master, _MASTER, [row for one in captures for row in _master_rows(one, ids)])
        insert_rows(connection, declared, _DECLARED, [row for one in captures for row in _declared_rows(one)])

    def _list(
        self,
        connection: Connection,
        captures: Sequence[Indexable],
        new: Sequence[NewFact],
        ids: Mapping[str, int],
        told: Mapping[str, str],
    ) -> None:
        """List what new events are about in the classes that these are of in the end; move earlier ones."""
        moved = self._visibility.moved()
        classes = {one.fact.record: one.class_id for one in new}
        earlier = [one for one in moved if one.record not in classes]
        classes.update((one.record, one.after) for one in moved)
        named: dict[int, set[int]] = {}
        families: list[tuple[int, str, int, int]] = []
        for one in captures:
            for position, event in one.placed():
                if not event.declares:
                    record = one.first + position
                    number = classes[record]
                    iris = _subjects(event)
                    for start in {family_of(iri) for iri in iris}:
                        families.append((number, start, event.time_us, record))
                    serials = named.setdefault(number, set())
                    serials.update([ids[iri] for iri in iris if told[iri] == "serial"])
        list_families(connection, families)
        list_things(connection, named)
        list_moved(connection, earlier)


def _subjects(event: Packed) -> list[str]:
    """The things that an event is about; others it only mentions."""
    if event.type == "TransactionEvent":
        return [line[0] for line in event.lines]
    return [line[0] for line in event.lines if line[2] != "mention"]


def _taken(
    connection: Connection, bodies: Bodies, kind: str, sequenced: Sequence[Sequenced]
) -> list[StoredBody]:
    """The bodies of a kind among the sequenced statements, which are told their log index."""
    indices = {one.row: one.index for one in sequenced if one.envelope.statement.type == kind}
    found = [one._replace(seq=indices[one.statement]) for one in bodies.waiting(connection, indices)]
    bodies.mark(connection, found)
    return found


def place(one: Indexable, index: int) -> Indexable:
    """A capture with its log index."""
    return replace(one, capture=replace(one.capture, idx=index))


def _event_rows(
    one: Indexable, ids: Mapping[str, int], holders: Holders
) -> Iterator[tuple[NewRecord, Fact, int | None]]:
    found = one.capture
    seq = -1 if found.idx is None else found.idx
    for position, event in one.placed():
        number = one.first + position
        named = bool(event.sources or event.destinations)
        sides = Sides(event.sources, event.destinations) if named else NO_SIDES
        own = parties(found.member, event.type, event.time_us, sides, holders)
        fact = fact_from(
            event,
            record=number,
            commitment=one.commitments[position],
            position=position,
            seq=seq,
            member=found.member,
        )
        if event.declares:
            # It makes no rows of what it names, which may be what nothing else names any more.
            fact = fact._replace(lines=())
        yield _new_record(number, found.member, event, sides, own, ids), fact, one.duplicates.get(number)


def _new_record(
    number: int, member: str, event: Packed, sides: Sides, own: frozenset[str], ids: Mapping[str, int]
) -> NewRecord:
    """What visibility needs of an event; a packing counts from its time on, a creation whenever it was."""
    stated: tuple[Stated, ...] = ()
    if event.declares:
        pass
    elif is_packing(event.type):
        stated = tuple([Stated(ids[line[0]], event.time_us) for line in event.lines if line[2] == "parent"])
    elif is_creation(event.type, event.action, event.step):
        role = "output" if event.type == "TransformationEvent" else "object"
        stated = tuple([Stated(ids[line[0]], _ALWAYS_US) for line in event.lines if line[2] == role])
    return NewRecord(number, member, event.step, sides, event.declares, own, stated)


def _own(number: int, captures: Sequence[Indexable], ids: Mapping[str, int]) -> Own:
    """The event of a record among captures, as hand-overs need it."""
    one = next(one for one in captures if one.first <= number < one.first + len(one.commitments))
    position = number - one.first
    event = one.events[position - 1 - len(one.masters)]
    if event is None:
        raise LookupError(f"expected the event of record {number}, got an erased one")
    parts = [Part(ids[line[0]], line[2], line[4], line[5]) for line in event.lines]
    order = (position, one.digests[position])
    return Own(number, event.type, event.action, event.step, event.time_us, order, tuple(parts))


def _master_rows(one: Indexable, ids: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    for position, row in enumerate(one.masters, 1):
        if row is not None:
            yield one.first + position, one.capture.idx, ids[row[1]], one.capture.member, row[0]


def _declared_rows(one: Indexable) -> Iterator[tuple[object, ...]]:
    for position, event in one.placed():
        if event.declares:
            for iri in sorted({line[0] for line in event.lines}):
                yield iri, one.first + position


def load_indexables(connection: Connection, statements: Iterable[int]) -> list[Indexable]:
    """Captures read back from the store, by the rows of their statements."""
    return [_load(connection, found) for found in load_captures(connection, statements).values()]


def _load(connection: Connection, found: StoredCapture, only: int | None = None) -> Indexable:
    """A capture read back; `only` leaves out all records but one, as if they had been erased."""
    rows = list(select_in(connection, _RECORDS, [found.id]))
    bodies = [(row.kind, row.body if only in (None, row.id) else None) for row in rows]
    return Indexable(
        found,
        rows[0].id,
        [row.commitment for row in rows],
        [None if body is None else master_row(json.loads(body)) for kind, body in bodies if kind == MASTER],
        [None if body is None else _packed(body) for kind, body in bodies if kind == EVENT],
        {row.id: row.duplicate_of for row in rows if row.duplicate_of is not None},
        [row.digest for row in rows],
    )


def _packed(body: bytes) -> Packed:
    return pack(read_event(json.loads(body)), sha256(body).digest())
